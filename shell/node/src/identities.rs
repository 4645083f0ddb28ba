//! The Workload API's answers for this node's runs: who is bound gets the SVIDs that the server signs for it.
//!
//! The instance key is made here and leaves only towards its own process. An X.509-SVID is renewed at half of its life, and
//! withdrawn (an empty list, which ends the stream) as soon as the instance is known to be dead.

use crate::authority::{Authority, Ended, IdentifyProcess, IssuedX509, LocalRefusal, Refused};
use crate::instance_key::InstanceKey;
use crate::launch::Separation;
use crate::runs::{NotBound, Place, Run, Runs};
use crate::workload_api::{Bundles, Identities, Invalid, JwtSvid, NO_IDENTITY, ValidJwt, WhyNot, X509Svid};
use identity::{Audience, Secret, SpiffeId};
use peer::{Peer, PidFd, Process};
use std::sync::{Arc, Weak};
use std::time::{Duration, SystemTime};
use tokio::sync::{OnceCell, mpsc, watch};

/// [`Identities`] over the runs of this node and the server.
pub struct RunIdentities<A> {
    /// The server.
    pub authority: Arc<A>,
    /// Who is bound.
    pub runs: Arc<Runs>,
}

/// After the server could not be reached, before the next try of a renewal: half of a life leaves room for hundreds.
const RETRY: Duration = Duration::from_secs(5);
/// How often a registered process is looked at: nobody waits for its end.
const LOOK_EVERY: Duration = Duration::from_secs(1);
/// Renewals are never closer together, whatever the server's lifetimes are.
const RENEWAL_MIN: Duration = Duration::from_secs(1);

/// A caller that was found to be somebody.
#[derive(Clone, Debug)]
pub enum Bound {
    /// The bound process of a run.
    Run(Arc<Run>),
    /// A process that nobody launched through us and that a registration matches. Its run is opened when it asks for
    /// something.
    Registered {
        /// The process.
        process: Arc<PidFd>,
        /// What is known of it.
        seen: Arc<Process>,
        /// Its uid, by the kernel.
        uid: u32,
    },
}

impl<A: Authority> RunIdentities<A> {
    /// What a process is that was not launched by us: outside every run, and registered.
    fn registered(&self, peer: &Peer) -> Option<Bound> {
        if !matches!(self.runs.place_of(&peer.process), Place::Outside) {
            return None;
        }
        let seen = Process::of(&peer.process, &self.runs.digests).ok()?;
        let known = self
            .authority
            .is_registered(peer.uid, &seen.executable.path, seen.executable_digest);
        known.then(|| Bound::Registered {
            process: peer.process.clone(),
            seen: Arc::new(seen),
            uid: peer.uid,
        })
    }

    /// The caller's run, opened now if it has none yet.
    async fn run_of(&self, bound: &Bound) -> Result<Arc<Run>, WhyNot> {
        let (process, seen, uid) = match bound {
            Bound::Run(run) => return Ok(run.clone()),
            Bound::Registered { process, seen, uid } => (process, seen, *uid),
        };
        let _one_at_a_time = self.runs.opening.lock().await;
        if let Ok(run) = self.runs.bound(process) {
            return Ok(run);
        }
        let key = InstanceKey::generate().map_err(|_| WhyNot::Unavailable)?;
        let request = IdentifyProcess {
            uid,
            executable: seen.executable.path.clone(),
            executable_digest: seen.executable_digest,
            instance_key: key.thumbprint(),
        };
        let opened = self
            .authority
            .identify_process(request)
            .await
            .map_err(|refused| why_not(&refused))?;
        let agent = opened
            .spiffe_id
            .path()
            .rsplit('/')
            .next()
            .and_then(|name| name.parse().ok());
        let (story, _) = mpsc::unbounded_channel();
        let run = Arc::new(Run {
            agent: agent.ok_or(WhyNot::Unavailable)?,
            opened,
            process: process.clone(),
            executable: seen.executable.clone(),
            executable_digest: seen.executable_digest,
            uid,
            separation: Separation::None,
            may_launch: Vec::new(),
            story,
            // Nobody supervises it: it stands for itself, and its children are below it.
            supervisor: process.clone(),
            key,
            svids: watch::Sender::new(Arc::default()),
            renewing: OnceCell::new(),
        });
        self.runs.bind(run.clone());
        tokio::spawn(until_it_ends(
            self.authority.clone(),
            self.runs.clone(),
            run.clone(),
        ));
        Ok(run)
    }
}

/// Closes the run of a registered process when the process has ended.
async fn until_it_ends<A: Authority>(authority: Arc<A>, runs: Arc<Runs>, run: Arc<Run>) {
    while run.process.is_alive() {
        tokio::time::sleep(LOOK_EVERY).await;
    }
    runs.unbind(&run);
    authority.close_run(run.opened.run, Ended::Lost).await;
}

impl<A: Authority> Identities for RunIdentities<A> {
    type Bound = Bound;

