//! Who may put which contract in the place of which.

use super::*;
use crate::admin::{Presence, VERIFIED_SECS};
use crate::inventory::{AgentManifest, apply_agent};
use crate::world::{Agent, Org, Principal};
use audit::event::CommitmentKey;
use identity::{AgentId, LogId, Revision, Secret, SpiffeId, UnixTime};
use policy::{Compiled, Contract, diff};

pub(crate) const NOW: UnixTime = UnixTime::from_secs(1_795_428_000);
/// As it is stamped at revision 1, at which it is made.
pub(crate) const ORG: OrgId = OrgId::from_u128((1 << 22) | 7);
const FEW: usize = 200;

pub(crate) fn text(version: u32, name: &str, max: u32) -> String {
    format!(
        "apiVersion: tabard/v1\nkind: AgentContract\nmetadata: {{name: {name}, version: {version}}}\nowner: {{team: t}}\n\
         purpose: {{id: p, statement: Some purpose}}\nidentity: {{min_assurance: 1}}\n\
         tasks: {{types: [t], openers: [user]}}\nlifecycle: {{expires: 2027-12-31}}\ngrants:\n\
         \x20 - id: pay\n    services: [bank]\n    actions: [pay]\n    reason: Some reason\n    \
         business_action: {{pay: Pay}}\n    where: {{amount: {{min: 1, max: {max}}}}}\n"
    )
}

fn compiled(text: &str) -> Compiled {
    Compiled::new(Contract::parse("c.yaml", text.as_bytes()).unwrap()).unwrap()
}

fn record(text: &str) -> ContractRecord {
    let contract = Contract::parse("c.yaml", text.as_bytes()).unwrap();
    let metadata = &contract.terms().metadata;
    ContractRecord {
        hash: contract.hash().0,
        org: ORG,
        name: metadata.name.clone(),
        version: metadata.version.into(),
        file: "c.yaml".into(),
        source: text.into(),
        published_by: "ann".into(),
        published_at: NOW,
        commit: None,
        succeeds: BTreeSet::new(),
    }
}

pub(crate) fn person(name: &str, uid: u32, role: Role, presence: Presence) -> Administrator {
    Administrator::of_test(
        Principal {
            org: Some(ORG),
            ..Principal::with_uid(name.parse().unwrap(), uid, [role].into(), "uid".into())
        },
        presence,
    )
}

pub(crate) const THERE: Presence = Presence::Session { verified: NOW };

pub(crate) fn agent(contract: Digest) -> Agent {
    Agent {
        id: AgentId::from_u128(9),
        org: ORG,
        name: "payer".parse().unwrap(),
        spiffe_id: "spiffe://t/acme/agent/payer".parse::<SpiffeId>().unwrap(),
        owner: "team".into(),
        purpose: "Pays.".into(),
        contract,
        state: AgentState::Active,
        expires_at: NOW.plus_secs(86_400),
    }
}

/// A World in which one agent is under `text`.
pub(crate) fn world(text: &str) -> World {
    let record = record(text);
    let founded = Change::Founded {
        trust_domain: "t".parse().unwrap(),
        issuer: "https://t".into(),
        epoch: 1,
    };
    let org = Change::OrgCreated(Org {
        id: ORG,
        name: "acme".parse().unwrap(),
    });
    let hash = record.hash;
    World::default().apply(
        &[
            founded,
            org,
            Change::ContractPublished(record),
            Change::AgentUpdated(agent(hash)),
        ],
        Revision(1),
    )
}

pub(crate) fn granted<P>(outcome: Outcome<P>) -> (Vec<Change>, audit::Event, P) {
    match outcome {
        Outcome::Granted(plan) => {
            let parts = plan.into_parts();
            (parts.changes, parts.event, parts.proof)
        }
        Outcome::Refused(plan) => panic!("refused: {}", plan.into_parts().proof.sentence()),
    }
}

pub(crate) fn refused<P: std::fmt::Debug>(outcome: Outcome<P>) -> &'static str {
    match outcome {
        Outcome::Granted(plan) => panic!("granted: {:?}", plan.into_parts().event.change_summary),
        Outcome::Refused(plan) => plan.into_parts().proof.code(),
    }
}

