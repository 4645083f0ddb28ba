//! A node agent that launches an agent as soon as it is told its name, up to the first X.509-SVID.

use super::follower::{self, join};
use super::{Orders, tell};
use crate::cpu;
use crate::fault::{Fault, fault};
use crate::instance::evidence;
use crate::key::ClientKey;
use crate::part::exchange_load::now;
use identity::{Name, OrgId};
use serde::{Deserialize, Serialize};
use sync::proto::{IssueX509SvidRequest, OpenRunRequest, issue_x509_svid_reply, open_run_reply};

/// Where to join, and the org of every agent.
#[derive(Debug, Serialize, Deserialize)]
pub(crate) struct Order {
    pub(crate) join: follower::Order,
    pub(crate) org: OrgId,
}

pub(super) async fn run(mut orders: Orders) -> Result<(), Fault> {
    let Order { join: at, org } = orders.first().await?;
    let (link, _replica) = join(&at).await?;
    let mut client = link.client().await?;
    tell(&true)?;
    while let Some(agent) = orders.next::<Name>().await? {
        let key = ClientKey::new()?;
        let seen = evidence(org, agent, key.thumbprint(), now());
        let call = OpenRunRequest {
            evidence: serde_json::to_vec(&seen)?,
            ..OpenRunRequest::default()
        };
        let run = match client.open_run(call).await?.into_inner().outcome {
            Some(open_run_reply::Outcome::Run(run)) => run,
            other => return Err(fault(format!("no run: {other:?}"))),
        };
        let call = IssueX509SvidRequest {
            instance_id: run.instance_id,
            csr: key.csr()?,
        };
        match client.issue_x509_svid(call).await?.into_inner().outcome {
            Some(issue_x509_svid_reply::Outcome::Svid(svid)) if !svid.chain.is_empty() => {}
            other => return Err(fault(format!("no SVID: {other:?}"))),
        }
        tell(&u64::try_from(cpu::shared().as_nanos())?)?;
    }
    Ok(())
}
