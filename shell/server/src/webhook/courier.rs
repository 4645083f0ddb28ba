//! A courier: brings one endpoint its messages, one at a time.

use super::attempt;
use super::message::Message;
use super::post::Failure;
use super::queue::{Queue, Waiting};
use crate::installation::Installation;
use broker::webhook::{self, Undelivered};
use broker::world::Webhook;
use std::sync::Arc;
use std::time::Instant;
use tokio::sync::mpsc;

/// Works until nobody has messages any more.
pub(super) async fn run(
    installation: Arc<Installation>,
    webhook: Arc<Webhook>,
    mut messages: mpsc::Receiver<Message>,
) {
    let mut queue = Queue::default();
    loop {
        let now = Instant::now();
        if let Some(waiting) = queue.take(now) {
            let made = attempt(&installation, &webhook, &waiting.message).await;
            if let Err(failure) = made {
                tracing::debug!(webhook = %webhook.name, %failure, "a message was not delivered");
                failed(&installation, &webhook, &mut queue, waiting, failure).await;
            }
        } else {
            let next = tokio::select! {
                next = messages.recv() => next,
                () = until(queue.due()) => continue,
            };
            let Some(message) = next else { return };
            taken(&installation, &webhook, &mut queue, message).await;
        }
        while let Ok(message) = messages.try_recv() {
            taken(&installation, &webhook, &mut queue, message).await;
        }
        let waiting = queue.len();
        installation
            .webhooks
            .note(webhook.id, |condition| condition.waiting = waiting);
    }
}

async fn until(due: Option<Instant>) {
    match due {
        Some(due) => tokio::time::sleep_until(due.into()).await,
        None => std::future::pending().await,
    }
}

async fn taken(installation: &Installation, webhook: &Webhook, queue: &mut Queue, message: Message) {
    if let Err(message) = queue.push(message, Instant::now()) {
        given_up(installation, webhook, &message, 0, "queue_full").await;
    }
}

async fn failed(
    installation: &Installation,
    webhook: &Webhook,
    queue: &mut Queue,
    waiting: Waiting,
    failure: Failure,
) {
    let waiting = waiting.failed();
    // Who says that it wants no more of this is not asked again.
    let last = if failure == Failure::Gone {
        Err(waiting)
    } else {
        queue.again(waiting, Instant::now())
    };
    if let Err(last) = last {
        given_up(
            installation,
            webhook,
            &last.message,
            last.attempts,
            failure.word(),
        )
        .await;
    }
}

/// Once a message, however often it was tried.
pub(super) async fn given_up(
    installation: &Installation,
    webhook: &Webhook,
    message: &Message,
    attempts: u32,
    why: &str,
) {
    installation.webhooks.note(webhook.id, |condition| {
        condition.given_up = condition.given_up.saturating_add(1);
    });
    let Some((approval, state)) = message.about else {
        return;
    };
    tracing::warn!(webhook = %webhook.name, %approval, attempts, why, "a message to a webhook was given up");
    let what = Undelivered {
        approval,
        state: state.word(),
        attempts,
        why,
    };
    let world = installation.store.world();
    let source = match installation.draw_source(Some(webhook.org), installation.clock.now()) {
        Ok(source) => source,
        Err(error) => return tracing::error!(%error, "it could not be recorded"),
    };
    let plan = webhook::failed(&world, webhook, &what, &mut source.draw());
    if let Err(error) = installation.store.commit(plan).await {
        tracing::error!(%error, "it could not be recorded");
    }
}
