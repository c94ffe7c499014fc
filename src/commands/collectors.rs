//! `glasshouse collectors list`: what can be read, from where, and why it is absent here.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use glasshouse_core::collector::CollectorSpec;
use glasshouse_core::metric::MetricDefinition;
use glasshouse_core::reader::CollectorState;
use glasshouse_core::sample::Quality;
use glasshouse_core::worker::{Station, Worker};
use glasshouse_probe::{CollectedOnce, collect_once};
use serde_json::{Value, json};

use super::collect::root;
use super::generate::signals::not_available;
use crate::cli::Global;
use crate::config::probe_file::{ProbeConfig, show_interval};
use crate::exit::{Exit, Failure};
use crate::output::{print, print_json, table};
use crate::places::{ConfigFiles, config_failure};
use crate::wiring;

/// Lists every collector with its metrics.
pub(crate) fn list(global: &Global, json: bool, asked: Option<&PathBuf>) -> Result<Exit, Failure> {
    let config = ConfigFiles::find(global.config.as_deref())
        .load_probe()
        .map_err(config_failure)?;
    let root = root(asked, &config)?;
    let workers = Workers::look(&config);
    let planned = wiring::planned(config);
    // each is given a deadline: a device that hangs costs its own answer
    let collected = collect_once(&root, &planned);
    let listed = planned.iter().zip(&collected).map(|(planned, one)| Listed {
        spec: planned.spec,
        interval: show_interval(planned.interval),
        worker: workers.says(planned.spec),
        one,
    });
    if json {
        let all: Vec<Value> = listed.map(|listed| listed.as_json()).collect();
        let missing: Vec<Value> = not_available()
            .map(|(fault, signal, why)| {
                json!({ "fault": fault.name, "signal": signal.says, "why": why })
            })
            .collect();
        print_json(&json!({ "collectors": all, "not_available": missing }))?;
    } else {
        let mut text: String = listed.map(|listed| listed.text()).collect();
        text.push_str("not available on any machine\n");
        for (fault, signal, why) in not_available() {
            text.push_str(&format!("    {}, {}: {why}\n", fault.name, signal.says));
        }
        print(&text)?;
    }
    Ok(Exit::Done)
}

/// Whether it is there, in words.
pub(crate) fn presence(one: &CollectedOnce) -> String {
    let detail = one.status.detail.clean();
    match one.status.state {
        CollectorState::Good => format!("present, {} series", one.status.series),
        CollectorState::Disabled => "disabled".to_owned(),
        state => format!("{}: {detail}", state.word()),
    }
}

/// The workers that the probe does not start itself and cannot hear, and where it would.
struct Workers(Vec<(Worker, PathBuf)>);

impl Workers {
    fn look(config: &ProbeConfig) -> Self {
        let apart = config.workers.iter();
        let silent = apart.filter(|(_, frames)| !frames.exists());
        Self(silent.cloned().collect())
    }

    /// Where a collector runs, and what is missing for that; empty for the probe itself.
    fn says(&self, spec: &dyn CollectorSpec) -> String {
        let Some(worker) = spec.worker() else {
            return String::new();
        };
        let name = worker.word();
        let frames = self.0.iter().find(|(silent, _)| *silent == worker);
        match (worker.station(), frames) {
            (Station::Apart, Some((_, frames))) => not_attached(name, frames),
            _ => format!("worker `{name}`"),
        }
    }
}

fn not_attached(name: &str, frames: &Path) -> String {
    format!(
        "worker `{name}`, which is not attached: there is no `{}` (start `glasshouse probe {name}`, or its service)",
        frames.display()
    )
}

/// One collector, and what it said.
struct Listed<'a> {
    spec: &'static dyn CollectorSpec,
    interval: String,
    /// Where it runs; empty for the probe itself.
    worker: String,
    one: &'a CollectedOnce,
}

