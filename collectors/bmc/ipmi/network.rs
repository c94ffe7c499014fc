//! Collector `ipmi_lan`: BMCs over the network, by name and address from the configuration.

use std::net::{IpAddr, SocketAddr};
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use glasshouse_core::collector::{Collector, Presence, SampleWriter};
use glasshouse_core::failure::{CollectError, FailureReason};
use glasshouse_core::options::{OptionDefault, OptionDefinition, Options};
use glasshouse_core::time::SystemClock;
use glasshouse_core::worker::Worker;
use glasshouse_sysfs::{Spec, SysRoot, WorkerSpec};

use super::bmc::Bmc;
use super::lan::{Lan, Level};
use super::metrics::{FACTS, METRICS};
use super::place::Place;
use super::relay::run_all;

/// The port of IPMI over the network.
const PORT: u16 = 623;

/// How long one datagram is waited for; each request is asked up to three times.
const DEADLINE: Duration = Duration::from_secs(2);

/// The most BMCs: each has a thread of its own while it is asked.
const MOST_BMCS: usize = 32;

const fn text(name: &'static str, default: &'static str, help: &'static str) -> OptionDefinition {
    OptionDefinition {
        name,
        help,
        default: OptionDefault::Text(default),
    }
}

pub(crate) static IPMI_LAN: WorkerSpec = WorkerSpec {
    spec: Spec {
        name: "ipmi_lan",
        summary: "Sensors, power, event log, chassis and inventory of BMCs over the network, by IPMI.",
        metrics: &METRICS,
        facts: &FACTS,
        options: &[OptionDefinition {
            name: "bmcs",
            help: "BMCs by name; the name stands in labels (`bmc/<name>`). At most 32.",
            default: OptionDefault::Tables(&[
                text(
                    "address",
                    "",
                    "IP address, with `:port` where it is not 623.",
                ),
                text(
                    "username",
                    "",
                    "Account; one that may do no more than `user` does.",
                ),
                text(
                    "password_file",
                    "",
                    "File with its password, which nobody else may read.",
                ),
                text(
                    "privilege",
                    "user",
                    "Privilege level of the account, by which some BMCs find it: `user`, or `operator` or `administrator` where a BMC tells its power to nobody else.",
                ),
            ]),
        }],
        // as in-band: most BMCs look at their sensors no more often
        interval_seconds: 30,
        needs: "UDP to the configured addresses, and the password files",
        build: |root: SysRoot, options: &Options| {
            Box::new(Network {
                is_live: root.is_live(),
                bmcs: configured(&root, options),
            })
        },
    },
    worker: Worker::Bmc,
    look: |_: &SysRoot, options: &Options| {
        if options.tables("bmcs").is_empty() {
            Presence::Absent(NONE.to_owned())
        } else {
            Presence::Present
        }
    },
};

const NONE: &str = "no BMC is configured in `[collectors.ipmi_lan.bmcs.<name>]`";

#[derive(Debug)]
struct Network {
    is_live: bool,
    bmcs: Configured,
}

/// What can be asked, and what is wrong with the rest.
#[derive(Debug, Default)]
struct Configured {
    bmcs: Vec<Bmc>,
    wrong: Vec<(PathBuf, String)>,
}

impl Collector for Network {
    fn collect(&mut self, out: &mut dyn SampleWriter) -> Result<Presence, CollectError> {
        if !self.is_live {
            return Ok(Presence::Absent(
                "a captured tree has no BMC that could be asked".to_owned(),
            ));
        }
        for (place, detail) in &self.bmcs.wrong {
            out.failure(wrong(place.clone(), detail.clone()));
        }
        if self.bmcs.bmcs.is_empty() {
            return match self.bmcs.wrong.first() {
                Some((place, detail)) => Err(wrong(place.clone(), detail.clone())),
                None => Ok(Presence::Absent(NONE.to_owned())),
            };
        }
        let outcomes = run_all(&mut self.bmcs.bmcs, out);
        let count = outcomes.len();
        let mut failed: Vec<CollectError> = outcomes.into_iter().filter_map(Result::err).collect();
        if failed.len() == count
            && let Some(first) = failed.pop()
        {
            failed.into_iter().for_each(|error| out.failure(error));
            return Err(first);
        }
        failed.into_iter().for_each(|error| out.failure(error));
        Ok(Presence::Present)
    }
}

fn wrong(path: PathBuf, detail: String) -> CollectError {
    CollectError {
        path,
        line: None,
        reason: FailureReason::Malformed,
        detail,
    }
}

fn configured(root: &SysRoot, options: &Options) -> Configured {
    let mut configured = Configured::default();
    for (index, (name, settings)) in options.tables("bmcs").iter().enumerate() {
        let made = if index < MOST_BMCS {
            bmc(root, name, settings)
        } else {
            Err(format!("there are more than {MOST_BMCS} BMCs"))
        };
        match made {
            Ok(bmc) => configured.bmcs.push(bmc),
            Err(detail) => {
                let place = format!("ipmi://{name}").into();
                let detail = format!("[collectors.ipmi_lan.bmcs.{name}]: {detail}");
                configured.wrong.push((place, detail));
            }
        }
    }
    configured
}

fn bmc(root: &SysRoot, name: &str, settings: &Options) -> Result<Bmc, String> {
    let address = settings.text("address");
    let address = parse_address(address)
        .ok_or_else(|| format!("`address` is `{address}`, expected an IP address"))?;
    let level = settings.text("privilege");
    let level = Level::parse(level).ok_or_else(|| {
        format!("`privilege` is `{level}`, expected `user`, `operator` or `administrator`")
    })?;
    let file = settings.text("password_file").to_owned();
    if !file.starts_with('/') {
        return Err(format!(
            "`password_file` is `{file}`, expected an absolute path"
        ));
    }
    let root = root.clone();
    // read each time: a password that was changed is taken without a restart, and none is kept
    let password = Box::new(move || {
        let text = root.read_text(file.trim_start_matches('/'))?;
        Ok(text.trim_end_matches(['\r', '\n']).to_owned())
    });
    let username = settings.text("username").to_owned();
    let transport = Lan::new(address, username, password, level);
    Ok(Bmc::new(
        Place::named(name),
        Box::new(transport),
        Arc::new(SystemClock),
        DEADLINE,
    ))
}

fn parse_address(text: &str) -> Option<SocketAddr> {
    let with_port = text.parse().ok();
    with_port.or_else(|| Some(SocketAddr::new(text.parse::<IpAddr>().ok()?, PORT)))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn addresses_are_numbers_so_that_no_name_server_is_asked() {
        let parsed = |text| parse_address(text).map(|address| address.to_string());
        assert_eq!(parsed("192.0.2.7").as_deref(), Some("192.0.2.7:623"));
        assert_eq!(parsed("192.0.2.7:9001").as_deref(), Some("192.0.2.7:9001"));
        assert_eq!(parsed("2001:db8::7").as_deref(), Some("[2001:db8::7]:623"));
        assert_eq!(
            parsed("[2001:db8::7]:9001").as_deref(),
            Some("[2001:db8::7]:9001")
        );
        for bad in ["", "bmc.example.org", "192.0.2", "192.0.2.7:x"] {
            assert_eq!(parsed(bad), None, "{bad}");
        }
    }
}
