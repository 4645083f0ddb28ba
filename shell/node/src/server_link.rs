//! [`Authority`] over the wire: what the node agent asks of its server, by `tabard.sync.v1`, and what it knows from
//! its replica of the World without asking.

use crate::authority::{
    Authority, Ended, IdentifyProcess, IssuedX509, LocalRefusal, OpenRun, OpenedRun, Refused,
};
use crate::launch::{Argv, Bind, Isolation, LaunchSpec, Measurement, Separation};
use crate::workload_api::{Bundles, Invalid, ValidJwt};
use aws_lc_rs::rand::{SecureRandom as _, SystemRandom};
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use broker::attest::{LaunchEvidence, ProcessEvidence};
use broker::run::SEEN_BYTES_MAX;
use broker::unidentified::{Source, Tally};
use broker::world::{Agent, ArgvRule, KeyClass, MeasuredRoot, Target, World};
use credential::{Jwk, TrustBundle};
use identity::{
    Audience, DecisionId, Digest, InstanceId, Name, OrgScope, RunId, Secret, TrustDomain, UnixTime,
};
use std::path::Path;
use std::sync::{Arc, PoisonError};
use std::time::{Duration, SystemTime};
use sync::proto::sync_client::SyncClient;
use sync::proto::{
    CloseRunRequest, CountRefusalsRequest, IdentifyProcessRequest, IssueJwtSvidRequest, IssueX509SvidRequest,
    OpenRunRequest, RecordRefusalRequest, RefusalsOfSource, identify_process_reply, issue_jwt_svid_reply,
    issue_x509_svid_reply, open_run_reply,
};
use sync::{Link, Replica};
use tokio::sync::{Mutex, mpsc, watch};
use tokio::time::MissedTickBehavior;
use tonic::transport::Channel;

/// Refusals that wait to be recorded; beyond that they are counted in the node's own log and dropped.
const REFUSALS_MAX: usize = 1024;
/// How often callers that were turned away are told to the server.
const COUNTED_EVERY: Duration = Duration::from_secs(1);

/// A node agent's server.
#[derive(Debug)]
pub struct ServerLink {
    link: Link,
    replica: Replica,
    client: Mutex<Option<SyncClient<Channel>>>,
    refusals: mpsc::Sender<RecordRefusalRequest>,
    turned_away: std::sync::Mutex<Tally>,
    bundles: watch::Sender<Arc<Bundles>>,
    revocations: watch::Sender<u64>,
}

impl ServerLink {
    /// Over a link that has joined and a replica that follows it. The future keeps both in step: run it as long as the
    /// link lives.
    pub fn new(link: Link, replica: Replica) -> (Arc<Self>, impl Future<Output = ()> + Send) {
        let (refusals, waiting) = mpsc::channel(REFUSALS_MAX);
        let it = Arc::new(Self {
            link,
            replica,
            client: Mutex::default(),
            refusals,
            turned_away: std::sync::Mutex::default(),
            bundles: watch::Sender::new(Arc::default()),
            revocations: watch::Sender::new(0),
        });
        let keeper = it.clone();
        (it, async move {
            tokio::join!(keeper.keep(), keeper.record(waiting), keeper.count());
        })
    }

    /// A client on a connection that is kept until it breaks.
    async fn client(&self) -> Result<SyncClient<Channel>, Refused> {
        let mut kept = self.client.lock().await;
        if let Some(client) = kept.as_ref() {
            return Ok(client.clone());
        }
        let client = self.link.client().await.map_err(|error| {
            tracing::warn!(%error, "the server cannot be reached");
            Refused::Unreachable
        })?;
        *kept = Some(client.clone());
        Ok(client)
    }

    /// What a failed call means: a broken connection is made anew at the next.
    async fn failed(&self, status: tonic::Status) -> Refused {
        tracing::warn!(%status, "the server did not answer");
        self.client.lock().await.take();
        Refused::Unreachable
    }

