//! What goes through: requests as they were decided on, answers as they came.

use crate::fixture::{CANARY, CLIENT_SECRET, Fixture, Seen};
use audit::EventKind;
use audit::event::Ruling;
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;
use tokio::io::{AsyncRead, AsyncReadExt as _, AsyncWrite, AsyncWriteExt as _};
use tokio::net::TcpListener;

/// An upstream that notes every request byte for byte and answers by its path; its `/token` is a strict token endpoint.
/// Over TLS if it is given a configuration.
pub(crate) async fn upstream(seen: Seen, tls: Option<rustls::ServerConfig>) -> SocketAddr {
    let acceptor = tls.map(|tls| tokio_rustls::TlsAcceptor::from(Arc::new(tls)));
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    let issued = Arc::new(AtomicU64::new(0));
    tokio::spawn(async move {
        while let Ok((stream, _)) = listener.accept().await {
            let (seen, issued, acceptor) = (seen.clone(), issued.clone(), acceptor.clone());
            tokio::spawn(async move {
                let _gone = match acceptor {
                    None => one(stream, &seen, &issued).await,
                    Some(acceptor) => match acceptor.accept(stream).await {
                        Ok(stream) => one(stream, &seen, &issued).await,
                        Err(error) => Err(error),
                    },
                };
            });
        }
    });
    address
}

