//! The run's own HTTP listener: where its calls begin.
//!
//! A process of the run sends plain HTTP, in the form a proxy gets it (RFC 9112 section 3.2.2) or with a path. Here it is said
//! who called: the bound process or one of its children, with executable and arguments. What happens to the call is
//! decided behind [`Calls`]. Bodies stream both ways.
//!
//! On a Unix socket the kernel names the caller. On TCP the connection is matched to a process of the run, which is a match and
//! no proof; outside of the run's own network namespace that is called advisory.

use crate::authority::Authority;
use crate::runs::{Place, Run, Runs};
use broker::unidentified::{OUTSIDE_RUN, Source};
use bytes::Bytes;
use http::{Request, Response, StatusCode};
use http_body_util::combinators::UnsyncBoxBody;
use http_body_util::{BodyExt, Full};
use hyper::body::Incoming;
use hyper::server::conn::http1;
use hyper::service::service_fn;
use hyper_util::rt::{TokioIo, TokioTimer};
use peer::{ExecutableDigests, Listener, PeerError, PidFd, Process, TcpOwner, owner_among};
use std::convert::Infallible;
use std::future::Future;
use std::io;
use std::sync::Arc;
use std::time::Duration;
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::net::{TcpListener, TcpStream};
use tokio::task::JoinSet;

/// The body of an answer: streamed, or at hand.
pub type Body = UnsyncBoxBody<Bytes, Box<dyn std::error::Error + Send + Sync>>;

/// Who made a call.
#[derive(Clone, Debug)]
pub struct Caller {
    /// The bound process, or one of its children.
    pub kind: CallerKind,
    /// What the kernel knows about it. Its arguments are its own words.
    pub process: Process,
}

/// In which capacity a process of a run calls.
#[derive(Clone, Copy, PartialEq, Eq, Debug, serde::Serialize, serde::Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum CallerKind {
    /// The process that the identity is bound to.
    Agent,
    /// Any other process of its run, or one that can not be told apart from them.
    Child,
}

/// What happens to calls: exchange, decision, record, and forwarding.
pub trait Calls: Send + Sync + 'static {
    /// Answers one call of a run.
    fn call(
        &self,
        run: Arc<Run>,
        caller: Caller,
        request: Request<Incoming>,
    ) -> impl Future<Output = Response<Body>> + Send;
}

/// A short answer of our own.
pub fn answer(status: StatusCode, text: impl Into<Bytes>) -> Response<Body> {
    let body = Full::new(text.into())
        .map_err(|never| match never {})
        .boxed_unsync();
    let mut response = Response::new(body);
    *response.status_mut() = status;
    response
}

/// Connections of one run at once. An agent with a browser has a few dozen.
const CONNECTIONS_MAX: usize = 256;
/// How long a caller may take to send a request's head.
const HEAD_TIMEOUT: Duration = Duration::from_secs(30);
/// After an error of `accept` itself, before the next try.
const ACCEPT_PAUSE: Duration = Duration::from_millis(100);

/// Answers the calls of one run until dropped.
pub(crate) async fn serve<A: Authority, C: Calls>(door: Door<A, C>, unix: Listener, tcp: TcpListener) {
    let door = Arc::new(door);
    let mut connections = JoinSet::new();
    loop {
        if connections.len() >= CONNECTIONS_MAX {
            connections.join_next().await;
        }
        tokio::select! {
            Some(_) = connections.join_next() => {}
            accepted = unix.accept() => match accepted {
                Ok(Ok((peer, stream))) => {
                    let door = door.clone();
                    connections.spawn(async move {
                        door.converse(peer.process, Some(peer.uid), false, stream).await;
                    });
                }
                Ok(Err(error)) => tracing::debug!(%error, "a caller of a run's listener is unknown"),
                Err(error) => pause(&error).await,
            },
            accepted = tcp.accept() => match accepted {
                Ok((stream, _)) => {
                    let door = door.clone();
                    connections.spawn(async move { door.match_and_converse(stream).await });
                }
                Err(error) => pause(&error).await,
            },
        }
    }
}

async fn pause(error: &io::Error) {
    tracing::warn!(%error, "a run's listener can not accept connections");
    tokio::time::sleep(ACCEPT_PAUSE).await;
}

