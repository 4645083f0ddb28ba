//! An OpenAPI 3 description as offers, and as the routes of an upstream's manifest.
//!
//! Paths become routes, operations become actions, parameters and the scalar members of a JSON body become arguments.
//! Callbacks, cookies and other bodies than JSON are left out. Nothing is said of the data that a route returns: until a
//! person does, it counts as untrusted.

use super::{NotDescribed, Offer, bound, slug, tree};
use crate::upstream::route::ROUTES_MAX;
use identity::{Audience, Name};
use policy::contract::{Constraint, Remarks, document};
use serde_json::{Map, Value, json};
use std::collections::BTreeSet;

const METHODS: [&str; 7] = ["get", "head", "post", "put", "patch", "delete", "options"];
/// Deepest chain of local references that is followed.
const REFERENCES_MAX: usize = 8;
/// Names of path parameters that say whose data it is.
const TENANTS: [&str; 4] = ["tenant", "tenant-id", "tenant_id", "tenantid"];

/// A description, read.
#[derive(Debug, Clone)]
pub struct Described {
    /// What it offers.
    pub offers: Vec<Offer>,
    /// The draft of the upstream's manifest.
    pub manifest: String,
    /// What could not be taken over, a sentence each.
    pub left_out: Vec<String>,
}

/// Reads a description of OpenAPI 3.0 or 3.1 for the service `name`.
pub fn described(text: &str, name: &Name) -> Result<Described, NotDescribed> {
    let root = tree(text)?;
    let is_three = root
        .get("openapi")
        .and_then(Value::as_str)
        .is_some_and(|it| it.starts_with('3'));
    let paths = root.get("paths").and_then(Value::as_object).filter(|_| is_three);
    let paths = paths.ok_or(NotDescribed::OtherKind("OpenAPI 3 description"))?;
    let service: Audience = name.as_str().parse().map_err(|_| NotDescribed::Empty)?;
    let (base_url, prefix) = server(&root);
    let mut reader = Reader {
        root: &root,
        service,
        offers: Vec::new(),
        routes: Vec::new(),
        left_out: Vec::new(),
        actions: BTreeSet::new(),
        remarks: Remarks::new(),
    };
    for (path, item) in paths {
        for method in METHODS {
            if let Some(operation) = item.get(method) {
                reader.operation(&format!("{prefix}{path}"), method, item, operation);
            }
        }
    }
    if reader.offers.is_empty() {
        return Err(NotDescribed::Empty);
    }
    let Reader {
        offers,
        mut routes,
        mut left_out,
        mut remarks,
        ..
    } = reader;
    if routes.len() > ROUTES_MAX {
        left_out.push(format!(
            "{} routes beyond the {ROUTES_MAX} that an upstream can have",
            routes.len() - ROUTES_MAX
        ));
        routes.truncate(ROUTES_MAX);
    }
    // The first route that matches wins: literal paths before those with parameters.
    routes.sort_by_key(|route| {
        let path = route.get("path").and_then(Value::as_str).unwrap_or_default();
        path.split('/')
            .map(|segment| segment.starts_with('{'))
            .collect::<Vec<_>>()
    });
    remarks.entry("apiVersion".to_owned()).or_default().push(format!(
        "A draft of the upstream {name} from its OpenAPI description. Read each route, then: tabard upstream apply FILE"
    ));
    let text = "TODO: say of each route what `data` it returns and, where it leads out, its `sink`; until then what it returns \
                counts as untrusted";
    remarks
        .entry("routes".to_owned())
        .or_default()
        .push(text.to_owned());
    if base_url.is_none() {
        remarks
            .entry("base_url".to_owned())
            .or_default()
            .push("TODO: where the service is".to_owned());
    }
    let manifest = json!({
        "apiVersion": "tabard/v1",
        "kind": "Upstream",
        "metadata": {"name": name.as_str()},
        "base_url": base_url.unwrap_or_default(),
        "credential": credential(&root, name, &mut remarks),
        "routes": routes,
    });
    Ok(Described {
        offers,
        manifest: document(&manifest, &remarks),
        left_out,
    })
}

/// The origin of the first server, and the path that its routes begin with.
fn server(root: &Value) -> (Option<String>, String) {
    let url = root
        .pointer("/servers/0/url")
        .and_then(Value::as_str)
        .unwrap_or_default();
    let Some((scheme, rest)) = url.split_once("://") else {
        let prefix = url.trim_end_matches('/');
        return (
            None,
            if prefix.starts_with('/') {
                prefix.to_owned()
            } else {
                String::new()
            },
        );
    };
    let (host, path) = rest.split_once('/').unwrap_or((rest, ""));
    let path = path.trim_end_matches('/');
    let prefix = if path.is_empty() {
        String::new()
    } else {
        format!("/{path}")
    };
    (Some(format!("{scheme}://{host}").to_ascii_lowercase()), prefix)
}

