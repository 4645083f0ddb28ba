//! One gateway with a World, a journal and upstreams of its own, and an agent that can make tokens and proofs.

use crate::desk::Desk;
use audit::Entry;
use audit::event::CommitmentKey;
use audit::note::{NoteSigner, PublicKey as NotePublicKey};
use aws_lc_rs::rand::SystemRandom;
use aws_lc_rs::signature::{ECDSA_P256_SHA256_FIXED_SIGNING, EcdsaKeyPair, Ed25519KeyPair, KeyPair as _};
use broker::upstream::Manifest;
use broker::world::{
    Agent, AgentState, ContractRecord, Instance, KeyClass, Opener, OpenerKind, Org,
    PublicKey as PublishedKey, Revocation, Target, Task,
};
use broker::{Change, World};
use credential::dpop::{ProofClaims, RequestTarget};
use credential::{
    AccessTokenClaims, AgentTask, Algorithm, Binding, Constraints, Curve, EntryPlace, HeaderSegment, Jwk,
    NonceKey, PublicKey, TokenClass,
};
use futures_util::future::BoxFuture;
use identity::{
    Actor, ActorChain, ActorKind, AgentId, Assurance, DecisionId, Digest, FamilyId, InstanceId, LogId, Name,
    NodeId, OrgId, Revision, RunId, Secret, TaskId, TokenId, UnixTime, UpstreamId,
};
use rustls::{RootCertStore, ServerConfig};
use std::collections::BTreeSet;
use std::net::SocketAddr;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex};
use std::time::{Duration, SystemTime};
use store::Store;
use tabard_gateway::{
    Approvals, FeedHealth, Gateway, GatewayParts, LocalHomes, NobodyToAsk, SecretError, Secrets, Settings,
};
use tokio::io::{AsyncRead, AsyncReadExt as _, AsyncWrite, AsyncWriteExt as _};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::{oneshot, watch};
use tokio::time::{Instant, timeout};

pub(crate) const ISSUER: &str = "http://issuer.test";
/// What must never come out of the gateway towards an agent.
pub(crate) const CANARY: &str = "canary/Key+0123456789";
pub(crate) const CLIENT_SECRET: &str = "client secret/ä:+0123456789";
pub(crate) const LOG: LogId = LogId(7);

const CONTRACT: &str = r"
apiVersion: tabard/v1
kind: AgentContract
metadata: {name: NAME, version: 1}
owner: {team: finance-platform, escalation: finance-platform on call}
purpose: {id: reconciliation, statement: Matches invoices against payments.}
identity: {min_assurance: 1, max_evidence_age: 12h}
tenants: {mode: task, allowed: [acme-eu]}
tasks: {types: [reconciliation], max_ttl: 30m, openers: [operator]}
grants:
  - id: invoices
    services: [invoices]
    actions: [invoices.read, notes.add]
    reason: Each invoice is compared with the payment that claims to settle it.
    business_action: {invoices.read: Look at one invoice, notes.add: Add a note}
    data: {domains: [finance], sensitivity: confidential}
  - id: payroll
    services: [payroll]
    actions: [payroll.totals]
    reason: Totals are compared.
    business_action: {payroll.totals: Read totals}
    data: {domains: [finance], sensitivity: confidential}
rate:
  - {per: 1m, max: RATE}
mode: enforce
lifecycle: {expires: 2099-12-31, review_every: 3650d}
";

const UPSTREAM: &str = "
apiVersion: tabard/v1
kind: Upstream
metadata: {name: invoices}
base_url: BASE
hosts: [invoices.demo]
credential: {api_key: {header: x-api-key, secret: stdin}}
routes:
  - {method: GET, path: '/tenants/{tenant}/invoices/{id}', action: invoices.read, resource: {type: invoice, id: id}, tenant: {path: tenant}}
  - {method: DELETE, path: '/tenants/{tenant}/invoices/{id}', action: invoices.delete, resource: {type: invoice, id: id}, tenant: {path: tenant}}
  - {method: POST, path: '/tenants/{tenant}/notes', action: notes.add, resource: {type: note}, tenant: {path: tenant}}
  - method: POST
    path: /tenants/{tenant}/typed
    action: notes.add
    resource: {type: note}
    arguments: [{name: kind, body: /kind}]
    tenant: {path: tenant}
