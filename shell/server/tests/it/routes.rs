//! Every route of the admin API, as the OpenAPI document lists it: closed to nobody's, former and other orgs' callers.

use crate::people::{Browser, Town};
use broker::world::Role;
use http::Method;
use serde_json::{Value, json};
use std::collections::BTreeSet;

const DOCUMENT: &str = include_str!("../../src/admin/openapi.json");
const SOURCE: &str = include_str!("../../src/admin/mod.rs");

/// Routes that answer anybody. This list may only get shorter.
const OPEN: [(&str, &str); 1] = [("GET", "/v1/openapi.json")];

/// (method, path) of every operation.
fn documented() -> Vec<(Method, String)> {
    let document: Value = serde_json::from_str(DOCUMENT).unwrap();
    let mut all = Vec::new();
    for (path, operations) in document["paths"].as_object().unwrap() {
        for method in operations.as_object().unwrap().keys() {
            all.push((method.to_uppercase().parse().unwrap(), path.clone()));
        }
    }
    all
}

/// The same, read from the source: a route that nobody documented is found here.
fn routed() -> BTreeSet<(String, String)> {
    let mut all = BTreeSet::new();
    let routes = SOURCE.split("Router::new()").nth(1).unwrap();
    for route in routes.split(".route(").skip(1) {
        let path = route.split('"').nth(1).unwrap().replace("{*path}", "{path}");
        let handlers = route.split(".method_not_allowed_fallback").next().unwrap();
        for method in ["get", "post", "delete", "put", "patch"] {
            let calls = [
                format!(" {method}("),
                format!(".{method}("),
                format!("\n{method}("),
            ];
            if calls.iter().any(|call| handlers.contains(call)) {
                all.insert((method.to_uppercase(), path.clone()));
            }
        }
    }
    all
}

#[test]
fn every_route_is_in_the_openapi_document_and_the_reverse() {
    let documented = documented()
        .into_iter()
        .map(|(method, path)| (method.to_string(), path))
        .collect::<BTreeSet<_>>();
    assert_eq!(routed(), documented);
}

/// A path with names of things that the first org has.
fn concrete(path: &str) -> String {
    path.replace("/agents/{name}", "/agents/demo-billing")
        .replace("/upstreams/{name}", "/upstreams/invoices")
        .replace("/principals/{name}", "/principals/tester")
        .replace("{reference}", "demo-billing@1")
        .replace("{tenant}", "acme-eu")
        .replace("{place}", "0:1")
        .replace("{path}", "checkpoint")
        .replace("{name}", "cron")
        .replace("{id}", "x")
        .replace("{hash}", "x")
}

async fn walk(browser: &Browser, wanted: impl Fn(&Method, &str, u16, &str)) {
    for (method, path) in documented() {
        if OPEN.contains(&(method.as_str(), &path)) || path.ends_with("/tail") {
            continue;
        }
        let answer = browser.script(method.clone(), &concrete(&path), &json!({})).await;
        wanted(&method, &path, answer.status.as_u16(), &answer.text());
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn no_route_answers_nobody_or_somebody_who_was_removed() {
    let town = Town::new().await;
    let closed = |method: &Method, path: &str, status: u16, text: &str| {
        assert_eq!(status, 401, "{method} {path}: {text}");
        assert!(text.contains("SESSION_NEEDED"), "{method} {path}: {text}");
    };
    walk(&town.browser(), closed).await;
    let ann = town.principal("ann", &[Role::Admin]).await;
    town.remove("ann").await;
    walk(&ann, closed).await;
    // The endless answer is closed as well.
    let tail = ann.get("/v1/entries/tail").await;
    assert_eq!(tail.status, 401);
    town.end().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn an_administrator_of_another_org_gets_nothing_of_this_one() {
    let town = Town::new().await;
    let place = &town.place;
    place.publish_upstream(place.org, "invoices").await;
    let rival = {
        let (source, world) = (place.draw(), place.installation().store.world());
        let name = "rival".parse().unwrap();
        let created = broker::inventory::create_org(&world, &place.admin(), name, &mut source.draw());
        let created = place.grant(created).await;
        created.get().made().at(created.revision())
    };
    town.add_to("eve", &[Role::Admin], Some(rival)).await;
    let eve = town.enrolled("eve").await;
    let secrets = [
        "demo-billing",
        "invoices",
        "acme-eu",
        &place.org.to_string(),
        "tester",
    ];
    walk(&eve, |method, path, status, text| {
        assert!(status < 500, "{method} {path}: {status} {text}");
        let own = path == "/v1/status" || path.starts_with("/v1/log/");
        // A name that the caller said is repeated to them; lists and documents hold none.
        let repeats = path.contains('{');
        for secret in secrets {
            assert!(
                own || repeats || !text.contains(secret),
                "{method} {path} tells {secret}: {text}"
            );
        }
        if repeats && !own {
            assert!(
                matches!(status, 400 | 403 | 404 | 409 | 422),
                "{method} {path}: {status} {text}"
            );
        }
        if method != Method::GET {
            assert!(!(200..300).contains(&status), "{method} {path}: {status} {text}");
        }
    })
    .await;
    let status = eve.script(Method::GET, "/v1/status", &json!({})).await.text();
    assert!(
        !status.contains("demo-billing") && !status.contains(&place.org.to_string()),
        "{status}"
    );
    town.end().await;
}
