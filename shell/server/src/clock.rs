//! The one clock of the server. It is read once per request, at the door; everything behind is given the instant.

use identity::UnixTime;
use std::sync::Arc;
use std::time::{SystemTime, UNIX_EPOCH};

/// Where the server gets the time from: the system, or a test.
#[derive(Clone)]
pub struct Clock(Arc<dyn Fn() -> UnixTime + Send + Sync>);

impl Clock {
    /// The system's wall clock. A clock before 1970 reads as 1970, where every credential is not yet valid.
    pub fn system() -> Self {
        Self::from_fn(|| {
            let millis = SystemTime::now()
                .duration_since(UNIX_EPOCH)
                .unwrap_or_default()
                .as_millis();
            UnixTime::from_millis(u64::try_from(millis).unwrap_or(u64::MAX))
        })
    }
    /// A clock that says what `now` says.
    pub fn from_fn(now: impl Fn() -> UnixTime + Send + Sync + 'static) -> Self {
        Self(Arc::new(now))
    }
    /// The time.
    pub fn now(&self) -> UnixTime {
        (self.0)()
    }
}

impl std::fmt::Debug for Clock {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "Clock({})", self.now().rfc3339())
    }
}
