//! What the loader reads, refuses and says about it.

use super::*;
use proptest::prelude::*;
use std::fmt::Write as _;

const BILLING: &str = include_str!("../../testdata/billing.yaml");
const REPORTER: &str = include_str!("../../testdata/reporter.yaml");
const PAGE: &str = include_str!("../../../../docs/reference/contract.md");
const SCHEMA: &str = include_str!("../../../../docs/reference/contract.schema.json");
const SCHEMA_PATH: &str = concat!(
    env!("CARGO_MANIFEST_DIR"),
    "/../../docs/reference/contract.schema.json"
);

fn errors(text: &str) -> Vec<ContractError> {
    Contract::parse("c.yaml", text.as_bytes()).expect_err("the text is refused")
}

/// The demo contract with one piece replaced.
fn changed(from: &str, to: &str) -> String {
    assert!(BILLING.contains(from), "{from}");
    BILLING.replacen(from, to, 1)
}

fn refused(from: &str, to: &str) -> ContractError {
    let mut errors = errors(&changed(from, to));
    assert_eq!(errors.len(), 1, "{errors:?}");
    errors.remove(0)
}

fn hash(text: &str) -> ContractHash {
    Contract::parse("c.yaml", text.as_bytes()).unwrap().hash()
}

#[test]
fn grants_and_limits_remember_their_lines() {
    let contract = Contract::parse("c.yaml", BILLING.as_bytes()).unwrap();
    let line_of = |text: &str| {
        let place = BILLING
            .lines()
            .position(|line| line.trim_start().starts_with(text))
            .unwrap();
        u32::try_from(place).unwrap() + 1
    };
    assert_eq!(
        contract.line("grants.read-invoice"),
        line_of("- id: read-invoice")
    );
    assert_eq!(
        contract.line("grants.list-invoices"),
        line_of("- id: list-invoices")
    );
    assert_eq!(contract.line("identity.min_assurance"), line_of("min_assurance"));
    assert_eq!(contract.line("rate.agent.1m"), line_of("- {per: 1m"));
}

#[test]
fn every_mistake_is_reported_at_once_with_its_place() {
    let text = BILLING
        .replacen("min_assurance: 1", "min_assurance: 9", 1)
        .replacen("    actions: [invoices.read]", "    acions: [invoices.read]", 1)
        .replacen("  expires: 2027-12-31", "  expires: 2027-02-30", 1);
    let errors = errors(&text);
    let codes: Vec<(ErrorCode, &str)> = errors
        .iter()
        .map(|error| (error.code, error.path.as_str()))
        .collect();
    assert_eq!(
        codes,
        [
            (ErrorCode::BadValue, "identity.min_assurance"),
            (ErrorCode::MissingKey, "grants[0].actions"),
            (ErrorCode::UnknownKey, "grants[0].acions"),
            (ErrorCode::BadValue, "lifecycle.expires"),
        ]
    );
    let slip = &errors[2];
    let line = text.lines().nth(slip.line as usize - 1).unwrap();
    assert_eq!(slip.column as usize, line.find("acions").unwrap() + 1);
    assert_eq!(slip.fix, "did you mean \"actions\"?");
    assert!(slip.to_string().starts_with(&format!(
        "c.yaml:{}:5: UNKNOWN_KEY at grants[0].acions: ",
        slip.line
    )));
}

#[test]
fn keys_of_later_versions_are_refused_not_ignored() {
    for key in ["retention", "budget", "quotas"] {
        let error = errors(&format!("{BILLING}\n{key}: {{}}\n"));
        assert_eq!((error.len(), error[0].code), (1, ErrorCode::UnknownKey), "{key}");
    }
}

