//! A server in a temporary directory, with one org, one contract and one agent.

use crate::client::Client;
use broker::admin::{Administrator, PeerEvidence, authenticate};
use broker::inventory::{self, AgentManifest, Bootstrap, LaunchTerms};
use broker::succession::{FourEyes, Scrutiny, apply_contract};
use broker::world::{ArgvRule, ContractRecord, MemberRole, NodeRecord, Principal, Role};
use broker::{Outcome, Plan};
use identity::{LogId, Name, NodeId, OrgId, OrgScope, UnixTime, UpstreamId};
use policy::Contract;
use server::clock::Clock;
use server::keys::Kek;
use server::{Config, Founder, Installation, Opening, Running, Server};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use store::Recorded;
use tempfile::TempDir;

pub(crate) const CONTRACT: &[u8] = include_bytes!("../../../../testdata/contracts/demo-billing.yaml");
pub(crate) const UID: u32 = 1000;

/// What a test does to the server's clock.
#[derive(Default)]
struct Hand {
    ahead_ms: AtomicU64,
    /// 0 while it runs.
    stopped_ms: AtomicU64,
}

/// A server that runs, its directory, and a clock that can be set forward.
pub(crate) struct Place {
    pub(crate) running: Running,
    pub(crate) client: Client,
    pub(crate) org: OrgId,
    pub(crate) node: NodeId,
    hand: Arc<Hand>,
    config: Config,
    pub(crate) dir: TempDir,
}

impl Place {
    /// A new installation.
    pub(crate) async fn new() -> Self {
        Self::set_up(|_| {}).await
    }

    /// The same with another configuration.
    pub(crate) async fn set_up(change: impl FnOnce(&mut Config)) -> Self {
        let dir = tempfile::tempdir().unwrap();
        let listener = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
        let listen = listener.local_addr().unwrap();
        let mut config = Config {
            data_dir: dir.path().join("data"),
            listen,
            issuer: format!("https://{listen}").parse().unwrap(),
            trust_domain: "dev.tabard".parse().unwrap(),
            tls_names: Vec::new(),
            kek: dir.path().join("kek"),
            checkpoint_copy: dir.path().join("checkpoint"),
            admin_socket: dir.path().join("admin.sock"),
            people: None,
            four_eyes: FourEyes::Off,
            webhook_ca: None,
            connections_max: 64,
            exchanges_max: 64,
        };
        change(&mut config);
        let hand = Arc::<Hand>::default();
        let running = start(&config, &hand, listener).await;
        let client = Client::of(&config);
        let mut place = Self {
            running,
            client,
            org: OrgId::from_u128(0),
            node: NodeId::from_u128(0),
            hand,
            config,
            dir,
        };
        place.furnish().await;
        place
    }

    /// The same installation after its process ended and began again.
    pub(crate) async fn restarted(self) -> Self {
        let Self {
            running,
            org,
            node,
            hand,
            config,
            dir,
            ..
        } = self;
        running.stop().await;
        let listener = std::net::TcpListener::bind(config.listen).unwrap();
        let running = start(&config, &hand, listener).await;
        let client = Client::of(&config);
        Self {
            running,
            client,
            org,
            node,
            hand,
            config,
            dir,
        }
    }

    pub(crate) fn installation(&self) -> &Arc<Installation> {
        self.running.installation()
    }
    pub(crate) fn issuer(&self) -> &str {
        self.running.issuer()
    }
    pub(crate) fn token_url(&self) -> String {
        format!("{}/oauth/token", self.issuer())
    }
    pub(crate) fn now(&self) -> UnixTime {
        self.installation().clock.now()
    }
    /// Sets the server's clock forward.
    pub(crate) fn pass(&self, secs: u64) {
        self.hand.ahead_ms.fetch_add(secs * 1000, Ordering::Relaxed);
    }
    /// Stops the server's clock for good: what is counted by the second is counted in this one.
    pub(crate) fn stop_the_clock(&self) {
        self.hand.stopped_ms.store(self.now().millis(), Ordering::Relaxed);
    }
    pub(crate) fn path(&self) -> PathBuf {
        self.dir.path().to_owned()
    }
    pub(crate) fn config(&self) -> &Config {
        &self.config
    }

    pub(crate) async fn commit<P>(&self, plan: Plan<P>) -> Recorded<P> {
        self.installation().store.commit(plan).await.unwrap()
    }
    /// Commits what must be granted.
    pub(crate) async fn grant<P: std::fmt::Debug>(&self, outcome: Outcome<P>) -> Recorded<P> {
        match outcome {
            Outcome::Granted(plan) => self.commit(plan).await,
            Outcome::Refused(plan) => panic!("refused: {plan:?}"),
        }
    }
    pub(crate) fn draw(&self) -> server::installation::DrawSource {
        self.installation().draw_source(None, self.now()).unwrap()
    }
    pub(crate) fn admin(&self) -> Administrator {
        let world = self.installation().store.world();
        authenticate(
            &world,
            PeerEvidence {
                uid: UID,
                inside_a_run: false,
            },
        )
        .unwrap()
    }
    pub(crate) fn member(&self) -> NodeRecord {
        NodeRecord::clone(self.installation().store.world().node(self.node).unwrap())
    }

