//! A node agent on this machine, and what users of it do.

use crate::server::TestServer;
use bytes::Bytes;
use http::{Request, Response, StatusCode};
use hyper::body::Incoming;
use peer::{ExecutableDigests, Listener};
use std::os::unix::fs::PermissionsExt;
use std::os::unix::process::CommandExt;
use std::path::{Path, PathBuf};
use std::process::{Command, Output, Stdio};
use std::sync::Arc;
use std::time::Duration;
use tabard_node::identities::RunIdentities;
use tabard_node::launch::{Argv, Helper, Isolation, LaunchSpec, Launcher, Places};
use tabard_node::listener::{Body, Caller, Calls, answer};
use tabard_node::runs::{Run, Runs};
use tabard_node::workload_api;

/// Two users that are nobody else. Tests that need them say so when they are not run as root.
pub(crate) const ALICE: u32 = 47_101;
pub(crate) const BOB: u32 = 47_102;

/// Whether two users can be played; says why not.
pub(crate) fn can_play_users() -> bool {
    let root = rustix::process::geteuid().is_root();
    if !root {
        println!("skipped: playing two users needs root");
    }
    root
}

/// Answers each call with who made it.
pub(crate) struct Echo;

impl Calls for Echo {
    async fn call(&self, run: Arc<Run>, caller: Caller, request: Request<Incoming>) -> Response<Body> {
        let text = format!(
            "{} {:?} {} {} {}\n",
            run.agent,
            caller.kind,
            caller.process.executable.path.display(),
            request.method(),
            request.uri()
        );
        answer(StatusCode::OK, Bytes::from(text))
    }
}

pub(crate) struct Host {
    pub(crate) server: Arc<TestServer>,
    pub(crate) runs: Arc<Runs>,
    pub(crate) launch: PathBuf,
    pub(crate) workload: PathBuf,
    pub(crate) data: PathBuf,
    pub(crate) dir: tempfile::TempDir,
    tasks: tokio::task::JoinSet<()>,
}

/// A spec that lets root, Alice and Bob launch what `argv` covers.
pub(crate) fn spec(agent: &str, argv: Argv) -> LaunchSpec {
    LaunchSpec {
        agent: agent.parse().unwrap(),
        launchers: vec![0, rustix::process::geteuid().as_raw(), ALICE],
        argv,
        cwd: Some("/".into()),
        env_allow: vec!["GREETING".into(), "LD_PRELOAD".into(), "PYTHONPATH".into()],
        env: std::collections::BTreeMap::new(),
        measured: Vec::new(),
        isolation: Isolation::Optional,
        binds: Vec::new(),
        may_launch: Vec::new(),
    }
}

impl Host {
    pub(crate) fn start(specs: Vec<LaunchSpec>) -> Self {
        let dir = tempfile::tempdir_in("/var/tmp").unwrap();
        let open = |path: &Path, mode| {
            std::fs::set_permissions(path, std::fs::Permissions::from_mode(mode)).unwrap();
        };
        open(dir.path(), 0o755);
        let data = dir.path().join("data");
        std::fs::create_dir(&data).unwrap();
        std::fs::write(data.join("key"), "secret").unwrap();
        open(&data.join("key"), 0o644);
        let places = Places {
            workload_socket: dir.path().join("workload.sock"),
            launch_socket: dir.path().join("launch.sock"),
            runs: dir.path().join("runs"),
            secret: vec![data.clone()],
        };
        std::fs::create_dir(&places.runs).unwrap();
        // The supervisor lies where every user may execute it.
        let helper = dir.path().join("helper");
        std::fs::copy(env!("CARGO_BIN_EXE_launch-helper"), &helper).unwrap();
        let server = TestServer::new(specs);
        let runs = Arc::new(Runs::default());
        let launch = places.launch_socket.clone();
        let launcher = Arc::new(Launcher {
            authority: server.clone(),
            calls: Arc::new(Echo),
            runs: runs.clone(),
            digests: Arc::new(ExecutableDigests::default()),
            helper: Helper {
                program: helper,
                argument: "__launch".into(),
            },
            places: places.clone(),
        });
        let identities = Arc::new(RunIdentities {
            authority: server.clone(),
            runs: runs.clone(),
        });
        let mut tasks = tokio::task::JoinSet::new();
        let (api, asked) = (
            Listener::bind(&places.workload_socket).unwrap(),
            Listener::bind(&launch).unwrap(),
        );
        tasks.spawn(workload_api::serve(api, identities, std::future::pending()));
        tasks.spawn(launcher.serve(asked, std::future::pending()));
        Self {
            server,
            runs,
            launch,
            workload: places.workload_socket,
            data,
            dir,
            tasks,
        }
    }

