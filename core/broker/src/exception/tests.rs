//! What it takes to open an exception, and that its end is its end.

use super::*;
use crate::admin::Presence;
use crate::succession::tests::{NOW, ORG, THERE, agent, at, granted, person, refused, world};
use identity::Revision;

const CONTRACT: &str = "apiVersion: tabard/v1\nkind: AgentContract\nmetadata: {name: payer, version: 1}\n\
     owner: {team: t}\npurpose: {id: p, statement: Some purpose}\nidentity: {min_assurance: 1}\n\
     tasks: {types: [t], openers: [user]}\nlifecycle: {expires: 2027-12-31}\ngrants:\n  - id: pay\n    services: [bank]\n    \
     actions: [pay]\n    reason: Some reason\n    business_action: {pay: Pay}\n";

fn wish() -> Wish {
    Wish {
        action: "refund".parse().unwrap(),
        audience: "bank".parse().unwrap(),
        reason: "The shop charged twice.".parse().unwrap(),
        owner: "kim".into(),
        until: NOW.plus_secs(3600),
        again: false,
    }
}

fn opened(world: &World, who: &Administrator, wish: Wish, rule: FourEyes) -> Outcome<Done<ExceptionId>> {
    let agent = world.agents(OrgScope::Only(ORG)).next().unwrap();
    at(NOW, |draw| open(world, who, agent, wish, rule, draw))
}

#[test]
fn it_takes_a_person_who_is_there_and_says_who_and_why() {
    let world = world(CONTRACT);
    let kim = person("kim", 1, Role::Approver, THERE);
    let (_, event, _) = granted(opened(&world, &kim, wish(), FourEyes::Widening));
    let line = event.change_summary.first().unwrap();
    assert!(
        line.starts_with("EXCEPTION exc_") && line.ends_with("owned by kim: The shop charged twice."),
        "{line}"
    );
    let process = person("kim", 1, Role::Approver, Presence::Process);
    assert_eq!(
        refused(opened(&world, &process, wish(), FourEyes::Widening)),
        "PRESENCE_UNVERIFIED"
    );
    let (_, event, _) = granted(opened(&world, &process, wish(), FourEyes::Off));
    assert_eq!(event.detail.get("presence").unwrap(), "process");
    let author = person("ann", 1, Role::Author, THERE);
    assert_eq!(
        refused(opened(&world, &author, wish(), FourEyes::Widening)),
        "ADMIN_ROLE"
    );
}

#[test]
fn it_is_short_owned_and_not_repeated_unseen() {
    let world = world(CONTRACT);
    let kim = person("kim", 1, Role::Approver, THERE);
    let of = |wish: Wish| refused(opened(&world, &kim, wish, FourEyes::Widening));
    let until = |until| Wish { until, ..wish() };
    assert_eq!(of(until(NOW)), "EXCEPTION_END");
    assert_eq!(of(until(NOW.plus_secs(EXCEPTION_SECS_MAX + 1))), "EXCEPTION_END");
    assert_eq!(
        of(Wish {
            owner: " ".into(),
            ..wish()
        }),
        "EXCEPTION_OWNER"
    );
    let (changes, _, _) = granted(opened(&world, &kim, wish(), FourEyes::Widening));
    let world = world.apply(&changes, Revision(2));
    assert_eq!(
        refused(opened(&world, &kim, wish(), FourEyes::Widening)),
        "EXCEPTION_AGAIN"
    );
    let again = Wish {
        again: true,
        ..wish()
    };
    let (_, event, _) = granted(opened(&world, &kim, again, FourEyes::Widening));
    assert!(
        event.change_summary.iter().any(|line| line.contains("number 2")),
        "{event:?}"
    );
}

#[test]
fn nothing_brings_one_back_whose_end_was_recorded() {
    let world = world(CONTRACT);
    let kim = person("kim", 1, Role::Approver, THERE);
    let (changes, _, _) = granted(opened(&world, &kim, wish(), FourEyes::Widening));
    let open = world.apply(&changes, Revision(2));
    let exceptions = |world: &World| -> Vec<_> {
        let id = agent(identity::Digest::from_bytes([0; 32])).id;
        world.exceptions_of(OrgScope::Only(ORG), id).cloned().collect()
    };
    let one = exceptions(&open).remove(0);
    let end = NOW.plus_secs(3600);
    assert!(one.is_open(NOW) && one.is_open(UnixTime::from_millis(end.millis() - 1)));
    // At its end, after a clock that was set back before its beginning, and after a jump.
    for now in [end, NOW.minus_secs(1), end.plus_secs(1_000_000)] {
        assert!(!one.is_open(now), "{now:?}");
    }
    assert!(over(&open, UnixTime::from_millis(end.millis() - 1)).is_empty());
    let due = over(&open, end);
    assert_eq!(due.len(), 1);
    let plan = at(end, |draw| expire(&open, &due[0], draw));
    let closed = open.apply(&plan.into_parts().changes, Revision(3));
    assert!(
        !exceptions(&closed).remove(0).is_open(NOW.plus_secs(1)),
        "the clock was set back"
    );
    assert!(over(&closed, end).is_empty());
    // It is remembered for a while, and then forgotten; one whose end was not recorded is not.
    let later = end.plus_secs(EXCEPTION_MEMORY_SECS);
    let forget = Change::RevocationsForgotten { until: later };
    assert!(exceptions(&closed.apply(std::slice::from_ref(&forget), Revision(4))).is_empty());
    assert_eq!(exceptions(&open.apply(&[forget], Revision(4))).len(), 1);
}

#[test]
fn it_is_another_orgs_business_to_nobody() {
    let world = world(CONTRACT);
    let kim = person("kim", 1, Role::Approver, THERE);
    let (changes, _, _) = granted(opened(&world, &kim, wish(), FourEyes::Widening));
    let world = world.apply(&changes, Revision(2));
    let other = OrgScope::Only(OrgId::from_u128(8));
    assert_eq!(world.exceptions(other).count(), 0);
    assert_eq!(world.within(other).exceptions(OrgScope::Every).count(), 0);
    assert_eq!(
        world
            .within(OrgScope::Only(ORG))
            .exceptions(OrgScope::Every)
            .count(),
        1
    );
}
