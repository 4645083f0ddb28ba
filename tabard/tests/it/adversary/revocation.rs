//! Stopping what runs, and limits that a new task does not reset.

use super::home::Ended;
use super::installation::Installation;
use std::io::{BufRead as _, BufReader};
use std::time::{Duration, Instant};

/// What is promised between the decision and the last byte.
const PROMISED: Duration = Duration::from_millis(250);
/// What a machine that is busy with other tests may need for it.
const TOLERATED: Duration = Duration::from_secs(1);

#[test]
fn an_agent_that_is_revoked_in_the_middle_of_a_stream_is_cut_off() {
    let dev = Installation::start();
    let mut launch = dev.home.command(&dev.home.tabard);
    // The pipe stays open until the whole run has ended, so the shell says when the stream has.
    let script = "curl -sN http://invoices.demo/v1/stream; echo ended $?";
    launch.args(["run", "--as", "demo-billing", "--", "sh", "-c", script]);
    let mut run = launch.spawn().unwrap();
    let mut lines = BufReader::new(run.stdout.take().unwrap())
        .lines()
        .map_while(Result::ok);
    assert_eq!(lines.next().as_deref(), Some(r#"data: {"tick":0}"#));

    let reader = std::thread::spawn(move || {
        lines
            .find(|line| line.starts_with("ended"))
            .map(|line| (line, Instant::now()))
    });
    dev.tabard(&["revoke", "agent", "demo-billing", "--reason", "it reads too much"])
        .ok();
    let told = Instant::now();
    let (end, cut) = reader.join().unwrap().unwrap();
    let late = cut.saturating_duration_since(told);
    // curl was not told that the stream is complete.
    assert_ne!(end, "ended 0");
    let ended = Ended::of(run);
    let task = ended
        .err
        .split_whitespace()
        .find(|word| word.starts_with("task_"))
        .unwrap();
    let revoked = dev.recorded("credential.revoked", &["demo-billing"]);
    let outcome = dev.recorded("gateway.outcome", &[task]);
    assert_eq!(outcome["outcome"]["error"], "cut_by_revocation", "{outcome:#}");
    let at = |entry: &serde_json::Value| entry["at"].as_u64().unwrap();
    let recorded = Duration::from_millis(at(&outcome).saturating_sub(at(&revoked)));
    println!(
        "cut {late:?} after `tabard revoke` ended, {recorded:?} after it by the record; promised {PROMISED:?}"
    );
    assert!(
        late <= TOLERATED && recorded <= TOLERATED,
        "{late:?} {recorded:?}"
    );
}

#[test]
fn a_new_task_does_not_reset_the_agents_limits() {
    let dev = Installation::start();
    // The contract allows 120 calls a minute; the window must not turn over in between.
    let greedy = "n=0; while [ $n -lt 130 ]; do n=$((n+1)); code=$(curl -s -o /dev/null -w '%{http_code}' \
        http://invoices.demo/v1/invoices/inv_1); [ $code = 429 ] && { echo limited after $n; break; }; done";
    let first = dev.billing(&["sh", "-c", greedy]);
    assert!(
        first.out.starts_with("limited after "),
        "{}\n{}",
        first.out,
        first.err
    );
    let second = dev.billing(&["curl", "-s", "http://invoices.demo/v1/invoices/inv_1"]);
    assert!(
        second.out.contains("RATE_LIMITED"),
        "{}\n{}",
        second.out,
        second.err
    );
    let task = |ended: &Ended| {
        ended
            .err
            .split_whitespace()
            .find(|word| word.starts_with("task_"))
            .unwrap()
            .to_owned()
    };
    assert_ne!(task(&first), task(&second));
    for ended in [&first, &second] {
        dev.recorded("gateway.blocked", &["RATE_LIMITED", &task(ended)]);
    }
}
