//! Processes that are stopped (SIGSTOP) and go on later: connections stay open and nothing comes.

use super::installation::Apart;
use super::upstream::ANSWER;
use crate::adversary::home::Ended;
use std::io::{BufRead as _, BufReader, Lines, Write as _};
use std::process::{Child, ChildStdin, ChildStdout, Stdio};
use std::time::{Duration, Instant};

/// A gateway that hears nothing for 3 s closes; the rest is the time of a busy machine.
const CLOSES: Duration = Duration::from_secs(3);
const OPENS: Duration = Duration::from_secs(10);

/// A run that calls when it is told to, and says the code of the answer.
struct Caller {
    run: Child,
    go: ChildStdin,
    answers: Lines<BufReader<ChildStdout>>,
}

impl Caller {
    fn start(apart: &Apart) -> Self {
        let script = "while read go; do curl -s --max-time 3 -o body -w '%{http_code} %{exitcode} ' \
                      http://invoices.demo/v1/invoices; cat body 2>/dev/null | tr '\\n' ' '; echo; rm -f body; done";
        let mut launch = apart.home.command(&apart.home.tabard);
        launch.args(["run", "--as", "demo-billing", "--", "sh", "-c", script]);
        let mut run = launch.stdin(Stdio::piped()).spawn().unwrap();
        let go = run.stdin.take().unwrap();
        let answers = BufReader::new(run.stdout.take().unwrap()).lines();
        Self { run, go, answers }
    }

    /// One call: HTTP status, exit code of curl, and the body.
    fn call(&mut self) -> String {
        self.go.write_all(b"\n").unwrap();
        self.answers.next().unwrap().unwrap()
    }

    /// Calls until the answer contains `word`; how long that took.
    fn until(&mut self, word: &str, limit: Duration) -> Duration {
        let begun = Instant::now();
        loop {
            let answer = self.call();
            if answer.contains(word) {
                return begun.elapsed();
            }
            assert!(begun.elapsed() < limit, "no {word}, but {answer}");
            std::thread::sleep(Duration::from_millis(50));
        }
    }

    fn end(self) -> Ended {
        drop(self.go);
        Ended::of(self.run)
    }
}

#[test]
fn a_server_that_falls_silent_closes_the_gateway_and_one_that_speaks_again_opens_it() {
    let apart = Apart::whole();
    let mut caller = Caller::start(&apart);
    let first = caller.call();
    assert!(first.starts_with("200 0 ") && first.contains(ANSWER), "{first}");
    let server = apart.server.as_ref().unwrap();
    server.signal("STOP");
    let closed = caller.until("FEED_LOST", CLOSES + Duration::from_secs(2));
    println!("closed {closed:?} after the server was stopped");
    let answer = caller.call();
    assert!(answer.starts_with("503 0 "), "{answer}");
    server.signal("CONT");
    let opened = caller.until("200 0 ", OPENS);
    println!("open {opened:?} after it went on");
    caller.end().ok();
    apart.member_is("gateway", "follows");
}

#[test]
fn a_gateway_that_is_stopped_is_listed_as_not_told_and_refuses_when_it_goes_on() {
    let apart = Apart::whole();
    let mut caller = Caller::start(&apart);
    assert!(caller.call().starts_with("200 0 "));
    let gateway = apart.gateway.as_ref().unwrap();
    gateway.signal("STOP");
    let revoked = apart.json(&["revoke", "agent", "demo-billing"]);
    let pending = revoked["dead_at_next_check"].to_string();
    assert!(pending.contains(&apart.id("gateway")), "{pending}");
    let answer = caller.call();
    assert!(answer.starts_with("000 28 "), "{answer}");
    apart.member_is("gateway", "silent");
    gateway.signal("CONT");
    // Nothing gets through in between: first nobody was heard for 3 s, then the revocation is known.
    let begun = Instant::now();
    while begun.elapsed() < Duration::from_secs(3) {
        let answer = caller.call();
        assert!(!answer.starts_with("200"), "{answer}");
    }
    caller.until("401 0 ", OPENS);
    drop(caller.end());
}

#[test]
fn a_node_agent_that_is_stopped_gives_nothing_and_goes_on_where_it_was() {
    let apart = Apart::whole();
    let mut caller = Caller::start(&apart);
    assert!(caller.call().starts_with("200 0 "));
    let node = apart.node.as_ref().unwrap();
    node.signal("STOP");
    // A call of a run waits for as long as its client wants, and ends there.
    let answer = caller.call();
    assert!(answer.starts_with("000 28 "), "{answer}");
    // A launch says that nobody answers.
    let begun = Instant::now();
    // Into a file: its descriptors are on their way to the node agent, which would hold a pipe open.
    let tabard = apart.home.tabard.display().to_string();
    let launch = apart.shell(&format!(
        "{tabard} run --as demo-billing -- true >said 2>&1; echo ended $?; cat said"
    ));
    assert!(launch.out.contains("ended 116"), "{}", launch.out);
    assert!(launch.out.contains("does not answer"), "{}", launch.out);
    assert!(begun.elapsed() < Duration::from_secs(30));
    // The server sees it, and a revocation says who has not heard of it.
    apart.member_is("node", "silent");
    let revoked = apart.json(&["revoke", "agent", "demo-billing"]);
    let pending = revoked["dead_at_next_check"].to_string();
    assert!(pending.contains(&apart.id("node")), "{pending}");
    assert!(!pending.contains(&apart.id("gateway")), "{pending}");
    node.signal("CONT");
    apart.member_is("node", "follows");
    let answer = caller.call();
    assert!(
        answer.starts_with("401 0 ") || answer.starts_with("403 0 "),
        "{answer}"
    );
    drop(caller.end());
    apart.tabard(&["resume", "agent", "demo-billing"]).ok();
    assert_eq!(apart.run("curl -s http://invoices.demo/v1/invoices").ok(), ANSWER);
}
