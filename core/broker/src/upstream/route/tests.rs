use super::*;
use crate::upstream::{Argument, Manifest};
use proptest::prelude::*;

const INVOICES: &str = include_str!("../../../../../testdata/upstreams/invoices.yaml");

struct Headers(Vec<(&'static str, &'static str)>);

impl CallHeaders for Headers {
    fn single(&self, name: &str) -> Result<Option<&str>, Repeated> {
        let mut values = self.0.iter().filter(|(known, _)| *known == name);
        let first = values.next();
        if values.next().is_some() {
            Err(Repeated)
        } else {
            Ok(first.map(|(_, value)| *value))
        }
    }
}

fn invoices() -> Routes {
    Routes::compile(&Manifest::parse("i", INVOICES.as_bytes()).unwrap().routes).unwrap()
}

fn name(text: &str) -> Name {
    text.parse().unwrap()
}

fn route(method: &str, path: &str, arguments: &[(&str, Place, ArgumentKind)]) -> Route {
    let arguments = arguments
        .iter()
        .map(|(argument, from, kind)| Argument {
            name: name(argument),
            from: from.clone(),
            kind: *kind,
        })
        .collect();
    Route {
        version: None,
        data: None,
        sink: None,
        method: method.into(),
        path: path.into(),
        action: name("a"),
        resource_type: name("t"),
        resource_id: None,
        arguments,
        tenant: None,
    }
}

fn map(routes: &Routes, method: &str, target: &str, body: &str) -> Result<Mapped, NotMapped> {
    let (path, query) = target
        .split_once('?')
        .map_or((target, None), |(path, query)| (path, Some(query)));
    routes
        .find(method, path.as_bytes(), query.map(str::as_bytes))?
        .map(&Headers(vec![]), body.as_bytes())
}

#[test]
fn a_request_becomes_the_action_that_its_route_says() {
    let routes = invoices();
    let read = map(&routes, "GET", "/tenants/acme-eu/invoices/4711", "").unwrap();
    assert_eq!(
        (read.action.as_str(), read.resource_id.as_str()),
        ("invoices.read", "4711")
    );
    assert_eq!(read.tenant, Some(name("acme-eu")));
    let list = map(
        &routes,
        "GET",
        "/tenants/acme-eu/invoices?limit=10&status=open",
        "",
    )
    .unwrap();
    assert_eq!(
        list.arguments,
        [
            (name("status"), ArgumentValue::Text("open".into())),
            (name("limit"), ArgumentValue::Integer(10)),
        ]
    );
    assert_eq!(list.resource_id, "/tenants/acme-eu/invoices");
    let refund = map(
        &routes,
        "POST",
        "/tenants/acme-eu/invoices/4711/refunds",
        r#"{"amount":{"minor":500,"currency":"EUR"},"note":"x"}"#,
    )
    .unwrap();
    assert_eq!(refund.arguments[0].1, ArgumentValue::Integer(500));
}

