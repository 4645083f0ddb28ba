//! Attacks with subject tokens: forged, expired, of others, for others, of the wrong class.

use crate::instance::{Instance, form};
use crate::place::Place;
use crate::test_key::TestKey;
use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use broker::revoke;
use broker::world::Target;
use identity::OrgScope;

fn refused() -> (u16, String) {
    (400, "invalid_request".into())
}

fn decoded(segment: &str) -> String {
    String::from_utf8(URL_SAFE_NO_PAD.decode(segment).unwrap()).unwrap()
}

#[tokio::test(flavor = "multi_thread")]
async fn forged_subject_tokens_are_refused() {
    let place = Place::new().await;
    let instance = Instance::launch(&place).await;
    let svid = instance.jwt_svid(&place, place.issuer()).await;
    let parts: Vec<&str> = svid.split('.').collect();
    let (header, claims) = (decoded(parts[0]), decoded(parts[1]));
    let forger = TestKey::new();
    let kid = forger.thumbprint().to_string();
    let jwk = credential::Jwk::bare(forger.public.clone()).to_json();
    let own = kid_of(&header);
    let bad = [
        ("another key under the right name", forger.jws(&header, &claims)),
        (
            "another key under its own name",
            forger.jws(&header.replace(&own, &kid), &claims),
        ),
        (
            "alg none",
            format!(
                "{}.{}.",
                URL_SAFE_NO_PAD.encode(header.replace("ES256", "none")),
                parts[1]
            ),
        ),
        ("HS256", forger.jws(&header.replace("ES256", "HS256"), &claims)),
        (
            "jwk in the header",
            forger.jws(&header.replacen('{', &format!("{{\"jwk\":{jwk},"), 1), &claims),
        ),
        (
            "jku in the header",
            forger.jws(&header.replacen('{', "{\"jku\":\"https://a\",", 1), &claims),
        ),
        (
            "another class",
            forger.jws(&header.replace("JWT", "at+jwt"), &claims),
        ),
        ("claims changed under the signature", {
            let widened = claims.replace("demo-billing", "demo-payroll");
            format!("{}.{}.{}", parts[0], URL_SAFE_NO_PAD.encode(widened), parts[2])
        }),
        (
            "another trust domain",
            forger.jws(&header, &claims.replace("dev.tabard", "evil.example")),
        ),
        ("padded", format!("{svid}=")),
        ("nothing", "x".to_owned()),
    ];
    for (what, token) in bad {
        let answer = place
            .client
            .post(&form(&token, "invoices"), &[instance.proof(&place)])
            .await;
        assert_eq!(answer.error(), refused(), "{what}");
        assert_eq!(
            answer.json()["error_description"],
            "The subject token is not acceptable.",
            "{what}"
        );
    }
    let good = place
        .client
        .post(&form(&svid, "invoices"), &[instance.proof(&place)])
        .await;
    assert_eq!(good.status, 200);
}

#[tokio::test(flavor = "multi_thread")]
async fn an_svid_for_another_service_is_not_for_us() {
    let place = Place::new().await;
    let instance = Instance::launch(&place).await;
    let svid = instance.jwt_svid(&place, "https://other.example").await;
    let answer = place
        .client
        .post(&form(&svid, "invoices"), &[instance.proof(&place)])
        .await;
    assert_eq!(answer.error(), refused());
}

