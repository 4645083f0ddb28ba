//! Secrets that messages to webhooks are signed with, by the webhook's id.

use super::drawer::Drawer;
use crate::keys::kek::Kek;
use crate::keys::{KeyError, SealError};
use identity::{Secret, UnixTime, WebhookId};
use std::path::Path;
use std::sync::Arc;

/// The sealed secrets of webhooks.
#[derive(Debug)]
pub struct WebhookSecrets(Drawer);

impl WebhookSecrets {
    /// In `data_dir/webhooks`, made if it is missing.
    pub fn open(data_dir: &Path, kek: Arc<Kek>) -> Result<Self, KeyError> {
        Drawer::open(data_dir, "webhooks", "webhook-secret", kek).map(Self)
    }

    /// Seals one. Do so before the Change that names the webhook.
    pub(crate) fn put(
        &self,
        webhook: WebhookId,
        secret: &Secret<Vec<u8>>,
        now: UnixTime,
    ) -> Result<(), SealError> {
        self.0.put(webhook.to_string(), secret, now)
    }

    /// Opens one.
    pub(crate) fn get(&self, webhook: WebhookId) -> Result<Secret<Vec<u8>>, SealError> {
        self.0.get(webhook.to_string())
    }

    /// Removes one: nothing is signed with it any more.
    pub(crate) fn remove(&self, webhook: WebhookId) -> Result<(), SealError> {
        self.0.remove(&webhook.to_string())
    }
}
