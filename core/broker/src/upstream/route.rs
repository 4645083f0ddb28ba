//! A request becomes the action it is: match its method and path, then read its arguments and tenant.
//!
//! Routes are compiled once per version of an upstream; matching one decodes the target once and allocates little.
//! The first route that matches wins; what matches none is refused, and so is a query parameter that the route does
//! not declare: a decision covers all that the request says, or says why not. Bodies are read only where a route
//! takes something from them; then they are JSON, whole, at most [`BODY_BYTES_MAX`](super::BODY_BYTES_MAX) bytes.

use super::body::{self, BodyError};
use super::target::{self, TargetError};
use super::{ArgumentKind, Place, Route};
use identity::Name;
use policy::contract::Sensitivity;
use policy::{DataLabels, Readers, Sink};
use serde_json::Value;
use std::borrow::Cow;
use std::sync::Arc;

/// Most routes of one upstream: each is compared in turn.
pub const ROUTES_MAX: usize = 256;
/// Methods that can be routed. `CONNECT` and `TRACE` never are: one tunnels, the other echoes credentials.
pub const METHODS: [&str; 7] = ["GET", "HEAD", "POST", "PUT", "PATCH", "DELETE", "OPTIONS"];
/// Longest value of one argument in bytes; it is also a fact of the entry.
pub const ARGUMENT_BYTES_MAX: usize = 1024;
/// Most texts in one list argument.
pub const TEXTS_MAX: usize = 64;

/// Headers that Tabard itself reads, writes or strips, or that frame the message: none can carry an argument.
const NOT_ARGUMENTS: [&str; 14] = [
    "authorization",
    "connection",
    "content-length",
    "cookie",
    "dpop",
    "expect",
    "forwarded",
    "host",
    "keep-alive",
    "proxy-authorization",
    "te",
    "trailer",
    "transfer-encoding",
    "upgrade",
];

/// What is wrong with one route of a definition.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("route {route}: {what}")]
pub struct RouteFault {
    /// Which one, from zero.
    pub route: usize,
    /// What is wrong with it.
    pub what: String,
}

/// What the routes of one upstream were compiled into.
#[derive(Debug, Clone, Default)]
pub struct Routes(Vec<Compiled>);

#[derive(Debug, Clone)]
struct Compiled {
    method: Box<str>,
    segments: Box<[Segment]>,
    action: Name,
    resource_type: Name,
    resource_id: Option<usize>,
    arguments: Box<[Source]>,
    tenant: Option<Source>,
    version: Option<Source>,
    wants_body: bool,
    data: Option<Arc<DataLabels>>,
    sink: Option<Arc<Sink>>,
}

#[derive(Debug, Clone, PartialEq, Eq)]
enum Segment {
    Literal(Box<str>),
    Parameter,
}

/// One thing to read out of a request.
#[derive(Debug, Clone)]
struct Source {
    name: Name,
    kind: ArgumentKind,
    from: Where,
}

#[derive(Debug, Clone)]
enum Where {
    Segment(usize),
    Query(Box<str>),
    Header(Box<str>),
    Body(Box<[Box<str>]>),
}

/// The value of one argument.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum ArgumentValue {
    /// Text.
    Text(String),
    /// A whole number.
    Integer(i64),
    /// `true` or `false`.
    Boolean(bool),
    /// A list of texts.
    Texts(Vec<String>),
}

/// A request, as contracts speak of it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Mapped {
    /// The action it is.
    pub action: Name,
    /// What kind of thing it touches.
    pub resource_type: Name,
    /// Which one: a decoded path segment, or the path as it came.
    pub resource_id: String,
    /// The declared arguments that it carries, in declared order.
    pub arguments: Vec<(Name, ArgumentValue)>,
    /// Whose data it touches, where the route says.
    pub tenant: Option<Name>,
    /// The version of the content that it acts upon, where the route says where that stands.
    pub version: Version,
    /// What data it returns, where the route says.
    pub data: Option<Arc<DataLabels>>,
    /// What it carries out.
    pub sink: Option<Arc<Sink>>,
}

/// The version of the content that a request acts upon.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub enum Version {
    /// The route does not say that there is one.
    #[default]
    Unversioned,
    /// The route says where, and the request does not name one.
    Missing,
    /// This one.
    Named(String),
}