/// How the gateway would authenticate, by the first scheme that it can speak.
fn credential(root: &Value, name: &Name, remarks: &mut Remarks) -> Value {
    let schemes = root
        .pointer("/components/securitySchemes")
        .and_then(Value::as_object);
    let secret = json!({"file": format!("{name}.secret")});
    for scheme in schemes.into_iter().flatten().map(|(_, scheme)| scheme) {
        let text = |key: &str| scheme.get(key).and_then(Value::as_str).unwrap_or_default();
        match (
            text("type"),
            text("in"),
            text("scheme").to_ascii_lowercase().as_str(),
        ) {
            ("apiKey", "header", _) => {
                return json!({"api_key": {"header": text("name").to_ascii_lowercase(), "secret": secret}});
            }
            ("http", _, "bearer") => {
                return json!({"api_key": {"header": "authorization", "prefix": "Bearer ", "secret": secret}});
            }
            ("oauth2", ..) => {
                let Some(flow) = scheme.pointer("/flows/clientCredentials") else {
                    continue;
                };
                let remark = "TODO: client_id, and the scope that its contracts need";
                remarks
                    .entry("credential".to_owned())
                    .or_default()
                    .push(remark.to_owned());
                let token_url = flow.get("tokenUrl").and_then(Value::as_str).unwrap_or_default();
                return json!({"client_credentials": {"token_url": token_url, "client_id": "", "secret": secret}});
            }
            _ => {}
        }
    }
    let remark = "TODO: the description names no scheme that the gateway speaks";
    remarks
        .entry("credential".to_owned())
        .or_default()
        .push(remark.to_owned());
    json!("none")
}

struct Reader<'r> {
    root: &'r Value,
    service: Audience,
    offers: Vec<Offer>,
    routes: Vec<Value>,
    left_out: Vec<String>,
    actions: BTreeSet<Name>,
    remarks: Remarks,
}

/// The arguments of one operation.
#[derive(Default)]
struct Arguments {
    routed: Vec<Value>,
    bounds: Vec<(Name, Constraint)>,
    free: Vec<Name>,
    known: BTreeSet<Name>,
}

impl Arguments {
    fn add(&mut self, name: &str, from: (&str, String), schema: &Value, required: bool) -> bool {
        let kind = match schema.get("type").and_then(Value::as_str) {
            Some("string") | None => "text",
            Some("integer") => "integer",
            Some("boolean") => "boolean",
            Some("array") if from.0 == "body" => "texts",
            Some(_) => return false,
        };
        let Some(argument) = slug(name).filter(|argument| self.known.insert(argument.clone())) else {
            return false;
        };
        let mut routed = Map::new();
        routed.insert("name".to_owned(), argument.as_str().into());
        routed.insert(from.0.to_owned(), from.1.into());
        if kind != "text" {
            routed.insert("type".to_owned(), kind.into());
        }
        self.routed.push(Value::Object(routed));
        match bound(schema).filter(|_| required) {
            Some(bound) => self.bounds.push((argument, bound)),
            None => self.free.push(argument),
        }
        true
    }
}

impl<'r> Reader<'r> {
    fn operation(&mut self, path: &str, method: &str, item: &'r Value, operation: &'r Value) {
        let title = format!("{} {path}", method.to_ascii_uppercase());
        let Some((path, parameters)) = template(path) else {
            self.left_out
                .push(format!("{title}: a segment is part text, part parameter"));
            return;
        };
        let own = operation.get("operationId").and_then(Value::as_str);
        let Some(action) = self.action(&path, method, own) else {
            self.left_out.push(format!("{title}: no name can be made for it"));
            return;
        };
        let root = self.root;
        let mut arguments = Arguments::default();
        let tenant = parameters
            .iter()
            .find(|(_, slug)| TENANTS.contains(&slug.as_str()));
        let all = [item, operation]
            .into_iter()
            .filter_map(|it| it.get("parameters")?.as_array())
            .flatten();
        for parameter in all.map(|parameter| resolved(root, parameter)) {
            let text = |key: &str| parameter.get(key).and_then(Value::as_str).unwrap_or_default();
            let (name, place) = (text("name"), text("in"));
            let schema = parameter
                .get("schema")
                .map_or(&Value::Null, |schema| resolved(self.root, schema));
            let required = parameter.get("required").and_then(Value::as_bool) == Some(true);
            let known = match place {
                "path" if tenant.is_some_and(|(written, _)| written == name) => true,
                "path" => match parameters.iter().find(|(written, _)| written == name) {
                    Some((_, slug)) => arguments.add(name, ("path", slug.to_string()), schema, true),
                    None => false,
                },
                "query" => arguments.add(name, ("query", name.to_owned()), schema, required),
                _ => false,
            };
            if !known {
                self.left_out
                    .push(format!("{title}: the {place} parameter {name}"));
            }
        }
        if !matches!(method, "get" | "head") {
            self.body(&title, operation, &mut arguments);
        }
        self.route(
            &path,
            method,
            &action,
            &parameters,
            tenant.map(|(_, slug)| slug),
            &arguments,
        );
        self.offers.push(Offer {
            service: self.service.clone(),
            action,
            writes: !matches!(method, "get" | "head" | "options"),
            untrusted: false,
            said: ["summary", "description"]
                .iter()
                .find_map(|key| operation.get(key)?.as_str())
                .map(str::to_owned),
            bounds: arguments.bounds,
            free: arguments.free,
            source: Some("the service's description"),
        });
    }

