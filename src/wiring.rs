//! From config to rooms: the one place that names concrete types.

use std::ffi::OsString;
use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use anyhow::Context as _;
use glasshouse_audit::{AuditLog, AuditSettings};
use glasshouse_auth::{
    AuthSettings, IntrospectionSettings, IssuerSettings, TokenVerifier, resource_metadata,
};
use glasshouse_authd::{AuthdSettings, ClientSettings, User};
use glasshouse_core::access::{Authorizer as _, SCOPES};
use glasshouse_core::time::{Clock, SystemClock};
use glasshouse_core::worker::{Station, Worker};
use glasshouse_mcp::{FaceSettings, FaceWorld, McpService};
use glasshouse_node::NodeSettings;
use glasshouse_policies::{Place, PolicyEngine};
use glasshouse_probe::{Planned, ProbeSettings, Reach, Tempo, WorkerPlan};
use glasshouse_serve::{
    ClientCertificates, ListenerCounters, Pages, RESOURCE_METADATA_PATH, Routes, ServeError,
    ServeLimits, ServeSettings, TlsFiles,
};
use glasshouse_store::findings::FindingFiles;
use glasshouse_store::inventory::InventoryFile;
use glasshouse_store::{Keep, Retention, SeriesLimits, StoreReader, StoreSettings};
use tokio::signal::unix::Signal;
use tokio::sync::Notify;

use crate::commands::policy::policy_failure;
use crate::config::face::{FaceConfig, IntrospectionConfig, IssuerConfig, TlsConfig};
use crate::config::main_file::MainConfig;
use crate::config::probe_file::ProbeConfig;
use crate::config::remote_write::RemoteWriteConfig;
use crate::config::secret;
use crate::config::store::StoreConfig;
use crate::exit::Failure;
use crate::pages::{CountedAudit, FacePages, PageWorld};

/// What the resource calls itself in its metadata.
const RESOURCE_NAME: &str = "Glasshouse";
/// Budgets of tasks are counted over this time.
const USAGE_WINDOW: Duration = Duration::from_secs(24 * 3600);

/// The collectors, planned as the config says.
pub(crate) fn planned(config: ProbeConfig) -> Vec<Planned> {
    config
        .collectors
        .into_iter()
        .map(|collector| Planned {
            spec: collector.spec,
            options: collector.options,
            interval: collector.interval,
            enabled: collector.enabled,
        })
        .collect()
}

/// The probe, which starts its children with the same config file and log filter.
pub(crate) fn probe_settings(config: ProbeConfig, file: Option<&Path>, log: &str) -> ProbeSettings {
    let children = Worker::ALL
        .iter()
        .filter(|worker| worker.station() == Station::Child)
        .map(|worker| WorkerPlan {
            worker: *worker,
            reach: Reach::Start {
                program: PathBuf::from(OWN_PROGRAM),
                arguments: child_arguments(*worker, file, log),
            },
        });
    let apart = config.workers.iter().map(|(worker, frames)| WorkerPlan {
        worker: *worker,
        reach: Reach::Fifo(frames.clone()),
    });
    ProbeSettings {
        workers: children.chain(apart).collect(),
        root: config.root.clone(),
        frames: config.frames.clone(),
        collectors: planned(config),
        tempo: Tempo::default(),
    }
}

/// The program that runs now, however it was started and whatever has been installed since.
const OWN_PROGRAM: &str = "/proc/self/exe";

fn child_arguments(worker: Worker, file: Option<&Path>, log: &str) -> Vec<OsString> {
    let mut arguments: Vec<OsString> = vec!["probe".into(), worker.word().into()];
    if let Some(file) = file {
        // the child starts in another folder
        let file = std::path::absolute(file).unwrap_or_else(|_| file.to_owned());
        arguments.extend(["--config".into(), file.into()]);
    }
    let parent = std::process::id().to_string();
    arguments.extend(["--log".into(), log.into(), "--supervised-by".into()]);
    arguments.push(parent.into());
    arguments
}

