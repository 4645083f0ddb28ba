//! What a session that was left open can do to the inventory, and what not.

use super::*;
use crate::admin::Presence;
use crate::directory;
use crate::succession::tests::{NOW, ORG, THERE, agent, at, granted, manifest, person, refused, text, world};
use crate::task;
use crate::upstream::Manifest;
use crate::world::{Directory, Opener, OpenerKind, Task};
use identity::{Revision, TaskId};
use std::collections::BTreeSet;

const TILL: &str = "
apiVersion: tabard/v1
kind: Upstream
metadata: {name: till}
base_url: https://till.example
credential: {api_key: {header: x-api-key, secret: stdin}}
routes:
  - {method: GET, path: '/x', action: x.read, resource: {type: x}}
";

fn till() -> Upstream {
    let manifest = Manifest::parse("till.yaml", TILL.as_bytes()).unwrap();
    manifest.upstream(UpstreamId::from_u128(5), ORG, 1)
}

fn opened() -> Task {
    Task {
        id: TaskId::from_u128(3),
        org: ORG,
        agent: AgentId::from_u128(9),
        kind: "t".parse().unwrap(),
        tenant: None,
        opener: Opener {
            kind: OpenerKind::Operator,
            name: "olga".into(),
        },
        opened_at: NOW,
        expires_at: NOW.plus_secs(600),
        parent: None,
        root: None,
        trusted: BTreeSet::new(),
        declassified: Revision(0),
        closed: false,
    }
}

fn said<P: std::fmt::Debug>(outcome: Outcome<P>) -> Result<(), &'static str> {
    match outcome {
        Outcome::Granted(_) => Ok(()),
        Outcome::Refused(plan) => Err(refused(Outcome::<P>::Refused(plan))),
    }
}

/// Each act that gives something away, by somebody who is there like that: its code, or nothing.
fn acts(presence: Presence) -> Vec<(&'static str, Result<(), &'static str>)> {
    let world = world(&text(1, "payer", 500));
    let contract = world.agents(OrgScope::Only(ORG)).next().unwrap().contract;
    let author = person("ann", 1, Role::Author, presence);
    let operator = person("olga", 2, Role::Operator, presence);
    let manifest = manifest(contract);
    let registration = Registration {
        name: "cron".parse().unwrap(),
        org: ORG,
        agent: agent(contract).id,
        uid: 1000,
        executable: "/usr/bin/agent".into(),
        executable_digest: None,
    };
    let directory = Directory {
        org: ORG,
        tenant: "acme".parse().unwrap(),
        destinations: ["@evil.example".to_owned()].into(),
    };
    vec![
        (
            "what runs as an agent",
            said(at(NOW, |draw| {
                apply_agent(&world, &author, ORG, manifest, Scrutiny::UNWATCHED, draw)
            })),
        ),
        (
            "what gets its identity",
            said(at(NOW, |draw| {
                add_registration(&world, &author, registration, draw)
            })),
        ),
        (
            "where a secret is sent",
            said(at(NOW, |draw| publish_upstream(&world, &author, till(), draw))),
        ),
        (
            "the secret",
            said(at(NOW, |draw| rotate_secret(&world, &author, &till(), draw))),
        ),
        (
            "trusted destinations",
            said(at(NOW, |draw| directory::set(&world, &author, directory, draw))),
        ),
        (
            "labels",
            said(at(NOW, |draw| {
                task::declassify(&world, &operator, &opened(), "It was our own mail.", draw)
            })),
        ),
    ]
}

#[test]
fn a_session_that_was_left_open_gives_nothing_away() {
    let left = NOW.minus_secs(301);
    for presence in [
        Presence::Session { verified: left },
        Presence::CommandLine { verified: left },
    ] {
        for (what, said) in acts(presence) {
            assert_eq!(said, Err("ADMIN_NOT_VERIFIED"), "{what}");
        }
    }
    for presence in [THERE, Presence::Process] {
        for (what, said) in acts(presence) {
            assert_eq!(said, Ok(()), "{what}");
        }
    }
    // What takes away waits for nobody.
    let world = world(&text(1, "payer", 500));
    let olga = person("olga", 2, Role::Operator, Presence::Session { verified: left });
    let payer = world.agents(OrgScope::Only(ORG)).next().unwrap().clone();
    granted(at(NOW, |draw| {
        set_agent_state(&world, &olga, &payer, AgentState::Suspended, draw)
    }));
    granted(at(NOW, |draw| {
        task::close_by_operator(&world, &olga, &opened(), draw)
    }));
}