    /// Publishes bundles and the news of revocations whenever the World changes.
    async fn keep(&self) {
        let mut revisions = self.replica.revisions();
        loop {
            let world = self.replica.world();
            let bundles = bundles_of(&world);
            self.bundles.send_if_modified(|known| {
                let changed = **known != bundles;
                if changed {
                    *known = Arc::new(bundles);
                }
                changed
            });
            self.revocations.send_replace(world.revision().0);
            if revisions.changed().await.is_err() {
                return;
            }
        }
    }

    /// Sends refusals to the server, one after the other.
    async fn record(&self, mut waiting: mpsc::Receiver<RecordRefusalRequest>) {
        while let Some(refusal) = waiting.recv().await {
            let Ok(mut client) = self.client().await else {
                tracing::warn!(
                    decision = refusal.decision_id,
                    "a refusal could not be recorded at the server"
                );
                continue;
            };
            if let Err(status) = client.record_refusal(refusal).await {
                self.failed(status).await;
            }
        }
    }

    /// Tells the server once a second how many callers were turned away.
    async fn count(&self) {
        let mut ticks = tokio::time::interval(COUNTED_EVERY);
        ticks.set_missed_tick_behavior(MissedTickBehavior::Delay);
        loop {
            ticks.tick().await;
            let taken = self.tally().take(wall_clock());
            if taken.is_empty() {
                continue;
            }
            let sources = taken.into_iter().map(|refused| RefusalsOfSource {
                source: refused.source,
                counts: refused
                    .counts
                    .into_iter()
                    .map(|(code, times)| (code.to_owned(), times))
                    .collect(),
            });
            let request = CountRefusalsRequest {
                sources: sources.collect(),
            };
            let told = match self.client().await {
                Ok(mut client) => client.count_refusals(request.clone()).await.err(),
                Err(_) => Some(tonic::Status::unavailable("the server cannot be reached")),
            };
            if let Some(status) = told {
                tracing::warn!(
                    ?request,
                    "callers that were turned away are not recorded at the server"
                );
                self.failed(status).await;
            }
        }
    }

    fn tally(&self) -> std::sync::MutexGuard<'_, Tally> {
        self.turned_away.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn agent(world: &World, name: &Name) -> Option<Arc<Agent>> {
        world
            .agents(OrgScope::Every)
            .find(|agent| agent.name == *name)
            .cloned()
    }

    /// What the server opened, once it is known here, too.
    async fn opened(&self, run: sync::proto::OpenedRun) -> Result<OpenedRun, Refused> {
        // What the run's first call needs to be known here.
        if !self.replica.has(identity::Revision(run.revision)).await {
            return Err(Refused::Unreachable);
        }
        let instance: InstanceId = run.instance_id.parse().map_err(|error| malformed(&error))?;
        let known = self
            .replica
            .world()
            .instance(OrgScope::Every, instance)
            .cloned()
            .ok_or(Refused::Unreachable)?;
        Ok(OpenedRun {
            run: run.run_id.parse().map_err(|error| malformed(&error))?,
            instance,
            task: run.task_id.parse().map_err(|error| malformed(&error))?,
            spiffe_id: run.spiffe_id.parse().map_err(|error| malformed(&error))?,
            contract: run.contract.parse().map_err(|error| malformed(&error))?,
            assurance: known.assurance,
            tenant: (!run.tenant.is_empty()).then_some(run.tenant),
            opener: run.opener,
            pinned: run.pinned,
        })
    }
}

fn denied(refused: sync::proto::Refused) -> Refused {
    let decision = refused.decision_id.parse().unwrap_or(DecisionId::from_u128(0));
    Refused::Denied {
        code: refused.code,
        decision,
        message: refused.message,
        fix: format!("tabard explain {decision}"),
    }
}

/// The server's answer makes no sense: as good as none.
const fn malformed<E>(_: &E) -> Refused {
    Refused::Unreachable
}