";

const PAYROLL: &str = "
apiVersion: tabard/v1
kind: Upstream
metadata: {name: payroll}
base_url: BASE
tenant_header: x-tenant
credential: {client_credentials: {token_url: BASE/token, client_id: 'gate way', scope: payroll.read, secret: stdin}}
routes:
  - {method: GET, path: /totals, action: payroll.totals, resource: {type: payroll}}
";

/// An ES256 key pair.
pub(crate) struct Key {
    pair: EcdsaKeyPair,
    pub(crate) public: PublicKey,
}

impl Key {
    pub(crate) fn new() -> Self {
        let pair = EcdsaKeyPair::generate(&ECDSA_P256_SHA256_FIXED_SIGNING).unwrap();
        let public = PublicKey::ec_point(Curve::P256, pair.public_key().as_ref()).unwrap();
        Self { pair, public }
    }
    fn sign(&self, message: &[u8]) -> Vec<u8> {
        self.pair
            .sign(&SystemRandom::new(), message)
            .unwrap()
            .as_ref()
            .to_vec()
    }
}

struct LogKey(Ed25519KeyPair);

impl NoteSigner for LogKey {
    fn name(&self) -> &'static str {
        "test.example/log/7"
    }
    fn public_key(&self) -> NotePublicKey {
        NotePublicKey::from_bytes(self.0.public_key().as_ref().try_into().unwrap())
    }
    fn sign(&self, message: &[u8]) -> [u8; 64] {
        self.0.sign(message).as_ref().try_into().unwrap()
    }
}

struct Fixed(UpstreamId);

impl Secrets for Fixed {
    fn secret(
        &self,
        upstream: UpstreamId,
        _: u64,
    ) -> BoxFuture<'_, Result<Arc<Secret<String>>, SecretError>> {
        let secret = if upstream == self.0 { CANARY } else { CLIENT_SECRET };
        Box::pin(async move { Ok(Arc::new(Secret::new(secret.to_owned()))) })
    }
}

pub(crate) fn now() -> UnixTime {
    let elapsed = SystemTime::now().duration_since(SystemTime::UNIX_EPOCH).unwrap();
    UnixTime::from_millis(u64::try_from(elapsed.as_millis()).unwrap())
}

/// A request as an upstream received it: head and body, byte for byte.
pub(crate) type Seen = Arc<Mutex<Vec<String>>>;

/// One agent of the fixture.
pub(crate) struct Actor1 {
    pub(crate) id: AgentId,
    pub(crate) task: TaskId,
    pub(crate) instance: InstanceId,
    pub(crate) spiffe: String,
    pub(crate) key: Key,
}

/// What a fixture has that differs from the usual.
pub(crate) struct Wish {
    /// Calls of an agent a minute.
    pub(crate) rate: u32,
    /// Whether proofs need a nonce of the gateway.
    pub(crate) nonces: Option<NonceKey>,
    /// Whether the upstreams speak TLS, by an authority that the gateway trusts or by another.
    pub(crate) upstream: Option<(ServerConfig, RootCertStore)>,
    /// TLS of the gateway's own listener.
    pub(crate) listener: Option<ServerConfig>,
    /// The agents' contract.
    pub(crate) contract: &'static str,
    /// The first upstream.
    pub(crate) definition: &'static str,
    /// Whether humans can be asked.
    pub(crate) humans: bool,
}

impl Default for Wish {
    fn default() -> Self {
        Self {
            rate: 1000,
            nonces: None,
            upstream: None,
            listener: None,
            contract: CONTRACT,
            definition: UPSTREAM,
            humans: false,
        }
    }
}

