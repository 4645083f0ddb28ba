//! Services that renew themselves, and whoever would like to renew in their place.

use crate::client::Answer;
use crate::instance::Instance;
use crate::pep::{Pep, post, publish};
use crate::place::Place;
use crate::test_key::TestKey;
use broker::Outcome;
use broker::service::{Wanted, svid};
use broker::world::{MemberRole, Target};
use credential::x509_svid::{self, PeerRole};
use identity::{OrgId, OrgScope, UnixTime};
use serde_json::{Value, json};

const DAY: u64 = 86_400;

fn manifest(upstream: &str, services: &str) -> String {
    format!(
        "apiVersion: tabard/v1\nkind: Upstream\nmetadata: {{name: {upstream}}}\nbase_url: http://127.0.0.1:9\n\
         credential: none\nenforced_by: [{services}]\n\
         routes: [{{method: GET, path: /a, action: a.read, resource: {{type: a}}}}]\n"
    )
}

async fn place() -> Place {
    let place = Place::new().await;
    publish(&place, place.org, &manifest("one", "edge, vault")).await;
    place
}

fn code(answer: &Answer) -> (u16, String) {
    let json = answer.json();
    let code = json["code"].as_str().unwrap_or_default().to_owned();
    (answer.status.as_u16(), code)
}

/// Whether the service may still ask anything.
async fn is_known(pep: &Pep) -> bool {
    let question = json!({"subject": {"type": "agent", "id": "demo-billing"}, "action": {"name": "a.read"}, "resource": {"type": "a"}});
    let answer = pep.ask("/access/v1/evaluation", &question).await;
    let known = answer.status != 401;
    assert_eq!(code(&answer).1 != "SERVICE_UNKNOWN", known);
    known
}

async fn revoke(place: &Place, target: Target) {
    let source = place.draw();
    let world = place.installation().store.world();
    let done = broker::revoke::revoke(&world, &place.admin(), target, "stolen", &mut source.draw());
    drop(place.grant(done).await);
}

/// The newest entry of a kind.
fn entry(place: &Place, kind: &str) -> Value {
    let entries = place.entries();
    let found = entries.iter().rev().find(|it| it.contains(kind)).unwrap();
    serde_json::from_str(found).unwrap()
}

