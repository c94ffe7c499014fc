//! The data of the configs, held to itself. Bad files and what is said of them stand in `tests/config`.

use std::path::Path;
use std::sync::Arc;

use glasshouse_core::worker::Worker;

use super::problem::Source;
use super::reference::reference;
use super::schema::{Default, Section};
use super::table::Document;
use super::{layers, main_file, probe_file};
use crate::registry;

fn all_sections() -> Vec<Section> {
    let mut sections = main_file::sections();
    sections.extend(probe_file::sections(&registry::collectors()));
    sections
}

fn parse(text: &str) -> std::collections::BTreeMap<String, layers::Entry> {
    let source = Source {
        path: Path::new("test.toml").to_owned(),
        text: text.to_owned(),
    };
    layers::parse(&Arc::new(source)).unwrap()
}

#[test]
fn every_default_and_example_is_of_its_kind() {
    for section in all_sections() {
        for key in section.keys.named() {
            let text = match &key.default {
                Default::Written(text) => text.as_ref(),
                Default::Nothing(text) | Default::Required(text) => *text,
            };
            let entries = parse(&format!("{} = {text}", key.name));
            let tree = &entries.get(key.name).unwrap().tree;
            assert!(key.kind.read(tree).is_some(), "{} = {text}", key.name);
            assert!(key.help.ends_with('.'), "{}: {}", key.name, key.help);
        }
    }
}

#[test]
fn the_reference_config_is_a_good_config_once_its_keys_are_uncommented() {
    let collectors = registry::collectors();
    for (title, sections) in [
        ("main", main_file::sections()),
        ("probe", probe_file::sections(&collectors)),
    ] {
        let text = reference(title, &sections);
        let keys: String = text
            .lines()
            .filter_map(|line| line.strip_prefix('#'))
            .filter(|line| !line.starts_with(' ') && !line.is_empty())
            .map(|line| format!("{line}\n"))
            .collect();
        Document::check(parse(&keys), &sections).unwrap();
        // as it stands it says nothing
        assert!(parse(&text).is_empty(), "{title}");
    }
}

#[test]
fn a_later_drop_in_wins_key_by_key() {
    let folder = tempfile::tempdir().unwrap();
    let main = folder.path().join("glasshouse.toml");
    let drop_ins = folder.path().join("glasshouse.d");
    std::fs::create_dir(&drop_ins).unwrap();
    std::fs::write(
        &main,
        "[store]\nkeep_samples = \"1d\"\nmost_bytes = \"1GiB\"\n",
    )
    .unwrap();
    std::fs::write(drop_ins.join("20.toml"), "[store]\nkeep_samples = \"3d\"\n").unwrap();
    std::fs::write(drop_ins.join("10.toml"), "[store]\nkeep_samples = \"2d\"\n").unwrap();
    std::fs::write(drop_ins.join("30.txt"), "not read").unwrap();
    let config = main_file::load(&main).unwrap();
    assert_eq!(config.store.keep_samples.as_secs(), 3 * 86_400);
    assert_eq!(config.store.most_bytes, 1 << 30);
}

#[test]
fn a_problem_in_a_drop_in_names_the_drop_in() {
    let folder = tempfile::tempdir().unwrap();
    let main = folder.path().join("glasshouse.toml");
    let drop_ins = folder.path().join("glasshouse.d");
    std::fs::create_dir(&drop_ins).unwrap();
    std::fs::write(&main, "").unwrap();
    std::fs::write(
        drop_ins.join("10.toml"),
        "\n[store]\nkeep_sample = \"2d\"\n",
    )
    .unwrap();
    let error = main_file::load(&main).unwrap_err().to_string();
    assert!(error.contains("glasshouse.d/10.toml:3:1"), "{error}");
    assert!(error.contains("did you mean `keep_samples`?"), "{error}");
}

#[test]
fn the_defaults_hold_without_a_file() {
    let config = main_file::defaults().unwrap();
    assert_eq!(config.state_dir, Path::new("/var/lib/glasshouse"));
    assert_eq!(config.serve.resource, "http://127.0.0.1:8765/mcp");
    assert!(config.authd.is_none());
    let probe = probe_file::defaults(&registry::collectors()).unwrap();
    assert_eq!(probe.root, Path::new("/"));
    for collector in &probe.collectors {
        let is_costly = collector.spec.worker() == Some(Worker::Privileged);
        assert_eq!(collector.enabled, !is_costly, "{}", collector.spec.name());
    }
}
