//! The command line, as it is promised to scripts and users: nothing is listed that does not exist.

use std::net::SocketAddr;
use std::path::PathBuf;

use clap::{Args, Parser, Subcommand, ValueEnum};
use clap_complete::Shell;
use glasshouse_core::condition::Severity;
use glasshouse_core::log::LogSource;
use glasshouse_core::worker::Worker;

use crate::logging::DEFAULT_LEVEL;

/// Where the node and the face read their config where nothing is said.
pub(crate) const DEFAULT_CONFIG: &str = "/etc/glasshouse/glasshouse.toml";
/// Where the probe reads its config where nothing is said.
pub(crate) const DEFAULT_PROBE_CONFIG: &str = "/etc/glasshouse/probe.toml";

/// Node telemetry that AI agents can read and nobody can touch.
#[derive(Debug, Parser)]
#[command(
    name = "glasshouse",
    version,
    propagate_version = true,
    max_term_width = 100
)]
pub(crate) struct CommandLine {
    /// What holds for every command.
    #[command(flatten)]
    pub(crate) global: Global,
    /// What to do.
    #[command(subcommand)]
    pub(crate) command: Command,
}

/// What holds for every command.
#[derive(Args, Debug)]
pub(crate) struct Global {
    /// Config file [default: /etc/glasshouse/glasshouse.toml, for the probe probe.toml beside it]
    #[arg(
        long,
        global = true,
        value_name = "FILE",
        help_heading = "Global options"
    )]
    pub(crate) config: Option<PathBuf>,
    /// State folder: where telemetry and the audit log are [default: what the config says, /var/lib/glasshouse]
    #[arg(
        long,
        global = true,
        value_name = "DIR",
        help_heading = "Global options"
    )]
    pub(crate) state_dir: Option<PathBuf>,
    /// What is logged to standard error: a level, or a filter such as `info,glasshouse_store=debug`
    #[arg(long, global = true, value_name = "FILTER", env = "GLASSHOUSE_LOG", default_value = DEFAULT_LEVEL, help_heading = "Global options")]
    pub(crate) log: String,
}

/// Everything that Glasshouse does.
#[derive(Debug, Subcommand)]
pub(crate) enum Command {
    /// Try it: start everything on this machine's loopback interface
    Up(Up),
    /// Role: read the hardware and write frames for the node
    Probe(Probe),
    /// Role: take frames and keep the store
    Node(RoleArguments),
    /// Role: answer MCP clients
    Serve(RoleArguments),
    /// Role: sign people in, for a lab or one machine
    Authd(RoleArguments),
    /// Say what would run, what is missing and why
    Check(Check),
    /// Read this machine once and print what was read
    Collect(Collect),
    /// Print values of one metric from the store
    Query(Query),
    /// Print what is wrong, worst first; ends with 1 where something is open
    Events(Events),
    /// Print what kernel, BMC and GPU driver wrote into their logs, newest last
    Logs(Logs),
    /// Write stored samples as files for other programs, a folder a day
    Export(Export),
    /// Look into the store
    Store {
        /// What to look at.
        #[command(subcommand)]
        command: StoreCommand,
    },
    /// Look at the collectors
    Collectors {
        /// What to look at.
        #[command(subcommand)]
        command: CollectorsCommand,
    },
    /// Check and explain the policies
    Policy(Policy),
    /// Check the audit log
    Audit {
        /// What to check.
        #[command(subcommand)]
        command: AuditCommand,
    },
    /// Bridge a local MCP client on standard input and output to a face
    Mcp(Mcp),
    /// Print completions for a shell
    Completions {
        /// For which shell.
        shell: Shell,
    },
    /// Write the man pages into a folder
    Man {
        /// The folder; made where it is missing.
        directory: PathBuf,
    },
    /// Print the version
    Version {
        /// Print JSON: {"name", "version"}
        #[arg(long)]
        json: bool,
    },
    /// Write every generated file below the root of a checkout
    #[command(hide = true)]
    Generate {
        /// The root of the checkout.
        directory: PathBuf,
    },
}

/// `glasshouse up`.
#[derive(Args, Debug)]
pub(crate) struct Up {
    /// Where the face listens; the authorization server takes the port after it, port 0 takes free ones
    #[arg(long, value_name = "ADDRESS", default_value = "127.0.0.1:8765")]
    pub(crate) listen: SocketAddr,
    /// When ready, print one line: {"mcp", "issuer", "metrics", "login", "clients"}
    #[arg(long)]
    pub(crate) json: bool,
    /// What the probe is to do besides, as in probe.toml: name a BMC, switch a collector off
    #[arg(long, value_name = "FILE")]
    pub(crate) probe_config: Option<PathBuf>,
}

