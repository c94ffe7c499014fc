//! Checks a log against its checkpoints: for `glasshouse audit verify`.

use std::collections::BTreeSet;
use std::fmt;
use std::path::{Path, PathBuf};

use crate::checkpoint::{Checkpoint, Checkpoints, NextCheckpoint};
use crate::checkpointer::root;
use crate::error::AuditError;
use crate::record::{Link, check_link};
use crate::segments::{AUDIT, Lines, Next, Segment, list};
use crate::tree::Frontier;

/// The most findings that are repeated.
const MOST_FINDINGS: usize = 100;

/// What [`verify`] found.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct VerifyReport {
    /// Good records, up to the first bad one.
    pub records: u64,
    /// Files they stand in.
    pub segments: u64,
    /// Good checkpoints that the records agree with.
    pub checkpoints: u64,
    /// Records that those vouch for.
    pub covered: u64,
    /// Good records behind the newest checkpoint: nothing vouches for them, or for there being no more of them.
    pub uncovered: u64,
    /// Bytes of a last record without its end, which a crash leaves; the next start cuts them.
    pub torn_bytes: u64,
    /// The public keys that signed, in hexadecimal digits. More than one, or another than was noted down: ask why.
    pub keys: BTreeSet<String>,
    /// What the node found wrong while it ran.
    pub findings: Vec<String>,
    /// The first thing that is wrong.
    pub first_bad: Option<BadRecord>,
}

/// A record or checkpoint that is not what it was.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct BadRecord {
    /// The file.
    pub path: PathBuf,
    /// The line, counted from 1.
    pub line: u64,
    /// The number of the record (or checkpoint).
    pub number: u64,
    /// What is wrong.
    pub detail: String,
}

impl VerifyReport {
    /// Whether nothing is wrong: no bad record, and nothing that the node found.
    #[must_use]
    pub const fn is_intact(&self) -> bool {
        self.first_bad.is_none() && self.findings.is_empty()
    }
}

impl fmt::Display for VerifyReport {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let verdict = if self.is_intact() {
            "intact"
        } else {
            "NOT INTACT"
        };
        writeln!(
            f,
            "{verdict}: {} records in {} files",
            self.records, self.segments
        )?;
        writeln!(
            f,
            "{} checkpoints vouch for {} of them",
            self.checkpoints, self.covered
        )?;
        writeln!(
            f,
            "{} records behind the newest checkpoint are not covered",
            self.uncovered
        )?;
        if self.torn_bytes > 0 {
            writeln!(f, "{} bytes at the end are a torn record", self.torn_bytes)?;
        }
        for key in &self.keys {
            writeln!(f, "signed by {key}")?;
        }
        for finding in &self.findings {
            writeln!(f, "the node found: {finding}")?;
        }
        if let Some(bad) = &self.first_bad {
            writeln!(f, "{}:{}: {}", bad.path.display(), bad.line, bad.detail)?;
        }
        Ok(())
    }
}

/// Reads the log and the checkpoints of a state folder and compares them. Reads only, in bounded memory.
///
/// # Errors
/// [`AuditError`] where a folder cannot be read; what is wrong inside is in the report.
pub fn verify(state: &Path) -> Result<VerifyReport, AuditError> {
    let mut checking = Checking {
        report: VerifyReport::default(),
        tree: Frontier::default(),
        checkpoints: Checkpoints::open(&state.join("checkpoints"))?,
        next: None,
        behind_covered: None,
    };
    let audit = state.join("audit");
    let segments = list(&audit, AUDIT)?;
    checking.advance()?;
    checking.read(&segments)?;
    checking.end(segments.last(), &audit)?;
    Ok(checking.report)
}

struct Checking {
    report: VerifyReport,
    tree: Frontier,
    checkpoints: Checkpoints,
    /// The checkpoint that is due, at a size that has not been reached.
    next: Option<Checkpoint>,
    /// File and line of the first record behind the newest good checkpoint.
    behind_covered: Option<(PathBuf, u64)>,
}

impl Checking {
    fn read(&mut self, segments: &[Segment]) -> Result<(), AuditError> {
        let mut link = Link::default();
        for (n, segment) in segments.iter().enumerate() {
            if segment.first != self.tree.leaves() {
                let detail = format!("record {} is missing", self.tree.leaves());
                self.bad(&segment.path, 1, detail);
            }
            if self.report.first_bad.is_some() {
                return Ok(());
            }
            self.report.segments = self.report.segments.saturating_add(1);
            let is_newest = n + 1 == segments.len();
            link = self.read_segment(segment, is_newest, link)?;
        }
        Ok(())
    }

