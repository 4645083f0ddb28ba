//! What a server does by itself: its own certificate, its intermediate, the heartbeat of its log, the counts of
//! unidentified callers, and forgetting what nothing alive can match.
//!
//! Each chore is tried again at its next turn; none of them can stop another.

use crate::entropy::NoEntropy;
use crate::installation::Installation;
use crate::keys::KeyError;
use crate::signer::{Credential, NotSigned};
use crate::tls::OwnCertificate;
use crate::webhook;
use broker::world::TASK_MEMORY_SECS;
use broker::{approve, exception, inventory, issue, rotate, unidentified};
use identity::{OrgScope, SpiffeIdError, UnixTime};
use std::sync::Arc;
use std::time::Duration;
use store::CommitError;
use store::ledger::RecoverError;
use tokio::time::{MissedTickBehavior, interval_at};

/// How often the own certificate is replaced: half of its life of an hour.
const RENEW_EVERY: Duration = Duration::from_secs(issue::X509_SVID_SECS / 2);
/// How soon a failed renewal is tried again.
const RENEW_AGAIN: Duration = Duration::from_secs(30);
/// Longest silence of the log: who follows it can tell a quiet server from a dead one.
const HEARTBEAT_EVERY: Duration = Duration::from_mins(1);
/// How often unidentified callers are written down.
const COUNT_EVERY: Duration = Duration::from_secs(1);
/// How often old revocations and tasks are looked for.
const FORGET_EVERY: Duration = Duration::from_mins(5);
/// How often it is looked for exceptions whose time is over, and for requests that nobody decided in time. They permit
/// nothing in between: this only writes it down.
const EXPIRE_EVERY: Duration = Duration::from_secs(2);
/// How often it is looked whether the counts are written down.
const KEEP_EVERY: Duration = Duration::from_secs(1);
/// How often the intermediate's age is looked at.
const ROTATE_EVERY: Duration = Duration::from_hours(1);

