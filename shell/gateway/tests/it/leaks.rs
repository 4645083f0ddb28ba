//! The canary: an injected credential in no answer, however the upstream gives it back.

use crate::fixture::{CANARY, Fixture};
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use std::time::Duration;
use tokio::io::AsyncReadExt as _;

#[tokio::test]
async fn the_key_comes_back_in_no_form() {
    let fixture = Fixture::new().await;
    for path in ["echo", "base64", "split", "refused", "gzip"] {
        let answer = fixture
            .get(&format!("/invoices/tenants/acme-eu/invoices/{path}"))
            .await;
        // Chunk framing stands between the letters of a split answer.
        let joined: String = answer
            .body()
            .split("\r\n")
            .skip(usize::from(path == "split"))
            .step_by(2)
            .collect();
        for text in [&answer.0, &joined] {
            assert!(!text.contains(CANARY), "{path}: {text}");
            assert!(!text.contains(&STANDARD.encode(CANARY)[4..20]), "{path}: {text}");
        }
        assert!(answer.header("set-cookie").is_none());
        match path {
            "echo" | "base64" | "split" => assert!(answer.status() == 200, "{}", answer.0),
            _ => assert_eq!(answer.status(), 502, "{}", answer.0),
        }
        if path == "echo" {
            assert_eq!(answer.header("x-echo"), Some("*".repeat(CANARY.len()).as_str()));
            assert!(
                answer
                    .body()
                    .contains(&format!("x-api-key: {}", "*".repeat(CANARY.len())))
            );
        }
    }
}

#[tokio::test]
async fn an_event_stream_flows_and_is_scrubbed() {
    let fixture = Fixture::new().await;
    let mut stream = fixture.events().await;
    let mut text = String::new();
    let mut buffer = [0; 1024];
    while !text.contains("data: 3 ") {
        let read = tokio::time::timeout(Duration::from_secs(2), stream.read(&mut buffer));
        let count = read.await.expect("events do not flow").unwrap();
        assert!(count > 0, "{text}");
        text.push_str(&String::from_utf8_lossy(&buffer[..count]));
    }
    assert!(
        !text.contains(CANARY) && text.contains(&"*".repeat(CANARY.len())),
        "{text}"
    );
    // The agent goes away: so does the call.
    drop(stream);
    for _ in 0..200 {
        if fixture.gateway.in_flight() == 0 {
            let entries = fixture.journal(2).await;
            assert_eq!(
                entries[1].event.outcome.as_ref().unwrap().error.as_deref(),
                Some("client_gone")
            );
            return;
        }
        tokio::time::sleep(Duration::from_millis(10)).await;
    }
    panic!("the call is still in flight");
}
