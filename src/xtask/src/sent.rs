//! What the whole suite sent to devices, against `docs/read-only.md`.
//!
//! The doors (`collectors/sysfs/witness.rs`) and the stand-ins (`tests/sim/record.rs`) write down what goes through them,
//! a line each: `ipmi 06h 01h`, `redfish GET /redfish/v1`, `nvml nvmlInit_v2`, `ioctl SIOCETHTOOL 4Ch`, `register E7h`,
//! `file proc/stat`. The document is read as people read it: its tables are the list.

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::os::unix::fs::PermissionsExt as _;
use std::path::{Path, PathBuf};

use anyhow::{Context, bail};

/// Tells tests where to write down what they send.
pub(crate) const VARIABLE: &str = "GLASSHOUSE_RECORD";

const DOCUMENT: &str = "docs/read-only.md";

/// The folder of one run of the tests; it ends with this.
#[derive(Debug)]
pub(crate) struct Record(PathBuf);

impl Record {
    /// Makes it where processes of any user reach it.
    pub(crate) fn begin() -> anyhow::Result<Self> {
        let name = format!("glasshouse-record-{}", std::process::id());
        let folder = std::env::temp_dir().join(name);
        fs::create_dir(&folder)
            .with_context(|| format!("failed to make `{}`", folder.display()))?;
        let record = Self(folder);
        fs::set_permissions(&record.0, fs::Permissions::from_mode(0o1777))?;
        Ok(record)
    }

    pub(crate) fn folder(&self) -> &Path {
        &self.0
    }

    /// Prints what was sent and what never was; fails where something was that the document does not list.
    pub(crate) fn compare(&self, root: &Path) -> anyhow::Result<()> {
        let path = root.join(DOCUMENT);
        let document = fs::read_to_string(&path)
            .with_context(|| format!("failed to read `{DOCUMENT}`; `cargo xtask gen` writes it"))?;
        let mut sent = BTreeSet::new();
        for entry in fs::read_dir(&self.0)? {
            let text = fs::read(entry?.path())?;
            let text = String::from_utf8_lossy(&text);
            let lines = text.lines().filter(|line| !is_of_a_test(line));
            sent.extend(lines.map(str::to_owned));
        }
        let outcome = Comparison::of(&document, &sent);
        outcome.print();
        if !outcome.unlisted.is_empty() {
            bail!("the tests sent what `{DOCUMENT}` does not list");
        }
        Ok(())
    }
}

impl Drop for Record {
    fn drop(&mut self) {
        fs::remove_dir_all(&self.0).ok();
    }
}

/// Files that only tests have: what they name in configs (passwords, certificates), their folders, and the recorded answers of
/// devices in captured trees.
fn is_of_a_test(line: &str) -> bool {
    line.strip_prefix("file ").is_some_and(|path| {
        ["tmp/", "answers/"]
            .iter()
            .any(|start| path.starts_with(start))
            || !path.contains('/') && (path.ends_with("password") || path.ends_with(".pem"))
    })
}

/// One thing that the document lists.
#[derive(Debug, PartialEq, Eq, PartialOrd, Ord)]
struct Listed {
    kind: &'static str,
    /// Words of which each but the last is exact; the last may hold `*`, `**` or `{}`.
    words: Vec<String>,
}

impl Listed {
    fn new(kind: &'static str, words: &[&str]) -> Self {
        let bare = |word: &&str| word.trim_matches('`').to_owned();
        let words = words.iter().map(bare).collect();
        Self { kind, words }
    }

    /// Whether a line of a record is this.
    fn covers(&self, line: &str) -> bool {
        let Some((kind, what)) = line.split_once(' ') else {
            return false;
        };
        if kind != self.kind {
            return false;
        }
        match (kind, &*self.words) {
            // the command stands in parentheses behind its name
            ("ioctl", [ioctl, commands]) => what.split_once(' ').is_some_and(|(sent, command)| {
                sent == ioctl && commands.contains(&format!("({command})"))
            }),
            ("redfish", [method, pattern]) => what
                .split_once(' ')
                .is_some_and(|(sent, path)| sent == method && is_like(path, pattern)),
            ("file", [pattern]) => is_like(&format!("/{what}"), pattern),
            (_, words) => what == words.join(" "),
        }
    }

    fn shown(&self) -> String {
        format!("{} {}", self.kind, self.words.join(" "))
    }
}

/// Whether a path is of a pattern: `**` is anything below, `*` any part of a word, `{}` a word.
fn is_like(path: &str, pattern: &str) -> bool {
    let path = path.trim_end_matches('/');
    if let Some(start) = pattern.strip_suffix("/**") {
        let rest = path.strip_prefix(start);
        return rest.is_some_and(|rest| rest.is_empty() || rest.starts_with('/'));
    }
    let (words, wanted) = (path.split('/'), pattern.split('/'));
    words.clone().count() == wanted.clone().count()
        && words
            .zip(wanted)
            .all(|(word, wanted)| match wanted.split_once('*') {
                Some((start, end)) => {
                    word.len() > start.len() + end.len()
                        && word.starts_with(start)
                        && word.ends_with(end)
                }
                None if wanted == "{}" => !word.is_empty(),
                None => word == wanted,
            })
}

