//! A server with an org, a contract, agents and a node agent's membership, in this process.

use crate::fault::{Fault, fault};
use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use broker::admin::{Administrator, PeerEvidence, authenticate};
use broker::inventory::{self, AgentManifest, Bootstrap, LaunchTerms, publish_upstream};
use broker::succession::{FourEyes, Scrutiny, apply_contract};
use broker::upstream::{Manifest, Upstream};
use broker::world::{ArgvRule, ContractRecord, JoinToken, MemberRole, NodeRecord, Principal, Role};
use broker::{Draw, Outcome, Plan, World};
use futures_util::{TryStreamExt as _, stream};
use identity::{Digest, LogId, Name, NodeId, OrgId, OrgScope, UpstreamId};
use policy::Contract;
use server::clock::Clock;
use server::keys::Kek;
use server::{Config, Founder, Installation, Opening, Running, Server};
use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use store::Recorded;

/// The uid of the administrator and of every launcher here.
pub(crate) const UID: u32 = 1000;
/// Agents with a launch spec, which run. A launch spec narrows what is allowed, and what was decided beside it would
/// have to be decided again; so the many others, which only fill the place, have none.
pub(crate) const LAUNCHED: u32 = 64;
/// Plans that wait for a commit at once while a place is filled.
const TOGETHER: usize = 256;

/// The contract of every agent: the demo's, with a rate that load does not exceed.
pub(crate) fn contract_text() -> String {
    let demo = include_str!("../../testdata/contracts/demo-billing.yaml");
    demo.replace("max: 60}", "max: 1000000000}")
}

/// The manifest that `text` is.
pub(crate) fn manifest(text: &str) -> Result<Manifest, Fault> {
    Manifest::parse("u.yaml", text.as_bytes()).map_err(|errors| fault(format!("{errors:?}")))
}

/// A server that runs.
pub(crate) struct Place {
    pub(crate) running: Running,
    pub(crate) org: OrgId,
    pub(crate) node: NodeId,
}

impl Place {
    /// A new installation in `folder` with `agents` agents.
    pub(crate) async fn new(folder: &Path, agents: u32) -> Result<Self, Fault> {
        let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await?;
        let running = open(folder, listener).await?;
        let org = running
            .installation()
            .store
            .world()
            .orgs(OrgScope::Every)
            .next()
            .map(|org| org.id);
        let mut place = Self {
            running,
            org: org.ok_or_else(|| fault("an installation without an org"))?,
            node: NodeId::from_u128(0),
        };
        let contract = place.publish().await?;
        for n in 0..agents.min(LAUNCHED) {
            place.register(&format!("agent-{n}"), contract, true).await?;
        }
        stream::iter((LAUNCHED..agents).map(Ok::<u32, Fault>))
            .try_for_each_concurrent(TOGETHER, |n| {
                let place = &place;
                async move { place.register(&format!("agent-{n}"), contract, false).await }
            })
            .await?;
        let key = crate::key::ClientKey::new()?.thumbprint();
        let bootstrap = Bootstrap::SameProcess {
            role: MemberRole::Node,
            again: None,
        };
        let source = place
            .installation()
            .draw_source(None, place.installation().clock.now())?;
        let plan = inventory::join(&place.world(), &bootstrap, key, 1, &mut source.draw())?;
        let joined = place.commit(plan).await?;
        place.node = joined.get().made().at(joined.revision());
        Ok(place)
    }

    pub(crate) fn installation(&self) -> &Arc<Installation> {
        self.running.installation()
    }
    pub(crate) fn world(&self) -> Arc<World> {
        self.installation().store.world()
    }
    pub(crate) fn address(&self) -> SocketAddr {
        self.running.address()
    }
    pub(crate) fn root_pem(&self) -> PathBuf {
        self.installation().config.data_dir.join("root.pem")
    }
    pub(crate) fn token_url(&self) -> String {
        format!("{}/oauth/token", self.running.issuer())
    }
    pub(crate) fn admin(&self) -> Result<Administrator, Fault> {
        administrator(&self.world())
    }
    /// The node agent as it is registered.
    pub(crate) fn member(&self) -> Result<Arc<NodeRecord>, Fault> {
        let world = self.world();
        world
            .node(self.node)
            .cloned()
            .ok_or_else(|| fault("the node agent is not registered"))
    }