#[tokio::test(flavor = "multi_thread")]
async fn a_service_renews_for_a_new_key_and_it_is_recorded() {
    let place = place().await;
    let first = Pep::of(&place, place.org, "edge").await;
    place.pass(1800);
    let key = TestKey::new();
    let answer = first.asks_to_renew(&key.csr()).await;
    assert_eq!(answer.status, 200, "{}", answer.text());
    assert_eq!(answer.header("cache-control"), "no-store");
    let issued = answer.json();
    assert_eq!(issued["spiffe_id"], "spiffe://dev.tabard/acme/svc/edge");
    let ends = UnixTime::from_rfc3339(issued["expires_at"].as_str().unwrap()).unwrap();
    assert!(ends.millis_since(place.now()) > 3590 * 1000, "{ends:?}");
    let entry = entry(&place, "svid.issued");
    assert_eq!(entry["detail"]["renews"], first.key.thumbprint().to_string());
    assert_eq!(entry["credential"]["thumbprint"], key.thumbprint().to_string());
    assert_eq!(entry["detail"]["renewable_until"], issued["renewable_until"]);
    assert_eq!(entry["org"], place.org.to_string());
    // What it got is an SVID by the server's own rules, and counts.
    let second = first.renewed(&place).await;
    assert!(is_known(&second).await);
    place.running.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn of_a_line_of_keys_the_newest_renews_and_the_one_that_asked_for_it() {
    let place = place().await;
    let first = Pep::of(&place, place.org, "edge").await;
    let second = first.renewed(&place).await;
    // The answer could have been lost: the first asks again, and what it was given before is worth nothing.
    assert!(is_known(&first).await && is_known(&second).await);
    let again = first.renewed(&place).await;
    assert!(!is_known(&second).await, "two branches of one line");
    assert_eq!(
        code(&second.asks_to_renew(&TestKey::new().csr()).await),
        (401, "SERVICE_UNKNOWN".to_owned())
    );
    let third = again.renewed(&place).await;
    // Its successor has asked: a copy of it renews no more, and its open connections last as long as its SVID.
    let spent = (403, "SERVICE_KEY_SPENT".to_owned());
    assert_eq!(code(&first.asks_to_renew(&TestKey::new().csr()).await), spent);
    assert_eq!(
        entry(&place, "svid.refused")["decision"]["reasons"],
        json!(["SERVICE_KEY_SPENT"])
    );
    assert!(is_known(&first).await && is_known(&again).await && is_known(&third).await);
    // The same key again is allowed.
    let same = third.asks_to_renew(&third.key.csr()).await;
    assert_eq!(same.status, 200, "{}", same.text());
    assert_eq!(code(&again.asks_to_renew(&TestKey::new().csr()).await), spent);
    // Another line of the same service is not concerned.
    let replica = Pep::of(&place, place.org, "edge").await;
    assert!(is_known(&third).await && is_known(&replica).await);
    drop((third.renewed(&place).await, replica.renewed(&place).await));
    place.running.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn nobody_an_agent_and_whoever_has_a_request_of_a_services_renew_nothing() {
    let place = place().await;
    let edge = Pep::of(&place, place.org, "edge").await;
    let body = json!({"csr": base64(&edge.key.csr())}).to_string();
    let unknown = (401, "SERVICE_UNKNOWN".to_owned());
    let answer = post(
        &place.client,
        "/services/v1/svid",
        "application/json",
        body.clone(),
    )
    .await;
    assert_eq!(code(&answer), unknown);
    // An agent's SVID says who the agent is.
    let agent = Instance::launch(&place).await.mtls(&place).await;
    let answer = post(&agent, "/services/v1/svid", "application/json", body).await;
    assert_eq!(code(&answer), unknown);
    // A certificate of the right name for a key that nobody knows: what a stolen intermediate could sign.
    let world = place.installation().store.world();
    let counted = world.service_keys(OrgScope::Every).count();
    assert_eq!(counted, 1, "nothing was issued");
    place.pass(2);
    place.running.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_service_that_was_revoked_renews_nothing_and_asks_nothing() {
    let place = place().await;
    let (edge, vault) = (
        Pep::of(&place, place.org, "edge").await,
        Pep::of(&place, place.org, "vault").await,
    );
    let edge = edge.renewed(&place).await;
    revoke(
        &place,
        Target::Service("spiffe://dev.tabard/acme/svc/edge".parse().unwrap()),
    )
    .await;
    let csr = TestKey::new().csr();
    assert_eq!(
        code(&edge.asks_to_renew(&csr).await),
        (401, "SERVICE_UNKNOWN".to_owned())
    );
    assert!(!is_known(&edge).await);
    assert!(is_known(&vault).await, "another service goes on");
    // An operator lets it in again, by another key.
    assert!(is_known(&Pep::of(&place, place.org, "edge").await).await);
    // With its org it is stopped, too.
    revoke(&place, Target::Org(place.org)).await;
    assert_eq!(vault.asks_to_renew(&csr).await.status, 401);
    assert!(!is_known(&vault).await);
    place.running.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_service_that_no_manifest_names_any_more_renews_nothing() {
    let place = place().await;
    let edge = Pep::of(&place, place.org, "edge").await;
    let known = {
        let world = place.installation().store.world();
        let name = "one".parse().unwrap();
        world
            .upstream_named(OrgScope::Every, place.org, &name)
            .unwrap()
            .id
    };
    let text = manifest("one", "vault");
    let manifest = broker::upstream::Manifest::parse("u.yaml", text.as_bytes()).unwrap();
    let source = place.draw();
    let world = place.installation().store.world();
    let upstream = manifest.upstream(known, place.org, 1);
    let applied = broker::inventory::publish_upstream(&world, &place.admin(), upstream, &mut source.draw());
    drop(place.grant(applied).await);
    let answer = edge.asks_to_renew(&TestKey::new().csr()).await;
    assert_eq!(code(&answer), (403, "SERVICE_REMOVED".to_owned()));
    let refused = entry(&place, "svid.refused");
    assert_eq!(refused["decision"]["reasons"], json!(["SERVICE_REMOVED"]));
    assert_eq!(refused["who"]["spiffe_id"], "spiffe://dev.tabard/acme/svc/edge");
    assert_eq!(refused["decision"]["id"], answer.json()["decision"]);
    place.running.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn an_svid_that_has_ended_renews_nothing_and_nothing_outlives_the_end_that_was_set() {
    let place = place().await;
    let edge = Pep::lasting(&place, place.org, "edge", DAY, DAY + 3600).await;
    place.pass(DAY / 2);
    let next = edge.renewed(&place).await;
    place.pass(DAY / 2 - 60);
    // The next one would end after what the administrator set: it ends there.
    let answer = next.asks_to_renew(&next.key.csr()).await;
    let issued = answer.json();
    assert_eq!(issued["expires_at"], issued["renewable_until"], "{issued}");
    // And it is the last.
    let answer = next.asks_to_renew(&TestKey::new().csr()).await;
    assert_eq!(code(&answer), (403, "SERVICE_NOT_RENEWABLE".to_owned()));

    let last = Pep::lasting(&place, place.org, "vault", 60, 0).await;
    let answer = last.asks_to_renew(&TestKey::new().csr()).await;
    assert_eq!(code(&answer), (403, "SERVICE_NOT_RENEWABLE".to_owned()));

    let short = Pep::lasting(&place, place.org, "vault", 60, DAY).await;
    assert!(is_known(&short).await);
    place.pass(61);
    let late = short.tries_to_renew(&TestKey::new().csr()).await;
    assert!(late.is_none_or(|status| status == 401), "{late:?}");
    // Its key is forgotten, so that even a clock that is set back brings nothing back.
    let world = place.installation().store.world();
    let forgotten = {
        let source = place.draw();
        let plan = broker::inventory::forget(&world, place.now(), &mut source.draw());
        drop(place.commit(plan).await);
        place.installation().store.world()
    };
    assert!(
        forgotten
            .service_key(OrgScope::Every, short.key.thumbprint())
            .is_none()
    );
    place.running.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_request_for_somebody_elses_key_is_refused() {
    let place = place().await;
    let (edge, vault) = (
        Pep::of(&place, place.org, "edge").await,
        Pep::of(&place, place.org, "vault").await,
    );
    let taken = (409, "SERVICE_KEY_TAKEN".to_owned());
    assert_eq!(code(&edge.asks_to_renew(&vault.key.csr()).await), taken);
    assert!(is_known(&vault).await, "its key is still its own");
    // A request of its own that was answered before, recorded and sent again: of no use even on its own connection.
    let spent = edge.key.csr();
    let next = edge.renewed(&place).await;
    assert_eq!(code(&next.asks_to_renew(&spent).await), taken);
    // Another line of the same service is somebody else.
    let replica = Pep::of(&place, place.org, "edge").await;
    assert_eq!(code(&next.asks_to_renew(&replica.key.csr()).await), taken);
    // So are node agents and gateways.
    let (member, pinned) = (TestKey::new(), place.running.address());
    let csr = member.csr();
    let joined = place.running.admit(MemberRole::Gateway, &csr).await;
    assert!(joined.is_ok(), "{pinned}");
    assert_eq!(code(&next.asks_to_renew(&csr).await), taken);
    // An operator cannot do it either.
    let proven = credential::csr::verify(&vault.key.csr()).unwrap();
    let name = "edge".parse().unwrap();
    let wanted = Wanted {
        org: place.org,
        name: &name,
        proven: &proven,
        ttl_secs: 60,
        renewable_secs: 60,
    };
    let source = place.draw();
    let world = place.installation().store.world();
    let outcome = svid(&world, &place.admin(), &wanted, &mut source.draw());
    assert!(matches!(outcome, Outcome::Refused(_)));
    place.running.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_service_says_neither_who_it_is_nor_for_how_long() {
    let place = place().await;
    let edge = Pep::of(&place, place.org, "edge").await;
    let csr = base64(&TestKey::new().csr());
    for (member, value) in [
        ("ttl_secs", json!(86_400)),
        ("renewable_secs", json!(86_400)),
        ("name", json!("vault")),
        ("org", json!("rival")),
        ("spiffe_id", json!("spiffe://dev.tabard/acme/svc/vault")),
    ] {
        let body = json!({"csr": csr, member: value});
        let answer = edge.ask("/services/v1/svid", &body).await;
        assert_eq!(code(&answer), (400, "BAD_REQUEST".to_owned()), "{member}");
    }
    for body in [
        json!({}),
        json!({"csr": "!"}),
        json!({"csr": "AAAA"}),
        json!({"csr": 7}),
    ] {
        let answer = edge.ask("/services/v1/svid", &body).await;
        assert_eq!(answer.status, 400, "{body}");
    }
    // Whatever name the request itself carries, the SVID has the service's own.
    let key = TestKey::new();
    let mut params = rcgen::CertificateParams::new(vec!["vault".to_owned()]).unwrap();
    let uri = "spiffe://dev.tabard/acme/svc/vault";
    params.subject_alt_names = vec![rcgen::SanType::URI(uri.try_into().unwrap())];
    let named = params.serialize_request(key.rcgen()).unwrap().der().to_vec();
    let answer = edge.asks_to_renew(&named).await;
    if answer.status == 200 {
        assert_eq!(answer.json()["spiffe_id"], "spiffe://dev.tabard/acme/svc/edge");
    } else {
        assert_eq!(answer.status, 400, "{}", answer.text());
    }
    place.running.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_service_of_another_org_is_another_one_under_the_same_name() {
    let place = place().await;
    let other = place.second_org().await;
    publish(&place, other, &manifest("one", "edge")).await;
    let (ours, theirs) = (
        Pep::of(&place, place.org, "edge").await,
        Pep::of(&place, other, "edge").await,
    );
    let answer = theirs.asks_to_renew(&TestKey::new().csr()).await;
    assert_eq!(answer.json()["spiffe_id"], "spiffe://dev.tabard/rival/svc/edge");
    let answer = theirs.asks_to_renew(&ours.key.csr()).await;
    assert_eq!(code(&answer), (409, "SERVICE_KEY_TAKEN".to_owned()));
    // What the other org's followers are told of.
    let world = place.installation().store.world();
    let of = |org: OrgId| {
        world
            .within(OrgScope::Only(org))
            .service_keys(OrgScope::Every)
            .count()
    };
    assert_eq!((of(place.org), of(other)), (1, 2));
    place.running.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn what_was_renewed_counts_after_a_restart() {
    let place = place().await;
    let edge = Pep::of(&place, place.org, "edge").await;
    let next = edge.renewed(&place).await;
    let place = place.restarted().await;
    assert!(is_known(&next).await);
    drop(next.renewed(&place).await);
    let roots = &place.installation().published().x509_roots;
    let renewed = next.asks_to_renew(&TestKey::new().csr()).await.json();
    let chain: Vec<_> = renewed["chain"]
        .as_array()
        .unwrap()
        .iter()
        .map(|der| rustls::pki_types::CertificateDer::from(unbase64(der.as_str().unwrap())))
        .collect();
    let svid = x509_svid::verify(&chain, |_| roots.as_ref(), PeerRole::Client, place.now()).unwrap();
    assert_eq!(svid.spiffe_id().to_string(), "spiffe://dev.tabard/acme/svc/edge");
    place.running.stop().await;
}

fn base64(der: &[u8]) -> String {
    use base64::Engine as _;
    base64::engine::general_purpose::STANDARD.encode(der)
}

fn unbase64(text: &str) -> Vec<u8> {
    use base64::Engine as _;
    base64::engine::general_purpose::STANDARD.decode(text).unwrap()
}
