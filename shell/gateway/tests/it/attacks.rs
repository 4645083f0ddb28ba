//! Requests that try to be read in two ways, or to carry what they may not.

use crate::fixture::{CANARY, Fixture};

#[tokio::test]
async fn an_agents_own_headers_do_not_survive() {
    let fixture = Fixture::new().await;
    let lines = "X-Api-Key: mine\r\nx_api_key: mine2\r\nX-Forwarded-For: 1.2.3.4\r\nX-User-Identity: root\r\n\
                 Cookie: a=b\r\nX-HTTP-Method-Override: DELETE\r\nAccept-Encoding: gzip\r\nX-Kept: yes\r\n";
    assert_eq!(
        fixture
            .send("GET", "/invoices/tenants/acme-eu/invoices/1", lines, "")
            .await
            .status(),
        200
    );
    let request = fixture.seen()[0].to_lowercase();
    for gone in ["mine", "1.2.3.4", "root", "a=b", "override", "gzip"] {
        assert!(!request.contains(gone), "{gone}: {request}");
    }
    assert!(request.contains("x-kept: yes") && request.contains("accept-encoding: identity"));
    assert_eq!(request.matches("x-api-key").count(), 1);
    assert!(request.contains(&CANARY.to_lowercase()));
}

#[tokio::test]
async fn a_connection_header_strips_no_field_that_was_decided_on() {
    let fixture = Fixture::new().await;
    let path = "/invoices/tenants/acme-eu/invoices/1";
    for listed in ["x-api-key", "authorization", "close, x-tenant"] {
        let answer = fixture
            .send("GET", path, &format!("Connection: {listed}\r\n"), "")
            .await;
        assert_eq!(
            (answer.status(), answer.code()),
            (400, "CONNECTION_OPTIONS".into()),
            "{listed}"
        );
    }
    assert!(fixture.seen().is_empty());
}

#[tokio::test]
async fn paths_with_two_readings_never_leave() {
    let fixture = Fixture::new().await;
    for (path, status) in [
        ("/invoices/tenants/acme-eu/invoices/..%2f..%2fadmin", 400),
        ("/invoices/tenants/acme-eu/invoices/%2e%2e", 400),
        ("/invoices/tenants/acme-eu/../acme-us/invoices/1", 400),
        ("/invoices/tenants/acme-eu//invoices/1", 400),
        ("/invoices/tenants/acme-eu/invoices/1;x=y", 400),
        ("/invoices/tenants/acme-eu/invoices/a%00", 400),
        ("/invoices/tenants/acme-eu/invoices/a%252fb", 400),
        ("/invoices/tenants/acme-eu/invoices/1?tenant=acme-us", 400),
        ("/invoices/tenants/acme-us/invoices/1", 403),
        ("/invoices/tenants/acme-eu/other/1", 403),
        ("/elsewhere/tenants/acme-eu/invoices/1", 403),
    ] {
        let answer = fixture.get(path).await;
        assert_eq!(answer.status(), status, "{path}: {}", answer.0);
        assert!(
            answer.body().contains("\"decision\":\"dec_"),
            "{path}: {}",
            answer.0
        );
    }
    let denied = fixture
        .send("DELETE", "/invoices/tenants/acme-eu/invoices/1", "", "")
        .await;
    assert_eq!(denied.status(), 403, "{}", denied.0);
    assert!(fixture.seen().is_empty(), "{:?}", fixture.seen());
    assert_eq!(fixture.journal(12).await.len(), 12);
}

#[tokio::test]
async fn smuggled_requests_are_never_answered() {
    let fixture = Fixture::new().await;
    let path = "/invoices/tenants/acme-eu/notes";
    let host = fixture.address;
    let hidden = format!(
        "GET /invoices/tenants/acme-eu/invoices/smuggled HTTP/1.1\r\nHost: {host}\r\n{}\r\n",
        fixture.credentials("GET", "/invoices/tenants/acme-eu/invoices/smuggled")
    );
    let head = |lines: &str| {
        format!(
            "POST {path} HTTP/1.1\r\nHost: {host}\r\n{}{lines}",
            fixture.credentials("POST", path)
        )
    };
    for attack in [
        format!(
            "{}0\r\n\r\n{hidden}",
            head("Content-Length: 6\r\nTransfer-Encoding: chunked\r\n\r\n")
        ),
        format!(
            "{}0\r\n\r\n{hidden}",
            head("Transfer-Encoding: chunked\r\nContent-Length: 6\r\n\r\n")
        ),
        format!(
            "{}abc{hidden}",
            head("Content-Length: 3\r\nContent-Length: 0\r\n\r\n")
        ),
        format!("{}0\r\n\r\n{hidden}", head("Transfer-Encoding: xchunked\r\n\r\n")),
        format!(
            "{}0\r\n\r\n{hidden}",
            head("Transfer-Encoding: chunked, identity\r\n\r\n")
        ),
        format!("{}0\r\n\r\n{hidden}", head("Transfer-Encoding : chunked\r\n\r\n")),
        format!(
            "{}{hidden}",
            head("X-Folded: a\r\n b\r\nContent-Length: 0\r\nConnection: close\r\n\r\n")
        ),
        format!("{}{hidden}", head("Content-Length: +0\r\n\r\n")),
        format!("{}{hidden}", head("Content-Length: 0, 5\r\n\r\n")),
    ] {
        let answer = fixture.raw(&attack).await;
        assert!(
            answer.0.matches("HTTP/1.1 ").count() <= 1,
            "{attack}\n{}",
            answer.0
        );
        assert!(
            !fixture.seen().iter().any(|seen| seen.contains("smuggled")),
            "{attack}"
        );
    }
}

#[tokio::test]
async fn heads_have_a_limit_and_one_host() {
    let fixture = Fixture::new().await;
    let long = format!("X-Long: {}\r\n", "x".repeat(40 * 1024));
    let answer = fixture
        .send("GET", "/invoices/tenants/acme-eu/invoices/1", &long, "")
        .await;
    assert_eq!(answer.status(), 431, "{}", answer.0);
    let twice = fixture
        .send(
            "GET",
            "/invoices/tenants/acme-eu/invoices/1",
            "Host: evil.example\r\n",
            "",
        )
        .await;
    assert_eq!((twice.status(), twice.code()), (400, "HOST".into()));
    assert!(fixture.seen().is_empty());
}
