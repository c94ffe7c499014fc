//! What was used, counted again from the log.

use std::collections::BTreeMap;
use std::path::Path;

use glasshouse_core::access::{Usage, UsageKey};
use glasshouse_core::time::Timestamp;

use crate::error::AuditError;
use crate::record::Line;
use crate::segments::{AUDIT, Lines, Next, Segment, list};
use crate::text::parse_time;

/// Calls and rows that policies allowed since then, by issuer, person and task. Methods that need no policy (a list, a
/// ping) are no calls. A folder without a log has no use.
///
/// # Errors
/// [`AuditError`] where the log cannot be read or a record is damaged: a budget that cannot be counted is no budget.
pub(crate) fn usage(
    folder: &Path,
    since: Timestamp,
) -> Result<BTreeMap<UsageKey, Usage>, AuditError> {
    let mut usage = BTreeMap::new();
    let segments = list(folder, AUDIT)?;
    let mut newer = segments.iter().skip(1);
    for segment in &segments {
        // a segment ends before the next begins
        if let Some(next) = newer.next()
            && begins(next)?.is_some_and(|begins| begins < since)
        {
            continue;
        }
        count(segment, since, &mut usage)?;
    }
    Ok(usage)
}

fn count(
    segment: &Segment,
    since: Timestamp,
    usage: &mut BTreeMap<UsageKey, Usage>,
) -> Result<(), AuditError> {
    let mut lines = Lines::open(&segment.path, 0)?;
    for number in 1_u64.. {
        let damaged = |detail: String| AuditError::Damaged {
            path: segment.path.display().to_string(),
            line: number,
            detail,
        };
        let line = match lines.next()? {
            Next::End(_) => break,
            Next::TooLong => return Err(damaged("it is longer than any record".to_owned())),
            Next::Line(bytes) => parse(&bytes).map_err(damaged)?,
        };
        let at = parse_time(&line.at).ok_or_else(|| damaged("its time is no time".to_owned()))?;
        let Some(decision) = line
            .decision
            .filter(|decision| at >= since && decision.allowed && !decision.policies.is_empty())
        else {
            continue;
        };
        let key = UsageKey {
            issuer: decision.issuer,
            subject: decision.subject,
            task: decision.task,
        };
        let used = usage.entry(key).or_default();
        used.calls = used.calls.saturating_add(1);
        used.rows = used.rows.saturating_add(decision.rows);
    }
    Ok(())
}

fn parse(bytes: &[u8]) -> Result<Line, String> {
    serde_json::from_slice(bytes).map_err(|error| error.to_string())
}

/// The time of the first line, where there is one that can be read.
fn begins(segment: &Segment) -> Result<Option<Timestamp>, AuditError> {
    match Lines::open(&segment.path, 0)?.next()? {
        Next::Line(bytes) => Ok(parse(&bytes).ok().and_then(|line| parse_time(&line.at))),
        Next::End(_) | Next::TooLong => Ok(None),
    }
}
