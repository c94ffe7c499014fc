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
use glasshouse_sysfs::{Spec, SysRoot, WorkerSpec, kernel_sums_supplies};

use super::bmc::Bmc;
use super::lan::{Lan, Level};
use super::metrics::{FACTS, METRICS};
use super::own::is_there;
use super::place::Place;
use super::relay::run_all;
use crate::this_host::{THIS_HOST, this_host};

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

static BMC: [OptionDefinition; 5] = [
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
    OptionDefinition {
        name: THIS_HOST,
        help: "Whether it is the BMC of the machine that the probe runs on: what it says of the whole machine's power is then `hw.host.power`, unless `/dev/ipmi0` is there, by which the collector `ipmi` says it. Of one BMC at most.",
        default: OptionDefault::Bool(false),
    },
];

pub(crate) static IPMI_LAN: WorkerSpec = WorkerSpec {
    spec: Spec {
        name: "ipmi_lan",
        summary: "Sensors, power, event log, chassis and inventory of BMCs over the network, by IPMI.",
        metrics: &METRICS,
        facts: &FACTS,
        options: &[OptionDefinition {
            name: "bmcs",
            help: "BMCs by name; the name stands in labels (`bmc/<name>`). At most 32.",
            default: OptionDefault::Tables(&BMC),
        }],
        // as in-band: most BMCs look at their sensors no more often
        interval_seconds: 30,
        needs: "UDP to the configured addresses, and the password files",
        build: |root: SysRoot, options: &Options| {
            Box::new(Network {
                bmcs: configured(&root, options),
                root,
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
    root: SysRoot,
    bmcs: Configured,
}

/// What can be asked, and what is wrong with the rest.
#[derive(Debug, Default)]
struct Configured {
    bmcs: Vec<Bmc>,
    /// Which of them is that of this machine.
    this_host: Option<usize>,
    wrong: Vec<(PathBuf, String)>,
}

impl Collector for Network {
    fn collect(&mut self, out: &mut dyn SampleWriter) -> Result<Presence, CollectError> {
        if !self.root.is_live() {
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
        self.bmcs.share(&self.root, is_there(&self.root), out);
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

impl Configured {
    /// One series has one writer: the BMC of this machine speaks for it where nobody asks it from inside, and adds its
    /// supplies up where the kernel does not see them.
    fn share(&mut self, root: &SysRoot, is_asked_inside: bool, out: &mut dyn SampleWriter) {
        let bmc = self.this_host.and_then(|place| self.bmcs.get_mut(place));
        let Some(bmc) = bmc else { return };
        bmc.speak_for_this_machine(!is_asked_inside);
        let others_sum = kernel_sums_supplies(root).unwrap_or_else(|error| {
            out.failure(error);
            true
        });
        bmc.leave_sum_to_others(!is_asked_inside && others_sum);
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
    let bmcs = options.tables("bmcs");
    let this_host = this_host(bmcs).unwrap_or_else(|detail| {
        let detail = format!("[collectors.ipmi_lan.bmcs]: {detail}");
        configured.wrong.push(("ipmi://".into(), detail));
        None
    });
    for (index, (name, settings)) in bmcs.iter().enumerate() {
        let made = if index < MOST_BMCS {
            bmc(root, name, settings)
        } else {
            Err(format!("there are more than {MOST_BMCS} BMCs"))
        };
        match made {
            Ok(bmc) => {
                if this_host == Some(name) {
                    configured.this_host = Some(configured.bmcs.len());
                }
                configured.bmcs.push(bmc);
            }
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
    let password = Box::new(move || root.read_secret(file.trim_start_matches('/')));
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
    use glasshouse_core::options::OptionValue;

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

    #[test]
    fn one_bmc_at_most_is_that_of_this_machine() {
        let made = |claims: &[bool]| {
            let bmcs = claims.iter().zip(["a", "b", "c"]).map(|(is_on, name)| {
                let table = Options::defaults(&BMC)
                    .with("address", OptionValue::Text("192.0.2.7".to_owned()))
                    .with("password_file", OptionValue::Text("/secret".to_owned()))
                    .with(THIS_HOST, OptionValue::Bool(*is_on));
                (name.to_owned(), table)
            });
            let options = Options::defaults(IPMI_LAN.spec.options)
                .with("bmcs", OptionValue::Tables(bmcs.collect()));
            let tree = tempfile::tempdir().unwrap();
            let configured = configured(&SysRoot::new(tree.path()), &options);
            assert_eq!(configured.bmcs.len(), claims.len());
            let wrong = configured.wrong.into_iter().map(|(_, detail)| detail);
            (configured.this_host, wrong.collect::<String>())
        };
        assert_eq!(made(&[false, false]), (None, String::new()));
        assert_eq!(made(&[false, true]), (Some(1), String::new()));
        let (this_host, wrong) = made(&[true, false, true]);
        assert_eq!(this_host, None);
        assert!(wrong.contains("`a`") && wrong.contains("`c`"), "{wrong}");
    }
}
