//! The server's part of approvals, over the fixture's World: the real use cases, each plan committed at once.

use crate::fixture::{LOG, now};
use audit::event::CommitmentKey;
use broker::approve::{self, Ask, Asked, Terms};
use broker::plan::Precondition;
use broker::world::approval::{Ended, Vote};
use broker::world::{Change, Group, Principal, Role};
use broker::{Draw, Outcome, Plan, World};
use futures_util::future::BoxFuture;
use identity::{ApprovalId, Digest, LogId, OrgId, OrgScope, Secret};
use std::collections::HashSet;
use std::sync::atomic::{AtomicU8, Ordering};
use std::sync::{Arc, Mutex};
use tabard_gateway::{ApprovalError, Approvals, WaitingApproval};
use tokio::sync::watch;

/// Where humans are asked.
pub(crate) struct Desk {
    worlds: watch::Sender<Arc<World>>,
    spent: Mutex<HashSet<(u8, [u8; 32])>>,
    drawn: AtomicU8,
    names: CommitmentKey,
    /// How often it was asked.
    pub(crate) asked: AtomicU8,
}

impl Desk {
    pub(crate) fn new(worlds: watch::Sender<Arc<World>>) -> Self {
        Self {
            worlds,
            spent: Mutex::default(),
            drawn: AtomicU8::new(1),
            names: CommitmentKey::new(Secret::new([9; 32])),
            asked: AtomicU8::new(0),
        }
    }

    fn draw(&self, log: LogId) -> Draw<'_> {
        let seed = [self.drawn.fetch_add(1, Ordering::SeqCst); 32];
        Draw::new(now(), log, seed, &self.names)
    }

    fn world(&self) -> Arc<World> {
        self.worlds.borrow().clone()
    }

    /// Commits: every key once, then the Changes.
    fn commit<P>(&self, plan: Plan<P>) -> Option<P> {
        let parts = plan.into_parts();
        let mut spent = self.spent.lock().unwrap();
        for expected in &parts.expect {
            if let Precondition::Unused { kind, key, .. } = expected
                && !spent.insert((*kind as u8, *key))
            {
                return None;
            }
        }
        self.apply(&parts.changes);
        Some(parts.proof)
    }

    fn apply(&self, changes: &[Change]) {
        self.worlds.send_modify(|world| {
            *world = Arc::new(world.apply(changes, world.revision().next()));
        });
    }

    /// Lets `ann` and `bob` decide for the group `leads`.
    pub(crate) fn hire(&self, org: OrgId) {
        let mut changes: Vec<Change> = [("ann", 2001), ("bob", 2002)]
            .map(|(name, uid)| Change::PrincipalAdded(principal(name, uid, Role::Approver)))
            .into();
        changes.push(Change::GroupSet(Group {
            org,
            name: "leads".parse().unwrap(),
            members: ["ann".parse().unwrap(), "bob".parse().unwrap()].into(),
        }));
        self.apply(&changes);
    }

    /// Somebody says yes or no.
    pub(crate) fn votes(&self, org: OrgId, approval: ApprovalId, by: &str, yes: bool) {
        let vote = Vote {
            by: by.parse().unwrap(),
            yes,
            at: now(),
            verified: now(),
            counts_for: vec![0],
        };
        self.apply(&[Change::ApprovalVoted { approval, org, vote }]);
    }

    pub(crate) fn ends(&self, org: OrgId, approval: ApprovalId, how: Ended) {
        let at = now();
        self.apply(&[Change::ApprovalEnded {
            approval,
            org,
            how,
            at,
        }]);
    }

    fn terms(world: &World, ask: &Ask) -> Terms {
        let scope = OrgScope::Only(ask.bound.org);
        let mut terms = Terms::default();
        for (hash, name) in &ask.needs {
            let record = world.contract(scope, hash).unwrap();
            let contract = policy::Contract::parse("x", record.source.as_bytes()).unwrap();
            let escalation = contract.terms().escalation.get(name).unwrap().clone();
            terms.escalations.push((*hash, name.clone(), escalation));
        }
        terms
    }

    fn waiting(&self, id: ApprovalId) -> WaitingApproval {
        let world = self.world();
        let known = world.approval(OrgScope::Every, id).unwrap();
        WaitingApproval {
            id,
            state: known.state(now()),
            until: known.good_until(),
            page: known.page(),
        }
    }
}

pub(crate) fn principal(name: &str, uid: u32, role: Role) -> Principal {
    Principal::with_uid(name.parse().unwrap(), uid, [role].into(), "uid".into())
}

fn refused<P>(plan: Plan<broker::Refusal>) -> Result<P, ApprovalError> {
    let refusal = plan.into_parts().proof;
    Err(ApprovalError::Refused {
        code: refusal.code().to_owned(),
        message: refusal.sentence().to_owned(),
    })
}

impl Approvals for Desk {
    fn ask(&self, ask: Ask) -> BoxFuture<'_, Result<WaitingApproval, ApprovalError>> {
        self.asked.fetch_add(1, Ordering::SeqCst);
        // What came over a wire.
        let ask: Ask = serde_json::from_slice(&serde_json::to_vec(&ask).unwrap()).unwrap();
        let world = self.world();
        let terms = Self::terms(&world, &ask);
        let mut draw = self.draw(LogId(0));
        let answer = match approve::ask(&world, &ask, &terms, None, &mut draw) {
            Asked::Known(known) => Ok(self.waiting(known.id)),
            Asked::New(Outcome::Granted(plan)) => {
                let id = self.commit(plan).unwrap().id();
                Ok(self.waiting(id.at(self.world().revision())))
            }
            Asked::New(Outcome::Refused(plan)) => refused(plan),
        };
        Box::pin(std::future::ready(answer))
    }

    fn spend(&self, id: ApprovalId, request: Digest) -> BoxFuture<'_, Result<(), ApprovalError>> {
        // Each decides on a World of before the others' commits: only the key keeps them apart.
        let world = self.world();
        Box::pin(async move {
            tokio::task::yield_now().await;
            let mut draw = self.draw(LOG);
            match approve::spend(&world, OrgScope::Every, id, &request, &mut draw) {
                Outcome::Granted(plan) => match self.commit(plan) {
                    Some(spent) => {
                        assert_eq!(spent.approval(), id);
                        Ok(())
                    }
                    None => refused(approve::spent_before(&world, OrgScope::Every, id, &mut draw)),
                },
                Outcome::Refused(plan) => refused(plan),
            }
        })
    }
}
