//! From the run's listener to the gateway: the same request, with the credential and the proof that the run's processes
//! never see. Bodies stream through untouched in both directions.

use super::exchange::Issued;
use super::request::Wanted;
use super::tokens::wall_clock;
use super::{Stopped, vouch};
use crate::listener::{Body, Caller};
use crate::runs::Run;
use aws_lc_rs::rand::{SecureRandom as _, SystemRandom};
use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use credential::dpop::{ProofClaims, RequestTarget};
use http::header::{AUTHORIZATION, HOST, HeaderName};
use http::{HeaderValue, Request, Response, StatusCode, Uri};
use http_body_util::BodyExt as _;
use hyper::body::Incoming;
use hyper_util::client::legacy::Client;
use hyper_util::client::legacy::connect::{Connected, Connection};
use hyper_util::rt::{TokioExecutor, TokioIo};
use std::pin::Pin;
use std::sync::{Arc, Mutex, PoisonError};
use std::task::{Context, Poll};
use std::time::Duration;
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio::net::TcpStream;
use tokio_rustls::TlsConnector;

/// A gateway: where it listens, and the base URL that it answers to.
#[derive(Debug, Clone)]
pub struct GatewayAddress {
    /// Where to connect: `host:port`.
    pub address: String,
    /// `http://127.0.0.1:7480`: scheme, host and port.
    pub base_url: String,
    /// TLS that trusts gateways of the trust domain; without it the gateway is on this host's loopback.
    pub tls: Option<Arc<rustls::ClientConfig>>,
}

/// Longest wait for a connection to the gateway, its handshake included.
const CONNECT: Duration = Duration::from_secs(5);
/// Set by us and nobody else.
const DPOP: HeaderName = HeaderName::from_static("dpop");
/// What the gateway says about a refusal, for the story.
const DECISION: HeaderName = HeaderName::from_static("tabard-decision");
const APPROVAL: HeaderName = HeaderName::from_static("tabard-approval");
const CODE: HeaderName = HeaderName::from_static("tabard-code");

pub(crate) struct Forwarder {
    gateway: GatewayAddress,
    client: Client<Dial, Incoming>,
    nonce: Mutex<Option<String>>,
}

impl std::fmt::Debug for Forwarder {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "Forwarder({})", self.gateway.base_url)
    }
}

impl Forwarder {
    pub(crate) fn new(gateway: GatewayAddress) -> Self {
        let dial = Dial {
            gateway: gateway.address.clone(),
            tls: gateway.tls.clone(),
        };
        let client = Client::builder(TokioExecutor::new())
            .pool_idle_timeout(Duration::from_secs(30))
            .build(dial);
        Self {
            gateway,
            client,
            nonce: Mutex::default(),
        }
    }

    /// Sends the request on and gives the gateway's answer.
    pub(crate) async fn send(
        &self,
        run: &Run,
        caller: &Caller,
        wanted: &Wanted,
        token: &Issued,
        request: Request<Incoming>,
    ) -> Result<Response<Body>, Stopped> {
        let (mut head, body) = request.into_parts();
        let uri = if wanted.is_absolute() {
            wanted.uri.clone()
        } else {
            let path = wanted
                .uri
                .path_and_query()
                .map_or("/", http::uri::PathAndQuery::as_str);
            format!("{}{path}", self.gateway.base_url)
                .parse::<Uri>()
                .map_err(|_| gateway_down())?
        };
        let target = RequestTarget::parse(&uri.to_string()).map_err(|_| {
            Stopped::of(
                StatusCode::BAD_REQUEST,
                "TARGET_FORM",
                "The request's target cannot be proven: it is not a plain http:// URL.",
                "write http://HOST/PATH",
            )
        })?;
        let nonce = self.nonce.lock().unwrap_or_else(PoisonError::into_inner).clone();
        let claims = ProofClaims {
            jti: &jti(),
            method: head.method.as_str(),
            target: &target,
            issued_at: wall_clock(),
            access_token: Some(token.token.expose()),
            nonce: nonce.as_deref(),
            caller: Some(vouch(caller)),
        };
        let proof = run.key().prove(&claims).map_err(|_| gateway_down())?;
        // Whatever credential the process sent is not for the gateway.
        for name in [AUTHORIZATION, DPOP, http::header::PROXY_AUTHORIZATION, HOST] {
            head.headers.remove(name);
        }
        let mut authorization =
            HeaderValue::from_str(&format!("DPoP {}", token.token.expose())).map_err(|_| gateway_down())?;
        authorization.set_sensitive(true);
        head.headers.insert(AUTHORIZATION, authorization);
        head.headers
            .insert(DPOP, HeaderValue::from_str(&proof).map_err(|_| gateway_down())?);
        head.uri = uri;
        head.version = http::Version::HTTP_11;
        let response = self
            .client
            .request(Request::from_parts(head, body))
            .await
            .map_err(|error| {
                tracing::warn!(%error, "the gateway could not be reached");
                gateway_down()
            })?;
        if let Some(nonce) = response
            .headers()
            .get("dpop-nonce")
            .and_then(|value| value.to_str().ok())
        {
            *self.nonce.lock().unwrap_or_else(PoisonError::into_inner) = Some(nonce.to_owned());
        }
        Ok(response.map(|body| body.map_err(Into::into).boxed_unsync()))
    }
}