#[test]
fn budgets_that_could_not_hold_are_refused() {
    for (budget, key) in [
        ("{counts: value, max: 5, per: 1d}", "budgets[0].counts"),
        (
            "{counts: calls, argument: x, max: 5, per: 1d}",
            "budgets[0].counts",
        ),
        ("{counts: calls, max: 5}", "budgets[0].scope"),
        ("{counts: denials, max: 5, per: 1d}", "budgets[0].scope"),
        (
            "{counts: calls, scope: task, max: 5, then: suspend}",
            "budgets[0].then",
        ),
        ("{counts: calls, scope: task, max: -1}", "budgets[0].max"),
        (
            "{counts: value, argument: said.amount, actions: [invoices.read], max: 1, per: 1d}",
            "budgets[0].argument",
        ),
    ] {
        let errors = errors(&format!("{BILLING}\nbudgets: [{budget}]\n"));
        let [error] = errors.as_slice() else {
            panic!("{budget}: {errors:?}")
        };
        assert_eq!(
            (error.code, error.path.as_str()),
            (ErrorCode::BadValue, key),
            "{budget}"
        );
    }
}

#[test]
fn names_that_one_part_uses_of_another_have_to_exist() {
    for (text, path) in [
        ("flow: {approval: nobody}", "flow.approval"),
        (
            "workflow: {start: [a], off_graph: approve, approval: nobody}",
            "workflow.approval",
        ),
    ] {
        let errors = errors(&format!("{BILLING}\n{text}\n"));
        let [error] = errors.as_slice() else {
            panic!("{text}: {errors:?}")
        };
        assert_eq!(
            (error.code, error.path.as_str()),
            (ErrorCode::BadValue, path),
            "{text}"
        );
        assert!(error.line > 1, "{error}");
    }
    let template = changed(
        "tasks:\n",
        "tasks:\n  templates: {reconciliation: {actions: [payroll.read]}}\n",
    );
    assert_eq!(errors(&template)[0].path, "tasks.templates.reconciliation");
}

#[test]
fn a_rule_in_cedar_only_takes_away_and_reads_known_facts() {
    let with = |policy: &str| {
        let text = format!("{BILLING}\nrules:\n  - {{id: r, reason: Some reason, cedar: '{policy}'}}\n");
        crate::Compiled::new(Contract::parse("c.yaml", text.as_bytes()).unwrap())
    };
    assert!(with("forbid (principal, action, resource) when { context.tainted };").is_ok());
    for refused in [
        "permit (principal, action, resource);",
        "forbid (principal, action, resource) when { context.statement == \"x\" };",
        "forbid (principal, action, resource) when { context.steps == \"x\" };",
        "forbid (principal, action, resource",
        "forbid (principal == ?principal, action, resource);",
    ] {
        let error = with(refused).unwrap_err();
        assert_eq!(error[0].code, ErrorCode::NotCompilable, "{refused}");
    }
}

#[test]
fn every_grant_explains_itself() {
    let without_reason = "    reason: Each invoice is compared with the payment that claims to settle it.\n";
    assert_eq!(refused(without_reason, "").code, ErrorCode::MissingKey);
    let errors = errors(&changed("      invoices.read: Look", "      invoices.list: Look"));
    let codes: Vec<ErrorCode> = errors.iter().map(|error| error.code).collect();
    assert_eq!(codes, [ErrorCode::UnknownKey, ErrorCode::MissingKey]);
}

#[test]
fn look_alike_letters_are_refused() {
    // The first letter is CYRILLIC SMALL LETTER ES in the first, and the i is CYRILLIC in the second.
    for (from, to) in [
        ("[acme-eu]", "[a\u{441}me-eu]"),
        ("[invoices.read]", "[\u{456}nvoices.read]"),
    ] {
        let errors = errors(&changed(from, to));
        assert_eq!(errors[0].code, ErrorCode::BadValue, "{errors:?}");
    }
    assert_eq!(
        refused("services: [invoices]", "services: [invo\u{456}ces]").code,
        ErrorCode::BadValue
    );
}

#[test]
fn oversized_and_deep_texts_are_refused() {
    let long = format!("{BILLING}# {}", "x".repeat(BYTES_MAX));
    assert_eq!(errors(&long)[0].code, ErrorCode::TooLarge);
    let deep = format!("a: {}1{}", "[".repeat(DEPTH_MAX + 1), "]".repeat(DEPTH_MAX + 1));
    assert_eq!(errors(&deep)[0].code, ErrorCode::NotReadable);
    let many = changed(
        "[acme-eu]",
        &format!(
            "[{}]",
            (0..1001).map(|n| format!("t{n}")).collect::<Vec<_>>().join(",")
        ),
    );
    assert_eq!(errors(&many)[0].code, ErrorCode::TooMany);
}

