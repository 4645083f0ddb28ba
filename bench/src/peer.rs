//! Peers: programs of others that answer what we answer, measured in the same run. Installed by `cargo xtask interop`, never
//! by this program.

use crate::cpu;
use crate::fault::{Fault, fault};
use crate::load::{Done, Round};
use crate::part::Part;
use crate::part::asker::{Order, Question};
use serde_json::json;
use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::process::Stdio;
use std::time::Duration;
use tempfile::TempDir;
use tokio::net::TcpStream;
use tokio::process::{Child, Command};

/// Where npm puts it.
const BINARY: &str = "interop/node/node_modules/@cerbos/cerbos-linux-x64/cerbos-linux-x64";
/// Longest time until it listens.
const READY: Duration = Duration::from_secs(20);
/// Clients at once.
const CLIENTS: usize = 64;
const WARM_UP: u32 = 2_000;

/// A policy that looks at as much as the demo's contract does: purpose, tenant, evidence, hours, a counter.
const POLICY: &str = r#"
apiVersion: api.cerbos.dev/v1
resourcePolicy:
  resource: invoice
  version: default
  rules:
    - actions: ["invoices.read"]
      effect: EFFECT_ALLOW
      roles: ["agent"]
      condition:
        match:
          all:
            of:
              - expr: request.resource.attr.tenant == request.principal.attr.tenant
              - expr: request.principal.attr.purpose == "reconciliation"
              - expr: request.principal.attr.assurance >= 1
              - expr: request.principal.attr.calls < 1000000000
              - expr: request.principal.attr.evidence_age < 43200
"#;

/// Cerbos with that policy, in the clear on loopback. Killed when dropped.
pub(crate) struct Cerbos {
    process: Child,
    load: Part,
    _folder: TempDir,
}

impl Cerbos {
    /// Starts it and its clients; the inner error says why it is not there to be measured.
    pub(crate) async fn start() -> Result<Result<Self, String>, Fault> {
        let Some(binary) = binary() else {
            let why = "Cerbos is not installed: cargo xtask interop brings it".to_owned();
            return Ok(Err(why));
        };
        let folder = tempfile::tempdir()?;
        let policies = folder.path().join("policies");
        std::fs::create_dir(&policies)?;
        std::fs::write(policies.join("invoice.yaml"), POLICY)?;
        let (http, grpc) = (free().await?, free().await?);
        let config = folder.path().join("config.json");
        let settings = json!({
            "server": {"httpListenAddr": http.to_string(), "grpcListenAddr": grpc.to_string()},
            "storage": {"driver": "disk", "disk": {"directory": policies, "watchForChanges": false}},
            "telemetry": {"disabled": true},
        });
        std::fs::write(&config, settings.to_string())?;
        let process = Command::new(binary)
            .args(["server", "--log-level=error"])
            .arg(format!("--config={}", config.display()))
            .stdin(Stdio::null())
            .stdout(Stdio::null())
            .stderr(Stdio::null())
            .kill_on_drop(true)
            .spawn()?;
        until_it_listens(http).await?;
        let order = Order {
            address: http,
            tls: None,
            questions: vec![question(); CLIENTS],
        };
        let mut load = Part::start("asker", &order).await?;
        let _clients: usize = load.hear().await?;
        let _warm: Done = load.ask(&Round::Closed { requests: WARM_UP }).await?;
        Ok(Ok(Self {
            process,
            load,
            _folder: folder,
        }))
    }

    /// CPU microseconds of its process for each check.
    pub(crate) async fn micros_each(&mut self, requests: u32) -> Result<f64, Fault> {
        let pid = self.process.id().ok_or_else(|| fault("Cerbos ended"))?;
        let begun = cpu::of_pid(pid)?;
        let done: Done = self.load.ask(&Round::Closed { requests }).await?;
        let spent = cpu::of_pid(pid)?.saturating_sub(begun);
        Ok(cpu::micros(spent) / f64::from(done.requests))
    }
}

fn question() -> Question {
    let body = json!({
        "requestId": "bench",
        "principal": {"id": "agent-0", "roles": ["agent"], "attr": {
            "tenant": "acme-eu", "purpose": "reconciliation", "assurance": 1, "calls": 7, "evidence_age": 30}},
        "resources": [{"actions": ["invoices.read"],
            "resource": {"kind": "invoice", "id": "4711", "attr": {"tenant": "acme-eu"}}}],
    });
    Question {
        path: "/api/check/resources".into(),
        body: Some(body.to_string()),
        answer: "EFFECT_ALLOW".into(),
    }
}

fn binary() -> Option<PathBuf> {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).parent()?;
    Some(root.join(BINARY)).filter(|path| path.is_file())
}

async fn free() -> Result<SocketAddr, Fault> {
    Ok(tokio::net::TcpListener::bind("127.0.0.1:0").await?.local_addr()?)
}

async fn until_it_listens(address: SocketAddr) -> Result<(), Fault> {
    let tries = async {
        while TcpStream::connect(address).await.is_err() {
            tokio::time::sleep(Duration::from_millis(50)).await;
        }
    };
    tokio::time::timeout(READY, tries)
        .await
        .map_err(|_| fault("Cerbos does not listen"))
}
