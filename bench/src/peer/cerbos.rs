//! Cerbos: a policy engine that answers checks over HTTP.

use super::{free, installed, listening};
use crate::cost::{Callers, Server};
use crate::fault::{Fault, fault};
use crate::part::asker::{Order, Question};
use serde_json::json;
use tempfile::TempDir;
use tokio::process::{Child, Command};

/// Where npm puts it.
const BINARY: &str = "interop/node/node_modules/@cerbos/cerbos-linux-x64/cerbos-linux-x64";
/// Clients at once.
const CLIENTS: usize = 64;

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
    callers: Callers,
    _folder: TempDir,
}

impl Cerbos {
    /// Starts it and its clients; the inner error says why it is not there to be measured.
    pub(crate) async fn start(warm_up: u32) -> Result<Result<Self, String>, Fault> {
        let binary = match installed("Cerbos", BINARY) {
            Ok(binary) => binary,
            Err(why) => return Ok(Err(why)),
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
        let mut command = Command::new(binary);
        command
            .args(["server", "--log-level=error"])
            .arg(format!("--config={}", config.display()));
        let process = listening("Cerbos", &mut command, folder.path(), http).await?;
        let order = Order {
            address: http,
            tls: None,
            questions: vec![question(); CLIENTS],
        };
        Ok(Ok(Self {
            process,
            callers: Callers::start("asker", &order, warm_up).await?,
            _folder: folder,
        }))
    }

    /// CPU microseconds of its process for each check.
    pub(crate) async fn micros_each(&mut self, requests: u32) -> Result<f64, Fault> {
        let pid = self.process.id().ok_or_else(|| fault("Cerbos ended"))?;
        Ok(self.callers.requests(Server::Program(pid), requests).await?.0)
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