    fn body(&mut self, title: &str, operation: &'r Value, arguments: &mut Arguments) {
        let body = operation.get("requestBody").map(|body| resolved(self.root, body));
        let Some(content) = body.and_then(|body| body.get("content")) else {
            return;
        };
        let Some(schema) = content
            .pointer("/application~1json/schema")
            .map(|it| resolved(self.root, it))
        else {
            self.left_out.push(format!("{title}: its body, which is no JSON"));
            return;
        };
        let required: BTreeSet<&str> = schema
            .get("required")
            .and_then(Value::as_array)
            .into_iter()
            .flatten()
            .filter_map(Value::as_str)
            .collect();
        for (name, member) in schema
            .get("properties")
            .and_then(Value::as_object)
            .into_iter()
            .flatten()
        {
            let pointer = format!("/{}", name.replace('~', "~0").replace('/', "~1"));
            let member = resolved(self.root, member);
            if !arguments.add(name, ("body", pointer), member, required.contains(name.as_str())) {
                self.left_out
                    .push(format!("{title}: the member {name} of its body"));
            }
        }
    }

    fn route(
        &mut self,
        path: &str,
        method: &str,
        action: &Name,
        parameters: &[(String, Name)],
        tenant: Option<&Name>,
        arguments: &Arguments,
    ) {
        let kind = literals(path).last().and_then(slug);
        let last = parameters
            .last()
            .filter(|(_, slug)| path.ends_with(&format!("{{{slug}}}")) && Some(slug) != tenant);
        let mut resource = Map::new();
        resource.insert(
            "type".to_owned(),
            kind.as_ref().map_or("thing", Name::as_str).into(),
        );
        if let Some((_, id)) = last {
            resource.insert("id".to_owned(), id.as_str().into());
        }
        let mut route = json!({
            "method": method.to_ascii_uppercase(),
            "path": path,
            "action": action.as_str(),
            "resource": resource,
        });
        if let Some(route) = route.as_object_mut() {
            if !arguments.routed.is_empty() {
                route.insert("arguments".to_owned(), arguments.routed.clone().into());
            }
            if let Some(tenant) = tenant {
                route.insert("tenant".to_owned(), json!({"path": tenant.as_str()}));
            }
        }
        self.routes.push(route);
    }

    /// `invoices.read` from the path and the method; the operation's own name where that is taken.
    fn action(&mut self, path: &str, method: &str, own: Option<&str>) -> Option<Name> {
        let on_one = path.ends_with('}');
        let verb = match method {
            "get" | "head" if on_one => "read",
            "get" | "head" => "list",
            "post" => "create",
            "put" | "patch" => "update",
            "delete" => "delete",
            _ => "options",
        };
        let noun = literals(path).last().and_then(slug);
        let plain = noun.and_then(|noun| format!("{noun}.{verb}").parse::<Name>().ok());
        let base = plain.clone();
        let numbered = (2..1000).filter_map(|number| format!("{}-{number}", base.as_ref()?).parse().ok());
        let found = plain
            .into_iter()
            .chain(own.and_then(slug))
            .chain(numbered)
            .find(|name| !self.actions.contains(name))?;
        self.actions.insert(found.clone());
        Some(found)
    }
}

/// What a local reference stands for; the value itself where it is none.
fn resolved<'r>(root: &'r Value, value: &'r Value) -> &'r Value {
    let mut at = value;
    for _ in 0..REFERENCES_MAX {
        let target = at.get("$ref").and_then(Value::as_str);
        let Some(next) = target.and_then(|it| root.pointer(it.strip_prefix('#')?)) else {
            return at;
        };
        at = next;
    }
    at
}

fn literals(path: &str) -> impl Iterator<Item = &str> {
    path.split('/')
        .filter(|segment| !segment.is_empty() && !segment.starts_with('{'))
}

type Template = (String, Vec<(String, Name)>);

/// The path with its parameters as names, each with how the description writes it; `None` where a segment is neither
/// text nor one parameter.
fn template(path: &str) -> Option<Template> {
    let mut parameters: Vec<(String, Name)> = Vec::new();
    let mut segments = Vec::new();
    for segment in path.split('/') {
        let inner = segment.strip_prefix('{').and_then(|rest| rest.strip_suffix('}'));
        match inner {
            Some(written) if !written.contains(['{', '}']) => {
                let name = slug(written).filter(|name| parameters.iter().all(|(_, known)| known != name))?;
                segments.push(format!("{{{name}}}"));
                parameters.push((written.to_owned(), name));
            }
            _ if segment.contains(['{', '}']) => return None,
            _ => segments.push(segment.to_owned()),
        }
    }
    Some((segments.join("/"), parameters))
}
