//! The demo's two upstreams: real HTTP servers on loopback that refuse whoever lacks their own credential.
//!
//! `invoices` wants an API key, `payroll` a bearer token that it issues itself for client credentials. Both show only
//! the tenant that the request is confined to. Their secrets are made at each start and live in this process and, sealed,
//! in the installation; no agent's process has them.

use aws_lc_rs::constant_time::verify_slices_are_equal;
use aws_lc_rs::rand::{SecureRandom as _, SystemRandom};
use axum::Router;
use axum::body::Body;
use axum::extract::{Form, Query, State};
use axum::http::{HeaderMap, HeaderValue, StatusCode, header};
use axum::response::{IntoResponse as _, Json, Response};
use axum::routing::{get, post};
use base64::Engine as _;
use base64::engine::general_purpose::{STANDARD, URL_SAFE_NO_PAD};
use serde::Deserialize;
use serde_json::json;
use std::collections::HashMap;
use std::net::SocketAddr;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};
use tokio::net::TcpListener;

/// How long a payroll token lives.
const TOKEN: Duration = Duration::from_mins(5);

/// A demo upstream that listens.
#[derive(Debug)]
pub(crate) struct DemoUpstream {
    /// Where.
    pub(crate) address: SocketAddr,
    /// What it wants to see.
    pub(crate) secret: String,
}

/// 32 random bytes as text.
pub(crate) fn secret() -> std::io::Result<String> {
    let mut bytes = [0; 32];
    SystemRandom::new()
        .fill(&mut bytes)
        .map_err(|_| std::io::Error::other("no randomness"))?;
    Ok(URL_SAFE_NO_PAD.encode(bytes))
}

/// Starts `invoices`.
pub(crate) async fn invoices(preferred: u16) -> std::io::Result<DemoUpstream> {
    let secret = secret()?;
    let key: Arc<str> = secret.as_str().into();
    let routes = Router::new()
        .route("/v1/invoices", get(list_invoices))
        .route("/v1/invoices/{id}", get(one_invoice))
        .route("/v1/invoices/{id}/refund", post(refund))
        .route("/v1/stream", get(stream))
        .with_state(key);
    Ok(DemoUpstream {
        address: serve(preferred, routes).await?,
        secret,
    })
}

/// Starts `payroll`, which is its own authorization server.
pub(crate) async fn payroll(preferred: u16) -> std::io::Result<DemoUpstream> {
    let secret = secret()?;
    let state = Arc::new(Payroll {
        secret: secret.clone(),
        tokens: Mutex::default(),
    });
    let routes = Router::new()
        .route("/oauth/token", post(token))
        .route("/v1/salaries", get(salaries))
        .route("/v1/totals", get(totals))
        .with_state(state);
    Ok(DemoUpstream {
        address: serve(preferred, routes).await?,
        secret,
    })
}

async fn serve(preferred: u16, routes: Router) -> std::io::Result<SocketAddr> {
    let listener = match TcpListener::bind(("127.0.0.1", preferred)).await {
        Ok(listener) => listener,
        Err(_) => TcpListener::bind(("127.0.0.1", 0)).await?,
    };
    let address = listener.local_addr()?;
    tokio::spawn(async move {
        if let Err(error) = axum::serve(listener, routes).await {
            tracing::error!(%error, "a demo upstream ended");
        }
    });
    Ok(address)
}

fn has_key(headers: &HeaderMap, key: &str) -> bool {
    let shown = headers
        .get("x-api-key")
        .map(HeaderValue::as_bytes)
        .unwrap_or_default();
    verify_slices_are_equal(shown, key.as_bytes()).is_ok()
}

fn tenant(headers: &HeaderMap) -> Option<&str> {
    headers.get("x-tenant")?.to_str().ok()
}

fn refuse(status: StatusCode, error: &str) -> Response {
    (status, Json(json!({ "error": error }))).into_response()
}

async fn list_invoices(State(key): State<Arc<str>>, headers: HeaderMap) -> Response {
    if !has_key(&headers, &key) {
        return refuse(StatusCode::UNAUTHORIZED, "an API key is required");
    }
    match tenant(&headers) {
        Some("acme-eu") => Json(json!([
            {"id": "inv_1", "amount_minor": 12_900, "currency": "EUR", "status": "open"},
            {"id": "inv_2", "amount_minor": 4_400, "currency": "EUR", "status": "paid"},
        ]))
        .into_response(),
        Some(_) => Json(json!([])).into_response(),
        None => refuse(StatusCode::BAD_REQUEST, "no tenant"),
    }
}

