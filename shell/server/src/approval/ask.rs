//! Asking: what the contracts of the chain say about it, then the use case.

use crate::installation::Installation;
use crate::keys::KeyError;
use broker::approve::{self, Ask, Asked, Terms};
use broker::world::{Approval, NodeRecord, World};
use broker::{Outcome, Refusal};
use identity::OrgScope;
use policy::contract::Grant;
use std::sync::Arc;
use store::CommitError;

/// How often it is looked at anew because something was restricted meanwhile.
const ATTEMPTS_MAX: usize = 3;

/// Why humans were not asked.
#[derive(Debug, thiserror::Error)]
pub(crate) enum NotAsked {
    /// The use case says no, recorded.
    #[error("refused: {}", .0.sentence())]
    Refused(Box<Refusal>),
    /// Nothing can be recorded.
    #[error(transparent)]
    Unrecorded(#[from] CommitError),
    /// No key or no randomness.
    #[error(transparent)]
    Keys(#[from] KeyError),
    /// What was recorded is not in the World.
    #[error("the request is not in the World")]
    Lost,
}

/// Asks humans; identical requests share one record.
pub(crate) async fn ask(
    installation: &Installation,
    through: Option<&NodeRecord>,
    wanted: &Ask,
) -> Result<Arc<Approval>, NotAsked> {
    // One at a time: two identical requests at the same instant are one record, and no more wait than may.
    let _turn = installation.asking.lock().await;
    let mut again = 1..ATTEMPTS_MAX;
    loop {
        let world = installation.store.world();
        let terms = terms(installation, &world, wanted);
        let source = installation.draw_source(Some(wanted.bound.org), installation.clock.now())?;
        let outcome = match approve::ask(&world, wanted, &terms, through, &mut source.draw()) {
            Asked::Known(approval) => return Ok(approval),
            Asked::New(outcome) => outcome,
        };
        let plan = match outcome {
            Outcome::Granted(plan) => plan,
            Outcome::Refused(plan) => {
                let recorded = installation.store.commit(plan).await?;
                return Err(NotAsked::Refused(Box::new(recorded.into_parts().0)));
            }
        };
        match installation.store.commit(plan).await {
            Ok(recorded) => {
                let id = recorded.get().id().at(recorded.revision());
                let world = installation.store.world();
                let approval = world.approval(OrgScope::Only(wanted.bound.org), id);
                return approval.cloned().ok_or(NotAsked::Lost);
            }
            Err(CommitError::Stale { .. }) if again.next().is_some() => {}
            Err(error) => return Err(error.into()),
        }
    }
}

/// Where humans decide.
fn desk(installation: &Installation) -> String {
    let people = installation.config.people.as_ref().map(|people| &people.url);
    let url = people.unwrap_or(&installation.config.issuer).as_str();
    url.trim_end_matches('/').to_owned()
}

/// The escalations that are needed, as their contracts have them, and the words for people.
fn terms(installation: &Installation, world: &World, wanted: &Ask) -> Terms {
    let scope = OrgScope::Only(wanted.bound.org);
    let contract = |hash: &identity::Digest| {
        let record = world.contract(scope, hash)?;
        installation.contracts.compiled(record).ok()
    };
    let mut terms = Terms {
        desk: desk(installation),
        ..Terms::default()
    };
    for (hash, name) in &wanted.needs {
        let Some(compiled) = contract(hash) else { continue };
        if let Some(escalation) = compiled.contract().terms().escalation.get(name) {
            terms.escalations.push((*hash, name.clone(), escalation.clone()));
        }
    }
    terms.meaning = wanted.bound.contracts.last().and_then(|hash| {
        let compiled = contract(hash)?;
        let grants = &compiled.contract().terms().grants;
        let here = || {
            grants
                .iter()
                .filter(|grant| grant.services.contains(&wanted.bound.audience))
        };
        // Two grants may have the same action for different things: the words are those of the one that waits.
        let waits = |grant: &&Grant| {
            let by = grant.approval.as_ref();
            by.is_some_and(|by| wanted.needs.iter().any(|(of, name)| of == hash && name == by))
        };
        let waiting = here().filter(waits);
        waiting
            .chain(here())
            .find_map(|grant| grant.business_action.get(&wanted.bound.action))
            .map(|sentence| sentence.as_str().to_owned())
    });
    terms
}