#[test]
fn anchors_aliases_merges_and_duplicate_keys_are_refused() {
    let cases = [
        "a: &x 1\nb: 2",
        "a: &x [1]\nb: *x",
        "a: {<<: {b: 1}}",
        "a: 1\na: 2",
        "a: 1\n---\nb: 2",
        "a: 1.5",
        "a: !secret hi",
        "a: 18446744073709551615",
        "[unclosed",
        "",
    ];
    for text in cases {
        let errors = errors(text);

        assert!(
            matches!(errors[0].code, ErrorCode::NotReadable | ErrorCode::WrongType),
            "{text:?}: {errors:?}"
        );
    }
    // Nine levels of nine aliases would be 387 million values.
    let mut bomb = String::from("a0: &a0 [x,x,x,x,x,x,x,x,x]\n");
    for level in 1..9 {
        let inner = format!("*a{},", level - 1).repeat(9);
        writeln!(bomb, "a{level}: &a{level} [{}]", inner.trim_end_matches(',')).unwrap();
    }
    assert_eq!(errors(&bomb)[0].code, ErrorCode::NotReadable);
}

#[test]
fn encoded_text_is_not_decoded_behind_the_reviewers_back() {
    let text = changed("services: [invoices]", "services: [!!binary aW52b2ljZXM=]");
    let contract = Contract::parse("c.yaml", text.as_bytes()).unwrap();
    let grant = contract
        .terms()
        .grants
        .iter()
        .find(|grant| grant.id.as_str() == "read-invoice")
        .unwrap();
    assert_eq!(
        grant.services.first().map(ToString::to_string),
        Some("aW52b2ljZXM=".to_owned())
    );
}

#[test]
fn a_duplicate_key_is_refused_where_it_stands() {
    let error = refused("  min_assurance: 1\n", "  min_assurance: 1\n  min_assurance: 0\n");
    assert_eq!(error.code, ErrorCode::NotReadable);
    let line = BILLING
        .lines()
        .position(|line| line.contains("min_assurance: 1"))
        .unwrap()
        + 2;
    assert_eq!(error.line as usize, line, "{error}");
}

#[test]
fn words_that_yaml_once_took_for_booleans_are_texts() {
    let contract = Contract::parse("c.yaml", changed("[open, paid]", "[no, yes]").as_bytes()).unwrap();
    let grant = contract
        .terms()
        .grants
        .iter()
        .find(|grant| grant.id.as_str() == "list-invoices")
        .unwrap();
    let expected = Constraint::Texts(["no".to_owned(), "yes".to_owned()].into());
    assert_eq!(grant.conditions.values().next(), Some(&expected));
}

#[test]
fn values_of_one_argument_are_of_one_type() {
    assert_eq!(refused("[open, paid]", "[open, 1]").code, ErrorCode::WrongType);
    assert_eq!(refused("[open, paid]", "[1, open]").code, ErrorCode::WrongType);
    assert_eq!(refused("[open, paid]", "[]").code, ErrorCode::BadValue);
    assert_eq!(refused("[open, paid]", "open").code, ErrorCode::BadValue);
    assert_eq!(
        refused("[open, paid]", "{min: 3, max: 2}").code,
        ErrorCode::BadValue
    );
    assert_eq!(refused("[open, paid]", "{}").code, ErrorCode::BadValue);
    assert_eq!(
        refused("[open, paid]", "{mx: 2, max: 3}").code,
        ErrorCode::UnknownKey
    );
    assert_eq!(refused("[open, paid]", "[open, open]").code, ErrorCode::Duplicate);
    assert_eq!(refused("status: [", "st\u{e4}tus: [").code, ErrorCode::BadValue);
}

#[test]
fn what_stands_twice_is_refused() {
    assert_eq!(
        refused("- id: list-invoices", "- id: read-invoice").code,
        ErrorCode::Duplicate
    );
    let twice = refused(
        "  - {per: 1m, max: 60}",
        "  - {per: 1m, max: 60}\n  - {per: 60s, max: 61}",
    );
    assert_eq!(twice.code, ErrorCode::Duplicate);
    // The same length of time for another scope is another window.
    let other = changed(
        "  - {per: 1m, max: 60}",
        "  - {per: 1m, max: 60}\n  - {per: 60s, max: 6, scope: task}",
    );
    assert!(Contract::parse("c.yaml", other.as_bytes()).is_ok());
}

