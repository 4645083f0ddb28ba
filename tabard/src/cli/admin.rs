//! The client of the admin API: HTTP/1.1 and JSON, one connection a request; over the socket on the server's own host,
//! or from anywhere with the session of this terminal.

use super::https::Https;
use super::{Exit, Failure};
use crate::context::Context;
use crate::parts::wall_clock;
use crate::terminal_session::TerminalSession;
use http::{Method, Request, StatusCode, header};
use http_body_util::{BodyExt as _, Full, Limited};
use hyper::body::{Bytes, Incoming};
use hyper::client::conn::http1;
use hyper_util::rt::TokioIo;
use serde_json::Value;
use std::path::{Path, PathBuf};
use std::time::Duration;
use tokio::net::UnixStream;
use tokio::runtime::Runtime;

/// Largest answer in bytes: a thousand entries of their greatest length would be 60 MB; nobody reads that.
const ANSWER_BYTES_MAX: usize = 64 * 1024 * 1024;
/// Longest wait for an answer: a revocation waits a second for its followers, an export reads a bundle.
const ANSWER: Duration = Duration::from_secs(30);

/// The admin plane at a socket.
#[derive(Debug)]
pub(crate) struct Admin {
    way: Way,
    runtime: Runtime,
}

/// How the server is reached.
#[derive(Debug)]
enum Way {
    /// The kernel says who asks.
    Socket(PathBuf),
    /// A session of a person does.
    Terminal(Box<Https>, TerminalSession),
}

impl Admin {
    /// Connects later, at each request.
    pub(crate) fn at(socket: &Path) -> Result<Self, Failure> {
        let runtime = runtime()?;
        Ok(Self {
            way: Way::Socket(socket.to_owned()),
            runtime,
        })
    }

    /// With the session of this terminal.
    pub(crate) fn terminal(context: &Context, session: TerminalSession) -> Result<Self, Failure> {
        let https = Https::to(context, &session.url)?;
        Ok(Self {
            way: Way::Terminal(Box::new(https), session),
            runtime: runtime()?,
        })
    }

    /// Reads something.
    pub(crate) fn get(&self, path: &str) -> Result<Value, Failure> {
        self.call(Method::GET, path, None)
    }
    /// Changes something.
    pub(crate) fn post(&self, path: &str, body: &Value) -> Result<Value, Failure> {
        self.call(Method::POST, path, Some(body))
    }
    /// Removes something.
    pub(crate) fn delete(&self, path: &str) -> Result<Value, Failure> {
        self.call(Method::DELETE, path, None)
    }

    /// The bytes of a document; `None` where there is none.
    pub(crate) fn bytes(&self, path: &str) -> Result<Option<Bytes>, Failure> {
        let (status, bytes) = self.exchange(Method::GET, path, None)?;
        match status {
            StatusCode::NOT_FOUND => Ok(None),
            status if status.is_success() => Ok(Some(bytes)),
            status => Err(problem(status, &bytes)),
        }
    }

    /// Hands over each line of an endless answer as it comes, until `each` has enough or the server ends.
    pub(crate) fn lines(&self, path: &str, mut each: impl FnMut(&[u8]) -> bool) -> Result<(), Failure> {
        self.runtime.block_on(async {
            let mut body = self.send(Method::GET, path, None).await?;
            let status = body.0;
            let mut rest = Vec::new();
            while let Some(frame) = body.1.frame().await {
                let frame = frame.map_err(|error| self.unreachable(&error.to_string()))?;
                let Some(data) = frame.data_ref() else { continue };
                rest.extend_from_slice(data);
                while status.is_success()
                    && let Some(end) = rest.iter().position(|byte| *byte == b'\n')
                {
                    let after = rest.split_off(end.saturating_add(1));
                    let line = std::mem::replace(&mut rest, after);
                    if !each(line.trim_ascii_end()) {
                        return Ok(());
                    }
                }
            }
            if status.is_success() {
                Ok(())
            } else {
                Err(problem(status, &rest))
            }
        })
    }

    fn call(&self, method: Method, path: &str, body: Option<&Value>) -> Result<Value, Failure> {
        let (status, bytes) = self.exchange(method, path, body)?;
        if !status.is_success() {
            return Err(problem(status, &bytes));
        }
        serde_json::from_slice(&bytes).map_err(|error| {
            Failure::new("ANSWER_UNREADABLE", "The server's answer is not JSON.")
                .because(error.to_string())
                .fix("Use a `tabard` of the server's version.")
        })
    }

