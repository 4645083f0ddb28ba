//! Two gateways of one installation, each a process with a journal of its own.

use super::installation::{Apart, WINDOW_SECS, free};
use super::upstream::ANSWER;
use std::time::Duration;

const CALL: &str = "curl -s http://invoices.demo/v1/invoices";
/// When a removed gateway certainly decides nothing any more.
const FENCE_SECS: u64 = 5;

#[test]
fn an_agent_is_counted_by_one_gateway_and_a_removed_one_leaves_no_clean_counts() {
    let apart = Apart::whole();
    assert_eq!(apart.run(CALL).ok(), ANSWER);
    let first = apart.id("gateway");
    let address = free();
    let (gateway, node) = (apart.token("gateway"), apart.token("node"));
    let _gateway = apart
        .gateway_at("second", address, &["--join-file", &gateway])
        .ready();
    // The context leads to the newer node agent, and that to the second gateway.
    let url = format!("https://{address}");
    let _node = apart.node("beside", &url, &["--join-file", &node]).ready();

    // The agent's rate is over all of its tasks, and the first gateway counts it.
    let refused = apart.run(&format!("{CALL} -w '\\n%{{http_code}}'"));
    assert!(
        refused.out.contains("COUNTED_ELSEWHERE") && refused.out.ends_with("421"),
        "{}\n{}",
        refused.out,
        refused.err
    );
    let claimed = apart.entries("home.claimed");
    assert!(!claimed.is_empty(), "who counts what is in the record");

    // Removed, it leaves nothing that anybody else knows: until the window has passed nobody says how much is left.
    apart
        .tabard(&["member", "remove", &first, "--reason", "its host is gone"])
        .ok();
    let (took, before) = apart.answers_again();
    assert!(
        took >= Duration::from_secs(FENCE_SECS + WINDOW_SECS - 1),
        "{took:?}"
    );
    let last = before.last().map(String::as_str).unwrap_or_default();
    assert!(last.contains("STATE_UNAVAILABLE"), "{before:?}");
}
