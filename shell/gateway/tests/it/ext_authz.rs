//! Envoy's `ext_authz` as Envoy speaks it, and what an agent, another service or a thief tries with it.

use crate::approvals::{LARGE, Office};
use crate::fixture::{CANARY, Fixture, Wish, now};
use audit::EventKind;
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use broker::Change;
use broker::upstream::Upstream;
use broker::world::{KeyClass, PublicKey, ServiceKey, Target};
use credential::Binding;
use hyper_util::rt::TokioIo;
use identity::{OrgScope, Revision, Thumbprint};
use rcgen::string::Ia5String;
use rcgen::{
    BasicConstraints, CertificateParams, CertifiedIssuer, DistinguishedName, IsCa, KeyPair, KeyUsagePurpose,
    SanType,
};
use rustls::pki_types::{CertificateDer, PrivateKeyDer, PrivatePkcs8KeyDer, ServerName};
use rustls::sign::{CertifiedKey, SingleCertAndKey};
use rustls::{ClientConfig, RootCertStore};
use std::collections::HashMap;
use std::net::SocketAddr;
use std::sync::Arc;
use tabard_gateway::ext_authz::proto::envoy::config::core::v3::HeaderValueOption;
use tabard_gateway::ext_authz::proto::envoy::service::auth::v3::attribute_context::{
    HttpRequest, Peer, Request,
};
use tabard_gateway::ext_authz::proto::envoy::service::auth::v3::authorization_client::AuthorizationClient;
use tabard_gateway::ext_authz::proto::envoy::service::auth::v3::check_response::HttpResponse;
use tabard_gateway::ext_authz::proto::envoy::service::auth::v3::{
    AttributeContext, CheckRequest, CheckResponse,
};
use tokio::net::{TcpListener, TcpStream};
use tokio_rustls::TlsConnector;
use tonic::transport::{Channel, Endpoint};

const UPSTREAM: &str = "
apiVersion: tabard/v1
kind: Upstream
metadata: {name: invoices}
base_url: BASE
hosts: [invoices.demo]
credential: {api_key: {header: x-api-key, secret: stdin}}
enforced_by: [edge]
routes:
  - method: GET
    path: /tenants/{tenant}/invoices/{id}
    action: invoices.read
    resource: {type: invoice, id: id}
    arguments: [{name: view, query: view}, {name: region, header: x-region}]
    tenant: {path: tenant}
    data: {sensitivity: confidential, domains: [finance]}
  - {method: DELETE, path: '/tenants/{tenant}/invoices/{id}', action: invoices.delete, resource: {type: invoice, id: id}, tenant: {path: tenant}}
  - method: POST
    path: /tenants/{tenant}/notes
    action: notes.add
    resource: {type: note}
    arguments: [{name: kind, body: /kind}]
    tenant: {path: tenant}
    sink: {clearance: confidential}
";
const HOST: &str = "invoices.demo:10000";
const PATH: &str = "/tenants/acme-eu/invoices/1";

/// An authority of the fixture's trust domain, and the listener for proxies.
struct Edge {
    fixture: Arc<Fixture>,
    authority: CertifiedIssuer<'static, KeyPair>,
    address: SocketAddr,
}

fn params() -> CertificateParams {
    let mut params = CertificateParams::new(Vec::new()).unwrap();
    params.distinguished_name = DistinguishedName::new();
    params
}

fn uri(text: &str) -> SanType {
    SanType::URI(Ia5String::try_from(text.to_owned()).unwrap())
}

impl Edge {
    async fn new() -> Self {
        let fixture = Fixture::with(Wish {
            definition: UPSTREAM,
            ..Wish::default()
        })
        .await;
        Self::of(Arc::new(fixture)).await
    }

