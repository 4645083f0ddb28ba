//! A service has people asked about what it was denied, and names their yes when it asks again (AuthZEN Access Request and
//! Approval Profile, draft 1); and what a service, an agent or a thief tries with that.

use crate::client::Answer;
use crate::instance::{Instance, form};
use crate::people::{Browser, Town};
use crate::pep::{Pep, contract, grant, publish};
use serde_json::{Value, json};

/// Two services enforce it.
const TILL: &str = "
apiVersion: tabard/v1
kind: Upstream
metadata: {name: till}
base_url: http://127.0.0.1:9
credential: none
enforced_by: [edge, vault]
routes:
  - method: POST
    path: /invoices/{id}/refund
    action: refund.create
    resource: {type: invoice, id: id}
    arguments: [{name: amount, type: integer, body: /amount}]
    data: {sensitivity: public}
    sink: {clearance: secret, consequential: false}
";
const PATH: &str = "/access/v1/requests";

struct Scene {
    town: Town,
    edge: Pep,
    vault: Pep,
    instance: Instance,
    ann: Browser,
}

impl Scene {
    async fn new() -> Self {
        let town = Town::new().await;
        let place = &town.place;
        publish(place, place.org, TILL).await;
        let large = grant("large", "till", "refund.create", "{amount: {min: 1, max: 5000}}");
        let grants = [
            grant("small", "till", "refund.create", "{amount: {min: 1, max: 50}}"),
            format!("{large}    approval: leads\n"),
        ];
        let more = "escalation:\n  leads: {approvers: leads, ttl: 10m}\n";
        for agent in ["refunder", "other"] {
            let text = contract(agent, &grants.concat(), more);
            place.register(place.org, agent, text.as_bytes()).await;
        }
        let instance = Instance::launch_as(place, place.org, "refunder").await;
        drop(Instance::launch_as(place, place.org, "other").await);
        let edge = Pep::of(place, place.org, "edge").await;
        let vault = Pep::of(place, place.org, "vault").await;
        let ann = town.approver("ann", "leads").await;
        Self {
            town,
            edge,
            vault,
            instance,
            ann,
        }
    }

    /// Denied to the edge, and requested: the id of the approval that waits.
    async fn requested(&self, question: &Value) -> String {
        let (_, context) = self.edge.decides(question).await;
        let answer = self.edge.ask(PATH, &request(question, &context)).await;
        assert_eq!(answer.status, 202, "{}", answer.text());
        answer.json()["task"]["id"].as_str().unwrap().to_owned()
    }

    /// The same, with ann's yes.
    async fn approved(&self, question: &Value) -> String {
        let id = self.requested(question).await;
        assert_eq!(self.ann.votes(&id, "yes").await.status, 303);
        id
    }

    fn count(&self, kind: &str) -> usize {
        let kind = format!("\"kind\":\"{kind}\"");
        let entries = self.town.place.entries();
        entries.iter().filter(|entry| entry.contains(&kind)).count()
    }

    /// A token of the agent for the till, for one approval.
    async fn token_for(&self, approval: &str) -> Answer {
        let place = &self.town.place;
        let svid = self.instance.jwt_svid(place, place.issuer()).await;
        let details = format!(
            "&authorization_details=[{{\"type\":\"agent_task\",\"actions\":[\"refund.create\"],\"approval\":\"{approval}\"}}]"
        );
        let form = format!("{}{details}", form(&svid, "till"));
        place.client.post(&form, &[self.instance.proof(place)]).await
    }
}

/// Whether the agent may give that much back.
fn refund(amount: u32) -> Value {
    json!({
        "subject": {"type": "agent", "id": "refunder"},
        "action": {"name": "refund.create", "properties": {"amount": amount}},
        "resource": {"type": "invoice", "id": "inv_1"},
    })
}

