//! Exceptions end, and changes of contracts say what they change.

use super::installation::Installation;
use std::time::{Duration, Instant};

/// Longer than the exception of the test, on a busy machine.
const SOON: Duration = Duration::from_mins(2);

fn open(dev: &Installation, length: &str, more: &[&str]) -> super::home::Ended {
    let words = [
        "exception",
        "open",
        "--agent",
        "demo-billing",
        "--action",
        "payroll.read",
        "--service",
        "payroll",
        "--owner",
        "kim",
        "--reason",
        "The payroll of May was billed twice.",
        "--for",
        length,
    ];
    dev.tabard(&[&words[..], more].concat())
}

/// Whether the agent gets at what its contract does not grant.
fn reaches(dev: &Installation) -> bool {
    let ended = dev.billing(&[
        "curl",
        "-s",
        "-o",
        "/dev/null",
        "-w",
        "%{http_code}",
        "http://payroll.demo/v1/salaries",
    ]);
    ended.out.contains("200")
}

#[test]
fn an_exception_ends_by_itself_and_stays_ended() {
    let mut dev = Installation::start();
    assert!(!reaches(&dev));
    open(&dev, "40s", &[]).ok();
    let begun = Instant::now();
    // Loud: an entry, the home screen, and each decision that rests on it.
    let entry = dev.recorded("exception.opened", &["EXCEPTION", "payroll.read", "owned by kim"]);
    assert!(!entry.to_string().contains("null"), "{entry:#}");
    assert!(dev.tabard(&["status"]).ok().contains("EXCEPTION"));
    assert!(reaches(&dev), "{}", dev.log());
    let call = dev.recorded("gateway.call", &["payroll.read", "exception:exc_", "kim"]);
    let decision = call["decision"]["id"].as_str().unwrap().to_owned();
    assert!(
        dev.tabard(&["explain", &decision])
            .ok()
            .contains("The payroll of May was billed twice.")
    );

    // A restart neither ends nor prolongs it.
    dev.stop();
    dev.start_again();
    while begun.elapsed() < Duration::from_secs(41) {
        std::thread::sleep(Duration::from_millis(200));
    }
    assert!(!reaches(&dev));
    while dev.entries("exception.ended").is_empty() {
        assert!(begun.elapsed() < SOON, "{}", dev.log());
        std::thread::sleep(Duration::from_millis(200));
    }
    assert!(!dev.tabard(&["status"]).ok().contains("EXCEPTION"));
    // Another one for the same has to say so; and a person can end it.
    let refused = open(&dev, "10m", &[]);
    assert!(refused.err.contains("EXCEPTION_AGAIN"), "{}", refused.err);
    open(&dev, "10m", &["--again"]).ok();
    dev.recorded("exception.opened", &["number 2 of the same"]);
    let all = dev.json(&["exception", "list"]);
    let id = all[0]["id"].as_str().unwrap().to_owned();
    dev.tabard(&["exception", "end", &id]).ok();
    assert!(!reaches(&dev));
}

#[test]
fn a_run_opens_no_exception_and_publishes_nothing() {
    let dev = Installation::shared();
    for command in [
        "exception open --agent demo-billing --action payroll.read --service payroll --owner me --reason Because --for 1h",
        "contract publish sha256:0000000000000000000000000000000000000000000000000000000000000000",
        "contract sync .",
    ] {
        let inside = dev.tabard_within(command);
        let ended = dev.billing(&["sh", "-c", &inside]);
        assert_ne!(ended.code, Some(0), "{command}: {}{}", ended.out, ended.err);
    }
}
