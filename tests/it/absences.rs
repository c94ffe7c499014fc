//! What the shipped sources never say: the absences of docs/ARCHITECTURE.md that no type and no lint holds.

use std::path::{Path, PathBuf};

/// A word, and the folders or files that may say it.
struct Absence {
    word: &'static str,
    but_for: &'static [&'static str],
    why: &'static str,
}

const ABSENCES: &[Absence] = &[
    Absence {
        word: "Command::new",
        // the probe starts its own program again, as a worker; a command starts the one for tables
        but_for: &["src/commands/analyze.rs", "src/up/", "src/probe/process.rs"],
        why: "nothing but the supervisor, the keeper of workers and the door to glasshouse-analyze starts programs",
    },
    Absence {
        word: "fs::",
        but_for: &[
            "collectors/sysfs/",
            "policies/",
            "src/audit/",
            "src/authd/",
            "src/commands/",
            "src/config/",
            "src/node/",
            // what its own process uses, from the kernel's line of it
            "src/pages/own.rs",
            "src/privileges.rs",
            "src/roles.rs",
            "src/serve/",
            "src/store/disk",
            "src/up/",
            // the link to the node is a file by its name
            "src/probe/link.rs",
            // what the probe's own processes use is said of them, not of the machine
            "src/probe/used.rs",
        ],
        why: "files are read through the one door of their room, below a root that tests can choose",
    },
    Absence {
        word: "SystemTime::now",
        but_for: &[],
        why: "time comes from a clock that is passed in",
    },
    Absence {
        word: "TcpListener::bind",
        but_for: &["src/roles.rs", "src/serve/", "src/mcp/bridge/"],
        why: "probe, node and collectors listen nowhere",
    },
    Absence {
        word: "unsafe ",
        but_for: &["collectors/gpu/ffi.rs", "collectors/sysfs/ioctl.rs"],
        why: "but for the doors to devices, nothing needs it",
    },
];

#[test]
fn the_sources_say_nothing_that_the_architecture_excludes() {
    let root = Path::new(env!("CARGO_MANIFEST_DIR"));
    let mut sources = Vec::new();
    for folder in ["src", "collectors", "policies"] {
        collect(&root.join(folder), &mut sources);
    }
    assert!(sources.len() > 100, "{} sources", sources.len());
    let mut found = Vec::new();
    let mut used = vec![false; ABSENCES.iter().map(|one| one.but_for.len()).sum()];
    for path in &sources {
        let text = std::fs::read_to_string(path).unwrap();
        let name = path.strip_prefix(root).unwrap().to_str().unwrap();
        let mut place = 0;
        for absence in ABSENCES {
            let allowed = absence
                .but_for
                .iter()
                .position(|start| name.starts_with(start));
            if let Some(line) = first_line_with(shipped(&text), absence.word) {
                match allowed {
                    Some(n) => used[place + n] = true,
                    None => found.push(format!("{name}:{line}: {}", absence.why)),
                }
            }
            place += absence.but_for.len();
        }
    }
    assert!(found.is_empty(), "{}", found.join("\n"));
    let exceptions = ABSENCES.iter().flat_map(|one| one.but_for);
    let stale: Vec<_> = exceptions.zip(used).filter(|(_, used)| !used).collect();
    assert!(stale.is_empty(), "exceptions that nobody needs: {stale:?}");
}

/// The part of a source that ships: tests stand last.
fn shipped(text: &str) -> &str {
    text.split("\n#[cfg(test)]\nmod tests {")
        .next()
        .unwrap_or(text)
}

fn first_line_with(text: &str, word: &str) -> Option<usize> {
    let is_code = |line: &str| !line.trim_start().starts_with("//");
    text.lines()
        .position(|line| is_code(line) && says(line, word))
        .map(|line| line + 1)
}

/// Whether the word stands there and does not merely end another (`sysfs::`).
fn says(line: &str, word: &str) -> bool {
    line.match_indices(word).any(|(at, _)| {
        let before = line.get(..at).and_then(|start| start.chars().next_back());
        !before.is_some_and(|letter| letter.is_alphanumeric() || letter == '_')
    })
}

/// Sources that ship: files and folders of tests say so by their names.
fn collect(folder: &Path, sources: &mut Vec<PathBuf>) {
    for entry in std::fs::read_dir(folder).unwrap() {
        let path = entry.unwrap().path();
        let name = path.file_name().unwrap().to_str().unwrap();
        let of_tests = name.contains("tests")
            || [
                "whole",
                "examples",
                "compliance",
                "fakes.rs",
                "clients.rs",
                "xtask",
            ]
            .contains(&name);
        if path.is_dir() && !of_tests {
            collect(&path, sources);
        } else if name.ends_with(".rs") && !of_tests {
            sources.push(path);
        }
    }
}