    async fn of(fixture: Arc<Fixture>) -> Self {
        let mut root = params();
        root.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
        root.key_usages = vec![KeyUsagePurpose::KeyCertSign, KeyUsagePurpose::CrlSign];
        root.subject_alt_names = vec![uri("spiffe://test.example")];
        let authority = CertifiedIssuer::self_signed(root, KeyPair::generate().unwrap()).unwrap();
        fixture.change(Change::KeyPublished(PublicKey {
            kid: "root".into(),
            class: KeyClass::X509Authority,
            material: STANDARD.encode(authority.der()),
        }));
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap();
        let key = KeyPair::generate().unwrap();
        let mut own = CertificateParams::new(vec!["localhost".to_owned()]).unwrap();
        own.key_usages = vec![KeyUsagePurpose::DigitalSignature];
        let own = own.signed_by(&key, &authority).unwrap();
        let provider = rustls::crypto::aws_lc_rs::default_provider();
        let der = PrivateKeyDer::Pkcs8(PrivatePkcs8KeyDer::from(key.serialize_der()));
        let own = CertifiedKey::from_der(vec![own.der().clone()], der, &provider).unwrap();
        let gateway = fixture.gateway.clone();
        tokio::spawn(async move {
            let own = Arc::new(SingleCertAndKey::from(own));
            gateway
                .serve_ext_authz(listener, own, std::future::pending())
                .await
                .unwrap();
        });
        // The World that the gateway looks at has the authority once it followed.
        tokio::time::sleep(std::time::Duration::from_millis(150)).await;
        Self {
            fixture,
            authority,
            address,
        }
    }

    /// An X.509-SVID.
    fn svid(&self, id: &str) -> (CertificateDer<'static>, KeyPair) {
        let key = KeyPair::generate().unwrap();
        let mut params = params();
        params.key_usages = vec![KeyUsagePurpose::DigitalSignature];
        params.subject_alt_names = vec![uri(id)];
        let leaf = params.signed_by(&key, &self.authority).unwrap();
        self.know(id, &key);
        (leaf.der().clone(), key)
    }

    /// Tells the gateway of a service's key, as it is told when an SVID was issued.
    fn know(&self, id: &str, key: &KeyPair) {
        let service = id.strip_prefix("spiffe://test.example/finance/svc/");
        let Some(service) = service.and_then(|name| name.parse().ok()) else {
            return;
        };
        let csr = CertificateParams::new(Vec::new()).unwrap().serialize_request(key);
        let proven = credential::csr::verify(csr.unwrap().der()).unwrap();
        self.fixture.change(Change::ServiceKeySet(ServiceKey {
            key: proven.thumbprint(),
            org: self.fixture.org,
            service,
            spiffe_id: id.parse().unwrap(),
            svid_secs: 3600,
            svid_ends_at: now().plus_secs(3600),
            renewable_until: now(),
            line: proven.thumbprint(),
            turn: 0,
        }));
    }

    async fn connect(
        &self,
        id: Option<&str>,
    ) -> Result<AuthorizationClient<Channel>, tonic::transport::Error> {
        let mut roots = RootCertStore::empty();
        roots.add(self.authority.der().clone()).unwrap();
        let provider = Arc::new(rustls::crypto::aws_lc_rs::default_provider());
        let builder = ClientConfig::builder_with_provider(provider)
            .with_safe_default_protocol_versions()
            .unwrap()
            .with_root_certificates(roots);
        let mut config = match id {
            None => builder.with_no_client_auth(),
            Some(id) => {
                let (leaf, key) = self.svid(id);
                // The gateway follows.
                tokio::time::sleep(std::time::Duration::from_millis(150)).await;
                let key = PrivateKeyDer::Pkcs8(PrivatePkcs8KeyDer::from(key.serialize_der()));
                builder.with_client_auth_cert(vec![leaf], key).unwrap()
            }
        };
        config.alpn_protocols = vec![b"h2".to_vec()];
        let (tls, address) = (TlsConnector::from(Arc::new(config)), self.address);
        let connector = tower::service_fn(move |_| {
            let tls = tls.clone();
            async move {
                let stream = TcpStream::connect(address).await?;
                let name = ServerName::try_from("localhost").unwrap();
                Ok::<_, std::io::Error>(TokioIo::new(tls.connect(name, stream).await?))
            }
        });
        let endpoint = Endpoint::from_static("http://localhost");
        endpoint
            .connect_with_connector(connector)
            .await
            .map(AuthorizationClient::new)
    }

    async fn envoy(&self) -> AuthorizationClient<Channel> {
        self.connect(Some("spiffe://test.example/finance/svc/edge"))
            .await
            .unwrap()
    }

    /// A request of the first agent as Envoy tells of it, with a token and a fresh proof.
    fn http(&self, method: &str, target: &str) -> HttpRequest {
        let token = self.fixture.token(self.fixture.agent(), "invoices");
        self.http_with(&token, method, target)
    }

