//! One suite with its contract: a server, a gateway with its journal, and the suite's service behind it.

use super::request::Wanted;
use super::suite::{Files, Variant};
use crate::client::Connection;
use crate::fault::{Fault, fault};
use crate::instance::Instance;
use crate::key::ClientKey;
use crate::part::exchange_load::now;
use crate::place::Place;
use crate::standalone::{LOG, Standalone};
use broker::task::TaskRequest;
use broker::upstream::Route;
use broker::world::Directory;
use broker::{Change, World};
use credential::dpop::RequestTarget;
use futures_util::future::BoxFuture;
use gateway::{FeedHealth, SecretError, Secrets};
use http::{Request, Response, StatusCode};
use http_body_util::{BodyExt as _, Full};
use hyper::body::{Bytes, Incoming};
use hyper::server::conn::http1;
use hyper::service::service_fn;
use hyper_util::rt::TokioIo;
use identity::{Name, Revision, Secret, UpstreamId};
use std::collections::BTreeSet;
use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use tempfile::TempDir;
use tokio::net::TcpListener;
use tokio::sync::watch;

/// The one tenant: whose account, mailbox or workspace it is.
const TENANT: &str = "own";

/// The service takes no credential.
struct NoSecrets;

impl Secrets for NoSecrets {
    fn secret(&self, _: UpstreamId, _: u64) -> BoxFuture<'_, Result<Arc<Secret<String>>, SecretError>> {
        Box::pin(async { Err(SecretError::Unknown) })
    }
}

/// How somebody opens a task.
pub(super) struct Opening {
    pub(super) template: Name,
    /// The destinations that are named.
    pub(super) trusted: BTreeSet<String>,
    /// Whether a human can be asked for others.
    pub(super) asks: bool,
}

/// A place to run traces in.
pub(super) struct Setting {
    place: Place,
    service: &'static str,
    agent: Name,
    pub(super) routes: Vec<Route>,
    directory: Option<Directory>,
    /// The same agent under the contract in which nobody is asked.
    closed: Name,
    has_flow: bool,
    worlds: watch::Sender<Arc<World>>,
    /// What the gateway judges by.
    judged_by: watch::Receiver<Revision>,
    gateway: SocketAddr,
    served: Arc<AtomicU64>,
    _feed: watch::Sender<FeedHealth>,
    _folder: TempDir,
}

impl Setting {
    pub(super) async fn new(
        files: &Files,
        variant: Variant,
        destinations: &BTreeSet<String>,
    ) -> Result<Self, Fault> {
        // In memory where there is some: thousands of small commits, and nothing here is about disks.
        let folder = tempfile::tempdir_in("/dev/shm").or_else(|_| tempfile::tempdir())?;
        let place = Place::new(folder.path(), 0).await?;
        let agent: Name = files.name.parse()?;
        let contract = files.contract(variant)?;
        let closed: Name = format!("{}-closed", files.name).parse()?;
        if variant.has_flow() {
            let contract = Files::closed(&contract)?;
            let hash = place
                .publish_contract(closed.clone(), files.name, contract)
                .await?;
            place.register(closed.as_str(), hash, true).await?;
        }
        let hash = place
            .publish_contract(agent.clone(), files.name, contract)
            .await?;
        place.register(agent.as_str(), hash, true).await?;
        let served = Arc::new(AtomicU64::new(0));
        let base_url = format!("http://{}", service(served.clone()).await?);
        let upstream = place.publish_upstream(files.manifest(&base_url)?).await?;
        let routes = upstream.routes;
        let directory = (variant.trusts() && !destinations.is_empty())
            .then(|| {
                Ok::<_, Fault>(Directory {
                    org: place.org,
                    tenant: TENANT.parse()?,
                    destinations: destinations.clone(),
                })
            })
            .transpose()?;
        let listener = TcpListener::bind("127.0.0.1:0").await?;
        let at = listener.local_addr()?;
        let Standalone {
            gateway,
            worlds,
            feed,
        } = Standalone::new(
            &folder.path().join("journal"),
            place.running.issuer(),
            format!("http://{at}"),
            place.world(),
            Arc::new(NoSecrets),
        )?;
        let judged_by = gateway.revision();
        drop(tokio::spawn(async move {
            gateway.serve(listener, None, std::future::pending()).await
        }));
        Ok(Self {
            place,
            service: files.name,
            agent,
            routes,
            directory,
            closed,
            has_flow: variant.has_flow(),
            worlds,
            judged_by,
            gateway: at,
            served,
            _feed: feed,
            _folder: folder,
        })
    }