    pub(crate) async fn commit<P>(&self, plan: Plan<P>) -> Result<Recorded<P>, Fault> {
        Ok(self.installation().store.commit(plan).await?)
    }
    /// Decides, records, and takes no refusal.
    pub(crate) async fn act<P>(
        &self,
        decide: impl FnOnce(&World, &mut Draw<'_>) -> Outcome<P> + Send,
    ) -> Result<Recorded<P>, Fault> {
        let plan = {
            let source = self
                .installation()
                .draw_source(Some(self.org), self.installation().clock.now())?;
            match decide(&self.world(), &mut source.draw()) {
                Outcome::Granted(plan) => plan,
                Outcome::Refused(plan) => {
                    let refusal = plan.into_parts().proof;
                    return Err(fault(format!(
                        "refused: {} ({})",
                        refusal.sentence(),
                        refusal.code()
                    )));
                }
            }
        };
        self.commit(plan).await
    }

    async fn publish(&self) -> Result<Digest, Fault> {
        self.publish_contract("demo-billing".parse()?, "bench.yaml", contract_text())
            .await
    }

    /// Publishes the contract that `text` says.
    pub(crate) async fn publish_contract(
        &self,
        name: Name,
        file: &str,
        text: String,
    ) -> Result<Digest, Fault> {
        let contract =
            Contract::parse(file, text.as_bytes()).map_err(|errors| fault(format!("{errors:?}")))?;
        let record = ContractRecord {
            hash: contract.hash().0,
            org: self.org,
            name,
            version: 1,
            file: file.into(),
            source: text.into(),
            published_by: "bench".into(),
            published_at: self.installation().clock.now(),
            commit: None,
            succeeds: std::collections::BTreeSet::new(),
        };
        let (admin, hash) = (self.admin()?, record.hash);
        drop(
            self.act(|world, draw| apply_contract(world, &admin, record, &[], Scrutiny::UNWATCHED, draw))
                .await?,
        );
        Ok(hash)
    }

    /// Publishes the upstream that `manifest` declares.
    pub(crate) async fn publish_upstream(&self, manifest: Manifest) -> Result<Upstream, Fault> {
        let upstream = manifest.upstream(UpstreamId::from_u128(0), self.org, 0);
        let (admin, published) = (self.admin()?, upstream.clone());
        drop(
            self.act(|world, draw| publish_upstream(world, &admin, published, draw))
                .await?,
        );
        Ok(upstream)
    }

    /// The contract of the first agent.
    pub(crate) fn contract(&self) -> Result<Digest, Fault> {
        let world = self.world();
        let hash = world
            .contracts(OrgScope::Every)
            .next()
            .map(|contract| contract.hash);
        hash.ok_or_else(|| fault("no contract"))
    }

    pub(crate) async fn register(&self, name: &str, contract: Digest, launched: bool) -> Result<(), Fault> {
        let manifest = AgentManifest {
            name: name.parse()?,
            owner: "finance-platform".into(),
            purpose: "Reconciles invoices with payments.".into(),
            contract,
            expires_at: self.installation().clock.now().plus_secs(86_400),
            launch: launched.then(|| LaunchTerms::by(UID, ArgvRule::Free)),
        };
        let (admin, org) = (self.admin()?, self.org);
        drop(
            self.act(|world, draw| {
                inventory::apply_agent(world, &admin, org, manifest, Scrutiny::UNWATCHED, draw)
            })
            .await?,
        );
        Ok(())
    }

    /// A join token for a member of its own process.
    pub(crate) async fn join_token(&self, role: MemberRole, number: u32) -> Result<String, Fault> {
        let secret = credential::sha256(format!("bench-{}-{number}", role.word()).as_bytes());
        let secret = format!("tabard-join.{}", URL_SAFE_NO_PAD.encode(secret));
        let token = JoinToken {
            digest: Digest::from_bytes(credential::sha256(secret.as_bytes())),
            role,
            org: None,
            expires_at: self.installation().clock.now().plus_secs(600),
        };
        let admin = self.admin()?;
        drop(
            self.act(|world, draw| inventory::create_join_token(world, &admin, token, draw))
                .await?,
        );
        Ok(secret)
    }

    /// Waits until the log's files and index have caught up, so that they cost nobody else anything.
    pub(crate) async fn settle(&self) {
        for _ in 0..600 {
            let health = self.installation().store.health();
            if health.indexed >= health.size && health.published >= health.size {
                return;
            }
            tokio::time::sleep(std::time::Duration::from_millis(50)).await;
        }
    }
}

fn administrator(world: &World) -> Result<Administrator, Fault> {
    let peer = PeerEvidence {
        uid: UID,
        inside_a_run: false,
    };
    authenticate(world, peer).map_err(|error| fault(format!("{error:?}")))
}

/// Opens the installation in `folder`, founding it if it is new, and serves.
pub(crate) async fn open(folder: &Path, listener: tokio::net::TcpListener) -> Result<Running, Fault> {
    let listen = listener.local_addr()?;
    let data_dir = folder.join("data");
    let config = Config {
        issuer: format!("https://{listen}").parse()?,
        listen,
        trust_domain: "bench.test".parse()?,
        tls_names: Vec::new(),
        kek: folder.join("kek"),
        checkpoint_copy: folder.join("checkpoint"),
        admin_socket: folder.join("admin.sock"),
        people: None,
        four_eyes: FourEyes::Off,
        webhook_ca: None,
        connections_max: 1024,
        exchanges_max: 1024,
        data_dir,
    };
    let founder = Founder {
        org: "acme".parse::<Name>()?,
        admin: Principal::with_uid("bench".parse()?, UID, [Role::Admin].into(), "bench".into()),
    };
    let kek = Kek::read_or_create(&config.kek, &config.data_dir)?;
    let opening = Opening {
        config,
        clock: Clock::system(),
        log: LogId(0),
        kek,
        founder: Some(founder),
    };
    let server = Server::open(opening).await?;
    Ok(server.serve(listener, axum::Router::new())?)
}
