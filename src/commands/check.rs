//! `glasshouse check`: what would run, what is missing and why.
//!
//! It changes nothing. A unit runs it as its own user before it starts, and that user may not read what belongs to
//! another role: what is merely closed to this user is a warning, not an error.

use std::fs::File;
use std::io::ErrorKind;
use std::os::unix::fs::FileTypeExt as _;
use std::path::Path;
use std::sync::Arc;

use glasshouse_auth::TokenVerifier;
use glasshouse_core::access::{Authorizer as _, METRICS_SCOPE};
use glasshouse_core::reader::{CollectorState, ReadError, Resolution, SampleReader as _};
use glasshouse_core::time::SystemClock;
use glasshouse_policies::PolicyEngine;
use glasshouse_probe::collect_once;
use glasshouse_serve::ServeError;
use glasshouse_store::StoreReader;
use serde_json::json;

use super::collectors::presence;
use crate::cli::{Check, Global};
use crate::config::layers::drop_ins;
use crate::config::main_file::MainConfig;
use crate::config::probe_file::ProbeConfig;
use crate::config::secret;
use crate::exit::{Chain, Exit, Failure};
use crate::output::{print, print_json, table};
use crate::places::{ConfigFiles, config_failure};
use crate::wiring;

/// How good what was found is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Level {
    /// As it should be.
    Good,
    /// Not here, which is no fault.
    Absent,
    /// It would run, but not as one may expect.
    Warning,
    /// The config is wrong.
    Wrong,
    /// Something around it is missing.
    Missing,
}

impl Level {
    const fn word(self) -> &'static str {
        match self {
            Self::Good => "good",
            Self::Absent => "absent",
            Self::Warning => "warning",
            Self::Wrong | Self::Missing => "error",
        }
    }
}

#[derive(Debug)]
struct Item {
    level: Level,
    what: String,
    says: String,
}

#[derive(Debug, Default)]
struct Findings(Vec<Item>);

impl Findings {
    fn add(&mut self, level: Level, what: impl Into<String>, says: impl Into<String>) {
        self.0.push(Item {
            level,
            what: what.into(),
            says: says.into(),
        });
    }

    /// A failure at the level that its exit code says.
    fn fail(&mut self, what: &str, failure: &Failure) {
        let denied = failure.error.chain().any(|cause| {
            cause
                .downcast_ref::<std::io::Error>()
                .is_some_and(|error| error.kind() == ErrorKind::PermissionDenied)
        });
        let level = match failure.exit {
            _ if denied => Level::Warning,
            Exit::Usage => Level::Wrong,
            _ => Level::Missing,
        };
        let mut says = Chain(failure.error.as_ref()).to_string();
        if denied {
            says.push_str(" (this user may not look)");
        }
        if let Some(help) = &failure.help {
            says.push_str(&format!("; {help}"));
        }
        self.add(level, what, says);
    }

    fn exit(&self) -> Exit {
        let any = |level| self.0.iter().any(|item| item.level == level);
        if any(Level::Wrong) {
            Exit::Usage
        } else if any(Level::Missing) {
            Exit::Environment
        } else {
            Exit::Done
        }
    }
}

/// Looks at everything and says what it found.
pub(crate) fn run(global: &Global, arguments: &Check) -> Result<Exit, Failure> {
    let files = ConfigFiles::find(global.config.as_deref());
    let mut findings = Findings::default();
    look_at_files(&files, &mut findings);
    let probe = files.load_probe();
    let main = files.load_main();
    // a file that belongs to another role may be closed to this user, unless it is the one that was named
    match probe {
        Ok(config) => look_at_probe(&config, &mut findings),
        Err(error) if global.config == files.probe || findings_matter(&error) => {
            return Err(config_failure(error));
        }
        Err(error) => findings.fail("probe", &config_failure(error)),
    }
    match main {
        Ok(mut config) => {
            if let Some(folder) = &global.state_dir {
                config.state_dir.clone_from(folder);
            }
            look_at_main(&config, &mut findings);
        }
        Err(error) if global.config == files.main || findings_matter(&error) => {
            return Err(config_failure(error));
        }
        Err(error) => findings.fail("config", &config_failure(error)),
    }
    show(&findings, arguments.json)?;
    Ok(findings.exit())
}

/// Wrong content is always told as such.
const fn findings_matter(error: &crate::config::problem::ConfigError) -> bool {
    matches!(error, crate::config::problem::ConfigError::Wrong { .. })
}

fn show(findings: &Findings, json: bool) -> Result<(), Failure> {
    if json {
        let items = findings.0.iter().map(
            |item| json!({ "level": item.level.word(), "what": item.what, "says": item.says }),
        );
        return print_json(&json!({
            "ok": findings.exit() == Exit::Done,
            "items": items.collect::<Vec<_>>(),
        }));
    }
    let rows: Vec<Vec<String>> = findings
        .0
        .iter()
        .map(|item| {
            vec![
                item.level.word().to_owned(),
                item.what.clone(),
                item.says.clone(),
            ]
        })
        .collect();
    print(&table(&rows))
}

