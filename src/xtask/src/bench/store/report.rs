//! The table, and whether what was aimed at was reached.

use std::time::Duration;

use serde_json::{Value, json};

use super::questions::Kind;
use super::subject::{Measured, Subject};

/// Something that was aimed at.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct Goal {
    pub(crate) what: String,
    /// What was measured; `None` where the peer was not there.
    pub(crate) measured: Option<f64>,
    pub(crate) at_most: f64,
}

impl Goal {
    fn verdict(&self) -> &'static str {
        match self.measured {
            None => "not measured",
            Some(measured) if measured <= self.at_most => "reached",
            Some(_) => "missed",
        }
    }
}

/// All goals, of our store beside what peers there are.
pub(crate) fn goals(ours: &Subject, peers: &[Subject]) -> Vec<Goal> {
    let victoria = peers.iter().find(|peer| peer.title == "VictoriaMetrics");
    let sealed = |subject: &Subject| {
        let recording = &subject.recording;
        recording.bytes_per_sample(recording.sizes.sealed)
    };
    let mut goals = vec![
        Goal {
            what: "bytes a sample, sealed and merged, with index".to_owned(),
            measured: Some(sealed(ours)),
            at_most: 0.4,
        },
        Goal {
            what: "bytes a sample : VictoriaMetrics after its merge".to_owned(),
            measured: victoria.map(|peer| sealed(ours) / sealed(peer)),
            at_most: 0.7,
        },
        Goal {
            what:
                "CPU of ingest, ours with seal and merge : VictoriaMetrics without its forced merge"
                    .to_owned(),
            measured: victoria.map(|peer| {
                let ours = &ours.recording;
                let all = ours.ingest.cpu_seconds + ours.seal.cpu_seconds;
                all / peer.recording.ingest.cpu_seconds.max(f64::MIN_POSITIVE)
            }),
            at_most: 0.5,
        },
    ];
    for kind in Kind::OF_RECORDING.iter().chain(Kind::OF_DAYS) {
        let of = |subject: &Subject| subject.timing(*kind).map(|timing| timing.median());
        let fastest = peers.iter().filter_map(of).min();
        let measured = of(ours).zip(fastest);
        goals.push(Goal {
            what: format!("{}, over HTTP : the faster peer", kind.title()),
            measured: measured.map(|(ours, fastest)| ours.as_secs_f64() / fastest.as_secs_f64()),
            at_most: 0.5,
        });
    }
    goals
}

/// Everything, for programs.
pub(crate) fn as_json(facts: &[(&str, String)], all: &[Subject], goals: &[Goal]) -> Value {
    let facts = facts.iter().map(|(key, value)| (*key, value.as_str()));
    let goals = goals.iter().map(|goal| {
        json!({
            "goal": goal.what,
            "measured": goal.measured,
            "at_most": goal.at_most,
            "verdict": goal.verdict(),
        })
    });
    let disagreements = all
        .split_first()
        .map(|(ours, peers)| disagreements(ours, peers));
    json!({
        "disagreements": disagreements,
        "facts": facts.collect::<std::collections::BTreeMap<_, _>>(),
        "stores": all.iter().map(Subject::json).collect::<Vec<_>>(),
        "goals": goals.collect::<Vec<_>>(),
    })
}

/// Everything, for people.
pub(crate) fn as_text(facts: &[(&str, String)], all: &[Subject], goals: &[Goal]) -> String {
    let mut text = String::new();
    for (key, value) in facts {
        text.push_str(&format!("{key}: {value}\n"));
    }
    text.push('\n');
    text.push_str(&aligned(&rows(all)));
    if let Some((ours, peers)) = all.split_first() {
        for line in disagreements(ours, peers) {
            text.push_str(&format!("{line}\n"));
        }
    }
    text.push_str("\nGoals (what is missed is no error):\n");
    for goal in goals {
        let measured = goal
            .measured
            .map_or("-".to_owned(), |measured| format!("{measured:.2}"));
        text.push_str(&format!(
            "  {measured:>6} of at most {:.2}  {}: {}\n",
            goal.at_most,
            goal.what,
            goal.verdict()
        ));
    }
    text
}