/// A worker: the collectors that run in it.
pub(crate) fn worker_settings(config: ProbeConfig, worker: Worker) -> ProbeSettings {
    let (root, frames) = (config.root.clone(), config.frames.clone());
    let mut collectors = planned(config);
    collectors.retain(|planned| planned.spec.worker() == Some(worker));
    ProbeSettings {
        root,
        frames,
        collectors,
        workers: Vec::new(),
        tempo: Tempo::default(),
    }
}

/// The FIFO of a worker that stands apart.
pub(crate) fn worker_frames(config: &ProbeConfig, worker: Worker) -> PathBuf {
    let mut all = config.workers.iter();
    all.find(|(known, _)| *known == worker)
        .map(|(_, frames)| frames.clone())
        .unwrap_or_default()
}

/// The listener of the face.
pub(crate) fn serve_settings(config: &FaceConfig) -> Result<ServeSettings, Failure> {
    let listen = config
        .listen
        .context("`listen` is missing in [serve]")
        .map_err(Failure::usage)?;
    Ok(ServeSettings {
        listen,
        tls: config.tls.as_ref().map(|tls| tls_files(tls, None)),
        limits: ServeLimits::default(),
        counters: Arc::default(),
    })
}

/// The listener of `/metrics`, where there is one.
pub(crate) fn metrics_settings(config: &FaceConfig) -> Option<ServeSettings> {
    let metrics = config.metrics.as_ref()?;
    let files = |tls| tls_files(tls, metrics.client_ca.as_ref());
    Some(ServeSettings {
        listen: metrics.listen,
        tls: config.tls.as_ref().map(files),
        limits: ServeLimits::default(),
        counters: Arc::default(),
    })
}

/// A certificate of `readers` is welcome and needs nothing else; without them clients show what `[serve.tls]` demands.
fn tls_files(tls: &TlsConfig, readers: Option<&PathBuf>) -> TlsFiles {
    let clients = match (readers, &tls.client_ca) {
        (Some(readers), _) => ClientCertificates::Welcome(readers.clone()),
        (None, Some(clients)) => ClientCertificates::Demanded(clients.clone()),
        (None, None) => ClientCertificates::Ignored,
    };
    TlsFiles {
        certificate: tls.certificate.clone(),
        key: tls.key.clone(),
        clients,
    }
}

/// Why the face cannot listen: a wrong config, or something around it.
pub(crate) fn serve_failure(error: ServeError) -> Failure {
    match &error {
        ServeError::PlainOffLoopback { .. } => Failure::usage(error),
        _ => Failure::environment(error),
    }
}

/// Whose tokens are taken. Reads the secrets.
pub(crate) fn auth_settings(config: &FaceConfig) -> Result<AuthSettings, Failure> {
    Ok(AuthSettings {
        audience: config.resource.clone(),
        issuers: config
            .issuers
            .iter()
            .map(issuer)
            .collect::<Result<_, _>>()?,
        groups: config.groups.clone(),
    })
}

fn issuer(config: &IssuerConfig) -> Result<IssuerSettings, Failure> {
    let introspection = config.introspection.as_ref().map(introspection);
    Ok(IssuerSettings {
        issuer: config.issuer.clone(),
        jwks_uri: config.jwks_uri.clone(),
        introspection: introspection.transpose()?,
        groups_claim: config.groups_claim.clone(),
    })
}

fn introspection(config: &IntrospectionConfig) -> Result<IntrospectionSettings, Failure> {
    Ok(IntrospectionSettings {
        endpoint: config.endpoint.clone(),
        client_id: config.client_id.clone(),
        client_secret: secret::read(&config.client_secret_file).map_err(Failure::environment)?,
    })
}

/// The face, built and not yet listening.
pub(crate) struct Face {
    service: McpService,
    pages: PageWorld,
    allowed_hosts: Vec<String>,
    metadata: Vec<u8>,
    resource: String,
    engine: Arc<PolicyEngine>,
    policies: Option<PathBuf>,
}

