use std::collections::BTreeSet;

use super::*;
use crate::testing::{METRICS, UNDECLARED};

fn table(interval: Duration) -> SeriesTable {
    let owner = Owner {
        collector: "test",
        metrics: &METRICS,
        interval,
    };
    SeriesTable::new(owner, Numbers::new())
}

const SECOND: Duration = Duration::from_secs(1);

#[test]
fn a_series_keeps_its_number_in_whatever_order_it_comes() {
    let mut table = table(SECOND);
    table.begin();
    let labels = [["x", "y"], ["xy", ""], ["", "xy"], ["y", "x"]];
    let mut first = Vec::new();
    for labels in &labels {
        first.push(table.number(&METRICS[0], labels).unwrap());
        first.push(table.number(&METRICS[1], labels).unwrap());
    }
    first.push(table.number(&METRICS[0], &["x"]).unwrap());
    assert_eq!(
        first.iter().collect::<BTreeSet<_>>().len(),
        9,
        "each has its own"
    );
    table.begin();
    assert_eq!(table.number(&METRICS[0], &["x"]), Ok(first[8]));
    for (at, labels) in labels.iter().enumerate().rev() {
        assert_eq!(table.number(&METRICS[1], labels), Ok(first[2 * at + 1]));
        assert_eq!(table.number(&METRICS[0], labels), Ok(first[2 * at]));
    }
}

#[test]
fn a_definition_says_what_the_metric_and_the_labels_are() {
    let mut table = table(SECOND);
    table.begin();
    let number = table
        .number(&METRICS[2], &["one", "two", "beyond"])
        .unwrap();
    let info = table.info(number).unwrap();
    assert_eq!(info.labels, Labels::new([("a", "two"), ("b", "one")]));
    assert_eq!(
        (info.metric.as_str(), info.collector.as_str()),
        ("test.state", "test")
    );
    assert_eq!(info.states, ["off", "on"]);
    let number = table.number(&METRICS[2], &["alone"]).unwrap();
    assert_eq!(
        table.info(number).unwrap().labels,
        Labels::new([("b", "alone")])
    );
}

#[test]
fn what_is_undeclared_or_written_twice_gets_no_number() {
    let mut table = table(SECOND);
    table.begin();
    assert_eq!(table.number(&UNDECLARED, &[]), Err(Refusal::Undeclared));
    table.number(&METRICS[0], &["x"]).unwrap();
    assert_eq!(table.number(&METRICS[0], &["x"]), Err(Refusal::Twice));
    // what reads the same after it was cut is the same
    let long = "é".repeat(600);
    table.number(&METRICS[0], &[&format!("{long}1")]).unwrap();
    assert_eq!(
        table.number(&METRICS[0], &[&format!("{long}2")]),
        Err(Refusal::Twice)
    );
}

#[test]
fn a_collector_cannot_have_more_series_than_a_batch_holds() {
    let mut table = table(SECOND);
    table.begin();
    for n in 0..MOST_SERIES {
        table.number(&METRICS[0], &[&n.to_string()]).unwrap();
    }
    assert_eq!(
        table.number(&METRICS[0], &["one more"]),
        Err(Refusal::TooMany)
    );
    table.begin();
    assert!(
        table.number(&METRICS[0], &["17"]).is_ok(),
        "what is known goes on"
    );
}

#[test]
fn a_series_that_is_gone_for_an_hour_makes_room() {
    let mut table = table(Duration::from_secs(600));
    let mut numbers = BTreeSet::new();
    for run in 0..30 {
        table.begin();
        table.number(&METRICS[0], &["stays"]).unwrap();
        numbers.insert(
            table
                .number(&METRICS[0], &[&format!("container {run}")])
                .unwrap(),
        );
        assert!(table.entries.len() <= 14, "{}", table.entries.len());
        assert_eq!(table.index.len(), table.entries.len());
        let keys: usize = table.entries.iter().map(|entry| entry.key.len()).sum();
        assert_eq!(table.key_bytes, keys);
    }
    assert_eq!(numbers.len(), 30, "no number comes back");
    assert_eq!(
        table.number(&METRICS[0], &["stays"]),
        Err(Refusal::Twice),
        "it was never gone"
    );
}

#[test]
fn all_definitions_come_again_in_each_period() {
    let mut table = table(SECOND);
    let write = |table: &mut SeriesTable| {
        table.begin();
        for n in 0..100 {
            table.number(&METRICS[0], &[&n.to_string()]).unwrap();
        }
    };
    write(&mut table);
    assert_eq!(table.new_definitions().len(), 100);
    assert_eq!(
        table.repeated_definitions().len(),
        0,
        "they are only now sent first"
    );
    assert_eq!(
        table.new_definitions().len(),
        100,
        "not sent yet, so still new"
    );
    table.told();
    write(&mut table);
    assert!(table.new_definitions().is_empty());
    assert_eq!(
        table.repeated_definitions().len(),
        100,
        "again with the next run"
    );
    for period in 0..3 {
        let mut seen = BTreeSet::new();
        let runs = usize::try_from(REPEAT_PERIOD.as_secs()).unwrap();
        for _ in 0..runs {
            write(&mut table);
            let repeated = table.repeated_definitions();
            assert!(repeated.len() <= 2, "{}", repeated.len());
            seen.extend(repeated.into_iter().map(|definition| definition.number));
        }
        assert_eq!(seen.len(), 100, "period {period}");
    }
}

#[test]
fn a_collector_with_one_series_repeats_it_once_a_period() {
    let mut table = table(SECOND);
    let mut repeated = 0;
    let runs = REPEAT_PERIOD.as_secs();
    for _ in 0..3 + 5 * runs {
        table.begin();
        table.number(&METRICS[0], &["only"]).unwrap();
        repeated += table.repeated_definitions().len();
        table.told();
    }
    // with the second run, and then once in each of five periods, wherever in them its turn is
    assert!((5..=7).contains(&repeated), "{repeated}");
}
