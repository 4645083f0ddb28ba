//! Start and stop: open keys and store, found or check the installation, get a certificate, listen.
//!
//! Nothing listens before everything that can fail has succeeded.

use crate::clock::Clock;
use crate::config::{Config, People};
use crate::connection;
use crate::founding::{self, Founder, FoundingError};
use crate::housekeeping::{self, ChoreError};
use crate::human::Door;
use crate::installation::{Installation, Opened};
use crate::keys::{Kek, KeyError, Keys};
use crate::problem::Problem;
use crate::secrets::{PdpSecrets, UpstreamSecrets, WebhookSecrets};
use crate::tls::{self, OwnCertificate};
use crate::{members, surface};
use axum::Router;
use broker::inventory::Bootstrap;
use broker::world::MemberRole;
use identity::LogId;
use std::net::SocketAddr;
use std::sync::Arc;
use store::ledger::RecoverError;
use store::{OpenError, Settings, Store};
use tokio::net::TcpListener;
use tokio::sync::watch;
use tokio::task::JoinHandle;
use tokio_rustls::TlsAcceptor;

/// The public root certificate in the data directory, for clients that trust files.
pub const ROOT_PEM: &str = "root.pem";

/// What a server is opened with.
#[derive(Debug)]
pub struct Opening {
    /// What to serve and where.
    pub config: Config,
    /// The clock.
    pub clock: Clock,
    /// The number of this server's log.
    pub log: LogId,
    /// The key-encryption key.
    pub kek: Kek,
    /// Who founds the installation if it is new; without one an empty data directory is an error.
    pub founder: Option<Founder>,
}

