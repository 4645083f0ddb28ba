//! Three processes do what one does.

use super::installation::{Apart, free};
use super::upstream::{ANSWER, KEY};
use crate::adversary::home::Ended;
use std::io::{BufRead as _, BufReader, Write as _};
use std::process::Stdio;

#[test]
fn three_processes_serve_a_call_and_a_revocation_stops_it() {
    let apart = Apart::whole();
    let call = "curl -s http://invoices.demo/v1/invoices";
    let first = apart.run(&format!("{call}; env"));
    assert!(first.out.starts_with(ANSWER), "{}\n{}", first.out, first.err);
    assert!(
        first.err.contains("issued     5 min, audience invoices"),
        "{}",
        first.err
    );
    assert!(!first.out.contains(KEY), "the run holds the secret");
    let status = apart.tabard(&["status"]).ok();
    assert_eq!(status.matches("  follows").count(), 2, "{status}");

    // A run that has a live token in its node agent, and calls again after the revocation.
    let script = format!("{call} -o /dev/null; echo called; read go; {call} -w '\\n%{{http_code}}'");
    let mut launch = apart.home.command(&apart.home.tabard);
    launch.args(["run", "--as", "demo-billing", "--", "sh", "-c", &script]);
    let mut run = launch.stdin(Stdio::piped()).spawn().unwrap();
    let mut out = BufReader::new(run.stdout.take().unwrap());
    let mut line = String::new();
    out.read_line(&mut line).unwrap();
    assert_eq!(line, "called\n");
    let revoked = apart.json(&["revoke", "agent", "demo-billing"]);
    assert_eq!(
        revoked["dead_at_next_check"].as_array().unwrap().len(),
        0,
        "{revoked:#}"
    );
    run.stdin.take().unwrap().write_all(b"\n").unwrap();
    let rest: Vec<String> = out.lines().map_while(Result::ok).collect();
    let ended = Ended::of(run);
    assert_eq!(
        rest.last().map(String::as_str),
        Some("401"),
        "{rest:?}\n{}",
        ended.err
    );
    assert!(ended.err.contains("denied"), "{}", ended.err);

    assert_eq!(apart.run(call).code, Some(117));
    apart.tabard(&["resume", "agent", "demo-billing"]).ok();
    assert_eq!(apart.run(call).ok(), ANSWER);
}

#[test]
fn a_restart_of_gateway_node_and_server_needs_no_join_token() {
    let mut apart = Apart::whole();
    let (gateway, node) = (apart.id("gateway"), apart.id("node"));
    assert_eq!(apart.gateway.take().unwrap().stop(), Some(0));
    assert_eq!(apart.node.take().unwrap().stop(), Some(0));
    apart.member_is("gateway", "away");
    apart.member_is("node", "away");
    apart.start_gateway(&[]);
    apart.start_node(&[]);
    apart.member_is("gateway", "follows");
    apart.member_is("node", "follows");
    assert_eq!(apart.run("curl -s http://invoices.demo/v1/invoices").ok(), ANSWER);
    assert_eq!((apart.id("gateway"), apart.id("node")), (gateway, node));

    // The server, while they run: they find it again by themselves.
    assert_eq!(apart.server.take().unwrap().stop(), Some(0));
    let config = apart.at("server.toml");
    apart.start_server(&["server", "--config", &config]);
    apart.member_is("gateway", "follows");
    apart.member_is("node", "follows");
    assert_eq!(apart.run("curl -s http://invoices.demo/v1/invoices").ok(), ANSWER);
}

#[test]
fn a_servers_or_a_strangers_certificate_is_no_gateways() {
    let mut apart = Apart::server();
    let token = apart.token("node");
    // The server has an SVID of the same trust domain, and still is no gateway.
    let url = format!("https://{}", apart.server_address);
    apart.node = Some(apart.node("node", &url, &["--join-file", &token]).ready());
    let called = apart.run("curl -s http://invoices.demo/v1/invoices");
    assert!(
        called.out.contains("GATEWAY_UNREACHABLE"),
        "{}\n{}",
        called.out,
        called.err
    );
}

#[test]
fn a_gateway_or_node_does_not_speak_in_the_clear_over_a_network() {
    let apart = Apart::server();
    let token = apart.token("gateway");
    let listen = format!("0.0.0.0:{}", free().port());
    let url = format!("http://{listen}");
    let data = apart.at("d/clear");
    let refused = apart.tabard(&[
        "gateway",
        "--listen",
        &listen,
        "--public-url",
        &url,
        "--data",
        &data,
        "--kek",
        &apart.at("k/clear"),
        "--join-file",
        &token,
    ]);
    assert_eq!(refused.code, Some(1));
    assert!(refused.err.contains("GATEWAY_IN_THE_CLEAR"), "{}", refused.err);
    let token = apart.token("node");
    let refused = apart.tabard(&[
        "node",
        "--gateway",
        "http://192.0.2.1:7480",
        "--data",
        &data,
        "--kek",
        &apart.at("k/clear"),
        "--join-file",
        &token,
    ]);
    assert_eq!(refused.code, Some(1));
    assert!(refused.err.contains("GATEWAY_IN_THE_CLEAR"), "{}", refused.err);
}
