//! Every route of the server, as the router itself lists it: closed to nobody, to former callers, and to those of other
//! orgs. A route that is new is walked without a word here; one that answers anybody has to be written down.

use crate::client::{Answer, Client};
use crate::documented;
use crate::hostile_member::member;
use crate::instance::Instance;
use crate::people::{Browser, Town};
use crate::pep::{Pep, publish};
use crate::place::Place;
use broker::world::{MemberRole, Role, Target};
use http::{Method, Request};
use http_body_util::Full;
use hyper::body::Bytes;
use identity::OrgId;
use serde_json::{Value, json};
use server::surface::{Listener, Route, every_route};
use std::collections::BTreeSet;

const DOCUMENT: &str = include_str!("../../src/admin/openapi.json");
const SYNC: &str = include_str!("../../../sync/proto/tabard.sync.v1.proto");

/// Documents that anybody may read, and the health of the server. This list may only get shorter.
const OPEN: [&str; 11] = [
    "GET /.well-known/authzen-configuration",
    "GET /.well-known/oauth-authorization-server",
    "GET /.well-known/openid-configuration",
    "GET /.well-known/spiffe-bundle",
    "GET /healthz",
    "GET /jwks.json",
    "GET /log/checkpoint",
    "GET /log/tile/{path}",
    // To this host, and to members of the trust domain.
    "GET /metrics",
    "GET /readyz",
    "GET /v1/openapi.json",
];

/// Where people and terminals come in: anybody may knock, and nothing opens by itself. This list may only get shorter.
const DOORS: [&str; 17] = [
    "GET /",
    "GET /ui",
    "GET /ui/invite",
    "GET /ui/login",
    "GET /ui/login/return",
    "GET /ui/passkey.js",
    "GET /ui/style.css",
    "POST /ui/invite/account",
    "POST /ui/invite/begin",
    "POST /ui/invite/passkey",
    "POST /ui/login/account",
    "POST /ui/login/backchannel/{provider}",
    "POST /ui/login/passkey",
    "POST /ui/login/passkey/begin",
    "POST /ui/verify/passkey/begin",
    "POST /v1/terminal-logins",
    "POST /v1/terminal-logins/poll",
];

/// What the OpenAPI document does not have, because another one does: RFC 8693, CIBA, AuthZEN and its profile for access
/// requests say what these take and answer. This list may only get shorter.
const STANDARD: [&str; 9] = [
    "GET /access/v1/requests/{id}",
    "POST /access/v1/evaluation",
    "POST /access/v1/evaluations",
    "POST /access/v1/requests",
    "POST /access/v1/search/action",
    "POST /access/v1/search/resource",
    "POST /access/v1/search/subject",
    "POST /oauth/bc-authorize",
    "POST /oauth/token",
];

/// Pages for browsers, and what their forms send: HTML, for people. This list may only get shorter.
const PAGES: [&str; 35] = [
    "GET /",
    "GET /ui",
    "GET /ui/",
    "GET /ui/approvals",
    "GET /ui/approvals/{id}",
    "GET /ui/exceptions",
    "GET /ui/invite",
    "GET /ui/login",
    "GET /ui/login/return",
    "GET /ui/me",
    "GET /ui/me/{org}/{agent}",
    "GET /ui/passkey.js",
    "GET /ui/passkeys",
    "GET /ui/proposals",
    "GET /ui/proposals/{hash}",
    "GET /ui/sessions",
    "GET /ui/style.css",
    "GET /ui/terminal",
    "GET /ui/verify",
    "POST /ui/approvals/{id}/vote",
    "POST /ui/approvals/{id}/withdraw",
    "POST /ui/exceptions/end",
    "POST /ui/exceptions/open",
    "POST /ui/invite/account",
    "POST /ui/login/account",
    "POST /ui/login/backchannel/{provider}",
    "POST /ui/logout",
    "POST /ui/me/give",
    "POST /ui/me/stop",
    "POST /ui/passkeys/remove",
    "POST /ui/proposals/{hash}/publish",
    "POST /ui/proposals/{hash}/withdraw",
    "POST /ui/sessions/end",
    "POST /ui/terminal",
    "POST /ui/verify/account",
];

fn name(route: &Route) -> String {
    format!("{} {}", route.method, route.path)
}