fn look_at_files(files: &ConfigFiles, findings: &mut Findings) {
    for (what, file) in [
        ("glasshouse.toml", &files.main),
        ("probe.toml", &files.probe),
    ] {
        let Some(file) = file else {
            findings.add(Level::Absent, what, "there is none; the defaults hold");
            continue;
        };
        let more = drop_ins(file).map_or(0, |drop_ins| drop_ins.len());
        findings.add(
            Level::Good,
            what,
            format!("`{}` and {more} drop-ins", file.display()),
        );
    }
}

fn look_at_probe(config: &ProbeConfig, findings: &mut Findings) {
    look_at_link(&config.frames, findings);
    let planned = wiring::planned(config.clone());
    for one in collect_once(&config.root, &planned) {
        let level = match one.status.state {
            CollectorState::Good => Level::Good,
            CollectorState::Absent | CollectorState::Disabled => Level::Absent,
            CollectorState::Partial(_) | CollectorState::Failed(_) => Level::Warning,
        };
        findings.add(
            level,
            format!("collector {}", one.collector),
            presence(&one),
        );
    }
}

fn look_at_link(frames: &Path, findings: &mut Findings) {
    let shown = frames.display();
    match std::fs::metadata(frames) {
        Ok(metadata) if metadata.file_type().is_fifo() => {
            findings.add(Level::Good, "link", format!("`{shown}` is a FIFO"));
        }
        Ok(_) => findings.add(
            Level::Missing,
            "link",
            format!("`{shown}` is not a FIFO; remove it"),
        ),
        Err(error) => findings.add(
            Level::Warning,
            "link",
            format!("`{shown}`: {error}; its socket unit or `glasshouse up` makes it"),
        ),
    }
}

fn look_at_main(config: &MainConfig, findings: &mut Findings) {
    look_at_store(&config.state_dir.join("store"), findings);
    look_at_remote_write(config, findings);
    look_at_bounds(config, findings);
    look_at_policies(config, findings);
    look_at_issuers(config, findings);
    look_at_listener(config, findings);
    look_at_metrics(config, findings);
    match wiring::authd_settings(config) {
        _ if config.authd.is_none() => findings.add(
            Level::Absent,
            "authd",
            "there is no [authd]; the built-in authorization server does not run",
        ),
        Ok((listen, settings)) => findings.add(
            Level::Good,
            "authd",
            format!(
                "`{}` on `{listen}`, {} users",
                settings.issuer,
                settings.users.len()
            ),
        ),
        Err(failure) => findings.fail("authd", &failure),
    }
}

fn look_at_store(folder: &Path, findings: &mut Findings) {
    match StoreReader::open(folder).coverage() {
        Ok(tiers) => {
            let samples: u64 = tiers.iter().map(|tier| tier.samples).sum();
            findings.add(
                Level::Good,
                "store",
                format!("`{}`, {samples} samples and rollups", folder.display()),
            );
        }
        Err(error @ ReadError::Empty { .. }) => {
            findings.add(Level::Absent, "store", error.to_string());
        }
        Err(ReadError::Io { path, source }) if source.kind() == ErrorKind::PermissionDenied => {
            findings.add(
                Level::Missing,
                "store",
                format!("failed to read `{path}`: {source}; it is open to root and to the group glasshouse-serve"),
            );
        }
        Err(error) => findings.add(Level::Missing, "store", Chain(&error).to_string()),
    }
}

/// What the store may take, as it was understood.
fn look_at_bounds(config: &MainConfig, findings: &mut Findings) {
    let retention = wiring::retention(&config.store);
    let tiers: Vec<String> = Resolution::ALL
        .iter()
        .map(|tier| {
            let hours = retention.age(*tier).as_secs() / 3600;
            let bytes = retention.most_bytes(*tier);
            format!("{} {hours} h and {bytes} bytes", tier.word())
        })
        .collect();
    findings.add(
        Level::Good,
        "store bounds",
        format!(
            "{} bytes in all; {}; {} series, {} a collector",
            retention.bytes,
            tiers.join(", "),
            config.store.most_series,
            config.store.most_series_a_collector
        ),
    );
}

fn look_at_remote_write(config: &MainConfig, findings: &mut Findings) {
    const WHAT: &str = "remote write";
    let Some(remote) = &config.remote_write else {
        findings.add(
            Level::Absent,
            WHAT,
            "there is no [remote_write]; samples stay on this machine",
        );
        return;
    };
    let interval = remote.interval.as_secs();
    let says = format!("every {interval} s to `{}`", remote.url);
    findings.add(Level::Good, WHAT, says);
    let password = remote.basic.as_ref().map(|(_, path)| path);
    for path in password.into_iter().chain(&remote.bearer) {
        if let Err(error) = secret::read(path) {
            findings.fail(WHAT, &Failure::environment(error));
        }
    }
    let certificate = remote.certificate.iter();
    let certificate = certificate.flat_map(|(chain, key)| [chain, key]);
    for path in remote.ca.iter().chain(certificate) {
        if let Err(error) = File::open(path) {
            let error = anyhow::Error::new(error);
            let error = error.context(format!("failed to read `{}`", path.display()));
            findings.fail(WHAT, &Failure::environment(error));
        }
    }
}