impl Face {
    /// Opens what the face reads and writes.
    pub(crate) fn build(config: MainConfig) -> Result<Self, Failure> {
        let clock: Arc<dyn Clock> = Arc::new(SystemClock);
        let settings = auth_settings(&config.serve)?;
        if settings.issuers.is_empty() {
            tracing::warn!("No issuer is configured: every request is refused.");
        }
        let issuers = settings.issuers.iter().map(|one| one.issuer.clone());
        let (issuers, groups) = (issuers.collect(), settings.groups.keys().cloned().collect());
        let metadata = resource_metadata(&settings, RESOURCE_NAME).to_string();
        let verifier = TokenVerifier::new(settings, Arc::clone(&clock)).map_err(Failure::usage)?;
        let engine = PolicyEngine::load(config.serve.policies.as_deref())
            .map_err(|error| policy_failure(&error))?
            .with_place(place(&config))
            .with_issuers(issuers, groups)
            .map_err(|error| policy_failure(&error))?;
        refuse_unknown_task(&engine, &config.serve.default_task)?;
        let engine = Arc::new(engine);
        let audit = config.state_dir.join("audit");
        let since = clock.now().before(USAGE_WINDOW);
        let kept = AuditSettings {
            most_bytes: config.serve.audit_most_bytes,
            ..AuditSettings::default()
        };
        let audit = AuditLog::open(&audit, kept).map_err(Failure::environment)?;
        // behind the recovery and under the lock: nobody else adds a call between counting and serving
        let usage = audit.usage(since).map_err(Failure::environment)?;
        let pages = PageWorld {
            samples: Arc::new(StoreReader::open(&config.state_dir.join("store"))),
            inventory: Arc::new(InventoryFile::new(&config.state_dir.join("inventory"))),
            clock,
            decisions: Arc::default(),
        };
        let world = FaceWorld {
            samples: Arc::clone(&pages.samples),
            findings: Arc::new(FindingFiles::new(&config.state_dir.join("findings"))),
            inventory: Arc::clone(&pages.inventory),
            authenticator: Arc::new(verifier),
            authorizer: Arc::<PolicyEngine>::clone(&engine),
            audit: Arc::new(CountedAudit::new(audit, Arc::clone(&pages.decisions))),
            clock: Arc::clone(&pages.clock),
            usage,
            settings: face_settings(&config),
        };
        Ok(Self {
            service: glasshouse_mcp::service(world),
            pages,
            allowed_hosts: config.serve.allowed_hosts,
            metadata: metadata.into_bytes(),
            resource: config.serve.resource,
            engine,
            policies: config.serve.policies,
        })
    }

    /// What answers which path.
    pub(crate) fn routes(&self) -> Routes<McpService> {
        Routes {
            mcp: self.service.clone(),
            resource_metadata: self.metadata.clone().into(),
        }
    }

