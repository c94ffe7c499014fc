//! Runs every test, repeats at the end what passing tests said of themselves that they skipped, and compares what they sent to
//! devices with the list of what may be sent.

use std::io::{BufRead, BufReader};
use std::process::{Command, Stdio};

use anyhow::{Context, bail};

use crate::sent::{self, Record};
use crate::{peers, project};

pub(crate) fn run(arguments: &[String], install: bool) -> anyhow::Result<()> {
    let shell = project::shell()?;
    let missing = if install {
        peers::install(&shell)?
    } else {
        Vec::new()
    };
    for peer in &missing {
        println!("not installed: {peer}");
    }
    let (for_cargo, for_tests) = split(arguments);
    let record = Record::begin()?;
    let mut command = Command::new(std::env::var_os("CARGO").unwrap_or_else(|| "cargo".into()));
    command
        .current_dir(project::root()?)
        .args(["test", "--locked", "--no-fail-fast"])
        .args((!names_package(for_cargo)).then_some("--workspace"))
        .args(for_cargo)
        .args(["--", "--show-output"])
        .args(for_tests)
        .env(sent::VARIABLE, record.folder())
        .stdout(Stdio::piped());
    let mut tests = command.spawn().context("failed to run cargo")?;
    let output = tests.stdout.take().context("cargo has no output")?;
    let mut report = Report::default();
    for line in BufReader::new(output).lines() {
        // what a test prints need not be UTF-8
        let line = line.unwrap_or_else(|_| "(not UTF-8)".to_owned());
        if report.take(&line) {
            println!("{line}");
        }
    }
    let status = tests.wait()?;
    report.print();
    let listed = record.compare(&project::root()?);
    if !status.success() {
        bail!("tests failed");
    }
    listed
}

/// What stands before a `--` is for cargo, what stands behind it for the test binaries.
fn split(arguments: &[String]) -> (&[String], &[String]) {
    let at = arguments.iter().position(|argument| argument == "--");
    match at.and_then(|at| arguments.split_at_checked(at)) {
        Some((before, after)) => (before, after.get(1..).unwrap_or_default()),
        None => (arguments, &[]),
    }
}

/// Whether some packages are asked for by name, and so not all.
fn names_package(arguments: &[String]) -> bool {
    let names = |argument: &String| argument.starts_with("-p") || argument.starts_with("--package");
    arguments.iter().any(names)
}

/// Reads the output of libtest.
#[derive(Debug, Default)]
struct Report {
    /// Inside what passing tests printed, which is shown only where they skipped.
    in_successes: bool,
    test: String,
    skips: Vec<String>,
    passed: u64,
    failed: u64,
    ignored: u64,
}

impl Report {
    /// Takes a line and says whether to print it.
    fn take(&mut self, line: &str) -> bool {
        if let Some(counts) = line.strip_prefix("test result: ") {
            self.in_successes = false;
            self.passed += count(counts, " passed");
            self.failed += count(counts, " failed");
            self.ignored += count(counts, " ignored");
            return true;
        }
        match line {
            "successes:" => self.in_successes = true,
            "failures:" => self.in_successes = false,
            _ => {}
        }
        if !self.in_successes {
            return true;
        }
        if let Some(heading) = line.strip_prefix("---- ") {
            heading
                .trim_end_matches(" stdout ----")
                .clone_into(&mut self.test);
        } else if line.trim_start().to_ascii_lowercase().starts_with("skip") {
            self.skips.push(format!("{}: {}", self.test, line.trim()));
        }
        false
    }

    fn print(&self) {
        println!();
        for skip in &self.skips {
            println!("{skip}");
        }
        println!(
            "all tests: {} passed, {} failed, {} ignored, {} skipped by themselves",
            self.passed,
            self.failed,
            self.ignored,
            self.skips.len()
        );
    }
}

/// The number before a word: 3 of `ok. 3 passed; 0 failed`.
fn count(text: &str, word: &str) -> u64 {
    text.split(word)
        .next()
        .and_then(|before| before.rsplit(' ').next())
        .and_then(|number| number.parse().ok())
        .unwrap_or(0)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_report_hides_what_passing_tests_say_but_for_skips() {
        let output = "\
running 2 tests
test a ... ok
successes:

---- a stdout ----
noise
skipped: no root

successes:
    a

failures:

---- b stdout ----
why it failed

test result: FAILED. 1 passed; 1 failed; 2 ignored; 0 measured; 0 filtered out; finished in 0.00s
";
        let mut report = Report::default();
        let shown: Vec<&str> = output.lines().filter(|line| report.take(line)).collect();
        assert!(!shown.contains(&"noise"));
        assert!(shown.contains(&"why it failed"));
        assert!(shown.contains(&"test a ... ok"));
        assert!(shown.iter().any(|line| line.starts_with("test result:")));
        assert_eq!(report.skips, ["a: skipped: no root"]);
        assert_eq!((report.passed, report.failed, report.ignored), (1, 1, 2));
    }

    #[test]
    fn arguments_are_split_at_the_dashes() {
        let arguments = ["-p", "x", "--", "name"].map(str::to_owned);
        let (cargo, tests) = split(&arguments);
        assert_eq!(cargo, ["-p", "x"]);
        assert_eq!(tests, ["name"]);
        assert_eq!(split(cargo).1, [""; 0]);
    }
}
