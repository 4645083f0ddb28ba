//! A gateway with its journal, a World of one agent, and a listener on mutual TLS.

use super::gateway_load::Bound;
use super::{Orders, tell};
use crate::client::Identity;
use crate::fault::{Fault, fault};
use crate::key::ClientKey;
use crate::part::exchange_load::now;
use crate::place::{contract_text, manifest};
use crate::standalone::{LOG, Standalone};
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use broker::world::{
    Agent, AgentState, ContractRecord, Instance, KeyClass, Opener, OpenerKind, Org,
    PublicKey as PublishedKey, ServiceKey, Task,
};
use broker::{Change, World};
use credential::{
    AccessTokenClaims, AgentTask, Algorithm, Binding, Constraints, EntryPlace, HeaderSegment, Jwk,
    TokenClass, sha256,
};
use futures_util::future::BoxFuture;
use gateway::{SecretError, Secrets};
use identity::{
    Actor, ActorChain, ActorKind, AgentId, Assurance, DecisionId, Digest, FamilyId, InstanceId, NodeId,
    OrgId, Revision, RunId, Secret, TaskId, Thumbprint, TokenId, UnixTime, UpstreamId,
};
use rcgen::{
    BasicConstraints, CertificateParams, CertifiedIssuer, DistinguishedName, IsCa, KeyPair, KeyUsagePurpose,
    SanType,
};
use rustls::pki_types::{CertificateDer, PrivateKeyDer, PrivatePkcs8KeyDer};
use rustls::server::WebPkiClientVerifier;
use rustls::sign::{CertifiedKey, SingleCertAndKey};
use rustls::{RootCertStore, ServerConfig};
use serde::{Deserialize, Serialize};
use std::net::SocketAddr;
use std::path::PathBuf;
use std::sync::Arc;
use tokio::net::TcpListener;

const ISSUER: &str = "https://issuer.test";
/// What the agents call here.
pub(crate) const PATH: &str = "/invoices/tenants/acme-eu/invoices/4711";

/// Where to journal and what to forward to.
#[derive(Debug, Serialize, Deserialize)]
pub(crate) struct Order {
    pub(crate) journal: PathBuf,
    pub(crate) upstream: SocketAddr,
}

/// A gateway serves, and a caller with that may call.
#[derive(Debug, Serialize, Deserialize)]
pub(crate) struct Serving {
    pub(crate) address: SocketAddr,
    pub(crate) bound: Bound,
    pub(crate) checks: Checks,
}

/// Where a proxy asks for decisions, and as which service.
#[derive(Debug, Serialize, Deserialize)]
pub(crate) struct Checks {
    pub(crate) address: SocketAddr,
    pub(crate) service: Identity,
    /// Of the agent that the token of [`Bound`] is of.
    pub(crate) principal: String,
}

/// A declared host of the upstream, and what is asked for there.
pub(crate) const HOST: &str = "invoices.demo";
/// The service that asks.
const EDGE: &str = "spiffe://bench.test/acme/svc/edge";
pub(crate) const CHECKED_PATH: &str = "/tenants/acme-eu/invoices/4711";

struct OneSecret;

impl Secrets for OneSecret {
    fn secret(&self, _: UpstreamId, _: u64) -> BoxFuture<'_, Result<Arc<Secret<String>>, SecretError>> {
        Box::pin(async { Ok(Arc::new(Secret::new("injected".to_owned()))) })
    }
}

/// The parties of the one World.
struct Cast {
    at: UnixTime,
    org: OrgId,
    agent: AgentId,
    task: TaskId,
    instance: InstanceId,
    spiffe: String,
    contract: Digest,
    issuer: ClientKey,
}

impl Cast {
    fn new() -> Result<Self, Fault> {
        let (at, rev) = (now(), Revision(1));
        let contract = policy::Contract::parse("bench.yaml", contract_text().as_bytes());
        Ok(Self {
            at,
            org: OrgId::mint(at, LOG, 1).at(rev),
            agent: AgentId::mint(at, LOG, 2).at(rev),
            task: TaskId::mint(at, LOG, 3).at(rev),
            instance: InstanceId::mint(at, LOG, 4).at(rev),
            spiffe: "spiffe://bench.test/acme/agent/demo-billing".to_owned(),
            contract: contract.map_err(|errors| fault(format!("{errors:?}")))?.hash().0,
            issuer: ClientKey::new()?,
        })
    }