    /// Every entry of the log as text.
    pub(crate) fn entries(&self) -> Vec<String> {
        let log = self.installation().store.log();
        let mut bytes = Vec::new();
        // A read gives some; it is asked again from where it ended.
        loop {
            let at = bytes.len() as u64;
            let more = log.entries(at..log.size()).unwrap();
            if more.is_empty() {
                break;
            }
            bytes.extend(more);
        }
        bytes
            .into_iter()
            .map(|entry| String::from_utf8(entry).unwrap())
            .collect()
    }

    async fn furnish(&mut self) {
        let store = self.installation().store.clone();
        self.org = store.world().orgs(OrgScope::Every).next().unwrap().id;
        self.furnish_org(self.org, CONTRACT).await;

        let source = self.draw();
        let bootstrap = Bootstrap::SameProcess {
            role: MemberRole::Node,
            again: None,
        };
        let key = crate::test_key::TestKey::new().thumbprint();
        let plan = inventory::join(&store.world(), &bootstrap, key, 1, &mut source.draw()).unwrap();
        let joined = self.commit(plan).await;
        self.node = joined.get().made().at(joined.revision());
    }

    /// Another org, with an agent of the same name and a contract of its own.
    pub(crate) async fn second_org(&self) -> OrgId {
        let contract = [CONTRACT, b"# another org's"].concat();
        self.second_org_with(&contract).await
    }

    /// The same with a contract of one's choice.
    pub(crate) async fn second_org_with(&self, contract: &[u8]) -> OrgId {
        let source = self.draw();
        let world = self.installation().store.world();
        let name = "rival".parse().unwrap();
        let created = inventory::create_org(&world, &self.admin(), name, &mut source.draw());
        let created = self.grant(created).await;
        let org = created.get().made().at(created.revision());
        self.furnish_org(org, contract).await;
        org
    }

    /// An upstream of an org.
    pub(crate) async fn publish_upstream(&self, org: OrgId, name: &str) -> UpstreamId {
        let text = format!(
            "apiVersion: tabard/v1\nkind: Upstream\nmetadata: {{name: {name}}}\nbase_url: http://127.0.0.1:9\n\
             credential: {{api_key: {{header: x-api-key, secret: stdin}}}}\n\
             routes: [{{method: GET, path: /a, action: a.read, resource: {{type: a}}}}]\n"
        );
        let manifest = broker::upstream::Manifest::parse("u.yaml", text.as_bytes()).unwrap();
        let source = self.draw();
        let world = self.installation().store.world();
        let upstream = manifest.upstream(UpstreamId::from_u128(0), org, 1);
        let published = inventory::publish_upstream(&world, &self.admin(), upstream, &mut source.draw());
        let published = self.grant(published).await;
        published.get().made().at(published.revision())
    }

    async fn furnish_org(&self, org: OrgId, contract: &[u8]) {
        self.register(org, "demo-billing", contract).await;
    }

    /// An agent with a contract of its own name.
    pub(crate) async fn register(&self, org: OrgId, agent: &str, contract: &[u8]) {
        let admin = self.admin();
        let store = self.installation().store.clone();
        let name = |text: &str| text.parse::<Name>().unwrap();
        let text = contract;
        let contract = Contract::parse("contract.yaml", text).unwrap();
        let record = ContractRecord {
            hash: contract.hash().0,
            org,
            name: name(agent),
            version: 1,
            file: "contract.yaml".into(),
            source: String::from_utf8(text.to_vec()).unwrap().into(),
            published_by: "tester".into(),
            published_at: self.now(),
            commit: None,
            succeeds: std::collections::BTreeSet::new(),
        };
        let source = self.draw();
        let published = apply_contract(
            &store.world(),
            &admin,
            record.clone(),
            &[],
            Scrutiny::UNWATCHED,
            &mut source.draw(),
        );
        drop(self.grant(published).await);

        let manifest = AgentManifest {
            name: name(agent),
            owner: "finance".into(),
            purpose: "Reconciles.".into(),
            contract: record.hash,
            expires_at: self.now().plus_secs(86_400),
            launch: Some(any_launch()),
        };
        let source = self.draw();
        let applied = inventory::apply_agent(
            &store.world(),
            &admin,
            org,
            manifest,
            Scrutiny::UNWATCHED,
            &mut source.draw(),
        );
        drop(self.grant(applied).await);
    }
}

async fn start(config: &Config, hand: &Arc<Hand>, listener: std::net::TcpListener) -> Running {
    let (system, hand) = (Clock::system(), hand.clone());
    let clock = Clock::from_fn(move || match hand.stopped_ms.load(Ordering::Relaxed) {
        0 => system.now().plus_millis(hand.ahead_ms.load(Ordering::Relaxed)),
        stopped => UnixTime::from_millis(stopped),
    });
    let founder = Founder {
        org: "acme".parse().unwrap(),
        admin: Principal::with_uid("tester".parse().unwrap(), UID, [Role::Admin].into(), "dev".into()),
    };
    let kek = kek(&config.kek, &config.data_dir);
    let opening = Opening {
        config: config.clone(),
        clock,
        log: LogId(0),
        kek,
        founder: Some(founder),
    };
    listener.set_nonblocking(true).unwrap();
    let listener = tokio::net::TcpListener::from_std(listener).unwrap();
    let server = Server::open(opening).await.unwrap();
    server.serve(listener, axum::Router::new()).unwrap()
}

pub(crate) fn kek(path: &Path, data_dir: &Path) -> Kek {
    Kek::read_or_create(path, data_dir).unwrap()
}

/// Launches by the tests' user, of whatever they like.
pub(crate) fn any_launch() -> LaunchTerms {
    LaunchTerms::by(UID, ArgvRule::Free)
}