/// Runs a use case at `now`.
pub(crate) fn at<T>(now: UnixTime, act: impl FnOnce(&mut Draw<'_>) -> T) -> T {
    let names = CommitmentKey::new(Secret::new([1; 32]));
    act(&mut Draw::new(now, LogId(0), [2; 32], &names))
}

/// Of what is shown of a proposal now; of nothing if there is none.
fn looked(world: &World, hash: &Digest) -> Digest {
    let proposal = world.proposal(OrgScope::Only(ORG), ORG, hash);
    proposal.map(|proposal| proposal.digest()).unwrap_or_default()
}

fn apply(world: &World, who: &Administrator, text: &str, rule: FourEyes) -> Outcome<Settled> {
    let new = compiled(text);
    let before = in_force(world, ORG, &new.contract().terms().metadata.name);
    let diffs: Vec<Diff> = before
        .iter()
        .filter_map(|hash| world.contract(OrgScope::Only(ORG), hash))
        .map(|old| diff(&compiled(&old.source), &new, FEW))
        .collect();
    let scrutiny = Scrutiny { rule, diffs: &diffs };
    at(NOW, |draw| {
        apply_contract(world, who, record(text), &[], scrutiny, draw)
    })
}

#[test]
fn a_narrowing_is_in_force_at_once_and_a_widening_waits_for_another_person() {
    let world = world(&text(1, "payer", 500));
    let ann = person("ann", 1, Role::Author, Presence::Process);
    let (changes, event, settled) = granted(apply(&world, &ann, &text(2, "payer", 400), FourEyes::Widening));
    assert_eq!(
        (settled.standing(), settled.direction()),
        (Standing::Published, Direction::Narrowing)
    );
    assert!(matches!(changes.as_slice(), [Change::ContractPublished(_)]));
    assert!(
        event
            .change_summary
            .iter()
            .any(|line| line.starts_with("narrowing: ")),
        "{event:?}"
    );

    let wide = text(2, "payer", 600);
    let (changes, event, settled) = granted(apply(&world, &ann, &wide, FourEyes::Widening));
    assert_eq!(
        (settled.standing(), settled.direction()),
        (Standing::Proposed, Direction::Widening)
    );
    assert_eq!(event.kind, EventKind::ContractProposed);
    let world = world.apply(&changes, Revision(2));
    let hash = record(&wide).hash;
    assert!(world.contract(OrgScope::Only(ORG), &hash).is_none());

    let bob = person("bob", 2, Role::Approver, THERE);
    let (changes, event, _) = granted(at(NOW, |draw| {
        agree(&world, &bob, ORG, &hash, &looked(&world, &hash), draw)
    }));
    // Both people are named, and what was agreed to.
    assert!(event.human.is_some() && event.detail.contains_key("author"));
    assert!(
        event
            .change_summary
            .iter()
            .any(|line| line.contains("amount is 1 to 600")),
        "{event:?}"
    );
    let world = world.apply(&changes, Revision(3));
    let published = world.contract(OrgScope::Only(ORG), &hash).unwrap();
    assert_eq!(published.succeeds.len(), 1);
    assert!(world.proposal(OrgScope::Only(ORG), ORG, &hash).is_none());
}

#[test]
fn nobody_publishes_their_own_proposal_nor_by_a_process_nor_too_late() {
    let world = world(&text(1, "payer", 500));
    let ann = person("ann", 1, Role::Admin, THERE);
    let wide = text(2, "payer", 600);
    let (changes, _, _) = granted(apply(&world, &ann, &wide, FourEyes::Widening));
    let world = world.apply(&changes, Revision(2));
    let hash = record(&wide).hash;
    let by = |who: &Administrator, now: UnixTime| {
        refused(at(now, |draw| {
            agree(&world, who, ORG, &hash, &looked(&world, &hash), draw)
        }))
    };
    assert_eq!(by(&ann, NOW), "PROPOSAL_OWN");
    // The same person under another name, and another name for the same uid.
    assert_eq!(by(&person("ann", 3, Role::Approver, THERE), NOW), "PROPOSAL_OWN");
    assert_eq!(by(&person("eve", 1, Role::Approver, THERE), NOW), "PROPOSAL_OWN");
    assert_eq!(
        by(&person("bob", 2, Role::Approver, Presence::Process), NOW),
        "PRESENCE_UNVERIFIED"
    );
    let long_ago = Presence::Session {
        verified: NOW.minus_secs(VERIFIED_SECS + 1),
    };
    assert_eq!(
        by(&person("bob", 2, Role::Approver, long_ago), NOW),
        "PRESENCE_UNVERIFIED"
    );
    assert_eq!(by(&person("bob", 2, Role::Operator, THERE), NOW), "ADMIN_ROLE");
    let later = NOW.plus_secs(PROPOSAL_SECS);
    let then = Presence::Session { verified: later };
    assert_eq!(
        by(&person("bob", 2, Role::Approver, then), later),
        "PROPOSAL_UNKNOWN"
    );
    // A clock that was set back makes no proposal younger than it is.
    let early = NOW.minus_secs(1);
    let then = Presence::Session { verified: early };
    assert_eq!(
        by(&person("bob", 2, Role::Approver, then), early),
        "PROPOSAL_UNKNOWN"
    );
}

#[test]
fn applying_it_again_makes_nobody_else_its_author() {
    let world = world(&text(1, "payer", 500));
    let ann = person("ann", 1, Role::Author, THERE);
    let bob = person("bob", 2, Role::Author, THERE);
    let wide = text(2, "payer", 600);
    let (changes, _, _) = granted(apply(&world, &ann, &wide, FourEyes::Widening));
    let world = world.apply(&changes, Revision(2));
    let (changes, _, _) = granted(apply(&world, &bob, &wide, FourEyes::Widening));
    let world = world.apply(&changes, Revision(3));
    let hash = record(&wide).hash;
    assert_eq!(
        refused(at(NOW, |draw| agree(
            &world,
            &ann,
            ORG,
            &hash,
            &looked(&world, &hash),
            draw
        ))),
        "PROPOSAL_OWN"
    );
}

#[test]
fn a_comparison_that_is_missing_is_no_good_one() {
    let world = world(&text(1, "payer", 500));
    let ann = person("ann", 1, Role::Author, THERE);
    for rule in [FourEyes::Widening, FourEyes::Always] {
        let scrutiny = Scrutiny { rule, diffs: &[] };
        let narrow = record(&text(2, "payer", 400));
        let outcome = at(NOW, |draw| {
            apply_contract(&world, &ann, narrow, &[], scrutiny, draw)
        });
        assert_eq!(refused(outcome), "CONTRACT_MOVED");
    }
}

#[test]
fn always_means_the_first_version_and_the_narrower_one_too() {
    let world = world(&text(1, "payer", 500));
    let ann = person("ann", 1, Role::Author, THERE);
    for text in [text(1, "other", 5), text(2, "payer", 400)] {
        let (_, _, settled) = granted(apply(&world, &ann, &text, FourEyes::Always));
        assert_eq!(settled.standing(), Standing::Proposed);
    }
    let (_, _, settled) = granted(apply(&world, &ann, &text(1, "other", 5), FourEyes::Widening));
    assert_eq!(settled.standing(), Standing::Published);
    let (_, event, settled) = granted(apply(&world, &ann, &text(2, "payer", 600), FourEyes::Off));
    assert_eq!(settled.standing(), Standing::Published);
    assert!(
        event
            .change_summary
            .iter()
            .any(|line| line.contains("four_eyes: off")),
        "{event:?}"
    );
}

/// Under another name a wider contract is the first of its name. The agent does not get there by that.
#[test]
fn another_name_is_no_way_around() {
    let world = world(&text(1, "payer", 500));
    let ann = person("ann", 1, Role::Author, THERE);
    let other = text(1, "other", 9000);
    let (changes, _, settled) = granted(apply(&world, &ann, &other, FourEyes::Widening));
    assert_eq!(settled.standing(), Standing::Published);
    let world = world.apply(&changes, Revision(2));
    let hash = record(&other).hash;
    let manifest = AgentManifest {
        name: "payer".parse().unwrap(),
        owner: "team".into(),
        purpose: "Pays.".into(),
        contract: hash,
        expires_at: NOW.plus_secs(86_400),
        launch: None,
    };
    let diffs = [diff(&compiled(&text(1, "payer", 500)), &compiled(&other), FEW)];
    let scrutiny = Scrutiny {
        rule: FourEyes::Widening,
        diffs: &diffs,
    };
    let put = |world: &World, scrutiny| {
        at(NOW, |draw| {
            apply_agent(world, &ann, ORG, manifest.clone(), scrutiny, draw)
        })
    };
    assert_eq!(refused(put(&world, scrutiny)), "CONTRACT_WIDENS");
    let unseen = Scrutiny {
        rule: FourEyes::Widening,
        diffs: &[],
    };
    assert_eq!(refused(put(&world, unseen)), "CONTRACT_MOVED");
    // Proposed for this agent, and agreed to by another.
    let outcome = at(NOW, |draw| {
        apply_contract(
            &world,
            &ann,
            record(&other),
            &["payer".parse().unwrap()],
            scrutiny,
            draw,
        )
    });
    let (changes, _, settled) = granted(outcome);
    assert_eq!(settled.standing(), Standing::Proposed);
    let world = world.apply(&changes, Revision(3));
    let bob = person("bob", 2, Role::Approver, THERE);
    let (changes, _, _) = granted(at(NOW, |draw| {
        agree(&world, &bob, ORG, &hash, &looked(&world, &hash), draw)
    }));
    let world = world.apply(&changes, Revision(4));
    let (_, event, _) = granted(put(&world, scrutiny));
    assert!(
        event
            .change_summary
            .iter()
            .any(|line| line.contains("agreed to by a second person")),
        "{event:?}"
    );
}

#[test]
fn a_proposal_that_is_withdrawn_is_gone() {
    let world = world(&text(1, "payer", 500));
    let ann = person("ann", 1, Role::Author, THERE);
    let wide = text(2, "payer", 600);
    let (changes, _, _) = granted(apply(&world, &ann, &wide, FourEyes::Widening));
    let world = world.apply(&changes, Revision(2));
    let hash = record(&wide).hash;
    let bob = person("bob", 2, Role::Approver, THERE);
    let (changes, _, _) = granted(at(NOW, |draw| withdraw(&world, &bob, ORG, &hash, draw)));
    let world = world.apply(&changes, Revision(3));
    assert_eq!(
        refused(at(NOW, |draw| agree(
            &world,
            &bob,
            ORG,
            &hash,
            &looked(&world, &hash),
            draw
        ))),
        "PROPOSAL_UNKNOWN"
    );
}

pub(crate) fn manifest(contract: Digest) -> AgentManifest {
    AgentManifest {
        name: "payer".parse().unwrap(),
        owner: "team".into(),
        purpose: "Pays.".into(),
        contract,
        expires_at: NOW.plus_secs(86_400),
        launch: None,
    }
}

/// Puts the agent under one of `texts`, on the word of one author.
fn put(world: &World, to: &str) -> Outcome<crate::inventory::Done<AgentId>> {
    let scope = OrgScope::Only(ORG);
    let old = world.agents(scope).next().unwrap().contract;
    let old = world.contract(scope, &old).unwrap();
    let diffs = [diff(&compiled(&old.source), &compiled(to), FEW)];
    let scrutiny = Scrutiny {
        rule: FourEyes::Widening,
        diffs: &diffs,
    };
    let ann = person("ann", 1, Role::Author, THERE);
    let wanted = manifest(record(to).hash);
    at(NOW, |draw| apply_agent(world, &ann, ORG, wanted, scrutiny, draw))
}

fn after<P>(world: &World, outcome: Outcome<P>) -> World {
    let (changes, _, _) = granted(outcome);
    world.apply(&changes, world.revision().next())
}

/// Agreed to before an incident is not agreed to after it, by whatever steps one author goes back.
#[test]
fn an_agreement_ends_when_an_agent_leaves_the_contract() {
    let (narrow, wide, narrower) = (text(1, "payer", 500), text(2, "payer", 600), text(3, "payer", 50));
    let mut world = world(&narrow);
    let ann = person("ann", 1, Role::Author, THERE);
    let bob = person("bob", 2, Role::Approver, THERE);
    world = after(&world, apply(&world, &ann, &wide, FourEyes::Widening));
    let hash = record(&wide).hash;
    let looked = looked(&world, &hash);
    world = after(
        &world,
        at(NOW, |draw| agree(&world, &bob, ORG, &hash, &looked, draw)),
    );
    world = after(&world, put(&world, &wide));
    world = after(&world, apply(&world, &ann, &narrower, FourEyes::Widening));
    world = after(&world, put(&world, &narrower));
    assert_eq!(refused(put(&world, &wide)), "CONTRACT_WIDENS");
    assert_eq!(refused(put(&world, &narrow)), "CONTRACT_WIDENS");
    // Applying it once more is a proposal again.
    let (_, _, settled) = granted(apply(&world, &ann, &wide, FourEyes::Widening));
    assert_eq!(settled.standing(), Standing::Proposed);
}

#[test]
fn applying_what_is_published_makes_nobody_else_its_author() {
    let first = text(1, "payer", 500);
    let world = world(&first);
    let bob = person("bob", 2, Role::Author, THERE);
    let mut again = record(&first);
    again.published_by = "bob".into();
    let scrutiny = Scrutiny {
        rule: FourEyes::Widening,
        diffs: &[],
    };
    let outcome = at(NOW, |draw| {
        apply_contract(&world, &bob, again, &[], scrutiny, draw)
    });
    let world = after(&world, outcome);
    let known = world.contract(OrgScope::Only(ORG), &record(&first).hash).unwrap();
    assert_eq!(known.published_by, "ann");
    // Nor of a proposal, from which it is published later.
    let ann = person("ann", 1, Role::Author, THERE);
    let wide = text(2, "payer", 600);
    let world = after(&world, apply(&world, &ann, &wide, FourEyes::Widening));
    let mut again = record(&wide);
    again.published_by = "bob".into();
    let diffs = [diff(&compiled(&first), &compiled(&wide), FEW)];
    let scrutiny = Scrutiny {
        rule: FourEyes::Widening,
        diffs: &diffs,
    };
    let outcome = at(NOW, |draw| {
        apply_contract(&world, &bob, again, &[], scrutiny, draw)
    });
    let world = after(&world, outcome);
    let proposal = world
        .proposal(OrgScope::Only(ORG), ORG, &record(&wide).hash)
        .unwrap();
    assert_eq!(
        (proposal.contract.published_by.as_str(), proposal.by.name.as_str()),
        ("ann", "ann")
    );
}

/// Between the look and the click somebody applies it again, for another agent.
#[test]
fn what_is_published_is_what_was_shown() {
    let world = world(&text(1, "payer", 500));
    let ann = person("ann", 1, Role::Author, THERE);
    let bob = person("bob", 2, Role::Approver, THERE);
    let wide = text(2, "payer", 600);
    let world = after(&world, apply(&world, &ann, &wide, FourEyes::Widening));
    let hash = record(&wide).hash;
    let before = looked(&world, &hash);
    let world = after(
        &world,
        apply(&world, &ann, &text(3, "payer", 400), FourEyes::Widening),
    );
    let world = after(&world, apply(&world, &ann, &wide, FourEyes::Widening));
    let publish = |shown: &Digest| at(NOW, |draw| agree(&world, &bob, ORG, &hash, shown, draw));
    assert_eq!(refused(publish(&before)), "PROPOSAL_MOVED");
    granted(publish(&looked(&world, &hash)));
}

#[test]
fn what_is_too_long_to_be_shown_says_so() {
    let long = "x".repeat(SENTENCE_CHARS_MAX + 7);
    let many = (0..SENTENCES_MAX + 3).map(|n| format!("widening: {n}"));
    let kept = bounded(std::iter::once(long).chain(many));
    assert!(
        kept[0].ends_with("and 7 characters more: read the contract"),
        "{}",
        kept[0]
    );
    // With the opening of a widening, so that every page shows it.
    assert_eq!(
        kept.last().unwrap(),
        "widening: and 4 more differences: read the contract"
    );
}
