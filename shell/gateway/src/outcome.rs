//! How a permitted call ended: the second entry of each call, written whatever becomes of the connection.
//!
//! It is recorded after the answer, and nobody waits for it. A decision without an outcome in the journal means that
//! the gateway died in between: `unknown` to a reader.

use crate::gateway::Inner;
use broker::enforce::{self, Ended};
use credential::AccessTokenClaims;
use identity::{DecisionId, EntryRef};
use std::sync::Arc;
use tokio::time::Instant;

/// A call that was permitted and has not ended.
pub(crate) struct Ending {
    gateway: Arc<Inner>,
    token: Arc<AccessTokenClaims>,
    of: EntryRef,
    decision: DecisionId,
    began: Instant,
    pub(crate) ended: Ended,
}

impl std::fmt::Debug for Ending {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Ending")
            .field("of", &self.of)
            .field("ended", &self.ended)
            .finish_non_exhaustive()
    }
}

impl Ending {
    /// Until somebody says otherwise the agent went away.
    pub(crate) fn new(
        gateway: Arc<Inner>,
        token: Arc<AccessTokenClaims>,
        of: EntryRef,
        decision: DecisionId,
    ) -> Self {
        let ended = Ended {
            error: Some("client_gone"),
            ..Ended::default()
        };
        Self {
            gateway,
            token,
            of,
            decision,
            began: Instant::now(),
            ended,
        }
    }
}

impl Drop for Ending {
    fn drop(&mut self) {
        let elapsed = self.began.elapsed().as_millis();
        self.ended.duration_ms = u64::try_from(elapsed).unwrap_or(u64::MAX);
        let Ok(runtime) = tokio::runtime::Handle::try_current() else {
            tracing::warn!(decision = %self.decision, "the outcome of a call is not recorded: the gateway is closing");
            return;
        };
        let (gateway, token, of, decision) =
            (self.gateway.clone(), self.token.clone(), self.of, self.decision);
        let ended = self.ended.clone();
        gateway.metrics.ended(&ended);
        runtime.spawn(async move {
            let names = (gateway.names)(token.org);
            let plan = {
                let view = gateway.view.load();
                let mut draw = gateway.draw(&names);
                enforce::outcome(&view.world, &token, of, &ended, &mut draw)
            };
            if let Err(error) = gateway.journal.note(plan).await {
                tracing::error!(%decision, %error, "the outcome of a call could not be recorded");
            }
        });
    }
}