pub(crate) struct Fixture {
    pub(crate) gateway: Arc<Gateway>,
    pub(crate) address: SocketAddr,
    pub(crate) seen: Seen,
    pub(crate) journal: Arc<Store>,
    pub(crate) worlds: watch::Sender<Arc<World>>,
    pub(crate) desk: Arc<Desk>,
    pub(crate) feed: watch::Sender<FeedHealth>,
    /// Two agents, and a second run of the first one with a task of its own.
    pub(crate) agents: [Actor1; 3],
    pub(crate) org: OrgId,
    pub(crate) contract: Digest,
    issuer_key: Key,
    invoices: UpstreamId,
    tls: Arc<rustls::ClientConfig>,
    stop: Option<oneshot::Sender<()>>,
    counter: AtomicU64,
    _directory: tempfile::TempDir,
}

/// Everything a gateway is given.
fn parts(
    settings: Settings,
    worlds: &watch::Sender<Arc<World>>,
    feed: watch::Receiver<FeedHealth>,
    journal: Arc<Store>,
    invoices: UpstreamId,
    upstream_tls: Arc<rustls::ClientConfig>,
    approvals: Arc<dyn Approvals>,
) -> GatewayParts {
    let names = Arc::new(CommitmentKey::new(Secret::new([9; 32])));
    GatewayParts {
        homes: Arc::new(LocalHomes {
            worlds: worlds.clone(),
            log: settings.log,
        }),
        settings,
        worlds: worlds.subscribe(),
        feed,
        journal,
        secrets: Arc::new(Fixed(invoices)),
        approvals,
        names: Arc::new(move |_| names.clone()),
        upstream_tls,
        clock: Arc::new(now),
        random: Arc::new(|| {
            let mut seed = [0; 32];
            aws_lc_rs::rand::fill(&mut seed).unwrap();
            seed
        }),
    }
}

/// One more gateway that follows the World of a [`Fixture`], with a journal of its own.
pub(crate) struct Another {
    pub(crate) address: SocketAddr,
    pub(crate) journal: Arc<Store>,
    _directory: tempfile::TempDir,
}

fn name(text: &str) -> Name {
    text.parse().unwrap()
}

impl Fixture {
    pub(crate) async fn new() -> Self {
        Self::with_rate(1000).await
    }

    pub(crate) async fn with_rate(rate: u32) -> Self {
        Self::with(Wish {
            rate,
            ..Wish::default()
        })
        .await
    }

