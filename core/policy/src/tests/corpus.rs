//! Cedar's own test corpus through the rule by which decisions read Cedar's answer: where no policy fails, its answer;
//! where any fails, a refusal, although Cedar goes on without that policy.

use crate::decide::ruling;
use cedar_policy::{
    Authorizer, Context, Decision, Entities, EntityId, EntityTypeName, EntityUid, PolicySet, Request, Schema,
};
use serde::Deserialize;
use serde_json::Value;
use std::collections::BTreeSet;
use std::str::FromStr as _;

const SAMPLE: &str = include_str!("../../../../testdata/cedar-corpus/sample.jsonl");

#[derive(Deserialize)]
struct Case {
    name: String,
    policies: String,
    entities: Value,
    schema: String,
    requests: Vec<Asked>,
}

#[derive(Deserialize)]
struct Asked {
    principal: Uid,
    action: Uid,
    resource: Uid,
    context: Value,
    decision: String,
    reason: BTreeSet<String>,
    errors: BTreeSet<String>,
}

#[derive(Deserialize)]
struct Uid {
    r#type: String,
    id: String,
}

impl Uid {
    fn of(&self) -> EntityUid {
        EntityUid::from_type_name_and_id(
            EntityTypeName::from_str(&self.r#type).unwrap(),
            EntityId::new(&self.id),
        )
    }
}

/// How many requests were looked at, and in how many of them some policy failed.
#[derive(Default)]
struct Looked {
    requests: usize,
    failing: usize,
}

fn look(case: &Case, looked: &mut Looked) {
    let policies = PolicySet::from_str(&case.policies).unwrap();
    let (schema, _) = Schema::from_cedarschema_str(&case.schema).unwrap();
    let entities = Entities::from_json_value(case.entities.clone(), Some(&schema)).unwrap();
    let authorizer = Authorizer::new();
    for (place, asked) in case.requests.iter().enumerate() {
        let action = asked.action.of();
        let context = Context::from_json_value(asked.context.clone(), Some((&schema, &action))).unwrap();
        let request = Request::new(asked.principal.of(), action, asked.resource.of(), context, None).unwrap();
        let response = authorizer.is_authorized(&request, &policies, &entities);
        let at = format!("{} request {place}", case.name);
        let said: BTreeSet<String> = response.diagnostics().reason().map(ToString::to_string).collect();
        let allows = asked.decision == "allow";
        assert_eq!(response.decision() == Decision::Allow, allows, "{at}");
        assert_eq!(said, asked.reason, "{at}");
        let ours = ruling(&response);
        if asked.errors.is_empty() {
            assert_eq!(ours, Ok(response.decision()), "{at}");
        } else {
            assert!(ours.is_err(), "{at}: a failing policy is a refusal");
            looked.failing += 1;
        }
        looked.requests += 1;
    }
}

#[test]
fn the_sample_of_cedars_corpus_is_answered_alike_and_errors_are_refusals() {
    let mut looked = Looked::default();
    for line in SAMPLE.lines() {
        look(&serde_json::from_str(line).unwrap(), &mut looked);
    }
    assert!(looked.requests > 1000, "{}", looked.requests);
    assert!(looked.failing > 100, "{}", looked.failing);
}

/// `TABARD_CEDAR_CORPUS` is the folder in which `corpus-tests.tar.gz` was unpacked; without it there is nothing to do.
#[test]
#[expect(
    clippy::disallowed_methods,
    reason = "a test reads test data that somebody names"
)]
fn the_whole_corpus_by_path() {
    let Some(root) = std::env::var_os("TABARD_CEDAR_CORPUS") else {
        return;
    };
    let root = std::path::PathBuf::from(root);
    let read = |path: &Value| std::fs::read_to_string(root.join(path.as_str().unwrap())).unwrap();
    let (mut cases, mut looked) = (0, Looked::default());
    for file in std::fs::read_dir(root.join("corpus-tests")).unwrap() {
        let path = file.unwrap().path();
        let name = path.file_name().unwrap().to_str().unwrap().to_owned();
        let is_json = std::path::Path::new(&name)
            .extension()
            .is_some_and(|extension| extension == "json");
        if !is_json || name.ends_with(".entities.json") {
            continue;
        }
        let listed: Value = serde_json::from_str(&std::fs::read_to_string(&path).unwrap()).unwrap();
        let case = Case {
            name,
            policies: read(&listed["policies"]),
            entities: serde_json::from_str(&read(&listed["entities"])).unwrap(),
            schema: read(&listed["schema"]),
            requests: serde_json::from_value(listed["requests"].clone()).unwrap(),
        };
        look(&case, &mut looked);
        cases += 1;
    }
    assert!(cases > 0, "no case in {}", root.display());
    println!(
        "{cases} cases, {} requests, {} with a failing policy",
        looked.requests, looked.failing
    );
}
