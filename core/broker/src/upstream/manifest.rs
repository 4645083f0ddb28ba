//! The manifest of an upstream, as its author writes it: `kind: Upstream`.
//!
//! Parsing is strict and reports every mistake with its line and column. The secret never stands in a manifest: it
//! says where the CLI finds it, and the CLI resolves that. Every key is described in `docs/reference/upstream.md`.

mod group;
mod labels;
mod node;

use super::delivery::NAME;
use super::origin::{Host, Origin};
use super::route::Routes;
use super::{Argument, ArgumentKind, Injection, Place, Route, Upstream};
use group::{Group, Mistakes};
use identity::{Audience, Name, OrgId, UpstreamId};
use node::{Node, Value};
use std::cell::RefCell;
use std::collections::BTreeSet;
use std::fmt;

pub use node::MANIFEST_BYTES_MAX;

/// The only version of the format.
const API_VERSION: &str = "tabard/v1";
/// Most services that enforce decisions about one upstream.
const SERVICES_MAX: usize = 16;
/// Headers that an API key cannot be put into: they frame the message or are Tabard's own.
const NOT_INJECTABLE: [&str; 16] = [
    "accept-encoding",
    "connection",
    "content-length",
    "content-type",
    "dpop",
    "expect",
    "forwarded",
    "host",
    "keep-alive",
    "proxy-authorization",
    "proxy-connection",
    "te",
    "trailer",
    "transfer-encoding",
    "upgrade",
    "via",
];

/// One mistake in a manifest.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ManifestError {
    /// The name the caller gave to the text, usually its file name.
    pub file: String,
    /// One-based line.
    pub line: u32,
    /// One-based column, in characters.
    pub column: u32,
    /// The key, written from the top: `routes[0].path`.
    pub path: String,
    /// What is wrong.
    pub what: String,
    /// Why that is refused.
    pub why: String,
    /// What to write instead.
    pub fix: String,
}

impl fmt::Display for ManifestError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}:{}:{}", self.file, self.line, self.column)?;
        if !self.path.is_empty() {
            write!(f, " at {}", self.path)?;
        }
        write!(f, ": {}; {}. Fix: {}.", self.what, self.why, self.fix)
    }
}

impl std::error::Error for ManifestError {}

/// Where the CLI finds an upstream's secret.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum SecretReference {
    /// A file, relative to the manifest.
    File(String),
    /// An environment variable.
    Env(String),
    /// The standard input.
    Stdin,
}

/// A manifest, checked: it lacks only what the installation adds (ids, and the secret's version).
#[derive(Debug, Clone, PartialEq)]
pub struct Manifest {
    /// Unique within the org.
    pub name: Name,
    /// What contracts and credentials call it; its name where the manifest does not say.
    pub audience: Audience,
    /// Host names under which agents address it through the forward proxy.
    pub hosts: Vec<String>,
    /// Where it really is.
    pub base_url: Origin,
    /// Header that the gateway sets to the task's tenant, if the upstream confines itself by one.
    pub tenant_header: Option<String>,
    /// What the gateway injects.
    pub credential: Injection,
    /// Where its secret is found; `None` for [`Injection::None`].
    pub secret: Option<SecretReference>,
    /// How requests map to actions.
    pub routes: Vec<Route>,
    /// Services that enforce decisions about it themselves.
    pub enforced_by: BTreeSet<Name>,
}

impl Manifest {
    /// Reads `bytes`; `file` is what errors call it.
    pub fn parse(file: &str, bytes: &[u8]) -> Result<Self, Vec<ManifestError>> {
        let root = node::parse(file, bytes).map_err(|error| vec![*error])?;
        let mistakes = Mistakes {
            file,
            found: RefCell::default(),
        };
        let manifest = read(&root, &mistakes);
        let mut found = mistakes.found.into_inner();
        found.sort_by_key(|mistake| (mistake.line, mistake.column));
        match manifest {
            Some(manifest) if found.is_empty() => Ok(manifest),
            _ => Err(found),
        }
    }

