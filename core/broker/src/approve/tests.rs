//! Who may say what, about what, and when.

use super::*;
use crate::admin::{Administrator, Presence, VERIFIED_SECS};
use crate::draw::Draw;
use crate::plan::{OnceKind, Outcome, Precondition};
use crate::world::approval::{Need, State, Vote};
use crate::world::{
    Approval, Change, ContractRecord, Group, Opener, OpenerKind, Principal, Role, Task, World,
};
use audit::event::CommitmentKey;
use identity::{
    Actor, ActorChain, ActorKind, AgentId, ApprovalId, DecisionId, Digest, LogId, OrgId, OrgScope, Revision,
    Secret, TaskId, UnixTime, UpstreamId,
};
use policy::Labels;
use policy::contract::Excluded;
use std::collections::{BTreeMap, BTreeSet};

const NOW: UnixTime = UnixTime::from_secs(1_000_000);

fn name<T: std::str::FromStr>(text: &str) -> T
where
    T::Err: std::fmt::Debug,
{
    text.parse().unwrap()
}

fn org() -> OrgId {
    OrgId::from_u128(1)
}

fn principal(who: &str, roles: &[Role]) -> Principal {
    Principal::with_uid(
        name(who),
        who.bytes().map(u32::from).sum(),
        roles.iter().copied().collect(),
        "uid".into(),
    )
}

fn user(id: &str) -> Actor {
    Actor {
        kind: ActorKind::User,
        issuer: "https://idp.example".into(),
        id: id.into(),
    }
}

fn bound(chain: ActorChain) -> Bound {
    Bound {
        org: org(),
        agent: AgentId::from_u128(2),
        chain,
        task: TaskId::from_u128(3),
        contracts: vec![Digest::from_bytes([1; 32])],
        labels: Labels::NONE,
        audience: name("payments"),
        upstream: UpstreamId::from_u128(4),
        upstream_name: name("payments"),
        definition: Digest::from_bytes([2; 32]),
        action: name("refund.create"),
        resource_type: name("invoice"),
        resource_id: "inv_1".into(),
        tenant: None,
        arguments: BTreeMap::new(),
        version: None,
        method: "POST".into(),
        path: "/refund".into(),
        content: Digest::from_bytes([3; 32]),
        asked_by: None,
    }
}

/// A World in which `leads` are asked about one request; everybody excluded who can be.
fn world() -> (World, ApprovalId) {
    let agent = Actor {
        kind: ActorKind::AiAgent,
        issuer: "https://issuer".into(),
        id: "spiffe://test.example/finance/agent/demo".into(),
    };
    let chain = ActorChain::starting_with(user("carol")).extended(agent).unwrap();
    let (request, digest) = bound(chain).text().unwrap();
    let id = ApprovalId::mint(NOW, LogId(0), 1);
    let approval = Approval {
        id,
        org: org(),
        agent: AgentId::from_u128(2),
        task: TaskId::from_u128(3),
        digest,
        request,
        refusal: DecisionId::from_u128(9),
        reasons: vec!["NEEDS_APPROVAL".into()],
        needs: vec![Need {
            contract: Digest::from_bytes([1; 32]),
            escalation: name("refunds"),
            approvers: name("leads"),
            quorum: 2,
            not: Excluded::ALL.iter().copied().collect(),
            ttl_secs: 600,
        }],
        meaning: None,
        said: None,
        besides: Besides::default(),
        desk: String::new(),
        through: None,
        asked_at: NOW,
        expires_at: NOW.plus_secs(600),
        votes: Vec::new(),
        ended: None,
    };
    let people = ["ann", "bob", "carol", "olga", "walter", "zoe"];
    let mut changes: Vec<Change> = people
        .map(|who| Change::PrincipalAdded(principal(who, &[Role::Approver])))
        .into();
    changes.push(Change::PrincipalAdded(principal(
        "vic",
        &[Role::Viewer, Role::Operator],
    )));
    changes.push(Change::GroupSet(Group {
        org: org(),
        name: name("leads"),
        members: ["ann", "bob", "carol", "olga", "walter", "vic"].map(name).into(),
    }));
    changes.push(Change::ContractPublished(ContractRecord {
        hash: Digest::from_bytes([1; 32]),
        org: org(),
        name: name("demo"),
        version: 1,
        file: "demo.yaml".into(),
        source: "".into(),
        published_by: "walter".into(),
        published_at: NOW,
        commit: None,
        succeeds: BTreeSet::new(),
    }));
    changes.push(Change::TaskOpened(Task {
        id: TaskId::from_u128(3).at(Revision(0)),
        org: org(),
        agent: AgentId::from_u128(2),
        kind: name("reconciliation"),
        tenant: None,
        opener: Opener {
            kind: OpenerKind::Operator,
            name: "olga through demo-0".into(),
        },
        opened_at: NOW,
        expires_at: NOW.plus_secs(1200),
        parent: None,
        root: None,
        trusted: BTreeSet::new(),
        declassified: Revision(0),
        closed: false,
    }));
    let world = World::default().apply(&changes, Revision(1));
    // The task's id is stamped like any other.
    let task = world.tasks(OrgScope::Every).next().unwrap().id;
    let approval = Approval { task, ..approval };
    let change = Change::ApprovalRequested(Box::new(approval));
    (world.apply(&[change], Revision(2)), id.at(Revision(2)))
}

