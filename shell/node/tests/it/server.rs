//! A server in memory: registrations are launch specs, decisions are lists.

use crate::authority::TestAuthority;
use broker::unidentified::Source;
use identity::{
    Assurance, Audience, DecisionId, Digest, InstanceId, LogId, Name, RunId, Secret, TaskId, UnixTime,
};
use std::collections::HashMap;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Arc, Mutex};
use tabard_node::authority::{Authority, Ended, IssuedX509, LocalRefusal, OpenRun, OpenedRun, Refused};
use tabard_node::launch::{LaunchSpec, Separation};
use tabard_node::workload_api::{Bundles, Identities, Invalid, ValidJwt};
use tokio::sync::watch;

pub(crate) struct TestServer {
    domain: Arc<TestAuthority>,
    pub(crate) specs: Mutex<HashMap<Name, LaunchSpec>>,
    pub(crate) opened: Mutex<Vec<OpenRun>>,
    pub(crate) closed: Mutex<Vec<(RunId, Ended)>>,
    pub(crate) refusals: Mutex<Vec<LocalRefusal>>,
    pub(crate) turned_away: Mutex<Vec<(Source, &'static str)>>,
    dead: AtomicBool,
    revision: watch::Sender<u64>,
    serial: AtomicU64,
}

const NOW: UnixTime = UnixTime::from_secs(1_795_000_000);

impl TestServer {
    pub(crate) fn new(specs: Vec<LaunchSpec>) -> Arc<Self> {
        Arc::new(Self {
            domain: TestAuthority::new(|_| true),
            specs: Mutex::new(specs.into_iter().map(|spec| (spec.agent.clone(), spec)).collect()),
            opened: Mutex::default(),
            closed: Mutex::default(),
            refusals: Mutex::default(),
            turned_away: Mutex::default(),
            dead: AtomicBool::new(false),
            revision: watch::Sender::new(0),
            serial: AtomicU64::new(1),
        })
    }
    pub(crate) fn kill_all(&self) {
        self.dead.store(true, Ordering::SeqCst);
        self.revision.send_modify(|revision| *revision += 1);
    }
    pub(crate) fn last_refusal(&self) -> LocalRefusal {
        self.refusals
            .lock()
            .unwrap()
            .last()
            .cloned()
            .expect("something was refused")
    }
}

impl Authority for TestServer {
    async fn launch_spec(&self, agent: &Name) -> Result<Option<LaunchSpec>, Refused> {
        Ok(self.specs.lock().unwrap().get(agent).cloned())
    }
    async fn open_run(&self, request: OpenRun) -> Result<OpenedRun, Refused> {
        let serial = self.serial.fetch_add(1, Ordering::SeqCst);
        let launch = match request.evidence.separation {
            Separation::None | Separation::Confined => 2,
            Separation::Sealed => 3,
        };
        let spiffe_id = format!("spiffe://test.tabard/acme/agent/{}", request.agent)
            .parse()
            .unwrap();
        self.opened.lock().unwrap().push(request);
        Ok(OpenedRun {
            run: RunId::random(NOW, LogId(0), serial),
            instance: InstanceId::random(NOW, LogId(0), serial),
            task: TaskId::random(NOW, LogId(0), serial),
            spiffe_id,
            contract: Digest::default(),
            assurance: Assurance {
                node: 1,
                launch,
                code: 2,
                signer: 0,
            },
            tenant: None,
            opener: "test".to_owned(),
            pinned: false,
        })
    }
    async fn close_run(&self, run: RunId, ended: Ended) {
        self.closed.lock().unwrap().push((run, ended));
    }
    async fn x509_svid(&self, _: InstanceId, csr: Vec<u8>) -> Result<IssuedX509, Refused> {
        Ok(self.domain.sign(&csr))
    }
    async fn jwt_svid(&self, _: InstanceId, audiences: &[Audience]) -> Result<Secret<String>, Refused> {
        Ok(Secret::new(self.domain.token(audiences)))
    }
    fn bundles(&self) -> watch::Receiver<Arc<Bundles>> {
        self.domain.bundles()
    }
    fn validate_jwt(&self, _: &Audience, _: &str) -> Result<ValidJwt, Invalid> {
        Err(Invalid("this test server validates nothing"))
    }
    fn is_dead(&self, _: InstanceId) -> bool {
        self.dead.load(Ordering::SeqCst)
    }
    fn revocations(&self) -> watch::Receiver<u64> {
        self.revision.subscribe()
    }
    fn turned_away(&self, source: Source, code: &'static str) {
        self.turned_away.lock().unwrap().push((source, code));
    }
    fn refuse(&self, refusal: LocalRefusal) -> DecisionId {
        self.refusals.lock().unwrap().push(refusal);
        DecisionId::random(NOW, LogId(0), self.serial.fetch_add(1, Ordering::SeqCst))
    }
}
