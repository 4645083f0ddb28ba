//! The client half of the token exchange (RFC 8693), as any client would do it: over HTTPS, with a DPoP proof by the
//! instance's key, and with the server's nonce when it asks for one (RFC 9449 section 8).

use super::Stopped;
use super::tokens::{unreachable_server, wall_clock};
use crate::runs::Run;
use bytes::Bytes;
use credential::dpop::{ProofClaims, RequestTarget};
use http::{Request, StatusCode};
use http_body_util::{BodyExt as _, Full, Limited};
use hyper_util::client::legacy::Client;
use hyper_util::client::legacy::connect::{Connected, Connection};
use hyper_util::rt::{TokioExecutor, TokioIo};
use identity::{Audience, Name, Secret, Thumbprint, UnixTime};
use serde::Deserialize;
use std::pin::Pin;
use std::sync::{Arc, Mutex, PoisonError};
use std::task::{Context, Poll};
use std::time::Duration;
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio::net::TcpStream;
use tokio_rustls::client::TlsStream;

/// How long an exchange may take.
const PATIENCE: Duration = Duration::from_secs(10);
/// Longest answer of a token endpoint, in bytes: a token of 8 KiB, and what goes with it.
const ANSWER_BYTES_MAX: usize = 64 * 1024;

/// A server's token endpoint.
pub struct TokenEndpoint {
    issuer: String,
    uri: String,
    target: RequestTarget,
    client: Client<Dial, Full<Bytes>>,
    nonce: Mutex<Option<String>>,
}

impl std::fmt::Debug for TokenEndpoint {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "TokenEndpoint({})", self.uri)
    }
}

/// Why there is no token endpoint.
#[derive(Debug, thiserror::Error)]
pub enum ExchangeError {
    /// The issuer is no URL of ours.
    #[error("the issuer {0:?} is not usable as the base of a token endpoint")]
    Issuer(String),
}

/// A token as it was issued.
#[derive(Debug)]
pub(crate) struct Issued {
    pub(crate) token: Secret<String>,
    pub(crate) expires_at: UnixTime,
    pub(crate) lifetime_secs: u64,
    pub(crate) key: Thumbprint,
    pub(crate) entry: u64,
}

#[derive(Deserialize)]
struct Success {
    access_token: String,
    expires_in: u64,
}

#[derive(Deserialize)]
struct Failure {
    error: String,
    #[serde(default)]
    error_description: String,
    #[serde(default)]
    code: Option<String>,
    #[serde(default)]
    decision_id: Option<String>,
}

impl TokenEndpoint {
    /// The endpoint of `issuer`, reached at `server` (`host:port`) over TLS that trusts only the installation's own authorities.
    pub fn new(
        issuer: &str,
        server: impl std::fmt::Display,
        tls: Arc<rustls::ClientConfig>,
    ) -> Result<Self, ExchangeError> {
        let wrong = || ExchangeError::Issuer(issuer.to_owned());
        let uri = format!("{issuer}/oauth/token");
        let target = RequestTarget::parse(&uri).map_err(|_| wrong())?;
        let dial = Dial {
            server: server.to_string(),
            tls,
        };
        let client = Client::builder(TokioExecutor::new())
            .pool_idle_timeout(Duration::from_mins(1))
            .build(dial);
        Ok(Self {
            issuer: issuer.to_owned(),
            uri,
            target,
            client,
            nonce: Mutex::default(),
        })
    }

    pub(crate) fn issuer(&self) -> &str {
        &self.issuer
    }

    /// One exchange, once more when the server wants its nonce.
    pub(crate) async fn exchange(
        &self,
        subject: &Secret<String>,
        run: &Run,
        audience: &Audience,
        action: &Name,
        now: UnixTime,
    ) -> Result<Issued, Stopped> {
        let details = serde_json::json!([{"type": "agent_task", "actions": [action]}]).to_string();
        let form = [
            ("grant_type", "urn:ietf:params:oauth:grant-type:token-exchange"),
            ("subject_token", subject.expose()),
            ("subject_token_type", "urn:ietf:params:oauth:token-type:jwt"),
            ("audience", audience.as_str()),
            ("authorization_details", &details),
        ];
        let form = encode(&form);
        let mut asked_for_nonce = false;
        loop {
            let (status, body) = self.ask(run, &form).await?;
            if status == StatusCode::OK {
                return accept(&body, run, now);
            }
            let failure: Failure = serde_json::from_slice(&body).map_err(|_| unreachable_server())?;
            if failure.error == "use_dpop_nonce" && !asked_for_nonce {
                asked_for_nonce = true;
                continue;
            }
            return Err(Stopped {
                status: if status.is_server_error() {
                    StatusCode::SERVICE_UNAVAILABLE
                } else {
                    StatusCode::FORBIDDEN
                },
                code: failure.code.unwrap_or(failure.error),
                message: failure.error_description,
                fix: "ask an operator what `tabard explain` says about the decision".to_owned(),
                decision: failure.decision_id,
            });
        }
    }

