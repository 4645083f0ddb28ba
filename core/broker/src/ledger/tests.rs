use super::*;
use policy::contract::RateScope;
use policy::{Counted, CounterId, Readers};

const NOW: UnixTime = UnixTime::from_secs(1_000_000);
const KEY: WindowKey = WindowKey {
    of: 7,
    per_secs: 60,
    what: 0,
};

#[test]
fn a_window_slides_and_never_counts_late() {
    let mut shard = LedgerShard::default();
    for taken in 0..5 {
        assert_eq!(shard.take(KEY, 1, NOW.plus_secs(taken)).0, taken);
    }
    assert_eq!(shard.peek(KEY, NOW.plus_secs(55)), 5);
    assert_eq!(shard.peek(KEY, NOW.plus_secs(66)), 0);
}

#[test]
fn a_refund_gives_exactly_what_was_taken_back() {
    let mut shard = LedgerShard::default();
    let (_, first) = shard.take(KEY, 40, NOW);
    let (_, _) = shard.take(KEY, 2, NOW.plus_secs(10));
    shard.refund(&first);
    assert_eq!(shard.peek(KEY, NOW.plus_secs(10)), 2);
    let other = WindowKey { of: 8, ..KEY };
    shard.refund(&Taken {
        key: other,
        at: NOW,
        amount: 1,
        names: Vec::new(),
    });
    assert_eq!(shard.peek(KEY, NOW.plus_secs(10)), 2);
}

#[test]
fn a_clock_that_goes_back_forgets_nothing() {
    let mut shard = LedgerShard::default();
    let (_, _) = shard.take(KEY, 1, NOW);
    assert_eq!(shard.take(KEY, 1, NOW.minus_secs(3600)).0, 1);
    assert_eq!(shard.peek(KEY, NOW), 2);
}

#[test]
fn a_clock_that_jumps_ahead_and_back_gives_nothing_back() {
    let mut shard = LedgerShard::default();
    let (_, _) = shard.take(KEY, 50, NOW.plus_secs(3600));
    assert_eq!(shard.take(KEY, 1, NOW).0, 50);
}

#[test]
fn what_a_task_takes_as_a_whole_never_passes() {
    let whole = WindowKey { per_secs: 0, ..KEY };
    let mut shard = LedgerShard::default();
    let (_, _) = shard.take(whole, 3, NOW);
    assert_eq!(shard.peek(whole, NOW.plus_secs(10_000_000)), 3);
}

#[test]
fn different_names_are_counted_once_and_given_back_once() {
    let mut shard = LedgerShard::default();
    let (count, first) = shard.add(KEY, &["mail", "crm"], NOW);
    assert_eq!((count, first.names.len()), (2, 2));
    let (count, again) = shard.add(KEY, &["mail", "erp"], NOW.plus_secs(1));
    assert_eq!((count, &*again.names), (3, &["erp".into()][..]));
    shard.refund(&again);
    assert_eq!(shard.add(KEY, &[], NOW.plus_secs(2)).0, 2);
    assert_eq!(shard.add(KEY, &[], NOW.plus_secs(100)).0, 0);
}

#[test]
fn what_was_taken_survives_the_entry_it_is_written_in() {
    let counter = CounterId {
        counted: Counted::Value("amount".parse().unwrap()),
        scope: RateScope::Task,
        per_secs: 0,
    };
    let taken = Taken {
        key: WindowKey::new(u128::MAX, &counter).unwrap(),
        at: NOW,
        amount: 5,
        names: vec!["x".into()],
    };
    let value = serde_json::to_value([&taken]).unwrap();
    assert_eq!(serde_json::from_value::<Vec<Taken>>(value).unwrap(), [taken]);
    // As entries before budgets carry it.
    let old =
        serde_json::json!({"key": {"of": "0000000000000000000000000000000a", "per_secs": 60}, "at": NOW});
    assert_eq!(serde_json::from_value::<Taken>(old).unwrap().amount, 1);
}

#[test]
fn replaying_what_entries_say_gives_the_same_counts() {
    let mut live = LedgerShard::default();
    let taken: Vec<Taken> = (0..20)
        .map(|n| live.take(KEY, n, NOW.plus_secs(n * 7)).1)
        .collect();
    let mut recovered = LedgerShard::default();
    for one in &taken {
        recovered.replay(one);
    }
    assert_eq!(
        recovered.peek(KEY, NOW.plus_secs(140)),
        live.peek(KEY, NOW.plus_secs(140))
    );
}

