//! From the registration of an agent to its first X.509-SVID on a node of another process: wall clock. On the way:
//! the registration, a task, a run and the SVID are recorded, each in a commit of its own.

use super::revoke::{floor_ms, order};
use crate::cpu;
use crate::effort::Effort;
use crate::fault::Fault;
use crate::load;
use crate::part::Part;
use crate::part::first_svid::Order;
use crate::place::Place;
use crate::report::Measured;
use broker::world::MemberRole;
use std::time::Duration;

pub(super) async fn measure(place: &Place, effort: Effort<'_>) -> Result<[Measured; 1], Fault> {
    let join = order(place, MemberRole::Node, 0).await?;
    let mut node = Part::start("first-svid", &Order { join, org: place.org }).await?;
    let _joined: bool = node.hear().await?;
    let (count, contract) = (effort.pick(2, 50, 1_000), place.contract()?);
    let mut times = load::latencies()?;
    for n in 0..count {
        let name = format!("new-{n}");
        let begun = cpu::shared();
        place.register(&name, contract, true).await?;
        let at: u64 = node.ask(&name).await?;
        load::note(&mut times, Duration::from_nanos(at).saturating_sub(begun));
    }
    drop(node);
    let note = format!("{count} agents; p50 {:.2} ms", load::quantile_ms(&times, 0.5));
    Ok([Measured::new(
        load::quantile_ms(&times, 0.99),
        floor_ms(place, effort).await?,
        note,
    )])
}