/// `glasshouse probe`.
#[derive(Args, Debug)]
pub(crate) struct Probe {
    /// Run this worker of the probe instead: `gpu` and `ipmi` are started by the probe, `bmc` and `privileged` by the
    /// service manager
    #[arg(value_name = "WORKER", value_parser = parse_worker)]
    pub(crate) worker: Option<Worker>,
    /// What the roles share.
    #[command(flatten)]
    pub(crate) role: RoleArguments,
}

/// What the roles share. `up` passes the hidden ones.
#[derive(Args, Debug)]
pub(crate) struct RoleArguments {
    /// Drop to this user before anything else is done.
    #[arg(long, value_name = "UID:GID", hide = true)]
    pub(crate) run_as: Option<String>,
    /// Have these supplementary groups, and no others.
    #[arg(long, value_name = "GID", value_delimiter = ',', hide = true)]
    pub(crate) groups: Vec<u32>,
    /// End when this process, the parent, ends.
    #[arg(long, value_name = "PID", hide = true)]
    pub(crate) supervised_by: Option<i32>,
    /// The listening socket is standard input.
    #[arg(long, hide = true)]
    pub(crate) listener_on_stdin: bool,
    /// The listening socket of the metrics is standard output.
    #[arg(long, hide = true)]
    pub(crate) metrics_on_stdout: bool,
}

/// `glasshouse check`.
#[derive(Args, Debug)]
pub(crate) struct Check {
    /// Print JSON: {"ok", "items": [{"level", "what", "says"}]}
    #[arg(long)]
    pub(crate) json: bool,
}

/// `glasshouse collect`.
#[derive(Args, Debug)]
pub(crate) struct Collect {
    /// Read once and end
    #[arg(long, required = true)]
    pub(crate) once: bool,
    /// Read the machine below this folder, e.g. a captured tree [default: what the config says, /]
    #[arg(long, value_name = "DIR")]
    pub(crate) root: Option<PathBuf>,
    /// How to print it
    #[arg(long, value_enum, default_value_t = CollectFormat::Openmetrics)]
    pub(crate) format: CollectFormat,
    /// Only this collector; may be given several times
    #[arg(long, value_name = "NAME")]
    pub(crate) collector: Vec<String>,
}

/// How `collect` prints.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub(crate) enum CollectFormat {
    /// OpenMetrics text, names as OpenTelemetry translates them for Prometheus.
    Openmetrics,
    /// One JSON object.
    Json,
}

/// `glasshouse query`.
#[derive(Args, Debug)]
pub(crate) struct Query {
    /// Name of the metric, e.g. system.cpu.time
    pub(crate) metric: String,
    /// Only series with this label; may be given several times
    #[arg(long, value_name = "KEY=VALUE", value_parser = parse_label)]
    pub(crate) label: Vec<(String, String)>,
    /// Start: RFC 3339, or back from now as in `-1h`
    #[arg(
        long,
        value_name = "TIME",
        default_value = "-1h",
        allow_hyphen_values = true
    )]
    pub(crate) from: String,
    /// End: RFC 3339, `now`, or back from now as in `-10m`
    #[arg(
        long,
        value_name = "TIME",
        default_value = "now",
        allow_hyphen_values = true
    )]
    pub(crate) to: String,
    /// One value for each of these, e.g. `1m` [default: a sixtieth of the window]
    #[arg(long, value_name = "SPAN")]
    pub(crate) step: Option<String>,
    /// How a step becomes one value [default: rate for counters, last for states, else mean]
    #[arg(long, value_name = "mean|min|max|sum|last|rate")]
    pub(crate) aggregation: Option<String>,
    /// How to print it
    #[arg(long, value_enum, default_value_t = QueryFormat::Table)]
    pub(crate) format: QueryFormat,
}

/// How `query` prints.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub(crate) enum QueryFormat {
    /// For people.
    Table,
    /// time,metric,labels,value,unit
    Csv,
    /// One JSON object.
    Json,
}

