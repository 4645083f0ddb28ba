//! The frozen format, and what it refuses.

use super::*;
use identity::{
    Actor, ActorKind, AgentId, Assurance, DecisionId, EntryRef, FamilyId, InstanceId, LogId, NodeId, RunId,
    Secret, TaskId,
};
use serde_json::json;
use std::fmt::Write as _;

const NOW: UnixTime = UnixTime::from_millis(1_795_324_183_120);

fn key() -> CommitmentKey {
    CommitmentKey::new(Secret::new([1; 32]))
}

fn stamp(index: u64) -> WriterStamp {
    WriterStamp {
        epoch: 1,
        index,
        log: LogId(3),
        revision: Revision(4712),
    }
}

fn digest(byte: u8) -> Digest {
    Digest::from_bytes([byte; 32])
}

/// An event with every field of every group.
fn full() -> Event {
    let actor = |kind, id: &str| Actor {
        kind,
        issuer: "https://idp.example".into(),
        id: id.into(),
    };
    let id = EventId::random(NOW, LogId(3), 1);
    Event {
        chain: vec![
            Link::of(
                &actor(ActorKind::User, "anna@example.org"),
                Some(LinkVerdict::Allow),
                &key(),
            ),
            Link::of(
                &actor(ActorKind::AiAgent, "spiffe://dev.tabard/demo/agent/billing"),
                None,
                &key(),
            ),
        ],
        change_summary: vec!["task opened".into()],
        changes: Some(digest(1)),
        credential: Some(Credential {
            aud: vec!["https://invoices.example".parse().unwrap()],
            digest: Some(digest(2)),
            exp: Some(NOW.plus_secs(300)),
            family: Some(FamilyId::random(NOW, LogId(3), 2)),
            iat: Some(NOW),
            id: Some("tok_1".into()),
            kid: Some("k1".into()),
            parent: Some("tok_0".into()),
            thumbprint: Some(identity::Thumbprint::from_bytes([3; 32])),
            ..Credential::new(CredentialClass::AccessToken)
        }),
        decision: Some(Decision {
            contract: Some(digest(4)),
            contract_version: Some(7),
            facts: vec![
                Fact::new("amount", 500, Provenance::Observed),
                Fact::new(
                    "ticket",
                    json!({"zone": 1, "area": [true, null]}),
                    Provenance::Asserted,
                ),
                Fact::personal("customer", "email", "c@example.org", Provenance::Opener, &key()),
            ],
            grant: Some("read-invoices".into()),
            latency_us: Some(17),
            line: Some(12),
            nearest: Some("grant refund: amount 700 > 500".into()),
            policies: vec!["grant.read-invoices".into()],
            reasons: vec!["ARGUMENT_OUT_OF_RANGE".into()],
            shadow: Some(Shadow {
                contract: digest(5),
                outcome: Ruling::Allow,
                reasons: vec!["NEEDS_APPROVAL".into()],
                extra: Extra::new(),
            }),
            ..Decision::new(DecisionId::random(NOW, LogId(3), 3), Ruling::StepUp)
        }),
        detail: [
            ("z".to_owned(), json!("Grüße\u{1}\n")),
            ("a".to_owned(), json!({"b": -1, "a": 0})),
        ]
        .into(),
        human: Some(Human {
            assurance: Some("dev".into()),
            name: Some(key().commit(Commitment::USER, "anna@example.org")),
            role: Some("operator".into()),
            session: None,
            uid: Some(1000),
            extra: Extra::new(),
        }),
        minted: Some(Minted::Task(TaskId::mint(NOW, LogId(3), 4))),
        org: Some(OrgId::mint(NOW, LogId(3), 5).at(Revision(2))),
        outcome: Some(Outcome {
            bytes: Some(1024),
            duration_ms: Some(12),
            error: Some("timeout".into()),
            http_status: Some(504),
            of: Some(EntryRef {
                log: LogId(3),
                index: 135,
            }),
            ..Outcome::new(Status::Unknown)
        }),
        trace: Some(Trace {
            span_id: Some("00f067aa0ba902b7".into()),
            trace_id: Some("4bf92f3577b34da6a3ce929d0e0e4736".into()),
            extra: Extra::new(),
        }),
        what: Some(What {
            action: Some("invoices.read".into()),
            audience: Some("https://invoices.example".parse().unwrap()),
            host: Some("invoices.example".into()),
            method: Some("GET".into()),
            path: Some("/v1/invoices".into()),
            resource_id: Some("inv-1".into()),
            resource_type: Some("invoice".into()),
            upstream: Some("invoices".into()),
            extra: Extra::new(),
        }),
        who: Some(Who {
            agent: Some(AgentId::mint(NOW, LogId(3), 6).at(Revision(3))),
            agent_name: Some("demo-billing".parse().unwrap()),
            assurance: Some(
                Assurance {
                    node: 1,
                    launch: 3,
                    code: 2,
                    signer: 0,
                }
                .into(),
            ),
            caller: Some(Caller {
                argv: Some(digest(6)),
                exe: Some("/usr/bin/python3.12".into()),
                exe_digest: Some(digest(7)),
                pid: Some(4242),
                ..Caller::new(CallerKind::Child)
            }),
            evidence: Some(digest(8)),
            instance: Some(InstanceId::random(NOW, LogId(3), 7)),
            node: Some(NodeId::random(NOW, LogId(3), 8)),
            run: Some(RunId::random(NOW, LogId(3), 9)),
            spiffe_id: Some("spiffe://dev.tabard/demo/agent/billing".parse().unwrap()),
            extra: Extra::new(),
        }),
        why: Some(Why {
            approval: Some(identity::ApprovalId::random(NOW, LogId(3), 10)),
            business_action: Some("Look at open invoices".into()),
            contract: Some(digest(9)),
            purpose: Some("month-end".into()),
            step: Some("collect".into()),
            task: Some(TaskId::mint(NOW, LogId(3), 4)),
            task_type: Some("reconcile".into()),
            tenant_actor: Some("acme".into()),
            tenant_resource: Some("acme".into()),
            workflow: Some("month-end".into()),
            extra: Extra::new(),
        }),
        ..Event::new(id, NOW, EventKind::TokenDenied, Revision(4711))
    }
}

