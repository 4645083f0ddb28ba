//! Launching: who may, what runs, what passes, what is bound, and what is left at the end.

use crate::host::{ALICE, BOB, Host, can_play_users, err, out, spec};
use broker::unidentified::{OUTSIDE_RUN, Source};
use std::process::Command;
use tabard_node::authority::Ended;
use tabard_node::launch::{Argv, Isolation};

fn words(words: &[&str]) -> Vec<String> {
    words.iter().map(ToString::to_string).collect()
}

fn me() -> u32 {
    rustix::process::geteuid().as_raw()
}

#[tokio::test(flavor = "multi_thread")]
async fn a_launched_program_gets_its_streams_and_its_exit_code_comes_back() {
    let host = Host::start(vec![spec("demo", Argv::Free)]);
    let done = host
        .run(me(), "demo", &[], &["/bin/sh", "-c", "echo hello; exit 7"])
        .await;
    assert_eq!(
        (out(&done).as_str(), done.status.code()),
        ("hello\n", Some(7)),
        "{}",
        err(&done)
    );
    assert!(err(&done).contains("attested") && err(&done).contains("spiffe://test.tabard/acme/agent/demo"));
    assert!(matches!(
        host.server.closed.lock().unwrap()[..],
        [(_, Ended::Code(7))]
    ));
    let killed = host
        .run(me(), "demo", &["quiet"], &["/bin/sh", "-c", "kill -9 $$"])
        .await;
    assert_eq!(killed.status.code(), Some(100));
    assert!(err(&killed).contains("\"signal\": 9") && !err(&killed).contains("attested"));
    assert!(host.runs.all().is_empty());
    host.stop();
}

#[tokio::test(flavor = "multi_thread")]
async fn what_was_measured_is_what_runs() {
    let host = Host::start(vec![spec("demo", Argv::Free)]);
    let script = host.dir.path().join("agent.sh");
    std::fs::write(&script, "#!/bin/sh\nreadlink /proc/$$/exe\n").unwrap();
    std::fs::set_permissions(&script, std::os::unix::fs::PermissionsExt::from_mode(0o755)).unwrap();
    let done = host
        .run(me(), "demo", &["quiet"], &[script.to_str().unwrap()])
        .await;
    let shell = std::fs::canonicalize("/bin/sh").unwrap();
    assert_eq!(out(&done).trim(), shell.to_str().unwrap(), "{}", err(&done));
    let opened = host.server.opened.lock().unwrap()[0].clone();
    assert_eq!(opened.evidence.script.unwrap().path, script);
    assert!(!opened.evidence.pinned);
    host.stop();
}

#[tokio::test(flavor = "multi_thread")]
async fn code_loading_variables_and_keys_do_not_reach_the_program() {
    let host = Host::start(vec![spec("demo", Argv::Free)]);
    let offered = [
        "quiet",
        "GREETING=hi",
        "LD_PRELOAD=/x.so",
        "PYTHONPATH=/x",
        "AWS_SECRET_ACCESS_KEY=k",
        "PATH=/x",
    ];
    let done = host.run(me(), "demo", &offered, &["/usr/bin/env"]).await;
    let env = out(&done);
    assert!(env.contains("GREETING=hi\n"), "{env}{}", err(&done));
    assert!(env.contains("SPIFFE_ENDPOINT_SOCKET=unix:///"));
    for absent in ["LD_PRELOAD", "PYTHONPATH", "AWS_SECRET", "PATH=/x"] {
        assert!(!env.contains(absent), "{absent}");
    }
    host.stop();
}

#[tokio::test(flavor = "multi_thread")]
async fn only_descriptors_0_1_and_2_are_open() {
    let host = Host::start(vec![spec("demo", Argv::Free)]);
    let done = host
        .run(me(), "demo", &["quiet"], &["/bin/ls", "/proc/self/fd"])
        .await;
    assert_eq!(
        out(&done),
        "0\n1\n2\n3\n",
        "3 is the directory that ls reads; {}",
        err(&done)
    );
    let limits = host
        .run(
            me(),
            "demo",
            &["quiet"],
            &["/bin/grep", "-E", "NoNewPrivs|SigIgn", "/proc/self/status"],
        )
        .await;
    let limits = out(&limits);
    assert!(limits.contains("NoNewPrivs:\t1\n"), "{limits}");
    let ignored = limits
        .lines()
        .find_map(|line| line.strip_prefix("SigIgn:\t"))
        .unwrap();
    // 32 and 33 belong to the C library, which lets nobody touch them.
    assert_eq!(
        u64::from_str_radix(ignored, 16).unwrap() & 0x7fff_ffff,
        0,
        "{limits}"
    );
    host.stop();
}