#[tokio::test(flavor = "multi_thread")]
async fn an_access_token_is_no_subject_token() {
    let place = Place::new().await;
    let instance = Instance::launch(&place).await;
    let token = instance.exchange(&place, "").await.json()["access_token"]
        .as_str()
        .unwrap()
        .to_owned();
    for kind in ["jwt", "access_token", "id_token", "saml2", "nonsense"] {
        let body = form(&token, "invoices").replace("token-type:jwt", &format!("token-type:{kind}"));
        let answer = place.client.post(&body, &[instance.proof(&place)]).await;
        assert_eq!(answer.error(), refused(), "{kind}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn an_svid_dies_with_its_expiry_even_if_it_was_verified_before() {
    let place = Place::new().await;
    let instance = Instance::launch(&place).await;
    let svid = instance.jwt_svid(&place, place.issuer()).await;
    let body = form(&svid, "invoices");
    assert_eq!(
        place.client.post(&body, &[instance.proof(&place)]).await.status,
        200
    );
    place.pass(301);
    assert_eq!(
        place.client.post(&body, &[instance.proof(&place)]).await.error(),
        refused()
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn a_token_never_outlives_the_svid_that_bought_it() {
    let place = Place::new().await;
    let instance = Instance::launch(&place).await;
    let svid = instance.jwt_svid(&place, place.issuer()).await;
    place.pass(200);
    let answer = place
        .client
        .post(&form(&svid, "invoices"), &[instance.proof(&place)])
        .await;
    assert!(
        answer.json()["expires_in"].as_u64().unwrap() <= 100,
        "{}",
        answer.text()
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn a_revoked_agent_gets_nothing_though_its_svid_was_verified_before() {
    let place = Place::new().await;
    let instance = Instance::launch(&place).await;
    let svid = instance.jwt_svid(&place, place.issuer()).await;
    let body = form(&svid, "invoices");
    assert_eq!(
        place.client.post(&body, &[instance.proof(&place)]).await.status,
        200
    );

    let world = place.installation().store.world();
    let agent = world.agents(OrgScope::Every).next().unwrap().id;
    let source = place.draw();
    let revoked = revoke::revoke(
        &world,
        &place.admin(),
        Target::Agent(agent),
        "test",
        &mut source.draw(),
    );
    drop(place.grant(revoked).await);
    let answer = place.client.post(&body, &[instance.proof(&place)]).await;
    assert_eq!(answer.error(), refused());
    assert!(
        answer.json()["error_description"]
            .as_str()
            .unwrap()
            .contains("(dec_"),
        "{}",
        answer.text()
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn another_client_id_than_the_subject_is_no_client() {
    let place = Place::new().await;
    let instance = Instance::launch(&place).await;
    let answer = instance
        .exchange(&place, "&client_id=spiffe://dev.tabard/acme/agent/other")
        .await;
    assert_eq!(answer.error(), (401, "invalid_client".into()));
    let challenge = answer.header("www-authenticate");
    assert!(challenge.starts_with("DPoP algs=\"ES256"), "{challenge}");
    let answer = instance
        .exchange(&place, "&client_id=spiffe://dev.tabard/acme/agent/demo-billing")
        .await;
    assert_eq!(answer.status, 200, "{}", answer.text());
}

#[tokio::test(flavor = "multi_thread")]
async fn an_actor_token_is_not_silently_dropped() {
    let place = Place::new().await;
    let instance = Instance::launch(&place).await;
    let more = "&actor_token=x&actor_token_type=urn:ietf:params:oauth:token-type:jwt";
    assert_eq!(instance.exchange(&place, more).await.error(), refused());
}

#[tokio::test(flavor = "multi_thread")]
async fn a_client_certificate_of_a_stranger_ends_the_handshake() {
    let place = Place::new().await;
    let stranger = TestKey::new();
    let certificate = stranger.self_signed("spiffe://dev.tabard/acme/agent/demo-billing");
    let client = place.client.with_svid(vec![certificate], &stranger);
    let request = http::Request::get("/healthz")
        .body(http_body_util::Full::default())
        .unwrap();
    assert!(client.send(request).await.is_err());
    assert_eq!(place.client.get("/healthz").await.status, 200);
}

/// The `kid` of a header.
fn kid_of(header: &str) -> String {
    let json: serde_json::Value = serde_json::from_str(header).unwrap();
    json["kid"].as_str().unwrap().to_owned()
}

impl TestKey {
    fn self_signed(&self, uri: &str) -> Vec<u8> {
        let mut params = rcgen::CertificateParams::new(Vec::new()).unwrap();
        params
            .subject_alt_names
            .push(rcgen::SanType::URI(uri.try_into().unwrap()));
        params.self_signed(self.rcgen()).unwrap().der().to_vec()
    }
}
