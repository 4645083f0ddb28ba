//! An identity provider of the test's own, over TLS on loopback: it logs in whom it is told to, and says what it is told.

use crate::test_key::TestKey;
use axum::Router;
use axum::extract::{RawForm, State};
use axum::routing::{get, post};
use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use credential::{Form, Jwk, sha256};
use hyper_util::rt::{TokioExecutor, TokioIo};
use rustls::pki_types::{CertificateDer, PrivateKeyDer, PrivatePkcs8KeyDer};
use serde_json::{Value, json};
use server::config::Provider;
use std::collections::BTreeMap;
use std::path::Path;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};
use std::time::Duration;

/// What the token endpoint says, from the nonce and challenge of the request that it answers.
type Claims = Box<dyn Fn(&mut Value) + Send + Sync>;

pub(crate) struct Op {
    pub(crate) issuer: String,
    pub(crate) key: TestKey,
    ca: std::path::PathBuf,
    asked: Mutex<BTreeMap<String, String>>,
    pub(crate) change: Mutex<Claims>,
    /// Signs instead of the published key.
    pub(crate) forger: Mutex<Option<TestKey>>,
    described: AtomicUsize,
    traded: AtomicUsize,
    fails: AtomicBool,
}

impl Op {
    pub(crate) async fn new(folder: &Path) -> Arc<Self> {
        let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
        let port = listener.local_addr().unwrap().port();
        let rcgen::CertifiedKey { cert, signing_key } =
            rcgen::generate_simple_self_signed(vec!["localhost".to_owned()]).unwrap();
        let ca = folder.join(format!("op-{port}.pem"));
        std::fs::write(&ca, cert.pem()).unwrap();
        let provider = Arc::new(rustls::crypto::aws_lc_rs::default_provider());
        let tls = rustls::ServerConfig::builder_with_provider(provider)
            .with_safe_default_protocol_versions()
            .unwrap()
            .with_no_client_auth()
            .with_single_cert(
                vec![CertificateDer::from(cert.der().to_vec())],
                PrivateKeyDer::Pkcs8(PrivatePkcs8KeyDer::from(signing_key.serialize_der())),
            )
            .unwrap();
        let op = Arc::new(Self {
            issuer: format!("https://localhost:{port}"),
            key: TestKey::new(),
            ca,
            asked: Mutex::default(),
            change: Mutex::new(Box::new(|_| {})),
            forger: Mutex::default(),
            described: AtomicUsize::new(0),
            traded: AtomicUsize::new(0),
            fails: AtomicBool::new(false),
        });
        let routes = Router::new()
            .route("/.well-known/openid-configuration", get(discovery))
            .route("/jwks", get(jwks))
            .route("/token", post(token))
            .with_state(op.clone());
        let acceptor = tokio_rustls::TlsAcceptor::from(Arc::new(tls));
        tokio::spawn(async move {
            loop {
                let Ok((stream, _)) = listener.accept().await else {
                    return;
                };
                let (acceptor, routes) = (acceptor.clone(), routes.clone());
                tokio::spawn(async move {
                    let Ok(stream) = acceptor.accept(stream).await else {
                        return;
                    };
                    let service = hyper_util::service::TowerToHyperService::new(routes);
                    drop(
                        hyper_util::server::conn::auto::Builder::new(TokioExecutor::new())
                            .serve_connection(TokioIo::new(stream), service)
                            .await,
                    );
                });
            }
        });
        op
    }

    /// As the configuration names it.
    pub(crate) fn providers(&self) -> BTreeMap<identity::Name, Provider> {
        let provider = Provider {
            issuer: self.issuer.clone(),
            client_id: "tabard".into(),
            client_secret: None,
            ca: Some(self.ca.clone()),
        };
        [("corp".parse().unwrap(), provider)].into()
    }

    /// What a browser brought to the authorization endpoint; gives what it is led back with.
    pub(crate) fn visited(&self, there: &str) -> String {
        let query = there
            .strip_prefix(&format!("{}/authorize?", self.issuer))
            .unwrap();
        let form = Form::parse(query.as_bytes()).unwrap();
        let one = |name: &str| form.one(name).unwrap_or_default().to_owned();
        assert_eq!(
            (one("code_challenge_method"), one("scope")),
            ("S256".into(), "openid".into())
        );
        let mut asked = self.asked.lock().unwrap();
        for name in ["nonce", "code_challenge", "redirect_uri", "state", "max_age"] {
            asked.insert(name.to_owned(), one(name));
        }
        format!("state={}&code=c-1&iss={}", one("state"), self.issuer)
    }

    /// How often it was asked for its discovery document.
    pub(crate) fn described(&self) -> usize {
        self.described.load(Ordering::SeqCst)
    }
    /// How often somebody came with a code.
    pub(crate) fn traded(&self) -> usize {
        self.traded.load(Ordering::SeqCst)
    }
    /// Whether it fails to describe itself, after a while.
    pub(crate) fn fails(&self, fails: bool) {
        self.fails.store(fails, Ordering::SeqCst);
    }

    pub(crate) fn change(&self, change: impl Fn(&mut Value) + Send + Sync + 'static) {
        *self.change.lock().unwrap() = Box::new(change);
    }
}

async fn discovery(State(op): State<Arc<Op>>) -> Result<axum::Json<Value>, http::StatusCode> {
    op.described.fetch_add(1, Ordering::SeqCst);
    // Long enough that others ask meanwhile.
    tokio::time::sleep(Duration::from_millis(300)).await;
    if op.fails.load(Ordering::SeqCst) {
        return Err(http::StatusCode::SERVICE_UNAVAILABLE);
    }
    Ok(axum::Json(json!({
        "issuer": op.issuer,
        "authorization_endpoint": format!("{}/authorize", op.issuer),
        "token_endpoint": format!("{}/token", op.issuer),
        "jwks_uri": format!("{}/jwks", op.issuer),
        "authorization_response_iss_parameter_supported": true,
    })))
}

async fn jwks(State(op): State<Arc<Op>>) -> String {
    format!("{{\"keys\":[{}]}}", Jwk::bare(op.key.public.clone()).to_json())
}

async fn token(
    State(op): State<Arc<Op>>,
    RawForm(body): RawForm,
) -> Result<axum::Json<Value>, http::StatusCode> {
    op.traded.fetch_add(1, Ordering::SeqCst);
    let form = Form::parse(&body).map_err(|_| http::StatusCode::BAD_REQUEST)?;
    let asked = op.asked.lock().unwrap().clone();
    // RFC 7636 section 4.6: whoever has the code alone has nothing.
    let verifier = form.one("code_verifier").unwrap_or_default();
    let proven = URL_SAFE_NO_PAD.encode(sha256(verifier.as_bytes())) == asked["code_challenge"];
    if !proven || form.one("redirect_uri") != Some(&asked["redirect_uri"]) || form.one("code") != Some("c-1")
    {
        return Err(http::StatusCode::BAD_REQUEST);
    }
    let now = std::time::SystemTime::now()
        .duration_since(std::time::UNIX_EPOCH)
        .unwrap()
        .as_secs();
    let mut claims = json!({
        "iss": op.issuer, "sub": "4711", "aud": "tabard", "iat": now, "exp": now + 300,
        "nonce": asked["nonce"], "auth_time": now,
    });
    (op.change.lock().unwrap())(&mut claims);
    let forger = op.forger.lock().unwrap();
    let key = forger.as_ref().unwrap_or(&op.key);
    Ok(axum::Json(json!({
        "access_token": "x", "token_type": "Bearer",
        "id_token": key.jws(r#"{"alg":"ES256"}"#, &claims.to_string()),
    })))
}