    /// The upstream that it declares.
    pub fn upstream(self, id: UpstreamId, org: OrgId, secret_version: u64) -> Upstream {
        Upstream {
            id,
            org,
            name: self.name,
            audience: self.audience,
            hosts: self.hosts,
            base_url: self.base_url.to_string(),
            credential: self.credential,
            routes: self.routes,
            tenant_header: self.tenant_header,
            enforced_by: self.enforced_by,
            secret_version,
        }
    }
}

fn read(root: &Node, mistakes: &Mistakes<'_>) -> Option<Manifest> {
    let known = [
        "apiVersion",
        "kind",
        "metadata",
        "audience",
        "base_url",
        "hosts",
        "credential",
        "tenant_header",
        "enforced_by",
        "routes",
    ];
    let top = Group::of(root, "", &known, mistakes)?;
    fixed(&top, "apiVersion", API_VERSION);
    fixed(&top, "kind", "Upstream");
    let name: Option<Name> = top
        .required("metadata")
        .and_then(|node| Group::of(node, "metadata", &["name"], mistakes))
        .and_then(|group| group.parsed("name", "a name such as invoices"));
    if let (Some(taken), Some(node)) = (
        name.as_ref().filter(|name| name.as_str() == NAME),
        top.optional("metadata"),
    ) {
        let why = "the gateway itself answers under this name";
        top.wrong(
            node.at,
            "metadata.name",
            format!("\"{taken}\" is taken"),
            why,
            "choose another name",
        );
    }
    let audience = match top.optional("audience") {
        Some(_) => top.parsed("audience", "a name or URL that contracts use for it"),
        None => name.as_ref().map(Audience::from),
    };
    let base_url = top.parsed::<Origin>(
        "base_url",
        "scheme, host and port, such as https://erp.example.com",
    );
    let hosts = top
        .optional("hosts")
        .map(|node| hosts(&top, node))
        .unwrap_or_default();
    let credential = top.required("credential").and_then(|node| credential(&top, node));
    let routes = top
        .required("routes")
        .map(|node| routes(&top, node))
        .unwrap_or_default();
    let tenant_header = top.optional_text("tenant_header").map(str::to_lowercase);
    if let (Some(header), Some(node)) = (&tenant_header, top.optional("tenant_header")) {
        let taken = matches!(&credential, Some((Injection::ApiKey { header: key, .. }, _)) if key == header);
        if !is_injectable(header) || header == "authorization" || taken {
            let why =
                "the gateway overwrites it with the tenant of the task, so it needs a header of its own";
            top.wrong(
                node.at,
                "tenant_header",
                format!("{header:?} cannot be it"),
                why,
                "write x-tenant",
            );
        }
    }
    let enforced_by = top
        .optional("enforced_by")
        .map(|node| enforced_by(&top, node, &routes))
        .unwrap_or_default();
    let (credential, secret) = credential?;
    Some(Manifest {
        name: name?,
        audience: audience?,
        hosts,
        base_url: base_url?,
        credential,
        secret,
        routes,
        tenant_header,
        enforced_by,
    })
}

