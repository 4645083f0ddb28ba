//! An endpoint of somebody else's that takes webhooks, and checks each as a receiver should: strictly by Standard Webhooks.

use aws_lc_rs::hmac;
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use identity::UnixTime;
use serde_json::Value;
use std::collections::BTreeMap;
use std::net::SocketAddr;
use std::sync::{Arc, Mutex};
use std::time::Duration;
use tokio::io::{AsyncRead, AsyncReadExt as _, AsyncWrite, AsyncWriteExt as _};
use tokio::net::TcpListener;
use tokio::task::JoinHandle;
use tokio_rustls::TlsAcceptor;

/// How an endpoint answers.
#[derive(Debug, Clone)]
pub(crate) enum Reply {
    /// These bytes, and the end.
    Bytes(String),
    /// Never.
    Silence,
    /// A good status, and a body without an end.
    Endless,
    /// A header without an end.
    Heading,
}

impl Reply {
    pub(crate) fn status(code: u16) -> Self {
        Self::Bytes(format!("HTTP/1.1 {code} X\r\nContent-Length: 0\r\n\r\n"))
    }
}

/// One request that came.
#[derive(Debug, Clone)]
pub(crate) struct Got {
    pub(crate) line: String,
    pub(crate) headers: BTreeMap<String, String>,
    pub(crate) body: String,
}

impl Got {
    pub(crate) fn json(&self) -> Value {
        serde_json::from_str(&self.body).unwrap()
    }

    /// Whether it was signed with `secret` within five minutes of `now`: id, timestamp and the very bytes.
    pub(crate) fn is_signed_with(&self, secret: &str, now: UnixTime) -> bool {
        let secret = STANDARD.decode(secret.strip_prefix("whsec_").unwrap()).unwrap();
        let field = |name: &str| self.headers.get(name).cloned().unwrap_or_default();
        let (id, timestamp) = (field("webhook-id"), field("webhook-timestamp"));
        let Ok(at) = timestamp.parse::<u64>() else {
            return false;
        };
        if id.is_empty() || at.abs_diff(now.millis() / 1000) > 300 {
            return false;
        }
        let key = hmac::Key::new(hmac::HMAC_SHA256, &secret);
        let signed = format!("{id}.{timestamp}.{}", self.body);
        field("webhook-signature").split(' ').any(|signature| {
            let tag = signature
                .strip_prefix("v1,")
                .and_then(|it| STANDARD.decode(it).ok());
            tag.is_some_and(|tag| hmac::verify(&key, signed.as_bytes(), &tag).is_ok())
        })
    }
}

/// An endpoint on loopback; it ends when it is dropped.
pub(crate) struct Receiver {
    pub(crate) address: SocketAddr,
    got: Arc<Mutex<Vec<Got>>>,
    task: JoinHandle<()>,
}

impl Drop for Receiver {
    fn drop(&mut self) {
        self.task.abort();
    }
}

impl Receiver {
    /// Answers the first requests with `replies`, and all others like the last of them.
    pub(crate) async fn answering(replies: &[Reply]) -> Self {
        Self::start(replies, None).await
    }

    /// The same over TLS.
    pub(crate) async fn over_tls(tls: TlsAcceptor) -> Self {
        Self::start(&[Reply::status(204)], Some(tls)).await
    }

    async fn start(replies: &[Reply], tls: Option<TlsAcceptor>) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap();
        let got = Arc::<Mutex<Vec<Got>>>::default();
        let (seen, replies) = (got.clone(), replies.to_vec());
        let task = tokio::spawn(async move {
            let mut connections = tokio::task::JoinSet::new();
            while let Ok((stream, _)) = listener.accept().await {
                let (seen, replies, tls) = (seen.clone(), replies.clone(), tls.clone());
                connections.spawn(async move {
                    match tls {
                        None => serve(stream, &seen, &replies).await,
                        Some(tls) => {
                            if let Ok(stream) = tls.accept(stream).await {
                                serve(stream, &seen, &replies).await;
                            }
                        }
                    }
                });
            }
        });
        Self { address, got, task }
    }

    pub(crate) fn url(&self) -> String {
        format!("http://{}/hooks/s3cret-path", self.address)
    }

    pub(crate) fn got(&self) -> Vec<Got> {
        self.got.lock().unwrap().clone()
    }

    /// Waits until that many requests came; ten seconds at most.
    pub(crate) async fn after(&self, count: usize) -> Vec<Got> {
        for _ in 0..400 {
            let got = self.got();
            if got.len() >= count {
                return got;
            }
            tokio::time::sleep(Duration::from_millis(25)).await;
        }
        panic!("{count} requests did not come: {:?}", self.got());
    }
}

async fn serve(mut stream: impl AsyncRead + AsyncWrite + Unpin, seen: &Mutex<Vec<Got>>, replies: &[Reply]) {
    let mut bytes = Vec::new();
    let got = loop {
        let mut more = [0; 4096];
        match stream.read(&mut more).await {
            Ok(0) | Err(_) => return,
            Ok(read) => bytes.extend(&more[..read]),
        }
        if let Some(got) = parsed(&bytes) {
            break got;
        }
    };
    let place = {
        let mut seen = seen.lock().unwrap();
        seen.push(got);
        seen.len() - 1
    };
    let reply = replies.get(place).or(replies.last()).unwrap().clone();
    match reply {
        Reply::Bytes(bytes) => drop(stream.write_all(bytes.as_bytes()).await),
        Reply::Silence => std::future::pending().await,
        Reply::Endless => {
            let head = b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n";
            let mut going = stream.write_all(head).await.is_ok();
            let chunk = format!("10000\r\n{}\r\n", "x".repeat(0x10000));
            while going {
                going = stream.write_all(chunk.as_bytes()).await.is_ok();
            }
        }
        Reply::Heading => {
            let mut going = stream.write_all(b"HTTP/1.1 200 OK\r\nx: ").await.is_ok();
            while going {
                going = stream.write_all(&[b'x'; 0x1000]).await.is_ok();
            }
        }
    }
}

/// A whole request, once it is there.
fn parsed(bytes: &[u8]) -> Option<Got> {
    let end = bytes.windows(4).position(|four| four == b"\r\n\r\n")?;
    let head = String::from_utf8(bytes[..end].to_vec()).unwrap();
    let mut lines = head.split("\r\n");
    let line = lines.next().unwrap().to_owned();
    let headers: BTreeMap<String, String> = lines
        .map(|line| {
            let (name, value) = line.split_once(": ").unwrap();
            (name.to_lowercase(), value.to_owned())
        })
        .collect();
    let length: usize = headers.get("content-length")?.parse().unwrap();
    let body = bytes.get(end + 4..end + 4 + length)?;
    Some(Got {
        line,
        headers,
        body: String::from_utf8(body.to_vec()).unwrap(),
    })
}
