//! Acting for somebody else: users through agents, agents through agents, and everything that is wrong with it.

use crate::client::Answer;
use crate::idp::{ANN, IDP, Idp};
use crate::instance::Instance;
use crate::place::Place;
use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use broker::world::{AgentState, Target};
use broker::{enforce, inventory, revoke, trust, user};
use credential::access_token::{AccessTokenClaims, Expected, verify};
use identity::{ActorKind, OrgScope};
use policy::Reason;
use serde_json::{Value, json};

/// The contract of an agent that reads and lists invoices.
pub(crate) fn contract(name: &str, actions: &str, delegation: &str) -> String {
    let business: Vec<String> = actions
        .split(", ")
        .map(|it| format!("{it}: Work with invoices"))
        .collect();
    format!(
        "apiVersion: tabard/v1\nkind: AgentContract\nmetadata: {{name: {name}, version: 1}}\n\
         owner: {{team: finance-platform}}\n\
         purpose: {{id: reconciliation, statement: Matches invoices against payments.}}\n\
         identity: {{min_assurance: 1}}\ntenants: {{mode: task, allowed: [acme-eu]}}\n\
         tasks: {{types: [reconciliation], max_ttl: 30m, openers: [operator]}}\n\
         grants:\n  - id: invoices\n    services: [invoices]\n    actions: [{actions}]\n    \
         reason: Each invoice is compared with its payment.\n    \
         business_action: {{{}}}\n    data: {{domains: [finance], sensitivity: confidential}}\n\
         {delegation}\nlifecycle: {{expires: 2099-12-31, review_every: 3650d}}\n",
        business.join(", ")
    )
}

const READ: &str = "invoices.read";
const BOTH: &str = "invoices.list, invoices.read";

/// `planner` may pass on to `reader`, `reader` to `deep`; `thief` may do the same as all of them and is named nowhere.
async fn furnished() -> (Place, Idp) {
    let place = Place::new().await;
    for (name, actions, delegation) in [
        ("planner", BOTH, "delegation: {may_delegate_to: [reader]}"),
        ("reader", READ, "delegation: {may_delegate_to: [deep, planner]}"),
        ("deep", READ, "delegation: {max_depth: 2}"),
        ("thief", BOTH, ""),
        (
            "strict",
            BOTH,
            "delegation: {on_behalf_of: {require_user: true, groups: [office]}}",
        ),
    ] {
        let text = contract(name, actions, delegation);
        place.register(place.org, name, text.as_bytes()).await;
    }
    let idp = Idp::of(&place, place.org).await;
    Idp::ann_through(&place, &["planner", "reader", "strict"]).await;
    (place, idp)
}

async fn launch(place: &Place, agent: &str) -> Instance {
    Instance::launch_as(place, place.org, agent).await
}

fn spiffe(agent: &str) -> String {
    format!("spiffe://dev.tabard/acme/agent/{agent}")
}

/// Asks for a token on behalf of whoever `subject` (of that type) speaks for.
pub(crate) async fn ask(
    place: &Place,
    actor: &Instance,
    subject: (&str, &str),
    audience: &str,
    more: &str,
) -> Answer {
    let svid = actor.jwt_svid(place, place.issuer()).await;
    let body = form(&svid, subject, audience, more);
    place.client.post(&body, &[actor.proof(place)]).await
}

/// The form of such a request.
pub(crate) fn form(svid: &str, (token, kind): (&str, &str), audience: &str, more: &str) -> String {
    format!(
        "grant_type=urn:ietf:params:oauth:grant-type:token-exchange&subject_token={token}\
         &subject_token_type=urn:ietf:params:oauth:token-type:{kind}&actor_token={svid}\
         &actor_token_type=urn:ietf:params:oauth:token-type:jwt&audience={audience}{more}"
    )
}

/// What the planner hands on for Ann.
async fn to_the_reader(place: &Place, idp: &Idp, planner: &Instance) -> String {
    let ann = idp.token(place);
    token(&ask(place, planner, (&ann, "jwt"), &spiffe("reader"), "").await)
}