    fn world(&self, upstream: SocketAddr, authority: &[u8], edge: &KeyPair) -> Result<World, Fault> {
        let (at, rev, org) = (self.at, Revision(1), self.org);
        let text = format!(
            "apiVersion: tabard/v1\nkind: Upstream\nmetadata: {{name: invoices}}\nbase_url: http://{upstream}\n\
             hosts: [{HOST}]\nenforced_by: [edge]\ncredential: {{api_key: {{header: x-api-key, secret: stdin}}}}\nroutes:\n  - {{method: GET, path: \
             '/tenants/{{tenant}}/invoices/{{id}}', action: invoices.read, resource: {{type: invoice, id: id}}, \
             tenant: {{path: tenant}}}}\n"
        );
        let upstream = manifest(&text)?.upstream(UpstreamId::mint(at, LOG, 5).at(rev), org, 1);
        let request = CertificateParams::new(Vec::new())?.serialize_request(edge)?;
        let edge_key = credential::csr::verify(request.der())?.thumbprint();
        let changes = vec![
            Change::Founded {
                trust_domain: "bench.test".parse()?,
                issuer: ISSUER.into(),
                epoch: 0,
            },
            Change::OrgCreated(Org {
                id: org,
                name: "acme".parse()?,
            }),
            Change::ContractPublished(ContractRecord {
                hash: self.contract,
                org,
                name: "demo-billing".parse()?,
                version: 1,
                file: "bench.yaml".into(),
                source: contract_text().into(),
                published_by: "bench".into(),
                published_at: at,
                commit: None,
                succeeds: std::collections::BTreeSet::new(),
            }),
            Change::UpstreamPublished(upstream),
            Change::KeyPublished(PublishedKey {
                kid: self.issuer.thumbprint().to_string(),
                class: KeyClass::AccessToken,
                material: Jwk::signing(self.issuer.public().clone(), Algorithm::Es256).to_json(),
            }),
            Change::KeyPublished(PublishedKey {
                kid: "root".into(),
                class: KeyClass::X509Authority,
                material: STANDARD.encode(authority),
            }),
            Change::ServiceKeySet(ServiceKey {
                key: edge_key,
                org,
                service: "edge".parse()?,
                spiffe_id: EDGE.parse()?,
                svid_secs: 3600,
                svid_ends_at: at.plus_secs(3600),
                renewable_until: at,
                line: edge_key,
                turn: 0,
            }),
            Change::AgentRegistered(Agent {
                id: self.agent,
                org,
                name: "demo-billing".parse()?,
                spiffe_id: self.spiffe.parse()?,
                owner: "finance-platform".into(),
                purpose: "bench".into(),
                contract: self.contract,
                state: AgentState::Active,
                expires_at: UnixTime::MAX,
            }),
            Change::TaskOpened(Task {
                id: self.task,
                org,
                agent: self.agent,
                kind: "reconciliation".parse()?,
                tenant: Some("acme-eu".parse()?),
                opener: Opener {
                    kind: OpenerKind::Operator,
                    name: "bench".into(),
                },
                opened_at: at,
                expires_at: at.plus_secs(1200),
                parent: None,
                root: None,
                trusted: std::collections::BTreeSet::new(),
                declassified: Revision(0),
                closed: false,
            }),
            Change::InstanceOpened(Instance {
                id: self.instance,
                run: RunId::mint(at, LOG, 6).at(rev),
                org,
                agent: self.agent,
                node: NodeId::mint(at, LOG, 7).at(rev),
                task: self.task,
                key: self.issuer.thumbprint(),
                assurance: ASSURANCE,
                evidence: Digest::default(),
                attested_at: at,
                pinned: false,
            }),
        ];
        Ok(World::default().apply(&changes, rev))
    }

    /// A token for the upstream, bound to `certificate`.
    fn token(&self, certificate: &[u8]) -> Result<String, Fault> {
        let at = self.at;
        let actor = Actor {
            kind: ActorKind::AiAgent,
            issuer: ISSUER.into(),
            id: self.spiffe.clone(),
        };
        let claims = AccessTokenClaims {
            issuer: ISSUER.into(),
            chain: ActorChain::starting_with(actor),
            audience: "invoices".parse()?,
            client_id: self.spiffe.clone(),
            issued_at: at,
            valid_from: at,
            expires_at: at.plus_secs(300),
            token: TokenId::random(at, LOG, 8),
            family: FamilyId::random(at, LOG, 9),
            binding: Binding::Certificate(Thumbprint::from_bytes(sha256(certificate))),
            details: vec![AgentTask {
                task: Some(self.task),
                purpose: Some("reconciliation".parse()?),
                actions: Some([("invoices.read".parse()?)].into_iter().collect()),
                locations: None,
                datatypes: None,
                data_domains: None,
                tenant: Some("acme-eu".parse()?),
                workflow: None,
                step: None,
                constraints: Constraints::default(),
                approval: None,
            }],
            scope: None,
            revision: Revision(1),
            entry: EntryPlace {
                origin: "bench.test/log/0".into(),
                index: 1,
            },
            agent: self.agent,
            instance: self.instance,
            node: None,
            org: self.org,
            tenant: Some("acme-eu".parse()?),
            task: Some(self.task),
            assurance: ASSURANCE,
            contract: self.contract,
            decision: DecisionId::random(at, LOG, 10),
        };
        let kid = self.issuer.thumbprint().to_string();
        let unsigned = claims.unsigned(&HeaderSegment::new(
            Algorithm::Es256,
            &kid,
            TokenClass::AccessToken,
        ));
        let signature = self.issuer.sign(unsigned.message())?;
        Ok(unsigned.with_signature(&signature))
    }
}