fn of(listener: Listener) -> Vec<Route> {
    let mut all = every_route();
    all.retain(|route| route.listener == listener);
    all
}

/// Every operation of the document.
fn documented() -> BTreeSet<String> {
    let document: Value = serde_json::from_str(DOCUMENT).unwrap();
    let mut all = BTreeSet::new();
    for (path, operations) in document["paths"].as_object().unwrap() {
        for method in operations.as_object().unwrap().keys() {
            all.insert(format!("{} {path}", method.to_uppercase()));
        }
    }
    all
}

#[test]
fn every_route_is_in_the_openapi_document_and_the_reverse() {
    let routed: BTreeSet<String> = every_route().iter().map(name).collect();
    assert_eq!(routed.len(), every_route().len(), "no route is served twice");
    let elsewhere: BTreeSet<String> = STANDARD.iter().chain(&PAGES).map(|it| (*it).to_owned()).collect();
    let both: Vec<_> = documented().intersection(&elsewhere).cloned().collect();
    assert!(both.is_empty(), "written down twice: {both:?}");
    let known: BTreeSet<String> = documented().union(&elsewhere).cloned().collect();
    assert_eq!(routed, known);
}

#[test]
fn the_lists_of_exceptions_name_routes_that_there_are() {
    let routed: BTreeSet<String> = every_route().iter().map(name).collect();
    for listed in OPEN.iter().chain(&DOORS) {
        assert!(routed.contains(*listed), "{listed}");
    }
}

/// A path with names of things that the first org has.
fn concrete(path: &str) -> String {
    path.replace("/agents/{name}", "/agents/demo-billing")
        .replace("/upstreams/{name}", "/upstreams/acme-erp")
        .replace("/principals/{name}", "/principals/tester")
        .replace("{org}/{agent}", "acme/demo-billing")
        .replace("{reference}", "demo-billing@1")
        .replace("{tenant}", "acme-eu")
        .replace("{place}", "0:1")
        .replace("{path}", "checkpoint")
        .replace("{name}", "cron")
        .replace("{provider}", "corp")
        .replace("{id}", "x")
        .replace("{hash}", "x")
}

/// Every route for administrators and people, but for those that anybody may ask, by a browser.
async fn walk(browser: &Browser, wanted: impl Fn(&Route, &Answer)) {
    let routes = of(Listener::Admin).into_iter().chain(of(Listener::People));
    for route in routes {
        let listed = name(&route);
        let open = OPEN.contains(&listed.as_str()) || DOORS.contains(&listed.as_str());
        // The endless answer is looked at by itself.
        if open || route.path.ends_with("/tail") {
            continue;
        }
        let path = concrete(&route.path);
        let answer = if route.listener == Listener::People && route.method == Method::GET {
            browser.get(&path).await
        } else {
            browser.script(route.method.clone(), &path, &json!({})).await
        };
        wanted(&route, &answer);
    }
}

/// Nobody is let in: a page leads to the login, everything else says that a session is needed.
fn closed(route: &Route, answer: &Answer) {
    let (status, text) = (answer.status.as_u16(), answer.text());
    if route.listener == Listener::People && route.method == Method::GET {
        assert_eq!(status, 303, "{route:?}: {text}");
        assert!(answer.header("location").starts_with("/ui/login"), "{route:?}");
        assert!(text.is_empty(), "{route:?}: {text}");
        return;
    }
    assert_eq!(status, 401, "{route:?}: {text}");
    assert!(text.contains("SESSION_NEEDED"), "{route:?}: {text}");
}

