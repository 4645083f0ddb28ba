//! Homes: a gateway that has a call to decide asks to be the one that counts it.

use super::refused::overreach;
use crate::installation::Installation;
use crate::settle::settle;
use broker::home::{self, Counted};
use broker::overreach::Overreach;
use broker::world::NodeRecord;
use identity::{AgentId, InstanceId, OrgScope, TaskId};
use std::str::FromStr;
use sync::proto;
use tonic::Status;

/// Parties of the longest chain.
const AGENTS_MAX: usize = identity::CHAIN_DEPTH_MAX;

pub(super) async fn claim(
    installation: &Installation,
    gateway: &NodeRecord,
    request: &proto::ClaimHomeRequest,
) -> Result<proto::ClaimHomeReply, Status> {
    let wanted = Counted {
        task: id::<TaskId>(&request.task_id)?,
        instance: id::<InstanceId>(&request.instance_id)?,
        agents: request
            .agent_ids
            .iter()
            .map(|agent| id::<AgentId>(agent))
            .collect::<Result<_, _>>()?,
    };
    if wanted.agents.len() > AGENTS_MAX {
        return Err(Status::invalid_argument("agent_ids"));
    }
    let scope = gateway.org.map_or(OrgScope::Every, OrgScope::Only);
    let world = installation.store.world();
    let Some(task) = world.task(scope, wanted.task) else {
        let seen = format!("a home for {}", wanted.task);
        return Err(overreach(installation, gateway, Overreach::Home, &seen).await);
    };
    if !home::is_claimable(&world, gateway, &wanted, installation.clock.now()) {
        return Ok(proto::ClaimHomeReply {
            revision: world.revision().0,
        });
    }
    let settled = settle(installation, Some(task.org), |world, draw| {
        home::claim(world, gateway, &wanted, draw)
    })
    .await;
    match settled {
        Ok(recorded) => Ok(proto::ClaimHomeReply {
            revision: recorded.revision().0,
        }),
        Err(error) => {
            tracing::error!(%error, "a gateway could not be given a home");
            Err(Status::unavailable("the server cannot record at the moment"))
        }
    }
}

fn id<T: FromStr>(text: &str) -> Result<T, Status> {
    text.parse()
        .map_err(|_| Status::invalid_argument("an id is malformed"))
}
