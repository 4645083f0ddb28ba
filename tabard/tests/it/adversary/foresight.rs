//! What is foreseen is what happens, and what happened is decided again alike.

use super::installation::Installation;
use serde_json::Value;

/// The verdicts of two agents at two services.
fn work(dev: &Installation) {
    for _ in 0..2 {
        dev.billing(&["curl", "-s", "http://invoices.demo/v1/invoices"]);
    }
    dev.billing(&["curl", "-s", "http://payroll.demo/v1/salaries"]);
}

/// A published contract, written where the command can read it.
fn in_force(dev: &Installation, name: &str, change: impl FnOnce(String) -> String) -> String {
    let source = dev.json(&["contract", "show", name])["source"]
        .as_str()
        .unwrap()
        .to_owned();
    let file = dev.home.path().join("w").join(format!("{name}-candidate.yaml"));
    std::fs::write(&file, change(source)).unwrap();
    file.to_str().unwrap().to_owned()
}

fn count(found: &Value, name: &str) -> u64 {
    found[name].as_u64().unwrap()
}

#[test]
fn the_contract_in_force_says_again_what_was_recorded_and_a_narrower_one_says_what_it_would_refuse() {
    let dev = Installation::start();
    work(&dev);
    dev.recorded("gateway.call", &["invoices.read"]);
    let same = in_force(&dev, "demo-billing", |text| text);
    let found = dev.json(&["contract", "simulate", &same, "--since", "1h"]);
    assert!(count(&found, "decisions") >= 5, "{found:#}");
    assert_eq!(
        count(&found, "unchanged"),
        count(&found, "decisions"),
        "{found:#}"
    );
    assert_eq!(
        (count(&found, "unreadable"), found["truncated"].as_bool()),
        (0, Some(false))
    );

    let narrower = in_force(&dev, "demo-billing", |text| text.replace("acme-eu", "globex"));
    let found = dev.json(&[
        "contract",
        "simulate",
        &narrower,
        "--agent",
        "demo-billing",
        "--since",
        "1h",
    ]);
    assert!(
        count(&found, "newly_denied") >= 2 && count(&found, "newly_allowed") == 0,
        "{found:#}"
    );
    let difference = &found["differences"][0];
    assert_eq!(
        (
            difference["turn"].as_str(),
            difference["action"].as_str(),
            difference["reason"].as_str()
        ),
        (
            Some("newly_denied"),
            Some("invoices.read"),
            Some("TENANT_BOUNDARY")
        )
    );
    // The example is a decision that can be looked at.
    dev.tabard(&["explain", difference["example"].as_str().unwrap()])
        .ok();

    // A draft is a contract, goes to stdout and changes nothing.
    let draft = dev
        .tabard(&["-q", "contract", "tighten", "demo-billing", "--since", "1h"])
        .ok();
    let file = dev.home.path().join("w").join("draft.yaml");
    std::fs::write(&file, &draft).unwrap();
    dev.tabard(&["contract", "check", file.to_str().unwrap()]).ok();
    let versions = dev.json(&["contract", "list"]);
    let mut names: Vec<_> = versions
        .as_array()
        .unwrap()
        .iter()
        .map(|it| it["name"].as_str())
        .collect();
    names.sort_unstable();
    let demo = ["demo-billing", "demo-refunds", "demo-reporter"].map(Some);
    assert_eq!(names, demo, "{versions:#}");
    // Never over a file that is there.
    let over = dev.tabard(&[
        "contract",
        "tighten",
        "demo-billing",
        "--out",
        file.to_str().unwrap(),
    ]);
    assert_eq!(over.code, Some(1));
    assert_eq!(std::fs::read_to_string(&file).unwrap(), draft);
}

