//! The part of Glasshouse that works on whole tables, a program of its own: `glasshouse` starts it for a command and shows what
//! it says. It has what the resident processes must not have: Polars, and the memory that tables take.
//!
//! What it says stands on standard output, one JSON object a line; what fails, on standard error as one line.

mod limits;
mod parquet;
mod say;

use std::process::ExitCode;

use clap::{Parser, Subcommand};

/// Work on whole tables; started by `glasshouse`.
#[derive(Debug, Parser)]
#[command(name = "glasshouse-analyze", version)]
struct CommandLine {
    #[command(subcommand)]
    job: Job,
}

#[derive(Debug, Subcommand)]
enum Job {
    /// Write samples as Parquet, for `glasshouse export`
    Parquet(parquet::Arguments),
}

/// Something around the program is missing, as `glasshouse` ends where that is so.
const ENVIRONMENT: u8 = 3;

fn main() -> ExitCode {
    let line = CommandLine::parse();
    limits::set();
    let done = match &line.job {
        Job::Parquet(arguments) => parquet::run(arguments),
    };
    match done {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            say::complain(&error);
            ExitCode::from(ENVIRONMENT)
        }
    }
}
