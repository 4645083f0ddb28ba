//! SVIDs for instances of a node's runs.

use super::join::unavailable;
use super::refusal;
use crate::installation::Installation;
use crate::settle::{Unsettled, settle};
use crate::signer::Credential;
use broker::issue::{self, Entitled};
use broker::world::NodeRecord;
use broker::{Draw, Outcome, Permit, World};
use credential::csr;
use identity::{Audience, InstanceId};
use store::Recorded;
use sync::proto;
use tonic::Status;

/// Most audiences of one JWT-SVID; one is recommended (JWT-SVID section 3).
const AUDIENCES_MAX: usize = 8;

/// An X.509-SVID for the instance's own key.
pub(super) async fn x509(
    installation: &Installation,
    node: &NodeRecord,
    request: &proto::IssueX509SvidRequest,
) -> Result<proto::IssueX509SvidReply, Status> {
    let proven = csr::verify(&request.csr).map_err(|error| Status::invalid_argument(error.to_string()))?;
    let issued = issue(
        installation,
        node,
        &request.instance_id,
        |world, entitled, draw| issue::x509_svid(world, entitled, &proven, draw),
    )
    .await?;
    let outcome = match issued {
        Ok((spiffe_id, Credential::X509Svid { chain, expires_at })) => {
            proto::issue_x509_svid_reply::Outcome::Svid(proto::X509Svid {
                spiffe_id,
                chain,
                expires_at: expires_at.millis(),
            })
        }
        Ok(_) => return Err(Status::internal("the permit was for another class of credential")),
        Err(refused) => proto::issue_x509_svid_reply::Outcome::Refused(refused),
    };
    Ok(proto::IssueX509SvidReply {
        outcome: Some(outcome),
    })
}

/// A JWT-SVID of the instance.
pub(super) async fn jwt(
    installation: &Installation,
    node: &NodeRecord,
    request: &proto::IssueJwtSvidRequest,
) -> Result<proto::IssueJwtSvidReply, Status> {
    let parsed: Result<Vec<Audience>, _> = request
        .audiences
        .iter()
        .map(|audience| audience.parse())
        .collect();
    let audiences =
        parsed.map_err(|error| Status::invalid_argument(format!("an audience is not one: {error}")))?;
    if audiences.is_empty() || audiences.len() > AUDIENCES_MAX {
        return Err(Status::invalid_argument("a JWT-SVID has 1 to 8 audiences"));
    }
    let issued = issue(
        installation,
        node,
        &request.instance_id,
        |world, entitled, draw| issue::jwt_svid(world, entitled, audiences.clone(), draw),
    )
    .await?;
    let outcome = match issued {
        Ok((spiffe_id, Credential::JwtSvid { token, expires_at })) => {
            proto::issue_jwt_svid_reply::Outcome::Svid(proto::JwtSvid {
                spiffe_id,
                token,
                expires_at: expires_at.millis(),
            })
        }
        Ok(_) => return Err(Status::internal("the permit was for another class of credential")),
        Err(refused) => proto::issue_jwt_svid_reply::Outcome::Refused(refused),
    };
    Ok(proto::IssueJwtSvidReply {
        outcome: Some(outcome),
    })
}

/// Entitle, decide, record, sign.
async fn issue(
    installation: &Installation,
    node: &NodeRecord,
    instance: &str,
    decide: impl Fn(&World, Entitled, &mut Draw<'_>) -> Outcome<Permit>,
) -> Result<Result<(String, Credential), proto::Refused>, Status> {
    let instance: InstanceId = instance
        .parse()
        .map_err(|_| Status::invalid_argument("instance_id"))?;
    let world = installation.store.world();
    let known = world
        .instance(identity::OrgScope::Every, instance)
        .filter(|it| it.node == node.id);
    let org = known.map(|instance| instance.org);
    let spiffe_id = known
        .and_then(|instance| world.agent(identity::OrgScope::Only(instance.org), instance.agent))
        .map(|agent| agent.spiffe_id.to_string())
        .unwrap_or_default();
    let settled: Result<Recorded<Permit>, Unsettled> = settle(installation, org, |world, draw| {
        match issue::entitled(world, node, instance, draw.now()) {
            Ok(entitled) => decide(world, entitled, draw),
            Err(reason) => Outcome::Refused(issue::not_entitled(world, node, instance, reason, draw)),
        }
    })
    .await;
    match settled {
        Ok(recorded) => Ok(Ok((
            spiffe_id,
            installation.signer.sign(recorded).map_err(unavailable)?,
        ))),
        Err(unsettled) => refusal(unsettled).map(Err),
    }
}