    pub(crate) async fn with(wish: Wish) -> Self {
        let Wish {
            rate,
            nonces,
            upstream,
            listener: tls_of_listener,
            contract,
            definition,
            humans,
        } = wish;
        let (tls, roots) = upstream.map_or((None, RootCertStore::empty()), |(tls, roots)| (Some(tls), roots));
        let seen = Seen::default();
        let scheme = if tls.is_some() { "https" } else { "http" };
        let upstream = crate::forwarding::upstream(seen.clone(), tls).await;
        let directory = tempfile::tempdir().unwrap();
        let signer = Arc::new(LogKey(Ed25519KeyPair::from_seed_unchecked(&[7; 32]).unwrap()));
        let settings = store::Settings::new(directory.path().join("journal"), LOG, signer);
        let journal = Arc::new(Store::open(&settings).unwrap());
        let (at, rev) = (now(), Revision(1));
        let org = OrgId::mint(at, LOG, 1).at(rev);
        let contract = contract
            .replace("NAME", "demo")
            .replace("RATE", &rate.to_string());
        let hash = policy::Contract::parse("demo.yaml", contract.as_bytes()).unwrap();
        let hash = policy::Compiled::new(hash).unwrap().hash().0;
        let base = format!("{scheme}://{upstream}");
        let parse = |text: &str| Manifest::parse("u", text.replace("BASE", &base).as_bytes()).unwrap();
        let (invoices, payroll) = (
            UpstreamId::mint(at, LOG, 2).at(rev),
            UpstreamId::mint(at, LOG, 3).at(rev),
        );
        let issuer_key = Key::new();
        let agents = [0, 1, 2].map(|n| {
            let n: u64 = n;
            let agent = n % 2;
            Actor1 {
                id: AgentId::mint(at, LOG, 10 + agent).at(rev),
                task: TaskId::mint(at, LOG, 20 + n).at(rev),
                instance: InstanceId::mint(at, LOG, 30 + n).at(rev),
                spiffe: format!("spiffe://test.example/finance/agent/demo-{agent}"),
                key: Key::new(),
            }
        });
        let kid = issuer_key.public.thumbprint().to_string();
        let mut changes = vec![
            Change::Founded {
                trust_domain: "test.example".parse().unwrap(),
                issuer: ISSUER.into(),
                epoch: 0,
            },
            Change::OrgCreated(Org {
                id: org,
                name: name("finance"),
            }),
            Change::ContractPublished(ContractRecord {
                hash,
                org,
                name: name("demo"),
                version: 1,
                file: "demo.yaml".into(),
                source: contract.into(),
                published_by: "test".into(),
                published_at: at,
                commit: None,
                succeeds: BTreeSet::new(),
            }),
            Change::UpstreamPublished(parse(definition).upstream(invoices, org, 1)),
            Change::UpstreamPublished(parse(PAYROLL).upstream(payroll, org, 1)),
            Change::KeyPublished(PublishedKey {
                kid,
                class: KeyClass::AccessToken,
                material: Jwk::signing(issuer_key.public.clone(), Algorithm::Es256).to_json(),
            }),
        ];
        for agent in &agents {
            // The second run of an agent finds it registered; saying so again changes nothing.
            changes.push(Change::AgentRegistered(Agent {
                id: agent.id,
                org,
                name: name(agent.spiffe.rsplit('/').next().unwrap()),
                spiffe_id: agent.spiffe.parse().unwrap(),
                owner: "finance-platform".into(),
                purpose: "test".into(),
                contract: hash,
                state: AgentState::Active,
                expires_at: UnixTime::MAX,
            }));
            changes.push(Change::TaskOpened(Task {
                id: agent.task,
                org,
                agent: agent.id,
                kind: name("reconciliation"),
                tenant: Some(name("acme-eu")),
                opener: Opener {
                    kind: OpenerKind::Operator,
                    name: "op".into(),
                },
                opened_at: at,
                expires_at: at.plus_secs(1200),
                parent: None,
                root: None,
                trusted: BTreeSet::new(),
                declassified: Revision(0),
                closed: false,
            }));
            changes.push(Change::InstanceOpened(Instance {
                id: agent.instance,
                run: RunId::mint(at, LOG, 40).at(rev),
                org,
                agent: agent.id,
                node: NodeId::mint(at, LOG, 41).at(rev),
                task: agent.task,
                key: agent.key.public.thumbprint(),
                assurance: Assurance {
                    node: 1,
                    launch: 1,
                    code: 0,
                    signer: 0,
                },
                evidence: Digest::default(),
                attested_at: at,
                pinned: false,
            }));
        }
        let world = World::default().apply(&changes, rev);
        let (worlds, _) = watch::channel(Arc::new(world));
        let desk = Arc::new(Desk::new(worlds.clone()));
        let approvals: Arc<dyn Approvals> = if humans {
            desk.clone()
        } else {
            Arc::new(NobodyToAsk)
        };
        let (feed, feed_of) = watch::channel(FeedHealth::Local);
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap();
        let scheme = if tls_of_listener.is_some() {
            "https"
        } else {
            "http"
        };
        let mut settings = Settings::new(ISSUER, vec![format!("{scheme}://{address}")], LOG);
        settings.nonces = nonces;
        settings.body_timeout_ms = 400;
        settings.head_timeout_ms = 1000;
        let provider = Arc::new(rustls::crypto::aws_lc_rs::default_provider());
        let tls = rustls::ClientConfig::builder_with_provider(provider)
            .with_safe_default_protocol_versions()
            .unwrap()
            .with_root_certificates(roots)
            .with_no_client_auth();
        let tls = Arc::new(tls);
        let gateway = Arc::new(
            Gateway::new(parts(
                settings,
                &worlds,
                feed_of,
                journal.clone(),
                invoices,
                tls.clone(),
                approvals,
            ))
            .unwrap(),
        );
        let (stop, stopped) = oneshot::channel();
        let serving = gateway.clone();
        tokio::spawn(async move {
            serving
                .serve(listener, tls_of_listener.map(Arc::new), async {
                    drop(stopped.await);
                })
                .await
                .unwrap();
        });
        Self {
            gateway,
            address,
            seen,
            journal,
            worlds,
            desk,
            feed,
            agents,
            org,
            contract: hash,
            issuer_key,
            invoices,
            tls,
            stop: Some(stop),
            counter: AtomicU64::new(1),
            _directory: directory,
        }
    }