/// What a service posts about a denial.
fn request(question: &Value, context: &Value) -> Value {
    json!({
        "subject": question["subject"],
        "action": question["action"],
        "resource": question["resource"],
        "context": {"business_justification": "The customer paid twice."},
        "denial": {
            "evaluation_id": context["evaluation_id"],
            "expires_at": context["access_request"]["expires_at"],
            "reason": context["reason"],
        },
    })
}

fn naming(question: &Value, approval: &str) -> Value {
    let mut question = question.clone();
    question["context"] = json!({"approval": {"id": approval}});
    question
}

#[tokio::test(flavor = "multi_thread")]
async fn a_denial_is_requested_approved_and_evaluated_again_once() {
    let scene = Scene::new().await;
    let question = refund(700);
    let (decision, context) = scene.edge.decides(&question).await;
    assert!(!decision);
    assert_eq!(context["reason"], "approval_required");
    assert_eq!(
        context["access_request"]["endpoint"],
        format!("{}{PATH}", scene.town.place.issuer())
    );
    assert!(context["access_request"]["expires_at"].is_string());
    // A denial asks nobody.
    assert_eq!(scene.count("approval.requested"), 0);

    let wanted = request(&question, &context);
    let answer = scene.edge.ask(PATH, &wanted).await;
    assert_eq!(answer.status, 202, "{}", answer.text());
    let task = answer.json()["task"].clone();
    let id = task["id"].as_str().unwrap();
    assert_eq!(task["status"], "pending");
    assert_eq!(
        answer.header("location"),
        task["status_endpoint"].as_str().unwrap()
    );
    assert_eq!(answer.header("retry-after"), "5");
    assert!(answer.json().get("result").is_none());
    // Sent again, or denied again and requested, it is the same request.
    assert_eq!(scene.edge.ask(PATH, &wanted).await.json()["task"]["id"], id);
    assert_eq!(scene.requested(&question).await, id);
    assert_eq!(scene.count("approval.requested"), 1);

    // While it waits it is worth nothing.
    let again = naming(&question, id);
    let (decision, context) = scene.edge.decides(&again).await;
    assert!(!decision);
    assert_eq!(
        (&context["reason"], &context["next_action"]),
        (&"approval_required".into(), &"request".into())
    );
    let page = scene.ann.get(&format!("/ui/approvals/{id}")).await.text();
    for shown in ["edge", "700", "The customer paid twice.", "Its own words"] {
        assert!(page.contains(shown), "{shown} is not in {page}");
    }
    assert_eq!(scene.ann.votes(id, "yes").await.status, 303);

    let path = format!("{PATH}/{id}");
    let polled = scene.edge.get(&path).await.json();
    assert_eq!(polled["task"]["status"], "approved");
    assert_eq!(polled["result"]["mode"], "reevaluate");
    let approval = polled["result"]["approval"].clone();
    assert!(approval["approved_until"].is_string() && approval["approved_at"].is_string());

    // An approval is used where it is named, and nowhere else.
    let (decision, context) = scene.edge.decides(&question).await;
    assert!(!decision && context["access_request"].is_object(), "{context}");
    let mut named = question.clone();
    named["context"] = json!({"approval": approval});
    let (decision, context) = scene.edge.decides(&named).await;
    assert!(decision, "{context}");
    assert_eq!(context["approval"]["id"], id);
    assert_eq!(context["approval"]["approved_until"], approval["approved_until"]);
    let permit = context["evaluation_id"].as_str().unwrap();
    let entries = scene.town.place.entries();
    let entry = entries
        .iter()
        .find(|entry| entry.contains(permit) && entry.contains("decision.made"));
    let entry: Value = serde_json::from_str(entry.unwrap()).unwrap();
    assert_eq!(entry["why"]["approval"], id);
    assert_eq!(entry["change_summary"][0], format!("{id} used"));

    let (decision, context) = scene.edge.decides(&named).await;
    assert!(!decision);
    assert_eq!(context["reasons"][0]["code"], "APPROVAL_USED");
    assert_eq!(
        (&context["reason"], &context["next_action"]),
        (&"approval_expired".into(), &"none".into())
    );
    assert_eq!(scene.edge.get(&path).await.json()["task"]["status"], "expired");
    scene.town.end().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn sixteen_at_once_use_it_once() {
    let scene = Scene::new().await;
    let question = refund(700);
    let named = naming(&question, &scene.approved(&question).await);
    let asked = (0..16).map(|_| scene.edge.ask("/access/v1/evaluation", &named));
    let answers = futures_util::future::join_all(asked).await;
    let permitted = |answer: &&Answer| answer.status == 200 && answer.json()["decision"] == true;
    assert_eq!(answers.iter().filter(permitted).count(), 1);
    for answer in answers.iter().filter(|answer| !permitted(answer)) {
        // Who came second is told so, or to ask again.
        let told = answer.text();
        assert!(
            told.contains("APPROVAL_USED") || answer.json()["code"] == "CONTENDED",
            "{told}"
        );
    }
    scene.town.end().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn it_is_good_for_one_service_one_agent_and_one_question() {
    let scene = Scene::new().await;
    let question = refund(700);
    let id = scene.approved(&question).await;
    let refused = ["APPROVAL_OUT_OF_SCOPE"];
    assert_eq!(scene.vault.codes(&naming(&question, &id)).await, refused);
    for (at, value) in [
        ("/action/properties/amount", json!(701)),
        ("/resource/id", json!("inv_2")),
        ("/subject/id", json!("other")),
        // What no route declares is a part of what was asked, too.
        (
            "/resource",
            json!({"type": "invoice", "id": "inv_1", "properties": {"to": "evil"}}),
        ),
        (
            "/action",
            json!({"name": "refund.create", "properties": {"amount": 700}, "note": "x"}),
        ),
        (
            "/subject",
            json!({"type": "agent", "id": "refunder", "properties": {"role": "admin"}}),
        ),
    ] {
        let mut other = question.clone();
        *other.pointer_mut(at).unwrap() = value;
        let (decision, context) = scene.edge.decides(&naming(&other, &id)).await;
        assert!(!decision, "{at}");
        assert_eq!(context["reasons"][0]["code"], refused[0], "{at}: {context}");
        assert_eq!(
            (&context["reason"], &context["next_action"]),
            (&"out_of_scope".into(), &"none".into())
        );
    }
    // One that there is not, and one that is no id, are no other case.
    for unknown in ["apr_00000000000000000000000000", "nonsense"] {
        assert_eq!(scene.edge.codes(&naming(&question, unknown)).await, refused);
    }
    let malformed = json!({"subject": question["subject"], "action": question["action"],
        "resource": question["resource"], "context": {"approval": "x"}});
    let answer = scene.edge.ask("/access/v1/evaluation", &malformed).await;
    assert_eq!(answer.status, 400, "{}", answer.text());
    // A batch spends it on the one that it is for.
    let batch = json!({
        "subject": question["subject"], "resource": question["resource"],
        "context": {"approval": {"id": id}},
        "evaluations": [
            {"action": {"name": "refund.create", "properties": {"amount": 701}}},
            {"action": {"name": "refund.create", "properties": {"amount": 5}}},
            {"action": question["action"]},
            {"action": question["action"]},
        ],
    });
    let answer = scene.edge.ask("/access/v1/evaluations", &batch).await.json();
    let decisions: Vec<bool> = answer["evaluations"]
        .as_array()
        .unwrap()
        .iter()
        .map(|it| it["decision"].as_bool().unwrap())
        .collect();
    assert_eq!(decisions, [false, true, true, false], "{answer}");
    scene.town.end().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn only_what_was_denied_to_a_service_can_it_have_people_asked_about() {
    let scene = Scene::new().await;
    let question = refund(700);
    let (_, context) = scene.edge.decides(&question).await;
    let good = request(&question, &context);
    let changed = |at: &str, value: Value| {
        let mut other = good.clone();
        let (parent, name) = at.rsplit_once('/').unwrap();
        other.pointer_mut(parent).unwrap()[name] = value;
        other
    };
    let kind = |name: &str| format!("urn:openid:authzen:access-request:error:{name}");
    let said = |answer: &Answer| {
        let text = answer.json()["type"].as_str().unwrap().to_owned();
        assert_eq!(answer.header("content-type"), "application/problem+json");
        (answer.status.as_u16(), text)
    };
    let other_denial = (400, kind("invalid_denial_binding"));
    assert_eq!(said(&scene.vault.ask(PATH, &good).await), other_denial);
    for (at, value) in [
        ("/action/properties/amount", json!(70)),
        ("/resource/id", json!("inv_2")),
        ("/subject/id", json!("other")),
        ("/denial/evaluation_id", json!("dec_00000000000000000000000000")),
        ("/denial/evaluation_id", json!("nonsense")),
    ] {
        let answer = scene.edge.ask(PATH, &changed(at, value)).await;
        assert_eq!(said(&answer), other_denial, "{at}");
    }
    // A permit, and a denial that no person can turn, are none to request.
    let (decision, context) = scene.edge.decides(&refund(5)).await;
    assert!(decision);
    let answer = scene.edge.ask(PATH, &request(&refund(5), &context)).await;
    assert_eq!(said(&answer), other_denial);
    let (_, context) = scene.edge.decides(&refund(5001)).await;
    assert!(context.get("access_request").is_none(), "{context}");
    let answer = scene.edge.ask(PATH, &request(&refund(5001), &context)).await;
    assert_eq!(said(&answer), other_denial);
    // What is not served is said, so that nobody waits for it.
    for at in ["/callback", "/items"] {
        let answer = scene.edge.ask(PATH, &changed(at, json!({}))).await;
        assert_eq!(
            (answer.status.as_u16(), answer.json()["code"].as_str().unwrap()),
            (400, "MEMBER_UNSUPPORTED")
        );
    }
    let long = changed("/context/business_justification", json!("x".repeat(501)));
    let answer = scene.edge.ask(PATH, &long).await;
    assert_eq!(said(&answer), (400, kind("not_requestable")));
    assert_eq!(answer.json()["code"], "APPROVAL_SAID");
    // Who is asked, and why nobody is, is for operators.
    assert!(
        answer.json()["detail"]
            .as_str()
            .unwrap()
            .starts_with("Nobody was asked about this (dec_")
    );
    for body in [
        "[]",
        "{}",
        "{\"denial\": 1}",
        "{\"denial\": {\"evaluation_id\": 1}}",
    ] {
        let answer = scene.edge.send(PATH, "application/json", body.to_owned()).await;
        assert_eq!(answer.status, 400, "{body}: {}", answer.text());
    }
    // One key, one body.
    let first = scene.edge.keyed(PATH, &good, "one").await;
    assert_eq!(first.status, 202, "{}", first.text());
    assert_eq!(scene.edge.keyed(PATH, &good, "one").await.status, 202);
    let other = changed("/context/business_justification", json!("Another."));
    assert_eq!(
        said(&scene.edge.keyed(PATH, &other, "one").await),
        (409, kind("duplicate_request"))
    );
    // The handle is nobody else's: not another service's, not another agent's, not the world's.
    let id = first.json()["task"]["id"].as_str().unwrap().to_owned();
    let path = format!("{PATH}/{id}");
    let place = &scene.town.place;
    let stranger = Instance::launch(place).await.mtls(place).await;
    assert_eq!(said(&scene.vault.get(&path).await), (404, kind("unknown_task")));
    for client in [&stranger, &place.client] {
        assert_eq!(said(&client.get(&path).await), (404, kind("unknown_task")));
    }
    let own = scene.instance.mtls(place).await;
    assert_eq!(own.get(&path).await.json()["task"]["status"], "pending");
    // Ten minutes later it is asked for the decision again.
    let (_, context) = scene.edge.decides(&refund(900)).await;
    let late = request(&refund(900), &context);
    place.pass(601);
    assert_eq!(
        said(&scene.edge.ask(PATH, &late).await),
        (410, kind("expired_denial"))
    );
    scene.town.end().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn what_ended_is_worth_nothing_and_says_what_to_do() {
    let scene = Scene::new().await;
    // A no is the end.
    let denied = scene.requested(&refund(700)).await;
    assert_eq!(scene.ann.votes(&denied, "no").await.status, 303);
    let polled = scene.edge.get(&format!("{PATH}/{denied}")).await.json();
    assert_eq!(polled["task"]["status"], "denied");
    let (_, context) = scene.edge.decides(&naming(&refund(700), &denied)).await;
    assert_eq!(context["reasons"][0]["code"], "APPROVAL_DENIED");
    assert_eq!(
        (&context["reason"], &context["next_action"]),
        (&"policy_denied".into(), &"none".into())
    );
    let (_, context) = scene.edge.decides(&refund(700)).await;
    assert!(context.get("access_request").is_none(), "{context}");
    // Who approved has to be somebody who still may.
    let id = scene.approved(&refund(800)).await;
    scene.town.remove("ann").await;
    let (_, context) = scene.edge.decides(&naming(&refund(800), &id)).await;
    assert_eq!(context["reasons"][0]["code"], "APPROVER_INELIGIBLE");
    // And time ends it.
    let bob = scene.town.approver("bob", "leads").await;
    let id = scene.requested(&refund(900)).await;
    assert_eq!(bob.votes(&id, "yes").await.status, 303);
    scene.town.place.pass(601);
    let (_, context) = scene.edge.decides(&naming(&refund(900), &id)).await;
    assert_eq!(context["reasons"][0]["code"], "APPROVAL_EXPIRED");
    assert_eq!(context["next_action"], "none");
    scene.town.end().await;
}

/// The rule of a token for one approved request holds here as at the gateway: it rests on that, or on nothing.
#[tokio::test(flavor = "multi_thread")]
async fn a_token_for_one_approved_request_is_good_for_that_one_once() {
    let scene = Scene::new().await;
    let question = refund(700);
    let id = scene.approved(&question).await;
    let issued = scene.token_for(&id).await;
    assert_eq!(issued.status, 200, "{}", issued.text());
    let token = issued.json()["access_token"].as_str().unwrap().to_owned();
    let shown = |amount: u32| {
        let mut question = refund(amount);
        question["subject"]["properties"] = json!({"token": token});
        question
    };
    // Not for what would need no approval, nor with other arguments, nor at another service.
    for (pep, amount) in [
        (&scene.edge, 5),
        (&scene.edge, 701),
        (&scene.vault, 700),
        (&scene.vault, 5),
    ] {
        assert_eq!(
            pep.codes(&shown(amount)).await,
            ["APPROVAL_OUT_OF_SCOPE"],
            "{amount}"
        );
    }
    // For one, and the question names another.
    let other = scene.approved(&refund(800)).await;
    for amount in [700, 800] {
        let named = naming(&shown(amount), &other);
        assert_eq!(scene.edge.codes(&named).await, ["APPROVAL_OUT_OF_SCOPE"]);
    }
    // The token is shown anew each time; what is asked is what was approved.
    assert_eq!(scene.edge.codes(&shown(700)).await, Vec::<String>::new());
    assert_eq!(scene.edge.codes(&shown(700)).await, ["APPROVAL_USED"]);
    assert_eq!(scene.edge.codes(&naming(&question, &id)).await, ["APPROVAL_USED"]);
    scene.town.end().await;
}