struct Stage {
    world: World,
    id: ApprovalId,
    names: CommitmentKey,
}

impl Stage {
    fn new() -> Self {
        let (world, id) = world();
        Self {
            world,
            id,
            names: CommitmentKey::new(Secret::new([7; 32])),
        }
    }
    fn approval(&self) -> Approval {
        Approval::clone(self.world.approval(OrgScope::Every, self.id).unwrap())
    }
    fn draw(&self, after: u64) -> Draw<'_> {
        Draw::new(
            NOW.plus_secs(after),
            LogId(0),
            [after.to_le_bytes()[0]; 32],
            &self.names,
        )
    }
    /// The code that a vote is refused with, or the Change that it makes.
    fn says(&self, who: &str, presence: Presence, yes: bool, after: u64) -> Result<Vote, String> {
        let approval = self.approval();
        let roles: &[Role] = if who == "vic" {
            &[Role::Viewer]
        } else {
            &[Role::Approver]
        };
        let who = Administrator::with_presence(principal(who, roles), presence);
        match vote(
            &self.world,
            &who,
            &approval,
            &approval.digest,
            yes,
            &mut self.draw(after),
        ) {
            Outcome::Granted(plan) => match plan.into_parts().changes.as_slice() {
                [Change::ApprovalVoted { vote, .. }] => Ok(vote.clone()),
                other => panic!("{other:?}"),
            },
            Outcome::Refused(plan) => Err(plan.proof().code().to_owned()),
        }
    }
    fn votes(&mut self, who: &str, yes: bool, after: u64) {
        let vote = self.says(who, there(after), yes, after).unwrap();
        let change = Change::ApprovalVoted {
            approval: self.id,
            org: org(),
            vote,
        };
        let next = self.world.revision().next();
        self.world = self.world.apply(&[change], next);
    }
}

fn there(after: u64) -> Presence {
    Presence::Session {
        verified: NOW.plus_secs(after),
    }
}

const NO: &str = "APPROVER_INELIGIBLE";

#[test]
fn only_who_is_asked_and_may_decides() {
    let stage = Stage::new();
    assert!(stage.says("ann", there(1), true, 2).is_ok());
    // On whose behalf it is; who opened the task; who published the contract; who is in no group; who lacks the role.
    for who in ["carol", "olga", "walter", "zoe"] {
        assert_eq!(stage.says(who, there(1), true, 2), Err(NO.into()), "{who}");
        assert_eq!(stage.says(who, there(1), false, 2), Err(NO.into()), "{who}");
    }
    assert_eq!(stage.says("vic", there(1), true, 2), Err("ADMIN_ROLE".into()));
}

