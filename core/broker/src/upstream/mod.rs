//! Upstreams: the services that agents call, and how a plain HTTP request to one becomes an action on a resource.
//!
//! - [`manifest`]: the YAML an author writes, into an [`Upstream`] and a reference to its secret.
//! - [`delivery`]: the one upstream that is our own, for what goes to people.
//! - [`origin`]: where it is, in the one spelling we accept.
//! - [`route`]: a request into the action it is, or why it is none.
//! - [`Described`]: the same for an action that a service tells us of, instead of a request.

mod address;
mod body;
pub mod delivery;
mod described;
pub mod manifest;
pub mod origin;
pub mod route;
pub mod target;

pub use address::{Forbidden, Reach, checked, reach};
pub(crate) use body::parse as read_body;
pub use body::{BODY_BYTES_MAX, BODY_DEPTH_MAX, BodyError};
pub use described::{Described, MEMBERS_MAX};
pub use manifest::{Manifest, ManifestError, SecretReference};
pub use origin::{Host, Origin, OriginError};
pub use route::{
    ArgumentValue, CallHeaders, Found, Mapped, NotMapped, Repeated, RouteFault, Routes, Version,
};
pub use target::TargetError;

use identity::{Audience, Name, OrgId, UpstreamId};
use policy::{DataLabels, Sink};
use serde::{Deserialize, Serialize};
use std::collections::BTreeSet;

/// A declared service. Undeclared hosts are refused.
#[derive(Clone, PartialEq, Debug, Serialize, Deserialize)]
pub struct Upstream {
    /// Unstamped until its first Change commits; kept by later versions.
    pub id: UpstreamId,
    /// Its org.
    pub org: OrgId,
    /// Unique within the org; first segment of its base URL at the gateway.
    pub name: Name,
    /// What contracts and credentials call it (`aud`).
    pub audience: Audience,
    /// Host names under which agents address it through the forward proxy, lower case, without a port.
    pub hosts: Vec<String>,
    /// Where it really is: scheme, host and port, without a path.
    pub base_url: String,
    /// What the gateway puts into a permitted request in the agent's place.
    pub credential: Injection,
    /// How requests map to actions; the first that matches wins, none that matches is a refusal.
    pub routes: Vec<Route>,
    /// Header (lower case) that the gateway sets to the task's tenant, overwriting the agent's: then a request whose
    /// route names no tenant touches exactly that one. Manifest key `tenant_header`.
    pub tenant_header: Option<String>,
    /// Services of the org that enforce decisions about it themselves: only they may ask for one. Manifest key
    /// `enforced_by`.
    #[serde(default)]
    pub enforced_by: BTreeSet<Name>,
    /// Version of its sealed secret, from 1; 0 when it has none yet.
    pub secret_version: u64,
}

/// What the gateway injects. The secret itself is sealed elsewhere, under the upstream's id.
#[derive(Clone, PartialEq, Debug, Serialize, Deserialize)]
#[serde(rename_all = "snake_case", deny_unknown_fields)]
pub enum Injection {
    /// Nothing.
    None,
    /// A header with the secret as its value, after an optional prefix.
    ApiKey {
        /// Lower-case header name.
        header: String,
        /// Put before the secret, e.g. `Bearer `.
        prefix: String,
    },
    /// A bearer token fetched with the secret as client secret (RFC 6749 section 4.4).
    ClientCredentials {
        /// Token endpoint.
        token_url: String,
        /// Client id; the secret is the client secret, sent by HTTP Basic (RFC 6749 section 2.3.1).
        client_id: String,
        /// Requested scope; empty for none.
        scope: String,
    },
}

/// One mapping of requests to an action.
#[derive(Clone, PartialEq, Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Route {
    /// `GET`, `POST`, …
    pub method: String,
    /// Path template: literal segments and `{name}` for one segment each.
    pub path: String,
    /// The action it is, e.g. `invoices.read`.
    pub action: Name,
    /// What kind of thing it touches.
    pub resource_type: Name,
    /// Which part of the request names the thing: a path parameter; the path itself when `None`.
    pub resource_id: Option<String>,
    /// Arguments that contracts may bound: argument name, and where it is found.
    pub arguments: Vec<Argument>,
    /// Where the request names the tenant whose data it touches, if anywhere.
    pub tenant: Option<Place>,
    /// Where the request names the version of the content that it acts upon, as `If-Match` does (RFC 9110 section
    /// 13.1.1), if the service refuses another: what a human approves is that version and no later one.
    #[serde(default)]
    pub version: Option<Place>,
    /// What data it returns; `None` when nobody said, and then it counts as untrusted.
    #[serde(default)]
    pub data: Option<DataLabels>,
    /// What it carries out; `None` when nobody said, and then every method that may change something does.
    #[serde(default)]
    pub sink: Option<Sink>,
}

/// A named argument and its place in a request.
#[derive(Clone, PartialEq, Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Argument {
    /// As contracts call it.
    pub name: Name,
    /// Where it is found.
    pub from: Place,
    /// What it must be; a value that is not is a refusal.
    #[serde(default)]
    pub kind: ArgumentKind,
}

/// What an argument must be. Paths, queries and headers hold text only: the kind says how to read it.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum ArgumentKind {
    /// Text; in a body a JSON string.
    #[default]
    Text,
    /// A whole number without leading zeros or `+`, within 64 bits.
    Integer,
    /// `true` or `false`.
    Boolean,
    /// A JSON array of strings; in bodies only.
    Texts,
}

/// A place in a request.
#[derive(Clone, PartialEq, Debug, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Place {
    /// A `{name}` of the path template.
    Path(String),
    /// A query parameter that may stand once.
    Query(String),
    /// A JSON pointer into the body (RFC 6901).
    Body(String),
    /// A request header that may stand once.
    Header(String),
}
