//! What is inside a run: pinned code, a clean environment, and with `--isolate` nothing of the host.

use super::home::can_isolate;
use super::installation::Installation;

/// What the demo's pinned agent prints.
const REPORT: &str = r#"{"invoices": 2, "payroll_total": 1872000}"#;

/// As the demo's pinned agent.
fn report(dev: &Installation, argv: &[&str]) -> super::home::Ended {
    dev.tabard(&[&["run", "--as", "demo-reporter", "--isolate", "--"], argv].concat())
}

#[test]
fn a_pinned_agent_with_one_byte_changed_or_another_command_line_is_not_started() {
    let dev = Installation::start();
    if !can_isolate(&dev.home) {
        return;
    }
    let argv = dev.reporter();
    let (python, script) = (argv[0].as_str(), argv[1].as_str());
    let good = report(&dev, &[python, script]);
    assert_eq!(good.out.trim_end(), REPORT, "{}", good.err);
    assert!(good.err.contains("level 2"), "{}", good.err);
    // The pinned process itself called: no child may ask for the totals.
    let call = dev.recorded("gateway.call", &["payroll.totals"]);
    assert_eq!(call["who"]["caller"]["kind"], "agent", "{call:#}");

    let source = std::fs::read_to_string(script).unwrap();
    std::fs::write(script, source.replace("month=3", "month=4")).unwrap();
    let changed = report(&dev, &[python, script]);
    assert_eq!(
        (changed.code, changed.out.as_str()),
        (Some(115), ""),
        "{}",
        changed.err
    );
    assert!(changed.err.contains("LAUNCH_ROOT"), "{}", changed.err);
    dev.recorded("identity.refused", &[&changed.decision(), "LAUNCH_ROOT"]);
    std::fs::write(script, source).unwrap();

    let other = report(&dev, &[python, "-c", "print('started')"]);
    assert_eq!((other.code, other.out.as_str()), (Some(115), ""), "{}", other.err);
    dev.recorded("identity.refused", &[&other.decision(), "TABARD-LAUNCH-004"]);
    // Isolation is a term of its launch: it cannot be left out.
    let bare = dev.tabard(&["run", "--as", "demo-reporter", "--", python, script]);
    assert!(bare.err.contains("level 2"), "{}", bare.err);
    assert_eq!(bare.out.trim_end(), REPORT);
}

#[test]
fn variables_that_load_code_do_not_reach_the_agent() {
    let dev = Installation::shared();
    // Each is named after what reads it: the dynamic linker, Python, shells, Perl, Node; the last is a key.
    let loads = [
        "LD_PRELOAD",
        "LD_LIBRARY_PATH",
        "LD_AUDIT",
        "PYTHONPATH",
        "PYTHONSTARTUP",
        "BASH_ENV",
        "ENV",
        "PERL5LIB",
        "NODE_OPTIONS",
        "AWS_SECRET_ACCESS_KEY",
    ];
    for isolate in [false, true] {
        if isolate && !can_isolate(&dev.home) {
            continue;
        }
        let mut launch = dev.home.command(&dev.home.tabard);
        launch.args(["-q", "run", "--as", "demo-billing"]);
        launch.args(isolate.then_some("--isolate")).args(["--", "env"]);
        for name in loads {
            launch.env(name, "/smuggled");
        }
        // A preload that cannot be found is complained about and ignored.
        let shown = super::home::Ended::of(launch.spawn().unwrap()).ok();
        assert!(shown.contains("http_proxy="), "{shown}");
        assert!(!shown.contains("smuggled"), "{shown}");
    }
}

/// Tries what an attacker in a run would. `$1` home, `$2` gateway, `$3` server.
const ESCAPES: &str = r#"
tried() { name=$1; shift; if "$@" >/dev/null 2>&1; then echo "$name open"; else echo "$name closed"; fi; }
others() { cat /proc/[0-9]*/cmdline | tr '\0' ' ' | grep -q '[d]ev --data'; }
tried data ls "$1/d/server"
tried kek cat "$1/d.keep/dev.kek"
tried contexts cat "$1/.config/tabard/contexts.toml"
tried admin curl -s -m 5 --unix-socket "$1/d/run/admin.sock" http://x/v1/status
tried launch test -S "$1/d/run/launch.sock"
tried gateway curl -s -m 5 --noproxy '*' "http://$2/"
tried server curl -sk -m 5 --noproxy '*' "https://$3/jwks.json"
tried processes others
"#;

const WAYS: [&str; 8] = [
    "data",
    "kek",
    "contexts",
    "admin",
    "launch",
    "gateway",
    "server",
    "processes",
];

#[test]
fn from_an_isolated_run_neither_data_keys_sockets_processes_nor_host_ports_are_reached() {
    let dev = Installation::shared();
    if !can_isolate(&dev.home) {
        return;
    }
    let home = dev.home.path().display().to_string();
    let (gateway, server) = (dev.gateway.to_string(), dev.server.to_string());
    let script = ["sh", "-c", ESCAPES, "sh", &home, &gateway, &server];
    let all = |word: &str| WAYS.map(|way| format!("{way} {word}\n")).concat();
    // The owner reaches all of it, so a way that is closed was closed by the isolation.
    let mut outside = dev.home.command("sh");
    let outside = super::home::Ended::of(outside.args(&script[1..]).spawn().unwrap());
    assert_eq!(outside.out, all("open"), "{}", outside.err);

    let inside = dev.tabard(&[&["run", "--as", "demo-billing", "--isolate", "--"], &script[..]].concat());
    assert_eq!(inside.out, all("closed"), "{}", inside.err);
}

#[test]
fn an_isolated_run_from_a_folder_that_holds_the_installation_is_not_started() {
    let dev = Installation::shared();
    let mut launch = dev.home.command(&dev.home.tabard);
    launch.current_dir(dev.home.path());
    launch.args(["run", "--as", "demo-billing", "--isolate", "--", "ls"]);
    let ended = super::home::Ended::of(launch.spawn().unwrap());
    assert_eq!((ended.code, ended.out.as_str()), (Some(113), ""), "{}", ended.err);
    dev.recorded("identity.refused", &[&ended.decision(), "TABARD-LAUNCH-007"]);
}