#[test]
fn no_contract_lets_its_author_or_a_party_of_the_chain_approve() {
    let stage = Stage::new();
    let approval = stage.approval();
    let may = |not: &[Excluded], who: &str| {
        let need = Need {
            not: not.iter().copied().collect(),
            ..approval.needs[0].clone()
        };
        let principal = stage.world.principal(&name(who)).unwrap();
        eligible(&stage.world, &approval, &need, principal)
    };
    for not in [
        &[][..],
        &[Excluded::Requester],
        &[Excluded::Requester, Excluded::TaskOpener],
        Excluded::ALL,
    ] {
        assert_eq!(may(not, "walter"), Err(Ineligible::ContractAuthor), "{not:?}");
        assert_eq!(may(not, "carol"), Err(Ineligible::InChain), "{not:?}");
        assert_eq!(may(not, "ann"), Ok(()), "{not:?}");
    }
    // That one is the contract's to say.
    assert_eq!(may(&[], "olga"), Ok(()));
    assert_eq!(may(&[Excluded::TaskOpener], "olga"), Err(Ineligible::TaskOpener));
}

#[test]
fn a_no_counts_until_it_is_used() {
    let mut stage = Stage::new();
    let change = |stage: &Stage, who: &str, after: u64| {
        let approval = stage.approval();
        let who = Administrator::with_presence(principal(who, &[Role::Approver]), there(after));
        let digest = approval.digest;
        match vote(
            &stage.world,
            &who,
            &approval,
            &digest,
            false,
            &mut stage.draw(after),
        ) {
            Outcome::Granted(plan) => {
                let parts = plan.into_parts();
                assert!(!parts.proof.is_yes());
                assert!(parts.event.human.is_some(), "the entry says who");
                Ok(parts.changes)
            }
            Outcome::Refused(plan) => Err(plan.proof().code().to_owned()),
        }
    };
    let becomes = |stage: &Stage, changes: &[Change], after: u64| {
        let world = stage.world.apply(changes, stage.world.revision().next());
        let approval = world.approval(OrgScope::Every, stage.id).unwrap();
        let (state, good) = (
            approval.state(NOW.plus_secs(after)),
            good(&world, approval, &approval.digest, NOW.plus_secs(after)),
        );
        (state, good.unwrap_err().code())
    };
    // While others are still asked: whoever said yes takes the request back.
    stage.votes("ann", true, 2);
    let taken = change(&stage, "ann", 3).unwrap();
    assert_eq!(becomes(&stage, &taken, 4), (State::Withdrawn, "APPROVAL_EXPIRED"));
    // After all have said yes: one of them, or anybody else who is asked.
    let three = Change::GroupSet(Group {
        org: org(),
        name: name("leads"),
        members: ["ann", "bob", "eve"].map(name).into(),
    });
    let eve = Change::PrincipalAdded(principal("eve", &[Role::Approver]));
    stage.world = stage.world.apply(&[eve, three], stage.world.revision().next());
    stage.votes("bob", true, 5);
    assert_eq!(stage.approval().state(NOW.plus_secs(6)), State::Approved);
    let taken = change(&stage, "bob", 6).unwrap();
    assert_eq!(becomes(&stage, &taken, 7), (State::Withdrawn, "APPROVAL_EXPIRED"));
    let against = change(&stage, "eve", 6).unwrap();
    assert_eq!(becomes(&stage, &against, 7), (State::Denied, "APPROVAL_DENIED"));
    // Nobody who is not asked, nobody who is not there, and not what was used.
    assert_eq!(change(&stage, "zoe", 6).unwrap_err(), NO);
    let used = Change::ApprovalEnded {
        approval: stage.id,
        org: org(),
        how: crate::world::approval::Ended::Used,
        at: NOW.plus_secs(8),
    };
    stage.world = stage.world.apply(&[used], stage.world.revision().next());
    for who in ["ann", "eve"] {
        assert_eq!(change(&stage, who, 9).unwrap_err(), "APPROVAL_USED", "{who}");
    }
}

#[test]
fn a_vote_takes_a_person_who_is_there() {
    let stage = Stage::new();
    assert_eq!(stage.says("ann", Presence::Process, true, 2), Err(NO.into()));
    let late = VERIFIED_SECS + 1;
    assert_eq!(stage.says("ann", there(0), true, late), Err(NO.into()));
    // Nor somebody who will have been there.
    assert_eq!(stage.says("ann", there(10), true, 2), Err(NO.into()));
    assert!(stage.says("ann", there(0), true, VERIFIED_SECS).is_ok());
}