#[test]
fn a_trail_only_grows_but_by_a_humans_word() {
    let key = TrailKey(7);
    let mut shard = LedgerShard::default();
    let mail: Name = "mail.read".parse().unwrap();
    let mut labels = Labels::NONE;
    labels.taint.insert(mail.clone());
    labels.readers = Readers::Only(["ann".to_owned()].into());
    let read = Seen {
        labels: labels.clone(),
        action: Some(mail.clone()),
        steps: vec![("reader".parse().unwrap(), mail.clone())],
        at: NOW,
        ..Seen::default()
    };
    shard.see(key, &read);
    let send: Name = "mail.send".parse().unwrap();
    shard.see(
        key,
        &Seen {
            action: Some(send.clone()),
            at: NOW.plus_secs(1),
            ..Seen::default()
        },
    );
    let trail = shard.trail(key).unwrap();
    assert_eq!((trail.calls, trail.done[&mail], trail.done[&send]), (2, 1, 1));
    assert_eq!(
        (trail.last.values().next(), &trail.labels),
        (Some(&mail), &labels)
    );
    let lowered = Seen {
        declassified: Some(9),
        ..Seen::default()
    };
    shard.see(key, &lowered);
    assert_eq!(shard.trail(key).unwrap().labels, Labels::NONE);
    // Once only: what was read since is not lowered by the same word.
    shard.see(key, &read);
    shard.see(key, &lowered);
    assert_eq!(shard.trail(key).unwrap().labels, labels);
}

#[test]
fn what_is_of_an_open_task_is_never_outwaited() {
    let mut shard = LedgerShard::default();
    let whole = WindowKey { per_secs: 0, ..KEY };
    let month = WindowKey {
        per_secs: 30 * 86_400,
        ..KEY
    };
    for key in [KEY, whole, month] {
        let (_, _) = shard.take(key, 3, NOW);
    }
    let (_, _) = shard.add(WindowKey { what: 9, ..whole }, &["crm"], NOW);
    let seen = Seen {
        at: NOW,
        ..Seen::default()
    };
    shard.see(TrailKey(7), &seen);
    // Nothing happens for weeks, but the task is open.
    for day in 1..25 {
        shard.forget(NOW.plus_secs(day * 86_400), |of| of == 7);
    }
    let later = NOW.plus_secs(25 * 86_400);
    assert_eq!((shard.peek(whole, later), shard.peek(month, later)), (3, 3));
    assert_eq!(shard.add(WindowKey { what: 9, ..whole }, &[], later).0, 1);
    assert!(shard.trail(TrailKey(7)).is_some());
    // A window ends by its own length.
    assert_eq!(shard.windows.len(), 2);
}

#[test]
fn what_nobody_knows_any_more_is_forgotten_after_the_last_credential() {
    let mut shard = LedgerShard::default();
    let whole = WindowKey { per_secs: 0, ..KEY };
    let (_, _) = shard.take(whole, 3, NOW);
    let seen = Seen {
        at: NOW,
        ..Seen::default()
    };
    shard.see(TrailKey(7), &seen);
    let over = NOW.plus_secs(10 * 86_400);
    shard.forget(over, |_| true);
    shard.forget(over.plus_secs(FORGET_AFTER_SECS), |_| false);
    assert!(shard.trail(TrailKey(7)).is_some() && shard.peek(whole, over) == 3);
    shard.forget(over.plus_secs(FORGET_AFTER_SECS + 1), |_| false);
    assert!(shard.trail(TrailKey(7)).is_none() && shard.windows.is_empty());
}

#[test]
fn a_shard_is_the_same_after_it_was_written_down() {
    let mut shard = LedgerShard::default();
    let (_, _) = shard.take(KEY, 3, NOW);
    let (_, _) = shard.add(WindowKey { what: 9, ..KEY }, &["crm", "mail"], NOW);
    let mut labels = Labels::NONE;
    labels.readers = Readers::Only(["ann".to_owned()].into());
    shard.see(
        TrailKey(u128::MAX),
        &Seen {
            labels,
            steps: vec![("reader".parse().unwrap(), "mail.read".parse().unwrap())],
            suspends: true,
            at: NOW,
            ..Seen::default()
        },
    );
    let text = serde_json::to_vec(&shard).unwrap();
    let mut read: LedgerShard = serde_json::from_slice(&text).unwrap();
    assert_eq!(read.trails, shard.trails);
    assert_eq!(read.distinct, shard.distinct);
    assert_eq!((read.peek(KEY, NOW), read.windows.len()), (3, 1));
}