    fn http_with(&self, token: &str, method: &str, target: &str) -> HttpRequest {
        let path = target.split('?').next().unwrap();
        let key = &self.fixture.agent().key;
        let proof = self
            .fixture
            .proof(key, token, method, &format!("https://{HOST}{path}"));
        HttpRequest {
            method: method.into(),
            path: target.into(),
            host: HOST.into(),
            scheme: "https".into(),
            headers: HashMap::from([
                (":path".to_owned(), target.to_owned()),
                ("authorization".to_owned(), format!("DPoP {token}")),
                ("dpop".to_owned(), proof),
                ("cookie".to_owned(), "a=b".to_owned()),
                ("x-api-key".to_owned(), "mine".to_owned()),
                ("x_api_key".to_owned(), "mine again".to_owned()),
                ("accept".to_owned(), "a".to_owned()),
            ]),
            ..HttpRequest::default()
        }
    }
}

fn check(http: HttpRequest) -> CheckRequest {
    CheckRequest {
        attributes: Some(AttributeContext {
            source: None,
            request: Some(Request { http: Some(http) }),
        }),
    }
}

async fn ask(envoy: &mut AuthorizationClient<Channel>, http: HttpRequest) -> CheckResponse {
    envoy.check(check(http)).await.unwrap().into_inner()
}

fn text(option: &HeaderValueOption) -> (String, String) {
    let header = option.header.clone().unwrap();
    assert_eq!(
        option.append_action, 2,
        "nothing is added beside what an agent sent"
    );
    (header.key, header.value)
}

/// Status and code of a refusal.
fn refused(response: &CheckResponse) -> (i32, String) {
    let Some(HttpResponse::DeniedResponse(denied)) = &response.http_response else {
        unreachable!("{response:?}");
    };
    assert_ne!(response.status.as_ref().unwrap().code, 0);
    assert!(
        !format!("{response:?}").contains(CANARY),
        "a refusal carries no credential"
    );
    let problem: serde_json::Value = serde_json::from_str(&denied.body).unwrap();
    let status = denied.status.as_ref().unwrap().code;
    (status, problem["code"].as_str().unwrap().to_owned())
}

fn is_permitted(response: &CheckResponse) -> bool {
    matches!(response.http_response, Some(HttpResponse::OkResponse(_)))
        && response.status.as_ref().unwrap().code == 0
}

