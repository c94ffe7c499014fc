//! The command line of Glasshouse: parse, build, run.
//!
//! Everything that Glasshouse does lives in the rooms; this crate reads the command line and the config, builds the rooms'
//! settings from them (`wiring.rs` alone names concrete types) and runs one role, or all of them under `up`.

mod cli;
mod commands;
mod config;
#[cfg(test)]
mod dashboards_tests;
mod exit;
mod logging;
mod near;
mod output;
mod pages;
mod places;
mod privileges;
mod registry;
mod roles;
mod times;
mod up;
mod wiring;

use std::process::ExitCode;

use clap::Parser as _;
use rustix::process::Signal;

use crate::cli::{AuditCommand, CollectorsCommand, Command, CommandLine, Global, StoreCommand};
use crate::exit::{Exit, Failure};
use crate::privileges::Keep;

/// Runs the command line of this process.
#[must_use]
pub fn main() -> ExitCode {
    let line = CommandLine::parse();
    match run(&line) {
        Ok(exit) => exit.into(),
        Err(failure) => {
            output::complain(&failure);
            failure.exit.into()
        }
    }
}

fn run(line: &CommandLine) -> Result<Exit, Failure> {
    // rights go before anything is read
    match &line.command {
        Command::Probe(probe) => {
            // a worker has nothing to put in order, and one that hangs hears nothing else
            let end = probe.worker.map_or(Signal::TERM, |_| Signal::KILL);
            if probe.worker.is_none() {
                // the collector of the kernel's log says what is missing where this fails
                glasshouse_sysfs::open_kernel_log().ok();
            }
            roles::enter(&probe.role, Keep::of_probe(probe.worker), end)?;
        }
        Command::Node(role) | Command::Serve(role) | Command::Authd(role) => {
            roles::enter(role, Keep::Nothing, Signal::TERM)?;
        }
        _ => {}
    }
    logging::start(&line.global.log)?;
    dispatch(&line.global, &line.command)
}

fn dispatch(global: &Global, command: &Command) -> Result<Exit, Failure> {
    use crate::commands::{
        audit, check, collect, collectors, events, export, generate, logs, mcp, policy, query,
        small, store,
    };

    match command {
        Command::Up(arguments) => up::run(global, arguments),
        Command::Probe(arguments) => match arguments.worker {
            None => roles::probe(global),
            Some(worker) => roles::worker(global, worker),
        },
        Command::Node(_) => roles::node(global),
        Command::Serve(role) => roles::serve(global, role),
        Command::Authd(role) => roles::authd(global, role),
        Command::Check(arguments) => check::run(global, arguments),
        Command::Collect(arguments) => collect::run(global, arguments),
        Command::Query(arguments) => query::run(global, arguments),
        Command::Events(arguments) => events::run(global, arguments),
        Command::Export(arguments) => export::run(global, arguments),
        Command::Logs(arguments) => logs::run(global, arguments),
        Command::Store {
            command: StoreCommand::Stat { json },
        } => store::run(global, *json),
        Command::Collectors {
            command: CollectorsCommand::List { json, root },
        } => collectors::list(global, *json, root.as_ref()),
        Command::Policy(arguments) => policy::run(global, arguments),
        Command::Audit {
            command: AuditCommand::Verify { directory, json },
        } => audit::verify(global, directory.as_ref(), *json),
        Command::Mcp(arguments) => mcp::run(arguments),
        Command::Completions { shell } => small::completions(*shell),
        Command::Man { directory } => small::man(directory),
        Command::Version { json } => small::version(*json),
        Command::Generate { directory } => generate::run(directory),
    }
}