#[test]
fn what_no_route_declares_is_refused() {
    let routes = invoices();
    for (method, target, refusal) in [
        ("DELETE", "/tenants/acme-eu/invoices/4711", NotMapped::NoRoute),
        ("get", "/tenants/acme-eu/invoices/4711", NotMapped::NoRoute),
        ("HEAD", "/tenants/acme-eu/invoices/4711", NotMapped::NoRoute),
        ("GET", "/tenants/acme-eu/invoices/4711/", NotMapped::NoRoute),
        ("GET", "/tenants/acme-eu/Invoices/4711", NotMapped::NoRoute),
        (
            "GET",
            "/tenants//invoices",
            NotMapped::Target(TargetError::EmptySegment),
        ),
        (
            "GET",
            "/tenants/a/../b/invoices",
            NotMapped::Target(TargetError::Dots),
        ),
        (
            "GET",
            "/tenants/acme-eu/invoices?tenant=b",
            NotMapped::UndeclaredParameter,
        ),
        (
            "GET",
            "/tenants/acme-eu/invoices?status[]=open",
            NotMapped::UndeclaredParameter,
        ),
        (
            "GET",
            "/tenants/acme-eu/invoices?Status=open",
            NotMapped::UndeclaredParameter,
        ),
        (
            "GET",
            "/tenants/acme-eu/invoices?_method=DELETE",
            NotMapped::UndeclaredParameter,
        ),
        (
            "GET",
            "/tenants/acme-eu/invoices?status=a&status=b",
            NotMapped::Repeated(name("status")),
        ),
        (
            "GET",
            "/tenants/acme-eu/invoices?status=a&st%61tus=b",
            NotMapped::Repeated(name("status")),
        ),
        ("GET", "/tenants/ACME/invoices", NotMapped::Tenant),
        (
            "GET",
            "/tenants/acme-eu/invoices?limit=1e3",
            NotMapped::Kind(name("limit")),
        ),
        (
            "GET",
            "/tenants/acme-eu/invoices?limit=007",
            NotMapped::Kind(name("limit")),
        ),
        (
            "GET",
            "/tenants/acme-eu/invoices?limit=%2B7",
            NotMapped::Kind(name("limit")),
        ),
        (
            "GET",
            "/tenants/acme-eu/invoices?limit=",
            NotMapped::Kind(name("limit")),
        ),
        (
            "GET",
            "/tenants/acme-eu/invoices?limit=9223372036854775808",
            NotMapped::Kind(name("limit")),
        ),
    ] {
        assert_eq!(
            map(&routes, method, target, ""),
            Err(refusal),
            "{method} {target}"
        );
    }
}

