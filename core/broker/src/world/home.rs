//! Where calls are counted: the home of a task, an instance or an agent.

use identity::{LogId, OrgId, UnixTime};
use serde::{Deserialize, Serialize};

/// The gateway that counts what is taken by calls of a task tree, an instance or an agent, and knows what was read.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub struct Home {
    /// The org of what is at home there.
    pub org: OrgId,
    /// The number of the gateway's own log, which is never given to another; `None` once that gateway was removed.
    pub log: Option<LogId>,
    /// What was counted before then is not known; 0 for a first home, before which nothing was. A home that was left is
    /// not taken again before then.
    pub since: UnixTime,
}
