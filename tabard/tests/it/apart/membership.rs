//! Joining, and being thrown out.

use super::installation::Apart;
use super::upstream::{ANSWER, KEY};
use std::io::Read as _;
use std::net::TcpListener;
use std::time::Duration;

/// The secret part of a join line.
fn secret(line: &str) -> &str {
    line.split('.').nth(1).unwrap()
}

#[test]
fn a_wrong_pin_is_refused_before_anything_secret_is_sent_and_the_token_stays_good() {
    let mut apart = Apart::server();
    let line = apart.tabard(&["join-token", "create", "--role", "gateway"]).ok();
    let pin = line.split('.').nth(2).unwrap();
    let other = apart.secret("other", &line.replace(pin, &"0".repeat(64)));
    let (code, said) = apart.gateway("gateway", &["--join-file", &other]).ended();
    assert_eq!(code, Some(1), "{said}");
    assert!(
        said.contains("SERVER_PIN") && said.contains("not spent"),
        "{said}"
    );
    assert!(!said.contains(secret(&line)), "{said}");
    assert!(apart.entries("node.joined").is_empty());

    let right = apart.secret("right", &line);
    apart.start_gateway(&["--join-file", &right]);
    apart.member_is("gateway", "follows");
    assert!(!apart.gateway.as_ref().unwrap().log().contains(secret(&line)));
}

#[test]
fn whoever_listens_at_the_servers_address_gets_no_secret() {
    let apart = Apart::server();
    let line = apart.tabard(&["join-token", "create", "--role", "gateway"]).ok();
    let file = apart.secret("join", &line);
    // Takes whatever comes, and answers nothing that is TLS.
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let place = listener.local_addr().unwrap().to_string();
    let heard = std::thread::spawn(move || {
        let (mut stream, _) = listener.accept().unwrap();
        stream.set_read_timeout(Some(Duration::from_secs(1))).unwrap();
        let mut all = Vec::new();
        let mut part = [0; 4096];
        while let Ok(1..) = stream
            .read(&mut part)
            .inspect(|n| all.extend_from_slice(&part_of(&part, *n)))
        {}
        all
    });
    let (code, said) = apart
        .gateway("gateway", &["--join-file", &file, "--server", &place])
        .ended();
    assert_eq!(code, Some(6), "{said}");
    assert!(
        said.contains("SERVER_UNREACHABLE") && said.contains("not spent"),
        "{said}"
    );
    let heard = heard.join().unwrap();
    let secret = secret(&line).as_bytes();
    assert!(!heard.is_empty() && !heard.windows(secret.len()).any(|window| window == secret));
}

fn part_of(part: &[u8], length: usize) -> Vec<u8> {
    part.get(..length).unwrap_or_default().to_vec()
}

#[test]
fn a_token_is_good_once_for_its_role_and_only_from_a_file_of_ones_own() {
    let mut apart = Apart::server();
    let file = apart.token("gateway");
    // For the other role it is refused, and not spent.
    let url = format!("https://{}", apart.gateway_address);
    let (code, said) = apart.node("node", &url, &["--join-file", &file]).ended();
    assert_eq!(code, Some(3), "{said}");
    assert!(said.contains("JOIN_TOKEN_ROLE"), "{said}");
    // In a file that others can read, too.
    apart.shell(&format!("chmod 644 {file}"));
    let (code, said) = apart.gateway("gateway", &["--join-file", &file]).ended();
    assert_eq!(code, Some(1), "{said}");
    assert!(said.contains("JOIN_FILE") && said.contains("mode 644"), "{said}");
    apart.shell(&format!("chmod 600 {file}"));
    apart.start_gateway(&["--join-file", &file]);
    // Spent: another member does not join with it.
    let (code, said) = apart.gateway_elsewhere("second", &["--join-file", &file]).ended();
    assert_eq!(code, Some(3), "{said}");
    assert!(
        said.contains("JOIN_TOKEN") && said.contains("tabard join-token create"),
        "{said}"
    );
    assert_eq!(apart.entries("node.joined").len(), 1);
    // Without one nobody joins at all, and the message says how.
    let (code, said) = apart.gateway_elsewhere("third", &[]).ended();
    assert_eq!(code, Some(1), "{said}");
}