/// `glasshouse events`.
#[derive(Args, Debug)]
pub(crate) struct Events {
    /// Also what was resolved, newest first
    #[arg(long, conflicts_with = "follow")]
    pub(crate) all: bool,
    /// Go on with each change, looked for each second; ends with 0
    #[arg(long)]
    pub(crate) follow: bool,
    /// Print JSON, one line an event: {"id", "node", "state", "severity", "cause", "component", "source", "detail",
    /// "first_seen", "last_seen", "resolved", "evidence", "next_step"}
    #[arg(long)]
    pub(crate) json: bool,
}

/// `glasshouse logs`.
#[derive(Args, Debug)]
pub(crate) struct Logs {
    /// Only entries of this source; may be given several times
    #[arg(long, value_name = "sel|redfish|kernel|gpu", value_parser = parse_source)]
    pub(crate) source: Vec<LogSource>,
    /// Only entries at least this severe
    #[arg(long, value_name = "info|warning|critical", default_value = "info", value_parser = parse_severity)]
    pub(crate) severity: Severity,
    /// Start: RFC 3339, or back from now as in `-1h`; an entry counts by when it happened and by when it was heard
    #[arg(
        long,
        value_name = "TIME",
        default_value = "-24h",
        allow_hyphen_values = true
    )]
    pub(crate) from: String,
    /// End: RFC 3339, `now`, or back from now as in `-10m`
    #[arg(
        long,
        value_name = "TIME",
        default_value = "now",
        allow_hyphen_values = true
    )]
    pub(crate) to: String,
    /// Entries at most; the newest are kept
    #[arg(long, value_name = "N", default_value_t = 1000)]
    pub(crate) most: usize,
    /// Print JSON, one line an entry: {"at", "heard", "source", "origin", "id", "severity", "code", "component", "text",
    /// "raw"}
    #[arg(long)]
    pub(crate) json: bool,
}

/// `glasshouse export`.
#[derive(Args, Debug)]
pub(crate) struct Export {
    /// Which files
    #[arg(long, value_enum)]
    pub(crate) format: ExportFormat,
    /// Start: RFC 3339, or back from now as in `-24h` [default: the oldest sample]
    #[arg(long, value_name = "TIME", allow_hyphen_values = true)]
    pub(crate) from: Option<String>,
    /// End: RFC 3339, `now`, or back from now as in `-1h` [default: the newest sample]
    #[arg(long, value_name = "TIME", allow_hyphen_values = true)]
    pub(crate) to: Option<String>,
    /// Only this metric; may be given several times
    #[arg(long, value_name = "NAME")]
    pub(crate) metric: Vec<String>,
    /// Only series with this label; may be given several times
    #[arg(long, value_name = "KEY=VALUE", value_parser = parse_label)]
    pub(crate) label: Vec<(String, String)>,
    /// The folder to write into, made where it is missing; a day that stands there already is refused
    #[arg(long, value_name = "DIR")]
    pub(crate) output: PathBuf,
    /// Export days that stand there already: files that are written anew are replaced whole, others stay
    #[arg(long)]
    pub(crate) force: bool,
    /// Print JSON when it is done: {"format", "output", "days": [{"day", "files", "series", "samples", "bytes"}], "files",
    /// "samples", "bytes", "left_out", "damaged"}
    #[arg(long)]
    pub(crate) json: bool,
}

/// Which files `export` writes.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub(crate) enum ExportFormat {
    /// `day=…/collector=…/part-0.parquet`, for DuckDB, pandas, Spark and Polars.
    Parquet,
    /// `day=…/metrics.om`, for `promtool tsdb create-blocks-from openmetrics`.
    Openmetrics,
}

impl ExportFormat {
    /// The word for it.
    pub(crate) const fn word(self) -> &'static str {
        match self {
            Self::Parquet => "parquet",
            Self::Openmetrics => "openmetrics",
        }
    }
}

/// `glasshouse store …`.
#[derive(Debug, Subcommand)]
pub(crate) enum StoreCommand {
    /// What the store holds, tier by tier
    Stat {
        /// Print JSON.
        #[arg(long)]
        json: bool,
    },
}

/// `glasshouse collectors …`.
#[derive(Debug, Subcommand)]
pub(crate) enum CollectorsCommand {
    /// Every collector with its metrics, and why it is absent here
    List {
        /// Print JSON.
        #[arg(long)]
        json: bool,
        /// Look for the sources below this folder [default: what the config says, /]
        #[arg(long, value_name = "DIR")]
        root: Option<PathBuf>,
    },
}