/// What stands behind a run's listener.
pub(crate) struct Door<A, C> {
    pub(crate) run: Arc<Run>,
    pub(crate) runs: Arc<Runs>,
    pub(crate) digests: Arc<ExecutableDigests>,
    pub(crate) calls: Arc<C>,
    pub(crate) authority: Arc<A>,
}

impl<A: Authority, C: Calls> Door<A, C> {
    async fn match_and_converse(&self, stream: TcpStream) {
        match self.owner_of(&stream) {
            Ok(TcpOwner::One(process)) => self.converse(process, None, false, stream).await,
            // Nobody can say which of them speaks: the weaker of both.
            Ok(TcpOwner::Shared(holders)) => {
                if let Some(first) = holders.into_iter().next() {
                    self.converse(first, None, true, stream).await;
                }
            }
            Ok(TcpOwner::Nobody { uid }) => self.turn_away(uid),
            Err(error) => {
                tracing::warn!(run = %self.run.opened.run, %error, "a connection could not be matched");
                self.turn_away(None);
            }
        }
    }

    fn owner_of(&self, stream: &TcpStream) -> Result<TcpOwner, PeerError> {
        let mut members = vec![self.run.process.clone()];
        descendants(&self.run.supervisor, &mut members, 0);
        owner_among(&members, stream.peer_addr()?, stream.local_addr()?)
    }

    /// Counted, not recorded one by one: whoever can connect could fill the log.
    fn turn_away(&self, uid: Option<u32>) {
        let run = self.run.opened.run;
        self.authority
            .turned_away(Source::AtRun { uid, run }, OUTSIDE_RUN);
    }

    async fn converse(
        &self,
        process: Arc<PidFd>,
        uid: Option<u32>,
        shared: bool,
        stream: impl AsyncRead + AsyncWrite + Unpin + Send + 'static,
    ) {
        let served = http1::Builder::new()
            .timer(TokioTimer::new())
            .header_read_timeout(HEAD_TIMEOUT)
            .serve_connection(
                TokioIo::new(stream),
                service_fn(|request| async {
                    let answered = if let Some(caller) = self.caller(&process, shared) {
                        self.calls.call(self.run.clone(), caller, request).await
                    } else {
                        self.turn_away(uid);
                        let text = format!("{OUTSIDE_RUN} this listener belongs to another run\n");
                        answer(StatusCode::FORBIDDEN, text)
                    };
                    Ok::<_, Infallible>(answered)
                }),
            )
            .with_upgrades()
            .await;
        if let Err(error) = served {
            tracing::debug!(%error, "a connection of a run broke");
        }
    }

    /// Judged at each request: the process may have ended, or executed something else.
    fn caller(&self, process: &PidFd, shared: bool) -> Option<Caller> {
        let of_this = |run: &Run| run.process.inode() == self.run.process.inode();
        let kind = match self.runs.place_of(process) {
            Place::Agent(run) if of_this(&run) && run.is_intact() && !shared => CallerKind::Agent,
            Place::Agent(run) | Place::Child(run) if of_this(&run) => CallerKind::Child,
            Place::Agent(_) | Place::Child(_) | Place::Inside | Place::Outside => return None,
        };
        let process = Process::of(process, &self.digests).ok()?;
        Some(Caller { kind, process })
    }
}

/// All processes below `of`, as far as they can be seen; at most [`MEMBERS_MAX`].
fn descendants(of: &PidFd, into: &mut Vec<Arc<PidFd>>, depth: usize) {
    let Ok(tasks) = std::fs::read_dir(format!("/proc/{}/task", of.pid().as_raw_nonzero())) else {
        return;
    };
    for task in tasks.filter_map(Result::ok) {
        let text = std::fs::read_to_string(task.path().join("children")).unwrap_or_default();
        for pid in text.split_ascii_whitespace().filter_map(|pid| pid.parse().ok()) {
            let Some(child) = rustix::process::Pid::from_raw(pid).and_then(|pid| PidFd::open(pid).ok())
            else {
                continue;
            };
            if into.len() >= MEMBERS_MAX || depth >= peer::ANCESTORS_MAX || !of.is_alive() {
                return;
            }
            let child = Arc::new(child);
            into.push(child.clone());
            descendants(&child, into, depth + 1);
        }
    }
}

/// Processes of one run that a connection is looked for among.
const MEMBERS_MAX: usize = 1024;