impl Version {
    /// What the request names.
    pub fn named(&self) -> Option<&str> {
        match self {
            Self::Named(version) => Some(version),
            Self::Unversioned | Self::Missing => None,
        }
    }
}

impl Mapped {
    /// The values of the arguments that say where it goes, or whom it concerns.
    pub fn destinations(&self) -> Vec<&str> {
        let names = self.sink.iter().flat_map(|sink| &sink.destinations);
        let values = names.filter_map(|name| self.arguments.iter().find(|(known, _)| known == name));
        values
            .flat_map(|(_, value)| match value {
                ArgumentValue::Text(text) => vec![text.as_str()],
                ArgumentValue::Texts(texts) => texts.iter().map(String::as_str).collect(),
                ArgumentValue::Integer(_) | ArgumentValue::Boolean(_) => Vec::new(),
            })
            .collect()
    }
}

/// A header stands more than once, or in a value that is not visible ASCII.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Repeated;

/// Read access to the headers of a request.
pub trait CallHeaders {
    /// The one value of the header `name` (lower case).
    fn single(&self, name: &str) -> Result<Option<&str>, Repeated>;
}

/// Why a request is no action. Each is a refusal; none says what another request might have got.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum NotMapped {
    /// Nothing declared matches.
    #[error("no route of this upstream matches the method and path")]
    NoRoute,
    /// Its target can be read in two ways.
    #[error(transparent)]
    Target(#[from] TargetError),
    /// Its body can be read in two ways, or not at all.
    #[error(transparent)]
    Body(#[from] BodyError),
    /// A parameter that the route does not declare.
    #[error("the query holds a parameter that the route does not declare")]
    UndeclaredParameter,
    /// A declared parameter or header more than once.
    #[error("the argument \"{0}\" stands more than once, or in characters that servers read differently")]
    Repeated(Name),
    /// Not of its declared kind, or too long.
    #[error("the argument \"{0}\" is not of its declared kind, or longer than 1024 bytes")]
    Kind(Name),
    /// The route says where the tenant stands, and it does not.
    #[error("the request does not name a tenant where its route says it must")]
    Tenant,
}

impl NotMapped {
    /// The stable spelling for callers.
    pub const fn code(&self) -> &'static str {
        match self {
            Self::NoRoute => "NO_ROUTE",
            Self::Target(_) => "TARGET_AMBIGUOUS",
            Self::Body(BodyError::TooLong) => "BODY_TOO_LONG",
            Self::Body(_) => "BODY_AMBIGUOUS",
            Self::UndeclaredParameter => "PARAMETER_UNDECLARED",
            Self::Repeated(_) => "ARGUMENT_REPEATED",
            Self::Kind(_) => "ARGUMENT_KIND",
            Self::Tenant => "TENANT_MISSING",
        }
    }
}

/// A route that matches a request, before its arguments are read.
#[derive(Debug)]
pub struct Found<'r> {
    route: &'r Compiled,
    path: &'r [u8],
    segments: Vec<Cow<'r, str>>,
    parameters: Vec<target::Parameter<'r>>,
}

impl Routes {
    /// Compiles routes; names every one that cannot be.
    pub fn compile(routes: &[Route]) -> Result<Self, Vec<RouteFault>> {
        let mut compiled: Vec<Compiled> = Vec::with_capacity(routes.len());
        let mut faults = Vec::new();
        for (route, definition) in routes.iter().enumerate() {
            match compile(definition) {
                Ok(one) if compiled.iter().any(|before| before.shadows(&one)) => faults.push(RouteFault {
                    route,
                    what: "an earlier route with the same method and path always wins".to_owned(),
                }),
                Ok(one) => compiled.push(one),
                Err(what) => faults.push(RouteFault { route, what }),
            }
        }
        if routes.len() > ROUTES_MAX {
            faults.push(RouteFault {
                route: ROUTES_MAX,
                what: "an upstream has at most 256 routes".to_owned(),
            });
        }
        if faults.is_empty() {
            Ok(Self(compiled))
        } else {
            Err(faults)
        }
    }