    pub(crate) fn agent(&self) -> &Actor1 {
        let [agent, ..] = &self.agents;
        agent
    }

    /// Starts one more gateway, with the log `log`.
    pub(crate) async fn another(&self, log: LogId) -> Another {
        let directory = tempfile::tempdir().unwrap();
        let signer = Arc::new(LogKey(Ed25519KeyPair::from_seed_unchecked(&[8; 32]).unwrap()));
        let settings = store::Settings::new(directory.path().join("journal"), log, signer);
        let journal = Arc::new(Store::open(&settings).unwrap());
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap();
        let settings = Settings::new(ISSUER, vec![format!("http://{address}")], log);
        let (feed, tls) = (self.feed.subscribe(), self.tls.clone());
        let gateway = Gateway::new(parts(
            settings,
            &self.worlds,
            feed,
            journal.clone(),
            self.invoices,
            tls,
            self.desk.clone(),
        ))
        .unwrap();
        tokio::spawn(async move { gateway.serve(listener, None, std::future::pending()).await });
        Another {
            address,
            journal,
            _directory: directory,
        }
    }

    /// An access token of `agent` for `audience`.
    pub(crate) fn token(&self, agent: &Actor1, audience: &str) -> String {
        self.token_at(agent, audience, Revision(1))
    }

    pub(crate) fn token_at(&self, agent: &Actor1, audience: &str, revision: Revision) -> String {
        let binding = Binding::Key(agent.key.public.thumbprint());
        self.sign(&self.claims(agent, audience, revision, binding))
    }

    /// What a token of `agent` says.
    /// What a token of `agent` says that is bound to its key and covers those actions.
    pub(crate) fn covering<const N: usize>(
        &self,
        agent: &Actor1,
        audience: &str,
        actions: [&str; N],
    ) -> AccessTokenClaims {
        let binding = Binding::Key(agent.key.public.thumbprint());
        let mut claims = self.claims(agent, audience, Revision(1), binding);
        claims.details[0].actions = Some(actions.map(name).into());
        claims
    }

    pub(crate) fn claims(
        &self,
        agent: &Actor1,
        audience: &str,
        revision: Revision,
        binding: Binding,
    ) -> AccessTokenClaims {
        let at = now();
        let n = self.counter.fetch_add(1, Ordering::Relaxed);
        let actions: BTreeSet<Name> = ["invoices.read", "notes.add", "payroll.totals"]
            .map(name)
            .into_iter()
            .collect();
        let actor = Actor {
            kind: ActorKind::AiAgent,
            issuer: ISSUER.into(),
            id: agent.spiffe.clone(),
        };
        AccessTokenClaims {
            issuer: ISSUER.into(),
            chain: ActorChain::starting_with(actor),
            audience: audience.parse().unwrap(),
            client_id: agent.spiffe.clone(),
            issued_at: at,
            valid_from: at,
            expires_at: at.plus_secs(300),
            token: TokenId::random(at, LOG, n),
            family: FamilyId::random(at, LOG, n),
            binding,
            details: vec![AgentTask {
                task: Some(agent.task),
                purpose: Some(name("reconciliation")),
                actions: Some(actions),
                locations: None,
                datatypes: None,
                data_domains: None,
                tenant: Some(name("acme-eu")),
                workflow: None,
                step: None,
                constraints: Constraints::default(),
                approval: None,
            }],
            scope: None,
            revision,
            entry: EntryPlace {
                origin: "test.example/log/0".into(),
                index: n,
            },
            agent: agent.id,
            instance: agent.instance,
            node: None,
            org: self.org,
            tenant: Some(name("acme-eu")),
            task: Some(agent.task),
            assurance: Assurance {
                node: 1,
                launch: 1,
                code: 0,
                signer: 0,
            },
            contract: self.contract,
            decision: DecisionId::random(at, LOG, n),
        }
    }