    /// The pages of the second listener; `listeners` are what both of them count.
    pub(crate) fn pages(&self, listeners: [(&'static str, Arc<ListenerCounters>); 2]) -> Pages {
        let source = FacePages::new(self.pages.clone(), self.service.clone(), listeners);
        Pages {
            source: Arc::new(source),
            allowed_hosts: self.allowed_hosts.clone(),
        }
    }

    /// The URL of `/mcp`.
    pub(crate) fn resource(&self) -> &str {
        &self.resource
    }

    /// Reads policies and certificates again at each signal; never ends. What is broken keeps what was good.
    pub(crate) async fn reload_on(&self, mut signal: Signal, certificates: &[Arc<Notify>]) {
        while signal.recv().await.is_some() {
            tracing::info!(
                "Reading policies and certificates again; the rest of the config is read at a restart."
            );
            // the engine logs what was wrong and keeps the last good set
            drop(self.engine.reload(self.policies.as_deref()));
            certificates.iter().for_each(|one| one.notify_one());
        }
        std::future::pending().await
    }
}

fn face_settings(config: &MainConfig) -> FaceSettings {
    let resource = config.serve.resource.clone();
    let origin = resource.strip_suffix("/mcp").unwrap_or(&resource);
    FaceSettings {
        resource_metadata: format!("{origin}{RESOURCE_METADATA_PATH}"),
        allowed_hosts: config.serve.allowed_hosts.clone(),
        allowed_origins: config.serve.allowed_origins.clone(),
        default_task: config.serve.default_task.clone(),
        node_labels: config.labels.clone(),
        resource,
    }
}

/// Where the one node behind this face stands, for the policies.
fn place(config: &MainConfig) -> Place {
    let label = |key: &str| config.labels.get(key).cloned();
    Place {
        rack: label("rack"),
        site: label("site"),
    }
}

/// A challenge must not propose a task that the policies do not know.
pub(crate) fn refuse_unknown_task(engine: &PolicyEngine, task: &str) -> Result<(), Failure> {
    let tasks = engine.tasks();
    if tasks.iter().any(|known| known.name == task) {
        return Ok(());
    }
    let names: Vec<&str> = tasks.iter().map(|known| known.name.as_str()).collect();
    Err(Failure::usage(anyhow::anyhow!(
        "the default task `{task}` is described by no policy file"
    ))
    .help(format!("tasks: {}", names.join(", "))))
}

/// The authorization server, and where it listens where nobody hands it a listener. Reads the secrets.
pub(crate) fn authd_settings(config: &MainConfig) -> Result<(SocketAddr, AuthdSettings), Failure> {
    let authd = config
        .authd
        .as_ref()
        .context("the authorization server is not configured: there is no [authd]")
        .map_err(Failure::usage)?;
    let listen = authd
        .listen
        .context("`listen` is missing in [authd]")
        .map_err(Failure::usage)?;
    let read = |path: &PathBuf| secret::read(path).map_err(Failure::environment);
    let engine = PolicyEngine::load(config.serve.policies.as_deref())
        .map_err(|error| policy_failure(&error))?;
    let mut users = Vec::new();
    for (name, password_file) in &authd.users {
        users.push(User {
            name: name.clone(),
            password: read(password_file)?,
        });
    }
    let mut resource_servers = Vec::new();
    for (id, secret_file) in &authd.resource_servers {
        resource_servers.push((id.clone(), read(secret_file)?));
    }
    let clients = authd.clients.iter().map(|client| ClientSettings {
        id: client.client_id.clone(),
        name: client
            .name
            .clone()
            .unwrap_or_else(|| client.client_id.clone()),
        redirect_uris: client.redirect_uris.clone(),
        secret: None,
    });
    let settings = AuthdSettings {
        issuer: authd.issuer.clone(),
        key_dir: authd.key_dir.clone(),
        users,
        resource: authd.resource.clone(),
        tasks: engine.tasks(),
        default_task: authd.default_task.clone(),
        scopes: SCOPES.iter().map(|scope| (*scope).to_owned()).collect(),
        clients: clients.collect(),
        resource_servers,
        allow_loopback_cimd: authd.loopback_client_metadata,
        cimd_roots: Vec::new(),
        access_token_ttl: authd.access_token_lifetime,
        refresh_token_ttl: authd.sign_in_lifetime,
    };
    Ok((listen, settings))
}

/// What the store keeps.
pub(crate) const fn retention(config: &StoreConfig) -> Retention {
    Retention {
        raw: config.keep_samples,
        minute: config.keep_minutes,
        hour: config.keep_hours,
        bytes: config.most_bytes,
        raw_bytes: config.most_sample_bytes,
        minute_bytes: config.most_minute_bytes,
        hour_bytes: config.most_hour_bytes,
    }
}

fn store_settings(config: &StoreConfig) -> StoreSettings {
    StoreSettings {
        retention: retention(config),
        series: SeriesLimits {
            a_collector: config.most_series_a_collector,
            all: config.most_series,
        },
        ..StoreSettings::default()
    }
}

/// The node.
pub(crate) fn node_settings(config: MainConfig) -> NodeSettings {
    let store = store_settings(&config.store);
    let logs = Keep {
        age: config.store.keep_logs,
        bytes: config.store.most_log_bytes,
    };
    let own_key = config.state_dir.join("node/checkpoint.key");
    NodeSettings {
        checkpoint_key: config.node.checkpoint_key.unwrap_or(own_key),
        state_dir: config.state_dir,
        frames: config.node.frames,
        machine_id: config.node.machine_id,
        host_name: None,
        store,
        logs,
        remote: config.remote_write.map(RemoteWriteConfig::settings),
        tempo: glasshouse_node::Tempo::default(),
    }
}
