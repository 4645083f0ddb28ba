//! The herald: reads what was committed, and hands each courier what its org's endpoint is told.
//!
//! It follows the change feed as gateways do, so no vote and no decision ever waits for it. Its messages are made of what
//! was committed alone: after a restart those that still wait are announced again, under the same ids.

use super::courier::{self, given_up};
use super::message::Message;
use crate::installation::Installation;
use broker::world::approval::{Ended, State};
use broker::world::{Approval, Webhook};
use broker::{Change, World};
use futures_util::StreamExt as _;
use futures_util::future::{AbortHandle, Abortable, BoxFuture, FutureExt as _};
use futures_util::stream::FuturesUnordered;
use identity::{ApprovalId, OrgScope, UnixTime, WebhookId};
use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;
use store::{Delta, Feed};
use tokio::sync::mpsc;
use tokio::sync::mpsc::error::TrySendError;

/// How soon a feed that was lost is looked for again.
const AGAIN: Duration = Duration::from_secs(1);
/// Messages on their way from the herald to a courier that is busy with an attempt.
const HANDED_MAX: usize = 256;

/// Runs until it is dropped, and its couriers with it: none of them is a task of its own that could hold the store open.
pub(crate) async fn run(installation: Arc<Installation>) {
    let mut herald = Herald {
        installation,
        desks: BTreeMap::new(),
        couriers: FuturesUnordered::new(),
    };
    loop {
        herald.follow().await;
        tokio::time::sleep(AGAIN).await;
    }
}

/// Where the messages of one endpoint go.
struct Desk {
    webhook: Arc<Webhook>,
    messages: mpsc::Sender<Message>,
    courier: AbortHandle,
}

struct Herald {
    installation: Arc<Installation>,
    desks: BTreeMap<WebhookId, Desk>,
    couriers: FuturesUnordered<Abortable<BoxFuture<'static, ()>>>,
}

impl Herald {
    async fn follow(&mut self) {
        let world = self.installation.store.world();
        let mut feed: Feed = match self.installation.store.subscribe(world.revision()) {
            Ok(feed) => feed,
            Err(error) => return tracing::error!(%error, "webhooks are told nothing at the moment"),
        };
        self.settle(&world);
        let now = self.installation.clock.now();
        for approval in world.approvals(OrgScope::Every) {
            if approval.state(now) == State::Pending {
                self.tell(&world, approval, State::Pending, approval.asked_at)
                    .await;
            }
        }
        loop {
            let next = tokio::select! {
                next = feed.next() => next,
                Some(_) = self.couriers.next() => continue,
            };
            match next {
                Ok(delta) => self.heard(&delta).await,
                Err(error) => return tracing::debug!(%error, "the feed of webhooks ended"),
            }
        }
    }

    async fn heard(&mut self, delta: &Delta) {
        let world = self.installation.store.world();
        for change in delta.changes.iter() {
            match change {
                Change::WebhookAdded(_) | Change::WebhookRemoved { .. } => self.settle(&world),
                _ if self.desks.is_empty() => {}
                Change::ApprovalRequested(approval) => {
                    self.tell(&world, approval, State::Pending, approval.asked_at)
                        .await;
                }
                Change::ApprovalVoted { approval, vote, .. } => {
                    let Some(known) = found(&world, *approval) else {
                        continue;
                    };
                    // One of several yeses decides nothing yet.
                    let state = match known.approved_at() {
                        _ if !vote.yes => State::Denied,
                        Some(at) if at == vote.at => State::Approved,
                        Some(_) | None => continue,
                    };
                    self.tell(&world, &known, state, vote.at).await;
                }
                Change::ApprovalEnded {
                    approval, how, at, ..
                } => {
                    let state = match how {
                        // The agent's own doing: nobody decided that.
                        Ended::Used => continue,
                        Ended::Withdrawn => State::Withdrawn,
                        Ended::Expired => State::Expired,
                    };
                    if let Some(known) = found(&world, *approval) {
                        self.tell(&world, &known, state, *at).await;
                    }
                }
                _ => {}
            }
        }
    }

    /// One courier for each webhook that there is.
    fn settle(&mut self, world: &World) {
        let installation = &self.installation;
        let known: BTreeMap<WebhookId, &Arc<Webhook>> = world
            .webhooks(OrgScope::Every)
            .map(|webhook| (webhook.id, webhook))
            .collect();
        self.desks.retain(|id, desk| {
            let stays = known.contains_key(id);
            if !stays {
                desk.courier.abort();
                installation.webhooks.forget(*id);
            }
            stays
        });
        for (id, webhook) in known {
            if self.desks.contains_key(&id) {
                continue;
            }
            let (messages, receiver) = mpsc::channel(HANDED_MAX);
            let (courier, registration) = AbortHandle::new_pair();
            let working = courier::run(installation.clone(), webhook.clone(), receiver).boxed();
            self.couriers.push(Abortable::new(working, registration));
            let desk = Desk {
                webhook: webhook.clone(),
                messages,
                courier,
            };
            self.desks.insert(id, desk);
        }
    }

    async fn tell(&mut self, world: &World, approval: &Approval, state: State, at: UnixTime) {
        for desk in self.desks.values() {
            if desk.webhook.org != approval.org {
                continue;
            }
            let Some(message) = Message::of(world, approval, state, at) else {
                return;
            };
            match desk.messages.try_send(message) {
                Ok(()) | Err(TrySendError::Closed(_)) => {}
                Err(TrySendError::Full(message)) => {
                    given_up(&self.installation, &desk.webhook, &message, 0, "queue_full").await;
                }
            }
        }
    }
}

fn found(world: &World, id: ApprovalId) -> Option<Arc<Approval>> {
    world.approval(OrgScope::Every, id).cloned()
}