fn look_at_policies(config: &MainConfig, findings: &mut Findings) {
    let engine = match PolicyEngine::load(config.serve.policies.as_deref()) {
        Ok(engine) => engine,
        Err(error) => return findings.fail("policies", &super::policy::policy_failure(&error)),
    };
    let tasks: Vec<String> = engine.tasks().into_iter().map(|task| task.name).collect();
    let from = config.serve.policies.as_ref().map_or_else(
        || "built in".to_owned(),
        |folder| format!("`{}`", folder.display()),
    );
    findings.add(
        Level::Good,
        "policies",
        format!("{from}; tasks: {}", tasks.join(", ")),
    );
    if let Err(failure) = wiring::refuse_unknown_task(&engine, &config.serve.default_task) {
        findings.fail("default task", &failure);
    }
}

fn look_at_issuers(config: &MainConfig, findings: &mut Findings) {
    if config.serve.issuers.is_empty() {
        findings.add(
            Level::Warning,
            "issuers",
            "none: every request will be refused (add [serve.issuers.NAME] with `issuer`)",
        );
        return;
    }
    let built = wiring::auth_settings(&config.serve).and_then(|settings| {
        TokenVerifier::new(settings, Arc::new(SystemClock)).map_err(Failure::usage)
    });
    match built {
        Ok(_) => {
            let names: Vec<&str> = config
                .serve
                .issuers
                .iter()
                .map(|issuer| issuer.issuer.as_str())
                .collect();
            findings.add(Level::Good, "issuers", names.join(", "));
        }
        Err(failure) => findings.fail("issuers", &failure),
    }
}

fn look_at_listener(config: &MainConfig, findings: &mut Findings) {
    if let Some(tls) = &config.serve.tls {
        let files = [
            Some(&tls.certificate),
            Some(&tls.key),
            tls.client_ca.as_ref(),
        ];
        for file in files.into_iter().flatten() {
            match File::open(file) {
                Ok(_) => findings.add(Level::Good, "tls", format!("`{}`", file.display())),
                Err(error) => {
                    let error = anyhow::Error::new(error)
                        .context(format!("failed to read `{}`", file.display()));
                    findings.fail("tls", &Failure::environment(error));
                }
            }
        }
    }
    let settings = match wiring::serve_settings(&config.serve) {
        Ok(settings) => settings,
        Err(failure) => return findings.fail("serve", &failure),
    };
    match glasshouse_serve::bind(&settings) {
        Ok(_) => findings.add(
            Level::Good,
            "serve",
            format!("`{}` for `{}`", settings.listen, config.serve.resource),
        ),
        Err(ServeError::Bind { listen, source }) if source.kind() == ErrorKind::AddrInUse => {
            findings.add(
                Level::Warning,
                "serve",
                format!("`{listen}` is taken; by the face itself, if it runs already"),
            );
        }
        Err(error) => findings.fail("serve", &wiring::serve_failure(error)),
    }
}

/// Whether there are metrics, and who may read them.
fn look_at_metrics(config: &MainConfig, findings: &mut Findings) {
    let Some(settings) = wiring::metrics_settings(&config.serve) else {
        return findings.add(
            Level::Absent,
            "metrics",
            "off: there is no [serve.metrics] with `listen`",
        );
    };
    let listen = settings.listen;
    let client_ca = config
        .serve
        .metrics
        .as_ref()
        .and_then(|metrics| metrics.client_ca.as_ref());
    if let Some(file) = client_ca
        && let Err(error) = File::open(file)
    {
        let error =
            anyhow::Error::new(error).context(format!("failed to read `{}`", file.display()));
        findings.fail("metrics", &Failure::environment(error));
    }
    let has_issuers = !config.serve.issuers.is_empty();
    let (level, readers) = match client_ca {
        _ if listen.ip().to_canonical().is_loopback() => (
            Level::Good,
            "everybody on this machine may read them".to_owned(),
        ),
        None if has_issuers => (
            Level::Good,
            format!("read with a token of scope `{METRICS_SCOPE}`"),
        ),
        None => (
            Level::Warning,
            "nobody may read them (add [serve.issuers.NAME], or `client_ca` in [serve.metrics])"
                .to_owned(),
        ),
        Some(file) => {
            let mut readers = format!("read with a certificate of `{}`", file.display());
            if has_issuers {
                readers.push_str(&format!(" or a token of scope `{METRICS_SCOPE}`"));
            }
            (Level::Good, readers)
        }
    };
    match glasshouse_serve::bind(&settings) {
        Ok(_) => findings.add(level, "metrics", format!("`{listen}`, {readers}")),
        Err(ServeError::Bind { source, .. }) if source.kind() == ErrorKind::AddrInUse => {
            findings.add(
                Level::Warning,
                "metrics",
                format!("`{listen}` is taken; by the face itself, if it runs already; {readers}"),
            );
        }
        Err(error) => findings.fail("metrics", &wiring::serve_failure(error)),
    }
}