    /// The service's name at the gateway.
    pub(super) const fn service(&self) -> &'static str {
        self.service
    }

    /// How many requests the service itself has seen.
    pub(super) fn served(&self) -> u64 {
        self.served.load(Ordering::SeqCst)
    }

    /// Opens a task from `template`, runs the agent in it, and exchanges for a token for the service.
    pub(super) async fn open(&self, opening: Opening) -> Result<Caller<'_>, Fault> {
        let Opening {
            template,
            trusted,
            asks,
        } = opening;
        let agent = if asks || !self.has_flow {
            &self.agent
        } else {
            &self.closed
        };
        let request = TaskRequest {
            kind: Some(template),
            tenant: Some(TENANT.parse()?),
            ttl_secs: None,
            trusted,
        };
        let instance = Instance::launch_for(&self.place, agent.clone(), &request).await?;
        let token = instance.access_token(&self.place, self.service).await?;
        let world = self.place.world();
        let changes: Vec<Change> = self.directory.iter().cloned().map(Change::DirectorySet).collect();
        // The gateway's World is the server's and what the gateway claimed as at home with it; its revision never goes back.
        self.worlds.send_modify(|known| {
            let homed = known.at_home(LOG).map(|(of, home)| Change::Homed {
                org: home.org,
                log: LOG,
                since: home.since,
                of: vec![of],
            });
            let changes: Vec<Change> = changes.into_iter().chain(homed).collect();
            let revision = known.revision().next().max(world.revision());
            *known = Arc::new(world.apply(&changes, revision));
        });
        let given = self.worlds.borrow().revision();
        let mut judged_by = self.judged_by.clone();
        judged_by.wait_for(|revision| *revision >= given).await?;
        Ok(Caller {
            setting: self,
            connection: Connection::open(self.gateway, None).await?,
            key: instance.key,
            token,
            number: 0,
        })
    }
}

/// An agent with a token, on a connection to the gateway.
pub(super) struct Caller<'s> {
    setting: &'s Setting,
    connection: Connection,
    key: ClientKey,
    token: String,
    number: u64,
}

impl Caller<'_> {
    /// Makes one call: `None` when it ran, else the code of its refusal. Anything else is a fault of the experiment.
    pub(super) async fn call(&mut self, wanted: &Wanted) -> Result<Option<String>, Fault> {
        self.number += 1;
        let at = self.setting.gateway;
        let target = RequestTarget::parse(&format!("http://{at}{}", wanted.path))?;
        let jti = format!("call-{}", self.number);
        let method = wanted.method.as_str();
        let proof = self
            .key
            .proof_of(method, &target, &jti, None, Some(&self.token), now())?;
        let mut request = Request::builder()
            .method(&wanted.method)
            .uri(format!("{}{}", wanted.path, wanted.query))
            .header("host", at.to_string())
            .header("authorization", format!("DPoP {}", self.token))
            .header("dpop", proof);
        if !wanted.body.is_empty() {
            request = request.header("content-type", "application/json");
        }
        let request = request.body(Full::from(wanted.body.clone()))?;
        let (status, headers, body) = self.connection.answer(request).await?;
        match (status, headers.get("tabard-code")) {
            (StatusCode::OK, None) => Ok(None),
            (StatusCode::FORBIDDEN, Some(code)) => Ok(Some(code.to_str()?.to_owned())),
            _ => {
                let text = String::from_utf8_lossy(&body);
                Err(fault(format!("{wanted:?}: {status}: {text}")))
            }
        }
    }
}

/// The service: answers every request, and counts them.
async fn service(served: Arc<AtomicU64>) -> Result<SocketAddr, Fault> {
    let listener = TcpListener::bind("127.0.0.1:0").await?;
    let address = listener.local_addr()?;
    drop(tokio::spawn(async move {
        while let Ok((stream, _)) = listener.accept().await {
            let served = served.clone();
            let answer = service_fn(move |request: Request<Incoming>| {
                let served = served.clone();
                async move {
                    request.into_body().collect().await?;
                    served.fetch_add(1, Ordering::SeqCst);
                    Ok::<_, hyper::Error>(Response::new(Full::new(Bytes::from_static(b"{}"))))
                }
            });
            drop(tokio::spawn(
                http1::Builder::new().serve_connection(TokioIo::new(stream), answer),
            ));
        }
    }));
    Ok(address)
}
