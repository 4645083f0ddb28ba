//! What a well-behaved client gets.

use crate::instance::{Instance, form, jti};
use crate::place::Place;
use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use credential::access_token::{Expected, verify};
use credential::{Algorithm, Binding, Jwks, TokenClass};

fn claims(token: &str) -> serde_json::Value {
    let payload = token.split('.').nth(1).unwrap();
    serde_json::from_slice(&URL_SAFE_NO_PAD.decode(payload).unwrap()).unwrap()
}

#[tokio::test(flavor = "multi_thread")]
async fn an_instance_exchanges_its_svid_for_a_token_bound_to_its_key() {
    let place = Place::new().await;
    let instance = Instance::launch(&place).await;
    let answer = instance.exchange(&place, "").await;
    assert_eq!(answer.status, 200, "{}", answer.text());
    let json = answer.json();
    assert_eq!(json["token_type"], "DPoP");
    assert_eq!(
        json["issued_token_type"],
        "urn:ietf:params:oauth:token-type:access_token"
    );
    assert_eq!(answer.header("cache-control"), "no-store");
    assert!(json["expires_in"].as_u64().unwrap() <= 300);
    assert_eq!(json["authorization_details"][0]["type"], "agent_task");
    assert_eq!(json["authorization_details"][0]["tenant"], "acme-eu");

    // Anyone can verify it with what the server publishes.
    let jwks = Jwks::parse(&place.client.get("/jwks.json").await.body).unwrap();
    let keys = jwks.verifying_keys(TokenClass::AccessToken, &[Algorithm::Es256]);
    let token = json["access_token"].as_str().unwrap();
    let audiences = ["invoices".parse().unwrap()];
    let expected = Expected {
        issuer: place.issuer(),
        audiences: &audiences,
    };
    let verified = verify(token, &keys, &expected, place.now()).unwrap();
    assert_eq!(verified.claims().binding, Binding::Key(instance.key.thumbprint()));
    assert_eq!(verified.claims().task, Some(instance.task));

    // The entry that the token names is the one that permitted it, and was there before the token.
    let place_of = &verified.claims().entry;
    let entry = place.installation().store.log().entry(place_of.index).unwrap();
    let entry: serde_json::Value = serde_json::from_slice(&entry).unwrap();
    assert_eq!(place_of.origin, "dev.tabard/log/0");
    assert_eq!(entry["kind"], "token.exchanged");
    assert_eq!(entry["credential"]["id"], claims(token)["jti"]);
    assert_eq!(
        entry["credential"]["digest"],
        verified.claims().digest().to_string()
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn over_mutual_tls_the_token_is_bound_to_the_certificate() {
    let place = Place::new().await;
    let instance = Instance::launch(&place).await;
    let svid = instance.jwt_svid(&place, place.issuer()).await;
    let answer = instance
        .mtls(&place)
        .await
        .post(&form(&svid, "invoices"), &[])
        .await;
    assert_eq!(answer.status, 200, "{}", answer.text());
    assert_eq!(answer.json()["token_type"], "Bearer");
    let token = claims(answer.json()["access_token"].as_str().unwrap());
    assert!(token["cnf"]["x5t#S256"].is_string());
    assert!(token["cnf"].get("jkt").is_none());
    assert!(token["exp"].as_u64().unwrap() <= claims(&svid)["exp"].as_u64().unwrap());
}

#[tokio::test(flavor = "multi_thread")]
async fn a_client_without_a_nonce_gets_one_and_succeeds_with_it() {
    let place = Place::new().await;
    let instance = Instance::launch(&place).await;
    let svid = instance.jwt_svid(&place, place.issuer()).await;
    let first = instance.key.proof(&place.token_url(), &jti(), None, place.now());
    let answer = place.client.post(&form(&svid, "invoices"), &[first]).await;
    assert_eq!(answer.error(), (400, "use_dpop_nonce".into()));
    let nonce = answer.header("dpop-nonce").to_owned();
    let second = instance
        .key
        .proof(&place.token_url(), &jti(), Some(&nonce), place.now());
    assert_eq!(
        place
            .client
            .post(&form(&svid, "invoices"), &[second])
            .await
            .status,
        200
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn an_action_by_name_narrows_the_token() {
    let place = Place::new().await;
    let instance = Instance::launch(&place).await;
    for more in [
        "&scope=invoices.read",
        "&authorization_details=[{\"type\":\"agent_task\",\"actions\":[\"invoices.read\"]}]",
    ] {
        let answer = instance.exchange(&place, more).await;
        assert_eq!(answer.status, 200, "{}", answer.text());
        let actions = answer.json()["authorization_details"][0]["actions"].clone();
        assert_eq!(actions, serde_json::json!(["invoices.read"]));
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_refusal_has_a_decision_that_the_log_explains() {
    let place = Place::new().await;
    let instance = Instance::launch(&place).await;
    let answer = instance.exchange(&place, "&scope=invoices.delete").await;
    assert_eq!(answer.error(), (400, "invalid_scope".into()));
    let description = answer.json()["error_description"].as_str().unwrap().to_owned();
    let decision = description.split(['(', ')']).nth(1).unwrap();
    assert!(decision.starts_with("dec_"), "{description}");
    let entries = place.entries();
    let entry = entries.iter().find(|entry| entry.contains(decision)).unwrap();
    assert!(
        entry.contains("token.denied") && entry.contains("ACTION_NOT_GRANTED"),
        "{entry}"
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn a_target_that_nobody_declared_is_invalid() {
    let place = Place::new().await;
    let instance = Instance::launch(&place).await;
    let svid = instance.jwt_svid(&place, place.issuer()).await;
    let answer = place
        .client
        .post(&form(&svid, "payroll"), &[instance.proof(&place)])
        .await;
    assert_eq!(answer.error(), (400, "invalid_target".into()));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_restriction_that_a_token_cannot_carry_is_refused_by_name_and_not_dropped() {
    let place = Place::new().await;
    let instance = Instance::launch(&place).await;
    let more = "&authorization_details=[{\"type\":\"agent_task\",\"constraints\":{\"max_calls\":1}}]";
    let answer = instance.exchange(&place, more).await;
    assert_eq!(answer.error(), (400, "invalid_authorization_details".into()));
}
