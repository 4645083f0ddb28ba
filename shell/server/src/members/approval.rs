//! Gateways have humans asked, and use approvals up, for the orgs that they serve.

use super::refusal;
use super::refused::{may_record, overreach};
use crate::approval::{self, NotAsked};
use crate::installation::Installation;
use broker::approve::{Ask, REQUEST_BYTES_MAX};
use broker::overreach::Overreach;
use broker::world::NodeRecord;
use identity::{ApprovalId, Digest, OrgScope};
use sync::proto;
use tonic::Status;

/// Longest [`Ask`] on the wire: the request, once more as much for JSON that is not canonical, the words about it, and what
/// is sent besides.
const ASK_BYTES_MAX: usize = 2 * REQUEST_BYTES_MAX + 24 * 1024;

pub(super) async fn ask(
    installation: &Installation,
    gateway: &NodeRecord,
    request: &proto::AskApprovalRequest,
) -> Result<proto::AskApprovalReply, Status> {
    use proto::ask_approval_reply::Outcome;
    if request.ask.len() > ASK_BYTES_MAX {
        let outcome = Outcome::Refused(proto::Refused {
            code: "APPROVAL_TOO_LONG".to_owned(),
            message: "the request is longer than anybody would read".to_owned(),
            decision_id: String::new(),
        });
        return Ok(proto::AskApprovalReply {
            outcome: Some(outcome),
        });
    }
    let wanted: Ask = serde_json::from_slice(&request.ask)
        .map_err(|_| Status::invalid_argument("the request is not one"))?;
    if gateway.org.is_some_and(|org| org != wanted.bound.org) {
        let seen = format!("AskApproval in {}", wanted.bound.org);
        return Err(overreach(installation, gateway, Overreach::Upstream, &seen).await);
    }
    // A member cannot fill the log with requests that nobody is asked about.
    may_record(installation, gateway)?;
    let outcome = match approval::ask(installation, Some(gateway), &wanted).await {
        Ok(known) => {
            let now = installation.clock.now();
            Outcome::Approval(proto::WaitingApproval {
                approval_id: known.id.to_string(),
                state: known.state(now).word().to_owned(),
                until: known.good_until().millis(),
                page: known.page(),
            })
        }
        Err(NotAsked::Refused(refused)) => Outcome::Refused(proto::Refused {
            code: refused.code().to_owned(),
            message: refused.sentence().to_owned(),
            decision_id: refused.decision().to_string(),
        }),
        Err(error) => {
            tracing::error!(%error, "humans could not be asked");
            return Err(Status::unavailable("the server cannot record at the moment"));
        }
    };
    Ok(proto::AskApprovalReply {
        outcome: Some(outcome),
    })
}

pub(super) async fn spend(
    installation: &Installation,
    gateway: &NodeRecord,
    request: &proto::SpendApprovalRequest,
) -> Result<proto::SpendApprovalReply, Status> {
    use proto::spend_approval_reply::Outcome;
    let id: ApprovalId = request
        .approval_id
        .parse()
        .map_err(|_| Status::invalid_argument("approval_id"))?;
    let digest: Digest = request
        .request
        .parse()
        .map_err(|_| Status::invalid_argument("request"))?;
    let scope = gateway.org.map_or(OrgScope::Every, OrgScope::Only);
    let outcome = match approval::spend(installation, scope, id, &digest).await {
        Ok(revision) => Outcome::Spent(proto::SpentApproval { revision: revision.0 }),
        Err(unsettled) => Outcome::Refused(refusal(unsettled)?),
    };
    Ok(proto::SpendApprovalReply {
        outcome: Some(outcome),
    })
}