#[test]
fn a_vote_is_about_what_was_shown_and_in_time() {
    let stage = Stage::new();
    let approval = stage.approval();
    let ann = Administrator::with_presence(principal("ann", &[Role::Approver]), there(1));
    let other = Digest::from_bytes([9; 32]);
    match vote(&stage.world, &ann, &approval, &other, true, &mut stage.draw(2)) {
        Outcome::Refused(plan) => assert_eq!(plan.proof().code(), "APPROVAL_OUT_OF_SCOPE"),
        Outcome::Granted(_) => panic!("what was not shown was approved"),
    }
    assert_eq!(
        stage.says("ann", there(599), true, 600),
        Err("APPROVAL_EXPIRED".into())
    );
}

#[test]
fn one_person_says_one_thing() {
    let mut stage = Stage::new();
    let approval = stage.approval();
    let ann = Administrator::with_presence(principal("ann", &[Role::Approver]), there(1));
    let keys = |yes, after| {
        let outcome = vote(
            &stage.world,
            &ann,
            &approval,
            &approval.digest,
            yes,
            &mut stage.draw(after),
        );
        match outcome {
            Outcome::Granted(plan) => plan.into_parts().expect,
            Outcome::Refused(plan) => panic!("{}", plan.proof().code()),
        }
    };
    // Two at the same instant have the same key: the store takes one.
    let (first, second) = (keys(true, 2), keys(false, 3));
    assert_eq!(first, second);
    assert!(matches!(
        first.as_slice(),
        [Precondition::Unused {
            kind: OnceKind::Vote,
            ..
        }]
    ));

    stage.votes("ann", true, 2);
    assert_eq!(stage.says("ann", there(3), true, 3), Err(NO.into()));
    assert_eq!(stage.approval().state(NOW.plus_secs(4)), State::Pending);
    stage.votes("bob", true, 5);
    assert_eq!(stage.approval().state(NOW.plus_secs(6)), State::Approved);
    assert_eq!(stage.says("ann", there(7), true, 7), Err("APPROVAL_USED".into()));
}

#[test]
fn an_approval_is_spent_on_its_own_request_while_its_approvers_may() {
    let mut stage = Stage::new();
    let digest = stage.approval().digest;
    let spends = |stage: &Stage, digest: &Digest, after| {
        let scope = OrgScope::Only(org());
        match spend(&stage.world, scope, stage.id, digest, &mut stage.draw(after)) {
            Outcome::Granted(plan) => Ok(plan.into_parts().expect.len()),
            Outcome::Refused(plan) => Err(plan.proof().code().to_owned()),
        }
    };
    stage.votes("ann", true, 2);
    assert_eq!(spends(&stage, &digest, 3), Err("NEEDS_APPROVAL".into()));
    stage.votes("bob", true, 4);
    assert_eq!(spends(&stage, &digest, 5), Ok(1));
    let other = Digest::from_bytes([9; 32]);
    assert_eq!(spends(&stage, &other, 5), Err("APPROVAL_OUT_OF_SCOPE".into()));
    assert_eq!(spends(&stage, &digest, 604), Err("APPROVAL_EXPIRED".into()));
    let elsewhere = OrgScope::Only(OrgId::from_u128(77));
    match spend(&stage.world, elsewhere, stage.id, &digest, &mut stage.draw(5)) {
        Outcome::Refused(plan) => assert_eq!(plan.proof().code(), "APPROVAL_OUT_OF_SCOPE"),
        Outcome::Granted(_) => panic!("another org's approval was spent"),
    }
    let demoted = Change::PrincipalAdded(principal("bob", &[Role::Viewer]));
    stage.world = stage.world.apply(&[demoted], Revision(9));
    assert_eq!(spends(&stage, &digest, 5), Err(NO.into()));
}

