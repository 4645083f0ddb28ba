//! The AuthZEN certification scenario, and the interop scenarios (todo, API gateway, search, identity provider), as other
//! implementations answer them. Where they come from: `testdata/authzen/README.md`.

use crate::instance::Instance;
use crate::pep::{Pep, contract, grant, publish};
use crate::place::Place;
use serde_json::{Value, json};
use std::collections::{BTreeMap, BTreeSet};

const SCENARIO: &str = include_str!("../../../../testdata/authzen/scenario.jsonl");
const RECORDS_OF_SEARCH: &str = include_str!("../../../../testdata/authzen/records.txt");
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

const SEARCHED: &str = "
apiVersion: tabard/v1
kind: Upstream
metadata: {name: records}
base_url: http://127.0.0.1:9
credential: none
enforced_by: [edge]
routes:
  - {method: GET, path: '/records/{id}', action: view, resource: {type: record, id: id}, arguments: [{name: id, path: id}]}
  - {method: PUT, path: '/records/{id}', action: edit, resource: {type: record, id: id}, arguments: [{name: id, path: id}]}
  - {method: DELETE, path: '/records/{id}', action: delete, resource: {type: record, id: id}, arguments: [{name: id, path: id}]}
";

/// A gateway's own routes as resources, and methods as actions.
const ROUTES: &str = "
apiVersion: tabard/v1
kind: Upstream
metadata: {name: todos}
base_url: http://127.0.0.1:9
credential: none
enforced_by: [edge]
routes:
  - {method: GET, path: '/routes/{route}', action: get, resource: {type: route, id: route}, arguments: [{name: route, path: route}]}
  - {method: POST, path: '/routes/{route}', action: post, resource: {type: route, id: route}, arguments: [{name: route, path: route}]}
  - {method: PUT, path: '/routes/{route}', action: put, resource: {type: route, id: route}, arguments: [{name: route, path: route}]}
  - {method: DELETE, path: '/routes/{route}', action: delete, resource: {type: route, id: route}, arguments: [{name: route, path: route}]}
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
        ("access_request_endpoint", "/access/v1/requests"),
    ] {
        assert_eq!(metadata[name], format!("{}{path}", place.issuer()), "{name}");
    }
    assert_eq!(
        metadata["capabilities"],
        json!(["urn:openid:authzen:capability:access-request"])
    );
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

