//! Envoy's check over gRPC, as a gateway answers it: mapped, decided, recorded, and with the upstream's credential. Gateway,
//! floor and proxy are processes of their own.

use super::decision;
use crate::Effort;
use crate::cpu;
use crate::fault::Fault;
use crate::load::{Done, Round};
use crate::part::Part;
use crate::part::check_load::Order;
use crate::part::gateway::{CHECKED_PATH, HOST, Order as GatewayOrder, Serving};
use crate::report::Measured;
use std::net::SocketAddr;

/// Checks before anything is counted.
const WARM_UP: u32 = 2_000;

pub(super) async fn measure(effort: Effort<'_>) -> Result<[Measured; 1], Fault> {
    let folder = tempfile::tempdir()?;
    let order = GatewayOrder {
        journal: folder.path().join("journal"),
        upstream: SocketAddr::from(([127, 0, 0, 1], 9)),
    };
    let mut gateway = Part::start("gateway", &order).await?;
    let serving: Serving = gateway.hear().await?;
    let mut nothing = Part::start("check-nothing", &()).await?;
    let at: SocketAddr = nothing.hear().await?;
    let checks = Order {
        address: serving.checks.address,
        service: Some(serving.checks.service),
        host: HOST.to_owned(),
        path: CHECKED_PATH.to_owned(),
        token: serving.bound.token,
        certificate: serving.bound.certificate,
        principal: serving.checks.principal,
    };
    let mut ours = Part::start("check-load", &checks).await?;
    let floor = Order {
        address: at,
        service: None,
        ..checks
    };
    let mut least = Part::start("check-load", &floor).await?;
    for load in [&mut ours, &mut least] {
        let _clients: usize = load.hear().await?;
        let _warm: Done = load.ask(&Round::Closed { requests: WARM_UP }).await?;
    }
    let cedar = decision::cedar_micros(effort)?;
    let (rounds, requests) = (effort.pick(2, 8), 5_000);
    let (mut value, mut grpc, mut p99) = (0.0, 0.0, 0);
    for _ in 0..rounds {
        grpc += round(&mut nothing, &mut least, requests).await?.0;
        let (cpu, done) = round(&mut gateway, &mut ours, requests).await?;
        value += cpu;
        p99 = p99.max(done.p99_us);
    }
    let each = f64::from(rounds);
    let (value, grpc) = (value / each, grpc / each);
    let note = format!(
        "floor {cedar:.1} + {grpc:.1} in the clear; {} checks on 4 connections, p99 {p99} us",
        rounds * requests
    );
    Ok([Measured::new(value, cedar + grpc, note)])
}

/// CPU microseconds of the server for each check, and what the proxy saw.
async fn round(server: &mut Part, load: &mut Part, requests: u32) -> Result<(f64, Done), Fault> {
    let begun = server.cpu().await?;
    let done: Done = load.ask(&Round::Closed { requests }).await?;
    let spent = server.cpu().await?.saturating_sub(begun);
    Ok((cpu::micros(spent) / f64::from(done.requests), done))
}