    /// The first route that matches. `path` is the absolute path as it will be sent; `query` without its `?`.
    pub fn find<'r>(
        &'r self,
        method: &str,
        path: &'r [u8],
        query: Option<&'r [u8]>,
    ) -> Result<Found<'r>, NotMapped> {
        let segments = target::segments(path)?;
        let parameters = target::parameters(query.unwrap_or_default())?;
        let route = self
            .0
            .iter()
            .find(|route| route.matches(method, &segments))
            .ok_or(NotMapped::NoRoute)?;
        for (name, _) in &parameters {
            if !route.declares(name) {
                return Err(NotMapped::UndeclaredParameter);
            }
        }
        Ok(Found {
            route,
            path,
            segments,
            parameters,
        })
    }
}

impl Compiled {
    fn matches(&self, method: &str, segments: &[Cow<'_, str>]) -> bool {
        self.segments.len() == segments.len()
            && *self.method == *method
            && self
                .segments
                .iter()
                .zip(segments)
                .all(|(template, segment)| match template {
                    Segment::Literal(text) => **text == **segment,
                    Segment::Parameter => !segment.is_empty(),
                })
    }
    fn shadows(&self, later: &Self) -> bool {
        self.method == later.method
            && self.segments.len() == later.segments.len()
            && self
                .segments
                .iter()
                .zip(&later.segments)
                .all(|(ours, theirs)| ours == theirs || *ours == Segment::Parameter)
    }
    fn declares(&self, parameter: &str) -> bool {
        self.arguments
            .iter()
            .chain(&self.tenant)
            .chain(&self.version)
            .any(|source| matches!(&source.from, Where::Query(name) if **name == *parameter))
    }
}

impl Found<'_> {
    /// The action it is.
    pub const fn action(&self) -> &Name {
        &self.route.action
    }
    /// Whether the body decides, and has to be read before the decision.
    pub const fn wants_body(&self) -> bool {
        self.route.wants_body
    }

    /// Reads what the route declares. `body` is the whole body where [`Found::wants_body`], and is not looked at
    /// otherwise; an empty one carries no argument.
    pub fn map(self, headers: &impl CallHeaders, body: &[u8]) -> Result<Mapped, NotMapped> {
        let route = self.route;
        let body = if route.wants_body && !body.is_empty() {
            Some(body::parse(body)?)
        } else {
            None
        };
        let mut arguments = Vec::with_capacity(route.arguments.len());
        for source in &route.arguments {
            if let Some(value) = self.read(source, headers, body.as_ref())? {
                arguments.push((source.name.clone(), value));
            }
        }
        let tenant = match &route.tenant {
            None => None,
            Some(source) => match self.read(source, headers, body.as_ref())? {
                Some(ArgumentValue::Text(text)) => Some(text.parse().map_err(|_| NotMapped::Tenant)?),
                _ => return Err(NotMapped::Tenant),
            },
        };
        let version = match &route.version {
            None => Version::Unversioned,
            Some(source) => match self.read(source, headers, body.as_ref())? {
                Some(ArgumentValue::Text(version)) => Version::Named(version),
                _ => Version::Missing,
            },
        };
        let resource_id = match route.resource_id {
            Some(place) => self
                .segments
                .get(place)
                .map_or_else(String::new, |segment| segment.clone().into_owned()),
            None => String::from_utf8_lossy(self.path).into_owned(),
        };
        Ok(Mapped {
            action: route.action.clone(),
            resource_type: route.resource_type.clone(),
            resource_id,
            arguments,
            tenant,
            version,
            data: route.data.clone(),
            sink: route.sink.clone(),
        })
    }

    fn read(
        &self,
        source: &Source,
        headers: &impl CallHeaders,
        body: Option<&Value>,
    ) -> Result<Option<ArgumentValue>, NotMapped> {
        let repeated = || NotMapped::Repeated(source.name.clone());
        let text: Option<&str> = match &source.from {
            Where::Segment(place) => self.segments.get(*place).map(|segment| &**segment),
            Where::Query(wanted) => {
                let mut values = self.parameters.iter().filter(|(name, _)| **name == **wanted);
                let first = values.next();
                if values.next().is_some() {
                    return Err(repeated());
                }
                first.map(|(_, value)| &**value)
            }
            Where::Header(name) => headers.single(name).map_err(|Repeated| repeated())?,
            Where::Body(pointer) => {
                let Some(body) = body else { return Ok(None) };
                return body::find(body, pointer)?
                    .map(|value| {
                        from_json(value, source.kind).ok_or_else(|| NotMapped::Kind(source.name.clone()))
                    })
                    .transpose();
            }
        };
        text.map(|text| from_text(text, source.kind).ok_or_else(|| NotMapped::Kind(source.name.clone())))
            .transpose()
    }
}

