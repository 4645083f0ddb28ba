//! Nothing that runs on the host approves anything: not the owner's own shell, and nothing inside a run.

use super::home::Ended;
use super::installation::Installation;
use serde_json::Value;
use std::io::{BufRead as _, BufReader};
use std::process::{Child, ChildStdout};
use std::time::Duration;

const REFUND: &str = "http://invoices.demo/v1/invoices/inv_1/refund";
/// Longer than the test.
const LIFE: Duration = Duration::from_mins(2);

/// An agent that gives back 43 euros, tries to approve something, and asks for 120 euros once a second.
struct Agent {
    child: Child,
    lines: std::io::Lines<BufReader<ChildStdout>>,
}

impl Agent {
    fn start(dev: &Installation) -> Self {
        let socket = dev.data().join("run/admin.sock");
        let ask = |amount: u32| {
            format!(
                "curl -s -H content-type:application/json -d {{\\\"amount_minor\\\":{amount}}} {REFUND}; echo"
            )
        };
        let vote = format!(
            "curl -s -m 10 --unix-socket {} -d {{}} http://x/v1/approvals/apr_x/vote; echo",
            socket.display()
        );
        let script = format!(
            "{}; {vote}; while :; do {}; sleep 1; done",
            ask(4300),
            ask(12_000)
        );
        let mut run = dev.home.command_within(LIFE, &dev.home.tabard);
        run.args(["-q", "run", "--as", "demo-refunds", "--", "sh", "-c", &script]);
        let mut child = run.spawn().unwrap();
        let lines = BufReader::new(child.stdout.take().unwrap()).lines();
        Self { child, lines }
    }
    /// The next answer.
    fn hears(&mut self) -> Value {
        let line = self.lines.next().expect("the agent ended").unwrap();
        serde_json::from_str(&line).unwrap_or_else(|_| panic!("{line}"))
    }
}

impl Drop for Agent {
    fn drop(&mut self) {
        // Its run ends with it.
        drop(self.child.kill());
        drop(self.child.wait());
    }
}

#[test]
fn nothing_is_approved_over_the_socket_or_from_inside_a_run() {
    let dev = Installation::start();
    let mut agent = Agent::start(&dev);
    let small = agent.hears();
    assert_eq!(small["refunded_minor"], 4300, "{small:#}");
    let inside = agent.hears();
    assert_eq!(inside["code"], "ADMIN_INSIDE_RUN", "{inside:#}");
    let refused = agent.hears();
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
    let curl = ["-s", "-m", "10", "--unix-socket", &socket, "-d", &vote, &url];
    let owner = Ended::of(dev.home.command("curl").args(curl).spawn().unwrap()).ok();
    assert!(owner.contains("APPROVER_INELIGIBLE"), "{owner}");
    dev.recorded("admin.refused", &["APPROVER_INELIGIBLE"]);

    // It still waits, under the same id, and does not pass.
    let again = agent.hears();
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
    let anew = std::iter::repeat_with(|| agent.hears()["approval"]["id"].clone())
        .take(30)
        .find(|it| *it != id.as_str());
    assert!(anew.is_some(), "it was not asked for anew");
}