/// Asks for a token of one's own.
async fn own(place: &Place, actor: &Instance, audience: &str, more: &str) -> Answer {
    let svid = actor.jwt_svid(place, place.issuer()).await;
    let body = format!("{}{more}", crate::instance::form(&svid, audience));
    place.client.post(&body, &[actor.proof(place)]).await
}

pub(crate) fn token(answer: &Answer) -> String {
    assert_eq!(answer.status, 200, "{}", answer.text());
    answer.json()["access_token"].as_str().unwrap().to_owned()
}

pub(crate) fn claims(place: &Place, token: &str, audience: &str) -> AccessTokenClaims {
    let published = place.installation().published();
    let expected = Expected {
        issuer: place.issuer(),
        audiences: &[audience.parse().unwrap()],
    };
    verify(token, &published.access_token_keys, &expected, place.now())
        .unwrap()
        .into_claims()
}

/// The entry of a refusal, whose caller has learnt only `error` and the first of these codes.
fn refusal(place: &Place, answer: &Answer, error: &str, code: &str) -> Value {
    assert_eq!(answer.error(), (400, error.into()), "{}", answer.text());
    let decision = answer.json()["decision_id"].as_str().unwrap().to_owned();
    let entries = place.entries();
    let entry = entries.iter().find(|entry| entry.contains(&decision)).unwrap();
    assert!(
        entry.contains("token.denied") && entry.contains(code),
        "{code}: {entry}"
    );
    assert!(
        !entry.contains(ANN),
        "a person's name stands in the record: {entry}"
    );
    serde_json::from_str(entry).unwrap()
}

fn alive(place: &Place, claims: &AccessTokenClaims) -> Result<(), Reason> {
    enforce::alive(&place.installation().store.world(), claims, place.now()).map(drop)
}