/// RFC 8785 written a second time, from the text of the RFC, for integers only.
fn jcs(value: &Value) -> String {
    match value {
        Value::Null => "null".into(),
        Value::Bool(true) => "true".into(),
        Value::Bool(false) => "false".into(),
        Value::Number(number) => number.as_i64().expect("an integer").to_string(),
        Value::String(text) => jcs_string(text),
        Value::Array(items) => format!("[{}]", items.iter().map(jcs).collect::<Vec<_>>().join(",")),
        Value::Object(map) => {
            let mut keys: Vec<Vec<u16>> = map.keys().map(|key| key.encode_utf16().collect()).collect();
            keys.sort();
            let member = |key: Vec<u16>| {
                let key = String::from_utf16(&key).unwrap();
                format!("{}:{}", jcs_string(&key), jcs(&map[&key]))
            };
            format!(
                "{{{}}}",
                keys.into_iter().map(member).collect::<Vec<_>>().join(",")
            )
        }
    }
}

fn jcs_string(text: &str) -> String {
    let mut out = String::from("\"");
    for c in text.chars() {
        match c {
            '"' => out.push_str("\\\""),
            '\\' => out.push_str("\\\\"),
            '\u{8}' => out.push_str("\\b"),
            '\t' => out.push_str("\\t"),
            '\n' => out.push_str("\\n"),
            '\u{c}' => out.push_str("\\f"),
            '\r' => out.push_str("\\r"),
            c if u32::from(c) < 0x20 => write!(out, "\\u{:04x}", u32::from(c)).unwrap(),
            c => out.push(c),
        }
    }
    out + "\""
}

fn text(draft: &Draft) -> &str {
    std::str::from_utf8(draft.as_slice()).unwrap()
}

#[test]
fn the_format_is_frozen() {
    let entry = full().encode().unwrap().seal(stamp(136));
    insta::assert_snapshot!(std::str::from_utf8(entry.as_slice()).unwrap());
}

