use super::*;
use fuzzing::NOW;
use proptest::prelude::*;

fn asking(actions: &[&str]) -> Asking {
    fuzzing::asking(actions).unwrap()
}

#[test]
fn a_batch_is_as_the_standard_writes_it() {
    let body = asking(&["invoices.list", "invoices.read"]).request().unwrap();
    let body: serde_json::Value = serde_json::from_slice(&body).unwrap();
    let one = |action: &str| {
        serde_json::json!({
            "action": {"name": action},
            "resource": {"type": "service", "id": "invoices", "properties": {"tenant": "acme-eu"}},
            "context": {
                "agent": "spiffe://dev.tabard/acme/agent/clerk", "purpose": "office", "task_type": "ad-hoc",
            },
        })
    };
    assert_eq!(
        body,
        serde_json::json!({
            "subject": {"type": "user", "id": "ann-4711", "properties": {"issuer": "https://idp.example"}},
            "options": {"evaluations_semantic": "execute_all"},
            "evaluations": [one("invoices.list"), one("invoices.read")],
        })
    );
}

#[test]
fn an_answer_is_one_boolean_a_question_and_nothing_else() {
    let asking = asking(&["list", "read"]);
    let read = |body: &str| {
        asking
            .answers(body.as_bytes(), None, NOW)
            .map(|it| it.answers.iter().map(|answer| answer.yes).collect::<Vec<_>>())
    };
    let good =
        r#"{"evaluations": [{"decision": true, "context": {"id": "7"}}, {"decision": false}], "more": 1}"#;
    assert_eq!(read(good), Ok(vec![true, false]));
    for garbage in [
        "",
        "true",
        r#"{"decision": true}"#,
        r#"{"evaluations": {"decision": true}}"#,
        r#"{"evaluations": [{"decision": "true"}, {"decision": true}]}"#,
        r#"{"evaluations": [{"decision": 1}, {"decision": true}]}"#,
        r#"{"evaluations": [{"decision": null}, {"decision": true}]}"#,
        r#"{"evaluations": [{}, {"decision": true}]}"#,
        r#"{"evaluations": [true, true]}"#,
        r#"{"evaluations": [[true], [true]]}"#,
        r#"[[{"decision": true}, {"decision": true}]]"#,
        r#"{"evaluations": [{"decision": false, "decision": true}, {"decision": true}]}"#,
        r#"{"evaluations": [], "evaluations": [{"decision": true}, {"decision": true}]}"#,
        r#"{"evaluations": [{"decision": true}, {"decision": true}]} {}"#,
    ] {
        assert_eq!(read(garbage), Err(NoAnswer::Malformed), "{garbage}");
    }
    for few in [
        r#"{"evaluations": []}"#,
        r#"{"evaluations": [{"decision": true}]}"#,
        r#"{"evaluations": [{"decision": true}, {"decision": true}, {"decision": true}]}"#,
    ] {
        assert_eq!(read(few), Err(NoAnswer::Count), "{few}");
    }
    let large = format!("{}{}", good, " ".repeat(ANSWER_BYTES_MAX));
    assert_eq!(read(&large), Err(NoAnswer::TooLarge));
}

#[test]
fn an_answer_is_used_again_only_as_long_as_it_says() {
    let asking = asking(&["read"]);
    let good = |header: Option<&str>| {
        let judged = asking
            .answers(br#"{"evaluations":[{"decision":true}]}"#, header, NOW)
            .unwrap();
        let answer = judged.answers[0].clone();
        let after = |until: UnixTime| until.millis_since(NOW) / 1000;
        (after(answer.fresh_until), after(answer.until))
    };
    // Never longer than what was shown for the user: 200 s here.
    assert_eq!(good(None), (0, 200));
    assert_eq!(good(Some("max-age=30")), (30, 30));
    assert_eq!(good(Some("private, max-age=\"30\", must-revalidate")), (30, 30));
    assert_eq!(good(Some("max-age=30, max-age=7")), (7, 7));
    assert_eq!(good(Some("max-age=86400")), (200, 200));
    for nothing in [
        "no-store",
        "max-age=30, no-cache",
        "max-age=0",
        "max-age=-1",
        "max-age=1e3",
        "max-age=",
        "s-maxage=30",
        "max-age=99999999999999999999",
    ] {
        assert_eq!(good(Some(nothing)), (0, 200), "{nothing}");
    }
}

#[test]
fn a_batch_that_asks_for_everything_is_not_sent() {
    let names: Vec<String> = (0..=QUESTIONS_MAX).map(|n| format!("action-{n}")).collect();
    let names: Vec<&str> = names.iter().map(String::as_str).collect();
    assert_eq!(asking(&names).request(), Err(NoAnswer::TooMany));
    assert!(asking(&names[1..]).request().is_ok());
}

proptest! {
    #[test]
    fn arbitrary_answers_never_panic(
        text in "(\\{|\\}|\\[|\\]|\"|:|,|evaluations|decision|true|false|null|[ a-z0-9])*",
        bytes in proptest::collection::vec(any::<u8>(), 0..64),
        header in "(max-age|=|,|no-store|no-cache|[0-9]|\"| |[a-z])*",
    ) {
        let asking = asking(&["read"]);
        for body in [text.as_bytes(), &bytes] {
            if let Ok(judged) = asking.answers(body, Some(&header), NOW) {
                prop_assert_eq!(judged.answers.len(), 1);
                prop_assert!(judged.answers[0].until <= NOW.plus_secs(200));
            }
        }
    }
}
