//! Messages: what an endpoint is told, and the signature that says that we do (Standard Webhooks 1.0.0).

use aws_lc_rs::hmac;
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use broker::World;
use broker::approve::Bound;
use broker::world::approval::State;
use broker::world::{Approval, Webhook};
use bytes::Bytes;
use http::HeaderValue;
use http::header::HeaderName;
use identity::{ApprovalId, OrgScope, UnixTime};
use serde_json::{Value, json};

/// Header fields of the form, and how a signature of its first version begins.
pub(crate) const ID: HeaderName = HeaderName::from_static("webhook-id");
pub(crate) const TIMESTAMP: HeaderName = HeaderName::from_static("webhook-timestamp");
pub(crate) const SIGNATURE: HeaderName = HeaderName::from_static("webhook-signature");

/// One message. Its id and its bytes are the same however often it is sent.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Message {
    /// `webhook-id`: receivers take each once.
    pub(super) id: String,
    pub(super) body: Bytes,
    /// What it tells of; `None` for one that says nothing.
    pub(super) about: Option<(ApprovalId, State)>,
}

impl Message {
    /// Tells what state an approval came to, and when. Every value is a word of ours or a name that people gave: what an
    /// agent wrote, or chose the bytes of, stays on the page.
    pub(super) fn of(world: &World, approval: &Approval, state: State, at: UnixTime) -> Option<Self> {
        let scope = OrgScope::Only(approval.org);
        let bound = Bound::read(&approval.request)?;
        let (org, agent) = (
            world.org(scope, approval.org)?,
            world.agent(scope, approval.agent)?,
        );
        let kind = if state == State::Pending {
            "approval.requested"
        } else {
            "approval.decided"
        };
        let data = json!({
            "approval": approval.id,
            "state": state,
            "org": org.name,
            "agent": agent.name,
            "action": bound.action,
            "page": approval.page(),
            "until": approval.good_until().rfc3339(),
        });
        Some(Self {
            id: format!("{}-{}", approval.id, state.word()),
            body: body(kind, at, &data),
            about: Some((approval.id, state)),
        })
    }

    /// Says nothing, but that it came through.
    pub(crate) fn test(webhook: &Webhook, now: UnixTime) -> Self {
        Self {
            id: format!("{}-{}", webhook.id, now.millis()),
            body: body("webhook.test", now, &json!({"webhook": webhook.name})),
            about: None,
        }
    }

    /// `webhook-timestamp` and `webhook-signature` of an attempt at `now`.
    pub(super) fn signed(&self, secret: &[u8], now: UnixTime) -> Option<(HeaderValue, HeaderValue)> {
        let timestamp = (now.millis() / 1000).to_string();
        let key = hmac::Key::new(hmac::HMAC_SHA256, secret);
        let mut over = hmac::Context::with_key(&key);
        for part in [self.id.as_bytes(), b".", timestamp.as_bytes(), b".", &self.body] {
            over.update(part);
        }
        let signature = format!("v1,{}", STANDARD.encode(over.sign()));
        Some((timestamp.parse().ok()?, signature.parse().ok()?))
    }
}

fn body(kind: &str, at: UnixTime, data: &Value) -> Bytes {
    json!({"type": kind, "timestamp": at.rfc3339(), "data": data})
        .to_string()
        .into()
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Made with PyPI `standardwebhooks` 1.1.0.
    #[test]
    fn a_signature_is_what_the_reference_library_makes() {
        let secret = STANDARD.decode("MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw").unwrap();
        let message = Message {
            id: "msg_p5jXN8AQM9LWM0D4loKWxJek".into(),
            body: Bytes::from_static(br#"{"test": 2432232314}"#),
            about: None,
        };
        let (timestamp, signature) = message
            .signed(&secret, UnixTime::from_secs(1_614_265_330))
            .unwrap();
        assert_eq!(timestamp, "1614265330");
        assert_eq!(signature, "v1,g0hM9SsE+OTPJTGt/tmIKtSyZlE3uFJELVlNIOLJ1OE=");
    }
}
