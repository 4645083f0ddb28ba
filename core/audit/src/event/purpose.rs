//! Why and what: the task that an action belongs to, the action, and its object.

use super::Extra;
use identity::{ApprovalId, Audience, Digest, TaskId};
use serde::{Deserialize, Serialize};

/// The reason for an action. From the opener of the task or the contract, unless `event.md` says otherwise.
#[derive(Clone, PartialEq, Debug, Default, Serialize, Deserialize)]
pub struct Why {
    /// The approval that was spent.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub approval: Option<ApprovalId>,
    /// The action in words of the business, as the contract puts it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub business_action: Option<String>,
    /// Hash of the contract the task runs under.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub contract: Option<Digest>,
    /// The declared purpose.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub purpose: Option<String>,
    /// The step within the workflow.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub step: Option<String>,
    /// The task.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub task: Option<TaskId>,
    /// The task type, as the contract names it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub task_type: Option<String>,
    /// The tenant for whom the agent works.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub tenant_actor: Option<String>,
    /// The tenant whose data the action touches.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub tenant_resource: Option<String>,
    /// The declared graph of steps.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub workflow: Option<String>,
    /// Fields of newer writers, kept.
    #[serde(flatten)]
    pub extra: Extra,
}

/// The action and its object. Observed on the request itself.
#[derive(Clone, PartialEq, Debug, Default, Serialize, Deserialize)]
pub struct What {
    /// The action, as the upstream definition names it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub action: Option<String>,
    /// Who would accept the credential.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub audience: Option<Audience>,
    /// The host the request goes to.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub host: Option<String>,
    /// The HTTP method or protocol's method name.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub method: Option<String>,
    /// The path without its query.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub path: Option<String>,
    /// The resource; a [`super::Commitment`]'s text where it names a person.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub resource_id: Option<String>,
    /// The kind of resource.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub resource_type: Option<String>,
    /// The upstream, by name.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub upstream: Option<String>,
    /// Fields of newer writers, kept.
    #[serde(flatten)]
    pub extra: Extra,
}