#[test]
fn zones_with_daylight_saving_are_refused_with_a_way_out() {
    let windows = "windows: [{days: mon-fri, from: \"06:00\", to: \"20:00\", tz: Europe/Berlin}]\nrate:\n";
    let error = refused("rate:\n", windows);
    assert_eq!(
        (error.code, error.path.as_str()),
        (ErrorCode::BadValue, "windows[0].tz")
    );
    assert!(error.why.contains("+01:00"), "{error}");
    let never = "windows: [{days: mon, from: \"06:00\", to: \"06:00\"}]\nrate:\n";
    assert_eq!(refused("rate:\n", never).code, ErrorCode::BadValue);
}

#[test]
fn the_hash_names_the_meaning_not_the_spelling() {
    let same = [
        BILLING.to_owned(),
        format!("# another comment\n{BILLING}"),
        changed("max_ttl: 30m", "max_ttl: 1800s"),
        changed("max_evidence_age: 12h", "max_evidence_age: 720m"),
        changed("[open, paid]", "[paid, open]"),
        changed("mode: enforce\n", ""),
        changed("{per: 1m, max: 60}", "{max: 60, per: 60s, scope: agent}"),
    ];
    for text in &same {
        assert_eq!(hash(text), hash(BILLING));
    }
    let other = [
        changed("max: 60", "max: 61"),
        changed("[acme-eu]", "[acme-eu, acme-us]"),
        changed("version: 1", "version: 2"),
        changed("Look at one invoice", "Look at an invoice"),
        changed("mode: enforce", "mode: shadow"),
    ];
    for text in &other {
        assert_ne!(hash(text), hash(BILLING));
    }
}

#[test]
fn the_canonical_form_is_a_contract_of_the_same_hash() {
    for text in [BILLING, REPORTER, example().as_str()] {
        let contract = Contract::parse("c.yaml", text.as_bytes()).unwrap();
        let again = Contract::parse("c.json", contract.canonical().as_bytes()).unwrap();
        assert_eq!(
            (again.hash(), again.canonical()),
            (contract.hash(), contract.canonical())
        );
    }
}

/// The complete example of docs/reference/contract.md.
fn example() -> String {
    let (_, rest) = PAGE.split_once("```yaml\n").expect("the page has an example");
    rest.split_once("```").expect("the example ends").0.to_owned()
}

#[test]
fn the_reference_page_names_every_key_and_its_example_uses_them_all() {
    let contract = Contract::parse("example", example().as_bytes()).unwrap();
    crate::Compiled::new(contract.clone()).unwrap();
    let canonical: Value = serde_json::from_str(contract.canonical()).unwrap();
    let mut used = std::collections::BTreeSet::new();
    keys_used(&canonical, &mut used);
    let schema = json_schema();
    for key in schema_keys(&schema) {
        assert!(used.contains(&key), "the example does not use {key}");
        assert!(
            PAGE.contains(&format!("`{key}`")),
            "the page does not explain {key}"
        );
    }
}

fn keys_used(value: &Value, into: &mut std::collections::BTreeSet<String>) {
    match value {
        Value::Object(map) => {
            for (key, value) in map {
                into.insert(key.clone());
                keys_used(value, into);
            }
        }
        Value::Array(items) => items.iter().for_each(|item| keys_used(item, into)),
        _ => {}
    }
}

fn schema_keys(schema: &Value) -> Vec<String> {
    let mut keys = Vec::new();
    let mut visit = |properties: &Value| {
        keys.extend(
            properties
                .as_object()
                .into_iter()
                .flatten()
                .map(|(key, _)| key.clone()),
        );
    };
    visit(&schema["properties"]);
    for definition in schema["$defs"].as_object().unwrap().values() {
        visit(&definition["properties"]);
    }
    keys
}