impl Listed<'_> {
    fn text(&self) -> String {
        let Self {
            spec,
            interval,
            worker,
            one,
        } = self;
        let mut text = format!(
            "{}  {}  every {interval}\n  {}\n",
            spec.name(),
            presence(one),
            spec.summary()
        );
        for (word, says) in [("needs", spec.needs()), ("runs in", worker)] {
            if !says.is_empty() {
                text.push_str(&format!("  {word} {says}\n"));
            }
        }
        let rows: Vec<Vec<String>> = spec
            .metrics()
            .iter()
            .map(|metric| self.row(metric))
            .collect();
        text.extend(table(&rows).lines().map(|line| format!("    {line}\n")));
        text.push('\n');
        text
    }

    fn row(&self, metric: &MetricDefinition) -> Vec<String> {
        vec![
            metric.name.to_owned(),
            metric.unit.to_owned(),
            metric.kind.word().to_owned(),
            self.here(metric).says(),
            metric.source.to_owned(),
        ]
    }

    fn as_json(&self) -> Value {
        let Self {
            spec,
            interval,
            worker,
            one,
        } = self;
        let metrics = spec.metrics().iter().map(|metric| {
            let here = self.here(metric);
            json!({
                "name": metric.name,
                "unit": metric.unit,
                "kind": metric.kind.word(),
                "help": metric.help,
                "is_not": metric.is_not,
                "source": metric.source,
                "audience": metric.audience.word(),
                "labels": metric.labels.iter().map(|label| label.key).collect::<Vec<_>>(),
                "series": here.series,
                "absent": here.absent,
            })
        });
        let facts = spec.facts().iter().map(|fact| {
            let told = one.facts.iter().filter(|told| told.key == fact.key);
            json!({ "key": fact.key, "source": fact.source, "told": told.count() })
        });
        json!({
            "name": spec.name(),
            "summary": spec.summary(),
            "interval": interval,
            "needs": spec.needs(),
            "runs_in": if worker.is_empty() { "the probe" } else { worker.as_str() },
            "state": one.status.state.word(),
            "detail": one.status.detail.clean(),
            "series": one.status.series,
            "metrics": metrics.collect::<Vec<_>>(),
            "facts": facts.collect::<Vec<_>>(),
        })
    }

    /// How a metric is here.
    fn here(&self, metric: &MetricDefinition) -> Here {
        let mut series = 0;
        let mut reasons: BTreeMap<&str, usize> = BTreeMap::new();
        let samples = self.one.samples.iter();
        for sample in samples.filter(|sample| sample.series.metric == metric.name) {
            match sample.quality {
                Quality::Absent(reason) => *reasons.entry(reason.word()).or_default() += 1,
                _ => series += 1,
            }
        }
        let reasons = reasons
            .iter()
            .map(|(reason, count)| format!("{reason} ({count} series)"));
        let mut absent: Vec<String> = reasons.collect();
        if series == 0 && absent.is_empty() {
            absent.push(self.why_nothing());
        }
        Here {
            series,
            absent: absent.join(", "),
        }
    }

    /// Why a metric has not even a series that is absent.
    fn why_nothing(&self) -> String {
        let detail = self.one.status.detail.clean();
        match self.one.status.state {
            CollectorState::Good => "nothing of this kind was found".to_owned(),
            CollectorState::Disabled => "switched off in the config".to_owned(),
            CollectorState::Partial(_) => format!("nothing of this kind was found; {detail}"),
            CollectorState::Absent | CollectorState::Failed(_) => detail,
        }
    }
}

/// How a metric is on this machine.
struct Here {
    /// Series with a value.
    series: usize,
    /// Why there are none, or fewer; empty where nothing is missing.
    absent: String,
}

impl Here {
    fn says(&self) -> String {
        match (self.series, &*self.absent) {
            (0, absent) => format!("absent: {absent}"),
            (series, "") => format!("{series} series"),
            (series, absent) => format!("{series} series, absent: {absent}"),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config::probe_file;
    use crate::registry;

    fn listed(root: &Path, name: &str) -> Value {
        let config = probe_file::defaults(&registry::collectors()).unwrap();
        let planned: Vec<_> = wiring::planned(config)
            .into_iter()
            .filter(|planned| planned.spec.name() == name)
            .collect();
        let collected = collect_once(root, &planned);
        Listed {
            spec: planned[0].spec,
            interval: String::new(),
            worker: String::new(),
            one: &collected[0],
        }
        .as_json()
    }

    /// The examples of the README, as those would read them whose files they are.
    #[test]
    fn the_config_of_the_readme_is_one() {
        let readme = Path::new(env!("CARGO_MANIFEST_DIR")).join("README.md");
        let readme = std::fs::read_to_string(readme).unwrap();
        let blocks: Vec<&str> = readme
            .split("```toml\n")
            .skip(1)
            .map(|rest| rest.split("```").next().unwrap())
            .collect();
        assert!(!blocks.is_empty());
        let folder = tempfile::tempdir().unwrap();
        for block in blocks {
            if block.starts_with("# glasshouse.toml\n") {
                let file = folder.path().join("glasshouse.toml");
                std::fs::write(&file, block).unwrap();
                crate::config::main_file::load(&file).unwrap();
                continue;
            }
            let file = folder.path().join("probe.toml");
            std::fs::write(&file, block).unwrap();
            let config = probe_file::load(&file, &registry::collectors()).unwrap();
            let of = |name: &str| {
                let mut collectors = config.collectors.iter();
                collectors.find(|one| one.spec.name() == name).unwrap()
            };
            assert_eq!(of("redfish").options.tables("bmcs").len(), 1);
            assert_eq!(of("ipmi_lan").options.tables("bmcs").len(), 1);
        }
    }

    #[test]
    fn each_metric_says_why_it_is_absent() {
        let fixture = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/fixtures/host");
        let here = listed(&fixture, "hwmon");
        let of = |name: &str| {
            let metrics = here["metrics"].as_array().unwrap();
            metrics
                .iter()
                .find(|metric| metric["name"] == name)
                .unwrap()
        };
        assert_eq!(of("hw.host.power")["series"], 1);
        assert_eq!(of("hw.host.power")["absent"], "");
        assert_eq!(of("hw.temperature")["absent"], "unsupported (1 series)");
        assert_eq!(
            of("hw.humidity.ratio")["absent"],
            "nothing of this kind was found"
        );

        let empty = tempfile::tempdir().unwrap();
        let nowhere = listed(empty.path(), "hwmon");
        for metric in nowhere["metrics"].as_array().unwrap() {
            assert_eq!(metric["absent"], "no sensor in `/sys/class/hwmon`");
        }
    }
}