/// The tables of the document, by the heading above each.
fn listed(document: &str) -> BTreeSet<Listed> {
    let mut all = BTreeSet::new();
    let mut section = "";
    for line in document.lines() {
        if let Some(heading) = line.strip_prefix("## ") {
            section = heading;
        }
        let cells: Vec<&str> = line.split('|').map(str::trim).collect();
        let one = match (section, &*cells) {
            (_, [_, rule, ..]) if rule.starts_with("---") => continue,
            (ipmi, ["", function, command, ..]) if ipmi.starts_with("IPMI") => {
                Listed::new("ipmi", &[function, command])
            }
            (redfish, ["", method, path, ..]) if redfish.starts_with("Redfish") => {
                Listed::new("redfish", &[method, path])
            }
            (nvml, [item]) if nvml.starts_with("NVML") && item.starts_with("* `") => {
                Listed::new("nvml", &[item.trim_start_matches("* ")])
            }
            (ioctl, ["", ioctl_name, command, ..]) if ioctl.starts_with("Device requests") => {
                Listed::new("ioctl", &[ioctl_name, command])
            }
            (register, ["", _, number, ..]) if register.starts_with("Registers") => {
                Listed::new("register", &[number])
            }
            (files, ["", file, ..]) if files.starts_with("Files") => Listed::new("file", &[file]),
            _ => continue,
        };
        // the head of a table
        let heads = ["network function", "method", "ioctl", "number", "file"];
        if !one
            .words
            .first()
            .is_some_and(|word| heads.contains(&&**word))
        {
            all.insert(one);
        }
    }
    all
}

#[derive(Debug)]
struct Comparison {
    /// By kind: how many of the list were sent, and how many it has.
    counts: BTreeMap<&'static str, (usize, usize)>,
    unlisted: Vec<String>,
    never: Vec<String>,
}

impl Comparison {
    fn of(document: &str, sent: &BTreeSet<String>) -> Self {
        let listed = listed(document);
        let mut counts: BTreeMap<&'static str, (usize, usize)> = BTreeMap::new();
        let mut never = Vec::new();
        for one in &listed {
            let (seen, all) = counts.entry(one.kind).or_default();
            *all += 1;
            if sent.iter().any(|line| one.covers(line)) {
                *seen += 1;
            } else {
                never.push(one.shown());
            }
        }
        let is_unlisted = |line: &&String| !listed.iter().any(|one| one.covers(line));
        Self {
            counts,
            unlisted: sent.iter().filter(is_unlisted).cloned().collect(),
            never,
        }
    }

    fn print(&self) {
        for (kind, (seen, all)) in &self.counts {
            println!("sent by the tests, of what {DOCUMENT} lists: {kind} {seen} of {all}");
        }
        for one in &self.never {
            println!("listed and never sent: {one}");
        }
        for one in &self.unlisted {
            println!("sent and NOT LISTED: {one}");
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const SMALL: &str = "\
## Files, opened for reading

| file | for |
| --- | --- |
| `/proc/**` | x |
| `/dev/cpu/*/msr` | x |

## IPMI, to BMCs

| network function | command | name |
| --- | --- | --- |
| 06h | 01h | Get Device ID |
| 0Ah | 23h | Get SDR |

## Redfish, to BMCs

| method | path | for |
| --- | --- | --- |
| GET | `/redfish/v1` | x |
| GET | `/redfish/v1/Chassis/**` | x |
| DELETE | `/redfish/v1/SessionService/Sessions/{}` | x |

## NVML, to GPUs

* `nvmlInit_v2`

## Device requests (ioctl)

| ioctl | command | to | right |
| --- | --- | --- | --- |
| `SIOCETHTOOL` | ETHTOOL_GSSET_INFO (37h), ETHTOOL_GSTRINGS (1Bh) | x | none |

## Registers of processors

| register | number | right |
| --- | --- | --- |
| `IA32_APERF` | E8h | x |
";

    #[test]
    fn what_is_listed_is_known_and_nothing_else() {
        let good = [
            "file proc/stat",
            "file dev/cpu/12/msr",
            "ipmi 06h 01h",
            "redfish GET /redfish/v1/",
            "redfish GET /redfish/v1/Chassis/1/Sensors",
            "redfish DELETE /redfish/v1/SessionService/Sessions/7",
            "nvml nvmlInit_v2",
            "ioctl SIOCETHTOOL 1Bh",
            "register E8h",
        ];
        let bad = [
            "file etc/shadow",
            "file procs",
            "file dev/cpu/msr",
            "ipmi 00h 02h",
            "ipmi 06h",
            "redfish POST /redfish/v1",
            "redfish GET /redfish/v1/Chassisx",
            "redfish DELETE /redfish/v1/SessionService/Sessions/7/x",
            "redfish DELETE /redfish/v1/SessionService/Sessions/",
            "nvml nvmlDeviceReset",
            "ioctl SIOCETHTOOL 1Ch",
            "ioctl SG_IO 1Bh",
            "register 1A0h",
            "kettle on",
        ];
        let sent = good.iter().chain(&bad).map(|line| (*line).to_owned());
        let outcome = Comparison::of(SMALL, &sent.collect());
        let bad: BTreeSet<&str> = bad.into();
        let unlisted: BTreeSet<&str> = outcome.unlisted.iter().map(String::as_str).collect();
        assert_eq!(unlisted, bad);
        assert_eq!(outcome.never, ["ipmi 0Ah 23h"]);
        assert_eq!(outcome.counts["ipmi"], (1, 2));
        assert_eq!(outcome.counts["redfish"], (3, 3));
    }
}