#[tokio::test(flavor = "multi_thread")]
async fn launches_that_the_spec_does_not_cover_are_refused_with_a_fix() {
    let mut pinned = spec("pinned", Argv::Prefix(words(&["/bin/echo", "ok"])));
    pinned.launchers = vec![ALICE, me()];
    let mut others = spec("others", Argv::Free);
    others.launchers = vec![BOB];
    let host = Host::start(vec![pinned, others]);
    for (agent, argv, code) in [
        ("unknown", vec!["/bin/true"], "TABARD-LAUNCH-001"),
        ("others", vec!["/bin/true"], "TABARD-LAUNCH-002"),
        ("pinned", vec!["/bin/sh", "-c", "evil"], "TABARD-LAUNCH-004"),
    ] {
        let done = host.run(me(), agent, &[], &argv).await;
        assert_eq!(done.status.code(), Some(123), "{agent}");
        assert!(
            err(&done).contains(code) && err(&done).contains("dec_"),
            "{}",
            err(&done)
        );
        assert_eq!(host.server.last_refusal().code, code);
    }
    let done = host
        .run(me(), "pinned", &["quiet"], &["/bin/echo", "ok", "more"])
        .await;
    assert_eq!(out(&done), "ok more\n", "{}", err(&done));
    assert!(host.server.opened.lock().unwrap()[0].evidence.pinned);
    host.stop();
}

#[tokio::test(flavor = "multi_thread")]
async fn a_root_node_agent_launches_as_the_launching_user_and_nobody_else() {
    if !can_play_users() {
        return;
    }
    let host = Host::start(vec![spec("demo", Argv::Free)]);
    let done = host.run(ALICE, "demo", &["quiet"], &["/usr/bin/id"]).await;
    let id = out(&done);
    assert!(
        id.starts_with(&format!("uid={ALICE} gid={ALICE}")) && !id.contains("root"),
        "{id}{}",
        err(&done)
    );
    let refused = host.run(BOB, "demo", &[], &["/usr/bin/id"]).await;
    assert!(err(&refused).contains("TABARD-LAUNCH-002"), "{}", err(&refused));
    host.stop();
}

/// Asks for an X.509-SVID with nothing but sockets: enough HTTP/2 to see the gRPC status.
const ASK: &str = r#"
import os, socket, struct, sys
path = os.environ.get("SPIFFE_ENDPOINT_SOCKET", "unix://" + (sys.argv[1] if len(sys.argv) > 1 else ""))[7:]
def lit(k, v): return b"\x00" + bytes([len(k)]) + k + bytes([len(v)]) + v
def frame(t, f, s, p): return struct.pack(">I", len(p))[1:] + bytes([t, f]) + struct.pack(">I", s) + p
h = (lit(b":method", b"POST") + lit(b":scheme", b"http") + lit(b":path", b"/SpiffeWorkloadAPI/FetchX509SVID")
     + lit(b":authority", b"x%2Fy") + lit(b"content-type", b"application/grpc") + lit(b"te", b"trailers")
     + lit(b"workload.spiffe.io", b"true"))