/// A chore that could not be done this time.
#[derive(Debug, thiserror::Error)]
pub enum ChoreError {
    /// Not recorded.
    #[error(transparent)]
    Commit(#[from] CommitError),
    /// Not signed.
    #[error(transparent)]
    Sign(#[from] NotSigned),
    /// No key or no randomness.
    #[error(transparent)]
    Keys(#[from] KeyError),
    /// No randomness.
    #[error(transparent)]
    Entropy(#[from] NoEntropy),
    /// The counts could not be written down.
    #[error(transparent)]
    Ledger(#[from] RecoverError),
    /// The server has no SPIFFE ID.
    #[error("the server's own SPIFFE ID is malformed: {0}")]
    SpiffeId(#[from] SpiffeIdError),
    /// The permit was for something else.
    #[error("the server's certificate came back as another class of credential")]
    OtherClass,
}

/// Issues the server's own certificate: decided, recorded, signed, used from the next handshake on.
pub(crate) async fn renew(installation: &Installation, own: &OwnCertificate) -> Result<(), ChoreError> {
    let config = &installation.config;
    let log = installation.log.0.to_string();
    let spiffe_id = config.trust_domain.id_of(&["_tabard", "server", &log])?;
    let mut names = vec![
        config.issuer.host().to_owned(),
        "localhost".to_owned(),
        "127.0.0.1".to_owned(),
    ];
    names.extend(config.tls_names.iter().cloned());
    names.sort();
    names.dedup();
    let source = installation.draw_source(None, installation.clock.now())?;
    let world = installation.store.world();
    let plan = issue::server_svid(&world, &spiffe_id, own.public_key(), names, &mut source.draw());
    match installation.signer.sign(installation.store.commit(plan).await?)? {
        Credential::X509Svid { chain, .. } => own.renew(chain),
        Credential::AccessToken { .. } | Credential::JwtSvid { .. } => return Err(ChoreError::OtherClass),
    }
    Ok(())
}

/// Runs every chore until the task is dropped.
pub(crate) async fn run(installation: Arc<Installation>, own: Arc<OwnCertificate>) {
    tokio::join!(
        renewing(&installation, &own),
        each(HEARTBEAT_EVERY, &installation, Heartbeat::default()),
        each(COUNT_EVERY, &installation, Counting),
        each(FORGET_EVERY, &installation, Forgetting),
        each(EXPIRE_EVERY, &installation, Expiring),
        each(KEEP_EVERY, &installation, KeepingLedger),
        each(ROTATE_EVERY, &installation, Rotating),
        webhook::run(installation.clone()),
    );
}

async fn renewing(installation: &Installation, own: &OwnCertificate) {
    let mut pause = RENEW_EVERY;
    loop {
        tokio::time::sleep(pause).await;
        pause = match renew(installation, own).await {
            Ok(()) => RENEW_EVERY,
            Err(error) => {
                tracing::error!(%error, "the server's own certificate could not be renewed");
                RENEW_AGAIN
            }
        };
    }
}

/// Something to do once in a while.
trait Chore {
    const NAME: &'static str;
    async fn turn(&mut self, installation: &Installation, now: UnixTime) -> Result<(), ChoreError>;
}

async fn each(every: Duration, installation: &Installation, mut chore: impl Chore) {
    let name = chore_name(&chore);
    let mut ticks = interval_at(tokio::time::Instant::now() + every, every);
    ticks.set_missed_tick_behavior(MissedTickBehavior::Delay);
    loop {
        ticks.tick().await;
        if let Err(error) = chore.turn(installation, installation.clock.now()).await {
            tracing::error!(chore = name, %error, "a chore could not be done");
        }
    }
}

const fn chore_name<C: Chore>(_: &C) -> &'static str {
    C::NAME
}

/// Says that the log is alive when nothing else did.
#[derive(Default)]
struct Heartbeat {
    size: u64,
}

impl Chore for Heartbeat {
    const NAME: &'static str = "heartbeat";
    async fn turn(&mut self, installation: &Installation, now: UnixTime) -> Result<(), ChoreError> {
        let size = installation.store.health().size;
        if size == self.size {
            let source = installation.draw_source(None, now)?;
            let plan = inventory::heartbeat(&installation.store.world(), &mut source.draw());
            drop(installation.store.commit(plan).await?);
        }
        self.size = installation.store.health().size;
        Ok(())
    }
}

/// Writes down who was refused without being anybody.
struct Counting;

impl Chore for Counting {
    const NAME: &'static str = "counting";
    async fn turn(&mut self, installation: &Installation, now: UnixTime) -> Result<(), ChoreError> {
        count(installation, now).await
    }
}

/// One entry a source.
pub(crate) async fn count(installation: &Installation, now: UnixTime) -> Result<(), ChoreError> {
    for refused in installation.unidentified.take(now) {
        let source = installation.draw_source(None, now)?;
        let plan = unidentified::counted(&installation.store.world(), &refused, &mut source.draw());
        drop(installation.store.commit(plan).await?);
    }
    Ok(())
}

/// Drops revocations and tasks that no living credential can match.
struct Forgetting;

impl Chore for Forgetting {
    const NAME: &'static str = "forgetting";
    async fn turn(&mut self, installation: &Installation, now: UnixTime) -> Result<(), ChoreError> {
        let world = installation.store.world();
        installation.ledger.forget(&world, now);
        let due = world
            .revocations(OrgScope::Every)
            .any(|(_, revoked)| revoked.forget_at <= now)
            || world.has_claims_over(now)
            || world.has_service_keys_over(now)
            || world
                .tasks(OrgScope::Every)
                .any(|task| task.expires_at.plus_secs(TASK_MEMORY_SECS) <= now)
            || world.approvals(OrgScope::Every).any(|approval| {
                approval.is_over(now) && world.task(OrgScope::Every, approval.task).is_none()
            });
        if due {
            let source = installation.draw_source(None, now)?;
            let plan = inventory::forget(&world, now, &mut source.draw());
            drop(installation.store.commit(plan).await?);
        }
        Ok(())
    }
}

/// Writes down that the time of an exception is over, which requests nobody decided in time, and which approvals nobody used.
struct Expiring;

impl Chore for Expiring {
    const NAME: &'static str = "expiring";
    async fn turn(&mut self, installation: &Installation, now: UnixTime) -> Result<(), ChoreError> {
        for over in exception::over(&installation.store.world(), now) {
            let source = installation.draw_source(Some(over.org), now)?;
            let plan = exception::expire(&installation.store.world(), &over, &mut source.draw());
            drop(installation.store.commit(plan).await?);
        }
        for approval in approve::overdue(&installation.store.world(), now) {
            let source = installation.draw_source(Some(approval.org), now)?;
            let plan = approve::expire(&installation.store.world(), &approval, &mut source.draw());
            drop(installation.store.commit(plan).await?);
        }
        Ok(())
    }
}

/// Writes down what was counted, so that the next start need not read the whole log.
struct KeepingLedger;

impl Chore for KeepingLedger {
    const NAME: &'static str = "keeping the counts";
    async fn turn(&mut self, installation: &Installation, now: UnixTime) -> Result<(), ChoreError> {
        if !installation.store.is_ledger_due() || !installation.counts() {
            return Ok(());
        }
        let store = installation.store.clone();
        let kept = tokio::task::spawn_blocking(move || store.keep_ledger(&store.world(), now));
        // One that panicked is begun anew at the next turn.
        Ok(kept.await.unwrap_or(Ok(()))?)
    }
}

/// Replaces the intermediate in time.
struct Rotating;

impl Chore for Rotating {
    const NAME: &'static str = "rotating";
    async fn turn(&mut self, installation: &Installation, now: UnixTime) -> Result<(), ChoreError> {
        let authority = installation.keys.authority();
        if authority.should_rotate(now) {
            let source = installation.draw_source(None, now)?;
            let ends = authority.intermediate().not_after();
            let plan = rotate::intermediate(&installation.store.world(), ends, &mut source.draw());
            authority.rotate(installation.store.commit(plan).await?, now)?;
            tracing::info!("the X.509 intermediate was replaced");
        }
        Ok(())
    }
}
