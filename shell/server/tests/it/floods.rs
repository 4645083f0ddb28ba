//! Floods: large, slow and many.

use crate::instance::{Instance, form};
use crate::place::Place;
use std::time::{Duration, Instant};
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};

#[tokio::test(flavor = "multi_thread")]
async fn an_oversized_body_is_refused() {
    let place = Place::new().await;
    let answer = place.client.post(&"a".repeat(20_000), &[]).await;
    assert_eq!(answer.error(), (413, "invalid_request".into()));
}

#[tokio::test(flavor = "multi_thread")]
async fn parameters_that_are_missing_repeated_or_of_another_grant_are_refused() {
    let place = Place::new().await;
    let instance = Instance::launch(&place).await;
    let svid = instance.jwt_svid(&place, place.issuer()).await;
    let good = form(&svid, "invoices");
    for (body, error) in [
        (String::new(), "unsupported_grant_type"),
        (
            good.replace("token-exchange", "jwt-bearer"),
            "unsupported_grant_type",
        ),
        (good.replace("subject_token=", "x="), "invalid_request"),
        (format!("{good}&subject_token=y"), "invalid_request"),
        (good.replace("&audience=invoices", ""), "invalid_target"),
        (format!("{good}&audience=other"), "invalid_target"),
        (format!("{good}&scope=%22"), "invalid_scope"),
        (
            format!("{good}&requested_token_type=urn:ietf:params:oauth:token-type:id-jag"),
            "invalid_request",
        ),
        (
            format!("{good}&authorization_details=[{{\"type\":\"payment\"}}]"),
            "invalid_authorization_details",
        ),
    ] {
        let answer = place.client.post(&body, &[instance.proof(&place)]).await;
        assert_eq!(answer.error(), (400, error.into()), "{body}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_header_that_never_ends_is_cut_off() {
    let place = Place::new().await;
    let mut stream = place.client.connect().await.unwrap();
    stream
        .write_all(b"GET /healthz HTTP/1.1\r\nhost: x\r\n")
        .await
        .unwrap();
    let begun = Instant::now();
    let mut answer = Vec::new();
    let dripping = async {
        loop {
            tokio::select! {
                read = stream.read_buf(&mut answer) => if matches!(read, Ok(0) | Err(_)) { break },
                () = tokio::time::sleep(Duration::from_secs(1)) => {
                    if stream.write_all(b"x: y\r\n").await.is_err() { break }
                }
            }
        }
    };
    tokio::time::timeout(Duration::from_secs(20), dripping)
        .await
        .expect("the server never gave up");
    assert!(
        begun.elapsed() >= Duration::from_secs(5),
        "it gave up on an honest but slow client"
    );
    assert!(!String::from_utf8_lossy(&answer).contains("200 OK"));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_body_that_never_comes_is_not_waited_for() {
    let place = Place::new().await;
    let mut stream = place.client.connect().await.unwrap();
    let head = "POST /oauth/token HTTP/1.1\r\nhost: x\r\ncontent-length: 100\r\n\
                content-type: application/x-www-form-urlencoded\r\n\r\n";
    stream.write_all(head.as_bytes()).await.unwrap();
    let mut answer = vec![0; 1024];
    let read = tokio::time::timeout(Duration::from_secs(20), stream.read(&mut answer)).await;
    let read = read.expect("the server never gave up").unwrap();
    assert!(String::from_utf8_lossy(&answer[..read]).starts_with("HTTP/1.1 408"));
}

#[tokio::test(flavor = "multi_thread")]
async fn callers_that_nobody_can_identify_are_counted_and_not_written_down_one_by_one() {
    let place = Place::new().await;
    let before = place.installation().store.health().size;
    for _ in 0..40 {
        drop(place.client.post(&form("x.y.z", "invoices"), &[]).await);
    }
    tokio::time::sleep(Duration::from_millis(1500)).await;
    let entries = place.entries();
    let counted: Vec<&String> = entries
        .iter()
        .filter(|entry| entry.contains("refusals.counted"))
        .collect();
    let times: u64 = counted
        .iter()
        .map(|entry| {
            let json: serde_json::Value = serde_json::from_str(entry).unwrap();
            json["detail"]["counts"]["SUBJECT_REJECTED"].as_u64().unwrap()
        })
        .sum();
    assert_eq!(times, 40);
    assert!(entries.len() as u64 - before < 10, "{}", entries.len());
}
