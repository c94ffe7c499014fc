//! `glasshouse collect --once`: what the machine says right now.

use std::path::PathBuf;

use glasshouse_core::reader::CollectorState;
use glasshouse_core::sample::{Quality, Value};
use glasshouse_exposition::{Reading, openmetrics};
use glasshouse_probe::{CollectedOnce, CollectedSample, Planned, collect_once};
use serde_json::{Map, Value as Json, json};

use crate::cli::{Collect, CollectFormat, Global};
use crate::config::probe_file::ProbeConfig;
use crate::exit::{Exit, Failure};
use crate::near::nearest;
use crate::output::{print, print_json};
use crate::places::{ConfigFiles, config_failure};
use crate::times::show;
use crate::wiring;

/// Reads once and prints. Ends with 3 where nothing at all could be read.
pub(crate) fn run(global: &Global, arguments: &Collect) -> Result<Exit, Failure> {
    let config = ConfigFiles::find(global.config.as_deref())
        .load_probe()
        .map_err(config_failure)?;
    let root = root(arguments.root.as_ref(), &config)?;
    let planned = chosen(wiring::planned(config), &arguments.collector)?;
    let collected = collect_once(&root, &planned);
    for one in &collected {
        complain(one);
    }
    match arguments.format {
        CollectFormat::Openmetrics => print(&openmetrics(&readings(&collected)))?,
        CollectFormat::Json => print_json(&as_json(&collected))?,
    }
    if nothing_was_read(&collected) {
        let error = anyhow::anyhow!("nothing could be read below `{}`", root.display());
        return Err(Failure::environment(error)
            .help("`glasshouse collectors list` says what each collector looks for"));
    }
    Ok(Exit::Done)
}

/// Whether there is neither a sample nor a fact: some collectors tell facts alone.
fn nothing_was_read(collected: &[CollectedOnce]) -> bool {
    collected
        .iter()
        .all(|one| one.samples.is_empty() && one.facts.is_empty())
}

/// The folder below which the machine is read; it has to be one.
pub(crate) fn root(asked: Option<&PathBuf>, config: &ProbeConfig) -> Result<PathBuf, Failure> {
    let root = asked.cloned().unwrap_or_else(|| config.root.clone());
    match std::fs::read_dir(&root) {
        Ok(_) => Ok(root),
        Err(error) => {
            let context = format!("failed to list `{}`", root.display());
            Err(Failure::environment(
                anyhow::Error::new(error).context(context),
            ))
        }
    }
}

/// The collectors that were asked for, even those that the config switches off; all where none was.
fn chosen(planned: Vec<Planned>, names: &[String]) -> Result<Vec<Planned>, Failure> {
    if names.is_empty() {
        return Ok(planned);
    }
    let known: Vec<&'static str> = planned.iter().map(|planned| planned.spec.name()).collect();
    if let Some(unknown) = names.iter().find(|name| !known.contains(&name.as_str())) {
        let near = nearest(unknown, known.iter().copied())
            .map_or_else(String::new, |near| format!("did you mean `{near}`? "));
        let error = anyhow::anyhow!("there is no collector `{unknown}`");
        return Err(Failure::usage(error).help(format!("{near}collectors: {}", known.join(", "))));
    }
    Ok(planned
        .into_iter()
        .filter(|planned| names.iter().any(|name| name == planned.spec.name()))
        .map(|planned| Planned {
            enabled: true,
            ..planned
        })
        .collect())
}

fn complain(one: &CollectedOnce) {
    let detail = one.status.detail.clean();
    match one.status.state {
        CollectorState::Failed(_) => {
            tracing::warn!(collector = one.collector, %detail, "A collector failed.")
        }
        CollectorState::Partial(_) => {
            tracing::warn!(collector = one.collector, %detail, "A collector read only a part.")
        }
        CollectorState::Absent => {
            tracing::debug!(collector = one.collector, %detail, "The source of a collector is absent.")
        }
        CollectorState::Good | CollectorState::Disabled => {}
    }
}

fn readings(collected: &[CollectedOnce]) -> Vec<Reading<'_>> {
    collected
        .iter()
        .flat_map(|one| &one.samples)
        .filter_map(|sample| {
            Some(Reading {
                series: &sample.series,
                value: sample.value?,
            })
        })
        .collect()
}

fn as_json(collected: &[CollectedOnce]) -> Json {
    let samples = collected.iter().flat_map(|one| {
        one.samples
            .iter()
            .map(|sample| sample_json(one.collector, sample))
    });
    let facts = collected.iter().flat_map(|one| &one.facts).map(|fact| {
        json!({
            "component": fact.component.clean(),
            "key": fact.key,
            "value": fact.value.clean(),
        })
    });
    json!({
        "collectors": collected.iter().map(status_json).collect::<Vec<_>>(),
        "samples": samples.collect::<Vec<_>>(),
        "facts": facts.collect::<Vec<_>>(),
    })
}

fn status_json(one: &CollectedOnce) -> Json {
    json!({
        "name": one.collector,
        "at": show(one.at.wall),
        "state": one.status.state.word(),
        "detail": one.status.detail.clean(),
        "duration_ms": one.status.duration.as_secs_f64() * 1000.0,
        "series": one.status.series,
    })
}

fn sample_json(collector: &str, sample: &CollectedSample) -> Json {
    let labels: Map<String, Json> = sample
        .series
        .labels
        .iter()
        .map(|(key, value)| (key.to_owned(), value.clean().into()))
        .collect();
    let mut shown = json!({
        "collector": collector,
        "metric": sample.series.metric,
        "unit": sample.series.unit,
        "kind": sample.series.kind.word(),
        "labels": labels,
        "quality": sample.quality.word(),
    });
    if let Some(fields) = shown.as_object_mut() {
        if let Some(value) = sample.value {
            fields.insert("value".to_owned(), value_json(value, &sample.series.states));
        }
        if let Quality::Absent(reason) = sample.quality {
            fields.insert("reason".to_owned(), reason.word().into());
        }
    }
    shown
}

fn value_json(value: Value, states: &[String]) -> Json {
    match value {
        Value::U64(whole) => whole.into(),
        Value::F64(number) => number.into(),
        Value::State(index) => states
            .get(usize::from(index))
            .map_or_else(|| index.into(), |state| state.as_str().into()),
    }
}

#[cfg(test)]
mod tests {
    use std::path::Path;

    use super::*;
    use crate::config::probe_file;
    use crate::registry;

    /// What `--collector inventory` collects below a root.
    fn inventory(root: &Path) -> Vec<CollectedOnce> {
        let config = probe_file::defaults(&registry::collectors()).unwrap();
        let planned = wiring::planned(config);
        let planned = chosen(planned, &["inventory".to_owned()]).unwrap();
        collect_once(root, &planned)
    }

    #[test]
    fn facts_alone_are_something() {
        let fixture = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/fixtures/host");
        let collected = inventory(&fixture);
        assert!(collected.iter().all(|one| one.samples.is_empty()));
        assert!(!nothing_was_read(&collected));
        let empty = tempfile::tempdir().unwrap();
        assert!(nothing_was_read(&inventory(empty.path())));
    }
}