#[test]
fn a_body_that_decides_has_one_reading() {
    let routes = invoices();
    let refund = |body: &str| map(&routes, "POST", "/tenants/acme-eu/invoices/1/refunds", body);
    assert_eq!(
        refund(r#"{"amount":{"minor":1,"minor":999999}}"#),
        Err(NotMapped::Body(BodyError::Malformed))
    );
    assert_eq!(
        refund(r#"{"amount":{"minor":1,"Minor":9}}"#),
        Err(NotMapped::Body(BodyError::CaseTwins))
    );
    assert_eq!(
        refund(r#"{"amount":{"minor":1.5}}"#),
        Err(NotMapped::Kind(name("amount_minor")))
    );
    assert_eq!(
        refund(r#"{"amount":{"minor":1.0}}"#),
        Err(NotMapped::Kind(name("amount_minor")))
    );
    assert_eq!(
        refund(r#"{"amount":{"minor":"1"}}"#),
        Err(NotMapped::Kind(name("amount_minor")))
    );
    assert_eq!(
        refund(r#"{"amount":{"minor":null}}"#),
        Err(NotMapped::Kind(name("amount_minor")))
    );
    assert_eq!(refund("amount=1"), Err(NotMapped::Body(BodyError::Malformed)));
    assert_eq!(refund("{}").unwrap().arguments, []);
    assert_eq!(refund("").unwrap().arguments, []);
}

#[test]
fn headers_and_lists_carry_arguments_too() {
    let routes = Routes::compile(&[route(
        "POST",
        "/mail",
        &[
            ("to", Place::Body("/to".into()), ArgumentKind::Texts),
            ("urgent", Place::Header("x-urgent".into()), ArgumentKind::Boolean),
        ],
    )])
    .unwrap();
    let found = |headers: Vec<(&'static str, &'static str)>| {
        let found = routes.find("POST", b"/mail", None).unwrap();
        assert!(found.wants_body());
        found.map(&Headers(headers), br#"{"to":["a@b.example"]}"#)
    };
    let mail = found(vec![("x-urgent", "true")]).unwrap();
    assert_eq!(
        mail.arguments[0].1,
        ArgumentValue::Texts(vec!["a@b.example".into()])
    );
    assert_eq!(mail.arguments[1].1, ArgumentValue::Boolean(true));
    assert_eq!(
        found(vec![("x-urgent", "yes")]),
        Err(NotMapped::Kind(name("urgent")))
    );
    assert_eq!(
        found(vec![("x-urgent", "true"), ("x-urgent", "false")]),
        Err(NotMapped::Repeated(name("urgent")))
    );
}

#[test]
fn routes_that_cannot_work_are_named() {
    let text = ArgumentKind::Text;
    for bad in [
        route("CONNECT", "/a", &[]),
        route("TRACE", "/a", &[]),
        route("GET", "a", &[]),
        route("GET", "/a//b", &[]),
        route("GET", "/a/../b", &[]),
        route("GET", "/a/{x}{y}", &[]),
        route("GET", "/a/{x}/{x}", &[]),
        route("GET", "/a/*", &[]),
        route("GET", "/a b", &[]),
        route("GET", "/a", &[("x", Place::Path("y".into()), text)]),
        route("GET", "/a", &[("x", Place::Header("authorization".into()), text)]),
        route("GET", "/a", &[("x", Place::Header("X-A".into()), text)]),
        route("GET", "/a", &[("x", Place::Body("/x".into()), text)]),
        route("POST", "/a", &[("x", Place::Body("x".into()), text)]),
        route(
            "GET",
            "/a",
            &[("x", Place::Query("x".into()), ArgumentKind::Texts)],
        ),
        route(
            "GET",
            "/a",
            &[
                ("x", Place::Query("x".into()), text),
                ("x", Place::Query("y".into()), text),
            ],
        ),
    ] {
        let faults = Routes::compile(&[route("GET", "/ok", &[]), bad.clone()]).unwrap_err();
        assert_eq!(
            faults.iter().map(|fault| fault.route).collect::<Vec<_>>(),
            [1],
            "{bad:?}"
        );
    }
    let hidden = [route("GET", "/a/{x}", &[]), route("GET", "/a/b", &[])];
    assert_eq!(Routes::compile(&hidden).unwrap_err()[0].route, 1);
    let ordered = [route("GET", "/a/b", &[]), route("GET", "/a/{x}", &[])];
    assert!(Routes::compile(&ordered).is_ok());
}

proptest! {
    /// However a request is spelt, it maps to an action whose literal segments it really names, or to none.
    #[test]
    fn a_mapped_request_names_what_its_route_says(
        method in "GET|POST|DELETE",
        path in "/(tenants|t%65nants|TENANTS)/[a-z%.;0-9/]{1,12}(/invoices|/%69nvoices|//invoices)?(/[0-9a-f%.]{1,6})?",
        query in proptest::option::of("[a-z=&%;0-9]{0,12}"),
    ) {
        let routes = invoices();
        if let Ok(found) = routes.find(&method, path.as_bytes(), query.as_deref().map(str::as_bytes)) {
            prop_assert_eq!(method.as_str(), "GET");
            let plain = path.replace("%65", "e").replace("%69", "i");
            prop_assert!(plain.starts_with("/tenants/"));
            prop_assert!(plain.contains("/invoices"));
            prop_assert!(!path.contains("//") && !path.contains(';') && !path.contains("/../"));
            let _mapped = found.map(&Headers(vec![]), b"");
        }
    }

    #[test]
    fn arbitrary_requests_never_panic(
        path in proptest::collection::vec(any::<u8>(), 0..64),
        query in proptest::collection::vec(any::<u8>(), 0..64),
        body in proptest::collection::vec(any::<u8>(), 0..64),
    ) {
        let routes = invoices();
        let _found = routes.find("GET", &path, Some(&query));
        let refund = routes.find("POST", b"/tenants/a/invoices/b/refunds", None).unwrap();
        let _mapped = refund.map(&Headers(vec![]), &body);
    }
}