#[test]
fn a_task_that_exists_is_foreseen_with_what_its_gateway_counted() {
    let dev = Installation::shared();
    let task = dev.json(&["task", "open", "demo-billing", "--tenant", "acme-eu"])["id"]
        .as_str()
        .unwrap()
        .to_owned();
    let can = || dev.tabard(&["can", "demo-billing", "invoices.read", "--task", &task]);
    let before = can();
    assert_eq!(before.code, Some(0), "{}{}", before.out, before.err);
    assert!(
        before
            .out
            .contains("the task made 0 calls and has read nothing; no call was decided yet"),
        "{}",
        before.out
    );
    // Two calls, and then it waits for a file: its task is open as long as it runs.
    let go = dev.home.path().join("w").join("foreseen");
    let script = format!(
        "for n in 1 2; do curl -s http://invoices.demo/v1/invoices; done; while [ ! -e {} ]; do sleep 0.1; done",
        go.display()
    );
    let mut run = dev.home.command(&dev.home.tabard);
    run.args([
        "run",
        "--as",
        "demo-billing",
        "--task",
        &task,
        "--",
        "sh",
        "-c",
        &script,
    ]);
    let run = run.spawn().unwrap();
    let begun = std::time::Instant::now();
    while !can().out.contains("the task made 2 calls") && begun.elapsed() < std::time::Duration::from_secs(10)
    {
        std::thread::sleep(std::time::Duration::from_millis(100));
    }
    let after = can();
    assert_eq!(after.code, Some(0), "{}{}", after.out, after.err);
    let told = |what: &str| {
        let line = after.out.lines().find(|line| line.contains(what));
        line.unwrap_or_else(|| panic!("no {what}: {}", after.out))
            .to_owned()
    };
    let task_line = told("the task made 2 calls");
    assert!(
        task_line.contains("data up to confidential") && task_line.contains("counted by gateway node_"),
        "{task_line}"
    );
    assert!(told("calls/agent/60s: ").contains("counted by gateway node_"));
    assert!(
        after.out.contains("the call is supposed to be made by ins_"),
        "{}",
        after.out
    );
    assert!(!after.out.contains("nothing was counted yet"), "{}", after.out);
    std::fs::write(&go, "").unwrap();
    let ended = super::home::Ended::of(run);
    assert!(ended.out.contains("inv_1"), "{}{}", ended.out, ended.err);
}

#[test]
fn what_is_foreseen_is_what_happens() {
    let dev = Installation::shared();
    let can = |arguments: &[&str]| dev.tabard(&[&["can", "demo-billing"], arguments].concat());
    assert_eq!(can(&["invoices.read"]).code, Some(0));
    assert!(
        dev.billing(&["curl", "-s", "http://invoices.demo/v1/invoices"])
            .out
            .contains("inv_1")
    );
    let refused = can(&["payroll.salaries", "payroll", "--no-args"]);
    assert_eq!(refused.code, Some(3), "{}", refused.out);
    assert!(refused.out.contains("ACTION_NOT_GRANTED") && refused.out.contains("demo-billing.yaml:"));
    assert!(
        dev.billing(&["curl", "-s", "http://payroll.demo/v1/salaries"])
            .out
            .contains("ACTION_NOT_GRANTED")
    );
    // Another tenant's data, and an argument out of its range.
    assert!(
        can(&["invoices.read", "--tenant", "globex"])
            .out
            .contains("TENANT_BOUNDARY")
    );
    let month = |month: &str| dev.tabard(&["can", "demo-reporter", "payroll.totals", "--arg", month]);
    assert_eq!(
        (month("month=3").code, month("month=13").code),
        (Some(0), Some(3))
    );
    assert!(month("month=13").out.contains("ARGUMENT_OUT_OF_RANGE"));
    let child = [
        "can",
        "demo-reporter",
        "payroll.totals",
        "--arg",
        "month=3",
        "--caller",
        "child",
    ];
    assert!(dev.tabard(&child).out.contains("CHILD_NOT_ALLOWED"));

    let who = dev.json(&["who-can", "payroll.totals"]);
    let agents: Vec<&str> = who
        .as_array()
        .unwrap()
        .iter()
        .filter_map(|it| it["agent"].as_str())
        .collect();
    assert_eq!(agents, ["demo-reporter"]);
    let reach = dev.json(&["blast-radius", "demo-billing"]);
    let cells = reach["cells"].as_array().unwrap();
    assert!(
        cells
            .iter()
            .all(|cell| cell["service"] == "invoices" && cell["refused"] == serde_json::json!([]))
    );
    assert_eq!(
        (&reach["tenants"], &reach["ways_out"]),
        (&serde_json::json!(["acme-eu"]), &serde_json::json!([]))
    );
}

#[test]
fn nobody_inside_a_run_foresees_anything() {
    let dev = Installation::shared();
    for asked in [
        "can demo-billing invoices.read",
        "who-can invoices.read",
        "blast-radius demo-billing",
    ] {
        let ended = dev.billing(&["sh", "-c", &format!("exec 2>&1; {}", dev.tabard_within(asked))]);
        assert!(ended.out.contains("ADMIN_INSIDE_RUN"), "{asked}: {}", ended.out);
    }
}
