//! Webhooks: endpoints of an org's choice are told that people are asked, and what became of it.
//!
//! A message notifies and carries no authority: no token, no link that decides, nothing that an agent wrote. Nothing waits
//! for it either: the herald reads the change feed like any other follower, behind the commit, and each endpoint has a
//! short queue, one connection and a courier of its own. What is not delivered within a quarter of an hour is given up,
//! and that is an entry.
//!
//! Messages are signed as Standard Webhooks 1.0.0 says, because that is what receivers have libraries for. The same form
//! was chosen over RFC 9421: see docs/adr/0018-webhooks.md.

mod courier;
mod herald;
mod message;
mod post;
mod queue;

pub(crate) use herald::run;
pub(crate) use message::Message;
pub(crate) use post::{Failure, post};

use crate::installation::Installation;
use crate::tls::client_roots;
use broker::world::Webhook;
use identity::{UnixTime, WebhookId};
use rustls::ClientConfig;
use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, OnceLock, PoisonError};

/// What is known of the endpoints since this server started, and how they are connected to.
#[derive(Debug, Default)]
pub(crate) struct Webhooks {
    conditions: Mutex<BTreeMap<WebhookId, Condition>>,
    tls: OnceLock<Option<Arc<ClientConfig>>>,
}

/// How an endpoint does.
#[derive(Debug, Clone, Default)]
pub(crate) struct Condition {
    /// Messages that it took.
    pub(crate) delivered: u64,
    /// Messages that were given up.
    pub(crate) given_up: u64,
    /// Messages that wait, for their first attempt or another one.
    pub(crate) waiting: usize,
    /// When it last took one.
    pub(crate) delivered_at: Option<UnixTime>,
    /// Why the last attempt failed, if it did.
    pub(crate) failure: Option<Failure>,
    /// When that was.
    pub(crate) failed_at: Option<UnixTime>,
}

impl Webhooks {
    /// How it does.
    pub(crate) fn condition(&self, webhook: WebhookId) -> Condition {
        let conditions = self.conditions.lock().unwrap_or_else(PoisonError::into_inner);
        conditions.get(&webhook).cloned().unwrap_or_default()
    }

    fn note(&self, webhook: WebhookId, change: impl FnOnce(&mut Condition)) {
        let mut conditions = self.conditions.lock().unwrap_or_else(PoisonError::into_inner);
        change(conditions.entry(webhook).or_default());
    }

    fn forget(&self, webhook: WebhookId) {
        let mut conditions = self.conditions.lock().unwrap_or_else(PoisonError::into_inner);
        conditions.remove(&webhook);
    }

    /// The authorities that endpoints are trusted under; `None` where they cannot be read.
    fn tls(&self, installation: &Installation) -> Option<Arc<ClientConfig>> {
        let known = self.tls.get_or_init(|| {
            client_roots(installation.config.webhook_ca.as_deref())
                .inspect_err(|error| tracing::error!(%error, "no webhook can be reached over TLS"))
                .ok()
        });
        known.clone()
    }
}

/// One attempt, noted.
pub(crate) async fn attempt(
    installation: &Installation,
    webhook: &Webhook,
    message: &Message,
) -> Result<(), Failure> {
    let now = installation.clock.now();
    let made = match installation.webhook_secrets.get(webhook.id) {
        Ok(secret) => {
            let tls = installation.webhooks.tls(installation);
            post(tls, webhook, &secret, message, now).await
        }
        Err(error) => {
            tracing::error!(webhook = %webhook.name, %error, "the secret of a webhook does not open");
            Err(Failure::Secret)
        }
    };
    installation.webhooks.note(webhook.id, |condition| match made {
        Ok(()) => {
            condition.delivered = condition.delivered.saturating_add(1);
            condition.delivered_at = Some(now);
            (condition.failure, condition.failed_at) = (None, None);
        }
        Err(failure) => {
            (condition.failure, condition.failed_at) = (Some(failure), Some(now));
        }
    });
    made
}