impl Authority for ServerLink {
    async fn launch_spec(&self, agent: &Name) -> Result<Option<LaunchSpec>, Refused> {
        let world = self.replica.world();
        let Some(agent) = Self::agent(&world, agent) else {
            return Ok(None);
        };
        let scope = OrgScope::Only(agent.org);
        let Some(spec) = world.launch_spec(scope, agent.id) else {
            return Ok(None);
        };
        let contract = world.contract(scope, &agent.contract);
        let contract = contract.and_then(|it| policy::Contract::parse(&it.file, it.source.as_bytes()).ok());
        Ok(Some(LaunchSpec {
            agent: agent.name.clone(),
            launchers: spec.launchers.clone(),
            argv: match &spec.argv {
                ArgvRule::Free => Argv::Free,
                ArgvRule::Exact(words) => Argv::Exact(words.clone()),
                ArgvRule::Prefix(words) => Argv::Prefix(words.clone()),
            },
            cwd: spec.cwd.as_ref().map(Into::into),
            env_allow: spec.env_allow.clone(),
            env: spec.env_set.clone(),
            measured: spec.roots.iter().map(|root| root.path.clone().into()).collect(),
            isolation: if spec.isolate {
                Isolation::Required
            } else {
                Isolation::Optional
            },
            binds: spec
                .binds
                .iter()
                .map(|bind| Bind {
                    path: bind.path.clone().into(),
                    writable: bind.writable,
                })
                .collect(),
            may_launch: contract
                .map(|it| it.terms().may_launch.iter().cloned().collect())
                .unwrap_or_default(),
        }))
    }

    async fn open_run(&self, request: OpenRun) -> Result<OpenedRun, Refused> {
        let world = self.replica.world();
        let org = Self::agent(&world, &request.agent)
            .map(|agent| agent.org)
            .ok_or(Refused::Unreachable)?;
        let evidence = evidence_of(org, &request);
        let call = OpenRunRequest {
            evidence: serde_json::to_vec(&evidence).map_err(|error| malformed(&error))?,
            task_id: request.wish.task.map(|task| task.to_string()).unwrap_or_default(),
            task_type: request
                .wish
                .kind
                .as_ref()
                .map(ToString::to_string)
                .unwrap_or_default(),
            tenant: request
                .wish
                .tenant
                .as_ref()
                .map(ToString::to_string)
                .unwrap_or_default(),
            ttl_secs: request.wish.ttl_secs.unwrap_or(0),
        };
        let reply = match self.client().await?.open_run(call).await {
            Ok(reply) => reply.into_inner(),
            Err(status) => return Err(self.failed(status).await),
        };
        let run = match reply.outcome {
            Some(open_run_reply::Outcome::Run(run)) => run,
            Some(open_run_reply::Outcome::Refused(refused)) => return Err(denied(refused)),
            None => return Err(Refused::Unreachable),
        };
        self.opened(run).await
    }

    fn is_registered(&self, uid: u32, executable: &Path, digest: Digest) -> bool {
        let world = self.replica.world();
        world.registrations(OrgScope::Every).any(|registration| {
            registration.uid == uid
                && Path::new(&registration.executable) == executable
                && registration
                    .executable_digest
                    .is_none_or(|wanted| wanted == digest)
        })
    }

    async fn identify_process(&self, request: IdentifyProcess) -> Result<OpenedRun, Refused> {
        let evidence = ProcessEvidence {
            uid: request.uid,
            executable: request.executable.to_string_lossy().into_owned(),
            executable_digest: request.executable_digest,
            key: request.instance_key,
            seen_at: wall_clock(),
        };
        let evidence = serde_json::to_vec(&evidence).map_err(|error| malformed(&error))?;
        let reply = match self
            .client()
            .await?
            .identify_process(IdentifyProcessRequest { evidence })
            .await
        {
            Ok(reply) => reply.into_inner(),
            Err(status) => return Err(self.failed(status).await),
        };
        match reply.outcome {
            // The first is the default identity; a process that matches several registrations gets that one.
            Some(identify_process_reply::Outcome::Process(process)) => {
                let run = process
                    .identities
                    .into_iter()
                    .next()
                    .ok_or(Refused::Unreachable)?;
                self.opened(run).await
            }
            Some(identify_process_reply::Outcome::Refused(refused)) => Err(denied(refused)),
            None => Err(Refused::Unreachable),
        }
    }