/// The services that may ask for decisions. They name actions and things, not methods and paths: what they name has to
/// mean one route, or two that say the same.
fn enforced_by(top: &Group<'_>, node: &Node, routes: &[Route]) -> BTreeSet<Name> {
    let mut services = BTreeSet::new();
    for item in top.list("enforced_by", node) {
        let Some(text) = top.text_of("enforced_by", item) else {
            continue;
        };
        match text.parse::<Name>() {
            Ok(name) if services.len() < SERVICES_MAX && !services.contains(&name) => {
                services.insert(name);
            }
            Ok(name) => {
                let why = "an upstream has at most 16 different services";
                top.wrong(
                    item.at,
                    "enforced_by",
                    format!("\"{name}\" is one too many"),
                    why,
                    "remove it",
                );
            }
            Err(error) => {
                let why = "a service is known by its name within the org";
                top.wrong(item.at, "enforced_by", error.to_string(), why, "write edge");
            }
        }
    }
    for (index, route) in routes.iter().enumerate() {
        let twin = routes
            .iter()
            .take(index)
            .position(|before| !super::described::says_the_same(before, route));
        if let Some(twin) = twin {
            let what = format!(
                "routes[{twin}] and routes[{index}] are both {} of {}, and differ in arguments, tenant, data or sink",
                route.action, route.resource_type
            );
            let why = "a service that asks for a decision names an action, not a path";
            top.wrong(
                node.at,
                "enforced_by",
                what,
                why,
                "give one of them an action of its own",
            );
        }
    }
    services
}

fn fixed(top: &Group<'_>, key: &str, only: &str) {
    if let Some(node) = top.required(key)
        && let Some(text) = top.text_of(key, node)
        && text != only
    {
        top.wrong(
            node.at,
            key,
            format!("{text:?} is not known"),
            "this version reads one format",
            format!("write {only}"),
        );
    }
}

fn hosts(top: &Group<'_>, node: &Node) -> Vec<String> {
    let mut list: Vec<String> = Vec::new();
    for item in top.list("hosts", node) {
        let Some(text) = top.text_of("hosts", item) else {
            continue;
        };
        match text.parse::<Host>() {
            Ok(Host::Name(name)) if !list.contains(&name) && list.len() < 32 => list.push(name),
            Ok(Host::Name(_)) => {
                let why = "an upstream has at most 32 different hosts";
                top.wrong(
                    item.at,
                    "hosts",
                    format!("{text:?} is one too many"),
                    why,
                    "remove it",
                );
            }
            _ => {
                let why = "agents address an upstream by a lower-case DNS name, without port";
                top.wrong(
                    item.at,
                    "hosts",
                    format!("{text:?} is not a host name"),
                    why,
                    "write erp.example.com",
                );
            }
        }
    }
    list
}

fn credential(top: &Group<'_>, node: &Node) -> Option<(Injection, Option<SecretReference>)> {
    if matches!(&node.value, Value::Text(text) if text == "none") {
        return Some((Injection::None, None));
    }
    let group = Group::of(
        node,
        "credential",
        &["api_key", "client_credentials"],
        top.mistakes(),
    )?;
    match (group.optional("api_key"), group.optional("client_credentials")) {
        (Some(node), None) => api_key(node, top.mistakes()),
        (None, Some(node)) => client_credentials(node, top.mistakes()),
        _ => {
            let why = "an upstream gets exactly one credential";
            let fix = "write none, api_key: {…} or client_credentials: {…}";
            top.wrong(node.at, "credential", "no credential, or more than one", why, fix);
            None
        }
    }
}

fn api_key(node: &Node, mistakes: &Mistakes<'_>) -> Option<(Injection, Option<SecretReference>)> {
    let group = Group::of(
        node,
        "credential.api_key",
        &["header", "prefix", "secret"],
        mistakes,
    )?;
    let header = group.text("header").map(str::to_lowercase);
    if let (Some(header), Some(at)) = (&header, group.optional("header"))
        && !is_injectable(header)
    {
        let why = "a key goes into a header of its own, at most 64 characters long";
        let fix = "write x-api-key or authorization";
        group.wrong(
            at.at,
            "header",
            format!("{header:?} cannot carry a key"),
            why,
            fix,
        );
    }
    let prefix = group.optional_text("prefix").unwrap_or_default();
    if prefix.len() > 64 || prefix.bytes().any(|b| !(b == b' ' || b.is_ascii_graphic())) {
        let why = "a prefix is at most 64 visible ASCII characters";
        group.wrong(
            group.at,
            "prefix",
            "the prefix cannot stand in a header",
            why,
            "write \"Bearer \"",
        );
    }
    let secret = secret(&group)?;
    Some((
        Injection::ApiKey {
            header: header?,
            prefix: prefix.to_owned(),
        },
        Some(secret),
    ))
}

