//! Parquet, by `glasshouse-analyze`: it is started here, and what it says is passed on.

use std::io::{BufRead as _, BufReader, Read as _};
use std::process::{Child, Stdio};

use anyhow::{Context as _, anyhow};
use glasshouse_core::text::clean;
use serde::Deserialize;

use super::Job;
use super::report::{DayReport, Report};
use crate::commands::analyze;
use crate::exit::Failure;

/// What each file is called there.
pub(super) const NAME: &str = "part-0.parquet";

/// A line of what it says names a few files at most; more is none of its lines.
const MOST_LINE: u64 = 1 << 20;

/// What it says when it fails is a line.
const MOST_ERROR: u64 = 4096;

/// One line of what it says.
#[derive(Debug, Deserialize)]
#[serde(untagged)]
enum Said {
    Day(DayReport),
    End { damaged: Vec<String> },
}

/// Has it write all days.
pub(super) fn write(job: &Job<'_>, report: &mut Report) -> Result<(), Failure> {
    let mut command = analyze::command()?;
    command
        .arg("parquet")
        .arg("--store")
        .arg(job.state.join("store"))
        .arg("--inventory")
        .arg(job.state.join("inventory"))
        .arg("--output")
        .arg(job.output)
        .args(["--from".to_owned(), job.window.from.nanos().to_string()])
        .args(["--to".to_owned(), job.window.to.nanos().to_string()]);
    for metric in &job.selector.metrics {
        command.arg(format!("--metric={metric}"));
    }
    for (key, value) in &job.selector.labels {
        command.arg(format!("--label={key}={value}"));
    }
    command
        .stdin(Stdio::null())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped());
    let child = command
        .spawn()
        .context("failed to start `glasshouse-analyze`");
    let mut child = child.map_err(Failure::environment)?;
    let heard = hear(&mut child, report);
    if heard.is_err() {
        // it would go on without anybody to tell
        child.kill().ok();
    }
    let mut told = String::new();
    if let Some(error) = child.stderr.take() {
        error.take(MOST_ERROR).read_to_string(&mut told).ok();
    }
    let status = child
        .wait()
        .context("failed to wait for `glasshouse-analyze`");
    let status = status.map_err(Failure::environment)?;
    let has_ended = heard?;
    if status.success() && has_ended {
        return Ok(());
    }
    let error = match (told.lines().next(), status.code()) {
        (Some(line), Some(_)) => anyhow!("{}", clean_line(line)),
        _ => anyhow!("`glasshouse-analyze` was ended before it was done ({status})"),
    };
    Err(Failure::environment(error).help("files that stand under their name are whole"))
}

/// Passes on what it says until it says nothing more; whether it said that it is done.
fn hear(child: &mut Child, report: &mut Report) -> Result<bool, Failure> {
    let Some(output) = child.stdout.take() else {
        return Ok(false);
    };
    let mut output = BufReader::new(output);
    let mut has_ended = false;
    let mut line = String::new();
    loop {
        line.clear();
        let read = output.by_ref().take(MOST_LINE).read_line(&mut line);
        let read = read.context("failed to hear `glasshouse-analyze`");
        if read.map_err(Failure::environment)? == 0 {
            return Ok(has_ended);
        }
        let said: Said = serde_json::from_str(&line)
            .context("`glasshouse-analyze` is of another version than `glasshouse`")
            .map_err(Failure::environment)?;
        match said {
            Said::Day(day) => report.day(day)?,
            Said::End { damaged } => {
                report.damaged(&damaged.into_iter().collect());
                has_ended = true;
            }
        }
    }
}

/// One line of an error, which may name files.
fn clean_line(line: &str) -> String {
    clean(line)
}