    async fn close_run(&self, run: RunId, ended: Ended) {
        let exit = match ended {
            Ended::Code(code) => format!("code {code}"),
            Ended::Signal(signal) => format!("signal {signal}"),
            Ended::Lost => "lost".to_owned(),
        };
        let Ok(mut client) = self.client().await else {
            return;
        };
        if let Err(status) = client
            .close_run(CloseRunRequest {
                run_id: run.to_string(),
                exit,
            })
            .await
        {
            self.failed(status).await;
        }
    }

    async fn x509_svid(&self, instance: InstanceId, csr: Vec<u8>) -> Result<IssuedX509, Refused> {
        let call = IssueX509SvidRequest {
            instance_id: instance.to_string(),
            csr,
        };
        let reply = match self.client().await?.issue_x509_svid(call).await {
            Ok(reply) => reply.into_inner(),
            Err(status) => return Err(self.failed(status).await),
        };
        match reply.outcome {
            Some(issue_x509_svid_reply::Outcome::Svid(svid)) => Ok(IssuedX509 {
                chain: svid.chain,
                not_before: wall_clock(),
                not_after: UnixTime::from_millis(svid.expires_at),
            }),
            Some(issue_x509_svid_reply::Outcome::Refused(refused)) => Err(denied(refused)),
            None => Err(Refused::Unreachable),
        }
    }

    async fn jwt_svid(
        &self,
        instance: InstanceId,
        audiences: &[Audience],
    ) -> Result<Secret<String>, Refused> {
        let call = IssueJwtSvidRequest {
            instance_id: instance.to_string(),
            audiences: audiences.iter().map(ToString::to_string).collect(),
        };
        let reply = match self.client().await?.issue_jwt_svid(call).await {
            Ok(reply) => reply.into_inner(),
            Err(status) => return Err(self.failed(status).await),
        };
        match reply.outcome {
            Some(issue_jwt_svid_reply::Outcome::Svid(svid)) => Ok(Secret::new(svid.token)),
            Some(issue_jwt_svid_reply::Outcome::Refused(refused)) => Err(denied(refused)),
            None => Err(Refused::Unreachable),
        }
    }

    fn bundles(&self) -> watch::Receiver<Arc<Bundles>> {
        self.bundles.subscribe()
    }

    fn validate_jwt(&self, audience: &Audience, token: &str) -> Result<ValidJwt, Invalid> {
        let bundles = self.bundles.borrow().clone();
        let keys = bundles.jwt.iter().filter_map(|(domain, document)| {
            let bundle = TrustBundle::parse(domain.clone(), document).ok()?;
            Some((domain.as_str().to_owned(), bundle.jwt_keys()))
        });
        let keys: std::collections::HashMap<String, _> = keys.collect();
        let verified =
            credential::jwt_svid::verify(token, |domain| keys.get(domain), audience.as_str(), wall_clock());
        let claims = verified.map_err(|rejection| {
            tracing::debug!(%rejection, "a JWT-SVID was not accepted");
            Invalid("the token is not a valid JWT-SVID for this audience")
        })?;
        let claims = claims.into_claims();
        Ok(ValidJwt {
            id: claims.spiffe_id,
            claims: claims.claims,
        })
    }

    fn is_dead(&self, instance: InstanceId) -> bool {
        let world = self.replica.world();
        let Some(known) = world.instance(OrgScope::Every, instance) else {
            return true;
        };
        let alive = world
            .agent(OrgScope::Every, known.agent)
            .is_some_and(|agent| agent.is_live(wall_clock()));
        let targets = [
            Target::Instance(instance),
            Target::Agent(known.agent),
            Target::Org(known.org),
            Target::Task(known.task),
        ];
        !alive || world.revoked(&targets, instance.revision()).is_some()
    }

