//! The five minutes of the README, as a person would do them.

use super::installation::Installation;
use serde_json::Value;

const INVOICES: &str = concat!(
    r#"[{"id":"inv_1","amount_minor":12900,"currency":"EUR","status":"open"},"#,
    r#"{"id":"inv_2","amount_minor":4400,"currency":"EUR","status":"paid"}]"#
);

/// What the demo's billing agent may see.
fn invoices(dev: &Installation) {
    let ended = dev.billing(&["curl", "-s", "http://invoices.demo/v1/invoices"]);
    assert_eq!(
        (ended.code, ended.out.as_str()),
        (Some(0), INVOICES),
        "{}",
        ended.err
    );
    let steps: Vec<_> = ended
        .err
        .lines()
        .filter_map(|line| line.split_whitespace().next())
        .collect();
    assert_eq!(
        steps,
        ["attested", "identity", "task", "allowed", "issued"],
        "{}",
        ended.err
    );
    assert!(
        ended.err.contains("spiffe://dev.tabard/acme/agent/demo-billing"),
        "{}",
        ended.err
    );
}

/// Each agent's name and id.
fn identities(dev: &Installation) -> Vec<(Value, Value)> {
    let agents = dev.json(&["agent", "list"]);
    agents
        .as_array()
        .unwrap()
        .iter()
        .map(|agent| (agent["name"].clone(), agent["id"].clone()))
        .collect()
}

#[test]
fn the_five_minutes_end_as_promised_and_a_second_start_finds_the_same_installation() {
    let mut dev = Installation::start();
    invoices(&dev);
    let call = dev.recorded("gateway.call", &["invoices.read"]);
    assert_eq!(call["decision"]["outcome"], "allow");

    // Not granted: the story and the answer name one decision, which is in the record and can be explained.
    let denied = dev.billing(&["curl", "-s", "http://payroll.demo/v1/salaries"]);
    let answer: Value = serde_json::from_str(&denied.out).unwrap();
    assert_eq!(
        (denied.code, &answer["status"], &answer["code"]),
        (Some(0), &403.into(), &"ACTION_NOT_GRANTED".into())
    );
    let decision = denied.decision();
    assert!(
        denied.err.contains("denied     ACTION_NOT_GRANTED"),
        "{}",
        denied.err
    );
    assert!(denied.out.contains(&decision), "{}\n{}", denied.err, denied.out);
    dev.recorded("token.denied", &[&decision, "ACTION_NOT_GRANTED", "demo-billing"]);
    let why = dev.tabard(&["explain", &decision]).ok();
    for word in ["DENIED", "ACTION_NOT_GRANTED", "nearest", "read-invoices"] {
        assert!(why.contains(word), "{word}\n{why}");
    }

    let quiet = dev.tabard(&[
        "-q",
        "run",
        "--as",
        "demo-billing",
        "--",
        "curl",
        "-s",
        "http://invoices.demo/v1/invoices",
    ]);
    assert_eq!(
        (quiet.code, quiet.out.as_str(), quiet.err.as_str()),
        (Some(0), INVOICES, "")
    );

    let revoked = dev.tabard(&["revoke", "agent", "demo-billing"]).ok();
    for list in ["dead now", "dead at next check", "alive until"] {
        assert!(revoked.contains(list), "{list}\n{revoked}");
    }
    dev.recorded("credential.revoked", &["demo-billing"]);
    let stopped = dev.billing(&["echo", "started"]);
    assert_eq!(
        (stopped.code, stopped.out.as_str()),
        (Some(117), ""),
        "{}",
        stopped.err
    );
    assert!(
        stopped.err.contains("tabard: not started (code 117)"),
        "{}",
        stopped.err
    );
    dev.recorded("identity.refused", &[&stopped.decision()]);
    dev.tabard(&["resume", "agent", "demo-billing"]).ok();
    dev.recorded("agent.resumed", &["demo-billing"]);
    invoices(&dev);
    dev.tabard(&["status"]).ok();
    assert!(
        dev.tabard(&["audit", "verify"])
            .ok()
            .trim_end()
            .ends_with("sound")
    );

    let (before, size) = (
        identities(&dev),
        dev.json(&["status"])["log"]["size"].as_u64().unwrap(),
    );
    dev.stop();
    dev.start_again();
    assert_eq!(identities(&dev), before);
    invoices(&dev);
    assert!(dev.json(&["status"])["log"]["size"].as_u64().unwrap() > size);
    // The checkpoint that was kept before the restart is continued.
    let verified = dev.json(&["audit", "verify"]);
    assert_eq!(verified["sound"], true);
    assert!(
        verified["continues"]
            .as_u64()
            .is_some_and(|kept| kept > 0 && kept <= verified["size"].as_u64().unwrap())
    );
}
