//! A service on a host of its own, which keeps its SVID fresh, and what ends that.

use super::installation::{Apart, free};
use super::process::Process;
use std::path::Path;
use std::time::{Duration, Instant};

/// Lifetime of the SVIDs that are watched: renewed after about half of it.
const TTL: &str = "8s";
/// Longest wait for what takes about half of that.
const SOON: Duration = Duration::from_secs(20);

/// An installation with an upstream that the service `edge` enforces.
fn installation() -> Apart {
    let new = Apart::server();
    let upstream = std::fs::read_to_string(new.at("upstream.yaml")).unwrap();
    new.write(
        "edge.yaml",
        &upstream
            .replace("name: invoices", "name: records")
            .replace("hosts: [invoices.demo]", "hosts: [records.demo]")
            .replace("routes:", "enforced_by: [edge]\nroutes:"),
    );
    new.tabard(&["upstream", "apply", &new.at("edge.yaml")]).ok();
    new.shell("mkdir -m 700 edge empty").ok();
    new
}

fn read(folder: &str, name: &str) -> String {
    std::fs::read_to_string(Path::new(folder).join(name)).unwrap()
}

/// Renews as on another host: no context, no socket, nothing but the folder.
fn renewing(at: &Apart, more: &[&str]) -> Vec<String> {
    let arguments = [
        "service",
        "renew",
        "--dir",
        &at.at("edge"),
        "--context",
        "nowhere",
    ];
    arguments.iter().chain(more).map(|it| (*it).to_owned()).collect()
}

fn wait_until(what: &str, log: &Process, mut holds: impl FnMut() -> bool) {
    let begun = Instant::now();
    while !holds() {
        assert!(begun.elapsed() < SOON, "{what}\n{}", log.log());
        std::thread::sleep(Duration::from_millis(50));
    }
}

#[test]
fn a_service_keeps_its_svid_fresh_until_it_is_revoked() {
    let at = installation();
    let folder = at.at("edge");
    at.tabard(&["service", "svid", "edge", "--out", &folder, "--ttl", TTL])
        .ok();
    let (key, svid) = (read(&folder, "key.pem"), read(&folder, "svid.pem"));
    // Once, by hand.
    let once: Vec<String> = renewing(&at, &[]);
    let once: Vec<&str> = once.iter().map(String::as_str).collect();
    let out = at.tabard(&once).ok();
    assert_eq!(out.trim(), "spiffe://apart.test/acme/svc/edge");
    assert!(read(&folder, "key.pem") != key && read(&folder, "svid.pem") != svid);
    // A copy of the folder is of no use once the service has gone on.
    at.shell("cp -a edge copy").ok();
    for _ in 0..2 {
        at.tabard(&once).ok();
    }
    let copy = at.tabard(&["service", "renew", "--dir", &at.at("copy")]);
    assert_eq!(copy.code, Some(7), "{}", copy.err);
    assert!(copy.err.contains("SERVICE_KEY_SPENT"), "{}", copy.err);
    let mut watch = Process::start(&at.home, "edge", &renewing(&at, &["--watch"]));
    let mut seen = vec![read(&folder, "svid.pem")];
    wait_until("it renews twice", &watch, || {
        let now = read(&folder, "svid.pem");
        if seen.last() != Some(&now) {
            seen.push(now);
        }
        seen.len() > 2
    });
    // One watches.
    let mut second = Process::start(&at.home, "second", &renewing(&at, &["--watch"]));
    let (code, said) = second.ended();
    assert_eq!(code, Some(1), "{said}");
    assert!(said.contains("SERVICE_WATCHED"), "{said}");
    // Each is in the record, by whom it was asked for.
    let entries = at.entries("svid.issued");
    let renewed = entries.iter().filter(|it| it.to_string().contains("\"renews\":"));
    assert!(renewed.count() >= 5, "{entries:#?}");

    at.tabard(&["revoke", "service", "edge", "--reason", "stolen"])
        .ok();
    let (code, said) = watch.ended();
    assert_eq!(code, Some(7), "{said}");
    assert!(
        said.contains("SERVICE_UNKNOWN") && said.contains("tabard service svid"),
        "{said}"
    );
    assert!(said.contains("renewable until"), "{said}");
}

#[test]
fn a_server_that_is_away_is_asked_again_and_an_svid_that_ended_is_for_a_person() {
    let mut at = installation();
    let folder = at.at("edge");
    at.tabard(&["service", "svid", "edge", "--out", &folder, "--ttl", TTL])
        .ok();
    // Nobody is there; the SVID stays as it is.
    let svid = read(&folder, "svid.pem");
    let nobody = format!("https://{}", free());
    let away = renewing(&at, &["--url", &nobody]);
    let away: Vec<&str> = away.iter().map(String::as_str).collect();
    let ended = at.tabard(&away);
    assert_eq!(ended.code, Some(6), "{}", ended.err);
    assert_eq!(read(&folder, "svid.pem"), svid);
    drop(at.server.take());
    let mut watch = Process::start(&at.home, "edge", &renewing(&at, &["--watch"]));
    let (code, said) = watch.ended();
    assert_eq!(code, Some(7), "{said}");
    assert!(
        said.contains("SERVER_UNREACHABLE") && said.contains("again in"),
        "{said}"
    );
    assert!(said.contains("SERVICE_SVID_OVER"), "{said}");
    assert_eq!(read(&folder, "svid.pem"), svid);
}