    fn revocations(&self) -> watch::Receiver<u64> {
        self.revocations.subscribe()
    }

    fn turned_away(&self, source: Source, code: &'static str) {
        self.tally().count(source, code);
    }

    fn refuse(&self, refusal: LocalRefusal) -> DecisionId {
        let log = self
            .link
            .identity()
            .map(|identity| identity.log)
            .unwrap_or_default();
        let mut bits = [0; 8];
        if SystemRandom::new().fill(&mut bits).is_err() {
            tracing::error!("the kernel gives no randomness");
        }
        let decision = DecisionId::random(wall_clock(), log, u64::from_be_bytes(bits));
        let record = RecordRefusalRequest {
            decision_id: decision.to_string(),
            code: refusal.code.to_owned(),
            uid: refusal.uid,
            pid: refusal.pid,
            agent: refusal
                .agent
                .as_ref()
                .map(ToString::to_string)
                .unwrap_or_default(),
            seen: shortened(refusal.seen),
        };
        if let Err(error) = self.refusals.try_send(record) {
            tracing::warn!(%decision, code = refusal.code, %error, "a refusal is not recorded at the server: too many");
        }
        decision
    }
}

/// At most what the server takes.
fn shortened(mut seen: String) -> String {
    seen.truncate(seen.floor_char_boundary(SEEN_BYTES_MAX));
    seen
}

fn evidence_of(org: identity::OrgId, request: &OpenRun) -> LaunchEvidence {
    let Measurement {
        executable,
        executable_digest,
        script,
        roots,
        separation,
        ..
    } = &request.evidence;
    let path = |path: &Path| path.to_string_lossy().into_owned();
    let roots = script.iter().chain(roots);
    LaunchEvidence {
        org,
        agent: request.agent.clone(),
        launcher_uid: request.launcher_uid,
        launcher_run: request.launcher_run,
        argv: request.argv.clone(),
        cwd: path(&request.cwd),
        executable: path(executable),
        executable_digest: *executable_digest,
        roots: roots
            .map(|root| MeasuredRoot {
                path: path(&root.path),
                digest: root.digest,
            })
            .collect(),
        environment: request.environment.clone(),
        isolated: *separation != Separation::None,
        sealed: *separation == Separation::Sealed,
        // Read-only storage is not proven here; whoever can prove it raises this.
        immutable: false,
        key: request.instance_key,
        seen_at: wall_clock(),
    }
}

/// The trust bundles of the World: our own trust domain's, from its published keys.
fn bundles_of(world: &World) -> Bundles {
    let mut bundles = Bundles::default();
    let Some(founding) = world.founding() else {
        return bundles;
    };
    let domain: TrustDomain = founding.trust_domain.clone();
    let authorities: Vec<Vec<u8>> = world
        .keys(KeyClass::X509Authority)
        .filter_map(|key| STANDARD.decode(&key.material).ok())
        .collect();
    let jwt = TrustBundle {
        trust_domain: domain.clone(),
        x509_authorities: Vec::new(),
        jwt_authorities: world
            .keys(KeyClass::JwtSvid)
            .filter_map(|key| Jwk::parse(key.material.as_bytes()).ok())
            .collect(),
        sequence: None,
        refresh_hint_secs: None,
    };
    bundles.jwt.insert(domain.clone(), jwt.jwt_to_json().into_bytes());
    bundles.x509.insert(domain, authorities);
    bundles
}

fn wall_clock() -> UnixTime {
    let since = SystemTime::now()
        .duration_since(SystemTime::UNIX_EPOCH)
        .unwrap_or_default();
    UnixTime::from_millis(u64::try_from(since.as_millis()).unwrap_or(u64::MAX))
}
