//! Two gateways of one installation, each a process with a journal of its own.

use super::installation::{Apart, free};
use super::upstream::ANSWER;
use std::time::{Duration, Instant};

const CALL: &str = "curl -s http://invoices.demo/v1/invoices";
/// A removed gateway decides nothing after 5 s; the rest is the time of a busy machine.
const FENCE: Duration = Duration::from_secs(20);

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

    // Removed, it leaves nothing that anybody else knows: the window of a minute has to pass.
    apart
        .tabard(&["member", "remove", &first, "--reason", "its host is gone"])
        .ok();
    let begun = Instant::now();
    loop {
        let answer = apart.run(CALL);
        assert!(!answer.out.contains(ANSWER), "{}", answer.out);
        if answer.out.contains("STATE_UNAVAILABLE") && begun.elapsed() > Duration::from_secs(5) {
            break;
        }
        assert!(begun.elapsed() < FENCE, "{}\n{}", answer.out, answer.err);
    }
}