/// Why a server does not start.
#[derive(Debug, thiserror::Error)]
pub enum StartError {
    /// The keys.
    #[error(transparent)]
    Keys(#[from] KeyError),
    /// The store.
    #[error(transparent)]
    Store(#[from] OpenError),
    /// The installation is not the configured one.
    #[error(transparent)]
    Founding(#[from] FoundingError),
    /// The server's own certificate.
    #[error("the server's own certificate could not be issued: {0}")]
    Certificate(#[from] ChoreError),
    /// TLS.
    #[error("TLS cannot be configured: {0}")]
    Tls(#[from] rustls::Error),
    /// The issuer is not usable as a URL.
    #[error("server.issuer: {0}")]
    Issuer(#[from] credential::dpop::TargetError),
    /// The address is taken or not ours.
    #[error("cannot listen on {address}: {source}. Choose another server.listen, or stop what listens there")]
    Listen {
        /// As configured.
        address: SocketAddr,
        /// What the system said.
        source: std::io::Error,
    },
    /// The address of the people's listener is taken or not ours.
    #[error("cannot listen on {address}: {source}. Choose another people.listen, or stop what listens there")]
    People {
        /// As configured.
        address: SocketAddr,
        /// What the system said.
        source: std::io::Error,
    },
    /// Counts of what was issued.
    #[error("the counts of what was issued cannot be recovered: {0}")]
    Ledger(#[from] RecoverError),
    /// A file in the data directory.
    #[error("cannot write {ROOT_PEM} in the data directory: {0}")]
    RootPem(std::io::Error),
}

/// Counts what was issued and decided, if a contract has budgets, or services asked for decisions, at all: reading the log
/// takes its time.
fn recover(installation: &Installation) -> Result<(), RecoverError> {
    if installation.counts() {
        installation.ledger.recover(&installation.store)?;
    }
    Ok(())
}

/// An opened server that does not listen yet.
#[derive(Debug)]
pub struct Server {
    installation: Arc<Installation>,
    own: Arc<OwnCertificate>,
}

impl Server {
    /// Opens keys and store, founds or checks the installation, and gets the server's certificate. Blocks for some
    /// milliseconds while the store opens.
    pub async fn open(opening: Opening) -> Result<Self, StartError> {
        let Opening {
            config,
            clock,
            log,
            kek,
            founder,
        } = opening;
        let kek = Arc::new(kek);
        let keys = Arc::new(Keys::open(
            &config.data_dir,
            &config.trust_domain,
            log,
            kek.clone(),
            clock.now(),
        )?);
        let secrets = UpstreamSecrets::open(&config.data_dir, kek.clone())?;
        let webhook_secrets = WebhookSecrets::open(&config.data_dir, kek.clone())?;
        let pdp_secrets = PdpSecrets::open(&config.data_dir, kek)?;
        let mut settings = Settings::new(&config.data_dir, log, keys.log());
        settings.checkpoint_outside = Some(config.checkpoint_copy.clone());
        let store = Arc::new(Store::open(&settings)?);
        std::fs::write(config.data_dir.join(ROOT_PEM), keys.authority().root_pem())
            .map_err(StartError::RootPem)?;
        let installation = Arc::new(Installation::new(Opened {
            config,
            clock,
            log,
            store,
            keys,
            secrets,
            webhook_secrets,
            pdp_secrets,
        })?);
        founding::found(&installation, founder).await?;
        recover(&installation)?;
        let own = Arc::new(OwnCertificate::new()?);
        housekeeping::renew(&installation, &own).await?;
        Ok(Self { installation, own })
    }

    /// What the surfaces work on.
    pub const fn installation(&self) -> &Arc<Installation> {
        &self.installation
    }

    /// Listens where the configuration says, with `more` routes besides the server's own.
    pub async fn listen(self, more: Router) -> Result<Running, StartError> {
        let address = self.installation.config.listen;
        let listener = TcpListener::bind(address).await;
        self.serve(
            listener.map_err(|source| StartError::Listen { address, source })?,
            more,
        )
    }

    /// The same on a listener that is open already.
    pub fn serve(self, listener: TcpListener, more: Router) -> Result<Running, StartError> {
        let Self { installation, own } = self;
        let configured = installation.config.listen;
        let address = listener.local_addr().map_err(|source| StartError::Listen {
            address: configured,
            source,
        })?;
        let clients = tls::clients(installation.clone());
        let acceptor = TlsAcceptor::from(tls::config(own.clone(), clients)?);
        let routes = routes(&installation)
            .merge(more)
            .fallback(|| async { Problem::NotFound });
        let (stop, stopped) = watch::channel(false);
        let serving = tokio::spawn(connection::serve(
            installation.clone(),
            listener,
            acceptor,
            routes,
            stopped,
        ));
        let chores = tokio::spawn(housekeeping::run(installation.clone(), own.clone()));
        tracing::info!(%address, issuer = %installation.config.issuer, "serving");
        Ok(Running {
            installation,
            own,
            address,
            stop,
            serving,
            chores,
        })
    }
}

/// A member of this process was not admitted.
#[derive(Debug, thiserror::Error)]
#[error("a part of this process was not admitted: {0}")]
pub struct NotAdmitted(String);

/// Every surface of this crate that speaks HTTPS.
fn routes(installation: &Arc<Installation>) -> Router {
    surface::issuer()
        .into_router()
        .method_not_allowed_fallback(|| async { Problem::MethodNotAllowed })
        .with_state(installation.clone())
        .merge(members::routes(installation))
}

/// A server that serves.
#[derive(Debug)]
pub struct Running {
    installation: Arc<Installation>,
    own: Arc<OwnCertificate>,
    address: SocketAddr,
    stop: watch::Sender<bool>,
    serving: JoinHandle<()>,
    chores: JoinHandle<()>,
}

impl Running {
    /// What the surfaces work on.
    pub const fn installation(&self) -> &Arc<Installation> {
        &self.installation
    }
    /// Where it listens.
    pub const fn address(&self) -> SocketAddr {
        self.address
    }
    /// `iss`.
    pub fn issuer(&self) -> &str {
        self.installation.config.issuer.as_str()
    }

    /// Listens for people, where the configuration says so. The admin plane serves them.
    pub async fn people(&self) -> Result<Option<Door>, StartError> {
        let Some(config) = self.installation.config.people.clone() else {
            return Ok(None);
        };
        let address = config.listen;
        let listener = TcpListener::bind(address)
            .await
            .map_err(|source| StartError::People { address, source })?;
        Ok(Some(self.people_on(listener, config)?))
    }

    /// The same on a listener that is open already.
    pub fn people_on(&self, listener: TcpListener, config: People) -> Result<Door, StartError> {
        Ok(Door {
            listener,
            tls: TlsAcceptor::from(tls::for_people(self.own.clone())?),
            config,
        })
    }

    /// Admits a node agent or gateway that runs in this very process, for the key that its CSR proves. One that was
    /// here before a restart is the same member again.
    pub async fn admit(&self, role: MemberRole, csr: &[u8]) -> Result<sync::proto::Membership, NotAdmitted> {
        let world = self.installation.store.world();
        let again = world
            .nodes()
            .filter(|member| member.role == role && member.org.is_none())
            .map(|it| it.id)
            .min();
        let bootstrap = Bootstrap::SameProcess { role, again };
        let reply = members::admit(&self.installation, &bootstrap, csr, self.address.ip()).await;
        match reply
            .map_err(|status| NotAdmitted(status.message().to_owned()))?
            .outcome
        {
            Some(sync::proto::join_reply::Outcome::Membership(membership)) => Ok(membership),
            Some(sync::proto::join_reply::Outcome::Refused(refused)) => Err(NotAdmitted(refused.message)),
            None => Err(NotAdmitted("the reply was empty".to_owned())),
        }
    }

    /// Stops listening, lets requests in flight end (5 s at most), writes down what was counted, and gives the store
    /// free if nobody else holds it.
    pub async fn stop(self) {
        let Self {
            installation,
            stop,
            serving,
            chores,
            ..
        } = self;
        stop.send_replace(true);
        if serving.await.is_err() {
            tracing::error!("the listener ended by a panic");
        }
        chores.abort();
        if chores.await.is_err_and(|error| error.is_panic()) {
            tracing::error!("the chores ended by a panic");
        }
        if let Err(error) = housekeeping::count(&installation, installation.clock.now()).await {
            tracing::warn!(%error, "the last unidentified callers were not written down");
        }
        // The last owner closes the store, which blocks.
        if tokio::task::spawn_blocking(move || drop(installation))
            .await
            .is_err()
        {
            tracing::error!("the store did not close cleanly");
        }
    }
}
