//! A run that launches what its contract lists, and what it cannot get that way; what only a person may lower.

use super::installation::Installation;
use serde_json::{Value, json};

const KEYS: &str = r#"{"keys":[{"kty":"EC","use":"sig","kid":"a","crv":"P-256","x":"l8tFrhx-34tV3hRICRDY9zCkDlpBhF42UQUfWVAWBFs","y":"9VE4jf_Ok_o64zbTTlcuNJajHmt6v9TDVrU0CdvGRDA"}]}"#;

/// `parent` may launch `child` and nothing else.
fn furnished() -> Installation {
    let dev = Installation::start();
    let work = dev.home.path().join("w");
    for (name, more) in [("parent", "may_launch: [child]\n"), ("child", "")] {
        let contract = format!(
            "apiVersion: tabard/v1\nkind: AgentContract\nmetadata: {{name: {name}, version: 1}}\nowner: {{team: demo}}\n\
             purpose: {{id: reconciliation, statement: Matches invoices against payments.}}\n\
             identity: {{min_assurance: 1}}\ntenants: {{mode: task, allowed: [acme-eu, acme-us]}}\n\
             tasks: {{types: [reconciliation], max_ttl: 30m, openers: [operator]}}\n\
             grants:\n  - id: read\n    services: [invoices]\n    actions: [invoices.read]\n    \
             reason: Each invoice is compared with its payment.\n    \
             business_action: {{invoices.read: Look at open invoices}}\n    \
             data: {{domains: [finance], sensitivity: confidential}}\n\
             {more}lifecycle: {{expires: 2099-12-31, review_every: 90d}}\n"
        );
        let manifest = format!(
            "apiVersion: tabard/v1\nkind: Agent\nmetadata: {{name: {name}}}\nowner: finance\n\
             purpose: Matches invoices.\ncontract: {name}@1\nexpires: 7d\n\
             launch: {{launchers: [me], argv: free, env_allow: [PATH, HOME]}}\n"
        );
        for (what, text) in [("contract", contract), ("agent", manifest)] {
            let file = work.join(format!("{name}-{what}.yaml"));
            std::fs::write(&file, text).unwrap();
            let applied = dev.tabard(&[what, "apply", file.to_str().unwrap()]);
            applied.ok();
        }
    }
    dev
}

fn task<'a>(tasks: &'a Value, agent: &str) -> &'a Value {
    let found = tasks
        .as_array()
        .unwrap()
        .iter()
        .find(|it| it["agent_name"] == json!(agent));
    found.unwrap_or_else(|| panic!("no task of {agent} in {tasks:#?}"))
}

#[test]
fn what_a_run_launches_is_a_part_of_its_own_task() {
    let dev = furnished();
    let call = "curl -sS -o /dev/null -w %{http_code} http://invoices.demo/v1/invoices";
    let nested = dev.tabard_within(&format!("-q run --as child -- {call}"));
    let run = |tenant: &str, command: &str| {
        dev.tabard(&[
            "-q", "run", "--as", "parent", "--tenant", tenant, "--", "sh", "-c", command,
        ])
    };
    assert_eq!(run("acme-eu", &nested).ok(), "200");
    let tasks = dev.json(&["task", "list"]);
    let (parent, child) = (task(&tasks, "parent"), task(&tasks, "child"));
    assert_eq!((&child["parent"], &child["root"]), (&parent["id"], &parent["id"]));
    assert_eq!(child["tenant"], json!("acme-eu"));
    assert_eq!(child["opener"]["kind"], json!("operator"));
    assert!(
        child["opener"]["name"]
            .as_str()
            .unwrap()
            .ends_with(" through parent")
    );
    assert!(child["expires_at"].as_u64() <= parent["expires_at"].as_u64());
    assert_eq!((&child["open"], &parent["open"]), (&json!(false), &json!(false)));

    // Another tenant than the parent's; a task of the child's own, that has read nothing; what is not listed.
    let other = dev.tabard_within("-q run --as child --tenant acme-us -- echo started");
    let ended = run("acme-eu", &other);
    assert_eq!((ended.code, ended.out.as_str()), (Some(113), ""), "{}", ended.err);
    dev.recorded("task.refused", &[&ended.decision(), "TASK_TENANT"]);
    let clean = dev
        .tabard(&["-q", "task", "open", "child", "--tenant", "acme-eu"])
        .ok();
    let named = dev.tabard_within(&format!(
        "-q run --as child --task {} -- echo started",
        clean.trim()
    ));
    let ended = run("acme-eu", &named);
    assert_eq!((ended.code, ended.out.as_str()), (Some(113), ""), "{}", ended.err);
    dev.recorded("run.refused", &[&ended.decision(), "TASK_NOT_OPEN"]);
    let billing = dev.tabard_within("-q run --as demo-billing -- echo started");
    let ended = run("acme-eu", &billing);
    assert_eq!((ended.code, ended.out.as_str()), (Some(113), ""), "{}", ended.err);
    dev.recorded("identity.refused", &[&ended.decision(), "TABARD-LAUNCH-003"]);

    only_a_person_lowers_what_a_task_has_read(&dev);
    users_and_issuers_are_set_by_people(&dev);
}