    fn identify(&self, peer: &Peer) -> Result<Bound, WhyNot> {
        let seen = match self.runs.bound(&peer.process) {
            Ok(run) if self.authority.is_dead(run.opened.instance) => {
                format!("instance {} is revoked or suspended", run.opened.instance)
            }
            Ok(run) => return Ok(Bound::Run(run)),
            Err(NotBound::Unknown) => match self.registered(peer) {
                Some(registered) => return Ok(registered),
                None => NotBound::Unknown.to_string(),
            },
            Err(why) => why.to_string(),
        };
        let decision = self.authority.refuse(LocalRefusal {
            code: NO_IDENTITY,
            uid: peer.uid,
            pid: peer.process.pid().as_raw_nonzero().get(),
            agent: None,
            seen,
        });
        Err(WhyNot::NoIdentity { decision })
    }

    async fn x509_svids(&self, bound: &Bound) -> Result<watch::Receiver<Arc<Vec<X509Svid>>>, WhyNot> {
        let run = &self.run_of(bound).await?;
        let first = || async {
            let issued = issue(&*self.authority, run)
                .await
                .map_err(|refused| why_not(&refused))?;
            let renew_at = half_life(&issued);
            publish(run, issued);
            tokio::spawn(renew(self.authority.clone(), Arc::downgrade(run), renew_at));
            Ok(())
        };
        run.renewing.get_or_try_init(first).await?;
        Ok(run.svids.subscribe())
    }

    async fn jwt_svids(
        &self,
        bound: &Bound,
        audiences: &[Audience],
        only: Option<&SpiffeId>,
    ) -> Result<Vec<JwtSvid>, WhyNot> {
        let run = &self.run_of(bound).await?;
        let id = &run.opened.spiffe_id;
        if let Some(other) = only.filter(|only| *only != id) {
            let decision = self.authority.refuse(LocalRefusal {
                code: NO_IDENTITY,
                uid: run.uid,
                pid: run.process.pid().as_raw_nonzero().get(),
                agent: Some(run.agent.clone()),
                seen: format!("{id} asked for a JWT-SVID of {other}"),
            });
            return Err(WhyNot::NoIdentity { decision });
        }
        let token = self
            .authority
            .jwt_svid(run.opened.instance, audiences)
            .await
            .map_err(|refused| why_not(&refused))?;
        Ok(vec![JwtSvid {
            id: id.clone(),
            token,
            hint: String::new(),
        }])
    }

    fn bundles(&self) -> watch::Receiver<Arc<Bundles>> {
        self.authority.bundles()
    }

    async fn validate_jwt(&self, audience: &Audience, token: &str) -> Result<ValidJwt, Invalid> {
        self.authority.validate_jwt(audience, token)
    }
}

fn why_not(refused: &Refused) -> WhyNot {
    match refused {
        Refused::Denied { decision, .. } => WhyNot::NoIdentity { decision: *decision },
        Refused::Unreachable => WhyNot::Unavailable,
    }
}

/// Renews at half life until the run is gone, the server says no, or the instance is dead.
async fn renew<A: Authority>(authority: Arc<A>, run: Weak<Run>, first: SystemTime) {
    let mut revocations = authority.revocations();
    let mut at = first;
    loop {
        let left = at
            .duration_since(SystemTime::now())
            .unwrap_or_default()
            .max(RENEWAL_MIN);
        let due = tokio::select! {
            () = tokio::time::sleep(left) => true,
            changed = revocations.changed() => {
                if changed.is_err() {
                    return;
                }
                false
            }
        };
        let Some(run) = run.upgrade().filter(|run| run.process.is_alive()) else {
            return;
        };
        if authority.is_dead(run.opened.instance) {
            run.svids.send_replace(Arc::default());
            return;
        }
        if !due {
            continue;
        }
        match issue(&*authority, &run).await {
            Ok(issued) => {
                at = half_life(&issued);
                publish(&run, issued);
            }
            Err(Refused::Unreachable) => at = SystemTime::now() + RETRY,
            Err(Refused::Denied { decision, .. }) => {
                tracing::info!(run = %run.opened.run, %decision, "an X.509-SVID was not renewed");
                run.svids.send_replace(Arc::default());
                return;
            }
        }
    }
}

async fn issue<A: Authority>(authority: &A, run: &Run) -> Result<IssuedX509, Refused> {
    let request = signing_request(run).map_err(|error| {
        tracing::error!(%error, "a certificate request could not be made");
        Refused::Unreachable
    })?;
    authority.x509_svid(run.opened.instance, request).await
}

/// PKCS#10 with the SPIFFE ID as its only name, signed by the instance key.
fn signing_request(run: &Run) -> Result<Vec<u8>, rcgen::Error> {
    let mut params = rcgen::CertificateParams::new(Vec::new())?;
    params.distinguished_name = rcgen::DistinguishedName::new();
    params.subject_alt_names = vec![rcgen::SanType::URI(run.opened.spiffe_id.as_str().try_into()?)];
    Ok(params
        .serialize_request(run.key.certificate_key())?
        .der()
        .to_vec())
}

fn half_life(issued: &IssuedX509) -> SystemTime {
    let millis = issued.not_before.millis().midpoint(issued.not_after.millis());
    SystemTime::UNIX_EPOCH
        .checked_add(Duration::from_millis(millis))
        .unwrap_or_else(SystemTime::now)
}

fn publish(run: &Run, issued: IssuedX509) {
    run.svids.send_replace(Arc::new(vec![X509Svid {
        id: run.opened.spiffe_id.clone(),
        chain: issued.chain,
        key: Secret::new(run.key.pkcs8()),
        hint: String::new(),
    }]));
}
