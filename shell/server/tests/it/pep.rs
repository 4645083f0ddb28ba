//! A service that enforces decisions itself and asks for them, as its own process would: over mutual TLS with its SVID.

use crate::client::{Answer, Client};
use crate::place::Place;
use crate::test_key::TestKey;
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use broker::service::{RENEWABLE_SECS, SVID_SECS, Wanted, svid};
use broker::upstream::Manifest;
use http::{Method, Request};
use http_body_util::Full;
use hyper::body::Bytes;
use identity::{Name, OrgId, UpstreamId};
use serde_json::Value;
use server::Credential;

pub(crate) struct Pep {
    client: Client,
    pub(crate) key: TestKey,
}

impl Pep {
    /// The service of that name of an org; an upstream has to name it.
    pub(crate) async fn of(place: &Place, org: OrgId, name: &str) -> Self {
        Self::lasting(place, org, name, SVID_SECS, RENEWABLE_SECS).await
    }

    /// The same for so many seconds, and renewable for so many.
    pub(crate) async fn lasting(place: &Place, org: OrgId, name: &str, ttl: u64, renewable: u64) -> Self {
        let key = TestKey::new();
        let proven = credential::csr::verify(&key.csr()).unwrap();
        let name: Name = name.parse().unwrap();
        let wanted = Wanted {
            org,
            name: &name,
            proven: &proven,
            ttl_secs: ttl,
            renewable_secs: renewable,
        };
        let world = place.installation().store.world();
        let source = place.draw();
        let recorded = place
            .grant(svid(&world, &place.admin(), &wanted, &mut source.draw()))
            .await;
        let Credential::X509Svid { chain, .. } = place.installation().signer.sign(recorded).unwrap() else {
            panic!("not an X.509-SVID");
        };
        Self {
            client: place.client.with_svid(chain, &key),
            key,
        }
    }

    /// Renews for the key of a request.
    pub(crate) async fn asks_to_renew(&self, csr: &[u8]) -> Answer {
        let body = serde_json::json!({"csr": STANDARD.encode(csr)});
        self.ask("/services/v1/svid", &body).await
    }

    /// The same where there may be no connection; the status of what was answered.
    pub(crate) async fn tries_to_renew(&self, csr: &[u8]) -> Option<u16> {
        let body = serde_json::json!({"csr": STANDARD.encode(csr)});
        let request = Request::post("/services/v1/svid")
            .header("host", "pdp")
            .header("content-type", "application/json")
            .body(Full::from(Bytes::from(body.to_string())));
        let answer = self.client.send(request.unwrap()).await.ok()?;
        Some(answer.status.as_u16())
    }

    /// Renews with a new key, as it would itself.
    pub(crate) async fn renewed(&self, place: &Place) -> Self {
        let key = TestKey::new();
        let answer = self.asks_to_renew(&key.csr()).await;
        assert_eq!(answer.status, 200, "{}", answer.text());
        let chain = answer.json()["chain"].as_array().unwrap().clone();
        let chain = chain
            .iter()
            .map(|der| STANDARD.decode(der.as_str().unwrap()).unwrap());
        Self {
            client: place.client.with_svid(chain.collect(), &key),
            key,
        }
    }

    /// Its connections.
    pub(crate) const fn client(&self) -> &Client {
        &self.client
    }

    pub(crate) async fn ask(&self, path: &str, question: &Value) -> Answer {
        self.send(path, "application/json", question.to_string()).await
    }

    pub(crate) async fn send(&self, path: &str, kind: &str, body: String) -> Answer {
        post(&self.client, path, kind, body).await
    }

    pub(crate) async fn get(&self, path: &str) -> Answer {
        self.client.get(path).await
    }

    /// With an `Idempotency-Key`.
    pub(crate) async fn keyed(&self, path: &str, body: &Value, key: &str) -> Answer {
        let request = Request::post(path)
            .header("host", "pdp")
            .header("content-type", "application/json")
            .header("idempotency-key", key)
            .body(Full::from(Bytes::from(body.to_string())));
        self.client.send(request.unwrap()).await.unwrap()
    }

    /// Asks, and says what was decided.
    pub(crate) async fn decides(&self, question: &Value) -> (bool, Value) {
        let answer = self.ask("/access/v1/evaluation", question).await;
        assert_eq!(answer.status, 200, "{question}: {}", answer.text());
        let json = answer.json();
        (json["decision"].as_bool().unwrap(), json["context"].clone())
    }

    /// Asks, and gives the codes of a refusal; none for a permit.
    pub(crate) async fn codes(&self, question: &Value) -> Vec<String> {
        let (decision, context) = self.decides(question).await;
        let reasons = context["reasons"].as_array().cloned().unwrap_or_default();
        assert_eq!(decision, reasons.is_empty(), "{context}");
        reasons
            .iter()
            .map(|reason| reason["code"].as_str().unwrap().to_owned())
            .collect()
    }
}

/// A question on any connection.
pub(crate) async fn post(client: &Client, path: &str, kind: &str, body: String) -> Answer {
    let request = Request::builder()
        .method(Method::POST)
        .uri(path)
        .header("host", "pdp")
        .header("content-type", kind)
        .header("x-request-id", "question-7");
    let request = request.body(Full::from(Bytes::from(body))).unwrap();
    client.send(request).await.unwrap()
}

/// Publishes an upstream.
pub(crate) async fn publish(place: &Place, org: OrgId, manifest: &str) {
    let manifest =
        Manifest::parse("u.yaml", manifest.as_bytes()).unwrap_or_else(|errors| panic!("{errors:?}"));
    let source = place.draw();
    let world = place.installation().store.world();
    let upstream = manifest.upstream(UpstreamId::from_u128(0), org, 1);
    let admin = place.admin();
    let published = broker::inventory::publish_upstream(&world, &admin, upstream, &mut source.draw());
    drop(place.grant(published).await);
}

/// A contract of these grants.
pub(crate) fn contract(name: &str, grants: &str, more: &str) -> String {
    format!(
        "apiVersion: tabard/v1\nkind: AgentContract\nmetadata: {{name: {name}, version: 1}}\n\
         owner: {{team: platform, escalation: platform on call}}\n\
         purpose: {{id: interop, statement: Answers questions.}}\n\
         identity: {{min_assurance: 1, max_evidence_age: 12h}}\n\
         tasks: {{types: [interop], max_ttl: 30m, openers: [operator]}}\n\
         grants:\n{grants}{more}\
         mode: enforce\nlifecycle: {{expires: 2099-12-31, review_every: 3650d}}\n"
    )
}

/// One grant.
pub(crate) fn grant(id: &str, service: &str, action: &str, conditions: &str) -> String {
    let conditions = if conditions.is_empty() {
        String::new()
    } else {
        format!("    where: {conditions}\n")
    };
    format!(
        "  - id: {id}\n    services: [{service}]\n    actions: [{action}]\n{conditions}    reason: Somebody asks for it.\n    \
         business_action: {{{action}: Do it}}\n"
    )
}
