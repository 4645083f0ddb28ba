//! Finds out whether this gateway is the one that counts a call; asks to be it where nobody is.
//!
//! The World says where things are at home. It is asked for anew once for each task and process, before its first call
//! is decided; of calls that come at once one asks and the others wait for it.

use crate::gateway::Inner;
use crate::parts::Homes;
use crate::view::View;
use broker::home::{Counted, Whose};
use identity::OrgScope;
use std::sync::Arc;
use tokio::sync::Mutex;

/// Claims that are under way at once: more wait, whatever they are for.
const CLAIMS: usize = 64;

/// Why a call is not decided here.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum NotHere {
    /// Another gateway counts it.
    Elsewhere,
    /// Nobody says who does.
    Unknown,
}

/// Claims homes, one at a time for each task.
pub(crate) struct HomeFinder {
    homes: Arc<dyn Homes>,
    turns: [Mutex<()>; CLAIMS],
}

impl HomeFinder {
    pub(crate) fn new(homes: Arc<dyn Homes>) -> Self {
        Self {
            homes,
            turns: std::array::from_fn(|_| Mutex::default()),
        }
    }

    fn turn(&self, counted: &Counted) -> &Mutex<()> {
        let [zero, ..] = &self.turns;
        // The low bits of an id are its random ones.
        usize::try_from(counted.task.as_u128() & 0xffff)
            .ok()
            .and_then(|bits| self.turns.get(bits % CLAIMS))
            .unwrap_or(zero)
    }

    /// Makes sure that `counted` is at home here; gives a newer view if one had to be waited for.
    pub(crate) async fn settle(
        inner: &Inner,
        view: &View,
        scope: OrgScope,
        counted: &Counted,
    ) -> Result<Option<Arc<View>>, NotHere> {
        let own = inner.settings.log;
        match counted.whose(&view.world, scope, own) {
            Whose::Ours => return Ok(None),
            Whose::Others => return Err(NotHere::Elsewhere),
            Whose::Nobodys => {}
        }
        let finder = &inner.homes;
        let _turn = finder.turn(counted).lock().await;
        let mut view = inner.view.load_full();
        if counted.whose(&view.world, scope, own) == Whose::Nobodys {
            let revision = finder.homes.claim(counted.clone()).await.map_err(|error| {
                tracing::warn!(%error, task = %counted.task, "a call cannot be decided");
                NotHere::Unknown
            })?;
            view = inner.view_at(revision).await.map_err(|_| NotHere::Unknown)?;
        }
        match counted.whose(&view.world, scope, own) {
            Whose::Ours => Ok(Some(view)),
            Whose::Others => Err(NotHere::Elsewhere),
            Whose::Nobodys => Err(NotHere::Unknown),
        }
    }
}
