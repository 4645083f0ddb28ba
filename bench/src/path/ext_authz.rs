//! Envoy's check over gRPC, as a gateway answers it: mapped, decided, recorded, and with the upstream's credential. Gateway,
//! floor and proxy are processes of their own.

use super::decision;
use crate::cost::{Callers, Server};
use crate::effort::Effort;
use crate::fault::Fault;
use crate::part::Part;
use crate::part::check_load::Order;
use crate::part::gateway::{CHECKED_PATH, HOST, Order as GatewayOrder, Serving};
use crate::report::Measured;
use std::net::SocketAddr;

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
        certificate: serving.bound.identity.leaf()?.to_owned(),
        principal: serving.checks.principal,
    };
    // Before anything is counted.
    let warm_up = effort.pick(64, 2_000, 2_000);
    let mut ours = Callers::start("check-load", &checks, warm_up).await?;
    let floor = Order {
        address: at,
        service: None,
        ..checks
    };
    let mut least = Callers::start("check-load", &floor, warm_up).await?;
    let cedar = decision::cedar_micros(effort)?;
    let (rounds, requests) = (effort.pick(1, 2, 8), effort.pick(64, 5_000, 5_000));
    let (mut value, mut grpc, mut p99) = (0.0, 0.0, 0);
    for _ in 0..rounds {
        grpc += least.requests(Server::Part(&mut nothing), requests).await?.0;
        let (cpu, done) = ours.requests(Server::Part(&mut gateway), requests).await?;
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
