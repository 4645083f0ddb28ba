//! TLS on both sides: upstreams whose certificate is verified, and tokens bound to a client certificate.

use crate::fixture::{Fixture, Wish};
use audit::EventKind;
use credential::{Binding, sha256};
use identity::{Revision, Thumbprint};
use rcgen::{BasicConstraints, CertificateParams, CertifiedIssuer, IsCa, KeyPair};
use rustls::pki_types::{CertificateDer, PrivateKeyDer, PrivatePkcs8KeyDer, ServerName};
use rustls::server::WebPkiClientVerifier;
use rustls::{ClientConfig, RootCertStore, ServerConfig};
use std::sync::Arc;
use tokio::net::TcpStream;
use tokio_rustls::TlsConnector;

const PATH: &str = "/invoices/tenants/acme-eu/invoices/1";

/// A private certificate authority.
struct Authority(CertifiedIssuer<'static, KeyPair>);

type Identity = (CertificateDer<'static>, PrivateKeyDer<'static>);

impl Authority {
    fn new() -> Self {
        let mut params = CertificateParams::new(Vec::new()).unwrap();
        params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
        Self(CertifiedIssuer::self_signed(params, KeyPair::generate().unwrap()).unwrap())
    }
    fn roots(&self) -> RootCertStore {
        let mut roots = RootCertStore::empty();
        roots.add(self.0.der().clone()).unwrap();
        roots
    }
    /// A certificate for one name or address.
    fn issue(&self, name: &str) -> Identity {
        let key = KeyPair::generate().unwrap();
        let params = CertificateParams::new(vec![name.to_owned()]).unwrap();
        let certificate = params.signed_by(&key, &self.0).unwrap();
        let key = PrivatePkcs8KeyDer::from(key.serialize_der());
        (certificate.der().clone(), PrivateKeyDer::Pkcs8(key))
    }
    /// A server of that name; asks clients for certificates of `clients`.
    fn server(&self, name: &str, clients: Option<&Self>) -> ServerConfig {
        let provider = Arc::new(rustls::crypto::aws_lc_rs::default_provider());
        let (certificate, key) = self.issue(name);
        let builder = ServerConfig::builder_with_provider(provider.clone())
            .with_safe_default_protocol_versions()
            .unwrap();
        let builder = match clients {
            None => builder.with_no_client_auth(),
            Some(clients) => {
                let verifier =
                    WebPkiClientVerifier::builder_with_provider(Arc::new(clients.roots()), provider);
                builder.with_client_cert_verifier(verifier.allow_unauthenticated().build().unwrap())
            }
        };
        builder.with_single_cert(vec![certificate], key).unwrap()
    }
}

async fn over_tls(server: ServerConfig, roots: RootCertStore) -> Fixture {
    Fixture::with(Wish {
        upstream: Some((server, roots)),
        ..Wish::default()
    })
    .await
}

#[tokio::test]
async fn an_upstream_over_tls_is_called_if_its_authority_vouches_for_its_address() {
    let authority = Authority::new();
    let fixture = over_tls(authority.server("127.0.0.1", None), authority.roots()).await;
    let answer = fixture.get(PATH).await;
    assert_eq!((answer.status(), answer.body()), (200, "fine"), "{}", answer.0);
    assert_eq!(fixture.seen().len(), 1);
}

#[tokio::test]
async fn an_upstream_that_cannot_prove_its_name_gets_neither_request_nor_key() {
    let (ours, theirs) = (Authority::new(), Authority::new());
    for (what, server) in [
        ("another authority", theirs.server("127.0.0.1", None)),
        ("another address", ours.server("127.0.0.2", None)),
        ("a name", ours.server("localhost", None)),
    ] {
        let fixture = over_tls(server, ours.roots()).await;
        let answer = fixture.get(PATH).await;
        assert_eq!(
            (answer.status(), answer.code()),
            (502, "UPSTREAM_UNREACHABLE".into()),
            "{what}: {}",
            answer.0
        );
        assert!(fixture.seen().is_empty(), "{what}");
        let entries = fixture.journal(2).await;
        assert_eq!(entries[1].event.kind, EventKind::GatewayOutcome, "{what}");
        let outcome = entries[1].event.outcome.as_ref().unwrap();
        assert_eq!(outcome.error.as_deref(), Some("upstream_unreachable"), "{what}");
    }
}

/// A connection to the gateway, as `identity` or as nobody.
async fn connect(
    fixture: &Fixture,
    roots: RootCertStore,
    identity: Option<Identity>,
) -> tokio_rustls::client::TlsStream<TcpStream> {
    let provider = Arc::new(rustls::crypto::aws_lc_rs::default_provider());
    let builder = ClientConfig::builder_with_provider(provider)
        .with_safe_default_protocol_versions()
        .unwrap()
        .with_root_certificates(roots);
    let config = match identity {
        None => builder.with_no_client_auth(),
        Some((certificate, key)) => builder.with_client_auth_cert(vec![certificate], key).unwrap(),
    };
    let stream = TcpStream::connect(fixture.address).await.unwrap();
    let name = ServerName::try_from("127.0.0.1").unwrap();
    TlsConnector::from(Arc::new(config))
        .connect(name, stream)
        .await
        .unwrap()
}

#[tokio::test]
async fn a_token_bound_to_a_certificate_is_worth_something_over_that_certificate_only() {
    let (authority, clients) = (Authority::new(), Authority::new());
    let fixture = Fixture::with(Wish {
        listener: Some(authority.server("127.0.0.1", Some(&clients))),
        ..Wish::default()
    })
    .await;
    let (own, thief) = (clients.issue("agent"), clients.issue("agent"));
    let bound = Binding::Certificate(Thumbprint::from_bytes(sha256(own.0.as_ref())));
    let token = fixture.sign(&fixture.claims(fixture.agent(), "invoices", Revision(1), bound));
    let request = |scheme: &str| {
        format!(
            "GET {PATH} HTTP/1.1\r\nHost: {}\r\nConnection: close\r\nAuthorization: {scheme} {token}\r\n\r\n",
            fixture.address
        )
    };
    let clone = |identity: &Identity| (identity.0.clone(), identity.1.clone_key());
    let tls = async |identity| connect(&fixture, authority.roots(), identity).await;

    let good = fixture
        .talk(tls(Some(clone(&own))).await, &request("Bearer"))
        .await;
    assert_eq!(good.status(), 200, "{}", good.0);
    for (what, identity, scheme) in [
        ("as a thief with a certificate of its own", Some(thief), "Bearer"),
        ("without a certificate", None, "Bearer"),
        ("with another scheme", Some(clone(&own)), "DPoP"),
    ] {
        let refused = fixture.talk(tls(identity).await, &request(scheme)).await;
        assert_eq!(
            (refused.status(), refused.code()),
            (401, "TOKEN_INVALID".into()),
            "{what}"
        );
    }
    // A token bound to a key stays bound to it, whatever the connection proves.
    let key = fixture.token(fixture.agent(), "invoices");
    let bearer = request("Bearer").replace(&token, &key);
    let refused = fixture.talk(tls(Some(own)).await, &bearer).await;
    assert_eq!((refused.status(), refused.code()), (401, "TOKEN_INVALID".into()));
    // Plain HTTP is not spoken there.
    let plain = fixture.raw(&request("Bearer")).await;
    assert!(!plain.0.starts_with("HTTP/1.1"), "{}", plain.0);
    assert_eq!(fixture.seen().len(), 1);
}
