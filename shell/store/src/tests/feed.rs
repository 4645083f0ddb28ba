//! The feed has no gaps, whoever is slow.

use super::*;
use crate::FeedError;

fn change_some(store: &Store, from: u64, count: u64) {
    let receipts = wait(join_all((from..from + count).map(|n| {
        let (change, event) = org(n);
        store.write(Revision(0), vec![], vec![change], event)
    })));
    assert!(receipts.iter().all(Result::is_ok));
}

fn follow(feed: &mut crate::Feed, mut world: World, to: u64) -> World {
    while world.revision() < Revision(to) {
        let delta = wait(feed.next()).unwrap();
        assert_eq!(delta.revision, world.revision().next());
        world = world.apply(&delta.changes, delta.revision);
    }
    world
}

#[test]
fn a_follower_from_the_beginning_gets_the_past_and_the_present_once_each() {
    let root = tempfile::tempdir().unwrap();
    let store = open(root.path());
    change_some(&store, 0, 700);
    let mut feed = store.subscribe(Revision(0)).unwrap();
    change_some(&store, 700, 50);
    let world = follow(&mut feed, World::default(), 750);
    assert_eq!(facts(&world), facts(&store.world()));
}

#[test]
fn a_follower_that_falls_behind_the_channel_is_caught_up_from_the_table() {
    let root = tempfile::tempdir().unwrap();
    let store = open(root.path());
    let mut feed = store.subscribe(Revision(0)).unwrap();
    change_some(&store, 0, 3_000);
    let world = follow(&mut feed, World::default(), 3_000);
    assert_eq!(facts(&world), facts(&store.world()));
}

#[test]
fn a_follower_from_the_future_is_told_so() {
    let root = tempfile::tempdir().unwrap();
    let store = open(root.path());
    assert!(matches!(
        store.subscribe(Revision(1)),
        Err(FeedError::Ahead { .. })
    ));
}

#[test]
fn a_follower_hears_when_the_store_closes() {
    let root = tempfile::tempdir().unwrap();
    let store = open(root.path());
    let mut feed = store.subscribe(Revision(0)).unwrap();
    change_some(&store, 0, 1);
    store.close();
    assert_eq!(wait(feed.next()).unwrap().revision, Revision(1));
    assert!(matches!(wait(feed.next()), Err(FeedError::Closed)));
}
