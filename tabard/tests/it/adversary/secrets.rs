//! A canary: the secret of an upstream that sends everything it gets back, looked for everywhere.

use super::installation::Installation;
use base64::Engine as _;
use base64::engine::general_purpose::{STANDARD_NO_PAD, URL_SAFE_NO_PAD};
use std::io::{Read as _, Write as _};
use std::net::{TcpListener, TcpStream};
use std::path::Path;
use std::sync::{Arc, Mutex};

/// Has bytes that every encoding below changes.
const CANARY: &str = "canary+0417/Zx~9=kept&out???~~~>>>of%sight";

fn hex(bytes: &[u8]) -> String {
    bytes
        .iter()
        .flat_map(|byte| [byte >> 4, byte & 15])
        .filter_map(|digit| char::from_digit(digit.into(), 16))
        .collect()
}

fn percent(text: &str) -> String {
    let escaped = |byte: u8| match byte {
        b'A'..=b'Z' | b'a'..=b'z' | b'0'..=b'9' | b'-' | b'_' | b'.' | b'~' => char::from(byte).to_string(),
        _ => format!("%{byte:02X}"),
    };
    text.bytes().map(escaped).collect()
}

/// All forms of the canary in which it would be found. Base64 is looked for at each of its three alignments.
fn forms() -> Vec<(&'static str, String)> {
    let mut forms = vec![
        ("plain", CANARY.to_owned()),
        ("hex", hex(CANARY.as_bytes())),
        ("HEX", hex(CANARY.as_bytes()).to_uppercase()),
        ("percent", percent(CANARY)),
    ];
    for at in 0..3 {
        // Whole groups only: what stands before and after the canary changes the digits at its ends.
        let inner = &CANARY.as_bytes()[at..at + (CANARY.len() - at) / 3 * 3];
        forms.push(("base64", STANDARD_NO_PAD.encode(inner)));
        forms.push(("base64url", URL_SAFE_NO_PAD.encode(inner)));
    }
    forms
}

fn find(bytes: &[u8]) -> Option<&'static str> {
    let has = |form: &[u8]| bytes.windows(form.len()).any(|window| window == form);
    forms()
        .into_iter()
        .find(|(_, form)| has(form.as_bytes()))
        .map(|(name, _)| name)
}

fn assert_clean(bytes: &[u8], at: &str) {
    assert_eq!(find(bytes), None, "in {at}: {}", String::from_utf8_lossy(bytes));
}

/// Answers every request with all of it and the key in every form, in a header and in the body.
fn echo(mut peer: TcpStream, seen: &Mutex<Vec<u8>>) -> std::io::Result<()> {
    let (mut request, mut buffer) = (Vec::new(), [0; 4096]);
    while !request.windows(4).any(|window| window == b"\r\n\r\n") {
        match peer.read(&mut buffer)? {
            0 => return Ok(()),
            length => request.extend_from_slice(&buffer[..length]),
        }
    }
    seen.lock().unwrap().extend_from_slice(&request);
    let mut body = request;
    body.extend_from_slice(b"echoed\n");
    for form in [
        hex(CANARY.as_bytes()),
        hex(CANARY.as_bytes()).to_uppercase(),
        percent(CANARY),
    ] {
        body.extend_from_slice(format!("{form}\n").as_bytes());
    }
    // As it stands inside of a longer text in base64, as Basic credentials do.
    for before in ["", "a", "ab"] {
        for engine in [STANDARD_NO_PAD, URL_SAFE_NO_PAD] {
            let text = engine.encode(format!("{before}{CANARY}:c"));
            body.extend_from_slice(format!("{text}\n").as_bytes());
        }
    }
    let length = body.len();
    let head = format!(
        "HTTP/1.1 200 OK\r\ncontent-length: {length}\r\nx-echo: {CANARY}\r\nconnection: close\r\n\r\n"
    );
    peer.write_all(head.as_bytes())?;
    peer.write_all(&body)
}