    /// Signs it as the issuer does.
    pub(crate) fn sign(&self, claims: &AccessTokenClaims) -> String {
        let kid = self.issuer_key.public.thumbprint().to_string();
        let unsigned = claims.unsigned(&HeaderSegment::new(
            Algorithm::Es256,
            &kid,
            TokenClass::AccessToken,
        ));
        let signature = self.issuer_key.sign(unsigned.message());
        unsigned.with_signature(&signature)
    }

    /// A proof for one request.
    pub(crate) fn proof(&self, key: &Key, token: &str, method: &str, url: &str) -> String {
        self.proof_with(key, token, method, url, None)
    }

    /// The same with a nonce.
    pub(crate) fn proof_with(
        &self,
        key: &Key,
        token: &str,
        method: &str,
        url: &str,
        nonce: Option<&str>,
    ) -> String {
        let target = RequestTarget::parse(url).unwrap();
        let jti = format!("jti-{}", self.counter.fetch_add(1, Ordering::Relaxed));
        let claims = ProofClaims {
            jti: &jti,
            method,
            target: &target,
            issued_at: now(),
            access_token: Some(token),
            nonce,
            caller: None,
        };
        let unsigned = claims.unsigned(&ProofClaims::header(&key.public, Algorithm::Es256));
        let signature = key.sign(unsigned.message());
        unsigned.with_signature(&signature)
    }

    /// The Authorization and DPoP lines of one request of the first agent.
    pub(crate) fn credentials(&self, method: &str, path: &str) -> String {
        let audience = if path.starts_with("/payroll") {
            "payroll"
        } else {
            "invoices"
        };
        let token = self.token(self.agent(), audience);
        self.credentials_with(
            self.agent(),
            &token,
            method,
            &format!("http://{}{path}", self.address),
        )
    }

    pub(crate) fn credentials_with(&self, agent: &Actor1, token: &str, method: &str, url: &str) -> String {
        let proof = self.proof(&agent.key, token, method, url);
        format!("Authorization: DPoP {token}\r\nDPoP: {proof}\r\n")
    }

    /// GETs a path of the gateway as the first agent.
    pub(crate) async fn get(&self, path: &str) -> Answer {
        self.send("GET", path, "", "").await
    }

    /// One request of the first agent, with further header lines and a body.
    pub(crate) async fn send(&self, method: &str, path: &str, lines: &str, body: &str) -> Answer {
        let credentials = self.credentials(method, path);
        let length = if body.is_empty() {
            String::new()
        } else {
            format!("Content-Length: {}\r\n", body.len())
        };
        self.raw(&format!(
            "{method} {path} HTTP/1.1\r\nHost: {}\r\nConnection: close\r\n{credentials}{lines}{length}\r\n{body}",
            self.address
        ))
        .await
    }

    /// One call of any agent with any token at any gateway: `line` is its method and path, `lines` are header lines besides,
    /// and a body is JSON.
    pub(crate) async fn call(
        &self,
        (gateway, agent): (SocketAddr, &Actor1),
        token: &str,
        line: &str,
        lines: &str,
        body: &str,
    ) -> Answer {
        let (method, path) = line.split_once(' ').unwrap();
        let url = format!("http://{gateway}{path}");
        let credentials = self.credentials_with(agent, token, method, &url);
        let about_the_body = match body.len() {
            0 => String::new(),
            length => format!("Content-Type: application/json\r\nContent-Length: {length}\r\n"),
        };
        let request = format!(
            "{method} {path} HTTP/1.1\r\nHost: {gateway}\r\nConnection: close\r\n{credentials}{lines}{about_the_body}\r\n{body}",
        );
        self.raw_at(gateway, &request).await
    }

