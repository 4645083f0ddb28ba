//! What every surface works on: configuration, clock, store, keys, and the little state of one server.

use crate::approval::Repeats;
use crate::clock::Clock;
use crate::config::Config;
use crate::decisions::Denials;
use crate::entropy::random;
use crate::followers::Followers;
use crate::health::Metrics;
use crate::keys::{KeyError, Keys};
use crate::members::Allowances;
use crate::published::Published;
use crate::secrets::{PdpSecrets, UpstreamSecrets, WebhookSecrets};
use crate::signer::Signer;
use crate::token::{Parked, Unidentified};
use crate::webhook::Webhooks;
use arc_swap::ArcSwap;
use audit::event::CommitmentKey;
use broker::Draw;
use credential::dpop::RequestTarget;
use identity::{LogId, OrgId, OrgScope, UnixTime};
use std::sync::Arc;
use store::Store;
use store::contracts::Contracts;
use store::ledger::Ledger;
use sync::{ProofKeys, ProofReplays};
use tokio::sync::{Mutex, Semaphore};

/// The share of all exchanges that may wait for decision points outside.
const HEARINGS_SHARE: usize = 4;
/// Proofs remembered at once: those of 9,000 requests a second.
const PROOFS_MAX: usize = 655_360;

/// One running server's state. Shared by all requests.
#[derive(Debug)]
pub struct Installation {
    /// As it was read at the start.
    pub config: Config,
    /// The clock.
    pub clock: Clock,
    /// The number of this server's log.
    pub log: LogId,
    /// World and log.
    pub store: Arc<Store>,
    /// Private keys.
    pub keys: Arc<Keys>,
    /// The way to credentials.
    pub signer: Signer,
    /// Sealed upstream secrets.
    pub secrets: UpstreamSecrets,
    /// Sealed secrets of webhooks.
    pub webhook_secrets: WebhookSecrets,
    /// Sealed tokens of decision points.
    pub pdp_secrets: PdpSecrets,
    /// Compiled contracts.
    pub contracts: Contracts,
    /// Counts of what was issued.
    pub ledger: Arc<Ledger>,
    /// Counters.
    pub metrics: Metrics,
    /// Node agents and gateways that follow the feed.
    pub followers: Followers,
    pub(crate) token_target: RequestTarget,
    pub(crate) ciba_target: RequestTarget,
    /// Clients that wait for an approval.
    pub(crate) parked: Parked,
    pub(crate) proof_keys: ProofKeys,
    pub(crate) replays: ProofReplays,
    pub(crate) unidentified: Unidentified,
    /// Bounds entries of members' refusals.
    pub(crate) allowances: Allowances,
    pub(crate) exchanges: Semaphore,
    /// Exchanges that wait for a decision point outside.
    pub(crate) hearings: Semaphore,
    /// Questions of services at once; a batch is one.
    pub(crate) decisions: Arc<Semaphore>,
    /// What services may have people asked about.
    pub(crate) denials: Denials,
    /// Their requests that are sent again.
    pub(crate) repeats: Repeats,
    pub(crate) joining: Mutex<()>,
    /// One request for an approval at a time.
    pub(crate) asking: Mutex<()>,
    /// How the endpoints do that are told of approvals.
    pub(crate) webhooks: Webhooks,
    published: ArcSwap<Published>,
}

/// The key of an org's names, and a seed, for one request.
#[derive(Debug)]
pub struct DrawSource {
    names: Arc<CommitmentKey>,
    seed: [u8; 32],
    now: UnixTime,
    log: LogId,
}

impl DrawSource {
    /// The ids and the time of one use case. Each call begins anew with the same numbers: one source, one plan.
    pub fn draw(&self) -> Draw<'_> {
        Draw::new(self.now, self.log, self.seed, &self.names)
    }
}

/// The parts of an installation that somebody else opened.
#[derive(Debug)]
pub struct Opened {
    /// As it was read.
    pub config: Config,
    /// The clock.
    pub clock: Clock,
    /// The number of this server's log.
    pub log: LogId,
    /// The store, opened with the log key of `keys`.
    pub store: Arc<Store>,
    /// The keys.
    pub keys: Arc<Keys>,
    /// Sealed upstream secrets.
    pub secrets: UpstreamSecrets,
    /// Sealed secrets of webhooks.
    pub webhook_secrets: WebhookSecrets,
    /// Sealed tokens of decision points.
    pub pdp_secrets: PdpSecrets,
}

impl Installation {
    /// From its opened parts.
    pub(crate) fn new(opened: Opened) -> Result<Self, credential::dpop::TargetError> {
        let Opened {
            config,
            clock,
            log,
            store,
            keys,
            secrets,
            webhook_secrets,
            pdp_secrets,
        } = opened;
        let token_target = RequestTarget::parse(&config.issuer.endpoint(crate::token::TOKEN_PATH))?;
        let ciba_target = RequestTarget::parse(&config.issuer.endpoint(crate::token::CIBA_AUTHORIZE_PATH))?;
        Ok(Self {
            signer: Signer::new(keys.clone(), config.trust_domain.clone()),
            published: ArcSwap::from_pointee(Published::of(&store.world(), &config.trust_domain)),
            exchanges: Semaphore::new(config.exchanges_max),
            hearings: Semaphore::new((config.exchanges_max / HEARINGS_SHARE).max(1)),
            decisions: Arc::new(Semaphore::new(config.exchanges_max)),
            denials: Denials::default(),
            repeats: Repeats::default(),
            joining: Mutex::default(),
            asking: Mutex::default(),
            webhooks: Webhooks::default(),
            contracts: Contracts::default(),
            ledger: Arc::default(),
            metrics: Metrics::default(),
            followers: Followers::default(),
            replays: ProofReplays::new(PROOFS_MAX),
            proof_keys: ProofKeys::default(),
            unidentified: Unidentified::default(),
            allowances: Allowances::default(),
            token_target,
            ciba_target,
            parked: Parked::default(),
            config,
            clock,
            log,
            store,
            keys,
            secrets,
            webhook_secrets,
            pdp_secrets,
        })
    }

    /// Whether anything is counted here: a contract has budgets, or this server is the home of what services asked about.
    pub(crate) fn counts(&self) -> bool {
        let world = self.store.world();
        let mut contracts = world.contracts(OrgScope::Every);
        contracts.any(|contract| contract.source.contains("budgets"))
            || world.at_home(self.log).next().is_some()
    }

    /// The public keys of the World as it is now.
    pub fn published(&self) -> Arc<Published> {
        let world = self.store.world();
        let known = self.published.load_full();
        if known.is_current(&world) {
            return known;
        }
        let fresh = Arc::new(Published::of(&world, &self.config.trust_domain));
        self.published.store(fresh.clone());
        fresh
    }

    /// Time, randomness and name key for one use case on behalf of `org`.
    pub fn draw_source(&self, org: Option<OrgId>, now: UnixTime) -> Result<DrawSource, KeyError> {
        Ok(DrawSource {
            names: self.keys.names().of(org, now)?,
            seed: random()?,
            now,
            log: self.log,
        })
    }
}
