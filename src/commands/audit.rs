//! `glasshouse audit verify`.

use std::path::PathBuf;

use glasshouse_audit::{VerifyReport, verify as verify_log};
use serde_json::{Value, json};

use crate::cli::Global;
use crate::exit::{Exit, Failure};
use crate::output::{print, print_json};
use crate::places::state_dir;

/// Checks the log against its checkpoints. Ends with 1 where it is not intact.
pub(crate) fn verify(
    global: &Global,
    directory: Option<&PathBuf>,
    json: bool,
) -> Result<Exit, Failure> {
    let folder = directory.map_or_else(|| state_dir(global), |folder| Ok(folder.clone()))?;
    let report = verify_log(&folder).map_err(Failure::environment)?;
    if json {
        print_json(&as_json(&report))?;
    } else {
        print(&report.to_string())?;
    }
    Ok(if report.is_intact() {
        Exit::Done
    } else {
        Exit::Findings
    })
}

fn as_json(report: &VerifyReport) -> Value {
    let first_bad = report.first_bad.as_ref().map(|bad| {
        json!({
            "path": bad.path,
            "line": bad.line,
            "number": bad.number,
            "detail": bad.detail,
        })
    });
    json!({
        "intact": report.is_intact(),
        "records": report.records,
        "segments": report.segments,
        "checkpoints": report.checkpoints,
        "covered": report.covered,
        "uncovered": report.uncovered,
        "torn_bytes": report.torn_bytes,
        "keys": report.keys,
        "findings": report.findings,
        "first_bad": first_bad,
    })
}
