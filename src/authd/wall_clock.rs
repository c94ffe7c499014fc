//! The clock of the house as the protocol library wants it.

use std::sync::Arc;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use glasshouse_core::time::Clock;

/// Passes our clock on.
#[derive(Clone, Debug)]
pub(crate) struct WallClock(pub(crate) Arc<dyn Clock>);

impl WallClock {
    /// Now, as the standard library writes it.
    pub(crate) fn system_time(&self) -> SystemTime {
        let nanos = u64::try_from(self.0.now().nanos()).unwrap_or(0);
        UNIX_EPOCH + Duration::from_nanos(nanos)
    }
}

impl oauth_as::server::Clock for WallClock {
    fn now(&self) -> SystemTime {
        self.system_time()
    }
}
