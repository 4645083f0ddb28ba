//! `tabard node`: a node agent by itself.

use super::{MemberArgs, membership, private, serve};
use crate::cli::{Exit, Failure, Page};
use crate::context::{self, Context};
use crate::parts::{self, NodeOptions};
use broker::world::MemberRole;
use credential::sha256;
use identity::Digest;
use node::calls::GatewayAddress;
use std::os::unix::fs::PermissionsExt as _;
use std::path::PathBuf;
use std::sync::Arc;

/// A node agent by itself: attests and launches processes of this host. Tells a service manager when it is ready.
#[derive(Debug, clap::Args)]
pub(crate) struct NodeArgs {
    #[command(flatten)]
    pub(super) member: MemberArgs,
    /// The gateway that calls go through: its public URL
    #[arg(long, value_name = "URL")]
    gateway: String,
    /// Where the launch and Workload API sockets are made [default: run in the data directory]
    #[arg(long, value_name = "DIR")]
    run: Option<PathBuf>,
    /// Tell the command line of this user about the launch socket, under a context of this name
    #[arg(long, value_name = "NAME")]
    write_context: Option<String>,
}

/// Longest path of a Unix socket, in bytes (sockaddr_un), less the longest file name of ours in the folder.
const RUN_BYTES_MAX: usize = 107 - 45;

pub(super) async fn run(args: &NodeArgs, page: &Page) -> Result<Exit, Failure> {
    let failed = |why: String| Failure::new("NODE", "the node agent cannot start").because(why);
    let absolute = |path: &PathBuf| std::path::absolute(path).map_err(|error| failed(error.to_string()));
    let data = absolute(&args.member.data)?;
    let folder = match &args.run {
        Some(run) => absolute(run)?,
        None => data.join("run"),
    };
    if folder.as_os_str().len() > RUN_BYTES_MAX {
        return Err(Failure::new(
            "RUN_DIR",
            format!("{} is too long for Unix sockets", folder.display()),
        )
        .fix("Choose a shorter --run, such as /run/tabard."));
    }
    let runs = folder.join("r");
    private(&folder)?;
    std::fs::create_dir_all(&runs)
        .and_then(|()| std::fs::set_permissions(&runs, std::fs::Permissions::from_mode(0o711)))
        .map_err(|error| failed(format!("{}: {error}", runs.display())))?;
    let address = membership::host_and_port(&args.gateway)?;
    let joined = membership::begin(&args.member, MemberRole::Node).await?;
    let identity = joined.identity.clone();
    let tls = if args.gateway.starts_with("https://") {
        let config = sync::tls::to_gateway(&identity.trust_domain, &identity.authorities)
            .map_err(|error| failed(error.to_string()))?;
        Some(Arc::new(config))
    } else if is_loopback(&address).await {
        None
    } else {
        return Err(Failure::new(
            "GATEWAY_IN_THE_CLEAR",
            format!("{} is neither TLS nor on this host", args.gateway),
        )
        .because("what agents send and get would cross the network in the clear")
        .fix("Start the gateway with --public-url https://HOST:PORT, and name that here."));
    };
    let launch_socket = folder.join("launch.sock");
    let kek = absolute(&args.member.kek)?;
    let options = NodeOptions {
        launch_socket: launch_socket.clone(),
        workload_socket: folder.join("workload.sock"),
        runs,
        secret: vec![
            data.clone(),
            folder.clone(),
            kek.parent().map(Into::into).unwrap_or_default(),
        ],
        server: joined.server.clone(),
        gateway: GatewayAddress {
            address,
            base_url: args.gateway.trim_end_matches('/').to_owned(),
            tls,
        },
    };
    let link = joined.link.clone();
    let name = args.write_context.clone();
    serve(&joined, page, |stopped, mut tasks| async move {
        parts::start_node(&link, options, stopped, &mut tasks)
            .await
            .map_err(failed)?;
        if let Some(name) = name {
            let root = identity
                .authorities
                .first()
                .map(|root| root.to_vec())
                .unwrap_or_default();
            let ca_file = data.join(server::serve::ROOT_PEM);
            std::fs::write(&ca_file, server::keys::pem(&root))
                .map_err(|error| failed(format!("{}: {error}", ca_file.display())))?;
            let fresh = Context {
                admin_socket: None,
                issuer: identity.issuer.clone(),
                ca_pin: Digest::from_bytes(sha256(&root)),
                ca_file,
                log_vkey: None,
                people: None,
                launch_socket: None,
            };
            let path = context::launch_here(&name, fresh, launch_socket)?;
            page.note(&format!("context {name} in {}", path.display()));
        }
        Ok(tasks)
    })
    .await
}

/// Whether every address of `host:port` is this host's own.
async fn is_loopback(place: &str) -> bool {
    match tokio::net::lookup_host(place).await {
        Ok(addresses) => {
            let all: Vec<_> = addresses.collect();
            !all.is_empty() && all.iter().all(|address| address.ip().is_loopback())
        }
        Err(_) => false,
    }
}
