//! An agent's instance as a node agent would open it: attested, identified, with a task and SVIDs.

use crate::client::{Answer, Client};
use crate::place::{Place, UID};
use crate::test_key::TestKey;
use broker::attest::{self, LaunchEvidence};
use broker::task::TaskRequest;
use broker::{identify, issue, run, task};
use identity::{Digest, InstanceId, Name, OrgId, OrgScope, TaskId};
use server::Credential;
use std::sync::atomic::{AtomicU64, Ordering};

pub(crate) struct Instance {
    pub(crate) key: TestKey,
    pub(crate) id: InstanceId,
    pub(crate) task: TaskId,
}

/// No two proofs share a `jti`, whatever instance makes them.
static JTI: AtomicU64 = AtomicU64::new(0);

pub(crate) fn jti() -> String {
    format!("jti-{}", JTI.fetch_add(1, Ordering::Relaxed))
}

impl Instance {
    pub(crate) async fn launch(place: &Place) -> Self {
        Self::launch_in(place, place.org).await
    }

    /// The agent of that name of an org.
    pub(crate) async fn launch_in(place: &Place, org: OrgId) -> Self {
        Self::launch_as(place, org, "demo-billing").await
    }

    /// Any agent of an org, under a task that an operator opened.
    pub(crate) async fn launch_as(place: &Place, org: OrgId, agent: &str) -> Self {
        let key = TestKey::new();
        let store = &place.installation().store;
        let name: Name = agent.parse().unwrap();
        let agent = store
            .world()
            .agent_named(OrgScope::Every, org, &name)
            .unwrap()
            .clone();
        let record = store
            .world()
            .contract(OrgScope::Only(org), &agent.contract)
            .unwrap()
            .clone();
        let compiled = place.installation().contracts.compiled(&record).unwrap();
        let source = place.draw();
        let request = TaskRequest {
            trusted: std::collections::BTreeSet::new(),
            kind: None,
            tenant: None,
            ttl_secs: None,
        };
        let terms = compiled.contract().terms();
        let opened = task::open_by_operator(
            &store.world(),
            &place.admin(),
            &agent,
            terms,
            &request,
            &mut source.draw(),
        );
        let opened = place.grant(opened).await;
        let task = opened.get().task().at(opened.revision());

        let evidence = evidence(place, org, name, &key);
        let attested = attest::launch(&place.member(), evidence, place.now()).unwrap();
        let world = store.world();
        let identified = identify::launched(&world, &attested, |_| false, place.now()).unwrap();
        let source = place.draw();
        let known = world.task(OrgScope::Every, task).unwrap();
        let opened = place
            .grant(run::open(&world, identified, known, &mut source.draw()))
            .await;
        let id = opened.get().instance().at(opened.revision());
        Self { key, id, task }
    }

    /// A JWT-SVID for `audience`.
    pub(crate) async fn jwt_svid(&self, place: &Place, audience: &str) -> String {
        let world = place.installation().store.world();
        let entitled = issue::entitled(&world, &place.member(), self.id, place.now()).unwrap();
        let source = place.draw();
        let audiences = vec![audience.parse().unwrap()];
        let recorded = place
            .grant(issue::jwt_svid(&world, entitled, audiences, &mut source.draw()))
            .await;
        match place.installation().signer.sign(recorded).unwrap() {
            Credential::JwtSvid { token, .. } => token,
            other => panic!("{other:?}"),
        }
    }

    /// An X.509-SVID for its own key; DER, leaf first.
    pub(crate) async fn x509_svid(&self, place: &Place) -> Vec<Vec<u8>> {
        let world = place.installation().store.world();
        let entitled = issue::entitled(&world, &place.member(), self.id, place.now()).unwrap();
        let proven = credential::csr::verify(&self.key.csr()).unwrap();
        let source = place.draw();
        let recorded = place
            .grant(issue::x509_svid(&world, entitled, &proven, &mut source.draw()))
            .await;
        match place.installation().signer.sign(recorded).unwrap() {
            Credential::X509Svid { chain, .. } => chain,
            other => panic!("{other:?}"),
        }
    }

    /// A DPoP proof of now with a nonce that the server knows.
    pub(crate) fn proof(&self, place: &Place) -> String {
        let nonce = place.installation().keys.nonces().make(place.now());
        self.key
            .proof(&place.token_url(), &jti(), Some(&nonce), place.now())
    }

    /// A whole exchange for the service `invoices`.
    pub(crate) async fn exchange(&self, place: &Place, more: &str) -> Answer {
        let svid = self.jwt_svid(place, place.issuer()).await;
        place
            .client
            .post(
                &format!("{}{more}", form(&svid, "invoices")),
                &[self.proof(place)],
            )
            .await
    }

    /// The same bound to the connection.
    pub(crate) async fn mtls(&self, place: &Place) -> Client {
        place.client.with_svid(self.x509_svid(place).await, &self.key)
    }
}

/// What a node agent would measure of a launch of that agent, whose process holds that key.
pub(crate) fn evidence(place: &Place, org: OrgId, agent: Name, key: &TestKey) -> LaunchEvidence {
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
        key: key.thumbprint(),
        seen_at: place.now(),
    }
}

/// The least form.
pub(crate) fn form(svid: &str, audience: &str) -> String {
    format!(
        "grant_type=urn:ietf:params:oauth:grant-type:token-exchange&subject_token={svid}\
         &subject_token_type=urn:ietf:params:oauth:token-type:jwt&audience={audience}"
    )
}
