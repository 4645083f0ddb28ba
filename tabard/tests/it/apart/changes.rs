//! A server with its default configuration: what lets an agent do more waits for somebody else.

use super::installation::Apart;
use serde_json::Value;

const AGENT: &str = "apiVersion: tabard/v1\nkind: Agent\nmetadata: {name: demo-billing}\nowner: finance\n\
     purpose: Matches invoices against payments.\ncontract: NAME\nexpires: 30d\n\
     launch: {launchers: [me], argv: free, env_allow: [PATH, HOME]}\n";

#[test]
fn a_widening_waits_and_no_other_name_leads_around_that() {
    let apart = Apart::server();
    let contract = std::fs::read_to_string(apart.at("contract.yaml")).unwrap();
    let file = |name: &str, text: &str| {
        apart.write(name, text);
        apart.at(name)
    };
    let json = |arguments: &[&str]| -> Value {
        serde_json::from_str(&apart.tabard(&[&["-o", "json"], arguments].concat()).ok()).unwrap()
    };
    let second = contract.replace("version: 1}", "version: 2}");
    let wider = file("wider.yaml", &second.replace("max: 120", "max: 9000"));
    let review = apart.tabard(&["contract", "review", &wider]);
    assert_eq!(review.code, Some(1), "{}", review.out);
    assert!(
        review.out.contains("at most 9000 instead of 120"),
        "{}",
        review.out
    );
    let proposed = apart.tabard(&["contract", "apply", &wider]);
    assert_eq!(proposed.code, Some(4), "{}{}", proposed.out, proposed.err);
    let waiting = json(&["contract", "proposals"]);
    let hash = waiting[0]["hash"].as_str().unwrap().to_owned();
    // A yes takes a person on a page, which this server has not; and the contract is not there to be named.
    let published = apart.tabard(&["contract", "publish", &hash]);
    assert_ne!(published.code, Some(0));
    assert!(published.err.contains("no pages for people"), "{}", published.err);
    assert_ne!(
        apart.tabard(&["contract", "show", "demo-billing@2"]).code,
        Some(0)
    );
    assert_ne!(
        apart
            .tabard(&[
                "agent",
                "apply",
                &file("a.yaml", &AGENT.replace("NAME", "demo-billing@2"))
            ])
            .code,
        Some(0)
    );

    // The same under another name: the first of its name, and still no contract for this agent.
    let other = contract
        .replace("name: demo-billing", "name: other")
        .replace("max: 120", "max: 9000");
    apart
        .tabard(&["contract", "apply", &file("other.yaml", &other)])
        .ok();
    let agent = file("b.yaml", &AGENT.replace("NAME", "other"));
    let refused = apart.tabard(&["agent", "apply", &agent]);
    assert!(refused.err.contains("CONTRACT_WIDENS"), "{}", refused.err);
    let proposed = apart.tabard(&[
        "contract",
        "apply",
        &apart.at("other.yaml"),
        "--agent",
        "demo-billing",
    ]);
    assert_eq!(proposed.code, Some(4), "{}{}", proposed.out, proposed.err);

    // Less is in force at once, from a folder as well, with its commit.
    let narrower = second
        .replace("version: 2}", "version: 3}")
        .replace("max: 120", "max: 60");
    apart.shell("mkdir contracts");
    file("contracts/billing.yaml", &narrower);
    let folder = apart.at("contracts");
    apart
        .tabard(&["contract", "sync", &folder, "--commit", "0123abcd"])
        .ok();
    apart
        .tabard(&[
            "agent",
            "apply",
            &file("c.yaml", &AGENT.replace("NAME", "demo-billing@3")),
        ])
        .ok();
    let published = apart.entries("contract.published");
    let text = serde_json::to_string(&published).unwrap();
    assert!(
        text.contains("0123abcd") && text.contains("narrowing: calls per"),
        "{text}"
    );
    let shown = json(&["agent", "show", "demo-billing"]);
    assert_eq!(shown["contract_name"], "demo-billing@3");

    // No exception by a process alone.
    let exception = apart.tabard(&[
        "exception",
        "open",
        "--agent",
        "demo-billing",
        "--action",
        "invoices.delete",
        "--service",
        "invoices",
        "--owner",
        "kim",
        "--reason",
        "Booked twice.",
        "--for",
        "5m",
    ]);
    assert!(exception.err.contains("PRESENCE_UNVERIFIED"), "{}", exception.err);
    apart.tabard(&["contract", "withdraw", &hash]).ok();
}
