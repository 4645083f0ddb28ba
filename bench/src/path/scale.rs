//! What an exchange costs with 100,000 agents, against the same with 1,000: mTLS-bound with the subject cached, where
//! lookups weigh most. Rounds alternate, so that a busy machine disturbs both alike.

use super::exchange::{Load, warm_up};
use crate::effort::Effort;
use crate::fault::Fault;
use crate::place::Place;
use crate::report::Measured;

pub(super) async fn measure(
    small: &Place,
    large: &Place,
    effort: Effort<'_>,
) -> Result<[Measured; 1], Fault> {
    let mut few = Load::start(small, 1, true, warm_up(effort)).await?;
    let mut many = Load::start(large, 1, true, warm_up(effort)).await?;
    let (rounds, requests) = (effort.pick(1, 2, 8), effort.pick(128, 3_200, 3_200));
    let (mut value, mut floor) = (0.0, 0.0);
    for _ in 0..rounds {
        floor += few.round(requests).await?.0;
        value += many.round(requests).await?.0;
    }
    let note = format!("{rounds} alternating rounds of {requests} requests");
    let rounds = f64::from(rounds);
    Ok([Measured::new(value / rounds, floor / rounds, note)])
}
