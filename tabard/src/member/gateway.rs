//! `tabard gateway`: a gateway by itself.

use super::{MemberArgs, membership, serve};
use crate::cli::{Exit, Failure, Page};
use crate::parts::{self, GatewayOptions, wall_clock};
use audit::event::CommitmentKey;
use broker::world::MemberRole;
use identity::Secret;
use std::net::SocketAddr;
use std::sync::Arc;
use tokio::net::TcpListener;

/// A gateway by itself: agents' requests become upstream requests here. Tells a service manager when it is ready.
#[derive(Debug, clap::Args)]
pub(crate) struct GatewayArgs {
    #[command(flatten)]
    pub(super) member: MemberArgs,
    /// Where it listens
    #[arg(long, value_name = "ADDR")]
    listen: SocketAddr,
    /// How node agents and agents reach it: https://HOST:PORT (TLS with the gateway's SVID), or http:// on loopback
    #[arg(long, value_name = "URL")]
    public_url: String,
    /// Where services' own proxies ask for decisions: Envoy's ext_authz, over mutual TLS
    #[arg(long, value_name = "ADDR")]
    ext_authz: Option<SocketAddr>,
}

pub(super) async fn run(args: &GatewayArgs, page: &Page) -> Result<Exit, Failure> {
    let is_tls = args.public_url.starts_with("https://");
    if !is_tls && !args.listen.ip().is_loopback() {
        return Err(Failure::new(
            "GATEWAY_IN_THE_CLEAR",
            format!(
                "{} is not loopback, and {} is not TLS",
                args.listen, args.public_url
            ),
        )
        .because("what agents send and get would cross the network in the clear")
        .fix("Write --public-url https://HOST:PORT; node agents know the gateway by its SVID."));
    }
    membership::host_and_port(&args.public_url)?;
    let listener = TcpListener::bind(args.listen).await.map_err(|error| {
        Failure::new("LISTEN", format!("cannot listen on {}", args.listen))
            .because(error.to_string())
            .fix("Choose another --listen, or stop what listens there.")
    })?;
    let failed = |why: String| Failure::new("GATEWAY", "the gateway cannot start").because(why);
    let ext_authz = match args.ext_authz {
        Some(address) => Some(parts::listen(address, "--ext-authz").await.map_err(failed)?),
        None => None,
    };
    let joined = membership::begin(&args.member, MemberRole::Gateway).await?;
    let identity = joined.identity.clone();
    let origin = audit::checkpoint::origin(&identity.trust_domain, identity.log);
    let log_key = joined.keys.log(&origin, wall_clock());
    let tls = if is_tls {
        let config = sync::tls::of_gateway(&joined.link).map_err(|error| failed(error.to_string()))?;
        Some(Arc::new(config))
    } else {
        None
    };
    let keys = joined.keys.clone();
    let options = GatewayOptions {
        listener,
        public_url: args.public_url.clone(),
        journal: args.member.data.join("journal"),
        log_key: Arc::new(log_key.map_err(|error| failed(error.to_string()))?),
        names: Arc::new(move |org| {
            keys.names().of(Some(org), wall_clock()).unwrap_or_else(|error| {
                // A name that cannot be committed is committed under a key that nobody keeps.
                tracing::error!(%error, "no commitment key");
                Arc::new(CommitmentKey::new(Secret::new(
                    server::entropy::random().unwrap_or_default(),
                )))
            })
        }),
        upstream_tls: parts::outside_tls().map_err(failed)?,
        tls,
        ext_authz,
    };
    let link = joined.link.clone();
    serve(&joined, page, |stopped, mut tasks| async move {
        // The journal stays open as long as the gateway serves.
        parts::start_gateway(&link, options, stopped, &mut tasks)
            .await
            .map_err(failed)?;
        Ok(tasks)
    })
    .await
}
