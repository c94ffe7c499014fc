//! The collector of BMCs over the network, as it is configured.

use glasshouse_core::collector::{CollectorSpec, Presence};
use glasshouse_core::failure::FailureReason;
use glasshouse_core::options::{OptionDefault, OptionValue, Options};
use glasshouse_sim::ipmi::{ADMINISTRATOR, ANALOG, USER};
use glasshouse_sysfs::compliance::Recording;

use super::simulated;
use crate::ipmi::IPMI_LAN;

/// `[collectors.ipmi_lan.bmcs.<name>]`, as the config loader gives it.
fn configured(bmcs: &[(&str, &[(&str, &str)])]) -> Options {
    let OptionDefault::Tables(settings) = IPMI_LAN.options()[0].default else {
        panic!("`bmcs` is a list of tables")
    };
    let tables = bmcs.iter().map(|(name, written)| {
        let text = |text: &str| OptionValue::Text(text.to_owned());
        let table = written
            .iter()
            .fold(Options::defaults(settings), |table, (key, value)| {
                table.with(key, text(value))
            });
        ((*name).to_owned(), table)
    });
    Options::defaults(IPMI_LAN.options()).with("bmcs", OptionValue::Tables(tables.collect()))
}

fn temperatures(recording: &Recording, bmc: &str, is: impl Fn(&Recording, usize) -> bool) -> usize {
    let start = format!("bmc/{bmc}/ipmi/");
    let samples = recording.samples.iter().enumerate();
    samples
        .filter(|(_, sample)| {
            sample.metric.name == "hw.temperature" && sample.labels[0].starts_with(&start)
        })
        .filter(|(at, _)| is(recording, *at))
        .count()
}

#[test]
fn a_bmc_that_hangs_costs_its_neighbours_nothing() {
    let (Some(one), Some(other)) = (simulated(), simulated()) else {
        return;
    };
    let secret = |password: &str| {
        let file = tempfile::NamedTempFile::new().unwrap();
        std::fs::write(file.path(), format!("{password}\n")).unwrap();
        file
    };
    let (administrator, reader) = (secret(ADMINISTRATOR.1), secret(USER.1));
    let path = |file: &tempfile::NamedTempFile| file.path().to_str().unwrap().to_owned();
    let (administrator_file, reader_file) = (path(&administrator), path(&reader));
    let (first, second) = (one.lan().to_string(), other.lan().to_string());
    let options = configured(&[
        (
            "one",
            &[
                ("address", &first),
                ("username", ADMINISTRATOR.0),
                ("password_file", &administrator_file),
                ("privilege", "administrator"),
            ],
        ),
        (
            "other",
            &[
                ("address", &second),
                ("username", USER.0),
                ("password_file", &reader_file),
            ],
        ),
        ("wrong", &[("address", "bmc.example.org")]),
    ]);
    assert_eq!(IPMI_LAN.look("/".as_ref(), &options), Presence::Present);
    let mut collector = IPMI_LAN.build("/".as_ref(), &options);
    let known = ANALOG.iter().filter(|plan| plan.unit == 1).count();
    let has_value = |recording: &Recording, at: usize| recording.samples[at].value.is_ok();
    let is_late = |recording: &Recording, at: usize| {
        recording.samples[at].value == Err(FailureReason::Timeout)
    };

    let both = Recording::of(collector.as_mut());
    assert_eq!(both.outcome.as_ref().unwrap(), &Presence::Present);
    assert_eq!(temperatures(&both, "one", has_value), known);
    assert_eq!(temperatures(&both, "other", has_value), known);
    let said: Vec<String> = both.failures.iter().map(ToString::to_string).collect();
    assert!(
        said.iter()
            .any(|error| error.contains("bmcs.wrong") && error.contains("an IP address")),
        "{said:?}"
    );

    other.hang().unwrap();
    let one_alone = Recording::of(collector.as_mut());
    assert_eq!(one_alone.outcome.as_ref().unwrap(), &Presence::Present);
    assert_eq!(temperatures(&one_alone, "one", has_value), known);
    assert_eq!(temperatures(&one_alone, "other", is_late), known);
    let said: Vec<String> = one_alone.failures.iter().map(ToString::to_string).collect();
    assert!(
        said.iter()
            .any(|error| error.contains(&second) && error.contains("no answer")),
        "{said:?}"
    );
}

#[test]
fn nothing_configured_is_absent_and_nothing_right_is_an_error() {
    let nothing = Options::defaults(IPMI_LAN.options());
    assert!(matches!(
        IPMI_LAN.look("/".as_ref(), &nothing),
        Presence::Absent(_)
    ));
    let wrong: [(&[(&str, &str)], &str); 4] = [
        (&[("address", "192.0.2")], "an IP address"),
        (
            &[("address", "192.0.2.7"), ("privilege", "root")],
            "`user`, `operator`",
        ),
        (&[("address", "192.0.2.7")], "an absolute path"),
        (
            &[("address", "192.0.2.7"), ("password_file", "secret")],
            "an absolute path",
        ),
    ];
    for (settings, way_out) in wrong {
        let mut collector = IPMI_LAN.build("/".as_ref(), &configured(&[("a", settings)]));
        let error = Recording::of(collector.as_mut()).outcome.unwrap_err();
        assert!(error.to_string().contains(way_out), "{error}");
    }
}
