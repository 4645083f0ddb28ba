//! The AuthZEN certification scenario, and the payloads of the todo interop scenario, as other implementations answer
//! them. Where they come from: `testdata/authzen/README.md`.

use crate::instance::Instance;
use crate::pep::{Pep, contract, grant, publish};
use crate::place::Place;
use serde_json::{Value, json};
use std::collections::BTreeMap;

const SCENARIO: &str = include_str!("../../../../testdata/authzen/scenario.jsonl");
const TODO: &str = include_str!("../../../../testdata/authzen/todo.json");

const RECORDS: &str = "
apiVersion: tabard/v1
kind: Upstream
metadata: {name: records}
base_url: http://127.0.0.1:9
credential: none
enforced_by: [edge]
routes:
  - method: GET
    path: /records/{id}
    action: read
    resource: {type: record, id: id}
    arguments: [{name: id, path: id}]
    data: {sensitivity: internal}
  - method: PUT
    path: /records/{id}
    action: write
    resource: {type: record, id: id}
    arguments: [{name: id, path: id}, {name: status, body: /status}]
    sink: {clearance: internal}
  - method: DELETE
    path: /records/{id}
    action: delete
    resource: {type: record, id: id}
    arguments: [{name: id, path: id}, {name: soft, type: boolean, query: soft}]
    sink: {clearance: internal}
";

const TODOS: &str = "
apiVersion: tabard/v1
kind: Upstream
metadata: {name: todos}
base_url: http://127.0.0.1:9
credential: none
enforced_by: [todo-backend]
routes:
  - {method: GET, path: '/users/{id}', action: can_read_user, resource: {type: user, id: id}, data: {sensitivity: internal}}
  - {method: GET, path: '/todos', action: can_read_todos, resource: {type: todo}, data: {sensitivity: internal}}
  - {method: POST, path: '/todos', action: can_create_todo, resource: {type: todo}, sink: {clearance: internal}}
  - method: PUT
    path: /todos/{id}
    action: can_update_todo
    resource: {type: todo, id: id}
    arguments: [{name: owner, body: /ownerID}]
    sink: {clearance: internal}
  - method: DELETE
    path: /todos/{id}
    action: can_delete_todo
    resource: {type: todo, id: id}
    arguments: [{name: owner, body: /ownerID}]
    sink: {clearance: internal}
";

/// Subjects are agents here.
fn of_agents(value: &Value, names: &BTreeMap<&str, &str>) -> Value {
    let mut value = value.clone();
    for place in ["/subject", "/evaluations"] {
        let Some(found) = value.pointer_mut(place) else {
            continue;
        };
        if let Some(items) = found.as_array_mut() {
            for item in items {
                *item = of_agents(item, names);
            }
            continue;
        }
        if found["type"] == "user" {
            found["type"] = "agent".into();
        }
        if let Some(name) = found["id"].as_str().and_then(|id| names.get(id)) {
            found["id"] = (*name).into();
        }
    }
    value
}

/// Alice and bob, each with a task in which one process runs.
async fn certified() -> (Place, Pep) {
    let place = Place::new().await;
    publish(&place, place.org, RECORDS).await;
    let read = grant("read", "records", "read", "{id: [record-1, record-2]}");
    let alice = [
        read.clone(),
        grant("write", "records", "write", "{id: [record-1]}"),
        grant("delete", "records", "delete", "{id: [record-1], soft: [true]}"),
    ];
    let bob = [
        read,
        grant(
            "write",
            "records",
            "write",
            "{id: [record-2], status: [archived]}",
        ),
    ];
    for (name, grants) in [("alice", alice.concat()), ("bob", bob.concat())] {
        place
            .register(place.org, name, contract(name, &grants, "").as_bytes())
            .await;
        Instance::launch_as(&place, place.org, name).await;
    }
    let pep = Pep::of(&place, place.org, "edge").await;
    (place, pep)
}

