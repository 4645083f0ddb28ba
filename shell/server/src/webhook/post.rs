//! One attempt: resolved here, checked, connected to the checked address, bounded in time and bytes. No redirect is
//! followed and no body of an answer is read: its status is all that counts.

use super::message::{ID, Message, SIGNATURE, TIMESTAMP};
use broker::upstream::{Host, Origin, Reach, reach};
use broker::world::Webhook;
use bytes::Bytes;
use http::{HeaderValue, Method, Request, StatusCode, header};
use http_body_util::Full;
use hyper::client::conn::http1;
use hyper_util::rt::TokioIo;
use identity::{Secret, UnixTime};
use rustls::ClientConfig;
use rustls::pki_types::{IpAddr as TlsIp, ServerName};
use serde::Serialize;
use std::net::{IpAddr, SocketAddr};
use std::pin::pin;
use std::sync::Arc;
use std::time::Duration;
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::net::TcpStream;
use tokio_rustls::TlsConnector;

/// Longest attempt, from the name's resolution to the status line. Standard Webhooks wants 15 to 30 s allowed; ours say
/// little, and who takes them needs no more than to write them down.
const ATTEMPT: Duration = Duration::from_secs(10);
/// Largest head of an answer, in bytes.
const HEAD_BYTES_MAX: usize = 16 * 1024;

/// Why an attempt failed, as classes: what an endpoint answers is shown to nobody.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, thiserror::Error)]
#[serde(rename_all = "snake_case")]
pub(crate) enum Failure {
    /// The secret does not open.
    #[error("its secret does not open")]
    Secret,
    /// The name has no address.
    #[error("its name does not resolve")]
    Unresolved,
    /// One of the addresses is none that it may be at.
    #[error("its name resolves to an address that it may not be at")]
    Forbidden,
    /// No connection.
    #[error("it does not accept a connection")]
    Unreachable,
    /// No TLS that can be trusted.
    #[error("its certificate is not trusted, or it speaks no TLS")]
    Untrusted,
    /// It hung up, or did not speak HTTP.
    #[error("it broke off")]
    Broken,
    /// Too slow.
    #[error("it did not answer within 10 seconds")]
    Late,
    /// It redirects.
    #[error("it redirects, which is not followed")]
    Redirects,
    /// 410: it wants no more of this.
    #[error("it answered 410: it wants no more of this")]
    Gone,
    /// Another status than 2xx.
    #[error("it answered with an error")]
    Status,
}

impl Failure {
    /// The stable spelling, as entries have it.
    pub(crate) const fn word(self) -> &'static str {
        match self {
            Self::Secret => "secret",
            Self::Unresolved => "unresolved",
            Self::Forbidden => "forbidden",
            Self::Unreachable => "unreachable",
            Self::Untrusted => "untrusted",
            Self::Broken => "broken",
            Self::Late => "late",
            Self::Redirects => "redirects",
            Self::Gone => "gone",
            Self::Status => "status",
        }
    }
}

/// Sends a message once.
pub(crate) async fn post(
    tls: Option<Arc<ClientConfig>>,
    webhook: &Webhook,
    secret: &Secret<Vec<u8>>,
    message: &Message,
    now: UnixTime,
) -> Result<(), Failure> {
    let attempt = async {
        let (origin, path) = Origin::split(&webhook.url).map_err(|_| Failure::Forbidden)?;
        let request = request(&origin, path, secret, message, now).ok_or(Failure::Broken)?;
        let addresses = allowed(webhook, resolve(&origin).await?)?;
        let stream = connect(&addresses).await?;
        if !origin.tls {
            return exchange(stream, request).await;
        }
        let name = tls_name(&origin.host).ok_or(Failure::Untrusted)?;
        let connector = TlsConnector::from(tls.ok_or(Failure::Untrusted)?);
        let stream = connector.connect(name, stream).await;
        exchange(stream.map_err(|_| Failure::Untrusted)?, request).await
    };
    let status = tokio::time::timeout(ATTEMPT, attempt)
        .await
        .unwrap_or(Err(Failure::Late))?;
    if status.is_success() {
        Ok(())
    } else if status.is_redirection() {
        Err(Failure::Redirects)
    } else if status == StatusCode::GONE {
        Err(Failure::Gone)
    } else {
        Err(Failure::Status)
    }
}

fn request(
    origin: &Origin,
    path: &str,
    secret: &Secret<Vec<u8>>,
    message: &Message,
    now: UnixTime,
) -> Option<Request<Full<Bytes>>> {
    let (timestamp, signature) = message.signed(secret.expose(), now)?;
    let to = origin.to_string();
    let authority = to.split_once("://")?.1;
    Request::builder()
        .method(Method::POST)
        .uri(if path.is_empty() { "/" } else { path })
        .header(header::HOST, authority)
        .header(header::CONTENT_TYPE, HeaderValue::from_static("application/json"))
        .header(header::USER_AGENT, HeaderValue::from_static("tabard"))
        .header(header::CONNECTION, HeaderValue::from_static("close"))
        .header(ID, message.id.as_str())
        .header(TIMESTAMP, timestamp)
        .header(SIGNATURE, signature)
        .body(Full::new(message.body.clone()))
        .ok()
}

