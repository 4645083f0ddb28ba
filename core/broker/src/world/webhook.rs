//! Endpoints of others that are told of approvals.

use super::Person;
use identity::{Name, OrgId, UnixTime, WebhookId};
use serde::{Deserialize, Serialize};
use std::collections::BTreeSet;
use std::net::IpAddr;

/// One endpoint. Its secret is sealed under its id, and is not here.
#[derive(Clone, PartialEq, Debug, Serialize, Deserialize)]
pub struct Webhook {
    /// Made by no Change: its secret is sealed under it first.
    pub id: WebhookId,
    /// Whose approvals it is told of.
    pub org: OrgId,
    /// What people call it; unique within the org.
    pub name: Name,
    /// Where it is, without a query.
    pub url: String,
    /// Addresses of this machine and of private networks that it may be at. Any other of these is never connected to.
    pub addresses: BTreeSet<IpAddr>,
    /// Who registered it.
    pub by: Person,
    /// When.
    pub added_at: UnixTime,
}
