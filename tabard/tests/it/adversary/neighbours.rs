//! Processes that are near a run: in it, beside it, and of another user.

use super::home::{Ended, can_isolate, owner, stranger};
use super::installation::Installation;
use std::io::{BufRead as _, BufReader, Write as _};
use std::process::{Command, Stdio};

#[test]
fn a_run_can_not_launch_a_run() {
    let dev = Installation::shared();
    let nested = dev.tabard_within("run --as demo-billing -- echo started");
    let ended = dev.billing(&["sh", "-c", &nested]);
    assert_eq!((ended.code, ended.out.as_str()), (Some(113), ""), "{}", ended.err);
    let refused = dev.recorded("identity.refused", &[&ended.decision()]);
    assert_eq!(
        refused["decision"]["reasons"],
        serde_json::json!(["TABARD-LAUNCH-003"])
    );
}

#[test]
fn a_process_in_a_run_is_no_administrator_though_it_has_the_administrators_uid() {
    let dev = Installation::shared();
    for command in [
        "status",
        "revoke agent demo-reporter",
        "resume agent demo-reporter",
        "audit query",
    ] {
        let ended = dev.billing(&["sh", "-c", &dev.tabard_within(command)]);
        assert_eq!(ended.code, Some(3), "{command}\n{}\n{}", ended.out, ended.err);
        assert!(ended.err.contains("ADMIN_INSIDE_RUN"), "{}", ended.err);
    }
    dev.recorded("refusals.counted", &["ADMIN_INSIDE_RUN"]);
    assert!(
        dev.entries("credential.revoked")
            .iter()
            .all(|entry| !entry.to_string().contains("demo-reporter"))
    );
}

#[test]
fn another_user_reaches_neither_the_sockets_nor_the_data() {
    let dev = Installation::shared();
    let data = dev.data();
    for socket in ["admin.sock", "launch.sock", "workload.sock"] {
        let Some(mut curl) = stranger("curl") else {
            return;
        };
        assert!(data.join("run").join(socket).exists());
        curl.args(["-sS", "-m", "5", "--unix-socket"])
            .arg(data.join("run").join(socket))
            .arg("http://x/v1/status");
        let ended = Ended::of(curl.spawn().unwrap());
        assert_eq!(
            (ended.code, ended.out.as_str()),
            (Some(7), ""),
            "{socket} {}",
            ended.err
        );
    }
    for file in [
        "d/server",
        "d/gateway",
        "d/run",
        "d.keep",
        "d.keep/dev.kek",
        ".config/tabard/contexts.toml",
    ] {
        let Some(mut look) = stranger("ls") else {
            return;
        };
        let file = dev.home.path().join(file);
        assert!(file.exists(), "{}", file.display());
        let ended = Ended::of(look.arg(&file).spawn().unwrap());
        // `ls` shows a folder's own name when it may only look at the folder, so the content is what counts.
        assert!(
            ended.code != Some(0) && ended.out.is_empty(),
            "{}: {}",
            file.display(),
            ended.out
        );
    }
}

/// Tells where its listener is, waits for a word, and calls.
const PATIENT: &str =
    "echo $http_proxy; echo $TABARD_HTTP_SOCKET; read go; curl -s http://invoices.demo/v1/invoices/inv_1";

/// A run that tells its proxy and its socket, and then does what it is told.
struct Waiting {
    run: std::process::Child,
    out: BufReader<std::process::ChildStdout>,
    proxy: String,
    socket: String,
}

impl Waiting {
    fn launch(dev: &Installation, then: &str) -> Self {
        let script = format!("echo $http_proxy; echo $TABARD_HTTP_SOCKET; read other; {then}");
        let mut launch = dev.home.command(&dev.home.tabard);
        launch
            .args(["run", "--as", "demo-billing", "--", "sh", "-c", &script])
            .stdin(Stdio::piped());
        let mut run = launch.spawn().unwrap();
        let mut out = BufReader::new(run.stdout.take().unwrap());
        let mut line = || {
            let mut line = String::new();
            out.read_line(&mut line).unwrap();
            line.trim_end().to_owned()
        };
        let (proxy, socket) = (line(), line());
        Self {
            run,
            out,
            proxy,
            socket,
        }
    }

    /// Gives it a line, and waits for all that it says.
    fn told(mut self, line: &str) -> (String, Ended) {
        let mut stdin = self.run.stdin.take().unwrap();
        stdin.write_all(format!("{line}\n").as_bytes()).unwrap();
        drop(stdin);
        let mut text = String::new();
        std::io::Read::read_to_string(&mut self.out, &mut text).unwrap();
        (text, Ended::of(self.run))
    }
}

fn task_of(ended: &Ended) -> String {
    let mut words = ended.err.split_whitespace();
    words.find(|word| word.starts_with("task_")).unwrap().to_owned()
}