async fn resolve(origin: &Origin) -> Result<Vec<SocketAddr>, Failure> {
    let port = origin.port;
    match &origin.host {
        Host::V4(v4) => Ok(vec![SocketAddr::from((*v4, port))]),
        Host::V6(v6) => Ok(vec![SocketAddr::from((*v6, port))]),
        Host::Name(name) => {
            let found = tokio::net::lookup_host((name.as_str(), port)).await;
            Ok(found.map_err(|_| Failure::Unresolved)?.collect())
        }
    }
}

/// All of `resolved`, or why not: one bad address refuses the name, so that answers cannot be mixed.
fn allowed(webhook: &Webhook, resolved: Vec<SocketAddr>) -> Result<Vec<SocketAddr>, Failure> {
    let may = |address: IpAddr| match reach(address) {
        Reach::Public => true,
        Reach::Loopback | Reach::Private => webhook.addresses.contains(&address),
        Reach::Never => false,
    };
    if resolved.is_empty() {
        return Err(Failure::Unresolved);
    }
    if resolved.iter().all(|address| may(address.ip())) {
        Ok(resolved)
    } else {
        Err(Failure::Forbidden)
    }
}

async fn connect(addresses: &[SocketAddr]) -> Result<TcpStream, Failure> {
    for address in addresses {
        if let Ok(stream) = TcpStream::connect(address).await {
            return Ok(stream);
        }
    }
    Err(Failure::Unreachable)
}

fn tls_name(host: &Host) -> Option<ServerName<'static>> {
    match host {
        Host::Name(name) => ServerName::try_from(name.clone()).ok(),
        Host::V4(v4) => Some(ServerName::IpAddress(TlsIp::from(IpAddr::V4(*v4)))),
        Host::V6(v6) => Some(ServerName::IpAddress(TlsIp::from(IpAddr::V6(*v6)))),
    }
}

/// The status of the answer. The connection lives as long as this does: nothing of it goes on behind our back.
async fn exchange(
    stream: impl AsyncRead + AsyncWrite + Unpin,
    request: Request<Full<Bytes>>,
) -> Result<StatusCode, Failure> {
    let handshake = http1::Builder::new()
        .max_buf_size(HEAD_BYTES_MAX)
        .handshake(TokioIo::new(stream))
        .await;
    let (mut sender, connection) = handshake.map_err(|_| Failure::Broken)?;
    let mut sent = pin!(sender.send_request(request));
    let answer = tokio::select! {
        biased;
        answer = &mut sent => answer,
        _ = connection => sent.await,
    };
    answer.map(|answer| answer.status()).map_err(|_| Failure::Broken)
}

#[cfg(test)]
mod tests {
    use super::*;
    use broker::world::Person;
    use identity::{OrgId, WebhookId};

    fn webhook(addresses: &[&str]) -> Webhook {
        Webhook {
            id: WebhookId::from_u128(1),
            org: OrgId::from_u128(2),
            name: "pager".parse().unwrap(),
            url: "https://hooks.example.com/".into(),
            addresses: addresses.iter().map(|it| it.parse().unwrap()).collect(),
            by: Person {
                name: "ann".parse().unwrap(),
                uid: None,
            },
            added_at: UnixTime::from_secs(1),
        }
    }

    fn verdict(named: &[&str], resolved: &[&str]) -> Result<(), Failure> {
        let resolved = resolved
            .iter()
            .map(|it| SocketAddr::new(it.parse().unwrap(), 443))
            .collect();
        allowed(&webhook(named), resolved).map(drop)
    }

    #[test]
    fn what_is_not_public_has_to_be_named() {
        assert_eq!(verdict(&[], &["93.184.216.34"]), Ok(()));
        for inside in [
            "127.0.0.1",
            "::1",
            "10.0.0.1",
            "192.168.1.1",
            "fd00::1",
            "::ffff:10.0.0.1",
            "64:ff9b::a00:1",
        ] {
            assert_eq!(verdict(&[], &[inside]), Err(Failure::Forbidden), "{inside}");
            assert_eq!(verdict(&[inside], &[inside]), Ok(()), "{inside}");
            let mixed = ["93.184.216.34", inside];
            assert_eq!(verdict(&[], &mixed), Err(Failure::Forbidden), "{inside}");
        }
        for never in ["169.254.169.254", "fe80::1", "0.0.0.0", "::ffff:169.254.169.254"] {
            assert_eq!(verdict(&[never], &[never]), Err(Failure::Forbidden), "{never}");
        }
        assert_eq!(verdict(&[], &[]), Err(Failure::Unresolved));
    }
}