#[test]
fn a_member_that_is_removed_is_refused_everywhere_and_its_key_does_not_come_back() {
    let mut apart = Apart::whole();
    assert_eq!(apart.run("curl -s http://invoices.demo/v1/invoices").ok(), ANSWER);
    let id = apart.id("gateway");
    apart
        .tabard(&["member", "remove", &id, "--reason", "stolen"])
        .ok();
    let (code, said) = apart.gateway.take().unwrap().ended();
    assert_eq!(code, Some(3), "{said}");
    assert!(
        said.contains("NOT_A_MEMBER") && said.contains("removed"),
        "{said}"
    );
    assert_eq!(apart.entries("node.removed").len(), 1);
    // Neither its membership nor its key with a new token lets it in again.
    let (code, said) = apart.gateway("gateway", &[]).ended();
    assert_eq!(code, Some(3), "{said}");
    assert!(said.contains("NOT_A_MEMBER"), "{said}");
    let token = apart.token("gateway");
    apart.shell(&format!("rm {}", apart.at("d/gateway/keys/membership.sealed")));
    let (code, said) = apart.gateway("gateway", &["--join-file", &token]).ended();
    assert_eq!(code, Some(3), "{said}");
    assert!(said.contains("MEMBER_REMOVED"), "{said}");
    // That token is still good, for a member with a key of its own.
    apart.shell(&format!("rm -r {}", apart.at("d/gateway")));
    apart.start_gateway(&["--join-file", &token]);
    apart.member_is("gateway", "follows");
    assert_ne!(apart.id("gateway"), id);
    // It knows nothing of what the other counted: first the window of the agent's rate has to pass.
    let (_, before) = apart.answers_again();
    assert!(
        before.iter().all(|answer| answer.contains("STATE_UNAVAILABLE")),
        "{before:?}"
    );
}

#[test]
fn what_a_removed_node_attested_dies_with_it() {
    let mut apart = Apart::whole();
    let run = {
        let mut launch = apart.home.command(&apart.home.tabard);
        launch.args(["run", "--as", "demo-billing", "--", "sh", "-c", "sleep 30"]);
        launch.spawn().unwrap()
    };
    let begun = std::time::Instant::now();
    while apart.json(&["status"])["counts"]["instances"] != 1 {
        assert!(begun.elapsed() < Duration::from_secs(20));
        std::thread::sleep(Duration::from_millis(100));
    }
    let id = apart.id("node");
    apart.tabard(&["member", "remove", &id]).ok();
    assert_eq!(apart.json(&["status"])["counts"]["instances"], 0);
    let removed = apart.entries("node.removed");
    assert!(
        removed
            .first()
            .unwrap()
            .to_string()
            .contains("1 processes that it attested revoked")
    );
    let (code, said) = apart.node.take().unwrap().ended();
    assert_eq!(code, Some(3), "{said}");
    assert!(said.contains("NOT_A_MEMBER"), "{said}");
    // The run ends with its node agent.
    drop(crate::adversary::home::Ended::of(run));
}

#[test]
fn what_members_keep_is_sealed_and_opens_under_their_own_key_only() {
    let mut apart = Apart::whole();
    assert_eq!(apart.run("curl -s http://invoices.demo/v1/invoices").ok(), ANSWER);
    for (process, name) in [(apart.gateway.take(), "gateway"), (apart.node.take(), "node")] {
        assert_eq!(process.unwrap().stop(), Some(0));
        let found = apart.shell(&format!(
            "grep -rlaE 'PRIVATE KEY|{KEY}' {} || true",
            apart.at(&format!("d/{name}"))
        ));
        assert_eq!(found.ok(), "");
        apart.shell(&format!(
            "head -c 32 /dev/urandom | od -An -tx1 -v | tr -d ' \\n' > {}",
            apart.at(&format!("k/{name}"))
        ));
    }
    let (code, said) = apart.gateway("gateway", &[]).ended();
    assert_eq!(code, Some(1), "{said}");
    assert!(
        said.contains("MEMBER_KEYS") && said.contains("another key-encryption key"),
        "{said}"
    );
}