#[test]
fn the_smallest_event_is_frozen() {
    let id = EventId::random(NOW, LogId(0), 0);
    let entry = Event::new(id, NOW, EventKind::LogHeartbeat, Revision(0))
        .encode()
        .unwrap()
        .seal(stamp(0));
    assert_eq!(
        std::str::from_utf8(entry.as_slice()).unwrap(),
        "{\"at\":1795324183120,\"id\":\"evt_01M80TJ0JGE008000000000000\",\"kind\":\"log.heartbeat\",\"rev\":0,\"v\":1,\
         \"writer\":{\"epoch\":1,\"index\":0,\"log\":3,\"revision\":4712}}"
    );
}

#[test]
fn what_serde_writes_is_what_rfc_8785_asks_for() {
    let draft = full().encode().unwrap();
    let value: Value = serde_json::from_slice(draft.as_slice()).unwrap();
    assert_eq!(text(&draft), jcs(&value));
    let entry = draft.seal(stamp(5));
    let value: Value = serde_json::from_slice(entry.as_slice()).unwrap();
    assert_eq!(std::str::from_utf8(entry.as_slice()).unwrap(), jcs(&value));
}

#[test]
fn entries_and_drafts_read_back_as_they_were_written() {
    let event = full();
    let draft = event.encode().unwrap();
    assert_eq!(Event::parse(draft.as_slice()).unwrap(), event);
    let bytes = draft.seal(stamp(9));
    let entry = Entry::parse(bytes.as_slice()).unwrap();
    assert_eq!(entry.writer, stamp(9));
    assert_eq!(entry.encode().unwrap(), bytes);
    assert!(matches!(
        Event::parse(bytes.as_slice()),
        Err(ParseError::AlreadySealed)
    ));
    assert!(matches!(
        Entry::parse(event.encode().unwrap().as_slice()),
        Err(ParseError::NotSealed)
    ));
}

#[test]
fn every_occurrence_of_a_minted_id_is_stamped_at_the_commit() {
    let task = TaskId::mint(NOW, LogId(3), 4);
    let mut event = full();
    event.detail.insert("again".into(), json!([task.to_string()]));
    let bytes = event.encode().unwrap().seal(stamp(1));
    let sealed = std::str::from_utf8(bytes.as_slice()).unwrap();
    assert!(!sealed.contains(&task.to_string()));
    let stamped = task.at(Revision(4712));
    assert_eq!(sealed.matches(&stamped.to_string()).count(), 3);
    let entry = Entry::parse(bytes.as_slice()).unwrap();
    assert_eq!(entry.event.minted, Some(Minted::Task(stamped)));
    assert_eq!(entry.event.why.unwrap().task, Some(stamped));
}

/// Stamping changes the id, and with it the place that its name has among the others.
#[test]
fn a_minted_id_cannot_name_a_member() {
    let mut event = full();
    let task = TaskId::mint(NOW, LogId(3), 4);
    event.detail.insert(task.to_string(), json!(1));
    assert!(matches!(event.encode(), Err(EncodeError::MintedName)));
}

/// An unknown member anywhere is kept where it belongs, and an unknown kind by its name.
#[test]
fn an_entry_of_a_newer_writer_reads_and_writes_as_the_same_bytes() {
    let bytes = full().encode().unwrap().seal(stamp(2));
    let mut value: Value = serde_json::from_slice(bytes.as_slice()).unwrap();
    value["kind"] = json!("agent.dreamed");
    for path in [
        "",
        "/chain/0",
        "/credential",
        "/decision",
        "/decision/facts/1",
        "/decision/shadow",
        "/human",
        "/outcome",
        "/trace",
        "/what",
        "/who",
        "/who/assurance",
        "/who/caller",
        "/why",
    ] {
        let group = value.pointer_mut(path).unwrap();
        group["beyond"] = json!({"b": [1], "a": null});
        group["Before"] = json!("x");
    }
    let newer = jcs(&value);
    let entry = Entry::parse(newer.as_bytes()).unwrap();
    assert_eq!(entry.event.kind, EventKind::Unknown("agent.dreamed".into()));
    assert_eq!(
        std::str::from_utf8(entry.encode().unwrap().as_slice()).unwrap(),
        newer
    );
}

