//! X.509-SVIDs by CSR, in process: the proof of the CSR verified, the decision recorded, the certificate signed.

use crate::cpu;
use crate::effort::Effort;
use crate::fault::Fault;
use crate::floor::Es256;
use crate::instance::Instance;
use crate::place::Place;
use crate::report::Measured;
use futures_util::{StreamExt as _, TryStreamExt as _, stream};

/// Requests at once, so that commits are shared as they are under load.
const TOGETHER: usize = 64;

pub(super) async fn measure(place: &Place, effort: Effort<'_>) -> Result<[Measured; 1], Fault> {
    let instance = Instance::launch(place, 0).await?;
    let csr = instance.key.csr()?;
    let issue = async |count: u32| {
        stream::iter(0..count)
            .map(|_| instance.x509_svid(place, &csr))
            .buffer_unordered(TOGETHER)
            .try_for_each(|_| std::future::ready(Ok(())))
            .await
    };
    issue(effort.pick(8, 500, 500)).await?;
    place.settle().await;
    let before = Es256::measure(effort)?;
    let (count, begun) = (effort.pick(64, 5_000, 30_000), cpu::of_process());
    issue(count).await?;
    let spent = cpu::of_process().saturating_sub(begun);
    let floor = before.mean(Es256::measure(effort)?);
    let value = cpu::micros(spent) / f64::from(count);
    let note = format!("{count} certificates, {TOGETHER} at once");
    Ok([Measured::new(value, floor.verify + floor.sign, note)])
}