/// Whether the gateway may write a header of this name into a request.
fn is_injectable(header: &str) -> bool {
    (1..=64).contains(&header.len())
        && header
            .bytes()
            .all(|b| matches!(b, b'a'..=b'z' | b'0'..=b'9' | b'-' | b'_'))
        && !NOT_INJECTABLE.contains(&header)
}

fn client_credentials(node: &Node, mistakes: &Mistakes<'_>) -> Option<(Injection, Option<SecretReference>)> {
    let known = ["token_url", "client_id", "scope", "secret"];
    let group = Group::of(node, "credential.client_credentials", &known, mistakes)?;
    let token_url = group.text("token_url");
    if let (Some(url), Some(at)) = (token_url, group.optional("token_url")) {
        let plain = |path: &str| path.bytes().all(|b| b.is_ascii_graphic());
        match Origin::split(url) {
            Ok((_, path)) if plain(path) => {}
            Ok(_) => group.wrong(
                at.at,
                "token_url",
                "the path is not ASCII",
                "it is sent as it stands",
                "encode it",
            ),
            Err(error) => {
                let fix = "write https://auth.example.com/oauth2/token";
                group.wrong(
                    at.at,
                    "token_url",
                    format!("{url:?} does not fit here"),
                    &error.to_string(),
                    fix,
                );
            }
        }
    }
    let client_id = group.text("client_id");
    let scope = group.optional_text("scope").unwrap_or_default();
    let secret = secret(&group)?;
    let injection = Injection::ClientCredentials {
        token_url: token_url?.to_owned(),
        client_id: client_id?.to_owned(),
        scope: scope.to_owned(),
    };
    Some((injection, Some(secret)))
}

fn secret(group: &Group<'_>) -> Option<SecretReference> {
    let node = group.required("secret")?;
    let path = group.path_of("secret");
    if matches!(&node.value, Value::Text(text) if text == "stdin") {
        return Some(SecretReference::Stdin);
    }
    if matches!(&node.value, Value::Text(_) | Value::Integer(_)) {
        // The value is not repeated: it may be the secret.
        let why = "a manifest is read, copied and committed; the secret itself never stands in it";
        let fix = "write {file: path}, {env: NAME} or stdin";
        group.wrong(
            node.at,
            "secret",
            "the secret seems to stand here itself",
            why,
            fix,
        );
        return None;
    }
    let inner = Group::of(node, &path, &["file", "env"], group.mistakes())?;
    match (inner.optional("file"), inner.optional("env")) {
        (Some(_), None) => inner
            .text("file")
            .map(|text| SecretReference::File(text.to_owned())),
        (None, Some(_)) => inner
            .text("env")
            .map(|text| SecretReference::Env(text.to_owned())),
        _ => {
            let fix = "write {file: path}, {env: NAME} or stdin";
            group.wrong(
                node.at,
                "secret",
                "no place, or more than one",
                "a secret is found in one place",
                fix,
            );
            None
        }
    }
}

fn routes(top: &Group<'_>, node: &Node) -> Vec<Route> {
    let items = top.list("routes", node);
    if items.is_empty() {
        let why = "what no route matches is refused, so it could not be called at all";
        top.wrong(node.at, "routes", "there is no route", why, "add a route");
    }
    let read: Vec<(usize, &Node, Route)> = items
        .iter()
        .enumerate()
        .filter_map(|(index, item)| {
            route(item, &format!("routes[{index}]"), top.mistakes()).map(|route| (index, item, route))
        })
        .collect();
    let list: Vec<Route> = read.iter().map(|(_, _, route)| route.clone()).collect();
    for fault in Routes::compile(&list).err().unwrap_or_default() {
        let (index, at) = read
            .get(fault.route)
            .map_or((0, node.at), |(index, item, _)| (*index, item.at));
        let why = "every request must have one reading";
        top.mistakes().add(
            at,
            &format!("routes[{index}]"),
            fault.what,
            why,
            "correct the route",
        );
    }
    list
}

