//! How well the clock of the machine is kept: a thing that no file says.

use glasshouse_core::failure::CollectError;

use crate::ioctl::adjtimex;
use crate::root::{SysRoot, os_error};

/// What the kernel knows of how well its clock is kept, from `adjtimex`(2).
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct ClockState {
    /// Whether somebody keeps it.
    pub is_synchronized: bool,
    /// What is still to be corrected, in nanoseconds; positive where the clock is behind.
    pub offset_nanoseconds: i64,
    /// The most that it may be off, in microseconds. Grows by 500 a second while nobody keeps it, to 16 s.
    pub most_error_microseconds: i64,
    /// How much it is probably off, in microseconds.
    pub estimated_error_microseconds: i64,
    /// By how much it is made to run faster, in parts per million times 65,536.
    pub frequency_scaled_ppm: i64,
    /// Seconds that TAI is ahead of UTC; 0 where nobody told the kernel.
    pub tai_offset_seconds: i64,
}

/// Asks the kernel how its clock is kept; `None` in a captured tree, which cannot know it. Changes nothing and needs no
/// right.
///
/// # Errors
/// [`CollectError`] where a filter of system calls refuses.
pub fn clock_state(root: &SysRoot) -> Result<Option<ClockState>, CollectError> {
    if !root.is_live() {
        return Ok(None);
    }
    let (state, outcome) = adjtimex().map_err(|errno| {
        // no file says it; this is the nearest
        let mut error = os_error("sys/devices/system/clocksource", errno);
        error.detail = format!(
            "adjtimex: {}; allow the system call (seccomp group @clock)",
            error.detail
        );
        error
    })?;
    let has = |bit| state.status & bit != 0;
    Ok(Some(ClockState {
        is_synchronized: outcome != libc::TIME_ERROR && !has(libc::STA_UNSYNC),
        offset_nanoseconds: if has(libc::STA_NANO) {
            state.offset
        } else {
            state.offset.saturating_mul(1000)
        },
        most_error_microseconds: state.maxerror,
        estimated_error_microseconds: state.esterror,
        frequency_scaled_ppm: state.freq,
        tai_offset_seconds: i64::from(state.tai),
    }))
}

#[cfg(test)]
mod tests {
    use std::path::Path;

    use super::*;

    #[test]
    fn the_live_clock_has_a_state_and_a_captured_tree_none() {
        let tree = tempfile::tempdir().unwrap();
        assert_eq!(clock_state(&SysRoot::new(tree.path())).unwrap(), None);
        let state = clock_state(&SysRoot::new(Path::new("/"))).unwrap().unwrap();
        assert!(state.most_error_microseconds >= 0, "{state:?}");
    }
}
