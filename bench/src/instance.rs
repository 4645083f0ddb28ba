//! Running agents as a node agent would open them: attested, identified, with a task.

use crate::client::{self, Connection};
use crate::cpu;
use crate::fault::{Fault, fault};
use crate::key::ClientKey;
use crate::part::exchange_load::{form, now};
use crate::place::{Place, UID};
use broker::attest::{self, LaunchEvidence};
use broker::task::TaskRequest;
use broker::{identify, issue, run, task};
use credential::dpop::RequestTarget;
use http::Request;
use http_body_util::Full;
use identity::{Digest, InstanceId, Name, OrgId, OrgScope, Thumbprint, UnixTime};
use rustls::pki_types::CertificateDer;
use rustls::pki_types::pem::PemObject as _;
use serde_json::Value;
use server::Credential;

pub(crate) struct Instance {
    pub(crate) key: ClientKey,
    pub(crate) id: InstanceId,
}

/// What a node agent sees of the launch of `agent`.
pub(crate) fn evidence(org: OrgId, agent: Name, key: Thumbprint, now: UnixTime) -> LaunchEvidence {
    LaunchEvidence {
        org,
        agent,
        launcher_uid: UID,
        launcher_run: None,
        argv: vec!["agent".into()],
        cwd: "/".into(),
        executable: "/usr/bin/agent".into(),
        executable_digest: Digest::default(),
        roots: Vec::new(),
        environment: Vec::new(),
        isolated: false,
        sealed: false,
        immutable: false,
        key,
        seen_at: now,
    }
}

impl Instance {
    /// Opens a run of the agent number `n`.
    pub(crate) async fn launch(place: &Place, n: u32) -> Result<Self, Fault> {
        Self::launch_for(place, format!("agent-{n}").parse()?, &TaskRequest::default()).await
    }

    /// Opens a task for the agent, and a run of the agent in it.
    pub(crate) async fn launch_for(place: &Place, name: Name, request: &TaskRequest) -> Result<Self, Fault> {
        let key = ClientKey::new()?;
        let world = place.world();
        let agent = world.agent_named(OrgScope::Every, place.org, &name).cloned();
        let agent = agent.ok_or_else(|| fault(format!("no agent {name}")))?;
        let record = world.contract(OrgScope::Every, &agent.contract).cloned();
        let compiled = place
            .installation()
            .contracts
            .compiled(&*record.ok_or_else(|| fault("no contract"))?)?;
        let admin = place.admin()?;
        let terms = compiled.contract().terms();
        let opened = place
            .act(|world, draw| task::open_by_operator(world, &admin, &agent, terms, request, draw))
            .await?;
        let task = opened.get().task().at(opened.revision());
        let now = place.installation().clock.now();
        let evidence = evidence(place.org, name, key.thumbprint(), now);
        let attested =
            attest::launch(&*place.member()?, evidence, now).map_err(|error| fault(format!("{error:?}")))?;
        let world = place.world();
        let identified =
            identify::launched(&world, &attested, |_| false, now).map_err(|why| fault(format!("{why:?}")))?;
        let known = world
            .task(OrgScope::Every, task)
            .cloned()
            .ok_or_else(|| fault("no task"))?;
        let opened = place
            .act(|world, draw| run::open(world, identified, &known, draw))
            .await?;
        let id = opened.get().instance().at(opened.revision());
        Ok(Self { key, id })
    }

    /// A JWT-SVID for the server itself.
    pub(crate) async fn jwt_svid(&self, place: &Place) -> Result<String, Fault> {
        let member = place.member()?;
        let now = place.installation().clock.now();
        let entitled = issue::entitled(&place.world(), &member, self.id, now)
            .map_err(|reason| fault(format!("{reason:?}")))?;
        let audiences = vec![place.running.issuer().parse()?];
        let recorded = place
            .act(|world, draw| issue::jwt_svid(world, entitled, audiences, draw))
            .await?;
        match place.installation().signer.sign(recorded)? {
            Credential::JwtSvid { token, .. } => Ok(token),
            Credential::AccessToken { .. } | Credential::X509Svid { .. } => Err(fault("not a JWT-SVID")),
        }
    }

    /// A new access token for `audience`, bound to the instance's key, exchanged over the wire.
    pub(crate) async fn access_token(&self, place: &Place, audience: &str) -> Result<String, Fault> {
        let root = CertificateDer::from_pem_file(place.root_pem())?.to_vec();
        let mut connection = Connection::open(place.address(), Some(client::tls(root, None)?)).await?;
        let subject = self.jwt_svid(place).await?;
        let installation = place.installation();
        let nonce = installation.keys.nonces().make(installation.clock.now());
        let target = RequestTarget::parse(&place.token_url())?;
        let jti = format!("{}-{}", self.id, cpu::shared().as_nanos());
        let proof = self
            .key
            .proof_of("POST", &target, &jti, Some(&nonce), None, now())?;
        let request = Request::post("/oauth/token")
            .header("host", place.address().to_string())
            .header("content-type", "application/x-www-form-urlencoded")
            .header("dpop", proof)
            .body(Full::from(form(&subject, audience)))?;
        let (_, body) = connection.send(request).await?;
        let answer: Value = serde_json::from_slice(&body)?;
        let token = answer.get("access_token").and_then(Value::as_str);
        Ok(token.ok_or_else(|| fault("no access token"))?.to_owned())
    }

    /// An X.509-SVID for the key that `csr` proves: DER, leaf first. This is the path that is measured: verify,
    /// decide, record, sign.
    pub(crate) async fn x509_svid(&self, place: &Place, csr: &[u8]) -> Result<Vec<Vec<u8>>, Fault> {
        let proven = credential::csr::verify(csr)?;
        let member = place.member()?;
        let now = place.installation().clock.now();
        let entitled = issue::entitled(&place.world(), &member, self.id, now)
            .map_err(|reason| fault(format!("{reason:?}")))?;
        let recorded = place
            .act(|world, draw| issue::x509_svid(world, entitled, &proven, draw))
            .await?;
        match place.installation().signer.sign(recorded)? {
            Credential::X509Svid { chain, .. } => Ok(chain),
            Credential::AccessToken { .. } | Credential::JwtSvid { .. } => Err(fault("not an X.509-SVID")),
        }
    }
}