    fn read_segment(
        &mut self,
        segment: &Segment,
        is_newest: bool,
        mut link: Link,
    ) -> Result<Link, AuditError> {
        let mut lines = match Lines::open(&segment.path, 0) {
            Err(strange @ AuditError::Strange { .. }) => {
                self.bad(&segment.path, 1, strange.to_string());
                return Ok(link);
            }
            opened => opened?,
        };
        for number in 1_u64.. {
            let wrong = match lines.next()? {
                Next::End(0) => break,
                Next::End(torn) if is_newest => {
                    self.report.torn_bytes = torn;
                    break;
                }
                Next::End(_) => "it is torn".to_owned(),
                Next::TooLong => "it is longer than any record".to_owned(),
                Next::Line(bytes) => match check_link(&bytes, link) {
                    Ok(next) => {
                        link = next;
                        self.take(&bytes, &segment.path, number)?;
                        if self.report.first_bad.is_some() {
                            break;
                        }
                        continue;
                    }
                    Err(wrong) => wrong,
                },
            };
            self.bad(&segment.path, number, wrong);
            break;
        }
        Ok(link)
    }

    /// A record that continues the one before.
    fn take(&mut self, bytes: &[u8], path: &Path, line: u64) -> Result<(), AuditError> {
        if self.behind_covered.is_none() {
            self.behind_covered = Some((path.to_owned(), line));
        }
        self.tree.push(bytes);
        self.report.records = self.tree.leaves();
        self.compare()
    }

    /// Compares with every checkpoint of this size.
    fn compare(&mut self) -> Result<(), AuditError> {
        while let Some(due) = &self.next
            && due.tree_size <= self.tree.leaves()
            && self.report.first_bad.is_none()
        {
            if due.tree_size < self.tree.leaves() {
                let detail = format!("checkpoint {} covers less than the one before", due.number);
                let path = self
                    .checkpoints
                    .end
                    .clone()
                    .map(|(path, _)| path)
                    .unwrap_or_default();
                self.bad(&path, 1, detail);
            } else if due.root == root(&self.tree) {
                self.agreed();
                self.advance()?;
            } else {
                let (from, to) = (self.report.covered, due.tree_size.saturating_sub(1));
                let detail =
                    format!("one of the records {from} to {to} was changed after it was signed");
                let (path, line) = self.behind_covered.clone().unwrap_or_default();
                self.bad(&path, line, detail);
            }
        }
        Ok(())
    }

    fn agreed(&mut self) {
        let Some(due) = self.next.take() else { return };
        self.report.checkpoints = self.report.checkpoints.saturating_add(1);
        self.report.covered = due.tree_size;
        self.report.keys.insert(due.key);
        self.report.findings.extend(due.finding);
        self.report.findings.truncate(MOST_FINDINGS);
        self.behind_covered = None;
    }

    /// The next checkpoint becomes due.
    fn advance(&mut self) -> Result<(), AuditError> {
        self.next = None;
        match self.checkpoints.next()? {
            NextCheckpoint::Good(checkpoint) => {
                self.next = Some(checkpoint);
                self.compare()?;
            }
            NextCheckpoint::Bad(path, line, detail) => {
                let number = self.checkpoints.number;
                self.first(BadRecord {
                    path,
                    line,
                    number,
                    detail: format!("checkpoint: {detail}"),
                });
            }
            NextCheckpoint::End => {}
        }
        Ok(())
    }

    /// Whatever a checkpoint still vouches for must have been there.
    fn end(&mut self, newest: Option<&Segment>, audit: &Path) -> Result<(), AuditError> {
        self.report.uncovered = self.tree.leaves().saturating_sub(self.report.covered);
        if self.report.first_bad.is_some() {
            return Ok(());
        }
        if let Some(due) = &self.next {
            let (has, signed) = (self.tree.leaves(), due.tree_size);
            let detail = format!("the log ends after {has} records where {signed} were signed");
            let path = newest
                .map_or(audit, |segment| segment.path.as_path())
                .to_owned();
            let line = newest.map_or(0, |segment| has.saturating_sub(segment.first));
            self.first(BadRecord {
                path,
                line,
                number: has,
                detail,
            });
        }
        Ok(())
    }

    fn bad(&mut self, path: &Path, line: u64, detail: String) {
        let number = self.tree.leaves();
        self.first(BadRecord {
            path: path.to_owned(),
            line,
            number,
            detail,
        });
    }

    fn first(&mut self, bad: BadRecord) {
        self.report.first_bad.get_or_insert(bad);
    }
}