/// Who may do what to which record, by the rules of the search scenario: owners do everything; who works in its department
/// views it; a manager views all and edits those of their department.
fn rule(action: &str, [id, role, department]: [&str; 3], [_, of, owner]: [&str; 3]) -> bool {
    let (own, near, manager) = (owner == id, of == department, role == "manager");
    match action {
        "view" => own || near || manager,
        "edit" => own || near && manager,
        _ => own,
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn the_search_scenario_is_answered_by_its_rules() {
    let rows = |kind: &str| -> Vec<[&str; 3]> {
        let mut rows = Vec::new();
        for line in RECORDS_OF_SEARCH.lines() {
            if let [of, id, one, other] = line.split(' ').collect::<Vec<_>>()[..]
                && of == kind
            {
                rows.push([id, one, other]);
            }
        }
        rows
    };
    let (users, records) = (rows("user"), rows("record"));
    assert_eq!((users.len(), records.len()), (6, 20));
    let place = Place::new().await;
    publish(&place, place.org, SEARCHED).await;
    let actions = ["view", "edit", "delete"];
    for user in &users {
        let grants = actions.map(|action| {
            let own = records.iter().filter(|record| rule(action, *user, **record));
            let ids: Vec<String> = own.map(|[id, ..]| format!("'{id}'")).collect();
            grant(
                action,
                "records",
                action,
                &format!("{{id: [{}]}}", ids.join(", ")),
            )
        });
        let text = contract(user[0], &grants.concat(), "");
        place.register(place.org, user[0], text.as_bytes()).await;
    }
    let edge = Pep::of(&place, place.org, "edge").await;
    let found = async |path: &str, member: &str, search: Value| -> BTreeSet<String> {
        let answer = edge.ask(path, &search).await;
        assert_eq!(answer.status, 200, "{search}: {}", answer.text());
        let json = answer.json();
        assert_eq!(json["page"]["next_token"], "", "{search}");
        let results = json["results"].as_array().unwrap().iter();
        results
            .map(|result| result[member].as_str().unwrap().to_owned())
            .collect()
    };
    let set = |names: Vec<&str>| -> BTreeSet<String> { names.into_iter().map(str::to_owned).collect() };
    let agent = |id: &str| json!({"type": "agent", "id": id});
    let mut searches = 0;
    for user in &users {
        for action in actions {
            let search = json!({"subject": agent(user[0]), "action": {"name": action}, "resource": {"type": "record"}});
            let wanted = records.iter().filter(|record| rule(action, *user, **record));
            let wanted = set(wanted.map(|[id, ..]| *id).collect());
            assert_eq!(found("/access/v1/search/resource", "id", search).await, wanted);
            searches += 1;
        }
        for record in &records {
            let search = json!({"subject": agent(user[0]), "resource": {"type": "record", "id": record[0]}});
            let wanted = actions.into_iter().filter(|action| rule(action, *user, *record));
            assert_eq!(
                found("/access/v1/search/action", "name", search).await,
                set(wanted.collect())
            );
            searches += 1;
        }
    }
    for record in &records {
        for action in actions {
            let search = json!({"subject": {"type": "agent"}, "action": {"name": action},
                "resource": {"type": "record", "id": record[0]}});
            let wanted = users.iter().filter(|user| rule(action, **user, *record));
            let wanted = set(wanted.map(|[id, ..]| *id).collect());
            assert_eq!(found("/access/v1/search/subject", "id", search).await, wanted);
            searches += 1;
        }
    }
    assert_eq!(searches, 198);
    // People are no subjects: a search finds none, and a question has an answer. Neither is an error.
    let person = json!({"type": "user", "id": "alice"});
    for (path, search) in [
        (
            "subject",
            json!({"subject": {"type": "user"}, "action": {"name": "view"}, "resource": {"type": "record", "id": "101"}}),
        ),
        (
            "resource",
            json!({"subject": person, "action": {"name": "view"}, "resource": {"type": "record"}}),
        ),
        (
            "action",
            json!({"subject": person, "resource": {"type": "record", "id": "101"}}),
        ),
    ] {
        let path = format!("/access/v1/search/{path}");
        assert!(found(&path, "id", search).await.is_empty(), "{path}");
    }
    let question =
        json!({"subject": person, "action": {"name": "view"}, "resource": {"type": "record", "id": "101"}});
    assert_eq!(edge.codes(&question).await, ["RESOURCE_UNAVAILABLE"]);
    place.running.stop().await;
}

/// Two of the five look; the others change as well. Which todo it is, a gateway does not know.
#[tokio::test(flavor = "multi_thread")]
async fn the_api_gateway_payloads_are_answered_as_other_implementations_do() {
    let place = Place::new().await;
    publish(&place, place.org, ROUTES).await;
    let routes = [
        ("get", "/users/{userId}"),
        ("get", "/todos"),
        ("post", "/todos"),
        ("put", "/todos/{todoId}"),
        ("delete", "/todos/{todoId}"),
    ];
    let people = [
        ("rick", true),
        ("morty", true),
        ("summer", true),
        ("beth", false),
        ("jerry", false),
    ];
    let may = |changes: bool, method: &str| changes || method == "get";
    for (name, changes) in people {
        let granted = routes
            .iter()
            .enumerate()
            .filter(|(_, (method, _))| may(changes, method));
        let grants: String = granted
            .map(|(place, (method, route))| {
                grant(
                    &format!("g{place}"),
                    "todos",
                    method,
                    &format!("{{route: ['{route}']}}"),
                )
            })
            .collect();
        place
            .register(place.org, name, contract(name, &grants, "").as_bytes())
            .await;
        Instance::launch_as(&place, place.org, name).await;
    }
    let edge = Pep::of(&place, place.org, "edge").await;
    let mut count = 0;
    for (name, changes) in people {
        for (method, route) in routes {
            let question = json!({"subject": {"type": "agent", "id": name}, "action": {"name": method},
                "resource": {"type": "route", "id": route}});
            let (decision, context) = edge.decides(&question).await;
            assert_eq!(decision, may(changes, method), "{question} -> {context}");
            count += 1;
        }
    }
    assert_eq!(count, 25);
    // Spelled as there it is no action that we can have: an answer, and no error.
    let question = json!({"subject": {"type": "identity", "id": "rick"}, "action": {"name": "GET"},
        "resource": {"type": "route", "id": "/todos"}});
    assert_eq!(edge.codes(&question).await, ["RESOURCE_UNAVAILABLE"]);
    place.running.stop().await;
}