s = socket.socket(fileno=int(os.environ["SOCK"])) if "SOCK" in os.environ else socket.socket(socket.AF_UNIX)
s.settimeout(10)
try:
    if "SOCK" not in os.environ: s.connect(path)
    s.sendall(b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n" + frame(4, 0, 0, b"") + frame(1, 4, 1, h) + frame(0, 1, 1, b"\0\0\0\0\0"))
    seen, said = b"", "cut off"
    while said == "cut off":
        got = s.recv(65536)
        if not got: break
        seen += got
        while len(seen) >= 9 and len(seen) >= 9 + int.from_bytes(seen[:3], "big"):
            n, kind, flags = int.from_bytes(seen[:3], "big"), seen[3], seen[4]
            if kind == 0 and b"spiffe://test.tabard/" in seen[9:9 + n]: said = "svid"
            if kind == 1 and flags & 1: said = "refused"
            seen = seen[9 + n:]
except OSError:
    said = "cut off"
print(said, flush=True)
"#;

fn python(code: &str) -> Vec<String> {
    words(&["/usr/bin/python3", "-I", "-c", code])
}

fn refs(argv: &[String]) -> Vec<&str> {
    argv.iter().map(String::as_str).collect()
}

#[tokio::test(flavor = "multi_thread")]
async fn the_bound_process_gets_an_identity_and_its_child_does_not() {
    let host = Host::start(vec![spec("demo", Argv::Free)]);
    let agent = python(ASK);
    let own = host.run(me(), "demo", &["quiet"], &refs(&agent)).await;
    assert_eq!(out(&own), "svid\n", "{}", err(&own));
    let parent = format!("import subprocess, sys; subprocess.run([sys.executable, '-I', '-c', {ASK:?}])");
    let child = host.run(me(), "demo", &["quiet"], &refs(&python(&parent))).await;
    assert_eq!(out(&child), "refused\n", "{}", err(&child));
    assert!(host.server.last_refusal().seen.contains("child within run"));
    host.stop();
}

#[tokio::test(flavor = "multi_thread")]
async fn a_sibling_and_another_user_get_no_identity() {
    let host = Host::start(vec![spec("demo", Argv::Free)]);
    let stranger = |uid| {
        let mut command = Command::new("/usr/bin/python3");
        command.args(["-I", "-c", ASK]).arg(&host.workload);
        host.finish(uid, command)
    };
    assert_eq!(out(&stranger(me()).await), "refused\n");
    assert!(
        host.server
            .last_refusal()
            .seen
            .contains("not launched by this node agent")
    );
    if can_play_users() {
        assert_eq!(out(&stranger(ALICE).await), "refused\n");
        assert_eq!(host.server.last_refusal().uid, ALICE);
    }
    host.stop();
}

#[tokio::test(flavor = "multi_thread")]
async fn executing_something_else_ends_the_binding() {
    let host = Host::start(vec![spec("demo", Argv::Free)]);
    let script = format!("exec /usr/bin/python3 -I -c '{ASK}'");
    let done = host
        .run(me(), "demo", &["quiet"], &["/bin/sh", "-c", &script])
        .await;
    assert_eq!(out(&done), "refused\n", "{}", err(&done));
    assert!(
        host.server
            .last_refusal()
            .seen
            .contains("executed another program")
    );
    host.stop();
}

#[tokio::test(flavor = "multi_thread")]
async fn a_child_with_the_agents_own_connection_is_cut_off() {
    let host = Host::start(vec![spec("demo", Argv::Free)]);
    let parent = format!(
        "import os, socket, subprocess, sys\n\
         s = socket.socket(socket.AF_UNIX); s.connect(os.environ['SPIFFE_ENDPOINT_SOCKET'][7:])\n\
         os.environ['SOCK'] = str(s.fileno())\n\
         subprocess.run([sys.executable, '-I', '-c', {ASK:?}], pass_fds=[s.fileno()])"
    );
    let done = host.run(me(), "demo", &["quiet"], &refs(&python(&parent))).await;
    assert_eq!(out(&done), "cut off\n", "{}", err(&done));
    host.stop();
}

#[tokio::test(flavor = "multi_thread")]
async fn a_revoked_instance_gets_nothing() {
    let host = Host::start(vec![spec("demo", Argv::Free)]);
    host.server.kill_all();
    let done = host.run(me(), "demo", &["quiet"], &refs(&python(ASK))).await;
    assert_eq!(out(&done), "refused\n", "{}", err(&done));
    assert!(host.server.last_refusal().seen.contains("revoked"));
    host.stop();
}

/// Daemonises (two forks, a new session, its parent gone) and then does something.
fn daemon(then: &str) -> Vec<String> {
    python(&format!(
        "import os, sys, time\n\
         r, w = os.pipe()\n\
         if os.fork() == 0:\n\
        \x20   os.setsid()\n\
        \x20   if os.fork(): os._exit(0)\n\
        \x20   time.sleep(0.2)\n\
        \x20   {then}\n\
        \x20   os.write(w, b'x'); os._exit(0)\n\
         os.wait(); os.close(w); os.read(r, 1)"
    ))
}

#[tokio::test(flavor = "multi_thread")]
async fn a_run_can_not_launch_another_run_not_even_from_a_daemon() {
    let mut first = spec("first", Argv::Free);
    let second = spec("second", Argv::Free);
    let ask = |launch: &std::path::Path| {
        format!(
            "import json, socket, struct; b = json.dumps({{'ask': 'launch', 'version': 1, 'agent': 'second', 'argv': ['/bin/echo', 'started'], 'cwd': '/', 'env': [], 'isolate': False, 'quiet': True}}).encode(); s = socket.socket(socket.AF_UNIX); s.connect({:?}); socket.send_fds(s, [struct.pack('>I', len(b)) + b], [0, 1, 2]); print(s.makefile('rb').read().decode(errors='replace'), flush=True)",
            launch.display().to_string()
        )
    };
    let host = Host::start(vec![first.clone(), second]);
    let direct = host
        .run(me(), "first", &["quiet"], &refs(&python(&ask(&host.launch))))
        .await;
    assert!(
        out(&direct).contains("TABARD-LAUNCH-003"),
        "{}{}",
        out(&direct),
        err(&direct)
    );
    let daemon = host
        .run(me(), "first", &["quiet"], &refs(&daemon(&ask(&host.launch))))
        .await;
    assert!(
        out(&daemon).contains("TABARD-LAUNCH-003"),
        "{}{}",
        out(&daemon),
        err(&daemon)
    );
    first.may_launch = vec!["second".parse().unwrap()];
    host.server
        .specs
        .lock()
        .unwrap()
        .insert(first.agent.clone(), first);
    let allowed = host
        .run(me(), "first", &["quiet"], &refs(&python(&ask(&host.launch))))
        .await;
    assert!(
        out(&allowed).contains("started"),
        "{}{}",
        out(&allowed),
        err(&allowed)
    );
    host.stop();
}

#[tokio::test(flavor = "multi_thread")]
async fn an_isolated_run_launches_only_what_is_listed_pinned_and_isolated_as_well() {
    let mut first = spec("first", Argv::Free);
    first.may_launch = vec!["second".parse().unwrap(), "free".parse().unwrap()];
    // Says whether it sees what only the host has.
    let look = [
        "/bin/sh",
        "-c",
        "echo launched; ls /proc | grep -c '^[0-9]'; ls /var/tmp | wc -l",
    ];
    let second = spec("second", Argv::Exact(look.map(str::to_owned).to_vec()));
    let ask = |agent: &str| {
        format!(
            "import json, os, socket, struct; b = json.dumps({{'ask': 'launch', 'version': 1, 'agent': {agent:?}, 'argv': {look:?}, 'cwd': '/', 'env': [], 'isolate': False, 'quiet': True}}).encode(); s = socket.socket(socket.AF_UNIX); s.connect(os.environ['TABARD_LAUNCH_SOCKET']); socket.send_fds(s, [struct.pack('>I', len(b)) + b], [0, 1, 2]); print(s.makefile('rb').read().decode(errors='replace'), flush=True)",
        )
    };
    let host = Host::start(vec![
        first,
        second,
        spec("free", Argv::Free),
        spec("other", Argv::Free),
    ]);
    let run = async |agent: &str, asked: &str| {
        let options = ["quiet", "isolate"];
        host.run(me(), agent, &options, &refs(&python(&ask(asked)))).await
    };
    let launched = run("first", "second").await;
    let said = out(&launched);
    assert!(said.contains("launched"), "{said}{}", err(&launched));
    let numbers: Vec<u32> = said.lines().filter_map(|line| line.trim().parse().ok()).collect();
    let [processes, files] = numbers.as_slice() else {
        panic!("{said}")
    };
    assert!(*processes < 10 && *files == 0, "it sees its host: {said}");
    // A command line that the run chooses, and an agent that is not listed.
    assert!(out(&run("first", "free").await).contains("TABARD-LAUNCH-013"));
    assert!(out(&run("first", "other").await).contains("TABARD-LAUNCH-003"));
    // Who may launch nothing sees no launch socket.
    let none = run("other", "second").await;
    assert!(err(&none).contains("TABARD_LAUNCH_SOCKET") && !out(&none).contains("launched"));
    host.stop();
}

#[tokio::test(flavor = "multi_thread")]
async fn nobody_is_left_when_a_run_has_ended() {
    let host = Host::start(vec![spec("demo", Argv::Free)]);
    let script = "setsid sleep 300 & (setsid sleep 301 &) ; echo $! ; exit 0";
    let done = host
        .run(me(), "demo", &["quiet"], &["/bin/sh", "-c", script])
        .await;
    assert_eq!(done.status.code(), Some(0), "{}", err(&done));
    let pid: i32 = out(&done).trim().parse().unwrap();
    assert!(rustix::process::test_kill_process(rustix::process::Pid::from_raw(pid).unwrap()).is_err());
    host.stop();
}

#[tokio::test(flavor = "multi_thread")]
async fn calls_say_whether_the_agent_or_a_child_made_them() {
    let host = Host::start(vec![spec("demo", Argv::Free)]);
    let unix = "import os, socket; s = socket.socket(socket.AF_UNIX); s.connect(os.environ['TABARD_HTTP_SOCKET']); \
                s.sendall(b'GET http://invoices.demo/v1 HTTP/1.1\\r\\nhost: invoices.demo\\r\\nconnection: close\\r\\n\\r\\n'); \
                print(s.makefile().read().splitlines()[-1], flush=True)";
    let own = host.run(me(), "demo", &["quiet"], &refs(&python(unix))).await;
    assert!(
        out(&own).starts_with("demo Agent /usr/"),
        "{}{}",
        out(&own),
        err(&own)
    );
    assert!(out(&own).contains("GET http://invoices.demo/v1"));
    let parent = format!("import subprocess, sys; subprocess.run([sys.executable, '-I', '-c', {unix:?}])");
    let child = host.run(me(), "demo", &["quiet"], &refs(&python(&parent))).await;
    assert!(
        out(&child).starts_with("demo Child /usr/"),
        "{}{}",
        out(&child),
        err(&child)
    );
    let script = "echo; exec 2>&1; curl -s -x $http_proxy http://invoices.demo/v1";
    let tcp = host
        .run(me(), "demo", &["quiet"], &["/bin/sh", "-c", script])
        .await;
    assert!(
        out(&tcp).contains("demo Child /usr/bin/curl GET http://invoices.demo/v1"),
        "{}{}",
        out(&tcp),
        err(&tcp)
    );
    host.stop();
}

#[tokio::test(flavor = "multi_thread")]
async fn a_process_outside_the_run_can_not_use_its_listener() {
    let host = Host::start(vec![spec("demo", Argv::Free)]);
    let (unix, tcp) = {
        let waiting = host.run(me(), "demo", &["quiet"], &["/bin/sh", "-c", "sleep 3"]);
        let looking = async {
            loop {
                if let Some(run) = host.runs.all().pop() {
                    tokio::time::sleep(std::time::Duration::from_millis(500)).await;
                    let env = std::fs::read_to_string(format!(
                        "/proc/{}/environ",
                        run.process.pid().as_raw_nonzero()
                    ))
                    .unwrap();
                    let of = |name: &str| {
                        env.split('\0')
                            .find_map(|line| line.strip_prefix(name))
                            .unwrap()
                            .to_owned()
                    };
                    let (socket, proxy) = (of("TABARD_HTTP_SOCKET="), of("http_proxy="));
                    let mut by_unix = Command::new("curl");
                    by_unix.args(["-s", "--max-time", "5", "--unix-socket", &socket, "http://x/"]);
                    let mut by_tcp = Command::new("curl");
                    by_tcp.args(["-s", "--max-time", "5", "-x", &proxy, "http://x/"]);
                    return (host.finish(me(), by_unix).await, host.finish(me(), by_tcp).await);
                }
                tokio::time::sleep(std::time::Duration::from_millis(20)).await;
            }
        };
        let (_, both) = tokio::join!(waiting, looking);
        both
    };
    assert!(out(&unix).contains("TABARD-CALL-001"), "{}", out(&unix));
    assert!(
        !tcp.status.success() && !out(&tcp).contains("demo"),
        "{}",
        out(&tcp)
    );
    // Both are told to the server, by uid and run.
    let turned_away = host.server.turned_away.lock().unwrap().clone();
    let run = turned_away.iter().map(|(source, code)| match source {
        Source::AtRun { uid: Some(uid), run } => (*uid, *code, *run),
        other => panic!("{other:?}"),
    });
    let found: Vec<_> = run.collect();
    assert!(found.len() >= 2, "{found:?}");
    assert!(
        found.iter().all(|it| *it == (me(), OUTSIDE_RUN, found[0].2)),
        "{found:?}"
    );
    host.stop();
}

/// Looks for ways out, one line each.
const ESCAPES: &str = r#"
import os, socket, ctypes, sys
def tried(name, f):
    try: print(name, f() or "open")
    except (OSError, PermissionError) as e: print(name, "closed")
libc = ctypes.CDLL(None, use_errno=True)
def call(n, *a):
    r = libc.syscall(n, *a)
    if r < 0: raise OSError(ctypes.get_errno(), "")
data, launch, port = sys.argv[1:4]
tried("data", lambda: open(data + "/key").read())
tried("launch", lambda: socket.socket(socket.AF_UNIX).connect(launch))
tried("hostnet", lambda: socket.create_connection(("127.0.0.1", int(port)), 2))
tried("abstract", lambda: socket.socket(socket.AF_UNIX).connect("\0tabard-test-" + port))
tried("netlink", lambda: socket.socket(socket.AF_NETLINK, socket.SOCK_RAW, 0))
tried("vsock", lambda: socket.socket(socket.AF_VSOCK))
tried("unshare", lambda: call(272, 0x10000000))
tried("mount", lambda: call(165, b"x", b"/tmp", b"tmpfs", 0, 0))
tried("ptrace", lambda: call(101, 16, os.getppid(), 0, 0))
tried("init", lambda: os.listdir("/proc/1/fd"))
tried("home", lambda: None if os.listdir("/root") or os.listdir("/home") else "closed")
print("pids", len([p for p in os.listdir("/proc") if p.isdigit()]))
print("pid", os.getpid() <= 3)
os.kill(1, 9)
print("still here")
with open("/tmp/x", "w") as f: f.write("x")
print("tmp", os.listdir("/tmp"), os.listdir("/run"))
"#;

#[tokio::test(flavor = "multi_thread")]
async fn an_isolated_run_sees_neither_data_nor_processes_nor_network_of_its_host() {
    let host = Host::start(vec![spec("demo", Argv::Free)]);
    let outside = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let port = outside.local_addr().unwrap().port().to_string();
    let name = format!("tabard-test-{port}");
    let address =
        <std::os::unix::net::SocketAddr as std::os::linux::net::SocketAddrExt>::from_abstract_name(&name)
            .unwrap();
    let _abstract = std::os::unix::net::UnixListener::bind_addr(&address).unwrap();
    let (data, launch) = (host.data.display().to_string(), host.launch.display().to_string());
    let mut argv = python(ESCAPES);
    argv.extend([data, launch, port]);
    let user = if can_play_users() { ALICE } else { me() };
    let done = host.run(user, "demo", &["isolate", "quiet"], &refs(&argv)).await;
    let seen = out(&done);
    for way in [
        "data", "launch", "hostnet", "abstract", "netlink", "vsock", "unshare", "mount", "ptrace", "init",
        "home",
    ] {
        assert!(
            seen.contains(&format!("{way} closed\n")),
            "{way}: {seen}{}",
            err(&done)
        );
    }
    assert!(
        seen.contains("pids 2\n") && seen.contains("pid True\n") && seen.contains("still here\n"),
        "{seen}"
    );
    assert!(seen.contains("tmp ['x'] ['tabard']"), "{seen}");
    assert_eq!(done.status.code(), Some(0));
    host.stop();
}

#[tokio::test(flavor = "multi_thread")]
async fn an_isolated_run_has_its_identity_and_its_listener() {
    let mut required = spec("demo", Argv::Free);
    required.isolation = Isolation::Required;
    let host = Host::start(vec![required]);
    let user = if can_play_users() { ALICE } else { me() };
    let svid = host.run(user, "demo", &["quiet"], &refs(&python(ASK))).await;
    assert_eq!(out(&svid), "svid\n", "{}", err(&svid));
    let script = "curl -s -x $http_proxy http://invoices.demo/v1; curl -s --unix-socket $TABARD_HTTP_SOCKET http://x/y; exit 5";
    let calls = host
        .run(user, "demo", &["quiet"], &["/bin/sh", "-c", script])
        .await;
    assert_eq!(
        out(&calls).matches("demo Child /usr/bin/curl GET").count(),
        2,
        "{}{}",
        out(&calls),
        err(&calls)
    );
    assert_eq!(calls.status.code(), Some(5));
    host.stop();
}

#[tokio::test(flavor = "multi_thread")]
async fn a_bind_list_can_not_show_what_is_secret() {
    let mut shows = spec("shows", Argv::Free);
    let host = Host::start(Vec::new());
    for path in [
        "/".to_owned(),
        "/home".to_owned(),
        host.data.display().to_string(),
    ] {
        if !std::path::Path::new(&path).is_dir() {
            continue;
        }
        shows.binds = vec![tabard_node::launch::Bind {
            path: path.clone().into(),
            writable: true,
        }];
        host.server
            .specs
            .lock()
            .unwrap()
            .insert(shows.agent.clone(), shows.clone());
        let done = host.run(me(), "shows", &["isolate"], &["/bin/true"]).await;
        let harmless = path == "/";
        assert_eq!(
            err(&done).contains("TABARD-LAUNCH-007"),
            !harmless,
            "{path} {}",
            err(&done)
        );
    }
    host.stop();
}