/// Calls `visit` with the place of every object that the schema describes in `value`, and the object's own schema.
fn objects<'s>(
    root: &'s Value,
    schema: &'s Value,
    value: &Value,
    place: &str,
    visit: &mut impl FnMut(&str, &'s Value),
) {
    let reference = schema["$ref"]
        .as_str()
        .or_else(|| schema["allOf"][0]["$ref"].as_str());
    if let Some(name) = reference.and_then(|reference| reference.strip_prefix("#/$defs/")) {
        return objects(root, &root["$defs"][name], value, place, visit);
    }
    if let (Some(properties), true) = (schema["properties"].as_object(), value.is_object()) {
        visit(place, schema);
        for (key, property) in properties {
            objects(root, property, &value[key], &format!("{place}/{key}"), visit);
        }
    }
    if let (Some(items), Some(list)) = (schema.get("items"), value.as_array()) {
        for (index, item) in list.iter().enumerate() {
            objects(root, items, item, &format!("{place}/{index}"), visit);
        }
    }
}

#[test]
fn the_schema_and_the_loader_agree_on_every_key() {
    let contract = Contract::parse("example", example().as_bytes()).unwrap();
    let whole: Value = serde_json::from_str(contract.canonical()).unwrap();
    let schema = json_schema();
    let accepts = |value: &Value| Contract::parse("c.json", value.to_string().as_bytes()).is_ok();
    let mut seen = 0;
    objects(&schema, &schema, &whole, "", &mut |place, described| {
        let mut extra = whole.clone();
        let object = extra.pointer_mut(place).unwrap().as_object_mut().unwrap();
        object.insert("surplus".to_owned(), 1.into());
        assert!(!accepts(&extra), "an unknown key at {place:?}");
        for key in described["properties"].as_object().unwrap().keys() {
            let mut without = whole.clone();
            let object = without.pointer_mut(place).unwrap().as_object_mut().unwrap();
            if object.remove(key).is_none() {
                continue;
            }
            let required = described["required"]
                .as_array()
                .is_some_and(|required| required.contains(&key.as_str().into()));
            // What the example asks for by another key cannot be said by a schema of single keys.
            let asked_for =
                ["escalation", "argument", "actions", "approval", "scope", "per"].contains(&key.as_str());
            assert!(
                accepts(&without) != required || (asked_for && !accepts(&without)),
                "{place}/{key}"
            );
            let mut null = whole.clone();
            null.pointer_mut(place)
                .unwrap()
                .as_object_mut()
                .unwrap()
                .insert(key.clone(), Value::Null);
            assert!(!accepts(&null), "null at {place}/{key}");
            seen += 1;
        }
    });
    assert!(seen > 45, "{seen}");
}

#[test]
fn the_published_schema_is_current() {
    let mut text = serde_json::to_string_pretty(&json_schema()).unwrap();
    text.push('\n');
    if bless() {
        write(SCHEMA_PATH, &text);
        return;
    }
    assert_eq!(
        SCHEMA, text,
        "run the tests once with TABARD_BLESS=1 and read the difference"
    );
}

#[expect(
    clippy::disallowed_methods,
    reason = "tests are told by the environment whether to rewrite golden files"
)]
pub(crate) fn bless() -> bool {
    std::env::var("TABARD_BLESS").is_ok_and(|value| value == "1")
}

#[expect(
    clippy::disallowed_methods,
    reason = "only a test that was told so rewrites a golden file"
)]
pub(crate) fn write(path: &str, text: &str) {
    std::fs::write(path, text).unwrap();
}

proptest! {
    #[test]
    fn no_text_makes_the_loader_panic(text in "(apiVersion|kind|[a-z]{1,3}|[:\\[\\]{}&*!|>\"'#,\n -]|\u{feff}|é){0,60}") {
        prop_assert!(Contract::parse("c.yaml", text.as_bytes()).is_err());
    }

    #[test]
    fn one_changed_byte_is_read_or_refused_but_never_panics(place in 0..BILLING.len(), byte: u8) {
        let mut bytes = BILLING.as_bytes().to_vec();
        bytes[place] = byte;
        if let Ok(contract) = Contract::parse("c.yaml", &bytes) {
            let again = Contract::parse("c.json", contract.canonical().as_bytes()).map(|again| again.hash());
            prop_assert_eq!(again, Ok(contract.hash()));
        }
    }
}