/// What stands in a row: its title and how to say it of one store.
type Row = (String, Box<dyn Fn(&Subject) -> String>);

fn rows(all: &[Subject]) -> Vec<Vec<String>> {
    let mut head = vec![String::new()];
    head.extend(
        all.iter()
            .map(|one| format!("{} {}", one.title, one.version)),
    );
    let mut table = vec![head];
    let mut wanted: Vec<Row> = Vec::new();
    wanted.extend(of_data("recording", |subject| &subject.recording));
    wanted.extend(of_questions(Kind::OF_RECORDING));
    wanted.extend(of_data("days", |subject| &subject.days));
    wanted.extend(of_questions(Kind::OF_DAYS));
    for (title, say) in wanted {
        let mut row = vec![title];
        row.extend(all.iter().map(say));
        table.push(row);
    }
    table
}

fn of_data(what: &str, of: fn(&Subject) -> &Measured) -> Vec<Row> {
    let row = |title: &str, say: fn(&Measured) -> String| -> Row {
        let say = move |subject: &Subject| say(of(subject));
        (format!("{what}: {title}"), Box::new(say))
    };
    vec![
        row("samples", |m| m.samples.to_string()),
        row("bytes a sample, sealed and merged", |m| {
            format!("{:.3}", m.bytes_per_sample(m.sizes.sealed))
        }),
        row("… with rollups", |m| {
            let all = m.bytes_per_sample(m.sizes.sealed) + m.bytes_per_sample(m.sizes.derived);
            format!("{all:.3}")
        }),
        row("… the whole folder, with logs", |m| {
            format!("{:.3}", m.bytes_per_sample(m.sizes.whole))
        }),
        row("CPU s to ingest", |m| {
            format!("{:.2}", m.ingest.cpu_seconds)
        }),
        row("CPU s to seal and merge the rest", |m| {
            format!("{:.2}", m.seal.cpu_seconds)
        }),
        row("peak MiB writing, resident", |m| {
            mib(m.ingest.peak_kib.max(m.seal.peak_kib))
        }),
        row("peak MiB writing, PSS seen", |m| {
            mib(m.ingest.peak_share_kib.max(m.seal.peak_share_kib))
        }),
        row("peak MiB answering, resident", |m| mib(m.answering_kib)),
    ]
}

/// Who answers otherwise than our store.
pub(crate) fn disagreements(ours: &Subject, peers: &[Subject]) -> Vec<String> {
    let mut said = Vec::new();
    for kind in Kind::OF_RECORDING.iter().chain(Kind::OF_DAYS) {
        for peer in peers {
            let timings = ours.timing(*kind).zip(peer.timing(*kind));
            if timings.is_some_and(|(ours, theirs)| !ours.agrees(theirs)) {
                said.push(format!(
                    "{}: {} answers otherwise",
                    kind.title(),
                    peer.title
                ));
            }
        }
    }
    said
}

fn of_questions(kinds: &[Kind]) -> Vec<Row> {
    let row = |title: String, say: Box<dyn Fn(&Subject) -> String>| -> Row { (title, say) };
    let mut rows = Vec::new();
    for kind in kinds.iter().copied() {
        rows.push(row(
            format!("{}: median (p95), ms", kind.title()),
            Box::new(move |subject| {
                subject.timing(kind).map_or("-".to_owned(), |timing| {
                    format!("{} ({})", millis(timing.median()), millis(timing.p95()))
                })
            }),
        ));
        rows.push(row(
            "… the first of a fresh process, ms".to_owned(),
            Box::new(move |subject| {
                let timing = subject.timing(kind);
                timing.map_or("-".to_owned(), |timing| millis(timing.first.whole))
            }),
        ));
        rows.push(row(
            "… without JSON and HTTP, median, ms".to_owned(),
            Box::new(move |subject| {
                let inside = subject
                    .timing(kind)
                    .and_then(|timing| timing.median_inside());
                inside.map_or("-".to_owned(), millis)
            }),
        ));
    }
    rows
}

fn millis(time: Duration) -> String {
    format!("{:.2}", time.as_secs_f64() * 1e3)
}