#[tokio::test(flavor = "multi_thread")]
async fn the_certification_scenario_is_answered_as_it_has_to_be() {
    let (place, pep) = certified().await;
    let mut results: BTreeMap<String, Value> = BTreeMap::new();
    let mut count = 0;
    for line in SCENARIO.lines() {
        let case: Value = serde_json::from_str(line).unwrap();
        let send = of_agents(&case["send"], &BTreeMap::new());
        let answer = pep.ask(case["path"].as_str().unwrap(), &send).await;
        let told = format!("{}: {} -> {}", case["id"], send, answer.text());
        // Every answer, an error too, carries the request's id (c-2-5-1).
        assert_eq!(answer.header("x-request-id"), "question-7", "{told}");
        count += 1;
        if let Some(status) = case["status"].as_u64() {
            assert_eq!(u64::from(answer.status.as_u16()), status, "{told}");
            continue;
        }
        assert_eq!(answer.status, 200, "{told}");
        assert_eq!(answer.header("content-type"), "application/json", "{told}");
        let json = answer.json();
        assert!(
            json["context"].is_object() || json.get("context").is_none(),
            "{told}"
        );
        if let Some(decision) = case["decision"].as_bool() {
            assert_eq!(json["decision"], decision, "{told}");
        }
        if let Some(wanted) = case["evaluations"].as_array() {
            let found = json["evaluations"].as_array().unwrap();
            assert_eq!(found.len(), wanted.len(), "{told}");
            for (found, wanted) in found.iter().zip(wanted) {
                let decision = found["decision"].as_bool().unwrap();
                assert!(wanted.as_bool().is_none_or(|wanted| wanted == decision), "{told}");
            }
        }
        if case.get("results").is_some() {
            assert_eq!(json["results"], case["results"], "{told}");
        }
        if let Some(wanted) = case["includes"].as_array() {
            let found = json["results"].as_array().unwrap();
            for one in wanted {
                let mut one = one.clone();
                if one["type"] == "user" {
                    one["type"] = "agent".into();
                }
                assert!(found.contains(&one), "{told}");
            }
            if let Some(other) = case["same_as"].as_str() {
                assert_eq!(json["results"], results[other], "{told}");
            }
            results.insert(case["id"].as_str().unwrap().to_owned(), json["results"].clone());
            assert!(json["page"]["next_token"].is_string(), "{told}");
        }
    }
    assert_eq!(count, 49);
    place.running.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn what_is_no_json_of_the_right_type_is_400_and_metadata_names_what_there_is() {
    let (place, pep) = certified().await;
    let read = json!({"subject": {"type": "agent", "id": "alice"}, "action": {"name": "read"},
        "resource": {"type": "record", "id": "record-1"}});
    for (kind, body) in [
        ("text/plain", read.to_string()),
        ("application/json", "{\"subject\":".to_owned()),
        ("application/json", String::new()),
        ("application/json", "[]".to_owned()),
    ] {
        let answer = pep.send("/access/v1/evaluation", kind, body).await;
        assert_eq!(answer.status, 400, "{}", answer.text());
        assert_eq!(answer.header("content-type"), "application/problem+json");
    }
    // The same question, the same answer (c-2-6).
    for _ in 0..5 {
        assert!(pep.decides(&read).await.0);
    }
    // A page at a time (c-4-5).
    let mut search = json!({"subject": {"type": "agent"}, "action": {"name": "read"},
        "resource": {"type": "record", "id": "record-1"}, "page": {"limit": 1}});
    let mut found = Vec::new();
    loop {
        let answer = pep.ask("/access/v1/search/subject", &search).await.json();
        found.extend(answer["results"].as_array().unwrap().clone());
        assert!(found.len() <= 2, "{found:?}");
        match answer["page"]["next_token"].as_str().unwrap() {
            "" => break,
            token => search["page"]["token"] = token.into(),
        }
    }
    assert_eq!(
        found,
        [
            json!({"type": "agent", "id": "alice"}),
            json!({"type": "agent", "id": "bob"})
        ]
    );
    // Anybody may ask where decisions are to be had (c-6).
    let answer = place.client.get("/.well-known/authzen-configuration").await;
    assert_eq!(answer.status, 200);
    let metadata = answer.json();
    assert_eq!(metadata["policy_decision_point"], place.issuer());
    for (name, path) in [
        ("access_evaluation_endpoint", "/access/v1/evaluation"),
        ("access_evaluations_endpoint", "/access/v1/evaluations"),
        ("search_subject_endpoint", "/access/v1/search/subject"),
        ("search_resource_endpoint", "/access/v1/search/resource"),
        ("search_action_endpoint", "/access/v1/search/action"),
    ] {
        assert_eq!(metadata[name], format!("{}{path}", place.issuer()), "{name}");
    }
    assert!(metadata["capabilities"].is_array());
    place.running.stop().await;
}

/// The people of the todo scenario, by what their roles let them do there: an editor changes what they own, an admin
/// creates and deletes, an evil genius changes what others own.
#[tokio::test(flavor = "multi_thread")]
async fn the_todo_payloads_are_answered_as_other_implementations_do() {
    let place = Place::new().await;
    publish(&place, place.org, TODOS).await;
    let people = [
        (
            "rick",
            "CiRmZDA2MTRkMy1jMzlhLTQ3ODEtYjdiZC04Yjk2ZjVhNTEwMGQSBWxvY2Fs",
        ),
        (
            "morty",
            "CiRmZDE2MTRkMy1jMzlhLTQ3ODEtYjdiZC04Yjk2ZjVhNTEwMGQSBWxvY2Fs",
        ),
        (
            "summer",
            "CiRmZDI2MTRkMy1jMzlhLTQ3ODEtYjdiZC04Yjk2ZjVhNTEwMGQSBWxvY2Fs",
        ),
        (
            "beth",
            "CiRmZDM2MTRkMy1jMzlhLTQ3ODEtYjdiZC04Yjk2ZjVhNTEwMGQSBWxvY2Fs",
        ),
        (
            "jerry",
            "CiRmZDQ2MTRkMy1jMzlhLTQ3ODEtYjdiZC04Yjk2ZjVhNTEwMGQSBWxvY2Fs",
        ),
    ];
    for (name, _) in people {
        let own = |domain: &str| format!("{{owner: ['{name}@{domain}']}}");
        let mut grants = vec![
            grant("read-users", "todos", "can_read_user", ""),
            grant("read-todos", "todos", "can_read_todos", ""),
        ];
        let edits = match name {
            "rick" => Some(String::new()),
            "morty" => Some(own("the-citadel.com")),
            "summer" => Some(own("the-smiths.com")),
            _ => None,
        };
        if let Some(edits) = edits {
            grants.push(grant("create", "todos", "can_create_todo", ""));
            grants.push(grant("update", "todos", "can_update_todo", &edits));
            grants.push(grant("delete", "todos", "can_delete_todo", &edits));
        }
        place
            .register(place.org, name, contract(name, &grants.concat(), "").as_bytes())
            .await;
        Instance::launch_as(&place, place.org, name).await;
    }
    let pep = Pep::of(&place, place.org, "todo-backend").await;
    let names: BTreeMap<&str, &str> = people.iter().map(|(name, id)| (*id, *name)).collect();
    let payloads: Value = serde_json::from_str(TODO).unwrap();
    let single = payloads["evaluation"].as_array().unwrap();
    assert_eq!(single.len(), 40);
    for case in single {
        let question = of_agents(&case["request"], &names);
        let (decision, context) = pep.decides(&question).await;
        assert_eq!(decision, case["expected"], "{question} -> {context}");
    }
    let batches = payloads["evaluations"].as_array().unwrap();
    assert_eq!(batches.len(), 3);
    for case in batches {
        let question = of_agents(&case["request"], &names);
        let answer = pep.ask("/access/v1/evaluations", &question).await.json();
        let decisions: Vec<Value> = answer["evaluations"]
            .as_array()
            .unwrap()
            .iter()
            .map(|it| json!({"decision": it["decision"]}))
            .collect();
        assert_eq!(Value::from(decisions), case["expected"], "{question}");
    }
    place.running.stop().await;
}
