//! Attacks on the proof of possession.

use crate::instance::{Instance, form, jti};
use crate::place::Place;
use crate::test_key::TestKey;

fn bad_proof() -> (u16, String) {
    (400, "invalid_dpop_proof".into())
}

#[tokio::test(flavor = "multi_thread")]
async fn a_stolen_svid_without_its_key_is_worth_nothing() {
    let place = Place::new().await;
    let instance = Instance::launch(&place).await;
    let svid = instance.jwt_svid(&place, place.issuer()).await;
    assert_eq!(
        place.client.post(&form(&svid, "invoices"), &[]).await.error(),
        bad_proof()
    );

    // With a key of the thief's own: the subject is somebody, so the refusal is an entry of its own.
    let thief = TestKey::new();
    let nonce = place.installation().keys.nonces().make(place.now());
    let proof = thief.proof(&place.token_url(), &jti(), Some(&nonce), place.now());
    let answer = place.client.post(&form(&svid, "invoices"), &[proof]).await;
    assert_eq!(answer.error(), (400, "invalid_request".into()));
    let entries = place.entries();
    assert!(
        entries
            .iter()
            .any(|entry| entry.contains("PROOF_OF_POSSESSION_FAILED"))
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn the_certificate_of_another_instance_does_not_stand_in() {
    let place = Place::new().await;
    let (victim, thief) = (Instance::launch(&place).await, Instance::launch(&place).await);
    let svid = victim.jwt_svid(&place, place.issuer()).await;
    let answer = thief.mtls(&place).await.post(&form(&svid, "invoices"), &[]).await;
    assert_eq!(answer.error(), (400, "invalid_request".into()));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_proof_is_good_once() {
    let place = Place::new().await;
    let instance = Instance::launch(&place).await;
    let svid = instance.jwt_svid(&place, place.issuer()).await;
    let proof = instance.proof(&place);
    let body = form(&svid, "invoices");
    assert_eq!(
        place
            .client
            .post(&body, std::slice::from_ref(&proof))
            .await
            .status,
        200
    );
    assert_eq!(
        place
            .client
            .post(&body, std::slice::from_ref(&proof))
            .await
            .error(),
        bad_proof()
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn two_clients_that_draw_the_same_jti_do_not_shut_each_other_out() {
    let place = Place::new().await;
    let nonce = place.installation().keys.nonces().make(place.now());
    for _ in 0..2 {
        let instance = Instance::launch(&place).await;
        let svid = instance.jwt_svid(&place, place.issuer()).await;
        let proof = instance
            .key
            .proof(&place.token_url(), "the same", Some(&nonce), place.now());
        assert_eq!(
            place.client.post(&form(&svid, "invoices"), &[proof]).await.status,
            200
        );
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn of_many_racing_uses_of_one_proof_exactly_one_wins() {
    let place = Place::new().await;
    let instance = Instance::launch(&place).await;
    let svid = instance.jwt_svid(&place, place.issuer()).await;
    let proof = instance.proof(&place);
    let mut racing = tokio::task::JoinSet::new();
    for _ in 0..16 {
        let (client, body, proof) = (place.client.clone(), form(&svid, "invoices"), proof.clone());
        racing.spawn(async move { client.post(&body, &[proof]).await.status.as_u16() });
    }
    let mut statuses = racing.join_all().await;
    statuses.sort_unstable();
    assert_eq!(statuses, [[200].as_slice(), &[400; 15]].concat());
}

#[tokio::test(flavor = "multi_thread")]
async fn malformed_foreign_and_double_proofs_are_refused() {
    let place = Place::new().await;
    let instance = Instance::launch(&place).await;
    let svid = instance.jwt_svid(&place, place.issuer()).await;
    let nonce = place.installation().keys.nonces().make(place.now());
    let now = place.now();
    let key = &instance.key;
    let jwk = credential::Jwk::bare(key.public.clone()).to_json();
    let claims = format!(
        r#"{{"jti":"q","htm":"POST","htu":"{}","iat":{},"nonce":"{nonce}"}}"#,
        place.token_url(),
        now.secs()
    );
    let header = |alg: &str, extra: &str| format!(r#"{{"alg":"{alg}","typ":"dpop+jwt","jwk":{jwk}{extra}}}"#);
    let private = jwk.replacen('{', "{\"d\":\"AQ\",", 1);
    let bad = [
        (
            "another URL",
            key.proof("https://127.0.0.1:1/oauth/token", &jti(), Some(&nonce), now),
        ),
        (
            "older than its window",
            key.proof(&place.token_url(), &jti(), Some(&nonce), now.minus_secs(70)),
        ),
        (
            "from the future",
            key.proof(&place.token_url(), &jti(), Some(&nonce), now.plus_secs(60)),
        ),
        ("alg none", key.jws(&header("none", ""), &claims)),
        ("HS256", key.jws(&header("HS256", ""), &claims)),
        (
            "a private key inside",
            key.jws(&header("ES256", "").replace(&jwk, &private), &claims),
        ),
        ("crit", key.jws(&header("ES256", ",\"crit\":[\"x\"]"), &claims)),
        (
            "typ of another class",
            key.jws(&header("ES256", "").replace("dpop+jwt", "at+jwt"), &claims),
        ),
        (
            "GET",
            key.jws(&header("ES256", ""), &claims.replace("POST", "GET")),
        ),
        ("no proof at all", "x.y.z".to_owned()),
    ];
    for (what, proof) in bad {
        let answer = place.client.post(&form(&svid, "invoices"), &[proof]).await;
        assert_eq!(answer.error(), bad_proof(), "{what}");
    }
    let two = [instance.proof(&place), instance.proof(&place)];
    assert_eq!(
        place.client.post(&form(&svid, "invoices"), &two).await.error(),
        bad_proof()
    );
    // The same claims, honestly made, are good: it was not something else.
    let good = key.jws(&header("ES256", ""), &claims);
    assert_eq!(
        place.client.post(&form(&svid, "invoices"), &[good]).await.status,
        200
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn an_old_nonce_is_asked_for_anew() {
    let place = Place::new().await;
    let instance = Instance::launch(&place).await;
    let nonce = place.installation().keys.nonces().make(place.now());
    place.pass(61);
    let svid = instance.jwt_svid(&place, place.issuer()).await;
    let proof = instance
        .key
        .proof(&place.token_url(), &jti(), Some(&nonce), place.now());
    let answer = place.client.post(&form(&svid, "invoices"), &[proof]).await;
    assert_eq!(answer.error(), (400, "use_dpop_nonce".into()));
}
