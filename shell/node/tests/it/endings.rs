//! How runs end: by a signal, with their launcher, with their supervisor; and who can reach into them until then.

use crate::host::{ALICE, BOB, Host, can_play_users, err, out, spec};
use std::path::PathBuf;
use std::process::Command;
use std::sync::Arc;
use std::time::Duration;
use tabard_node::authority::Ended;
use tabard_node::launch::client::{self, Outcome};
use tabard_node::launch::{Argv, Launch};
use tabard_node::runs::Run;

fn me() -> u32 {
    rustix::process::geteuid().as_raw()
}

fn launch(argv: &[&str]) -> Launch {
    Launch {
        version: 1,
        agent: "demo".parse().unwrap(),
        argv: argv.iter().map(ToString::to_string).collect(),
        cwd: "/".into(),
        env: Vec::new(),
        isolate: false,
        quiet: false,
        task: tabard_node::launch::TaskWish::default(),
    }
}

/// The first run, as soon as it executes its program.
async fn running(host: &Host) -> Arc<Run> {
    for _ in 0..500 {
        if let Some(run) = host.runs.all().into_iter().find(|run| run.is_intact()) {
            return run;
        }
        tokio::time::sleep(Duration::from_millis(10)).await;
    }
    panic!("nothing runs after five seconds");
}

async fn gone(run: &Run) {
    for _ in 0..1000 {
        if !run.process.is_alive() {
            return;
        }
        tokio::time::sleep(Duration::from_millis(10)).await;
    }
    panic!("still running after ten seconds");
}

#[tokio::test(flavor = "multi_thread")]
async fn the_command_line_hears_the_story_and_passes_signals_on() {
    let host = Host::start(vec![spec("demo", Argv::Free)]);
    let socket = host.launch.clone();
    let mut told = Vec::new();
    let outcome = tokio::task::spawn_blocking(move || {
        let stop = |signals: client::Signals| {
            std::thread::spawn(move || {
                std::thread::sleep(Duration::from_millis(700));
                signals.send(15).unwrap();
            });
        };
        let ask = launch(&[
            "/bin/sh",
            "-c",
            "trap 'exit 9' TERM; while :; do sleep 0.05; done",
        ]);
        client::run(&socket, ask, stop, |line| told.push(line)).map(|outcome| (outcome, told))
    });
    let (outcome, told) = outcome.await.unwrap().unwrap();
    assert_eq!(outcome, Outcome::Ended(Ended::Code(9)));
    assert_eq!(told.len(), 3);
    let nobody = client::run(&PathBuf::from("/nowhere/s"), launch(&["/bin/true"]), drop, drop);
    assert!(nobody.unwrap_err().to_string().contains("tabard dev"));
    host.stop();
}

#[tokio::test(flavor = "multi_thread")]
async fn a_run_ends_with_its_launcher() {
    let host = Host::start(vec![spec("demo", Argv::Free)]);
    let mut launcher = host
        .client("demo", &["quiet"], &["/bin/sleep", "300"])
        .spawn()
        .unwrap();
    let run = running(&host).await;
    launcher.kill().unwrap();
    launcher.wait().unwrap();
    gone(&run).await;
    host.stop();
}

#[tokio::test(flavor = "multi_thread")]
async fn killing_the_supervisor_ends_the_run_and_frees_nobody() {
    let host = Host::start(vec![spec("demo", Argv::Free)]);
    // The agent kills its own supervisor, which runs with its uid; its daemon then asks for an identity and a launch.
    let script = "(setsid sleep 300 &) ; sleep 0.5; kill -9 $PPID; sleep 300";
    let argv = ["/bin/sh", "-c", script];
    let end = async {
        let run = running(&host).await;
        gone(&run).await;
    };
    let (done, ()) = tokio::join!(host.run(me(), "demo", &["quiet"], &argv), end);
    assert_eq!(done.status.code(), Some(100), "{}", err(&done));
    assert!(err(&done).contains("lost"), "{}", err(&done));
    assert!(matches!(
        host.server.closed.lock().unwrap()[..],
        [(_, Ended::Lost)]
    ));
    // From now on a child of the node agent may be such a daemon: it is inside of something, and launches nothing.
    let after = host.run(me(), "demo", &[], &["/bin/true"]).await;
    assert!(err(&after).contains("TABARD-LAUNCH-003"), "{}", err(&after));
    host.stop();
}

#[tokio::test(flavor = "multi_thread")]
async fn another_process_of_the_same_user_can_not_look_into_a_sealed_run() {
    if !can_play_users() {
        return;
    }
    let host = Host::start(vec![spec("demo", Argv::Free)]);
    for (options, seen) in [(&["quiet"][..], "open"), (&["quiet", "isolate"], "closed")] {
        let look = async {
            let run = running(&host).await;
            let mut command = Command::new("/bin/sh");
            let file = format!("/proc/{}/mem", run.process.pid().as_raw_nonzero());
            command.args([
                "-c",
                &format!("(: < {file}) 2>/dev/null && echo open || echo closed"),
            ]);
            host.finish(ALICE, command).await
        };
        let (_, looked) = tokio::join!(host.run(ALICE, "demo", options, &["/bin/sleep", "1.5"]), look);
        assert_eq!(out(&looked).trim(), seen, "{options:?}");
    }
    let own = host.run(BOB, "demo", &[], &["/bin/true"]).await;
    assert!(err(&own).contains("TABARD-LAUNCH-002"));
    host.stop();
}