    fn exchange(
        &self,
        method: Method,
        path: &str,
        body: Option<&Value>,
    ) -> Result<(StatusCode, Bytes), Failure> {
        self.runtime.block_on(async {
            let exchange = async {
                let (status, body) = self.send(method, path, body).await?;
                let whole = Limited::new(body, ANSWER_BYTES_MAX).collect().await;
                let whole = whole.map_err(|error| self.unreachable(&error.to_string()))?;
                Ok((status, whole.to_bytes()))
            };
            tokio::time::timeout(ANSWER, exchange)
                .await
                .unwrap_or_else(|_| Err(self.unreachable("it did not answer within 30 seconds")))
        })
    }

    async fn send(
        &self,
        method: Method,
        path: &str,
        body: Option<&Value>,
    ) -> Result<(StatusCode, Incoming), Failure> {
        let body = body.map(Value::to_string).unwrap_or_default();
        let request = Request::builder()
            .method(&method)
            .uri(path)
            .header(header::CONTENT_TYPE, "application/json");
        let malformed = |error: http::Error| Failure::new("REQUEST", error.to_string());
        let socket = match &self.way {
            Way::Socket(socket) => socket,
            Way::Terminal(https, session) => {
                let bare = path.split('?').next().unwrap_or(path);
                let (authorization, proof) =
                    session
                        .headers(method.as_str(), bare, wall_clock())
                        .map_err(|error| {
                            Failure::new("TERMINAL_KEY", error.to_string()).fix("Run `tabard login`.")
                        })?;
                let request = request
                    .header(header::HOST, https.authority())
                    .header(header::AUTHORIZATION, authorization)
                    .header("dpop", proof)
                    .body(Full::new(Bytes::from(body)))
                    .map_err(malformed)?;
                let response = https.send(request).await.map_err(|why| self.unreachable(&why))?;
                let (head, body) = response.into_parts();
                return Ok((head.status, body));
            }
        };
        let request = request
            .header(header::HOST, "admin")
            .body(Full::new(Bytes::from(body)))
            .map_err(malformed)?;
        let stream = UnixStream::connect(socket)
            .await
            .map_err(|error| self.unreachable(&error.to_string()))?;
        let (mut sender, connection) = http1::handshake(TokioIo::new(stream))
            .await
            .map_err(|error| self.unreachable(&error.to_string()))?;
        tokio::spawn(connection);
        let response = sender
            .send_request(request)
            .await
            .map_err(|error| self.unreachable(&error.to_string()))?;
        let (head, body) = response.into_parts();
        Ok((head.status, body))
    }

    fn unreachable(&self, why: &str) -> Failure {
        Failure::new(
            "SERVER_UNREACHABLE",
            match &self.way {
                Way::Socket(socket) => format!("No server answers on {}", socket.display()),
                Way::Terminal(_, session) => format!("No server answers on {}", session.url),
            },
        )
        .because(why)
        .fix("Start it with `tabard dev` or `tabard server`, or choose another one with --context.")
        .ending(Exit::Unreachable)
    }
}

/// A runtime for one command: its requests come one after the other.
pub(super) fn runtime() -> Result<Runtime, Failure> {
    tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()
        .map_err(|error| Failure::new("RUNTIME", "The command cannot start.").because(error.to_string()))
}

/// Makes a name or id a segment of a path.
pub(crate) fn segment(text: &str) -> String {
    text.bytes()
        .fold(String::with_capacity(text.len()), |mut out, byte| {
            if byte.is_ascii_alphanumeric() || matches!(byte, b'-' | b'_' | b'.' | b'~') {
                out.push(char::from(byte));
            } else {
                let digit = |nibble: u8| {
                    char::from_digit(u32::from(nibble), 16)
                        .unwrap_or('0')
                        .to_ascii_uppercase()
                };
                out.extend(['%', digit(byte >> 4), digit(byte & 15)]);
            }
            out
        })
}

fn problem(status: StatusCode, bytes: &[u8]) -> Failure {
    let problem = serde_json::from_slice(bytes).unwrap_or_else(|_| {
        serde_json::json!({"title": "The server refused without a reason.", "fix": "Use a `tabard` of the server's version."})
    });
    Failure::of_problem(status.as_u16(), &problem)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_name_cannot_become_another_path() {
        assert_eq!(segment("demo-billing@1"), "demo-billing%401");
        assert_eq!(segment("../status?x=/"), "..%2Fstatus%3Fx%3D%2F");
    }

    #[test]
    fn nobody_at_the_socket_is_unreachable() {
        let dir = tempfile::tempdir().unwrap();
        let admin = Admin::at(&dir.path().join("none")).unwrap();
        assert_eq!(admin.get("/v1/status").unwrap_err().exit(), Exit::Unreachable);
    }
}
