//! From the decision to revoke until the last one refuses: wall clock. Measured twice, and the worse counts: at 50 gateway
//! feeds, each a process, which say when the copy of the World that a gateway judges by refuses; and at a few real
//! `tabard gateway` processes that refuse calls on the wire. Fifty real ones would be fifty stores and their fsyncs on one
//! disk, and would measure that; the feed is what fifty gateways share.

use super::wire;
use crate::cpu;
use crate::effort::Effort;
use crate::fault::{Fault, fault};
use crate::floor;
use crate::load;
use crate::part::Part;
use crate::part::follower::{Order, Refused, user};
use crate::place::Place;
use crate::report::Measured;
use broker::revoke::revoke;
use broker::world::{MemberRole, Target};
use std::time::Duration;

/// Between two revocations: the machine comes to rest.
const PAUSE: Duration = Duration::from_millis(2);

pub(super) async fn measure(place: &Place, effort: Effort<'_>) -> Result<[Measured; 1], Fault> {
    let feeds = effort.pick(2, 50, 50);
    let mut gateways = Vec::new();
    for n in 0..feeds {
        let order = order(place, MemberRole::Gateway, n).await?;
        gateways.push(Part::start("follower", &order).await?);
    }
    for gateway in &mut gateways {
        let _revision: u64 = gateway.hear().await?;
    }
    let count = effort.pick(2, 50, 1_000);
    let (admin, mut times) = (place.admin()?, load::latencies()?);
    for n in 0..count {
        let begun = cpu::shared();
        let target = Target::User(user(n));
        drop(
            place
                .act(|world, draw| revoke(world, &admin, target, "", draw))
                .await?,
        );
        let mut last = begun;
        for gateway in &mut gateways {
            let refused: Refused = gateway.hear().await?;
            if refused.n != n {
                return Err(fault(format!(
                    "revocation {} was heard instead of {n}",
                    refused.n
                )));
            }
            last = last.max(Duration::from_nanos(refused.at_nanos));
        }
        load::note(&mut times, last.saturating_sub(begun));
        tokio::time::sleep(PAUSE).await;
    }
    drop(gateways);
    let on_the_wire = wire::measure(place, effort).await?;
    let by_feed = load::quantile_ms(&times, 0.99);
    let real = load::quantile_ms(&on_the_wire, 0.99);
    let floor = floor_ms(place, effort).await?;
    let note = format!(
        "{count} revocations, each until the last of {feeds} feeds refuses: p50 {:.2} ms, p99 {by_feed:.2} ms; {} until \
         the last of {} real gateways answered 401: p50 {:.2} ms, p99 {real:.2} ms",
        load::quantile_ms(&times, 0.5),
        on_the_wire.len(),
        wire::how_many(effort),
        load::quantile_ms(&on_the_wire, 0.5),
    );
    Ok([Measured::new(by_feed.max(real), floor, note)])
}

/// Where a member of its own process joins.
pub(super) async fn order(place: &Place, role: MemberRole, number: u32) -> Result<Order, Fault> {
    Ok(Order {
        server: place.address(),
        root_pem: place.root_pem(),
        trust_domain: place.installation().config.trust_domain.to_string(),
        join_token: place.join_token(role, number).await?,
        role,
    })
}

/// 99th percentiles of a round trip and of a group commit beside the server's data, together.
pub(super) async fn floor_ms(place: &Place, effort: Effort<'_>) -> Result<f64, Fault> {
    let count = effort.pick(20, 500, 500);
    let folder = tempfile::tempdir_in(&place.installation().config.data_dir)?;
    Ok(floor::round_trip_p99_ms(count).await? + floor::commit_p99_ms(folder.path(), count).await?)
}