#[test]
fn another_spelling_of_the_same_entry_is_refused() {
    let bytes = full().encode().unwrap().seal(stamp(2));
    let good = std::str::from_utf8(bytes.as_slice()).unwrap();
    let spellings = [
        good.replacen("{\"at\"", "{ \"at\"", 1),
        good.replacen("\"GET\"", "\"\\u0047ET\"", 1),
        good.replacen("\"v\":1", "\"org2\":null,\"v\":1", 1).replacen(
            "\"why\":{",
            "\"why\":{\"action\":null,",
            1,
        ),
        good.replacen("\"trace\":", "\"outcome2\":1,\"a\":1,\"trace\":", 1),
        good.replacen("\"http_status\":504", "\"http_status\":null", 1),
    ];
    for spelling in spellings {
        assert_ne!(spelling, good);
        assert!(
            matches!(Entry::parse(spelling.as_bytes()), Err(ParseError::NotCanonical)),
            "{spelling}"
        );
    }
}

#[test]
fn a_duplicate_member_is_refused() {
    let bytes = full().encode().unwrap().seal(stamp(2));
    let good = std::str::from_utf8(bytes.as_slice()).unwrap();
    for (from, to) in [
        ("\"method\":\"GET\"", "\"method\":\"GET\",\"method\":\"PUT\""),
        ("\"a\":{\"a\":0,", "\"a\":{\"a\":0,\"a\":1,"),
        ("\"epoch\":1", "\"epoch\":1,\"epoch\":2"),
    ] {
        let twice = good.replacen(from, to, 1);
        assert_ne!(twice, good);
        assert!(Entry::parse(twice.as_bytes()).is_err(), "{to}");
    }
}

#[test]
fn an_event_cannot_choose_its_own_place() {
    for name in ["writer", "writer2", "zone"] {
        let mut event = full();
        event.extra.insert(name.into(), json!({"index": 0}));
        assert!(
            matches!(event.encode(), Err(EncodeError::AfterWriter(_))),
            "{name}"
        );
    }
}

#[test]
fn a_known_member_cannot_hide_among_the_unknown_ones() {
    let mut event = full();
    event.extra.insert("kind".into(), json!("token.exchanged"));
    assert!(matches!(event.encode(), Err(EncodeError::KnownAsUnknown)));
    let mut event = full();
    if let Some(who) = &mut event.who {
        who.agent = None;
        who.extra
            .insert("agent".into(), json!(AgentId::mint(NOW, LogId(3), 6).to_string()));
    }
    assert!(matches!(event.encode(), Err(EncodeError::KnownAsUnknown)));
}

#[test]
fn numbers_that_readers_disagree_on_are_refused() {
    for number in [
        json!(0.5),
        json!(1e3),
        json!(9_007_199_254_740_992_u64),
        json!(-9_007_199_254_740_992_i64),
        json!(u64::MAX),
    ] {
        let mut event = full();
        event.detail.insert("n".into(), number.clone());
        assert!(matches!(event.encode(), Err(EncodeError::Number)), "{number}");
    }
    for number in [
        json!(9_007_199_254_740_991_i64),
        json!(-9_007_199_254_740_991_i64),
        json!(0),
    ] {
        let mut event = full();
        event.detail.insert("n".into(), number);
        event
            .detail
            .insert("text".into(), json!("1.5e9 \\ \" 18446744073709551615"));
        assert!(event.encode().is_ok());
    }
    let forever = Event {
        at: UnixTime::MAX,
        ..full()
    };
    assert!(matches!(forever.encode(), Err(EncodeError::Number)));
}

#[test]
fn too_long_and_too_deep_events_are_refused() {
    let mut long = full();
    long.detail.insert("t".into(), json!("x".repeat(ENTRY_BYTES_MAX)));
    assert!(matches!(long.encode(), Err(EncodeError::TooLong { .. })));

    let nested = |levels: usize| (0..levels).fold(json!(1), |inner, _| json!([inner]));
    let mut deep = full();
    deep.detail.insert("t".into(), nested(30));
    assert!(deep.encode().is_ok());
    deep.detail.insert("t".into(), nested(31));
    assert!(matches!(deep.encode(), Err(EncodeError::Depth)));
}

