//! Tasks of this workspace: `cargo xtask up | test | gen [--check] | fixtures capture | bench footprint`. Never shipped.
#![expect(clippy::print_stdout, reason = "a task's output is what it is run for")]

mod bench;
mod fixtures;
mod generate;
mod peers;
mod processes;
mod project;
mod sent;
mod test;
mod up;

use std::path::PathBuf;

use clap::{Parser, Subcommand};

#[derive(Debug, Parser)]
#[command(name = "cargo xtask", about = "Tasks of this workspace")]
struct Command {
    #[command(subcommand)]
    task: Task,
}

#[derive(Debug, Subcommand)]
enum Task {
    /// Build and run `glasshouse up`; further arguments are handed to it
    Up {
        #[arg(trailing_var_arg = true, allow_hyphen_values = true)]
        arguments: Vec<String>,
    },
    /// Install what the tests need where it is missing, run all tests, say what was skipped
    Test {
        /// Install nothing: tests whose peers are missing are skipped
        #[arg(long)]
        no_install: bool,
        /// Handed to `cargo test` (further ones after `--` to the test binaries)
        #[arg(trailing_var_arg = true, allow_hyphen_values = true)]
        arguments: Vec<String>,
    },
    /// Write the generated files: reference config, schemas, documents
    Gen {
        /// Change nothing; fail where a file is not what would be generated
        #[arg(long)]
        check: bool,
    },
    /// Record machines
    Fixtures {
        #[command(subcommand)]
        what: Fixtures,
    },
    /// Measure
    Bench {
        #[command(subcommand)]
        what: bench::Bench,
    },
}

#[derive(Debug, Subcommand)]
enum Fixtures {
    /// Record the files of this machine that collectors read, without serial numbers, addresses and names
    Capture {
        /// The folder to make; it must not exist or be empty
        #[arg(long, value_name = "DIR")]
        output: PathBuf,
        /// Record the tree below this folder instead of this machine
        #[arg(long, value_name = "DIR", default_value = "/")]
        root: PathBuf,
        /// Run the collectors over both, and print what the capture lost
        #[arg(long)]
        compare: bool,
    },
}

fn main() -> anyhow::Result<()> {
    match Command::parse().task {
        Task::Up { arguments } => up::run(&arguments),
        Task::Test {
            no_install,
            arguments,
        } => test::run(&arguments, !no_install),
        Task::Gen { check } => generate::run(check),
        Task::Fixtures {
            what:
                Fixtures::Capture {
                    output,
                    root,
                    compare,
                },
        } => {
            fixtures::capture(&root, &output)?;
            if compare {
                fixtures::compare(&root, &output)?;
            }
            Ok(())
        }
        Task::Bench { what } => bench::run(what),
    }
}
