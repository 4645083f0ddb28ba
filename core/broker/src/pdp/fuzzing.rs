//! The answer of a decision point as bytes of strangers: whatever they are, reading them returns, and what counts as an answer
//! is exactly what was asked for. Run by the target under `fuzz/` with new inputs and by `tests/corpus.rs` with the kept ones.

use super::{ACCESS_TOKEN_SECS, ANSWER_BYTES_MAX, Asking, wire};
use crate::world::{Answer, DecisionPoint, Question};
use identity::{OrgId, UnixTime};
use serde_json::Value;

/// When it was asked.
pub(super) const NOW: UnixTime = UnixTime::from_secs(1_800_000_000);
/// When what was shown for the user ends.
const SHOWN_UNTIL: UnixTime = UnixTime::from_secs(1_800_000_200);

/// An answer: up to the first line feed the `Cache-Control`, then the body.
pub fn decision_point(bytes: &[u8]) {
    let mut halves = bytes.splitn(2, |byte| *byte == b'\n');
    let said = std::str::from_utf8(halves.next().unwrap_or_default()).ok();
    let body = halves.next().unwrap_or_default();
    let seen: Option<Value> = serde_json::from_slice(body).ok();
    let mut fits = 0;
    for actions in [&["list"][..], &["list", "read"], &["list", "read", "write"]] {
        let Some(asking) = asking(actions) else {
            return;
        };
        let Ok(judged) = asking.answers(body, said, NOW) else {
            continue;
        };
        fits += 1;
        assert!(body.len() <= ANSWER_BYTES_MAX && judged.answers.len() == actions.len());
        assert_eq!(
            (judged.subject.as_str(), judged.org),
            ("ann-4711", OrgId::from_u128(1))
        );
        let last = NOW.plus_secs(ACCESS_TOKEN_SECS).min(SHOWN_UNTIL);
        for (at, answer) in judged.answers.iter().enumerate() {
            let Answer {
                question,
                yes,
                asked_at,
                fresh_until,
                until,
            } = answer;
            // Another reader sees the same word at the same place, and it is a boolean.
            let decision = seen
                .as_ref()
                .and_then(|it| it.pointer(&format!("/evaluations/{at}/decision")));
            assert_eq!(decision, Some(&Value::Bool(*yes)));
            assert_eq!(Some(question.action.as_str()), actions.get(at).copied());
            assert!(*asked_at == NOW && NOW <= *fresh_until && fresh_until <= until && *until <= last);
        }
    }
    assert!(fits <= 1, "one answer to several numbers of questions");
    if let Some(secs) = said.and_then(wire::max_age) {
        assert!(
            secs > 0,
            "an answer that may not be used again says nothing of how long"
        );
    }
}

/// What it is asked: whether Ann may do each of `actions`, which are in order, for one tenant through one agent.
pub(super) fn asking(actions: &[&str]) -> Option<Asking> {
    let agent: identity::SpiffeId = "spiffe://dev.tabard/acme/agent/clerk".parse().ok()?;
    let questions = actions.iter().map(|action| {
        let question = Question {
            agent: "clerk".parse().ok()?,
            service: "invoices".parse().ok()?,
            action: action.parse().ok()?,
            tenant: Some("acme-eu".parse().ok()?),
        };
        Some((question, agent.clone()))
    });
    Some(Asking {
        point: DecisionPoint {
            url: "https://pdp.example/access/v1/evaluations".into(),
            authorities: None,
            secret_version: 0,
        },
        org: OrgId::from_u128(1),
        issuer: "https://idp.example".into(),
        subject: "ann-4711".into(),
        task_type: "ad-hoc".parse().ok()?,
        purpose: "office".parse().ok()?,
        questions: questions.collect::<Option<_>>()?,
        not_after: SHOWN_UNTIL,
    })
}