/// What the story says of a refusal by the gateway.
pub(crate) fn denial(response: &Response<Body>) -> Option<String> {
    let text = |name: &HeaderName| response.headers().get(name).and_then(|value| value.to_str().ok());
    let decision = text(&DECISION)?;
    let code = text(&CODE).unwrap_or("DENIED");
    let next = text(&APPROVAL).map_or_else(
        || format!("tabard explain {decision}"),
        |approval| format!("tabard approve {approval}"),
    );
    (!response.status().is_success()).then(|| format!("{code}  {decision}  \u{2192} {next}"))
}

/// 128 random bits.
pub(crate) fn jti() -> String {
    let mut bytes = [0; 16];
    // Without randomness the proof is no proof: an empty id is refused by whoever verifies it.
    match SystemRandom::new().fill(&mut bytes) {
        Ok(()) => URL_SAFE_NO_PAD.encode(bytes),
        Err(_) => String::new(),
    }
}

fn gateway_down() -> Stopped {
    Stopped::of(
        StatusCode::BAD_GATEWAY,
        "GATEWAY_UNREACHABLE",
        "The gateway cannot be reached, and no request leaves without it.",
        "see `tabard status`",
    )
}

/// Connects to the gateway, whatever host the request names; requests are sent in absolute form.
#[derive(Clone)]
struct Dial {
    gateway: String,
    tls: Option<Arc<rustls::ClientConfig>>,
}

impl tower_service::Service<Uri> for Dial {
    type Response = TokioIo<Line>;
    type Error = std::io::Error;
    type Future = Pin<Box<dyn Future<Output = Result<TokioIo<Line>, std::io::Error>> + Send>>;

    fn poll_ready(&mut self, _: &mut Context<'_>) -> Poll<Result<(), std::io::Error>> {
        Poll::Ready(Ok(()))
    }
    fn call(&mut self, _: Uri) -> Self::Future {
        let Self { gateway, tls } = self.clone();
        Box::pin(async move {
            let connecting = async {
                let stream = TcpStream::connect(&gateway).await?;
                stream.set_nodelay(true)?;
                let Some(tls) = tls else {
                    return Ok(Line(Box::new(stream)));
                };
                let name = rustls::pki_types::ServerName::IpAddress(stream.peer_addr()?.ip().into());
                let stream = TlsConnector::from(tls).connect(name, stream).await?;
                Ok(Line(Box::new(stream)))
            };
            match tokio::time::timeout(CONNECT, connecting).await {
                Ok(connected) => connected.map(TokioIo::new),
                Err(_) => Err(std::io::ErrorKind::TimedOut.into()),
            }
        })
    }
}

/// In the clear or over TLS.
trait Wire: AsyncRead + AsyncWrite + Unpin + Send {}
impl<T: AsyncRead + AsyncWrite + Unpin + Send> Wire for T {}

struct Line(Box<dyn Wire>);

impl Connection for Line {
    fn connected(&self) -> Connected {
        Connected::new().proxy(true)
    }
}
impl AsyncRead for Line {
    fn poll_read(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buf: &mut ReadBuf<'_>,
    ) -> Poll<std::io::Result<()>> {
        Pin::new(&mut *self.0).poll_read(cx, buf)
    }
}
impl AsyncWrite for Line {
    fn poll_write(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buf: &[u8],
    ) -> Poll<std::io::Result<usize>> {
        Pin::new(&mut *self.0).poll_write(cx, buf)
    }
    fn poll_flush(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<std::io::Result<()>> {
        Pin::new(&mut *self.0).poll_flush(cx)
    }
    fn poll_shutdown(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<std::io::Result<()>> {
        Pin::new(&mut *self.0).poll_shutdown(cx)
    }
}