#[expect(clippy::cast_precision_loss, reason = "a number for people")]
fn mib(kib: u64) -> String {
    format!("{:.1}", kib as f64 / 1024.0)
}

fn aligned(rows: &[Vec<String>]) -> String {
    let columns = rows.iter().map(Vec::len).max().unwrap_or(0);
    let width = |column: usize| {
        let cells = rows.iter().filter_map(|row| row.get(column));
        cells.map(|cell| cell.chars().count()).max().unwrap_or(0)
    };
    let widths: Vec<usize> = (0..columns).map(width).collect();
    let mut text = String::new();
    for row in rows {
        for (column, (cell, width)) in row.iter().zip(&widths).enumerate() {
            let gap = " ".repeat(width.saturating_sub(cell.chars().count()));
            if column == 0 {
                text.push_str(&format!("{cell}{gap}"));
            } else {
                text.push_str(&format!("  {gap}{cell}"));
            }
        }
        text.push('\n');
    }
    text
}

#[cfg(test)]
mod tests {
    use super::super::questions::{Asked, Timing};
    use super::super::subject::Sizes;
    use super::super::watch::{Cost, Size};
    use super::*;

    fn subject(title: &str, bytes: u64, cpu_seconds: f64, millis: u64) -> Subject {
        let asked = Asked {
            whole: Duration::from_millis(millis),
            ..Asked::default()
        };
        let timing = Timing {
            first: asked,
            rest: vec![asked; 3],
        };
        let measured = |kinds: &[Kind]| Measured {
            samples: 1000,
            ingest: Cost {
                cpu_seconds,
                ..Cost::default()
            },
            sizes: Sizes {
                sealed: Size {
                    bytes,
                    ..Size::default()
                },
                ..Sizes::default()
            },
            timings: kinds.iter().map(|kind| (*kind, timing.clone())).collect(),
            ..Measured::default()
        };
        Subject {
            title: title.to_owned(),
            version: "1".to_owned(),
            recording: measured(Kind::OF_RECORDING),
            days: measured(Kind::OF_DAYS),
        }
    }

    #[test]
    fn goals_are_judged_by_the_right_peer() {
        let ours = subject("Glasshouse", 380, 1.0, 6);
        let peers = [
            subject("Prometheus", 1300, 9.0, 10),
            subject("VictoriaMetrics", 500, 4.0, 20),
        ];
        let goals = goals(&ours, &peers);
        let verdicts: Vec<_> = goals.iter().map(Goal::verdict).collect();
        assert_eq!(verdicts.len(), 7);
        assert_eq!(verdicts[..3], ["reached", "missed", "reached"]);
        assert!(verdicts[3..].iter().all(|verdict| *verdict == "missed"));
        assert_eq!(goals[1].measured, Some(0.76));
        assert_eq!(goals[3].measured, Some(0.6));
    }

    #[test]
    fn a_peer_that_is_not_there_misses_no_goal() {
        let ours = subject("Glasshouse", 500, 1.0, 6);
        let verdicts: Vec<_> = goals(&ours, &[]).iter().map(Goal::verdict).collect();
        assert_eq!(verdicts[0], "missed");
        assert!(
            verdicts[1..]
                .iter()
                .all(|verdict| *verdict == "not measured")
        );
    }

    #[test]
    fn text_and_json_say_the_same() {
        let all = [
            subject("Glasshouse", 380, 1.0, 6),
            subject("VictoriaMetrics", 500, 4.0, 20),
        ];
        let goals = goals(&all[0], &all[1..]);
        let facts = [("machine", "two cores".to_owned())];
        let text = as_text(&facts, &all, &goals);
        assert!(text.starts_with("machine: two cores\n"), "{text}");
        let row = text.lines().find(|line| line.contains("sealed and merged"));
        assert!(
            row.unwrap().ends_with("0.380              0.500"),
            "{row:?}"
        );
        let json = as_json(&facts, &all, &goals);
        assert_eq!(json["stores"][1]["recording"]["bytes_per_sample"], 0.5);
        assert_eq!(json["goals"][1]["verdict"], "missed");
    }
}