pub(super) fn from_text(text: &str, kind: ArgumentKind) -> Option<ArgumentValue> {
    match kind {
        ArgumentKind::Text => {
            (text.len() <= ARGUMENT_BYTES_MAX).then(|| ArgumentValue::Text(text.to_owned()))
        }
        ArgumentKind::Integer => {
            let digits = text.strip_prefix('-').unwrap_or(text);
            let plain = text == "0" || digits.bytes().all(|b| b.is_ascii_digit()) && !digits.starts_with('0');
            plain
                .then(|| text.parse().ok().map(ArgumentValue::Integer))
                .flatten()
        }
        ArgumentKind::Boolean => match text {
            "true" => Some(ArgumentValue::Boolean(true)),
            "false" => Some(ArgumentValue::Boolean(false)),
            _ => None,
        },
        ArgumentKind::Texts => None,
    }
}

pub(super) fn from_json(value: &Value, kind: ArgumentKind) -> Option<ArgumentValue> {
    match (kind, value) {
        (ArgumentKind::Text, Value::String(text)) => from_text(text, kind),
        (ArgumentKind::Integer, Value::Number(number)) => number.as_i64().map(ArgumentValue::Integer),
        (ArgumentKind::Boolean, Value::Bool(value)) => Some(ArgumentValue::Boolean(*value)),
        (ArgumentKind::Texts, Value::Array(items)) if items.len() <= TEXTS_MAX => items
            .iter()
            .map(|item| {
                item.as_str()
                    .filter(|text| text.len() <= ARGUMENT_BYTES_MAX)
                    .map(str::to_owned)
            })
            .collect::<Option<_>>()
            .map(ArgumentValue::Texts),
        _ => None,
    }
}

/// What a route carries out. One that says nothing and is no plain read is taken to change something that somebody
/// would want to have been asked about.
pub fn sink_in_force(route: &Route) -> Option<Sink> {
    let reads = matches!(route.method.as_str(), "GET" | "HEAD" | "OPTIONS");
    let undeclared = || Sink {
        clearance: Sensitivity::Internal,
        readers: Readers::Everyone,
        egress: false,
        consequential: true,
        destinations: Vec::new(),
    };
    route.sink.clone().or_else(|| (!reads).then(undeclared))
}

/// The same, once it is known that its destinations are arguments of the route.
fn sink(route: &Route) -> Result<Option<Sink>, String> {
    let Some(sink) = &route.sink else {
        return Ok(sink_in_force(route));
    };
    for name in &sink.destinations {
        let argument = route.arguments.iter().find(|argument| argument.name == *name);
        if !argument.is_some_and(|argument| matches!(argument.kind, ArgumentKind::Text | ArgumentKind::Texts))
        {
            return Err(format!(
                "the destination \"{name}\" is no argument of the route that holds text"
            ));
        }
    }
    Ok(Some(sink.clone()))
}