#[tokio::test(flavor = "multi_thread")]
async fn no_route_answers_nobody_or_somebody_who_was_removed() {
    let town = Town::new().await;
    walk(&town.browser(), closed).await;
    let ann = town.principal("ann", &[Role::Admin]).await;
    // What is closed is open to somebody: the walk looks at something.
    let mut open = 0;
    for route in of(Listener::Admin).into_iter().chain(of(Listener::People)) {
        if route.method == Method::GET && !route.path.ends_with("/tail") {
            let answer = ann.get(&concrete(&route.path)).await;
            open += usize::from(answer.status.is_success());
        }
    }
    assert!(open >= 30, "{open}");
    town.remove("ann").await;
    walk(&ann, closed).await;
    // The endless answer is closed as well.
    let tail = ann.get("/v1/entries/tail").await;
    assert_eq!(tail.status, 401);
    town.end().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_door_opens_to_nobody_who_only_knocks() {
    let town = Town::new().await;
    for route in of(Listener::People) {
        if !DOORS.contains(&name(&route).as_str()) {
            continue;
        }
        let (browser, path) = (town.browser(), concrete(&route.path));
        let answer = if route.method == Method::GET {
            browser.get(&path).await
        } else {
            browser.script(route.method.clone(), &path, &json!({})).await
        };
        assert!(answer.status.as_u16() < 500, "{route:?}: {}", answer.text());
        assert!(browser.session().is_none(), "{route:?}");
        assert!(!browser.is_in().await, "{route:?}");
    }
    town.end().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn an_administrator_of_another_org_gets_nothing_of_this_one() {
    let town = Town::new().await;
    let place = &town.place;
    place.publish_upstream(place.org, "acme-erp").await;
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
        "acme-erp",
        "acme-eu",
        &place.org.to_string(),
        "tester",
    ];
    walk(&eve, |route, answer| {
        let (status, text) = (answer.status.as_u16(), answer.text());
        assert!(status < 500, "{route:?}: {status} {text}");
        let own = route.path == "/v1/status" || route.path.starts_with("/v1/log/");
        // A name that the caller said is repeated to them; lists and documents hold none.
        let repeats = route.path.contains('{');
        for secret in secrets {
            assert!(
                own || repeats || !text.contains(secret),
                "{route:?} tells {secret}: {text}"
            );
        }
        if repeats && !own {
            assert!(
                matches!(status, 400 | 403 | 404 | 409 | 422),
                "{route:?}: {status} {text}"
            );
        }
        // Enrolling asks for a passkey of the caller's own.
        if route.method != Method::GET && route.path != "/ui/passkeys/begin" {
            assert!(!answer.status.is_success(), "{route:?}: {status} {text}");
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

/// What an upstream of the first org looks like that services enforce.
const RECORDS: &str = "apiVersion: tabard/v1\nkind: Upstream\nmetadata: {name: records}\nbase_url: http://127.0.0.1:9\n\
    credential: none\nenforced_by: [edge]\n\
    routes: [{method: GET, path: '/r/{id}', action: read, resource: {type: record, id: id}}]\n";

/// What is asked about the first org, at each route of the server's own listener that not everybody may ask.
fn question(route: &Route) -> (&'static str, String) {
    let asked = json!({
        "subject": {"type": "agent", "id": "spiffe://dev.tabard/acme/agent/demo-billing"},
        "action": {"name": "read"}, "resource": {"type": "record", "id": "4711"},
    });
    let csr = base64(&crate::test_key::TestKey::new().csr());
    let json = "application/json";
    match name(route).as_str() {
        "POST /oauth/token" => (
            "application/x-www-form-urlencoded",
            crate::instance::form("x.y.z", "invoices"),
        ),
        "POST /oauth/bc-authorize" => (
            "application/x-www-form-urlencoded",
            "login_hint=x&scope=openid&binding_message=x".to_owned(),
        ),
        "POST /access/v1/evaluations" => (json, json!({"evaluations": [asked]}).to_string()),
        "POST /access/v1/requests" => {
            let mut asked = asked;
            asked["denial"] = json!({"evaluation_id": "dec_00000000000000000000000000", "expires_at": "2099-01-01T00:00:00.000Z"});
            (json, asked.to_string())
        }
        "POST /services/v1/svid" => (json, json!({"csr": csr}).to_string()),
        _ => (json, asked.to_string()),
    }
}

/// Every route of the server's own listener that not everybody may ask, over one client's connections.
async fn visit(client: &Client, mut wanted: impl FnMut(&Route, &Answer)) {
    for route in of(Listener::Issuer) {
        if OPEN.contains(&name(&route).as_str()) {
            continue;
        }
        let (kind, body) = question(&route);
        let path = route.path.replace("{id}", "apr_00000000000000000000000000");
        let request = Request::builder()
            .method(route.method.clone())
            .uri(path.as_str())
            .header("host", "pdp")
            .header("content-type", kind)
            .body(Full::from(Bytes::from(body)));
        let answer = client.send(request.unwrap()).await.unwrap();
        let kind = answer.header("content-type").to_owned();
        documented::hold_at_issuer(&route.method, &path, answer.status.as_u16(), &kind, &answer.body);
        wanted(&route, &answer);
    }
}

/// Nothing is answered: who asks is nobody here.
fn unknown(route: &Route, answer: &Answer) {
    let (status, text) = (answer.status.as_u16(), answer.text());
    if route.path.starts_with("/oauth/") {
        // RFC 6749 section 5.2; there is nothing in it but the error.
        assert!(matches!(status, 400 | 401), "{route:?}: {status} {text}");
        assert!(answer.json()["error"].is_string(), "{route:?}: {text}");
        assert!(!text.contains("access_token") && !text.contains("auth_req_id"));
        return;
    }
    // To whoever is nobody a request does not exist, or asking takes an SVID.
    assert!(matches!(status, 401 | 404), "{route:?}: {status} {text}");
    assert!(
        !text.contains("demo-billing") && !text.contains("records"),
        "{text}"
    );
}

async fn revoke(place: &Place, target: Target) {
    let source = place.draw();
    let world = place.installation().store.world();
    let done = broker::revoke::revoke(&world, &place.admin(), target, "", &mut source.draw());
    drop(place.grant(done).await);
}

/// Status and error of a form.
async fn sends(client: &Client, path: &str, form: String) -> (u16, String) {
    let answer = crate::pep::post(client, path, "application/x-www-form-urlencoded", form).await;
    answer.error()
}

/// A token for a service, by the certificate of the connection.
async fn exchange(client: &Client, svid: &str) -> (u16, String) {
    sends(client, "/oauth/token", crate::instance::form(svid, "invoices")).await
}

#[tokio::test(flavor = "multi_thread")]
async fn the_servers_own_listener_answers_neither_nobody_nor_who_was_revoked() {
    let place = Place::new().await;
    publish(&place, place.org, RECORDS).await;
    visit(&place.client, unknown).await;
    // A service, as long as it is one.
    let edge = Pep::of(&place, place.org, "edge").await;
    let mut answered = BTreeSet::new();
    visit(edge.client(), |route, answer| {
        if answer.status.is_success() {
            answered.insert(name(route));
        }
    })
    .await;
    for path in [
        "/access/v1/evaluation",
        "/access/v1/evaluations",
        "/services/v1/svid",
    ] {
        assert!(answered.contains(&format!("POST {path}")), "{answered:?}");
    }
    assert!(!answered.contains("POST /oauth/token"), "a service is no agent");
    let id = "spiffe://dev.tabard/acme/svc/edge".parse().unwrap();
    revoke(&place, Target::Service(id)).await;
    visit(edge.client(), unknown).await;
    // An agent's certificate makes no service of it, before and after it was revoked. Its CIBA is looked at where there is an
    // approval to wait for: `approvals::a_caller_that_was_revoked_waits_for_nothing`.
    let instance = Instance::launch(&place).await;
    let agent = instance.mtls(&place).await;
    visit(&agent, unknown).await;
    let svid = instance.jwt_svid(&place, place.issuer()).await;
    assert_eq!(exchange(&agent, &svid).await, (200, String::new()));
    revoke(&place, Target::Instance(instance.id)).await;
    let nobody = (400, "invalid_request".to_owned());
    assert_eq!(exchange(&agent, &svid).await, nobody);
    visit(&agent, unknown).await;
    place.running.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_service_of_another_org_learns_nothing_of_this_one() {
    let place = Place::new().await;
    publish(&place, place.org, RECORDS).await;
    let rival = place.second_org().await;
    let theirs = RECORDS.replace("name: records", "name: theirs");
    publish(&place, rival, &theirs).await;
    let eve = Pep::of(&place, rival, "edge").await;
    let mut seen = 0;
    visit(eve.client(), |route, answer| {
        let (status, text) = (answer.status.as_u16(), answer.text());
        assert!(status < 500, "{route:?}: {status} {text}");
        assert!(!text.contains("\"records\""), "{route:?}: {text}");
        assert!(!text.contains(&place.org.to_string()), "{route:?}: {text}");
        assert!(!text.contains("\"decision\":true"), "{route:?}: {text}");
        if route.path.contains("/search/") && answer.status.is_success() {
            assert_eq!(answer.json()["results"], json!([]), "{route:?}");
        }
        if route.path.starts_with("/services/") {
            assert_eq!(answer.json()["spiffe_id"], "spiffe://dev.tabard/rival/svc/edge");
        }
        seen += 1;
    })
    .await;
    assert_eq!(seen, STANDARD.len() + 1);
    place.running.stop().await;
}

/// Every method of `tabard.sync.v1`, from the file that the server's trait is generated from.
fn sync_methods() -> Vec<String> {
    let calls = SYNC.lines().filter_map(|line| line.trim().strip_prefix("rpc "));
    calls
        .map(|call| call.split('(').next().unwrap().trim().to_owned())
        .collect()
}

/// Methods by which a member comes in: a join token or its key speaks, no SVID. This list may only get shorter.
const JOINING: [&str; 2] = ["Join", "Renew"];

/// gRPC over a connection, with an empty message; the status and the reply.
async fn call(client: &Client, method: &str) -> (String, Vec<u8>) {
    let request = Request::post(format!("https://127.0.0.1/tabard.sync.v1.Sync/{method}"))
        .header("content-type", "application/grpc")
        .header("te", "trailers")
        .body(Full::from(Bytes::from_static(&[0; 5])));
    let answer = client.send_h2(request.unwrap()).await.unwrap();
    (answer.header("grpc-status").to_owned(), answer.body)
}

#[tokio::test(flavor = "multi_thread")]
async fn no_method_for_members_answers_nobody_an_agent_or_a_member_that_was_removed() {
    const UNAUTHENTICATED: &str = "16";
    let place = Place::new().await;
    let methods = sync_methods();
    assert!(methods.len() >= 14, "{methods:?}");
    let agent = Instance::launch(&place).await.mtls(&place).await;
    let key = crate::test_key::TestKey::new();
    let membership = place.running.admit(MemberRole::Node, &key.csr()).await.unwrap();
    let node = place.client.with_svid(membership.svid.clone(), &key);
    // A member that is one gets further than that, wherever its role lets it.
    let mut further = 0;
    for method in &methods {
        further += usize::from(call(&node, method).await.0 != UNAUTHENTICATED);
    }
    assert_eq!(further, methods.len());
    let removed = {
        let source = place.draw();
        let world = place.installation().store.world();
        let id = membership.node_id.parse().unwrap();
        let known = world.node(id).unwrap();
        broker::member::remove(&world, &place.admin(), known, "", &mut source.draw())
    };
    drop(place.grant(removed).await);
    for client in [&place.client, &agent, &node] {
        for method in &methods {
            let (status, reply) = call(client, method).await;
            if JOINING.contains(&method.as_str()) {
                // Refused in the reply, or as no request at all; there is no membership in it.
                assert!(matches!(status.as_str(), "" | "0" | "3"), "{method}: {status}");
                assert!(!String::from_utf8_lossy(&reply).contains("spiffe://"), "{method}");
                continue;
            }
            assert_eq!(status, UNAUTHENTICATED, "{method}");
        }
    }
    place.running.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_member_of_another_org_is_told_nothing_of_this_one() {
    let place = Place::new().await;
    let rival: OrgId = place.second_org().await;
    for role in [MemberRole::Node, MemberRole::Gateway] {
        let link = member(&place, role, Some(rival)).await;
        let (replica, feed) = (sync::Replica::new(), link.clone());
        let following = {
            let replica = replica.clone();
            tokio::spawn(async move { feed.follow(replica, String::new).await })
        };
        let mut revisions = replica.revisions();
        let first = revisions.wait_for(|revision| revision.0 > 0);
        let first = tokio::time::timeout(std::time::Duration::from_secs(10), first).await;
        assert!(first.is_ok_and(|seen| seen.is_ok()));
        let told = format!("{:?}", replica.world());
        assert!(told.contains(&rival.to_string()), "its own");
        assert!(!told.contains(&place.org.to_string()), "{role:?}");
        following.abort();
    }
    place.running.stop().await;
}

fn base64(der: &[u8]) -> String {
    use base64::Engine as _;
    base64::engine::general_purpose::STANDARD.encode(der)
}