async fn one(
    mut stream: impl AsyncRead + AsyncWrite + Unpin,
    seen: &Seen,
    issued: &AtomicU64,
) -> std::io::Result<()> {
    let mut text = String::new();
    let mut buffer = [0; 4096];
    let complete = |text: &str| {
        text.split_once("\r\n\r\n").is_some_and(|(head, body)| {
            let head = head.to_ascii_lowercase();
            let length = head
                .lines()
                .find_map(|line| line.strip_prefix("content-length: ")?.parse::<usize>().ok());
            match length {
                Some(length) => body.len() >= length,
                None => !head.contains("transfer-encoding: chunked") || body.ends_with("0\r\n\r\n"),
            }
        })
    };
    while !complete(&text) {
        let count = stream.read(&mut buffer).await?;
        if count == 0 {
            return Ok(());
        }
        text.push_str(&String::from_utf8_lossy(&buffer[..count]));
    }
    seen.lock().unwrap().push(text.clone());
    let path = text.split(' ').nth(1).unwrap_or_default().to_owned();
    let whole = |head: &str, body: &str| {
        format!(
            "HTTP/1.1 {head}\r\nConnection: close\r\nContent-Length: {}\r\n\r\n{body}",
            body.len()
        )
    };
    let bearer = text
        .lines()
        .find_map(|line| line.strip_prefix("authorization: "))
        .unwrap_or_default()
        .to_owned();
    let answer = match path.rsplit('/').next().unwrap_or_default() {
        "token" => token(&text, issued),
        "totals" if bearer == "Bearer upstream-token-0" && text.contains("x-refuse-first: yes") => {
            whole("401 Unauthorized", "stale")
        }
        "totals" => whole("200 OK", "{\"total\":1}"),
        "echo" => whole(
            &format!("200 OK\r\nX-Echo: {CANARY}\r\nSet-Cookie: session=1"),
            &text,
        ),
        "base64" => whole("200 OK", &STANDARD.encode(format!("key:{CANARY}:end"))),
        "redirect" => whole("302 Found\r\nLocation: http://169.254.169.254/latest", ""),
        "gzip" => whole("200 OK\r\nContent-Encoding: gzip", "xxxx"),
        "refused" => whole("401 Unauthorized\r\nWWW-Authenticate: Bearer", CANARY),
        "split" => {
            stream
                .write_all(b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n")
                .await?;
            for byte in format!("before {CANARY} after").bytes() {
                stream
                    .write_all(format!("1\r\n{}\r\n", char::from(byte)).as_bytes())
                    .await?;
                stream.flush().await?;
                tokio::time::sleep(Duration::from_millis(1)).await;
            }
            "0\r\n\r\n".to_owned()
        }
        "events" => {
            stream
                .write_all(b"HTTP/1.1 200 OK\r\nContent-Type: text/event-stream\r\nTransfer-Encoding: chunked\r\n\r\n")
                .await?;
            for n in 0..500 {
                let event = format!("data: {n} {CANARY}\n\n");
                stream
                    .write_all(format!("{:x}\r\n{event}\r\n", event.len()).as_bytes())
                    .await?;
                tokio::time::sleep(Duration::from_millis(10)).await;
            }
            "0\r\n\r\n".to_owned()
        }
        _ => whole("200 OK", "fine"),
    };
    stream.write_all(answer.as_bytes()).await?;
    stream.shutdown().await
}

/// RFC 6749 sections 2.3.1 and 4.4.2, to the letter.
fn token(text: &str, issued: &AtomicU64) -> String {
    let encoded = "client+secret%2F%C3%A4%3A%2B0123456789";
    assert_eq!(CLIENT_SECRET, "client secret/ä:+0123456789");
    let basic = format!(
        "authorization: Basic {}",
        STANDARD.encode(format!("gate+way:{encoded}"))
    );
    let good = text.starts_with("POST ")
        && text.lines().any(|line| line == basic)
        && text.contains("\r\ncontent-type: application/x-www-form-urlencoded\r\n")
        && text.ends_with("\r\n\r\ngrant_type=client_credentials&scope=payroll.read");
    if !good {
        return "HTTP/1.1 401 Unauthorized\r\nConnection: close\r\nContent-Length: 0\r\n\r\n".to_owned();
    }
    let n = issued.fetch_add(1, Ordering::SeqCst);
    let body =
        format!("{{\"access_token\":\"upstream-token-{n}\",\"token_type\":\"Bearer\",\"expires_in\":300}}");
    format!(
        "HTTP/1.1 200 OK\r\nConnection: close\r\nContent-Length: {}\r\n\r\n{body}",
        body.len()
    )
}

#[tokio::test]
async fn a_permitted_call_gets_the_key_and_two_entries() {
    let fixture = Fixture::new().await;
    let answer = fixture.get("/invoices/tenants/acme-eu/invoices/4711").await;
    assert_eq!((answer.status(), answer.body()), (200, "fine"), "{}", answer.0);
    let [request] = &fixture.seen()[..] else {
        panic!("{:?}", fixture.seen())
    };
    assert!(
        request.starts_with("GET /tenants/acme-eu/invoices/4711 HTTP/1.1\r\n"),
        "{request}"
    );
    assert!(request.contains(&format!("x-api-key: {CANARY}\r\n")), "{request}");
    let lower = request.to_lowercase();
    assert!(
        !lower.contains("authorization:") && !lower.contains("dpop"),
        "{request}"
    );
    let entries = fixture.journal(2).await;
    let kinds: Vec<_> = entries.iter().map(|entry| entry.event.kind.clone()).collect();
    assert_eq!(kinds, [EventKind::GatewayCall, EventKind::GatewayOutcome]);
    assert_eq!(entries[0].event.decision.as_ref().unwrap().outcome, Ruling::Allow);
    let outcome = entries[1].event.outcome.as_ref().unwrap();
    assert_eq!(
        (outcome.http_status, outcome.bytes, outcome.error.clone()),
        (Some(200), Some(4), None)
    );
    assert_eq!(outcome.of, Some(entries[0].writer.place()));
}

#[tokio::test]
async fn the_forward_proxy_serves_declared_hosts_only() {
    let fixture = Fixture::new().await;
    let url = "http://invoices.demo/tenants/acme-eu/invoices/1";
    let token = fixture.token(fixture.agent(), "invoices");
    let ask = |url: &str, host: &str| {
        let credentials = fixture.credentials_with(fixture.agent(), &token, "GET", url);
        format!("GET {url} HTTP/1.1\r\nHost: {host}\r\nConnection: close\r\n{credentials}\r\n")
    };
    assert_eq!(fixture.raw(&ask(url, "invoices.demo")).await.status(), 200);
    let other = fixture
        .raw(&ask("http://undeclared.example/a", "undeclared.example"))
        .await;
    assert_eq!(
        (other.status(), other.code()),
        (403, "UPSTREAM_UNDECLARED".into())
    );
    assert_eq!(other.header("content-type"), Some("application/problem+json"));
    assert!(other.body().contains("\"decision\":\"dec_"), "{}", other.0);
    let mismatch = fixture.raw(&ask(url, "evil.example")).await;
    assert_eq!(
        (mismatch.status(), mismatch.code()),
        (421, "HOST_MISMATCH".into())
    );
    let tunnel = fixture
        .raw("CONNECT invoices.demo:443 HTTP/1.1\r\nHost: invoices.demo:443\r\n\r\n")
        .await;
    assert_eq!((tunnel.status(), tunnel.code()), (405, "CONNECT_REFUSED".into()));
    assert_eq!(fixture.seen().len(), 1);
}

#[tokio::test]
async fn redirects_go_back_to_the_agent() {
    let fixture = Fixture::new().await;
    let answer = fixture.get("/invoices/tenants/acme-eu/invoices/redirect").await;
    assert_eq!(
        (answer.status(), answer.header("location")),
        (302, Some("http://169.254.169.254/latest"))
    );
    assert_eq!(fixture.seen().len(), 1);
}

#[tokio::test]
async fn bodies_stream_and_decide_only_where_a_route_says() {
    let fixture = Fixture::new().await;
    let big = "x".repeat(2 * 1024 * 1024);
    let answer = fixture
        .send("POST", "/invoices/tenants/acme-eu/notes", "", &big)
        .await;
    assert_eq!(answer.status(), 200, "{}", answer.0);
    assert!(fixture.seen()[0].ends_with(&big));
    let json = "Content-Type: application/json\r\n";
    let typed = "/invoices/tenants/acme-eu/typed";
    assert_eq!(
        fixture
            .send("POST", typed, json, "{\"kind\":\"a\"}")
            .await
            .status(),
        200
    );
    assert!(fixture.seen()[1].ends_with("{\"kind\":\"a\"}"));
    let twice = fixture
        .send("POST", typed, json, "{\"kind\":\"a\",\"kind\":\"b\"}")
        .await;
    assert_eq!((twice.status(), twice.code()), (400, "BODY_AMBIGUOUS".into()));
    let long = fixture
        .send("POST", typed, json, &format!("\"{}\"", "x".repeat(1024 * 1024)))
        .await;
    assert_eq!((long.status(), long.code()), (413, "BODY_TOO_LONG".into()));
    let plain = fixture
        .send("POST", typed, "Content-Type: text/plain\r\n", "{\"kind\":\"a\"}")
        .await;
    assert_eq!(plain.status(), 400);
    assert_eq!(fixture.seen().len(), 2);
}

#[tokio::test]
async fn a_body_that_stalls_is_given_up() {
    let fixture = Fixture::new().await;
    let path = "/invoices/tenants/acme-eu/typed";
    let credentials = fixture.credentials("POST", path);
    let slow = fixture
        .raw(&format!(
            "POST {path} HTTP/1.1\r\nHost: {}\r\nConnection: close\r\nContent-Type: application/json\r\n{credentials}Content-Length: 20\r\n\r\n{{",
            fixture.address
        ))
        .await;
    assert_eq!((slow.status(), slow.code()), (408, "BODY_SLOW".into()));
    assert!(fixture.seen().is_empty());
}