fn compile(route: &Route) -> Result<Compiled, String> {
    if !METHODS.contains(&route.method.as_str()) {
        return Err(format!(
            "the method {:?} is not one of {}",
            route.method,
            METHODS.join(", ")
        ));
    }
    let (segments, names) = template(&route.path)?;
    let place_of = |wanted: &str| {
        names
            .iter()
            .find(|(name, _)| *name == wanted)
            .map(|(_, place)| *place)
            .ok_or_else(|| format!("the path has no {{{wanted}}}"))
    };
    let source = |name: &Name, kind: ArgumentKind, from: &Place| -> Result<Source, String> {
        let from = match from {
            Place::Path(parameter) => Where::Segment(place_of(parameter)?),
            Place::Query(parameter) => {
                if parameter.is_empty() || parameter.len() > 128 || parameter.chars().any(char::is_control) {
                    return Err(format!("{parameter:?} is not the name of a query parameter"));
                }
                Where::Query(parameter.as_str().into())
            }
            Place::Header(header) => {
                let token = !header.is_empty()
                    && header.len() <= 64
                    && header
                        .bytes()
                        .all(|b| matches!(b, b'a'..=b'z' | b'0'..=b'9' | b'-'));
                if !token || NOT_ARGUMENTS.contains(&header.as_str()) {
                    return Err(format!(
                        "{header:?} is not a header that can carry an argument, in lower case"
                    ));
                }
                Where::Header(header.as_str().into())
            }
            Place::Body(text) => Where::Body(
                body::pointer(text)
                    .ok_or_else(|| format!("{text:?} is not a JSON pointer such as \"/invoice/id\""))?,
            ),
        };
        if kind == ArgumentKind::Texts && !matches!(from, Where::Body(_)) {
            return Err(format!("\"{name}\": a list of texts can stand only in a body"));
        }
        Ok(Source {
            name: name.clone(),
            kind,
            from,
        })
    };
    let mut arguments = Vec::with_capacity(route.arguments.len());
    for (place, argument) in route.arguments.iter().enumerate() {
        if route
            .arguments
            .iter()
            .take(place)
            .any(|before| before.name == argument.name)
        {
            return Err(format!("the argument \"{}\" is declared twice", argument.name));
        }
        arguments.push(source(&argument.name, argument.kind, &argument.from)?);
    }
    let tenant = match &route.tenant {
        Some(place) => Some(source(&route.resource_type, ArgumentKind::Text, place)?),
        None => None,
    };
    let version = match &route.version {
        Some(place) => Some(source(&route.resource_type, ArgumentKind::Text, place)?),
        None => None,
    };
    let wants_body = arguments
        .iter()
        .chain(&tenant)
        .chain(&version)
        .any(|source| matches!(source.from, Where::Body(_)));
    if wants_body && matches!(route.method.as_str(), "GET" | "HEAD") {
        return Err("GET and HEAD have no body that servers agree on (RFC 9110 section 9.3.1)".to_owned());
    }
    Ok(Compiled {
        method: route.method.as_str().into(),
        segments,
        action: route.action.clone(),
        resource_type: route.resource_type.clone(),
        resource_id: route.resource_id.as_deref().map(place_of).transpose()?,
        arguments: arguments.into(),
        tenant,
        version,
        wants_body,
        data: route.data.clone().map(Arc::new),
        sink: sink(route)?.map(Arc::new),
    })
}

/// The segments of a path template, and its parameters with their places.
#[expect(clippy::type_complexity, reason = "two lists that are taken apart at once")]
fn template(path: &str) -> Result<(Box<[Segment]>, Vec<(&str, usize)>), String> {
    let rest = path.strip_prefix('/').ok_or("the path does not begin with '/'")?;
    let mut names: Vec<(&str, usize)> = Vec::new();
    let mut segments = Vec::new();
    for (place, text) in rest.split('/').enumerate() {
        if let Some(name) = text.strip_prefix('{').and_then(|text| text.strip_suffix('}')) {
            let plain = !name.is_empty()
                && name
                    .bytes()
                    .all(|b| b.is_ascii_alphanumeric() || b == b'_' || b == b'-');
            if !plain || names.iter().any(|(known, _)| *known == name) {
                return Err(format!("{{{name}}} is not a parameter name, or stands twice"));
            }
            names.push((name, place));
            segments.push(Segment::Parameter);
        } else if text.contains(['%', '{', '}', '?', '*']) {
            return Err(format!(
                "the segment {text:?} is neither literal text nor one {{name}}"
            ));
        } else {
            segments.push(Segment::Literal(text.into()));
        }
    }
    // Literal text must be something that a request can say at all.
    let said: String = rest
        .split('/')
        .map(|text| {
            if text.starts_with('{') {
                "/x".to_owned()
            } else {
                format!("/{text}")
            }
        })
        .collect();
    target::segments(said.as_bytes()).map_err(|error| error.to_string())?;
    Ok((segments.into(), names))
}

#[cfg(test)]
mod tests;