#[tokio::test(flavor = "multi_thread")]
async fn a_user_acts_through_an_agent_and_that_through_another() {
    let (place, idp) = furnished().await;
    let (planner, reader) = (launch(&place, "planner").await, launch(&place, "reader").await);

    let handed = ask(
        &place,
        &planner,
        (&idp.token(&place), "id_token"),
        &spiffe("reader"),
        "",
    )
    .await;
    let handed = token(&handed);
    let parent = claims(&place, &handed, &spiffe("reader"));
    // The planner may list as well, the user may not: what both may is left.
    assert_eq!(parent.details[0].actions, Some([READ.parse().unwrap()].into()));

    let answer = ask(&place, &reader, (&handed, "access_token"), "invoices", "").await;
    let child = claims(&place, &token(&answer), "invoices");
    let chain: Vec<(ActorKind, &str)> = child
        .chain
        .actors()
        .iter()
        .map(|actor| (actor.kind, actor.id.as_str()))
        .collect();
    assert_eq!(
        chain,
        [
            (ActorKind::User, ANN),
            (ActorKind::AiAgent, spiffe("planner").as_str()),
            (ActorKind::AiAgent, spiffe("reader").as_str()),
        ]
    );
    // The task is the planner's, the family its exchange's, and nothing of it lives longer.
    assert_eq!((child.task, child.family), (Some(planner.task), parent.family));
    assert_eq!(child.instance, reader.id);
    assert!(child.expires_at <= parent.expires_at);
    alive(&place, &child).unwrap();

    // On the wire: the user is the subject, the current actor is the outermost.
    let wire = token(&answer);
    let payload = URL_SAFE_NO_PAD.decode(wire.split('.').nth(1).unwrap()).unwrap();
    let wire: Value = serde_json::from_slice(&payload).unwrap();
    assert_eq!((&wire["sub"], &wire["sub_iss"]), (&json!(ANN), &json!(IDP)));
    assert_eq!(wire["act"]["sub"], json!(spiffe("reader")));
    assert_eq!(wire["act"]["act"]["sub"], json!(spiffe("planner")));

    // The entry has a verdict for each agent, and names the user by a commitment.
    let entry: Value = place
        .entries()
        .iter()
        .map(|entry| serde_json::from_str::<Value>(entry).unwrap())
        .find(|entry| entry["credential"]["id"] == wire["jti"])
        .unwrap();
    let verdicts: Vec<&Value> = entry["chain"]
        .as_array()
        .unwrap()
        .iter()
        .map(|it| &it["verdict"])
        .collect();
    assert_eq!(verdicts, [&Value::Null, &json!("allow"), &json!("allow")]);
    assert!(!entry.to_string().contains(ANN));
    assert_eq!(entry["credential"]["parent"], json!(parent.token.to_string()));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_contract_that_wants_a_user_gets_nothing_without_one() {
    let (place, idp) = furnished().await;
    let strict = launch(&place, "strict").await;
    let alone = own(&place, &strict, "invoices", "&scope=invoices.read").await;
    refusal(&place, &alone, "invalid_request", "MISSING_USER");
    let with = ask(&place, &strict, (&idp.token(&place), "jwt"), "invoices", "").await;
    token(&with);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_user_has_no_right_that_nobody_set() {
    let (place, idp) = furnished().await;
    let planner = launch(&place, "planner").await;
    let user = idp.token(&place);
    let more = "&scope=invoices.list";
    let other = ask(&place, &planner, (&user, "id_token"), "invoices", more).await;
    refusal(&place, &other, "invalid_request", "USER_NOT_ENTITLED");
    // The same token at another agent, through which Ann may do nothing.
    let thief = launch(&place, "thief").await;
    let answer = ask(
        &place,
        &thief,
        (&user, "id_token"),
        "invoices",
        "&scope=invoices.read",
    )
    .await;
    refusal(&place, &answer, "invalid_request", "USER_NOT_ENTITLED");
    // Somebody whom the issuer knows and the org does not.
    let header = r#"{"alg":"ES256","typ":"JWT"}"#;
    let bob = idp
        .key
        .jws(header, &Idp::claims(&place, |it| it["sub"] = json!("bob")));
    let answer = ask(&place, &planner, (&bob, "id_token"), "invoices", "").await;
    refusal(&place, &answer, "invalid_request", "USER_NOT_ENTITLED");
}

/// A token of the issuer for a user whom the org has not heard of.
fn bobs(place: &Place, idp: &Idp, change: impl FnOnce(&mut Value)) -> String {
    let claims = Idp::claims(place, |it| {
        it["sub"] = json!("bob");
        change(it);
    });
    idp.key.jws(r#"{"alg":"ES256","typ":"JWT"}"#, &claims)
}

#[tokio::test(flavor = "multi_thread")]
async fn a_claim_is_worth_what_the_org_says_and_no_more() {
    let (place, idp) = furnished().await;
    idp.means(&place, "/realm/roles", "clerk", &["planner"]).await;
    let planner = launch(&place, "planner").await;
    let exchange =
        async |user: &str, more: &str| ask(&place, &planner, (user, "id_token"), "invoices", more).await;
    let read = "&scope=invoices.read";
    // Words that the org gave no meaning, the right word in another claim, and one that only begins like it.
    for roles in [
        json!({"realm": {"roles": ["admin", "clerks", "cle", "CLERK"]}}),
        json!({"roles": ["clerk"], "scope": "clerk"}),
        json!({"realm": {"roles": [["clerk"], {"clerk": true}]}}),
        json!({"realm/roles": "clerk"}),
    ] {
        let user = bobs(&place, &idp, |it| {
            for (name, value) in roles.as_object().unwrap() {
                it[name] = value.clone();
            }
        });
        refusal(
            &place,
            &exchange(&user, read).await,
            "invalid_request",
            "USER_NOT_ENTITLED",
        );
    }
    let clerk = |it: &mut Value| it["realm"] = json!({"roles": ["x", "clerk"]});
    let user = bobs(&place, &idp, clerk);
    let issued = token(&exchange(&user, read).await);
    // Not through another agent, and no other action.
    let thief = launch(&place, "thief").await;
    let answer = ask(&place, &thief, (&user, "id_token"), "invoices", read).await;
    refusal(&place, &answer, "invalid_request", "USER_NOT_ENTITLED");
    let other = exchange(&user, "&scope=invoices.list").await;
    refusal(&place, &other, "invalid_request", "USER_NOT_ENTITLED");
    // The record says what was said, and of whom only a commitment.
    let entries = place.entries();
    let said: Vec<_> = entries.iter().filter(|it| it.contains("user.claimed")).collect();
    assert_eq!(said.len(), 1, "once, however often it was shown");
    assert!(
        said[0].contains("clerk") && !said[0].contains("bob"),
        "{}",
        said[0]
    );
    // What a word means may change, and does for tokens that are out.
    idp.means(&place, "/realm/roles", "auditor", &["planner"]).await;
    let issued = claims(&place, &issued, "invoices");
    assert_eq!(alive(&place, &issued), Err(Reason::UserNotEntitled));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_users_older_token_does_not_bring_back_what_a_newer_one_took() {
    let (place, idp) = furnished().await;
    idp.means(&place, "/scope", "clerk", &["planner"]).await;
    let planner = launch(&place, "planner").await;
    let now = place.now().secs();
    let said = |at: u64, scope: &str| {
        let scope = scope.to_owned();
        bobs(&place, &idp, |it| {
            it["iat"] = json!(at);
            it["scope"] = json!(scope);
        })
    };
    let (older, newer) = (said(now - 60, "openid clerk"), said(now - 30, "openid"));
    let exchange = async |user: &str| {
        let read = "&scope=invoices.read";
        ask(&place, &planner, (user, "id_token"), "invoices", read).await
    };
    let issued = token(&exchange(&older).await);
    refusal(
        &place,
        &exchange(&newer).await,
        "invalid_request",
        "USER_NOT_ENTITLED",
    );
    // For what is out as well, and for the older token itself.
    let issued = claims(&place, &issued, "invoices");
    assert_eq!(alive(&place, &issued), Err(Reason::UserNotEntitled));
    refusal(
        &place,
        &exchange(&older).await,
        "invalid_request",
        "USER_NOT_ENTITLED",
    );
    let again = said(now, "clerk");
    token(&exchange(&again).await);
}

#[tokio::test(flavor = "multi_thread")]
async fn what_a_user_may_ends_for_tokens_that_are_out_too() {
    let (place, idp) = furnished().await;
    let (planner, reader) = (launch(&place, "planner").await, launch(&place, "reader").await);
    let handed = to_the_reader(&place, &idp, &planner).await;
    let child = token(&ask(&place, &reader, (&handed, "access_token"), "invoices", "").await);
    let child = claims(&place, &child, "invoices");
    let world = place.installation().store.world();
    let draw = place.draw();
    let removed = user::remove(&world, &place.admin(), place.org, IDP, ANN, &mut draw.draw());
    drop(place.grant(removed).await);
    let answer = ask(&place, &reader, (&handed, "access_token"), "invoices", "").await;
    refusal(&place, &answer, "invalid_request", "USER_NOT_ENTITLED");
    assert_eq!(alive(&place, &child), Err(Reason::UserNotEntitled));
    // So does it when the issuer is trusted no more, whatever the user may.
    Idp::ann_through(&place, &["planner", "reader"]).await;
    token(&ask(&place, &reader, (&handed, "access_token"), "invoices", "").await);
    let world = place.installation().store.world();
    let draw = place.draw();
    let removed = trust::remove_source(&world, &place.admin(), place.org, IDP, &mut draw.draw());
    drop(place.grant(removed).await);
    let answer = ask(&place, &reader, (&handed, "access_token"), "invoices", "").await;
    refusal(&place, &answer, "invalid_request", "USER_NOT_ENTITLED");
}

#[tokio::test(flavor = "multi_thread")]
async fn an_agent_in_the_middle_that_is_stopped_takes_the_chain_with_it() {
    let (place, idp) = furnished().await;
    let (planner, reader) = (launch(&place, "planner").await, launch(&place, "reader").await);
    let handed = to_the_reader(&place, &idp, &planner).await;
    let child = claims(
        &place,
        &token(&ask(&place, &reader, (&handed, "access_token"), "invoices", "").await),
        "invoices",
    );
    let named = |name: &str| {
        let world = place.installation().store.world();
        world
            .agent_named(OrgScope::Every, place.org, &name.parse().unwrap())
            .unwrap()
            .clone()
    };
    // Suspended: the next call is refused, and so is the next exchange.
    let world = place.installation().store.world();
    let draw = place.draw();
    let state = AgentState::Suspended;
    let set = inventory::set_agent_state(&world, &place.admin(), &named("planner"), state, &mut draw.draw());
    drop(place.grant(set).await);
    assert_eq!(alive(&place, &child), Err(Reason::KillSwitch));
    let answer = ask(&place, &reader, (&handed, "access_token"), "invoices", "").await;
    refusal(&place, &answer, "invalid_request", "KILL_SWITCH");
    // Resumed, the tokens live again; revoked, they never do.
    let draw = place.draw();
    let world = place.installation().store.world();
    let resumed = revoke::resume(&world, &place.admin(), &named("planner"), &mut draw.draw());
    drop(place.grant(resumed).await);
    alive(&place, &child).unwrap();
    let (draw, world) = (place.draw(), place.installation().store.world());
    let target = Target::Agent(named("planner").id);
    let revoked = revoke::revoke(&world, &place.admin(), target, "", &mut draw.draw());
    drop(place.grant(revoked).await);
    let (draw, world) = (place.draw(), place.installation().store.world());
    let resumed = revoke::resume(&world, &place.admin(), &named("planner"), &mut draw.draw());
    drop(place.grant(resumed).await);
    assert_eq!(alive(&place, &child), Err(Reason::IdentityRevoked));
    let answer = ask(&place, &reader, (&handed, "access_token"), "invoices", "").await;
    refusal(&place, &answer, "invalid_request", "IDENTITY_REVOKED");
}

#[tokio::test(flavor = "multi_thread")]
async fn an_agent_hands_on_to_nobody_whom_its_contract_does_not_name() {
    let (place, _) = furnished().await;
    let planner = launch(&place, "planner").await;
    let named = own(&place, &planner, &spiffe("reader"), "").await;
    token(&named);
    let other = own(&place, &planner, &spiffe("thief"), "&scope=invoices.read").await;
    refusal(&place, &other, "invalid_request", "DELEGATION_NOT_ALLOWED");
    let nobody = own(&place, &planner, &spiffe("nobody"), "").await;
    refusal(&place, &nobody, "invalid_target", "NOT_FOUND");
}

#[tokio::test(flavor = "multi_thread")]
async fn nobody_stands_in_a_chain_twice() {
    let (place, _) = furnished().await;
    let (planner, reader) = (launch(&place, "planner").await, launch(&place, "reader").await);
    let itself = own(&place, &planner, &spiffe("planner"), "").await;
    refusal(&place, &itself, "invalid_target", "LOOP");
    let handed = token(&own(&place, &planner, &spiffe("reader"), "").await);
    let back = ask(&place, &reader, (&handed, "access_token"), &spiffe("planner"), "").await;
    refusal(&place, &back, "invalid_target", "LOOP");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_chain_is_no_longer_than_each_contract_allows() {
    let (place, _) = furnished().await;
    let (planner, reader, deep) = (
        launch(&place, "planner").await,
        launch(&place, "reader").await,
        launch(&place, "deep").await,
    );
    let first = token(&own(&place, &planner, &spiffe("reader"), "").await);
    let second = token(&ask(&place, &reader, (&first, "access_token"), &spiffe("deep"), "").await);
    let third = ask(
        &place,
        &deep,
        (&second, "access_token"),
        "invoices",
        "&scope=invoices.read",
    )
    .await;
    refusal(&place, &third, "invalid_request", "CHAIN_TOO_DEEP");
    // By itself and as the second it may.
    token(&own(&place, &deep, "invoices", "").await);
    let short = token(&own(&place, &reader, &spiffe("deep"), "").await);
    token(&ask(&place, &deep, (&short, "access_token"), "invoices", "").await);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_token_that_is_handed_on_never_widens() {
    let (place, _) = furnished().await;
    let (planner, reader) = (launch(&place, "planner").await, launch(&place, "reader").await);
    // The reader's own contract does not list; the planner's does.
    let handed = token(&own(&place, &planner, &spiffe("reader"), "").await);
    let more = "&scope=invoices.list";
    let answer = ask(&place, &reader, (&handed, "access_token"), "invoices", more).await;
    refusal(&place, &answer, "invalid_scope", "ACTION_NOT_GRANTED");
    // The planner passed on less than the reader may.
    let narrow = token(&own(&place, &planner, &spiffe("reader"), "&scope=invoices.list").await);
    let answer = ask(
        &place,
        &reader,
        (&narrow, "access_token"),
        "invoices",
        "&scope=invoices.read",
    )
    .await;
    refusal(&place, &answer, "invalid_authorization_details", "SCOPE_WIDENED");
    let answer = ask(&place, &reader, (&narrow, "access_token"), "invoices", "").await;
    assert_eq!(answer.status, 400, "{}", answer.text());
    // Another task than the one that was handed on, even the reader's own.
    let detail = format!(
        "&authorization_details=[{{\"type\":\"agent_task\",\"task\":\"{}\"}}]",
        reader.task
    );
    let answer = ask(&place, &reader, (&handed, "access_token"), "invoices", &detail).await;
    refusal(&place, &answer, "invalid_authorization_details", "TASK_SCOPE");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_token_for_somebody_else_is_nobodys_subject_token() {
    let (place, _) = furnished().await;
    let (planner, thief) = (launch(&place, "planner").await, launch(&place, "thief").await);
    let reader = launch(&place, "reader").await;
    // Meant for the service (a confused deputy), and meant for another agent (a thief).
    let service = token(&own(&place, &planner, "invoices", "").await);
    let handed = token(&own(&place, &planner, &spiffe("reader"), "").await);
    for (who, what) in [
        (&reader, &service),
        (&thief, &service),
        (&thief, &handed),
        (&planner, &handed),
    ] {
        let answer = ask(&place, who, (what, "access_token"), "invoices", "").await;
        let entry = refusal(&place, &answer, "invalid_request", "SUBJECT_REJECTED");
        let fact = &entry["decision"]["facts"][0];
        assert_eq!(fact["name"], "reason.SUBJECT_REJECTED.limit");
        assert_eq!(fact["value"], "the token is for another audience", "{entry}");
        assert!(!entry.to_string().contains(what.as_str()));
    }
    // Without an actor token it is refused as what it is not.
    let body = format!(
        "grant_type=urn:ietf:params:oauth:grant-type:token-exchange&subject_token={handed}\
         &subject_token_type=urn:ietf:params:oauth:token-type:access_token&audience=invoices"
    );
    let answer = place.client.post(&body, &[reader.proof(&place)]).await;
    assert_eq!(answer.error(), (400, "invalid_request".into()));
}

#[tokio::test(flavor = "multi_thread")]
async fn what_was_handed_on_ends() {
    let (place, _) = furnished().await;
    let (planner, reader) = (launch(&place, "planner").await, launch(&place, "reader").await);
    let handed = token(&own(&place, &planner, &spiffe("reader"), "").await);
    let answer = ask(&place, &reader, (&handed, "access_token"), "invoices", "").await;
    let child = claims(&place, &token(&answer), "invoices");
    // With its task.
    let (draw, world) = (place.draw(), place.installation().store.world());
    let task = world.task(OrgScope::Every, planner.task).unwrap();
    let plan = broker::task::close(&world, task, &mut draw.draw());
    drop(place.commit(plan).await);
    assert_eq!(alive(&place, &child), Err(Reason::TaskExpired));
    let answer = ask(&place, &reader, (&handed, "access_token"), "invoices", "").await;
    refusal(&place, &answer, "invalid_request", "TASK_EXPIRED");
    // And by the clock, to the second.
    let planner = launch(&place, "planner").await;
    let handed = token(&own(&place, &planner, &spiffe("reader"), "").await);
    place.pass(301);
    let answer = ask(&place, &reader, (&handed, "access_token"), "invoices", "").await;
    refusal(&place, &answer, "invalid_request", "SUBJECT_REJECTED");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_users_token_that_is_not_good_is_worth_nothing() {
    let (place, idp) = furnished().await;
    let planner = launch(&place, "planner").await;
    let header = r#"{"alg":"ES256","typ":"JWT"}"#;
    let good = Idp::claims(&place, |_| {});
    let forger = crate::test_key::TestKey::new();
    let changed = |change: fn(&mut Value)| idp.key.jws(header, &Idp::claims(&place, change));
    let none = URL_SAFE_NO_PAD.encode(r#"{"alg":"none","typ":"JWT"}"#);
    let bad = [
        ("alg none", format!("{none}.{}.", URL_SAFE_NO_PAD.encode(&good))),
        ("HS256", idp.key.jws(r#"{"alg":"HS256","typ":"JWT"}"#, &good)),
        ("another key", forger.jws(header, &good)),
        ("a key in the header", {
            let jwk = credential::Jwk::bare(forger.public.clone()).to_json();
            forger.jws(
                &format!("{{\"alg\":\"ES256\",\"typ\":\"JWT\",\"jwk\":{jwk}}}"),
                &good,
            )
        }),
        (
            "access token class",
            idp.key.jws(r#"{"alg":"ES256","typ":"at+jwt"}"#, &good),
        ),
        (
            "another issuer",
            changed(|it| it["iss"] = json!("https://idp.example/")),
        ),
        ("another audience", changed(|it| it["aud"] = json!("other"))),
        (
            "over",
            changed(|it| it["exp"] = json!(it["iat"].as_u64().unwrap() - 1)),
        ),
        (
            "over, within the tolerance of clocks",
            changed(|it| it["exp"] = it["iat"].clone()),
        ),
        (
            "end as text",
            changed(|it| it["exp"] = json!(it["exp"].to_string())),
        ),
        (
            "end as a fraction",
            changed(|it| it["exp"] = json!(4_000_000_000.5)),
        ),
        (
            "no issue date",
            changed(|it| drop(it.as_object_mut().unwrap().remove("iat"))),
        ),
        (
            "not yet",
            changed(|it| it["nbf"] = json!(it["iat"].as_u64().unwrap() + 60)),
        ),
        ("begin as text", changed(|it| it["nbf"] = json!("1"))),
        ("nobody", changed(|it| it["sub"] = json!(""))),
        (
            "the caller's own identity",
            planner.jwt_svid(&place, place.issuer()).await,
        ),
    ];
    for (what, token) in bad {
        for kind in ["id_token", "jwt"] {
            let answer = ask(&place, &planner, (&token, kind), "invoices", "").await;
            assert_eq!(
                answer.json()["code"],
                "SUBJECT_REJECTED",
                "{what}: {}",
                answer.text()
            );
            refusal(&place, &answer, "invalid_request", "SUBJECT_REJECTED");
        }
    }
    let answer = ask(&place, &planner, (&idp.token(&place), "id_token"), "invoices", "").await;
    token(&answer);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_user_of_another_orgs_issuer_is_nobody() {
    let place = Place::new().await;
    place
        .register(place.org, "planner", contract("planner", READ, "").as_bytes())
        .await;
    let rival = place.second_org().await;
    let idp = Idp::of(&place, rival).await;
    let planner = launch(&place, "planner").await;
    let answer = ask(&place, &planner, (&idp.token(&place), "id_token"), "invoices", "").await;
    refusal(&place, &answer, "invalid_request", "SUBJECT_REJECTED");
}

#[tokio::test(flavor = "multi_thread")]
async fn an_actor_token_is_the_callers_own_and_proven() {
    let (place, idp) = furnished().await;
    let (planner, thief) = (launch(&place, "planner").await, launch(&place, "thief").await);
    let svid = planner.jwt_svid(&place, place.issuer()).await;
    let body = |kind: &str| {
        format!(
            "grant_type=urn:ietf:params:oauth:grant-type:token-exchange&subject_token={}\
             &subject_token_type=urn:ietf:params:oauth:token-type:id_token&actor_token={svid}\
             &actor_token_type=urn:ietf:params:oauth:token-type:{kind}&audience=invoices",
            idp.token(&place)
        )
    };
    // A stolen one, with the thief's own key.
    let stolen = place.client.post(&body("jwt"), &[thief.proof(&place)]).await;
    refusal(&place, &stolen, "invalid_request", "PROOF_OF_POSSESSION_FAILED");
    for kind in ["access_token", "id_token"] {
        let answer = place.client.post(&body(kind), &[planner.proof(&place)]).await;
        assert_eq!(answer.error(), (400, "invalid_request".into()), "{kind}");
    }
    let good = place.client.post(&body("jwt"), &[planner.proof(&place)]).await;
    token(&good);
}