/// `glasshouse policy …`.
#[derive(Args, Debug)]
pub(crate) struct Policy {
    /// The folder of the policies [default: what the config says, else those built in]
    #[arg(long, global = true, value_name = "DIR")]
    pub(crate) policies: Option<PathBuf>,
    /// What to do.
    #[command(subcommand)]
    pub(crate) command: PolicyCommand,
}

/// What can be done with policies.
#[derive(Debug, Subcommand)]
pub(crate) enum PolicyCommand {
    /// Parse them and check them against the schema
    Check,
    /// Decide one call and say which policies decided; ends with 1 where it is denied
    Explain(Box<Explain>),
    /// Print every task against every tool
    Matrix,
}

/// `glasshouse policy explain`.
#[derive(Args, Debug)]
pub(crate) struct Explain {
    /// The tool that is called
    #[arg(long)]
    pub(crate) tool: String,
    /// The task of the token; left out: a token without a task
    #[arg(long)]
    pub(crate) task: Option<String>,
    /// The person
    #[arg(long, default_value = "someone")]
    pub(crate) subject: String,
    /// The MCP client
    #[arg(long, default_value = "client")]
    pub(crate) client: String,
    /// A group of the person; may be given several times
    #[arg(long)]
    pub(crate) group: Vec<String>,
    /// An argument of the call; may be given several times
    #[arg(long, value_name = "KEY=VALUE", value_parser = parse_label)]
    pub(crate) argument: Vec<(String, String)>,
    /// Start of the window that the call reads: RFC 3339, or back from now
    #[arg(
        long,
        value_name = "TIME",
        default_value = "-15m",
        allow_hyphen_values = true
    )]
    pub(crate) from: String,
    /// End of that window
    #[arg(
        long,
        value_name = "TIME",
        default_value = "now",
        allow_hyphen_values = true
    )]
    pub(crate) to: String,
    /// Rows of the answer at most
    #[arg(long, default_value_t = 1)]
    pub(crate) rows: u64,
    /// Calls that the grant has made in the last 24 h
    #[arg(long, default_value_t = 0)]
    pub(crate) used_calls: u64,
    /// Rows that it was given in the last 24 h
    #[arg(long, default_value_t = 0)]
    pub(crate) used_rows: u64,
    /// Print JSON.
    #[arg(long)]
    pub(crate) json: bool,
}

/// `glasshouse audit …`.
#[derive(Debug, Subcommand)]
pub(crate) enum AuditCommand {
    /// Check the log against its signed checkpoints; ends with 1 where it was changed
    Verify {
        /// The state folder [default: that of --state-dir]
        #[arg(value_name = "STATE_DIR")]
        directory: Option<PathBuf>,
        /// Print JSON.
        #[arg(long)]
        json: bool,
    },
}

/// `glasshouse mcp`.
#[derive(Args, Debug)]
pub(crate) struct Mcp {
    /// The face's MCP endpoint
    #[arg(long, value_name = "URL", default_value = "http://127.0.0.1:8765/mcp")]
    pub(crate) url: String,
}

fn parse_worker(text: &str) -> Result<Worker, String> {
    let words = Worker::ALL.iter().map(|worker| worker.word());
    Worker::parse(text).ok_or_else(|| {
        let words: Vec<&str> = words.collect();
        format!("known: {}", words.join(", "))
    })
}

fn parse_source(text: &str) -> Result<LogSource, String> {
    LogSource::parse(text).ok_or_else(|| "write sel, redfish, kernel or gpu".to_owned())
}

fn parse_severity(text: &str) -> Result<Severity, String> {
    Severity::parse(text).ok_or_else(|| "write info, warning or critical".to_owned())
}

fn parse_label(text: &str) -> Result<(String, String), String> {
    match text.split_once('=') {
        Some((key, value)) if !key.is_empty() => Ok((key.to_owned(), value.to_owned())),
        _ => Err("write it as KEY=VALUE".to_owned()),
    }
}

#[cfg(test)]
mod tests {
    use clap::CommandFactory as _;

    use super::*;

    #[test]
    fn the_command_line_is_consistent() {
        CommandLine::command().debug_assert();
    }

    #[test]
    fn a_label_needs_a_key() {
        assert_eq!(parse_label("a=b=c"), Ok(("a".into(), "b=c".into())));
        assert!(parse_label("=b").is_err());
        assert!(parse_label("a").is_err());
    }
}