async fn one_invoice(
    State(key): State<Arc<str>>,
    headers: HeaderMap,
    axum::extract::Path(id): axum::extract::Path<String>,
) -> Response {
    if !has_key(&headers, &key) {
        return refuse(StatusCode::UNAUTHORIZED, "an API key is required");
    }
    match (tenant(&headers), id.as_str()) {
        (Some("acme-eu"), "inv_1") => {
            Json(json!({"id": "inv_1", "amount_minor": 12_900, "currency": "EUR"})).into_response()
        }
        _ => refuse(StatusCode::NOT_FOUND, "no such invoice"),
    }
}

/// What is given back.
#[derive(Deserialize)]
struct Refund {
    amount_minor: u64,
}

async fn refund(
    State(key): State<Arc<str>>,
    headers: HeaderMap,
    axum::extract::Path(id): axum::extract::Path<String>,
    Json(wanted): Json<Refund>,
) -> Response {
    if !has_key(&headers, &key) {
        return refuse(StatusCode::UNAUTHORIZED, "an API key is required");
    }
    match (tenant(&headers), id.as_str()) {
        (Some("acme-eu"), "inv_1") => {
            let refund =
                json!({"invoice": "inv_1", "refunded_minor": wanted.amount_minor, "currency": "EUR"});
            (StatusCode::CREATED, Json(refund)).into_response()
        }
        _ => refuse(StatusCode::NOT_FOUND, "no such invoice"),
    }
}

/// Server-sent events, four a second for two minutes: something to cut.
async fn stream(State(key): State<Arc<str>>, headers: HeaderMap) -> Response {
    if !has_key(&headers, &key) {
        return refuse(StatusCode::UNAUTHORIZED, "an API key is required");
    }
    let events = futures_util::stream::unfold(0_u32, |count| async move {
        if count >= 480 {
            return None;
        }
        tokio::time::sleep(Duration::from_millis(250)).await;
        Some((
            Ok::<_, std::convert::Infallible>(format!("data: {{\"tick\":{count}}}\n\n")),
            count + 1,
        ))
    });
    (
        [(header::CONTENT_TYPE, "text/event-stream")],
        Body::from_stream(events),
    )
        .into_response()
}

struct Payroll {
    secret: String,
    tokens: Mutex<HashMap<String, Instant>>,
}

#[derive(Deserialize)]
struct TokenRequest {
    grant_type: String,
}

/// RFC 6749 section 4.4, the client authenticated by HTTP Basic (section 2.3.1).
async fn token(
    State(state): State<Arc<Payroll>>,
    headers: HeaderMap,
    Form(request): Form<TokenRequest>,
) -> Response {
    let basic = headers
        .get(header::AUTHORIZATION)
        .and_then(|value| value.to_str().ok());
    let shown = basic
        .and_then(|value| value.strip_prefix("Basic "))
        .and_then(|text| STANDARD.decode(text).ok());
    let wanted = format!("tabard-gateway:{}", state.secret);
    if verify_slices_are_equal(&shown.unwrap_or_default(), wanted.as_bytes()).is_err() {
        return refuse(StatusCode::UNAUTHORIZED, "invalid_client");
    }
    if request.grant_type != "client_credentials" {
        return refuse(StatusCode::BAD_REQUEST, "unsupported_grant_type");
    }
    let Ok(token) = secret() else {
        return refuse(StatusCode::SERVICE_UNAVAILABLE, "temporarily_unavailable");
    };
    let mut tokens = state.tokens.lock().unwrap_or_else(PoisonError::into_inner);
    tokens.retain(|_, until| *until > Instant::now());
    tokens.insert(token.clone(), Instant::now() + TOKEN);
    Json(json!({"access_token": token, "token_type": "Bearer", "expires_in": TOKEN.as_secs()}))
        .into_response()
}

fn has_token(state: &Payroll, headers: &HeaderMap) -> bool {
    let shown = headers
        .get(header::AUTHORIZATION)
        .and_then(|value| value.to_str().ok());
    let Some(token) = shown.and_then(|value| value.strip_prefix("Bearer ")) else {
        return false;
    };
    let tokens = state.tokens.lock().unwrap_or_else(PoisonError::into_inner);
    tokens.get(token).is_some_and(|until| *until > Instant::now())
}

async fn salaries(State(state): State<Arc<Payroll>>, headers: HeaderMap) -> Response {
    if !has_token(&state, &headers) {
        return refuse(StatusCode::UNAUTHORIZED, "a bearer token is required");
    }
    Json(json!([{"employee": "e-1", "salary_minor": 520_000}])).into_response()
}

#[derive(Deserialize)]
struct Month {
    month: u8,
}

async fn totals(
    State(state): State<Arc<Payroll>>,
    headers: HeaderMap,
    Query(Month { month }): Query<Month>,
) -> Response {
    if !has_token(&state, &headers) {
        return refuse(StatusCode::UNAUTHORIZED, "a bearer token is required");
    }
    Json(json!({"month": month, "total": 1_872_000})).into_response()
}