#[tokio::test(flavor = "multi_thread")]
async fn a_check_decides_records_and_hands_over_the_upstreams_credential() {
    let edge = Edge::new().await;
    let mut envoy = edge.envoy().await;
    let response = ask(&mut envoy, edge.http("GET", PATH)).await;
    assert!(is_permitted(&response), "{response:?}");
    let Some(HttpResponse::OkResponse(ok)) = response.http_response else {
        unreachable!();
    };
    let set: Vec<_> = ok.headers.iter().map(text).collect();
    assert_eq!(set, [("x-api-key".to_owned(), CANARY.to_owned())]);
    // The agent's own authority ends here, in every spelling.
    assert_eq!(
        ok.headers_to_remove,
        [
            "authorization",
            "cookie",
            "dpop",
            "proxy-authorization",
            "x_api_key"
        ]
    );
    let entries = edge.fixture.journal(1).await;
    let [entry] = &entries[..] else {
        panic!("{entries:?}")
    };
    assert_eq!(entry.event.kind, EventKind::DecisionMade);
    assert_eq!(entry.event.detail["asked_by"], "edge");
    let what = entry.event.what.as_ref().unwrap();
    assert_eq!(what.path.as_deref(), Some(PATH));
    assert_eq!(what.action.as_deref(), Some("invoices.read"));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_check_that_is_replayed_is_refused() {
    let edge = Edge::new().await;
    let mut envoy = edge.envoy().await;
    let http = edge.http("GET", PATH);
    assert!(is_permitted(&ask(&mut envoy, http.clone()).await));
    assert_eq!(
        refused(&ask(&mut envoy, http).await),
        (401, "PROOF_INVALID".into())
    );
    // Made for another request: the proof names this one.
    for wrong in [
        HttpRequest {
            method: "DELETE".into(),
            ..edge.http("GET", PATH)
        },
        HttpRequest {
            path: "/tenants/acme-eu/invoices/2".into(),
            ..edge.http("GET", PATH)
        },
        HttpRequest {
            host: "invoices.demo".into(),
            ..edge.http("GET", PATH)
        },
        HttpRequest {
            scheme: "http".into(),
            ..edge.http("GET", PATH)
        },
    ] {
        assert_eq!(refused(&ask(&mut envoy, wrong).await).0, 401);
    }
    // Without a token, and with two.
    for value in [None, Some("twice")] {
        let mut http = edge.http("GET", PATH);
        let token = http.headers.remove("authorization").unwrap();
        if value.is_some() {
            http.headers
                .insert("authorization".into(), format!("{token},{token}"));
        }
        assert_eq!(refused(&ask(&mut envoy, http).await).0, 401);
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn only_a_service_is_answered_and_only_about_its_own() {
    let edge = Edge::new().await;
    // Nobody, and somebody without a certificate of ours.
    let nobody = edge.connect(None).await;
    if let Ok(mut nobody) = nobody {
        assert!(nobody.check(check(edge.http("GET", PATH))).await.is_err());
    }
    // An agent, a gateway, a service of an org that there is not: known keys, and no service.
    for id in [
        edge.fixture.agent().spiffe.as_str(),
        "spiffe://test.example/_tabard/gateway/1",
        "spiffe://test.example/other/svc/edge",
        "spiffe://test.example/finance/svc/edge/more",
    ] {
        let mut other = edge.connect(Some(id)).await.unwrap();
        let status = other.check(check(edge.http("GET", PATH))).await.unwrap_err();
        assert_eq!(status.code(), tonic::Code::Unauthenticated, "{id}");
    }
    // Another service: there is no such upstream.
    let mut vault = edge
        .connect(Some("spiffe://test.example/finance/svc/vault"))
        .await
        .unwrap();
    let (status, code) = refused(&ask(&mut vault, edge.http("GET", PATH)).await);
    let elsewhere = HttpRequest {
        host: "nowhere.demo:10000".into(),
        ..edge.http("GET", PATH)
    };
    let mut envoy = edge.envoy().await;
    let http = HttpRequest {
        host: HOST.into(),
        ..elsewhere.clone()
    };
    assert_eq!(
        refused(&ask(&mut envoy, elsewhere).await).0,
        401,
        "its proof is for another host"
    );
    assert!(is_permitted(&ask(&mut envoy, http).await));
    assert_eq!((status, code.as_str()), (403, "UPSTREAM_UNDECLARED"));
    // One that was revoked, on a connection that is open, and let in again by another key.
    let mut stolen = edge.envoy().await;
    edge.fixture.revoke(Target::Service(
        "spiffe://test.example/finance/svc/edge".parse().unwrap(),
    ));
    tokio::time::sleep(std::time::Duration::from_millis(150)).await;
    for old in [&mut stolen, &mut envoy] {
        let status = old.check(check(edge.http("GET", PATH))).await.unwrap_err();
        assert_eq!(status.code(), tonic::Code::Unauthenticated);
    }
    let mut envoy = edge.envoy().await;
    assert!(is_permitted(&ask(&mut envoy, edge.http("GET", PATH)).await));
    // One that the manifest names no more, on a connection that is open.
    let world = edge.fixture.worlds.borrow().clone();
    let known = world
        .upstreams(OrgScope::Every)
        .find(|upstream| upstream.name.as_str() == "invoices")
        .unwrap();
    edge.fixture.change(Change::UpstreamPublished(Upstream {
        enforced_by: ["vault".parse().unwrap()].into(),
        ..Upstream::clone(known)
    }));
    tokio::time::sleep(std::time::Duration::from_millis(150)).await;
    assert_eq!(refused(&ask(&mut envoy, edge.http("GET", PATH)).await).0, 403);
    assert!(is_permitted(&ask(&mut vault, edge.http("GET", PATH)).await));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_path_has_one_reading_and_a_query_is_inside_it() {
    let edge = Edge::new().await;
    let mut envoy = edge.envoy().await;
    assert!(is_permitted(
        &ask(&mut envoy, edge.http("GET", &format!("{PATH}?view=full"))).await
    ));
    for (target, code) in [
        ("//admin", "TARGET_AMBIGUOUS"),
        ("/tenants/acme-eu//invoices/1", "TARGET_AMBIGUOUS"),
        ("/tenants/acme-eu/invoices/../invoices/1", "TARGET_AMBIGUOUS"),
        ("/tenants/acme-eu%2finvoices/1", "TARGET_AMBIGUOUS"),
        ("/tenants/acme-eu/invoices/1;v=2", "TARGET_AMBIGUOUS"),
        ("/tenants/acme-eu/invoices/1?admin=1", "PARAMETER_UNDECLARED"),
        ("/tenants/acme-eu/invoices/1?view=a&view=b", "ARGUMENT_REPEATED"),
        ("/other", "NO_ROUTE"),
    ] {
        let response = ask(&mut envoy, edge.http("GET", target)).await;
        assert_eq!(refused(&response).1, code, "{target}");
    }
    let apart = HttpRequest {
        query: "view=full".into(),
        ..edge.http("GET", PATH)
    };
    assert_eq!(
        refused(&ask(&mut envoy, apart).await),
        (400, "CHECK_MALFORMED".into())
    );
    // A value that may be two values is not taken for the first of them.
    let mut joined = edge.http("GET", PATH);
    joined.headers.insert("x-region".into(), "eu,us".into());
    assert_eq!(refused(&ask(&mut envoy, joined).await).1, "ARGUMENT_REPEATED");
    let mut twins = edge.http("GET", PATH);
    twins.headers.insert("x-region".into(), "eu".into());
    twins.headers.insert("x_region".into(), "us".into());
    assert_eq!(refused(&ask(&mut envoy, twins).await).1, "ARGUMENT_REPEATED");
}

#[tokio::test(flavor = "multi_thread")]
async fn what_the_contract_refuses_gets_no_credential() {
    let edge = Edge::new().await;
    let mut envoy = edge.envoy().await;
    let response = ask(&mut envoy, edge.http("DELETE", PATH)).await;
    assert_eq!(refused(&response), (403, "ACTION_NOT_GRANTED".into()));
    let other = ask(&mut envoy, edge.http("GET", "/tenants/acme-us/invoices/1")).await;
    assert_eq!(refused(&other).1, "RESOURCE_UNAVAILABLE");
    let entries = edge.fixture.journal(2).await;
    assert!(
        entries
            .iter()
            .all(|entry| entry.event.kind == EventKind::DecisionMade)
    );
    // A token that was revoked is dead here as well.
    edge.fixture.revoke(Target::Agent(edge.fixture.agent().id));
    tokio::time::sleep(std::time::Duration::from_millis(150)).await;
    assert_eq!(
        refused(&ask(&mut envoy, edge.http("GET", PATH)).await),
        (401, "TOKEN_INVALID".into())
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn a_body_is_decided_on_whole() {
    let edge = Edge::new().await;
    let mut envoy = edge.envoy().await;
    let target = "/tenants/acme-eu/notes";
    let with = |body: &str| {
        let mut http = edge.http("POST", target);
        http.headers
            .insert("content-type".into(), "application/json".into());
        http.raw_body = body.as_bytes().to_vec();
        http
    };
    assert!(is_permitted(
        &ask(&mut envoy, with("{\"kind\": \"plain\"}")).await
    ));
    let mut as_text = with("");
    as_text.body = "{\"kind\": \"plain\"}".into();
    assert!(is_permitted(&ask(&mut envoy, as_text).await));
    for (body, code) in [
        ("{\"kind\": 1}", "ARGUMENT_KIND"),
        ("{\"kind\": \"a\", \"kind\": \"b\"}", "BODY_AMBIGUOUS"),
        ("kind=a", "BODY_AMBIGUOUS"),
    ] {
        assert_eq!(refused(&ask(&mut envoy, with(body)).await).1, code, "{body}");
    }
    let mut partial = with("{\"kind\": \"plain\"}");
    partial
        .headers
        .insert("x-envoy-auth-partial-body".into(), "true".into());
    assert_eq!(refused(&ask(&mut envoy, partial).await).1, "BODY_PARTIAL");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_token_bound_to_a_certificate_needs_the_one_that_envoy_verified() {
    let edge = Edge::new().await;
    let mut envoy = edge.envoy().await;
    let agent = edge.fixture.agent();
    let (leaf, _) = edge.svid(&agent.spiffe);
    let bound = Thumbprint::from_bytes(credential::sha256(&leaf));
    let claims = edge
        .fixture
        .claims(agent, "invoices", Revision(1), Binding::Certificate(bound));
    let token = edge.fixture.sign(&claims);
    let pem = |der: &[u8]| {
        let base64 = STANDARD.encode(der).replace('+', "%2B");
        format!("-----BEGIN%20CERTIFICATE-----%0A{base64}%0A-----END%20CERTIFICATE-----%0A")
    };
    let source = |principal: &str, certificate: String| {
        let mut http = edge.http("GET", PATH);
        http.headers.remove("dpop");
        http.headers
            .insert("authorization".into(), format!("Bearer {token}"));
        CheckRequest {
            attributes: Some(AttributeContext {
                source: Some(Peer {
                    principal: principal.into(),
                    certificate,
                }),
                request: Some(Request { http: Some(http) }),
            }),
        }
    };
    let (other, _) = edge.svid(&agent.spiffe);
    let own = envoy.check(source(&agent.spiffe, pem(&leaf))).await.unwrap();
    assert!(is_permitted(&own.into_inner()));
    for (principal, certificate) in [
        // A listener that did not verify it names no principal.
        ("", pem(&leaf)),
        ("spiffe://test.example/finance/agent/demo-1", pem(&leaf)),
        (agent.spiffe.as_str(), pem(&other)),
        (agent.spiffe.as_str(), String::new()),
    ] {
        let response = envoy.check(source(principal, certificate)).await.unwrap();
        assert_eq!(refused(&response.into_inner()).0, 401, "{principal}");
    }
    assert!(claims.expires_at > now());
}

/// A refund as Envoy tells of it, with a token of the first agent.
fn refund(edge: &Edge, token: &str, body: &str) -> HttpRequest {
    let mut http = edge.http_with(token, "POST", "/invoices/inv_1/refund");
    http.headers
        .insert("content-type".into(), "application/json".into());
    body.clone_into(&mut http.body);
    http
}

/// Our own listener has the bytes, and asked people about them; a check is another enforcer's.
#[tokio::test(flavor = "multi_thread")]
async fn a_token_for_one_approved_request_is_good_for_nothing_in_a_check() {
    let office = Office::beside("edge").await;
    let edge = Edge::of(office.fixture.clone()).await;
    let agent = edge.fixture.agent();
    let mut envoy = edge.envoy().await;
    let (plain, small) = (office.token(agent, None), r#"{"amount":5}"#);
    assert!(is_permitted(&ask(&mut envoy, refund(&edge, &plain, small)).await));
    let id = office.approved().await;
    let token = office.token(agent, Some(id));
    // The approved request itself and other arguments wait for people here, and what would need no approval at all does
    // not rest on one: no credential for any.
    for (body, code) in [
        (LARGE, "NEEDS_APPROVAL"),
        (r#"{"amount":701}"#, "NEEDS_APPROVAL"),
        (small, "APPROVAL_OUT_OF_SCOPE"),
    ] {
        for _ in 0..2 {
            let response = ask(&mut envoy, refund(&edge, &token, body)).await;
            assert_eq!(refused(&response), (403, code.into()), "{body}");
        }
    }
    // Naming it with a token for anything is not looked at: the request waits for people.
    let mut named = refund(&edge, &plain, LARGE);
    named.headers.insert("tabard-approval".into(), id.to_string());
    assert_eq!(
        refused(&ask(&mut envoy, named).await),
        (403, "NEEDS_APPROVAL".into())
    );
    // Another service has no such upstream, whatever the token is for.
    let vault = "spiffe://test.example/finance/svc/vault";
    let mut vault = edge.connect(Some(vault)).await.unwrap();
    let response = ask(&mut vault, refund(&edge, &token, LARGE)).await;
    assert_eq!(refused(&response), (403, "UPSTREAM_UNDECLARED".into()));
    // None of that used it up: where it was asked for it passes, once.
    assert_eq!(office.refund(LARGE).await.status(), 200);
    assert_eq!(office.refund(LARGE).await.code(), "NEEDS_APPROVAL");
    let response = ask(&mut envoy, refund(&edge, &token, LARGE)).await;
    assert_eq!(refused(&response).1, "NEEDS_APPROVAL");
}