#[test]
fn the_longest_draft_fits_an_entry_with_the_largest_stamp() {
    let mut event = Event::new(
        EventId::random(NOW, LogId(0), 0),
        NOW,
        EventKind::LogHeartbeat,
        Revision(0),
    );
    event.detail.insert("t".into(), json!(""));
    let room = ENTRY_BYTES_MAX - 160 - event.encode().unwrap().as_slice().len();
    event.detail.insert("t".into(), json!("x".repeat(room)));
    let largest = WriterStamp {
        epoch: u64::MAX,
        index: u64::MAX,
        log: LogId(u16::MAX),
        revision: Revision(u64::MAX),
    };
    assert!(event.encode().unwrap().seal(largest).as_slice().len() <= ENTRY_BYTES_MAX);
    event.detail.insert("t".into(), json!("x".repeat(room + 1)));
    assert!(event.encode().is_err());
}

#[test]
fn another_version_is_refused_by_its_number() {
    let two = text(&full().encode().unwrap()).replacen("\"v\":1", "\"v\":2", 1);
    assert!(matches!(
        Event::parse(two.as_bytes()),
        Err(ParseError::Version(2))
    ));
    assert!(matches!(
        Event { v: 2, ..full() }.encode(),
        Err(EncodeError::Version(2))
    ));
}

#[test]
fn a_user_never_stands_in_the_record_in_clear() {
    let draft = full().encode().unwrap();
    assert!(!text(&draft).contains("anna"));
    assert!(!text(&draft).contains("c@example.org"));
}

#[test]
fn every_kind_has_its_own_name_and_reads_back() {
    let names: std::collections::BTreeSet<_> = EventKind::ALL.iter().map(EventKind::as_str).collect();
    assert_eq!(names.len(), EventKind::ALL.len());
    for kind in EventKind::ALL {
        assert_eq!(&EventKind::from(kind.as_str()), kind);
        assert!(
            kind.as_str()
                .split_once('.')
                .is_some_and(|(noun, verb)| !noun.is_empty() && !verb.is_empty())
        );
    }
}

/// RFC 8785's own test data: section 3.2.2 (strings), section 3.2.3 (sorting). Numbers are left out: events hold
/// only integers.
#[test]
fn canonical_json_agrees_with_the_vectors_of_rfc_8785() {
    macro_rules! vector {
        ($name:literal) => {{
            let input = include_str!(concat!(
                "../../../../testdata/vectors/rfc8785/",
                $name,
                ".input.json"
            ));
            let output = include_str!(concat!(
                "../../../../testdata/vectors/rfc8785/",
                $name,
                ".output.json"
            ));
            (serde_json::from_str::<Value>(input).unwrap(), output.trim_end())
        }};
    }
    let ours = |value: &Value| String::from_utf8(canonical_json(value).unwrap()).unwrap();
    for (input, output) in [
        vector!("arrays"),
        vector!("french"),
        vector!("unicode"),
        vector!("weird"),
    ] {
        assert_eq!(ours(&input), output);
        assert_eq!(jcs(&input), output);
    }
    let (values, output) = vector!("values");
    for member in ["string", "literals"] {
        let member = format!("\"{member}\":{}", ours(&values[member]));
        assert!(output.contains(&member), "{member}");
    }
    let (mut structures, output) = vector!("structures");
    structures["1"]["\n"] = json!(56);
    assert_eq!(ours(&structures), output);
}

/// docs/reference/event.md: what is not described there is not part of the format.
#[test]
fn the_reference_page_names_every_kind_and_every_member() {
    fn members(value: &Value, names: &mut Vec<String>) {
        match value {
            Value::Object(map) => map.iter().for_each(|(name, value)| {
                names.push(name.clone());
                members(value, names);
            }),
            Value::Array(items) => items.iter().for_each(|item| members(item, names)),
            Value::Null | Value::Bool(_) | Value::Number(_) | Value::String(_) => {}
        }
    }
    let page = include_str!("../../../../docs/reference/event.md");
    let event = Event {
        detail: BTreeMap::new(),
        ..full()
    };
    let entry = event.encode().unwrap().seal(stamp(0));
    let mut value: Value = serde_json::from_slice(entry.as_slice()).unwrap();
    value["decision"]["facts"] = json!([{"name": "", "provenance": "", "value": ""}]);
    let mut names: Vec<String> = EventKind::ALL.iter().map(ToString::to_string).collect();
    members(&value, &mut names);
    assert!(names.len() > 130, "{}", names.len());
    for name in names {
        assert!(
            page.contains(&format!("`{name}`")),
            "docs/reference/event.md says nothing about {name}"
        );
    }
}
