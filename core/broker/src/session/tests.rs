//! What ends sessions without anybody naming them.

use super::*;
use crate::world::Founding;
use audit::event::CommitmentKey;
use identity::{LogId, Name, Revision, Secret};

const NOW: UnixTime = UnixTime::from_secs(1_795_428_000);
const ISSUER: &str = "https://idp.example";

fn founded(epoch: u64) -> Change {
    Change::Founded {
        trust_domain: "t".parse().unwrap(),
        issuer: "https://t".into(),
        epoch,
    }
}

fn principal(name: &str, org: Option<OrgId>) -> Principal {
    let name: Name = name.parse().unwrap();
    Principal {
        org,
        uid: None,
        ..Principal::with_uid(name, 1, [Role::Viewer].into(), "uid".into())
    }
}

/// A World of two orgs, with a principal of each, and one of the whole installation; users of one issuer besides.
fn world() -> World {
    let org = |number: u128| OrgId::from_u128(number);
    let source = crate::world::TrustSource {
        org: org(1),
        issuer: ISSUER.into(),
        audience: "tabard".into(),
        keys: String::new(),
        rights: None,
        pdp: None,
    };
    let changes = [
        founded(1),
        Change::PrincipalAdded(principal("ann", Some(org(1)))),
        Change::PrincipalAdded(principal("ben", Some(org(2)))),
        Change::PrincipalAdded(principal("root", None)),
        Change::TrustSourceSet(source),
    ];
    World::default().apply(&changes, Revision(1))
}

/// One session of each kind: browsers of three principals, a terminal, and a user's; by the digests of their secrets.
fn opened(world: &World) -> (Vec<Change>, Vec<Digest>) {
    let names = CommitmentKey::new(Secret::new([1; 32]));
    let mut draw = Draw::new(NOW, LogId(0), [2; 32], &names);
    let account = Account {
        issuer: ISSUER.into(),
        subject: "cleo".into(),
    };
    let mut session = |number: u8, name: Option<&str>, way: WayIn, surface: Surface| {
        let principal = name.map(|name| world.principal(&name.parse().unwrap()).unwrap());
        Session {
            surface,
            ..fresh(world, principal, way, Digest::from_bytes([number; 32]), &mut draw)
        }
    };
    let key = WayIn::Passkey(vec![7]);
    let terminal = Surface::CommandLine(Thumbprint::from_bytes([3; 32]));
    let sessions = [
        session(1, Some("ann"), key.clone(), Surface::Browser),
        session(2, Some("ben"), key.clone(), Surface::Browser),
        session(3, Some("root"), key.clone(), Surface::Browser),
        session(4, Some("ann"), key, terminal),
        session(5, None, WayIn::Account(account), Surface::Browser),
    ];
    let digests = sessions.iter().map(|session| session.digest).collect();
    (sessions.into_iter().map(Change::SessionOpened).collect(), digests)
}

fn judged(world: &World, digests: &[Digest]) -> Vec<Option<NoSession>> {
    let judge = |digest| visit(world, digest, Some(NOW), NOW).err();
    digests.iter().map(judge).collect()
}

#[test]
fn a_rise_of_the_epoch_ends_every_session_at_once() {
    let world = world();
    let (sessions, digests) = opened(&world);
    let world = world.apply(&sessions, Revision(2));
    assert_eq!(judged(&world, &digests), [None; 5]);
    // What a restore records: the same installation, in its next epoch.
    let restored = world.apply(&[founded(2)], Revision(3));
    assert_eq!(restored.founding().map(|it: &Founding| it.epoch), Some(2));
    assert_eq!(judged(&restored, &digests), [Some(NoSession::Epoch); 5]);
    // An epoch that went back is another one, too.
    let older = restored.apply(&[founded(0)], Revision(4));
    assert_eq!(judged(&older, &digests), [Some(NoSession::Epoch); 5]);
    // What is opened from then on is of the new epoch.
    let (sessions, digests) = opened(&restored);
    assert_eq!(
        judged(&restored.apply(&sessions, Revision(4)), &digests),
        [None; 5]
    );
}

#[test]
fn a_principal_who_goes_takes_their_own_sessions_along_and_nobody_elses() {
    let world = world();
    let (sessions, digests) = opened(&world);
    let world = world.apply(&sessions, Revision(2));
    let gone = Change::PrincipalRemoved {
        name: "ann".parse().unwrap(),
    };
    let left = judged(&world.apply(&[gone], Revision(3)), &digests);
    let unknown = Some(NoSession::Unknown);
    assert_eq!(left, [unknown, None, None, unknown, None]);
}

#[test]
fn a_provider_ends_sessions_of_its_own_accounts_by_person_or_by_session() {
    let world = world();
    let names = CommitmentKey::new(Secret::new([1; 32]));
    let mut draw = Draw::new(NOW, LogId(0), [2; 32], &names);
    let mut session = |way: Result<(&str, &str), Vec<u8>>, sid: Option<&str>, surface: Surface| {
        let way = way.map_or_else(WayIn::Passkey, |(issuer, subject)| {
            WayIn::Account(Account {
                issuer: issuer.into(),
                subject: subject.into(),
            })
        });
        Session {
            surface,
            provider_session: sid.map(str::to_owned),
            ..fresh(&world, None, way, Digest::default(), &mut draw)
        }
    };
    let terminal = Surface::CommandLine(Thumbprint::from_bytes([3; 32]));
    let sessions = [
        session(Ok((ISSUER, "cleo")), Some("s1"), Surface::Browser),
        session(Ok((ISSUER, "cleo")), Some("s1"), terminal),
        session(Ok((ISSUER, "cleo")), Some("s2"), Surface::Browser),
        session(Ok((ISSUER, "cleo")), None, Surface::Browser),
        session(Ok((ISSUER, "dan")), Some("s3"), Surface::Browser),
        session(
            Ok(("https://other.example", "cleo")),
            Some("s1"),
            Surface::Browser,
        ),
        session(Err(vec![7]), None, Surface::Browser),
    ];
    for (issuer, subject, sid, ended) in [
        (ISSUER, None, Some("s1"), &[0, 1][..]),
        (ISSUER, Some("cleo"), None, &[0, 1, 2, 3]),
        (ISSUER, Some("cleo"), Some("s2"), &[0, 1, 2, 3]),
        (ISSUER, None, Some("cleo"), &[]),
        (ISSUER, Some("s1"), None, &[]),
        (ISSUER, None, None, &[]),
        ("https://other.example", None, Some("s1"), &[5]),
        ("https://other.example", None, Some("s3"), &[]),
        ("https://third.example", Some("cleo"), Some("s1"), &[]),
    ] {
        let means = |it: &usize| sessions[*it].is_logged_out_by(issuer, subject, sid);
        let found: Vec<usize> = (0..sessions.len()).filter(means).collect();
        assert_eq!(found, ended, "{issuer} {subject:?} {sid:?}");
    }
}