    async fn ask(&self, run: &Run, form: &str) -> Result<(StatusCode, Bytes), Stopped> {
        let nonce = self.nonce.lock().unwrap_or_else(PoisonError::into_inner).clone();
        let jti = super::forward::jti();
        let claims = ProofClaims {
            jti: &jti,
            method: "POST",
            target: &self.target,
            issued_at: wall_clock(),
            access_token: None,
            nonce: nonce.as_deref(),
            caller: None,
        };
        let proof = run.key().prove(&claims).map_err(|_| unreachable_server())?;
        let request = Request::post(&self.uri)
            .header(http::header::CONTENT_TYPE, "application/x-www-form-urlencoded")
            .header("dpop", proof)
            .body(Full::new(Bytes::from(form.to_owned())))
            .map_err(|_| unreachable_server())?;
        let response = tokio::time::timeout(PATIENCE, self.client.request(request)).await;
        let response = response
            .ok()
            .and_then(Result::ok)
            .ok_or_else(unreachable_server)?;
        if let Some(nonce) = response
            .headers()
            .get("dpop-nonce")
            .and_then(|value| value.to_str().ok())
        {
            *self.nonce.lock().unwrap_or_else(PoisonError::into_inner) = Some(nonce.to_owned());
        }
        let status = response.status();
        let body = Limited::new(response.into_body(), ANSWER_BYTES_MAX).collect();
        let body = tokio::time::timeout(PATIENCE, body)
            .await
            .ok()
            .and_then(Result::ok);
        Ok((status, body.ok_or_else(unreachable_server)?.to_bytes()))
    }
}

fn accept(body: &[u8], run: &Run, now: UnixTime) -> Result<Issued, Stopped> {
    let success: Success = serde_json::from_slice(body).map_err(|_| unreachable_server())?;
    let claims = credential::AccessTokenClaims::of_token_unverified(&success.access_token).ok();
    Ok(Issued {
        expires_at: now.plus_secs(success.expires_in),
        lifetime_secs: success.expires_in,
        key: run.key().thumbprint(),
        entry: claims.map_or(0, |claims| claims.entry.index),
        token: Secret::new(success.access_token),
    })
}

/// `application/x-www-form-urlencoded`: everything but unreserved characters as percent escapes.
fn encode(pairs: &[(&str, &str)]) -> String {
    let mut out = String::new();
    for (name, value) in pairs {
        if !out.is_empty() {
            out.push('&');
        }
        out.push_str(name);
        out.push('=');
        for byte in value.bytes() {
            if byte.is_ascii_alphanumeric() || b"-._~".contains(&byte) {
                out.push(char::from(byte));
            } else {
                out.push('%');
                for nibble in [byte >> 4, byte & 15] {
                    let digit = char::from_digit(u32::from(nibble), 16).unwrap_or('0');
                    out.push(digit.to_ascii_uppercase());
                }
            }
        }
    }
    out
}

/// Connects to the server, wherever the issuer's name would lead.
#[derive(Clone)]
struct Dial {
    server: String,
    tls: Arc<rustls::ClientConfig>,
}

impl tower_service::Service<http::Uri> for Dial {
    type Response = TokioIo<Line>;
    type Error = std::io::Error;
    type Future = Pin<Box<dyn Future<Output = Result<TokioIo<Line>, std::io::Error>> + Send>>;

    fn poll_ready(&mut self, _: &mut Context<'_>) -> Poll<Result<(), std::io::Error>> {
        Poll::Ready(Ok(()))
    }
    fn call(&mut self, _: http::Uri) -> Self::Future {
        let Self { server, tls } = self.clone();
        Box::pin(async move {
            let stream = TcpStream::connect(&server).await?;
            stream.set_nodelay(true)?;
            let name = rustls::pki_types::ServerName::IpAddress(stream.peer_addr()?.ip().into());
            let stream = tokio_rustls::TlsConnector::from(tls)
                .connect(name, stream)
                .await?;
            Ok(TokioIo::new(Line(stream)))
        })
    }
}

/// A TLS connection that says so.
struct Line(TlsStream<TcpStream>);

impl Connection for Line {
    fn connected(&self) -> Connected {
        let h2 = self.0.get_ref().1.alpn_protocol() == Some(b"h2");
        if h2 {
            Connected::new().negotiated_h2()
        } else {
            Connected::new()
        }
    }
}
impl AsyncRead for Line {
    fn poll_read(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buf: &mut ReadBuf<'_>,
    ) -> Poll<std::io::Result<()>> {
        Pin::new(&mut self.0).poll_read(cx, buf)
    }
}
impl AsyncWrite for Line {
    fn poll_write(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buf: &[u8],
    ) -> Poll<std::io::Result<usize>> {
        Pin::new(&mut self.0).poll_write(cx, buf)
    }
    fn poll_flush(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<std::io::Result<()>> {
        Pin::new(&mut self.0).poll_flush(cx)
    }
    fn poll_shutdown(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<std::io::Result<()>> {
        Pin::new(&mut self.0).poll_shutdown(cx)
    }
}
