//! BMCs over the network, by Redfish (DSP0266).
//!
//! Each BMC has a poller: a task that keeps a plan of all resources it has found and reads what is due, within a
//! budget of requests a minute. A run of the collector wakes all pollers, waits a moment, and writes what is new. All
//! tasks share one thread; one BMC that hangs costs the others nothing.
//!
//! From nv-redfish come the transport trait, which the read-only client implements, and the table of platform quirks.
//! Documents are read leniently by `read`: see `docs/adr/0003-redfish-is-read-leniently.md`.

mod bounded;
mod budget;
mod client;
mod definitions;
mod document;
mod error;
mod events;
mod harvest;
mod journal;
mod kind;
mod path;
mod plan;
mod poller;
mod published;
mod read;
mod reader;
pub(crate) mod request;
mod scrub;
mod service;
mod settings;
mod shares;
#[cfg(test)]
mod tests;
mod timing;
mod tls;
mod units;
mod wall;

use std::sync::Arc;
use std::time::Instant;

use glasshouse_core::collector::{Collector, Presence, SampleWriter};
use glasshouse_core::failure::CollectError;
use glasshouse_core::options::Options;
use glasshouse_core::sample::Value;
use glasshouse_core::worker::Worker;
use glasshouse_sysfs::{Spec, SysRoot, WorkerSpec, malformed};

use client::Client;
use service::{Service, Watched};
use settings::Settings;
use timing::{TIMING, Timing};

use crate::this_host::this_host;

/// Seconds between two runs: what BMCs refresh their readings in.
pub(crate) const INTERVAL_SECONDS: u64 = 15;

/// The value of the label `hw.bmc.protocol`.
const PROTOCOL: &str = "redfish";

pub(crate) static REDFISH: WorkerSpec = WorkerSpec {
    spec: Spec {
        name: "redfish",
        summary: "Sensors, power, cooling, parts, firmware and logs that BMCs serve by Redfish.",
        metrics: &definitions::METRICS,
        facts: &definitions::FACTS,
        options: &settings::OPTIONS,
        interval_seconds: INTERVAL_SECONDS,
        needs: "an account of each BMC that may read, and the way there",
        build: |root, options| Box::new(Redfish::new(root, options, TIMING)),
    },
    worker: Worker::Bmc,
    look: |_, options| {
        if options.tables("bmcs").is_empty() {
            Presence::Absent(NONE.to_owned())
        } else {
            Presence::Present
        }
    },
};

const NONE: &str = "no BMC is configured in [collectors.redfish.bmcs.<name>]";

/// The collector: settings first, pollers from the first run on.
#[derive(Debug)]
struct Redfish {
    root: SysRoot,
    configured: Vec<(String, Result<Settings, settings::SettingsError>)>,
    /// Which of them is that of this machine, or why none is.
    this_host: Result<Option<String>, String>,
    timing: Timing,
    service: Option<Service>,
    /// BMCs that could not be set up, and why; told each run.
    unusable: Vec<(String, String)>,
}

impl Redfish {
    fn new(root: SysRoot, options: &Options, timing: Timing) -> Self {
        Self {
            root,
            configured: settings::parse(options),
            this_host: this_host(options.tables("bmcs")).map(|name| name.map(ToOwned::to_owned)),
            timing,
            service: None,
            unusable: Vec::new(),
        }
    }

    fn start(&mut self) -> Result<Service, CollectError> {
        self.unusable.clear();
        let mut watched = Vec::new();
        let this_host = self.this_host.as_ref().ok().and_then(Option::as_deref);
        for (name, settings) in &self.configured {
            let client = match settings {
                Ok(settings) => {
                    Client::new(settings.clone(), self.root.clone(), self.timing.deadlines)
                        .map(|client| (settings, client))
                        .map_err(|error| error.to_string())
                }
                Err(error) => Err(error.to_string()),
            };
            match client {
                Ok((settings, client)) => watched.push(Watched {
                    settings: settings.clone(),
                    client: Arc::new(client),
                    is_this_host: this_host == Some(name),
                }),
                Err(why) => self.unusable.push((name.clone(), why)),
            }
        }
        Service::start(watched, self.timing)
    }
}

impl Collector for Redfish {
    fn collect(&mut self, out: &mut dyn SampleWriter) -> Result<Presence, CollectError> {
        if self.configured.is_empty() {
            return Ok(Presence::Absent(NONE.to_owned()));
        }
        if self.service.is_none() {
            self.service = Some(self.start()?);
        }
        for (name, why) in &self.unusable {
            let path = format!("collectors/redfish/bmcs/{name}");
            out.failure(malformed(&path, None, "settings that can be used", why));
        }
        if let Err(why) = &self.this_host {
            let path = "collectors/redfish/bmcs";
            out.failure(malformed(path, None, "one BMC of this machine", why));
        }
        let Some(service) = &self.service else {
            return Ok(Presence::Present);
        };
        service.wake(self.timing.run);
        shares::write(service.bmcs(), out, Instant::now(), self.timing.patience);
        for bmc in service.bmcs() {
            let outcomes = bmc.outcomes();
            if let Some(slowest) = outcomes.slowest {
                let slowest = Value::F64(slowest.as_secs_f64());
                out.sample(definitions::RESPONSE, &[bmc.name()], slowest);
            }
            for (word, count) in [
                ("answered", outcomes.answered),
                ("refused", outcomes.refused),
                ("silent", outcomes.silent),
            ] {
                let labels = [bmc.name(), PROTOCOL, word];
                out.sample(definitions::REQUESTS, &labels, Value::U64(count));
            }
            let labels = [bmc.name(), PROTOCOL];
            if let Ok(most) = u64::try_from(bmc.requests_a_minute()) {
                out.sample(definitions::REQUESTS_LIMIT, &labels, Value::U64(most));
            }
            if let Some(period) = bmc.published().health().period {
                let period = Value::F64(period.as_secs_f64());
                out.sample(definitions::PERIOD, &labels, period);
            }
        }
        Ok(Presence::Present)
    }
}