/// From inside a run, the same uid is nobody.
fn only_a_person_lowers_what_a_task_has_read(dev: &Installation) {
    let open = dev
        .tabard(&["-q", "task", "open", "parent", "--tenant", "acme-eu"])
        .ok();
    let id = open.trim();
    let lower = format!("task declassify {id} --reason 'the mail was checked'");
    let ended = dev.billing(&["sh", "-c", &dev.tabard_within(&lower)]);
    assert_eq!(ended.code, Some(3), "{}", ended.err);
    assert!(ended.err.contains("ADMIN_INSIDE_RUN"), "{}", ended.err);
    let short = dev.tabard(&["task", "declassify", id, "--reason", ""]);
    assert!(short.err.contains("TASK_REASON"), "{}", short.err);
    dev.tabard(&["task", "declassify", id, "--reason", "the mail was checked"])
        .ok();
    let entry = dev.recorded("task.declassified", &[id]);
    assert_eq!(entry["detail"]["reason"], json!("the mail was checked"));
    assert!(entry["human"]["uid"].is_number());
    let tasks = dev.json(&["task", "list"]);
    let lowered = tasks
        .as_array()
        .unwrap()
        .iter()
        .find(|it| it["id"] == json!(id))
        .unwrap();
    assert!(lowered["declassified"].as_u64().unwrap() > 0);
}

fn users_and_issuers_are_set_by_people(dev: &Installation) {
    const IDP: &str = "https://idp.example";
    let work = dev.home.path().join("w");
    let keys = work.join("jwks.json");
    std::fs::write(&keys, KEYS).unwrap();
    let keys = keys.to_str().unwrap();
    let right = [
        "--agent",
        "parent",
        "--service",
        "invoices",
        "--action",
        "invoices.read",
    ];
    let set = |issuer: &str, subject: &str, more: &[&str]| {
        let all = [&["user", "set", issuer, subject, "--for", "90d"], more].concat();
        dev.tabard(&all)
    };
    let early = set(IDP, "ann-4711", &right);
    assert!(early.err.contains("USER_ISSUER"), "{}", early.err);
    let plain = dev.tabard(&[
        "trust",
        "add",
        "http://idp.example",
        "--audience",
        "tabard",
        "--keys",
        keys,
    ]);
    assert!(plain.err.contains("TRUST_ISSUER"), "{}", plain.err);
    dev.tabard(&["trust", "add", IDP, "--audience", "tabard", "--keys", keys])
        .ok();
    assert_eq!(dev.json(&["trust", "list"])[0]["kids"], json!(["a"]));
    let typo = set(
        IDP,
        "ann-4711",
        &[
            "--agent",
            "paren",
            "--service",
            "invoices",
            "--action",
            "invoices.read",
        ],
    );
    assert!(typo.err.contains("USER_AGENT"), "{}", typo.err);
    set(
        IDP,
        "ann-4711",
        &[&right[..], &["--tenant", "acme-eu", "--group", "office"]].concat(),
    )
    .ok();
    let users = dev.json(&["user", "list"]);
    assert_eq!(users[0]["rights"][0]["tenants"], json!(["acme-eu"]));
    let entry = dev.recorded("user.set", &[IDP]);
    assert!(!entry.to_string().contains("ann-4711"), "{entry}");
    dev.tabard(&["directory", "set", "acme-eu", "--destination", "@acme.example"])
        .ok();
    assert_eq!(
        dev.tabard(&["directory", "show", "acme-eu"]).ok().trim(),
        "@acme.example"
    );
    dev.tabard(&["user", "remove", IDP, "ann-4711"]).ok();
    dev.tabard(&["trust", "remove", IDP]).ok();
    assert_eq!(dev.json(&["user", "list"]), json!([]));
    let gone = dev.tabard(&["trust", "remove", IDP]);
    assert!(gone.err.contains("NOT_FOUND"), "{}", gone.err);
}