/// Looks into every file below `folder`; how many there were.
fn search(folder: &Path) -> usize {
    let mut files = 0;
    for entry in std::fs::read_dir(folder).unwrap().map(Result::unwrap) {
        let kind = entry.file_type().unwrap();
        if kind.is_dir() {
            files += search(&entry.path());
        } else if kind.is_file() {
            // A file may go while it is looked for: the store renames what it writes.
            if let Ok(bytes) = std::fs::read(entry.path()) {
                assert_eq!(find(&bytes), None, "in {}", entry.path().display());
                files += 1;
            }
        }
    }
    files
}

#[test]
fn an_upstreams_secret_is_nowhere_but_at_the_upstream() {
    for before in ["", "a", "ab"] {
        let text = URL_SAFE_NO_PAD.encode(format!("{before}{CANARY}:c"));
        assert!(
            find(text.as_bytes()).is_some(),
            "the search finds it behind {before:?}"
        );
    }
    assert!(find(percent(CANARY).as_bytes()).is_some() && find(hex(CANARY.as_bytes()).as_bytes()).is_some());
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let port = listener.local_addr().unwrap().port();
    let seen = Arc::new(Mutex::new(Vec::new()));
    let shown = seen.clone();
    std::thread::spawn(move || {
        for peer in listener.incoming().map_while(Result::ok) {
            // A gateway that goes away in the middle is none of this test's business.
            drop(echo(peer, &shown));
        }
    });

    let mut dev = Installation::start();
    let manifest = dev.home.path().join("echo.yaml");
    let text = format!(
        "apiVersion: tabard/v1\nkind: Upstream\nmetadata: {{name: echo}}\naudience: invoices\n\
        base_url: http://127.0.0.1:{port}\nhosts: [echo.demo]\ntenant_header: x-tenant\n\
        credential:\n  api_key: {{header: x-api-key, secret: stdin}}\n\
        routes:\n  - {{method: GET, path: /echo, action: invoices.read, resource: {{type: invoice}}}}\n"
    );
    std::fs::write(&manifest, text).unwrap();
    let mut apply = dev.home.command(&dev.home.tabard);
    apply
        .args(["upstream", "apply"])
        .arg(&manifest)
        .stdin(std::process::Stdio::piped());
    let mut applying = apply.spawn().unwrap();
    applying
        .stdin
        .take()
        .unwrap()
        .write_all(CANARY.as_bytes())
        .unwrap();
    let applied = super::home::Ended::of(applying);
    assert_eq!(applied.code, Some(0), "{}", applied.err);
    assert_clean(
        format!("{}{}", applied.out, applied.err).as_bytes(),
        "`tabard upstream apply`",
    );
    dev.recorded("upstream.published", &["echo"]);

    // The child shows its own environment and command line besides what it was answered.
    let script = "cat /proc/$$/environ /proc/$$/cmdline; curl -si http://echo.demo/echo";
    let ended = dev.billing(&["sh", "-c", script]);
    assert!(
        find(&seen.lock().unwrap()).is_some(),
        "the upstream got the secret: {}\n{}",
        ended.out,
        ended.err
    );
    assert!(
        ended.out.contains("http_proxy=") && ended.out.contains("echoed"),
        "{}\n{}",
        ended.out,
        ended.err
    );
    assert_clean(ended.out.as_bytes(), "the run");
    assert_clean(ended.err.as_bytes(), "the story");
    dev.recorded("gateway.call", &["echo"]);
    for told in [
        &["upstream", "show", "echo"][..],
        &["audit", "query", "--last", "1h"],
        &["status"],
    ] {
        let shown = dev.tabard(&[&["-o", "json"], told].concat()).ok();
        assert_clean(shown.as_bytes(), &told.join(" "));
    }
    // Every file: data, keys, contexts, logs; while it runs and after it stopped.
    assert!(search(dev.home.path()) > 10);
    dev.stop();
    assert!(search(dev.home.path()) > 10);
}
