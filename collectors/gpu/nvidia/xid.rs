//! What the numbers of critical events (XID) mean, as data. From NVIDIA's "XID Errors" document and the buckets of its
//! health checks; what is not listed is a warning.

use glasshouse_core::condition::Severity;

/// One number.
struct Xid {
    code: u64,
    severity: Severity,
    meaning: &'static str,
}

const fn critical(code: u64, meaning: &'static str) -> Xid {
    Xid {
        code,
        severity: Severity::Critical,
        meaning,
    }
}

const fn warning(code: u64, meaning: &'static str) -> Xid {
    Xid {
        code,
        severity: Severity::Warning,
        meaning,
    }
}

const XIDS: &[Xid] = &[
    warning(13, "exception of the graphics engine, mostly by a program"),
    warning(31, "memory page fault, mostly by a program"),
    warning(43, "the GPU stopped processing for one program"),
    warning(45, "preemptive cleanup after an earlier error"),
    critical(46, "the GPU stopped processing"),
    critical(48, "double-bit memory error"),
    critical(62, "halt of the internal microcontroller"),
    warning(63, "a row of memory is to be replaced, or a page retired"),
    critical(
        64,
        "a row of memory could not be replaced, or a page not retired",
    ),
    critical(74, "NVLink error"),
    critical(79, "the GPU has fallen off the bus"),
    critical(92, "high rate of single-bit memory errors"),
    warning(94, "contained memory error: one program is affected"),
    critical(95, "uncontained memory error: the GPU must be reset"),
    critical(119, "time-out of the GPU's system processor"),
    critical(120, "error of the GPU's system processor"),
    critical(140, "memory error that was not recovered"),
    critical(143, "the GPU could not be started"),
    critical(149, "NVLink error"),
    warning(154, "the recovery action of the GPU has changed"),
];

/// How much a number matters, and what it means.
pub(crate) fn meaning(code: u64) -> (Severity, &'static str) {
    XIDS.iter().find(|xid| xid.code == code).map_or(
        (Severity::Warning, "see NVIDIA's list of XID errors"),
        |xid| (xid.severity, xid.meaning),
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_number_stands_once_and_in_order() {
        assert!(XIDS.is_sorted_by(|a, b| a.code < b.code));
        assert_eq!(meaning(79).0, Severity::Critical);
        assert_eq!(meaning(1_000).0, Severity::Warning);
    }
}
