//! What others read before they trust us.

use crate::instance::{Instance, form};
use crate::place::Place;
use credential::TrustBundle;

#[tokio::test(flavor = "multi_thread")]
async fn both_documents_name_the_issuer_byte_for_byte() {
    let place = Place::new().await;
    let openid = place.client.get("/.well-known/openid-configuration").await;
    let oauth = place.client.get("/.well-known/oauth-authorization-server").await;
    assert_eq!(openid.body, oauth.body);
    let json = openid.json();
    assert_eq!(json["issuer"], place.issuer());
    assert_eq!(json["token_endpoint"], place.token_url());
    assert_eq!(json["jwks_uri"], format!("{}/jwks.json", place.issuer()));
    assert_eq!(json["dpop_signing_alg_values_supported"][0], "ES256");
    assert_eq!(
        json["authorization_details_types_supported"],
        serde_json::json!(["agent_task"])
    );
    // Every endpoint that is named exists.
    for uri in ["jwks_uri"] {
        let path = json[uri].as_str().unwrap().strip_prefix(place.issuer()).unwrap();
        assert_eq!(place.client.get(path).await.status, 200);
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn keys_are_public_halves_and_may_be_cached_for_five_minutes() {
    let place = Place::new().await;
    for path in ["/jwks.json", "/.well-known/spiffe-bundle"] {
        let answer = place.client.get(path).await;
        assert_eq!(answer.header("cache-control"), "public, max-age=300");
        assert_eq!(answer.header("content-type"), "application/json");
        assert!(!answer.text().contains("\"d\""));
    }
    let bundle = place.client.get("/.well-known/spiffe-bundle").await.body;
    let bundle = TrustBundle::parse("dev.tabard".parse().unwrap(), &bundle).unwrap();
    assert_eq!(
        (bundle.x509_authorities.len(), bundle.jwt_authorities.len()),
        (1, 1)
    );
    assert!(bundle.sequence.is_some() && bundle.refresh_hint_secs == Some(300));
}

#[tokio::test(flavor = "multi_thread")]
async fn the_log_shows_its_head_and_hashes_but_no_entries() {
    let place = Place::new().await;
    let head = loop {
        let head = place.client.get("/log/checkpoint").await;
        if head.status == 200 {
            break head;
        }
        tokio::time::sleep(std::time::Duration::from_millis(50)).await;
    };
    assert!(head.text().starts_with("dev.tabard/log/0\n"), "{}", head.text());
    let size: u64 = head.text().lines().nth(1).unwrap().parse().unwrap();
    let tile = place.client.get(&format!("/log/tile/0/000.p/{size}")).await;
    assert_eq!((tile.status.as_u16(), tile.body.len() as u64), (200, size * 32));
    assert!(tile.header("cache-control").contains("immutable"));
    assert_eq!(
        place
            .client
            .get(&format!("/log/tile/entries/000.p/{size}"))
            .await
            .status,
        403
    );
    for path in [
        "/log/tile/0/..%2f..%2fstore.db",
        "/log/tile/9/000",
        "/log/tile/0/x",
        "/log/store.db",
    ] {
        assert_eq!(place.client.get(path).await.status, 404, "{path}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn health_and_metrics_answer() {
    let place = Place::new().await;
    assert_eq!(place.client.get("/healthz").await.text(), "ok\n");
    assert_eq!(place.client.get("/readyz").await.text(), "ready\n");
    let instance = Instance::launch(&place).await;
    assert_eq!(instance.exchange(&place, "").await.status, 200);
    drop(place.client.post(&form("x", "invoices"), &[]).await);
    let metrics = place.client.get("/metrics").await.text();
    assert!(
        metrics.contains("tabard_exchanges_total{ending=\"Issued\"} 1"),
        "{metrics}"
    );
    assert!(
        metrics.contains("tabard_exchanges_total{ending=\"Unidentified\"} 1"),
        "{metrics}"
    );
    let nowhere = place.client.get("/nowhere").await;
    assert_eq!(
        (nowhere.status.as_u16(), nowhere.json()["code"].as_str()),
        (404, Some("NOT_FOUND"))
    );
    assert_eq!(nowhere.header("content-type"), "application/problem+json");
    assert_eq!(place.client.get("/oauth/token").await.status, 405);
}