    /// What `tabard run` does, as `uid`: in a process of its own, so that the kernel sees that user. Bounded in time.
    pub(crate) async fn run(&self, uid: u32, agent: &str, options: &[&str], argv: &[&str]) -> Output {
        let command = self.client(agent, options, argv);
        self.finish(uid, command).await
    }

    /// The command that `run` runs.
    pub(crate) fn client(&self, agent: &str, options: &[&str], argv: &[&str]) -> Command {
        let mut command = Command::new("/usr/bin/python3");
        command
            .args(["-I", "-c", CLIENT])
            .arg(&self.launch)
            .arg(agent)
            .args(options)
            .arg("--")
            .args(argv);
        command
    }

    /// Any other process of a user.
    pub(crate) async fn finish(&self, uid: u32, mut command: Command) -> Output {
        command
            .current_dir("/")
            .stdin(Stdio::null())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped());
        if rustix::process::geteuid().is_root() {
            command.uid(uid).gid(uid);
        }
        let child = command.process_group(0).spawn().unwrap();
        let group = rustix::process::Pid::from_child(&child);
        let waiting = tokio::task::spawn_blocking(move || child.wait_with_output().unwrap());
        let Ok(output) = tokio::time::timeout(Duration::from_secs(30), waiting).await else {
            rustix::process::kill_process_group(group, rustix::process::Signal::KILL).unwrap();
            panic!("not done within 30 seconds");
        };
        output.unwrap()
    }

    pub(crate) fn stop(mut self) {
        self.tasks.abort_all();
        drop(self.server.specs.lock().unwrap().drain());
    }
}

pub(crate) fn out(output: &Output) -> String {
    String::from_utf8_lossy(&output.stdout).into_owned()
}

pub(crate) fn err(output: &Output) -> String {
    String::from_utf8_lossy(&output.stderr).into_owned()
}

/// The launch protocol in a language that the test's own process does not speak for it: prints the story and refusals on
/// stderr and exits like the run.
const CLIENT: &str = r#"
import json, os, socket, struct, sys
path, agent, rest = sys.argv[1], sys.argv[2], sys.argv[3:]
cut = rest.index("--")
options, argv = rest[:cut], rest[cut + 1:]
env = [o.split("=", 1) for o in options if "=" in o]
ask = {"ask": "launch", "version": 1, "agent": agent, "argv": argv, "cwd": os.getcwd(), "env": env,
       "isolate": "isolate" in options, "quiet": "quiet" in options}
body = json.dumps(ask).encode()
s = socket.socket(socket.AF_UNIX)
s.connect(path)
socket.send_fds(s, [struct.pack(">I", len(body)) + body], [0, 1, 2])
f = s.makefile("rb")
while True:
    head = f.read(4)
    if len(head) < 4: sys.exit("hung up")
    told = json.loads(f.read(struct.unpack(">I", head)[0]))
    print(json.dumps(told), file=sys.stderr)
    if told["tell"] == "refused": sys.exit(123)
    if told["tell"] == "exited":
        ended = told["ended"]
        sys.exit(ended["code"] if isinstance(ended, dict) and "code" in ended else 100)
"#;