#[test]
fn a_run_can_not_call_in_the_name_of_another_run_of_the_same_agent() {
    let dev = Installation::shared();
    let call = "curl -s http://invoices.demo/v1/invoices/inv_1";
    let victim = Waiting::launch(&dev, call);
    // Its agent, its uid, another task: through the other's listener, in both of its forms, then through its own.
    let ways = format!(
        "curl -sS -m 5 -x ${{other% *}} http://invoices.demo/v1/invoices; echo; \
         curl -sS -m 5 --noproxy '*' --unix-socket ${{other#* }} http://invoices.demo/v1/invoices; echo; {call}"
    );
    let thief = Waiting::launch(&dev, &ways);
    let (said, ended) = thief.told(&format!("{} {}", victim.proxy, victim.socket));
    let lines: Vec<&str> = said.lines().collect();
    assert_eq!(said.matches("inv_1").count(), 1, "{said}\n{}", ended.err);
    assert!(lines.last().unwrap().contains("inv_1"), "{said}");
    assert!(said.contains("TABARD-CALL-001"), "{said}\n{}", ended.err);
    let thiefs = task_of(&ended);
    let (said, ended) = victim.told("go");
    assert!(said.contains("inv_1"), "{said}\n{}", ended.err);
    let victims = task_of(&ended);
    assert_ne!(thiefs, victims);
    for task in [thiefs, victims] {
        dev.recorded("gateway.call", &[&task]);
        let calls = dev.entries("gateway.call");
        let calls = calls.iter().filter(|entry| entry.to_string().contains(&task));
        assert_eq!(calls.count(), 1, "one call of each run, in its own name");
    }
    dev.recorded("refusals.counted", &["TABARD-CALL-001"]);
}

#[test]
fn a_runs_listener_serves_nobody_else_whatever_the_uid() {
    let dev = Installation::shared();
    let mut launch = dev.home.command(&dev.home.tabard);
    launch
        .args(["run", "--as", "demo-billing", "--", "sh", "-c", PATIENT])
        .stdin(Stdio::piped());
    let mut run = launch.spawn().unwrap();
    let mut out = BufReader::new(run.stdout.take().unwrap());
    let mut line = || {
        let mut line = String::new();
        out.read_line(&mut line).unwrap();
        line.trim_end().to_owned()
    };
    let (proxy, socket) = (line(), line());
    let steal = |mut curl: Command| {
        curl.args(["-sS", "-m", "5", "http://invoices.demo/v1/invoices"]);
        let ended = Ended::of(curl.spawn().unwrap());
        let told = ended.out.is_empty() || ended.out.contains("TABARD-CALL-001");
        assert!(
            told && !ended.out.contains("inv_"),
            "{}\n{}",
            ended.out,
            ended.err
        );
    };
    for owner in [true, false] {
        let thief = || {
            if owner {
                Some(dev.home.command("curl"))
            } else {
                stranger("curl")
            }
        };
        let (Some(mut by_tcp), Some(mut by_unix)) = (thief(), thief()) else {
            continue;
        };
        by_tcp.args(["-x", &proxy]);
        by_unix.args(["--unix-socket", &socket]);
        steal(by_tcp);
        steal(by_unix);
    }
    run.stdin.take().unwrap().write_all(b"go\n").unwrap();
    assert_eq!(line(), r#"{"id":"inv_1","amount_minor":12900,"currency":"EUR"}"#);
    let ended = Ended::of(run);
    let task = ended
        .err
        .split_whitespace()
        .find(|word| word.starts_with("task_"))
        .unwrap();
    // Counted by uid and second, so that nobody can fill the record by connecting.
    let uid = owner();
    let counted = dev.recorded(
        "refusals.counted",
        &["TABARD-CALL-001", &format!("uid {uid} at run_")],
    );
    assert!(counted["who"]["node"].is_string(), "{counted:#}");
    // Only the run's own call was made in its name.
    dev.recorded("gateway.call", &[task]);
    let calls = dev
        .entries("gateway.call")
        .iter()
        .filter(|entry| entry.to_string().contains(task))
        .count();
    assert_eq!(calls, 1);
}

#[test]
fn what_is_executed_after_binding_calls_as_a_child() {
    let dev = Installation::shared();
    let ended = dev.billing(&[
        "sh",
        "-c",
        "sleep 0.2; exec curl -s http://invoices.demo/v1/invoices",
    ]);
    let task = ended
        .err
        .split_whitespace()
        .find(|word| word.starts_with("task_"))
        .unwrap()
        .to_owned();
    assert!(ended.ok().contains("inv_1"));
    let call = dev.recorded("gateway.call", &[&task]);
    let caller = &call["who"]["caller"];
    assert_eq!(caller["kind"], "child", "{call:#}");
    assert!(caller["exe"].as_str().unwrap().ends_with("curl"), "{call:#}");
}

#[test]
fn an_agent_can_not_work_on_the_task_of_another() {
    let dev = Installation::shared();
    if !can_isolate(&dev.home) {
        return;
    }
    let mut launch = dev.home.command(&dev.home.tabard);
    launch
        .args(["run", "--as", "demo-billing", "--", "sh", "-c", "read go"])
        .stdin(Stdio::piped());
    let mut run = launch.spawn().unwrap();
    let mut story = BufReader::new(run.stderr.take().unwrap())
        .lines()
        .map_while(Result::ok);
    let named = |line: String| {
        line.split_whitespace()
            .find(|word| word.starts_with("task_"))
            .map(str::to_owned)
    };
    let task = story.find_map(named).unwrap();
    let argv = dev.reporter();
    let mut thief = vec!["run", "--as", "demo-reporter", "--isolate", "--task", &task, "--"];
    thief.extend(argv.iter().map(String::as_str));
    let refused = dev.tabard(&thief);
    assert_eq!(
        (refused.code, refused.out.as_str()),
        (Some(113), ""),
        "{}",
        refused.err
    );
    dev.recorded(
        "run.refused",
        &[&refused.decision(), "TASK_NOT_OPEN", "demo-reporter"],
    );
    // It was open: the run still works on it.
    assert!(run.try_wait().unwrap().is_none());
    drop(run.stdin.take());
    run.wait().unwrap();
}
