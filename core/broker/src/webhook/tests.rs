//! Where a webhook may be, and who may say so.

use super::*;
use crate::succession::tests::{NOW, ORG, THERE, at, granted, person, refused};
use crate::world::{Org, Principal};
use identity::Revision;

fn world() -> World {
    let org = Org {
        id: ORG,
        name: "acme".parse().unwrap(),
    };
    World::default().apply(&[Change::OrgCreated(org)], Revision(1))
}

fn wish(url: &str, addresses: &[&str]) -> Wish {
    Wish {
        id: WebhookId::from_u128(7),
        org: ORG,
        name: "pager".parse().unwrap(),
        url: url.to_owned(),
        addresses: addresses.iter().map(|it| it.parse().unwrap()).collect(),
    }
}

/// An administrator of the installation.
fn root() -> Administrator {
    let principal = Principal::with_uid("root".parse().unwrap(), 0, [Role::Admin].into(), "uid".into());
    Administrator::of_test(principal, THERE)
}

fn added(world: &World, who: &Administrator, wish: Wish) -> Outcome<Done> {
    at(NOW, |draw| add(world, who, wish, draw))
}

#[test]
fn an_orgs_administrator_names_public_places_alone() {
    let world = world();
    let ann = person("ann", 1, Role::Admin, THERE);
    let (changes, event, _) = granted(added(
        &world,
        &ann,
        wish("https://hooks.example.com/s3cret/path", &[]),
    ));
    assert!(event.human.is_some());
    // A path can be what the receiver tells senders by.
    assert!(!format!("{event:?}").contains("s3cret"), "{event:?}");
    let next = world.apply(&changes, Revision(2));
    assert_eq!(next.webhooks(OrgScope::Only(ORG)).count(), 1);
    assert_eq!(next.webhooks(OrgScope::Only(OrgId::from_u128(99))).count(), 0);
    assert_eq!(
        next.within(OrgScope::Only(ORG)).webhooks(OrgScope::Every).count(),
        0
    );
    let again = wish("https://other.example.com/", &[]);
    assert_eq!(refused(added(&next, &ann, again)), "WEBHOOK_NAME");

    for url in [
        "http://127.0.0.1:9000/",
        "http://localhost:9000/",
        "https://10.0.0.1/",
        "https://[fd00::1]/",
        "https://[::ffff:10.0.0.1]/",
    ] {
        assert_eq!(
            refused(added(&world, &ann, wish(url, &[]))),
            "WEBHOOK_ADDRESS",
            "{url}"
        );
        let (changes, _, _) = granted(added(&world, &root(), wish(url, &[])));
        let Some(Change::WebhookAdded(webhook)) = changes.first() else {
            panic!("{changes:?}");
        };
        assert!(!webhook.addresses.is_empty(), "{url}");
    }
    let named = wish("https://hooks.corp.example/", &["10.1.2.3"]);
    assert_eq!(refused(added(&world, &ann, named.clone())), "WEBHOOK_ADDRESS");
    assert!(!granted(added(&world, &root(), named)).0.is_empty());
}

#[test]
fn nobody_names_what_is_never_connected_to() {
    let world = world();
    for (url, addresses, code) in [
        ("https://169.254.169.254/", &[][..], "WEBHOOK_ADDRESS"),
        ("https://[fe80::1]/", &[], "WEBHOOK_ADDRESS"),
        (
            "https://hooks.example.com/",
            &["169.254.169.254"],
            "WEBHOOK_ADDRESS",
        ),
        ("https://hooks.example.com/", &["0.0.0.0"], "WEBHOOK_ADDRESS"),
        ("http://hooks.example.com/", &[], "WEBHOOK_URL"),
        ("https://user:password@hooks.example.com/", &[], "WEBHOOK_URL"),
        ("https://hooks.example.com/?token=x", &[], "WEBHOOK_URL"),
        ("https://2130706433/", &[], "WEBHOOK_URL"),
        ("https://hooks.example.com/a b", &[], "WEBHOOK_URL"),
        ("ftp://hooks.example.com/", &[], "WEBHOOK_URL"),
    ] {
        assert_eq!(
            refused(added(&world, &root(), wish(url, addresses))),
            code,
            "{url}"
        );
    }
    let long = format!("https://hooks.example.com/{}", "x".repeat(URL_BYTES_MAX));
    assert_eq!(refused(added(&world, &root(), wish(&long, &[]))), "WEBHOOK_URL");
}

#[test]
fn it_takes_an_admin_and_there_are_few() {
    let mut world = world();
    let operator = person("kim", 1, Role::Operator, THERE);
    let url = "https://hooks.example.com/";
    assert_eq!(refused(added(&world, &operator, wish(url, &[]))), "ADMIN_ROLE");
    let ann = person("ann", 1, Role::Admin, THERE);
    for number in 0..WEBHOOKS_MAX {
        let one = Wish {
            name: format!("w{number}").parse().unwrap(),
            ..wish(url, &[])
        };
        let (changes, _, _) = granted(added(&world, &ann, one));
        world = world.apply(&changes, Revision(2));
    }
    assert_eq!(refused(added(&world, &ann, wish(url, &[]))), "WEBHOOK_TOO_MANY");
    let known = world.webhooks(OrgScope::Every).next().unwrap().clone();
    assert_eq!(
        refused(at(NOW, |draw| remove(&world, &operator, &known, draw))),
        "ADMIN_ROLE"
    );
    assert_eq!(
        refused(at(NOW, |draw| test(&world, &operator, &known, draw))),
        "ADMIN_ROLE"
    );
    let (changes, event, _) = granted(at(NOW, |draw| remove(&world, &ann, &known, draw)));
    assert!(event.human.is_some());
    let world = world.apply(&changes, Revision(3));
    assert_eq!(world.webhooks(OrgScope::Every).count(), WEBHOOKS_MAX - 1);
}
