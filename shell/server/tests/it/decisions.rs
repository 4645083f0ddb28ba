//! Decisions for services, and what a service, an agent or a thief tries with them.

use crate::instance::Instance;
use crate::pep::{Pep, contract, grant, post, publish};
use crate::place::Place;
use broker::revoke::revoke;
use broker::task;
use broker::world::Target;
use identity::OrgScope;
use serde_json::{Value, json};

/// The demo's service, which enforces decisions itself.
const INVOICES: &str = "
apiVersion: tabard/v1
kind: Upstream
metadata: {name: invoices}
base_url: http://127.0.0.1:9
credential: none
enforced_by: [edge]
routes:
  - method: GET
    path: /tenants/{tenant}/invoices/{id}
    action: invoices.read
    resource: {type: invoice, id: id}
    tenant: {path: tenant}
    data: {sensitivity: confidential, domains: [finance]}
  - method: DELETE
    path: /tenants/{tenant}/invoices/{id}
    action: invoices.delete
    resource: {type: invoice, id: id}
    tenant: {path: tenant}
";

/// A service of which the edge knows nothing.
const PAYROLL: &str = "
apiVersion: tabard/v1
kind: Upstream
metadata: {name: payroll}
base_url: http://127.0.0.1:9
credential: none
enforced_by: [vault]
routes:
  - {method: GET, path: '/salaries/{id}', action: salaries.read, resource: {type: salary, id: id}}
";

/// A mailbox: what it returns others wrote, and what it sends leaves.
const MAIL: &str = "
apiVersion: tabard/v1
kind: Upstream
metadata: {name: mail}
base_url: http://127.0.0.1:9
credential: none
tenant_header: x-tenant
enforced_by: [edge]
routes:
  - {method: GET, path: '/mails/{id}', action: mail.read, resource: {type: mail, id: id}, data: {sensitivity: internal, untrusted: true}}
  - method: POST
    path: /mails
    action: mail.send
    resource: {type: mail}
    arguments: [{name: to, body: /to}, {name: size, type: integer, body: /size}]
    sink: {clearance: internal, egress: true, consequential: true, destinations: [to]}
  - {method: POST, path: '/drafts', action: mail.draft, resource: {type: draft}, sink: {clearance: internal}}
";

struct Scene {
    place: Place,
    edge: Pep,
    instance: Instance,
}

impl Scene {
    async fn new() -> Self {
        let place = Place::new().await;
        for upstream in [INVOICES, PAYROLL] {
            publish(&place, place.org, upstream).await;
        }
        let instance = Instance::launch(&place).await;
        let edge = Pep::of(&place, place.org, "edge").await;
        Self {
            place,
            edge,
            instance,
        }
    }

    /// With a mailbox, and an agent `clerk` that may use it within `more`.
    async fn with_mail(more: &str) -> Self {
        let mut scene = Self::new().await;
        let (place, org) = (&scene.place, scene.place.org);
        publish(place, org, MAIL).await;
        let grants = [
            grant("read", "mail", "mail.read", ""),
            grant("send", "mail", "mail.send", "{size: {max: 10}}"),
            grant("draft", "mail", "mail.draft", ""),
        ];
        let text = contract("clerk", &grants.concat(), more);
        place.register(org, "clerk", text.as_bytes()).await;
        scene.instance = Instance::launch_as(place, org, "clerk").await;
        scene
    }

    async fn token(&self) -> String {
        let answer = self.instance.exchange(&self.place, "").await;
        answer.json()["access_token"].as_str().unwrap().to_owned()
    }

    fn proof(&self, token: &str, jti: &str) -> Value {
        let url = "https://edge.example/tenants/acme-eu/invoices/4711";
        let proof = self
            .instance
            .key
            .proof_with("GET", url, jti, Some(token), None, self.place.now());
        json!({"proof": proof, "method": "GET", "url": url})
    }
}

/// Whether the demo's agent may read an invoice.
fn read(subject: impl Into<Value>) -> Value {
    let subject: Value = subject.into();
    json!({
        "subject": subject,
        "action": {"name": "invoices.read"},
        "resource": {"type": "invoice", "id": "4711", "properties": {"tenant": "acme-eu"}},
    })
}

fn by_name(name: &str) -> Value {
    json!({"type": "agent", "id": name})
}

