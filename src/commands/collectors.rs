//! `glasshouse collectors list`: what can be read, from where, and why it is absent here.

use std::path::PathBuf;

use glasshouse_core::collector::CollectorSpec;
use glasshouse_core::metric::MetricDefinition;
use glasshouse_core::reader::CollectorState;
use glasshouse_probe::{CollectedOnce, collect_once};
use serde_json::{Value, json};

use super::collect::root;
use crate::cli::Global;
use crate::config::probe_file::show_interval;
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
    let planned = wiring::planned(config);
    let collected = collect_once(&root, &planned);
    let listed = planned.iter().zip(&collected);
    if json {
        let all: Vec<Value> = listed
            .map(|(planned, one)| as_json(planned.spec, &show_interval(planned.interval), one))
            .collect();
        print_json(&json!({ "collectors": all }))?;
        return Ok(Exit::Done);
    }
    let mut text = String::new();
    for (planned, one) in listed {
        let spec = planned.spec;
        text.push_str(&format!(
            "{}  {}  every {}\n  {}\n",
            spec.name(),
            presence(one),
            show_interval(planned.interval),
            spec.summary()
        ));
        if !spec.needs().is_empty() {
            text.push_str(&format!("  needs {}\n", spec.needs()));
        }
        let rows: Vec<Vec<String>> = spec.metrics().iter().map(row).collect();
        text.extend(table(&rows).lines().map(|line| format!("    {line}\n")));
        text.push('\n');
    }
    print(&text)?;
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

fn row(metric: &MetricDefinition) -> Vec<String> {
    vec![
        metric.name.to_owned(),
        metric.unit.to_owned(),
        metric.kind.word().to_owned(),
        metric.source.to_owned(),
    ]
}

fn as_json(spec: &dyn CollectorSpec, interval: &str, one: &CollectedOnce) -> Value {
    let metrics = spec.metrics().iter().map(|metric| {
        json!({
            "name": metric.name,
            "unit": metric.unit,
            "kind": metric.kind.word(),
            "help": metric.help,
            "is_not": metric.is_not,
            "source": metric.source,
            "audience": metric.audience.word(),
            "labels": metric.labels.iter().map(|label| label.key).collect::<Vec<_>>(),
        })
    });
    json!({
        "name": spec.name(),
        "summary": spec.summary(),
        "interval": interval,
        "needs": spec.needs(),
        "state": one.status.state.word(),
        "detail": one.status.detail.clean(),
        "series": one.status.series,
        "metrics": metrics.collect::<Vec<_>>(),
    })
}
