//! An outside decision point says what users may do: a strict one, and everything that one can do wrong.

use crate::client::Answer;
use crate::delegation::{ask, claims, contract, form, token};
use crate::idp::{ANN, IDP, Idp};
use crate::instance::Instance;
use crate::place::Place;
use broker::inventory::Done;
use broker::world::{DecisionPoint, TrustSource};
use broker::{Outcome, enforce};
use credential::Jwk;
use policy::Reason;
use serde_json::{Value, json};
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};
use std::time::Duration;
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::TcpListener;
use tokio::task::JoinHandle;

/// How the decision point answers a request that is as it has to be.
type Script = dyn Fn(&Value) -> Said + Send + Sync;

/// What goes over the wire.
enum Said {
    /// 200 with this body, and these header lines besides.
    Json(String, &'static str),
    /// These bytes.
    Raw(String),
    /// Nothing for so long, and then a yes to everything.
    Late(Duration),
}

/// A decision point that refuses what the standard does not allow.
struct Pdp {
    url: String,
    asked: Arc<AtomicUsize>,
    /// The bodies that it got, and its complaints.
    heard: Arc<Mutex<Vec<Value>>>,
    script: Arc<Mutex<Arc<Script>>>,
    serving: JoinHandle<()>,
}

impl Drop for Pdp {
    fn drop(&mut self) {
        self.serving.abort();
    }
}

impl Pdp {
    async fn new(token: Option<&'static str>) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let url = format!("http://{}/access/v1/evaluations", listener.local_addr().unwrap());
        let asked = Arc::<AtomicUsize>::default();
        let heard = Arc::<Mutex<Vec<Value>>>::default();
        let script: Arc<Mutex<Arc<Script>>> = Arc::new(Mutex::new(Arc::new(|_: &Value| yes())));
        let parts = (asked.clone(), heard.clone(), script.clone());
        let serving = tokio::spawn(async move {
            let (asked, heard, script) = parts;
            loop {
                let (mut stream, _) = listener.accept().await.unwrap();
                asked.fetch_add(1, Ordering::SeqCst);
                let (heard, script) = (heard.clone(), script.lock().unwrap().clone());
                tokio::spawn(async move {
                    let (head, body) = read(&mut stream).await;
                    let said = match strict(&head, &body, token) {
                        Ok(body) => {
                            heard.lock().unwrap().push(body.clone());
                            script(&body)
                        }
                        Err(complaint) => {
                            heard.lock().unwrap().push(json!({"complaint": complaint}));
                            Said::Raw("HTTP/1.1 400 Bad Request\r\ncontent-length: 0\r\n\r\n".into())
                        }
                    };
                    let bytes = match said {
                        Said::Raw(bytes) => bytes,
                        Said::Json(body, more) => answer(&body, more),
                        Said::Late(wait) => {
                            tokio::time::sleep(wait).await;
                            answer(r#"{"evaluations":[{"decision":true}]}"#, "")
                        }
                    };
                    // It may have been left alone.
                    let _left = stream.write_all(bytes.as_bytes()).await;
                });
            }
        });
        Self {
            url,
            asked,
            heard,
            script,
            serving,
        }
    }

    fn says(&self, script: impl Fn(&Value) -> Said + Send + Sync + 'static) {
        *self.script.lock().unwrap() = Arc::new(script);
    }
    fn asked(&self) -> usize {
        self.asked.load(Ordering::SeqCst)
    }
    fn heard(&self) -> Vec<Value> {
        self.heard.lock().unwrap().clone()
    }
}

fn answer(body: &str, more: &str) -> String {
    format!(
        "HTTP/1.1 200 OK\r\ncontent-type: application/json\r\n{more}content-length: {}\r\n\r\n{body}",
        body.len()
    )
}

/// Yes to the only question there is.
fn yes() -> Said {
    Said::Json(r#"{"evaluations":[{"decision":true}]}"#.into(), "")
}

fn no() -> Said {
    Said::Json(
        r#"{"evaluations":[{"decision":false,"context":{"why":"on leave"}}]}"#.into(),
        "",
    )
}

async fn read(stream: &mut tokio::net::TcpStream) -> (String, Vec<u8>) {
    let mut bytes = Vec::new();
    loop {
        let mut more = [0; 4096];
        let length = stream.read(&mut more).await.unwrap_or(0);
        bytes.extend_from_slice(&more[..length]);
        let Some(end) = bytes.windows(4).position(|it| it == b"\r\n\r\n") else {
            assert!(length > 0, "half a request");
            continue;
        };
        let head = String::from_utf8(bytes[..end].to_vec()).unwrap().to_lowercase();
        let wanted: usize = head
            .lines()
            .find_map(|line| line.strip_prefix("content-length: "))
            .unwrap()
            .parse()
            .unwrap();
        if bytes.len() >= end + 4 + wanted {
            return (head, bytes[end + 4..].to_vec());
        }
    }
}

/// The request as AuthZEN 1.0 section 7 has it, with no member that it does not name.
fn strict(head: &str, body: &[u8], token: Option<&str>) -> Result<Value, String> {
    let has = |line: &str| head.lines().any(|it| it == line);
    let checks = [
        head.starts_with("post /access/v1/evaluations http/1.1"),
        has("content-type: application/json"),
        has("accept: application/json"),
        head.lines().filter(|it| it.starts_with("x-request-id: ")).count() == 1,
        !head.contains("cookie"),
        token.map_or(!head.contains("authorization"), |token| {
            has(&format!("authorization: bearer {}", token.to_lowercase()))
        }),
    ];
    if let Some(failed) = checks.iter().position(|it| !it) {
        return Err(format!("check {failed}: {head}"));
    }
    let body: Value = serde_json::from_slice(body).map_err(|error| error.to_string())?;
    let members = |value: &Value, names: &[&str]| {
        let mut found: Vec<&str> = value.as_object().unwrap().keys().map(String::as_str).collect();
        found.sort_unstable();
        if found == names {
            Ok(())
        } else {
            Err(format!("{found:?} instead of {names:?}"))
        }
    };
    members(&body, &["evaluations", "options", "subject"])?;
    members(&body["subject"], &["id", "properties", "type"])?;
    members(&body["options"], &["evaluations_semantic"])?;
    for each in body["evaluations"].as_array().ok_or("no evaluations")? {
        members(each, &["action", "context", "resource"])?;
        members(&each["action"], &["name"])?;
        members(&each["resource"], &["id", "properties", "type"])?;
    }
    Ok(body)
}

const READ: &str = "&scope=invoices.read";

/// The agents `planner`, who may pass on to `reader`, and `thief`; Ann's issuer is trusted, and the org itself has never
/// heard of her.
async fn furnished(pdp: &Pdp) -> (Place, Idp) {
    let place = Place::new().await;
    for (name, actions, delegation) in [
        (
            "planner",
            "invoices.list, invoices.read",
            "delegation: {may_delegate_to: [reader]}",
        ),
        ("reader", "invoices.read", ""),
        ("thief", "invoices.read", ""),
    ] {
        let text = contract(name, actions, delegation);
        place.register(place.org, name, text.as_bytes()).await;
    }
    let idp = Idp::of(&place, place.org).await;
    asks(&place, &idp, &pdp.url, 0).await;
    (place, idp)
}

/// What it takes to trust Ann's issuer with that decision point.
fn trusting(place: &Place, idp: &Idp, url: &str, secret_version: u64) -> Outcome<Done> {
    let source = TrustSource {
        org: place.org,
        issuer: IDP.into(),
        audience: "tabard".into(),
        keys: format!("{{\"keys\":[{}]}}", Jwk::bare(idp.key.public.clone()).to_json()),
        rights: None,
        pdp: Some(DecisionPoint {
            url: url.to_owned(),
            authorities: None,
            secret_version,
        }),
    };
    let draw = place.draw();
    let world = place.installation().store.world();
    broker::trust::set_source(&world, &place.admin(), source, &mut draw.draw())
}

/// Trusts Ann's issuer with that decision point.
async fn asks(place: &Place, idp: &Idp, url: &str, secret_version: u64) {
    drop(place.grant(trusting(place, idp, url, secret_version)).await);
}

async fn launch(place: &Place, agent: &str) -> Instance {
    Instance::launch_as(place, place.org, agent).await
}

/// Exchanges Ann's token for one to read invoices.
async fn exchange(place: &Place, idp: &Idp, agent: &Instance, more: &str) -> Answer {
    ask(place, agent, (&idp.token(place), "id_token"), "invoices", more).await
}

fn last(place: &Place, kind: &str) -> Value {
    let entries = place.entries();
    let found = entries
        .iter()
        .rev()
        .find(|entry| entry.contains(&format!("\"{kind}\"")));
    serde_json::from_str(found.unwrap_or_else(|| panic!("no {kind}"))).unwrap()
}

fn fact<'e>(entry: &'e Value, name: &str) -> Option<&'e Value> {
    let facts = entry["decision"]["facts"].as_array().unwrap();
    facts.iter().find(|fact| fact["name"] == name)
}

/// What is refused because nobody says whether Ann may: retry, and no denial of hers.
fn unavailable(place: &Place, answer: &Answer) -> Value {
    assert_eq!(
        answer.error(),
        (503, "temporarily_unavailable".into()),
        "{}",
        answer.text()
    );
    let entry = last(place, "token.denied");
    assert_eq!(entry["decision"]["reasons"], json!(["RIGHTS_UNAVAILABLE"]));
    let outside = fact(&entry, "user.pdp").unwrap();
    assert_eq!(
        (&outside["provenance"], &outside["value"]),
        (&json!("pdp"), &json!("silent"))
    );
    entry
}

#[tokio::test(flavor = "multi_thread")]
async fn it_is_asked_what_is_wanted_and_its_word_is_a_fact_with_an_age() {
    let pdp = Pdp::new(None).await;
    let (place, idp) = furnished(&pdp).await;
    let planner = launch(&place, "planner").await;
    let issued = token(&exchange(&place, &idp, &planner, READ).await);
    assert_eq!(
        pdp.heard(),
        [json!({
            "subject": {"type": "user", "id": ANN, "properties": {"issuer": IDP}},
            "options": {"evaluations_semantic": "execute_all"},
            "evaluations": [{
                "action": {"name": "invoices.read"},
                "resource": {"type": "service", "id": "invoices", "properties": {"tenant": "acme-eu"}},
                "context": {
                    "agent": "spiffe://dev.tabard/acme/agent/planner",
                    "purpose": "reconciliation",
                    "task_type": "reconciliation",
                },
            }],
        })]
    );
    let entry = last(&place, "token.exchanged");
    let outside = fact(&entry, "user.pdp").unwrap();
    assert_eq!(outside["provenance"], "pdp");
    assert_eq!(outside["value"]["decision"], true);
    assert!(outside["value"]["age_secs"].as_u64().unwrap() <= 5);
    // The record of the answer names Ann by a commitment.
    let judged = last(&place, "user.judged");
    let summary = judged["change_summary"][0].as_str().unwrap();
    assert!(
        summary.contains("may: invoices.read at invoices for acme-eu through planner"),
        "{summary}"
    );
    assert!(!judged.to_string().contains(ANN));
    // At calls, gateways look at the same answer.
    let issued = claims(&place, &issued, "invoices");
    let world = place.installation().store.world();
    enforce::alive(&world, &issued, place.now()).map(drop).unwrap();

    // A no is a no, and takes the yes back for tokens that are out.
    pdp.says(|_| no());
    let answer = exchange(&place, &idp, &planner, READ).await;
    assert_eq!(answer.error(), (400, "invalid_request".into()));
    let entry = last(&place, "token.denied");
    assert_eq!(entry["decision"]["reasons"], json!(["USER_NOT_ENTITLED"]));
    assert_eq!(fact(&entry, "user.pdp").unwrap()["value"]["decision"], false);
    assert!(
        !entry.to_string().contains("on leave"),
        "what it says besides is not ours to keep"
    );
    let world = place.installation().store.world();
    assert_eq!(
        enforce::alive(&world, &issued, place.now()).map(drop),
        Err(Reason::UserNotEntitled)
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn everything_that_a_contract_grants_is_one_batch_and_each_answer_counts_for_itself() {
    let pdp = Pdp::new(None).await;
    let (place, idp) = furnished(&pdp).await;
    let planner = launch(&place, "planner").await;
    // By name: in the order of the questions.
    pdp.says(|body| {
        let each = body["evaluations"].as_array().unwrap().iter();
        let each: Vec<Value> = each
            .map(|it| json!({"decision": it["action"]["name"] == "invoices.list"}))
            .collect();
        Said::Json(json!({"evaluations": each}).to_string(), "")
    });
    let issued = token(&exchange(&place, &idp, &planner, "").await);
    let issued = claims(&place, &issued, "invoices");
    assert_eq!(
        issued.details[0].actions,
        Some(["invoices.list".parse().unwrap()].into())
    );
    assert_eq!(pdp.asked(), 1);
    assert_eq!(pdp.heard()[0]["evaluations"].as_array().unwrap().len(), 2);
    // What the contract does not grant is nobody's business.
    let answer = exchange(&place, &idp, &planner, "&scope=payroll.read").await;
    assert_eq!(answer.status, 400);
    assert_eq!(pdp.asked(), 1);
}

#[tokio::test(flavor = "multi_thread")]
async fn no_answer_is_another_refusal_than_a_no() {
    let pdp = Pdp::new(None).await;
    let (place, idp) = furnished(&pdp).await;
    let planner = launch(&place, "planner").await;
    let yes_to_all = r#"{"evaluations":[{"decision":true}]}"#;
    let with =
        |head: &str, body: &str| Said::Raw(format!("{head}content-length: {}\r\n\r\n{body}", body.len()));
    let (thief, good) = ("http://127.0.0.1:9/", "content-type: application/json\r\n");
    let wrong: [(&str, Said); 11] = [
        (
            "status 500",
            with(&format!("HTTP/1.1 500 Oh\r\n{good}"), yes_to_all),
        ),
        (
            "status 302",
            with(
                &format!("HTTP/1.1 302 There\r\nlocation: {thief}\r\n{good}"),
                yes_to_all,
            ),
        ),
        (
            "status 307",
            with(
                &format!("HTTP/1.1 307 There\r\nlocation: {thief}\r\n{good}"),
                yes_to_all,
            ),
        ),
        (
            "not application/json",
            with("HTTP/1.1 200 OK\r\ncontent-type: text/html\r\n", yes_to_all),
        ),
        (
            "not a list of decisions",
            Said::Json(r#"{"evaluations":[{"decision":"true"}]}"#.into(), ""),
        ),
        (
            "not a list of decisions",
            Said::Json(r#"{"decision":true}"#.into(), ""),
        ),
        ("not a list of decisions", Said::Json("<html>".into(), "")),
        ("another number", Said::Json(r#"{"evaluations":[]}"#.into(), "")),
        (
            "another number",
            Said::Json(
                r#"{"evaluations":[{"decision":true},{"decision":true}]}"#.into(),
                "",
            ),
        ),
        (
            "larger than",
            Said::Json(
                format!("{}{yes_to_all}", " ".repeat(broker::pdp::ANSWER_BYTES_MAX)),
                "",
            ),
        ),
        (
            "cannot be reached",
            Said::Raw("HTTP/1.1 200 OK\r\ncontent-length: 99\r\n\r\n{".into()),
        ),
    ];
    for (why, said) in wrong {
        let said = Mutex::new(Some(said));
        pdp.says(move |_| said.lock().unwrap().take().unwrap());
        let answer = exchange(&place, &idp, &planner, READ).await;
        unavailable(&place, &answer);
        let told = last(&place, "user.judged")["change_summary"][0]
            .as_str()
            .unwrap()
            .to_owned();
        assert!(
            told.contains("says nothing") && told.contains(why),
            "{why}: {told}"
        );
    }
    // Late, and then gone.
    pdp.says(|_| Said::Late(Duration::from_secs(4)));
    let begun = std::time::Instant::now();
    unavailable(&place, &exchange(&place, &idp, &planner, READ).await);
    assert!(
        begun.elapsed() < Duration::from_secs(4),
        "nobody waits longer than two seconds"
    );
    assert!(
        last(&place, "user.judged")
            .to_string()
            .contains("did not answer in time")
    );
    let asked = pdp.asked();
    drop(pdp);
    tokio::time::sleep(Duration::from_millis(100)).await;
    unavailable(&place, &exchange(&place, &idp, &planner, READ).await);
    assert_eq!(asked, 12, "once for each exchange");
    // Whoever acts for nobody does not depend on it.
    let svid = planner.jwt_svid(&place, place.issuer()).await;
    let body = format!("{}{READ}", crate::instance::form(&svid, "invoices"));
    assert_eq!(
        place.client.post(&body, &[planner.proof(&place)]).await.status,
        200
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn one_proof_has_it_asked_once_however_often_and_at_once_it_is_sent() {
    let pdp = Pdp::new(None).await;
    let (place, idp) = furnished(&pdp).await;
    let planner = launch(&place, "planner").await;
    let svid = planner.jwt_svid(&place, place.issuer()).await;
    let spent = || (400, "invalid_dpop_proof".to_owned());
    let request = |user: &str| form(&svid, (user, "id_token"), "invoices", READ);
    let (body, proof) = (request(&idp.token(&place)), planner.proof(&place));
    // While it takes its time, all of them are there.
    pdp.says(|_| Said::Late(Duration::from_millis(500)));
    let mut racing = tokio::task::JoinSet::new();
    for _ in 0..16 {
        let (client, body, proof) = (place.client.clone(), body.clone(), proof.clone());
        racing.spawn(async move { client.post(&body, &[proof]).await.status.as_u16() });
    }
    let mut statuses = racing.join_all().await;
    statuses.sort_unstable();
    assert_eq!(statuses, [[200].as_slice(), &[400; 15]].concat());
    assert_eq!(pdp.asked(), 1);
    // Nor is it after a no, after no answer, or with something else to ask about.
    let silent = || Said::Raw("HTTP/1.1 503 Later\r\ncontent-length: 0\r\n\r\n".into());
    let sayings: [(fn() -> Said, u16); 2] = [(no, 400), (silent, 503)];
    for (says, status) in sayings {
        pdp.says(move |_| says());
        let proof = [planner.proof(&place)];
        let before = pdp.asked();
        assert_eq!(place.client.post(&body, &proof).await.status, status);
        assert_eq!(place.client.post(&body, &proof).await.error(), spent());
        let more = format!("{body}%20invoices.list");
        assert_eq!(place.client.post(&more, &proof).await.error(), spent());
        assert_eq!(pdp.asked(), before + 1);
    }
    // A proof that came with a token worth nothing is spent too, and leaves one entry.
    let denied = || {
        let entries = place.entries();
        entries.iter().filter(|it| it.contains("token.denied")).count()
    };
    let (proof, before, asked) = ([planner.proof(&place)], denied(), pdp.asked());
    assert_eq!(place.client.post(&request("a.b.c"), &proof).await.status, 400);
    for body in [&request("a.b.c"), &body] {
        assert_eq!(place.client.post(body, &proof).await.error(), spent());
    }
    assert_eq!((denied(), pdp.asked()), (before + 1, asked));
    // Whose key it is not has no part in it: a thief of the SVID cannot spend what is not theirs.
    let thief = crate::test_key::TestKey::new();
    let nonce = place.installation().keys.nonces().make(place.now());
    let stolen = thief.proof(&place.token_url(), "jti-t", Some(&nonce), place.now());
    assert_eq!(
        place.client.post(&body, &[stolen]).await.error().1,
        "invalid_request"
    );
    assert_eq!(pdp.asked(), asked);
}

#[tokio::test(flavor = "multi_thread")]
async fn an_answer_is_used_again_as_long_as_it_says_and_dies_with_what_was_shown() {
    let pdp = Pdp::new(None).await;
    let (place, idp) = furnished(&pdp).await;
    let planner = launch(&place, "planner").await;
    // It says nothing of how long: asked for each exchange.
    token(&exchange(&place, &idp, &planner, READ).await);
    token(&exchange(&place, &idp, &planner, READ).await);
    assert_eq!(pdp.asked(), 2);
    // For half a minute, and the token ends with it.
    pdp.says(|_| {
        Said::Json(
            r#"{"evaluations":[{"decision":true}]}"#.into(),
            "cache-control: max-age=30\r\n",
        )
    });
    let issued = token(&exchange(&place, &idp, &planner, READ).await);
    let issued = claims(&place, &issued, "invoices");
    assert!(issued.expires_at <= place.now().plus_secs(31));
    token(&exchange(&place, &idp, &planner, READ).await);
    assert_eq!(pdp.asked(), 3, "used again");
    // For nobody else, and nothing else.
    let thief = launch(&place, "thief").await;
    pdp.says(|_| no());
    assert_eq!(exchange(&place, &idp, &thief, READ).await.status, 400);
    assert_eq!(pdp.asked(), 4);
    place.pass(31);
    assert_eq!(exchange(&place, &idp, &planner, READ).await.status, 400);
    assert_eq!(pdp.asked(), 5, "asked again once it is over");
    // Longer than the user's token it never is.
    pdp.says(|_| {
        Said::Json(
            r#"{"evaluations":[{"decision":true}]}"#.into(),
            "cache-control: max-age=86400\r\n",
        )
    });
    let short = Idp::claims(&place, |it| it["exp"] = json!(it["iat"].as_u64().unwrap() + 60));
    let short = idp.key.jws(r#"{"alg":"ES256","typ":"JWT"}"#, &short);
    let answer = ask(&place, &planner, (&short, "id_token"), "invoices", READ).await;
    token(&answer);
    let judged = place.installation().store.world();
    let scope = identity::OrgScope::Only(place.org);
    let judged = judged.judged(scope, place.org, IDP, ANN).unwrap().clone();
    let planners = judged
        .answers
        .iter()
        .find(|it| it.question.agent.as_str() == "planner")
        .unwrap();
    assert!(planners.yes && planners.until <= place.now().plus_secs(60));
}

#[tokio::test(flavor = "multi_thread")]
async fn an_older_yes_is_not_good_for_another_exchange_because_nobody_answers() {
    let pdp = Pdp::new(None).await;
    let (place, idp) = furnished(&pdp).await;
    let planner = launch(&place, "planner").await;
    let issued = token(&exchange(&place, &idp, &planner, READ).await);
    pdp.says(|_| Said::Raw("HTTP/1.1 503 Later\r\ncontent-length: 0\r\n\r\n".into()));
    unavailable(&place, &exchange(&place, &idp, &planner, READ).await);
    // What was issued on it lives on: nobody said no.
    let issued = claims(&place, &issued, "invoices");
    let world = place.installation().store.world();
    enforce::alive(&world, &issued, place.now()).map(drop).unwrap();
}

#[tokio::test(flavor = "multi_thread")]
async fn each_agent_of_a_chain_is_asked_about() {
    let pdp = Pdp::new(None).await;
    let (place, idp) = furnished(&pdp).await;
    let (planner, reader) = (launch(&place, "planner").await, launch(&place, "reader").await);
    let to = "spiffe://dev.tabard/acme/agent/reader";
    let handed = token(&ask(&place, &planner, (&idp.token(&place), "id_token"), to, READ).await);
    // Through the planner she may, through the reader she may not.
    pdp.says(|body| {
        let each = body["evaluations"].as_array().unwrap().iter();
        let each: Vec<Value> = each
            .map(|it| json!({"decision": it["context"]["agent"].as_str().unwrap().ends_with("/planner")}))
            .collect();
        Said::Json(json!({"evaluations": each}).to_string(), "")
    });
    let answer = ask(&place, &reader, (&handed, "access_token"), "invoices", READ).await;
    assert_eq!(answer.error(), (400, "invalid_request".into()));
    let agents: Vec<Value> = pdp.heard()[1]["evaluations"]
        .as_array()
        .unwrap()
        .iter()
        .map(|it| it["context"]["agent"].clone())
        .collect();
    let id = |agent: &str| json!(format!("spiffe://dev.tabard/acme/agent/{agent}"));
    assert_eq!(agents, [id("planner"), id("reader")]);
    pdp.says(|body| {
        let each = vec![json!({"decision": true}); body["evaluations"].as_array().unwrap().len()];
        Said::Json(json!({"evaluations": each}).to_string(), "")
    });
    token(&ask(&place, &reader, (&handed, "access_token"), "invoices", READ).await);
}

#[tokio::test(flavor = "multi_thread")]
async fn what_the_org_says_itself_is_asked_of_nobody_and_another_point_says_nothing_yet() {
    let pdp = Pdp::new(None).await;
    let (place, idp) = furnished(&pdp).await;
    Idp::ann_through(&place, &["planner"]).await;
    let planner = launch(&place, "planner").await;
    token(&exchange(&place, &idp, &planner, READ).await);
    assert_eq!(pdp.asked(), 0);
    // A right that only the decision point gives ends with it.
    let thief = launch(&place, "thief").await;
    let issued = token(&exchange(&place, &idp, &thief, READ).await);
    let issued = claims(&place, &issued, "invoices");
    asks(&place, &idp, "http://127.0.0.1:9/access/v1/evaluations", 0).await;
    let world = place.installation().store.world();
    let scope = identity::OrgScope::Only(place.org);
    assert!(world.judged(scope, place.org, IDP, ANN).is_none());
    assert_eq!(issued.chain.depth(), 2);
}

#[tokio::test(flavor = "multi_thread")]
async fn its_token_is_sealed_and_never_shown_to_anybody_else() {
    const TOKEN: &str = "canary-7f2b91";
    let pdp = Pdp::new(Some(TOKEN)).await;
    let (place, idp) = furnished(&pdp).await;
    let secret = identity::Secret::new(TOKEN.as_bytes().to_vec());
    place
        .installation()
        .pdp_secrets
        .put(place.org, IDP, 7, &secret, place.now())
        .unwrap();
    let planner = launch(&place, "planner").await;
    // Version 0 is no token: this point wants one.
    unavailable(&place, &exchange(&place, &idp, &planner, READ).await);
    asks(&place, &idp, &pdp.url, 7).await;
    token(&exchange(&place, &idp, &planner, READ).await);
    // A version that nobody sealed is no reason to ask without.
    let asked = pdp.asked();
    asks(&place, &idp, &pdp.url, 8).await;
    unavailable(&place, &exchange(&place, &idp, &planner, READ).await);
    assert_eq!(pdp.asked(), asked);
    assert!(place.entries().iter().all(|entry| !entry.contains(TOKEN)));
    for file in std::fs::read_dir(place.config().data_dir.join("pdp")).unwrap() {
        let bytes = std::fs::read(file.unwrap().path()).unwrap();
        assert!(!bytes.windows(TOKEN.len()).any(|it| it == TOKEN.as_bytes()));
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn an_endpoint_is_https_or_here_and_says_so_in_one_spelling() {
    let pdp = Pdp::new(None).await;
    let (place, idp) = furnished(&pdp).await;
    for url in [
        "http://pdp.example/access/v1/evaluations",
        "https://user@pdp.example/access/v1/evaluations",
        "https://pdp.example",
        "https://pdp.example/access?x=1",
        "https://0x7f.1/access/v1/evaluations",
        "ftp://pdp.example/a",
        "https://pdp.example/a b",
        "",
    ] {
        let Outcome::Refused(plan) = trusting(&place, &idp, url, 0) else {
            panic!("{url} was taken")
        };
        assert_eq!(plan.proof().code(), "TRUST_PDP", "{url}");
    }
    // A name that leads where nobody means is not connected to.
    asks(&place, &idp, "https://169.254.169.254/latest/meta-data", 0).await;
    let planner = launch(&place, "planner").await;
    let begun = std::time::Instant::now();
    unavailable(&place, &exchange(&place, &idp, &planner, READ).await);
    assert!(
        begun.elapsed() < Duration::from_secs(1),
        "refused, and not timed out"
    );
}
