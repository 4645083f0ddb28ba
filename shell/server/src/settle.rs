//! The middle of the five lines for everything but the token endpoint: decide, record, and decide anew when something
//! was restricted in between.

use crate::installation::Installation;
use crate::keys::KeyError;
use broker::{Draw, Outcome, Refusal, World};
use identity::OrgId;
use store::{CommitError, Recorded};

/// How often a decision is made anew.
const ATTEMPTS_MAX: usize = 3;

/// Why nothing was granted.
#[derive(Debug, thiserror::Error)]
pub(crate) enum Unsettled {
    /// A refusal, recorded.
    #[error("refused: {}", .0.sentence())]
    Refused(Box<Refusal>),
    /// The World changed under every attempt.
    #[error("the state changed meanwhile; try again")]
    Contended,
    /// The store. Fail closed.
    #[error("nothing can be recorded at the moment: {0}")]
    Unrecorded(CommitError),
    /// No key or no randomness.
    #[error(transparent)]
    Keys(#[from] KeyError),
}

/// Decides on the World of now, records, and returns the proof; again when it went stale.
pub(crate) async fn settle<P>(
    installation: &Installation,
    org: Option<OrgId>,
    decide: impl Fn(&World, &mut Draw<'_>) -> Outcome<P>,
) -> Result<Recorded<P>, Unsettled> {
    for _ in 0..ATTEMPTS_MAX {
        let world = installation.store.world();
        let source = installation.draw_source(org, installation.clock.now())?;
        let outcome = decide(&world, &mut source.draw());
        let committed = match outcome {
            Outcome::Granted(plan) => installation.store.commit(plan).await,
            Outcome::Refused(plan) => match installation.store.commit(plan).await {
                Ok(recorded) => return Err(Unsettled::Refused(Box::new(recorded.into_parts().0))),
                Err(error) => Err(error),
            },
        };
        match committed {
            Ok(recorded) => return Ok(recorded),
            Err(CommitError::Stale { .. } | CommitError::Conflict(_)) => {}
            Err(error) => return Err(Unsettled::Unrecorded(error)),
        }
    }
    Err(Unsettled::Contended)
}