const ASSURANCE: Assurance = Assurance {
    node: 1,
    launch: 1,
    code: 0,
    signer: 0,
};

pub(super) async fn run(mut orders: Orders) -> Result<(), Fault> {
    let order: Order = orders.first().await?;
    let cast = Cast::new()?;
    let listener = TcpListener::bind("127.0.0.1:0").await?;
    let address = listener.local_addr()?;
    let own = rcgen::generate_simple_self_signed(["127.0.0.1".to_owned()])?;
    let caller = rcgen::generate_simple_self_signed(["caller.test".to_owned()])?;
    let authority = authority()?;
    let edge = KeyPair::generate()?;
    let checks = TcpListener::bind("127.0.0.1:0").await?;
    let checks_at = checks.local_addr()?;
    let Standalone {
        gateway,
        worlds,
        feed,
    } = Standalone::new(
        &order.journal,
        ISSUER,
        format!("https://{address}"),
        Arc::new(cast.world(order.upstream, authority.der(), &edge)?),
        Arc::new(OneSecret),
    )?;
    let tls = from_callers(&own, caller.cert.der())?;
    let shown = Arc::new(SingleCertAndKey::from(CertifiedKey::from_der(
        vec![own.cert.der().clone()],
        PrivateKeyDer::Pkcs8(PrivatePkcs8KeyDer::from(own.signing_key.serialize_der())),
        &rustls::crypto::aws_lc_rs::default_provider(),
    )?));
    drop(tokio::spawn(async move {
        let _kept = (worlds, feed);
        tokio::join!(
            gateway.serve(listener, Some(tls), std::future::pending()),
            gateway.serve_ext_authz(checks, shown, std::future::pending()),
        )
    }));
    tell(&Serving {
        address,
        bound: Bound {
            token: cast.token(caller.cert.der())?,
            identity: Identity::new(
                own.cert.der(),
                &[caller.cert.der()],
                &caller.signing_key.serialize_der(),
            ),
        },
        checks: Checks {
            address: checks_at,
            service: service(&authority, own.cert.der(), &edge)?,
            principal: cast.spiffe.clone(),
        },
    })?;
    orders.serve_cpu().await
}

/// The authority of the one World.
fn authority() -> Result<CertifiedIssuer<'static, KeyPair>, Fault> {
    let mut root = CertificateParams::new(Vec::new())?;
    root.distinguished_name = DistinguishedName::new();
    root.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
    root.key_usages = vec![KeyUsagePurpose::KeyCertSign, KeyUsagePurpose::CrlSign];
    root.subject_alt_names = vec![SanType::URI("spiffe://bench.test".try_into()?)];
    Ok(CertifiedIssuer::self_signed(root, KeyPair::generate()?)?)
}

/// The SVID of the service that asks, and whom it trusts.
fn service(
    authority: &CertifiedIssuer<'static, KeyPair>,
    root: &CertificateDer<'_>,
    key: &KeyPair,
) -> Result<Identity, Fault> {
    let mut leaf = CertificateParams::new(Vec::new())?;
    leaf.distinguished_name = DistinguishedName::new();
    leaf.key_usages = vec![KeyUsagePurpose::DigitalSignature];
    leaf.subject_alt_names = vec![SanType::URI(EDGE.try_into()?)];
    let leaf = leaf.signed_by(key, authority)?;
    Ok(Identity::new(root, &[leaf.der()], &key.serialize_der()))
}

fn from_callers(
    own: &rcgen::CertifiedKey<KeyPair>,
    caller: &CertificateDer<'static>,
) -> Result<Arc<ServerConfig>, Fault> {
    let mut callers = RootCertStore::empty();
    callers.add(caller.clone())?;
    let provider = Arc::new(rustls::crypto::aws_lc_rs::default_provider());
    let verifier =
        WebPkiClientVerifier::builder_with_provider(Arc::new(callers), provider.clone()).build()?;
    let key = PrivateKeyDer::Pkcs8(PrivatePkcs8KeyDer::from(own.signing_key.serialize_der()));
    let config = ServerConfig::builder_with_provider(provider)
        .with_safe_default_protocol_versions()?
        .with_client_cert_verifier(verifier)
        .with_single_cert(vec![own.cert.der().clone()], key)?;
    Ok(Arc::new(config))
}