    /// A stream of events that has been asked for.
    pub(crate) async fn events(&self) -> TcpStream {
        let path = "/invoices/tenants/acme-eu/invoices/events";
        let mut stream = TcpStream::connect(self.address).await.unwrap();
        let credentials = self.credentials("GET", path);
        let request = format!(
            "GET {path} HTTP/1.1\r\nHost: {}\r\n{credentials}\r\n",
            self.address
        );
        stream.write_all(request.as_bytes()).await.unwrap();
        stream
    }

    /// Sends bytes, and reads until the gateway closes the connection.
    pub(crate) async fn raw(&self, bytes: &str) -> Answer {
        self.raw_at(self.address, bytes).await
    }

    /// The same at another gateway.
    pub(crate) async fn raw_at(&self, gateway: SocketAddr, bytes: &str) -> Answer {
        self.talk(TcpStream::connect(gateway).await.unwrap(), bytes).await
    }

    /// The same over a connection that is there.
    pub(crate) async fn talk(&self, mut stream: impl AsyncRead + AsyncWrite + Unpin, bytes: &str) -> Answer {
        stream.write_all(bytes.as_bytes()).await.unwrap();
        let mut text = Vec::new();
        // A reset after the answer is an end as well.
        let _end = timeout(Duration::from_secs(10), stream.read_to_end(&mut text))
            .await
            .expect("the gateway hangs");
        Answer(String::from_utf8_lossy(&text).into_owned())
    }

    pub(crate) fn seen(&self) -> Vec<String> {
        self.seen.lock().unwrap().clone()
    }

    /// Applies a Change to the World.
    pub(crate) fn change(&self, change: Change) {
        let world = self.worlds.borrow().clone();
        let next = world.apply(&[change], world.revision().next());
        self.worlds.send_replace(Arc::new(next));
    }

    pub(crate) fn revoke(&self, target: Target) {
        self.change(Change::Revoked(Revocation {
            target,
            org: Some(self.org),
            forget_at: now().plus_secs(3600),
        }));
    }

    /// The journal once it has `count` entries.
    pub(crate) async fn journal(&self, count: u64) -> Vec<Entry> {
        let deadline = Instant::now() + Duration::from_secs(5);
        while self.journal.log().size() < count {
            assert!(
                Instant::now() < deadline,
                "the journal has {} entries",
                self.journal.log().size()
            );
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
        let entries = self.journal.log().entries(0..self.journal.log().size()).unwrap();
        entries.iter().map(|bytes| Entry::parse(bytes).unwrap()).collect()
    }
}

impl Drop for Fixture {
    fn drop(&mut self) {
        if let Some(stop) = self.stop.take() {
            // The gateway may have ended by itself.
            let _ended = stop.send(());
        }
    }
}

/// What came back, byte for byte.
pub(crate) struct Answer(pub(crate) String);

impl Answer {
    pub(crate) fn status(&self) -> u16 {
        self.0
            .split(' ')
            .nth(1)
            .and_then(|text| text.parse().ok())
            .unwrap_or(0)
    }
    pub(crate) fn header(&self, name: &str) -> Option<&str> {
        self.0.split("\r\n\r\n").next()?.lines().find_map(|line| {
            let (known, value) = line.split_once(':')?;
            known.eq_ignore_ascii_case(name).then(|| value.trim())
        })
    }
    pub(crate) fn body(&self) -> &str {
        self.0.split_once("\r\n\r\n").map_or("", |(_, body)| body)
    }
    pub(crate) fn code(&self) -> String {
        let problem: serde_json::Value = serde_json::from_str(self.body()).unwrap_or_default();
        problem
            .get("code")
            .and_then(serde_json::Value::as_str)
            .unwrap_or_default()
            .to_owned()
    }
}