#[test]
fn who_takes_the_place_of_somebody_who_may_not_any_more() {
    let mut stage = Stage::new();
    let digest = stage.approval().digest;
    // A third who may.
    let more = [
        Change::PrincipalAdded(principal("dora", &[Role::Approver])),
        Change::GroupSet(Group {
            org: org(),
            name: name("leads"),
            members: ["ann", "bob", "dora"].map(name).into(),
        }),
    ];
    stage.world = stage.world.apply(&more, Revision(5));
    stage.votes("ann", true, 2);
    stage.votes("bob", true, 4);
    assert_eq!(stage.says("dora", there(5), true, 5), Err("APPROVAL_USED".into()));
    let gone = Change::PrincipalRemoved { name: name("bob") };
    let next = stage.world.revision().next();
    stage.world = stage.world.apply(&[gone], next);
    let good = |stage: &Stage| good(&stage.world, &stage.approval(), &digest, NOW.plus_secs(6));
    assert_eq!(good(&stage).unwrap_err().code(), NO);
    // Not those who said something already, and nobody without the role.
    assert_eq!(stage.says("ann", there(6), true, 6), Err(NO.into()));
    stage.votes("dora", true, 6);
    assert_eq!(good(&stage), Ok(()));
    assert!(!takes_votes(&stage.world, &stage.approval(), NOW.plus_secs(6)));
}

/// Whoever is called the same one day is somebody else.
#[test]
fn a_name_that_comes_back_is_in_no_group_and_its_older_word_counts_for_nothing() {
    let mut stage = Stage::new();
    let digest = stage.approval().digest;
    stage.votes("ann", true, 2);
    stage.votes("bob", true, 3);
    let again = [
        Change::PrincipalRemoved { name: name("bob") },
        Change::PrincipalAdded(principal("bob", &[Role::Approver])),
    ];
    let next = stage.world.revision().next();
    stage.world = stage.world.apply(&again, next);
    let found = good(&stage.world, &stage.approval(), &digest, NOW.plus_secs(4));
    assert_eq!(found.unwrap_err().code(), NO);
    let group = stage.world.group(OrgScope::Every, org(), &name("leads")).unwrap();
    assert!(!group.members.contains(&name::<identity::Name>("bob")));
}

#[test]
fn who_said_yes_and_any_operator_takes_it_back_and_nobody_else() {
    let mut stage = Stage::new();
    stage.votes("ann", true, 2);
    let takes = |stage: &Stage, who: &str, role| {
        let who = Administrator::with_presence(principal(who, &[role]), Presence::Session { verified: NOW });
        match withdraw(&stage.world, &who, &stage.approval(), &mut stage.draw(9)) {
            Outcome::Granted(_) => Ok(()),
            Outcome::Refused(plan) => Err(plan.proof().code().to_owned()),
        }
    };
    assert_eq!(takes(&stage, "ann", Role::Approver), Ok(()));
    assert_eq!(takes(&stage, "vic", Role::Operator), Ok(()));
    assert_eq!(takes(&stage, "bob", Role::Approver), Err("ADMIN_ROLE".into()));
    assert_eq!(takes(&stage, "ann", Role::Viewer), Err("ADMIN_ROLE".into()));
}

#[test]
fn an_agent_does_not_ask_for_ever_by_opening_tasks() {
    let stage = Stage::new();
    let first = stage.approval();
    let asked = |count: u64, after: u64| {
        let changes: Vec<Change> = (0..count)
            .map(|n| {
                let mut approval = first.clone();
                approval.id = ApprovalId::mint(NOW, LogId(0), 100 + n);
                approval.task = TaskId::from_u128(1000 + u128::from(n));
                approval.expires_at = NOW.plus_secs(1);
                Change::ApprovalRequested(Box::new(approval))
            })
            .collect();
        let world = stage.world.apply(&changes, stage.world.revision().next());
        let bound = Bound::read(&first.request).unwrap();
        ask::room(&world, OrgScope::Only(org()), &bound, NOW.plus_secs(after))
    };
    let most = ASKED_PER_AGENT_HOUR_MAX as u64;
    // The one on the stage counts as well; all are over by then, and none of this task.
    assert_eq!(asked(most - 2, 700), Ok(()));
    assert_eq!(asked(most - 1, 700).unwrap_err().0, "APPROVAL_TOO_MANY");
    assert_eq!(asked(most - 1, 3600), Ok(()));
}