fn with(mut question: Value, at: &str, value: Value) -> Value {
    let (parent, name) = at.rsplit_once('/').unwrap();
    question.pointer_mut(parent).unwrap()[name] = value;
    question
}

#[tokio::test(flavor = "multi_thread")]
async fn a_decision_is_the_contracts_and_is_recorded_before_it_is_answered() {
    let scene = Scene::new().await;
    let (decision, context) = scene.edge.decides(&read(by_name("demo-billing"))).await;
    assert!(decision, "{context}");
    let id = context["evaluation_id"].as_str().unwrap();
    let entries = scene.place.entries();
    let entry: Value = entries
        .iter()
        .map(|entry| serde_json::from_str(entry).unwrap())
        .find(|entry: &Value| entry["decision"]["id"] == id)
        .unwrap();
    assert_eq!(entry["kind"], "decision.made");
    assert_eq!(entry["detail"]["asked_by"], "edge");
    assert_eq!(entry["what"]["action"], "invoices.read");
    assert_eq!(entry["why"]["task"], scene.instance.task.to_string());
    // Not granted, by its SPIFFE ID, and of another tenant: each a plain answer with its reason and the next step.
    let delete = with(
        read(by_name("spiffe://dev.tabard/acme/agent/demo-billing")),
        "/action/name",
        json!("invoices.delete"),
    );
    let (decision, context) = scene.edge.decides(&delete).await;
    assert!(!decision);
    assert_eq!(context["reasons"][0]["code"], "ACTION_NOT_GRANTED");
    assert!(context["reasons"][0]["message"].is_string() && context["reasons"][0]["next_action"].is_string());
    let foreign = with(
        read(by_name("demo-billing")),
        "/resource/properties/tenant",
        json!("acme-us"),
    );
    assert_eq!(scene.edge.codes(&foreign).await, ["RESOURCE_UNAVAILABLE"]);
    // Without a tenant it cannot be told whose it is.
    let nobody = with(read(by_name("demo-billing")), "/resource/properties", json!({}));
    assert_eq!(scene.edge.codes(&nobody).await, ["ARGUMENT_OUT_OF_RANGE"]);
    scene.place.running.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_token_says_for_whom_and_its_proof_is_good_once() {
    let scene = Scene::new().await;
    let token = scene.token().await;
    let id = "spiffe://dev.tabard/acme/agent/demo-billing";
    let shown = json!({"type": "agent", "id": id, "properties": {"token": token}});
    assert_eq!(scene.edge.codes(&read(shown.clone())).await, Vec::<String>::new());
    let proof = scene.proof(&token, "one");
    let proven = with(shown.clone(), "/properties/dpop", proof.clone());
    assert_eq!(
        scene.edge.codes(&read(proven.clone())).await,
        Vec::<String>::new()
    );
    assert_eq!(scene.edge.codes(&read(proven)).await, ["REPLAY_DETECTED"]);
    // A proof of another request, of another key, for another token.
    for (name, value) in [
        ("/properties/dpop/method", json!("DELETE")),
        ("/properties/dpop/url", json!("https://edge.example/other")),
        ("/properties/dpop/proof", json!("x.y.z")),
    ] {
        let fresh = with(shown.clone(), "/properties/dpop", scene.proof(&token, "two"));
        let wrong = with(fresh, name, value);
        assert_eq!(
            scene.edge.codes(&read(wrong)).await,
            ["PROOF_OF_POSSESSION_FAILED"],
            "{name}"
        );
    }
    let thief = Instance::launch(&scene.place).await;
    let url = "https://edge.example/";
    let stolen = thief
        .key
        .proof_with("GET", url, "three", Some(&token), None, scene.place.now());
    let stolen = with(
        shown.clone(),
        "/properties/dpop",
        json!({"proof": stolen, "method": "GET", "url": url}),
    );
    assert_eq!(
        scene.edge.codes(&read(stolen)).await,
        ["PROOF_OF_POSSESSION_FAILED"]
    );
    // The token of one agent under the name of another, a token that is none, one that was revoked.
    let other = with(
        shown.clone(),
        "/id",
        json!("spiffe://dev.tabard/acme/agent/other"),
    );
    assert_eq!(scene.edge.codes(&read(other)).await, ["SUBJECT_REJECTED"]);
    let forged = with(shown.clone(), "/properties/token", json!(format!("{token}x")));
    assert_eq!(scene.edge.codes(&read(forged)).await, ["SUBJECT_REJECTED"]);
    let world = scene.place.installation().store.world();
    let agent = world.agent_of(OrgScope::Every, &id.parse().unwrap()).unwrap().id;
    let source = scene.place.draw();
    let admin = scene.place.admin();
    let revoked = revoke(&world, &admin, Target::Agent(agent), "", &mut source.draw());
    drop(scene.place.grant(revoked).await);
    assert_eq!(scene.edge.codes(&read(shown)).await, ["IDENTITY_REVOKED"]);
    scene.place.running.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn what_belongs_to_another_service_or_org_does_not_exist() {
    let scene = Scene::new().await;
    let salary = json!({"subject": by_name("demo-billing"), "action": {"name": "salaries.read"},
        "resource": {"type": "salary", "id": "7"}});
    let nothing = json!({"subject": by_name("demo-billing"), "action": {"name": "NO SUCH"},
        "resource": {"type": "thing", "id": "7"}});
    let nobody = read(by_name("nobody"));
    for question in [&salary, &nothing, &nobody] {
        assert_eq!(
            scene.edge.codes(question).await,
            ["RESOURCE_UNAVAILABLE"],
            "{question}"
        );
    }
    // Naming the service does not help, and neither does searching.
    let named = with(salary.clone(), "/context", json!({"audience": "payroll"}));
    assert_eq!(scene.edge.codes(&named).await, ["RESOURCE_UNAVAILABLE"]);
    for (path, search) in [
        (
            "subject",
            json!({"subject": {"type": "agent"}, "action": {"name": "salaries.read"}, "resource": {"type": "salary", "id": "7"}}),
        ),
        (
            "action",
            json!({"subject": by_name("demo-billing"), "resource": {"type": "salary", "id": "7"}}),
        ),
        (
            "resource",
            json!({"subject": by_name("demo-billing"), "action": {"name": "salaries.read"}, "resource": {"type": "salary"}}),
        ),
    ] {
        let answer = scene
            .edge
            .ask(&format!("/access/v1/search/{path}"), &search)
            .await;
        assert_eq!(answer.json()["results"], json!([]), "{path}");
    }
    // Another org's service of the same name sees neither the upstream nor the agents of this one.
    let rival = scene.place.second_org().await;
    publish(&scene.place, rival, INVOICES).await;
    let stranger = Pep::of(&scene.place, rival, "edge").await;
    let by_id = read(by_name("spiffe://dev.tabard/acme/agent/demo-billing"));
    assert_eq!(stranger.codes(&by_id).await, ["RESOURCE_UNAVAILABLE"]);
    let token = scene.token().await;
    let shown = json!({"type": "agent", "id": "spiffe://dev.tabard/acme/agent/demo-billing", "properties": {"token": token}});
    assert_eq!(stranger.codes(&read(shown)).await, ["RESOURCE_UNAVAILABLE"]);
    // A service that the manifest names no more may ask nothing, though its SVID lives on.
    assert!(scene.edge.decides(&read(by_name("demo-billing"))).await.0);
    publish(
        &scene.place,
        scene.place.org,
        &INVOICES.replace("enforced_by: [edge]", "enforced_by: [edge2]"),
    )
    .await;
    assert_eq!(
        scene.edge.codes(&read(by_name("demo-billing"))).await,
        ["RESOURCE_UNAVAILABLE"]
    );
    scene.place.running.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn an_agent_is_no_service_whatever_it_shows() {
    let scene = Scene::new().await;
    let question = read(by_name("demo-billing")).to_string();
    let before = scene.place.entries().len();
    let bare = &scene.place.client;
    let agent = scene.instance.mtls(&scene.place).await;
    let after_svid = scene.place.entries().len();
    for client in [bare, &agent] {
        for path in [
            "/access/v1/evaluation",
            "/access/v1/evaluations",
            "/access/v1/search/subject",
            "/access/v1/search/resource",
            "/access/v1/search/action",
        ] {
            let answer = post(client, path, "application/json", question.clone()).await;
            assert_eq!(answer.status, 401, "{path}: {}", answer.text());
            assert_eq!(answer.json()["code"], "SERVICE_UNKNOWN");
            let challenge = answer.header("www-authenticate");
            assert_eq!(challenge, "ClientCertificate realm=\"services\"", "{path}");
        }
    }
    // Counted, not recorded one by one: nobody fills the log by asking.
    assert!(after_svid >= before);
    let made = scene.place.entries();
    assert!(!made.iter().any(|entry| entry.contains("decision.made")));
    scene.place.running.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn what_a_service_merely_asserts_never_widens() {
    let scene = Scene::with_mail("flow: {}\n").await;
    let send = json!({
        "subject": by_name("clerk"),
        "action": {"name": "mail.send", "properties": {"to": "ann@acme.example", "size": 11}},
        "resource": {"type": "mail", "id": "new"},
    });
    let refused = scene.edge.codes(&send).await;
    assert_eq!(refused, ["ARGUMENT_OUT_OF_RANGE"]);
    let everything = json!({
        "role": "admin", "groups": ["admins"], "assurance": 5, "caller": "agent", "user": "root", "approvals": ["any"],
        "labels": {"taint": [], "conf": "public"}, "approval": {"id": "apr_1", "state": "approved"}, "tainted": false,
        "tenant": "acme-eu", "trusted": true, "limit": 1000, "decision": true,
    });
    for at in ["/subject/properties", "/resource/properties", "/context"] {
        let said = with(send.clone(), at, everything.clone());
        assert_eq!(scene.edge.codes(&said).await, refused, "{at}");
    }
    // Reading what others wrote taints the task, and nothing that is said lifts it.
    let small = with(send, "/action/properties/size", json!(10));
    let mail = json!({"subject": by_name("clerk"), "action": {"name": "mail.read"}, "resource": {"type": "mail", "id": "1"}});
    assert!(scene.edge.decides(&mail).await.0);
    let tainted = scene.edge.codes(&small).await;
    assert!(tainted.contains(&"TAINTED_SINK".to_owned()), "{tainted:?}");
    for at in ["/subject/properties", "/context"] {
        let said = with(small.clone(), at, everything.clone());
        assert_eq!(scene.edge.codes(&said).await, tainted, "{at}");
    }
    // Said twice is said in two ways.
    let twice = with(small, "/resource/properties", json!({"size": 1}));
    assert_eq!(scene.edge.codes(&twice).await, ["ARGUMENT_OUT_OF_RANGE"]);
    scene.place.running.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn each_decision_of_a_batch_counts_once_and_a_restart_forgets_none() {
    let budget = "budgets:\n  - {counts: calls, scope: task, max: 4}\n";
    let scene = Scene::with_mail(budget).await;
    let draft = json!({"subject": by_name("clerk"), "action": {"name": "mail.draft"}, "resource": {"type": "draft", "id": "d"}});
    // What is at the top completes the two and is not a third; a retry of the request is two more.
    let batch = with(draft.clone(), "/evaluations", json!([{}, {}]));
    let decisions = |answer: &Value| -> Vec<bool> {
        let list = answer["evaluations"].as_array().unwrap();
        list.iter().map(|it| it["decision"].as_bool().unwrap()).collect()
    };
    let answer = scene.edge.ask("/access/v1/evaluations", &batch).await.json();
    assert_eq!(decisions(&answer), [true, true]);
    let three = with(
        draft.clone(),
        "/evaluations",
        json!([{}, {"action": {"name": "mail.delete"}}, {}]),
    );
    let first_deny = with(
        three,
        "/options",
        json!({"evaluations_semantic": "deny_on_first_deny"}),
    );
    let answer = scene.edge.ask("/access/v1/evaluations", &first_deny).await.json();
    assert_eq!(
        decisions(&answer),
        [true, false],
        "the rest is neither made nor counted"
    );
    let permit = with(
        batch.clone(),
        "/options",
        json!({"evaluations_semantic": "permit_on_first_permit"}),
    );
    let answer = scene.edge.ask("/access/v1/evaluations", &permit).await.json();
    assert_eq!(decisions(&answer), [true]);
    assert_eq!(scene.edge.codes(&draft).await, ["BUDGET_EXHAUSTED"]);
    let answer = scene
        .edge
        .ask(
            "/access/v1/evaluations",
            &with(batch, "/options", json!({"evaluations_semantic": "all"})),
        )
        .await;
    assert_eq!(answer.status, 400);

    let Scene { place, .. } = scene;
    let place = place.restarted().await;
    let edge = Pep::of(&place, place.org, "edge").await;
    assert_eq!(edge.codes(&draft).await, ["BUDGET_EXHAUSTED"]);
    place.running.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn racing_questions_never_both_take_the_last() {
    let budget = "budgets:\n  - {counts: calls, scope: task, max: 5}\n";
    let scene = Scene::with_mail(budget).await;
    let draft = json!({"subject": by_name("clerk"), "action": {"name": "mail.draft"}, "resource": {"type": "draft", "id": "d"}});
    let asked = (0..16).map(|_| scene.edge.decides(&draft));
    let permitted = futures_util::future::join_all(asked)
        .await
        .into_iter()
        .filter(|(decision, _)| *decision)
        .count();
    assert_eq!(permitted, 5);
    scene.place.running.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_question_is_bounded() {
    let scene = Scene::new().await;
    let question = read(by_name("demo-billing"));
    let many = with(question.clone(), "/evaluations", vec![json!({}); 65].into());
    let answer = scene.edge.ask("/access/v1/evaluations", &many).await;
    assert_eq!(
        (answer.status.as_u16(), answer.json()["code"].clone()),
        (400, json!("TOO_MANY_EVALUATIONS"))
    );
    let large = with(
        question.clone(),
        "/context",
        json!({"padding": "x".repeat(300_000)}),
    );
    let answer = scene.edge.ask("/access/v1/evaluation", &large).await;
    assert_eq!(
        (answer.status.as_u16(), answer.json()["code"].clone()),
        (413, json!("BODY_TOO_LARGE"))
    );
    let deep = format!("{{\"subject\":{}", "[".repeat(10_000));
    assert_eq!(
        scene
            .edge
            .send("/access/v1/evaluation", "application/json", deep)
            .await
            .status,
        400
    );
    let members: serde_json::Map<String, Value> = (0..65).map(|n| (n.to_string(), json!(n))).collect();
    let wide = with(question.clone(), "/subject/properties", members.into());
    assert_eq!(scene.edge.ask("/access/v1/evaluation", &wide).await.status, 400);
    // Nothing of it was decided.
    assert!(
        !scene
            .place
            .entries()
            .iter()
            .any(|entry| entry.contains("decision.made"))
    );
    // What is wrong with one question of a batch says nothing of the others.
    let mixed = with(question, "/evaluations", json!([{"context": {"task": 7}}, {}, 7]));
    let answer = scene.edge.ask("/access/v1/evaluations", &mixed).await.json();
    let list = answer["evaluations"].as_array().unwrap();
    assert_eq!(
        list.iter().map(|it| it["decision"] == true).collect::<Vec<_>>(),
        [false, true, false]
    );
    assert_eq!(list[0]["context"]["reasons"][0]["code"], "MEMBER_INVALID");
    scene.place.running.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn without_a_token_nothing_is_guessed() {
    let scene = Scene::new().await;
    let of_task = |task: &str| with(read(by_name("demo-billing")), "/context", json!({"task": task}));
    let own = of_task(&scene.instance.task.to_string());
    assert!(scene.edge.decides(&own).await.0);
    // Two tasks, each with a process: which one is meant has to be said.
    let second = Instance::launch(&scene.place).await;
    assert_eq!(
        scene.edge.codes(&read(by_name("demo-billing"))).await,
        ["ATTESTATION_REQUIRED"]
    );
    assert!(scene.edge.decides(&own).await.0);
    assert!(scene.edge.decides(&of_task(&second.task.to_string())).await.0);
    // A task of nobody, one that is over, and one that is no id.
    let unknown = identity::TaskId::from_u128(7).to_string();
    assert_eq!(
        scene.edge.codes(&of_task(&unknown)).await,
        ["ATTESTATION_REQUIRED"]
    );
    let world = scene.place.installation().store.world();
    let known = world.task(OrgScope::Every, second.task).unwrap();
    let source = scene.place.draw();
    let closed = task::close_by_operator(&world, &scene.place.admin(), known, &mut source.draw());
    drop(scene.place.grant(closed).await);
    assert_eq!(
        scene.edge.codes(&of_task(&second.task.to_string())).await,
        ["TASK_EXPIRED"]
    );
    let answer = scene.edge.ask("/access/v1/evaluation", &of_task("task_x")).await;
    assert_eq!(answer.status, 400);
    // People are no subjects: they stand at the beginning of a token's chain.
    let person = with(read(by_name("demo-billing")), "/subject/type", json!("user"));
    assert_eq!(scene.edge.codes(&person).await, ["RESOURCE_UNAVAILABLE"]);
    scene.place.running.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_tenant_that_only_a_header_names_is_an_obligation_or_unknown() {
    let scene = Scene::with_mail("tenants: {mode: task, allowed: [acme-eu]}\n").await;
    let draft = json!({"subject": by_name("clerk"), "action": {"name": "mail.draft"}, "resource": {"type": "draft", "id": "d"}});
    assert_eq!(scene.edge.codes(&draft).await, ["RESOURCE_UNAVAILABLE"]);
    // Who cannot carry it out is told what that would be.
    let (_, context) = scene.edge.decides(&draft).await;
    assert_eq!(context["required_obligations"], json!(["custom"]));
    let able = with(draft, "/context", json!({"supported_obligations": ["custom"]}));
    let (decision, context) = scene.edge.decides(&able).await;
    assert!(decision, "{context}");
    let obligation = &context["obligations"][0];
    assert_eq!(obligation["type"], "custom");
    assert_eq!(obligation["properties"]["header"], "x-tenant");
    assert_eq!(obligation["properties"]["value"], "acme-eu");
    scene.place.running.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn what_a_gateway_counts_is_not_counted_again_here() {
    use broker::home::{Claimant, Counted, claim};
    let scene = Scene::new().await;
    // A gateway decided the first call of the task.
    let counted = Counted {
        task: scene.instance.task,
        instance: scene.instance.id,
        agents: Vec::new(),
    };
    let world = scene.place.installation().store.world();
    let source = scene.place.draw();
    let gateway = Claimant::gateway(&scene.place.member());
    let claimed = claim(&world, &gateway, &counted, &mut source.draw());
    drop(scene.place.grant(claimed).await);
    let refused = scene.edge.codes(&read(by_name("demo-billing"))).await;
    assert_eq!(refused, ["COUNTED_ELSEWHERE"]);
    scene.place.running.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_search_leaves_nothing_behind_but_a_count() {
    let budget = "budgets:\n  - {counts: calls, scope: task, max: 1}\n";
    let scene = Scene::with_mail(budget).await;
    let before = scene.place.entries().len();
    let search = json!({"subject": by_name("clerk"), "resource": {"type": "mail", "id": "1"}});
    for _ in 0..3 {
        let answer = scene.edge.ask("/access/v1/search/action", &search).await.json();
        assert_eq!(
            answer["results"],
            json!([{"name": "mail.read"}, {"name": "mail.send"}])
        );
    }
    assert_eq!(scene.place.entries().len(), before);
    let metrics = scene.place.client.get("/metrics").await.text();
    assert!(metrics.contains("tabard_searches_total 3"), "{metrics}");
    let draft = json!({"subject": by_name("clerk"), "action": {"name": "mail.draft"}, "resource": {"type": "draft", "id": "d"}});
    assert!(scene.edge.decides(&draft).await.0, "nothing was counted");
    scene.place.running.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn an_svid_of_a_service_is_issued_by_an_operator_for_a_service_that_there_is() {
    use broker::service::{RENEWABLE_SECS, RENEWABLE_SECS_MAX, SVID_SECS_MAX, Wanted, svid};
    use broker::{Cause, Outcome};
    let scene = Scene::new().await;
    let key = crate::test_key::TestKey::new();
    let proven = credential::csr::verify(&key.csr()).unwrap();
    let world = scene.place.installation().store.world();
    for (name, ttl_secs, renewable_secs, code) in [
        ("nobody", 60, RENEWABLE_SECS, "SERVICE_UNKNOWN"),
        ("edge", 0, RENEWABLE_SECS, "SERVICE_TTL"),
        ("edge", SVID_SECS_MAX + 1, RENEWABLE_SECS, "SERVICE_TTL"),
        ("edge", 60, RENEWABLE_SECS_MAX + 1, "SERVICE_RENEWABLE"),
    ] {
        let name = name.parse().unwrap();
        let wanted = Wanted {
            org: scene.place.org,
            name: &name,
            proven: &proven,
            ttl_secs,
            renewable_secs,
        };
        let source = scene.place.draw();
        let Outcome::Refused(plan) = svid(&world, &scene.place.admin(), &wanted, &mut source.draw()) else {
            panic!("{name} for {ttl_secs} s");
        };
        let refused = scene.place.commit(plan).await;
        assert!(
            matches!(refused.get().cause(), Cause::Invalid { code: found, .. } if *found == code),
            "{name} {ttl_secs}"
        );
    }
    scene.place.running.stop().await;
}
