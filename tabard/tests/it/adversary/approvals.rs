//! Nothing that runs on the host approves anything: not the owner's own shell, and nothing inside a run.

use super::home::Ended;
use super::installation::Installation;
use serde_json::Value;

const REFUND: &str = "http://invoices.demo/v1/invoices/inv_1/refund";

/// Gives back so many cents; more than 50 euros is more than the agent may alone.
fn asks(dev: &Installation, task: &str, amount: u32) -> Value {
    let body = format!("{{\"amount_minor\":{amount}}}");
    let refused = run(
        dev,
        task,
        &[
            "curl",
            "-s",
            "-H",
            "content-type: application/json",
            "-d",
            &body,
            REFUND,
        ],
    );
    serde_json::from_str(&refused.ok()).unwrap()
}

fn run(dev: &Installation, task: &str, command: &[&str]) -> Ended {
    dev.tabard(
        &[
            &["-q", "run", "--as", "demo-refunds", "--task", task, "--"],
            command,
        ]
        .concat(),
    )
}

#[test]
fn nothing_is_approved_over_the_socket_or_from_inside_a_run() {
    let dev = Installation::start();
    let task = dev.json(&["task", "open", "demo-refunds", "--tenant", "acme-eu"])["id"]
        .as_str()
        .unwrap()
        .to_owned();
    let small = asks(&dev, &task, 4300);
    assert_eq!(small["refunded_minor"], 4300, "{small:#}");
    let refused = asks(&dev, &task, 12_000);
    assert_eq!(refused["code"], "NEEDS_APPROVAL", "{refused:#}");
    let id = refused["approval"]["id"].as_str().unwrap().to_owned();

    // The command shows it, approves nothing, and says by its exit code that it waits.
    let shown = dev.tabard(&["-o", "json", "approve", &id, "--no-browser"]);
    assert_eq!(shown.code, Some(4), "{shown:?}");
    let shown: Value = serde_json::from_str(&shown.out).unwrap();
    assert_eq!(shown["arguments"]["amount_minor"], 12_000);
    let digest = shown["digest"].as_str().unwrap();

    let socket = dev.data().join("run/admin.sock").display().to_string();
    let vote = format!("{{\"approve\":true,\"digest\":\"{digest}\"}}");
    let url = format!("http://x/v1/approvals/{id}/vote");
    let curl = [
        "curl",
        "-s",
        "-m",
        "10",
        "--unix-socket",
        &socket,
        "-d",
        &vote,
        &url,
    ];
    let owner = Ended::of(dev.home.command(curl[0]).args(&curl[1..]).spawn().unwrap()).ok();
    assert!(owner.contains("APPROVER_INELIGIBLE"), "{owner}");
    dev.recorded("admin.refused", &["APPROVER_INELIGIBLE"]);
    let inside = run(&dev, &task, &curl).out;
    assert!(inside.contains("ADMIN_INSIDE_RUN"), "{inside}");

    // It still waits, under the same id, and does not pass.
    let again = asks(&dev, &task, 12_000);
    assert_eq!(again["approval"]["id"], id.as_str(), "{again:#}");
    assert_eq!(dev.entries("approval.requested").len(), 1);
    assert!(dev.entries("approval.used").is_empty());

    // The story of the refusal has it.
    let story = dev
        .tabard(&["explain", refused["decision"].as_str().unwrap()])
        .ok();
    assert!(
        story.starts_with("NEEDS APPROVAL") && story.contains("approval.requested"),
        "{story}"
    );

    dev.tabard(&["approval", "withdraw", &id]).ok();
    let anew = asks(&dev, &task, 12_000);
    assert_ne!(anew["approval"]["id"], id.as_str(), "{anew:#}");
}