fn route(node: &Node, path: &str, mistakes: &Mistakes<'_>) -> Option<Route> {
    let known = [
        "method",
        "path",
        "action",
        "resource",
        "arguments",
        "tenant",
        "version",
        "data",
        "sink",
    ];
    let group = Group::of(node, path, &known, mistakes)?;
    let method = group.text("method");
    let template = group.text("path");
    let action = group.parsed("action", "a name such as invoices.read");
    let resource = group
        .required("resource")
        .and_then(|node| Group::of(node, &group.path_of("resource"), &["type", "id"], mistakes));
    let resource_type = resource
        .as_ref()
        .and_then(|resource| resource.parsed("type", "a name such as invoice"));
    let resource_id = resource
        .as_ref()
        .and_then(|resource| resource.optional_text("id"))
        .map(str::to_owned);
    let mut arguments = Vec::new();
    if let Some(list) = group.optional("arguments") {
        for (index, item) in group.list("arguments", list).iter().enumerate() {
            let path = group.path_of(&format!("arguments[{index}]"));
            arguments.extend(argument(item, &path, mistakes));
        }
    }
    let tenant = group
        .optional("tenant")
        .and_then(|node| Group::of(node, &group.path_of("tenant"), &PLACES, mistakes))
        .and_then(|group| place(&group));
    let version = group
        .optional("version")
        .and_then(|node| Group::of(node, &group.path_of("version"), &PLACES, mistakes))
        .and_then(|group| place(&group));
    let data = group.optional("data").map(|node| labels::data(&group, node));
    let sink = group.optional("sink").map(|node| labels::sink(&group, node));
    Some(Route {
        data: data.map_or(Some(None), |data| data.map(Some))?,
        sink: sink.map_or(Some(None), |sink| sink.map(Some))?,
        method: method?.to_owned(),
        path: template?.to_owned(),
        action: action?,
        resource_type: resource_type?,
        resource_id,
        arguments,
        tenant,
        version,
    })
}

const PLACES: [&str; 4] = ["path", "query", "header", "body"];

fn argument(node: &Node, path: &str, mistakes: &Mistakes<'_>) -> Option<Argument> {
    let known = ["name", "type", "path", "query", "header", "body"];
    let group = Group::of(node, path, &known, mistakes)?;
    let name = group.parsed("name", "a name such as amount_minor");
    let kind = match group.optional_text("type") {
        None | Some("text") => ArgumentKind::Text,
        Some("integer") => ArgumentKind::Integer,
        Some("boolean") => ArgumentKind::Boolean,
        Some("texts") => ArgumentKind::Texts,
        Some(other) => {
            let why = "contracts bound text, integers, booleans and lists of texts";
            let fix = "write text, integer, boolean or texts";
            group.wrong(group.at, "type", format!("{other:?} is not a type"), why, fix);
            return None;
        }
    };
    Some(Argument {
        name: name?,
        from: place(&group)?,
        kind,
    })
}

fn place(group: &Group<'_>) -> Option<Place> {
    let mut said = PLACES
        .iter()
        .filter_map(|key| group.optional(key).map(|node| (*key, node)));
    let (Some((key, node)), None) = (said.next(), said.next()) else {
        let why = "a value is taken from exactly one place";
        group.wrong(
            group.at,
            "",
            "no place, or more than one",
            why,
            "write one of path, query, header, body",
        );
        return None;
    };
    let text = group.text_of(key, node)?.to_owned();
    Some(match key {
        "path" => Place::Path(text),
        "query" => Place::Query(text),
        "header" => Place::Header(text.to_lowercase()),
        _ => Place::Body(text),
    })
}

#[cfg(test)]
mod tests;
