//! Chores of the project: generated documents, shipped examples, tidiness.
//! `cargo xtask docs|examples|tidy`; `make test` runs all three.

#![forbid(unsafe_code)]

mod docs;
mod examples;
mod tidy;

use std::io::Write;
use std::path::{Path, PathBuf};
use std::process::ExitCode;

use clap::{Parser, Subcommand};

/// Chores of the project.
#[derive(Parser)]
#[command(name = "cargo xtask")]
struct Cli {
    #[command(subcommand)]
    chore: Chore,
}

#[derive(Subcommand)]
enum Chore {
    /// Write the generated documents anew
    Docs {
        /// Write nothing; fail if one is not what it should be
        #[arg(long)]
        check: bool,
    },
    /// Run `knockdaemon check` or `knockclient -test` on each shipped example
    Examples,
    /// Look for oversized files, missing module docs, dead links and the like
    Tidy,
}

fn main() -> ExitCode {
    let root = root();
    let faults = match Cli::parse().chore {
        Chore::Docs { check } => docs::run(&root, check),
        Chore::Examples => examples::run(&root),
        Chore::Tidy => tidy::run(&root),
    };
    for fault in &faults {
        let _closed = writeln!(std::io::stderr(), "{fault}");
    }
    if faults.is_empty() { ExitCode::SUCCESS } else { ExitCode::FAILURE }
}

/// The project's top folder.
fn root() -> PathBuf {
    let here = Path::new(env!("CARGO_MANIFEST_DIR"));
    here.ancestors().nth(2).unwrap_or(here).to_path_buf()
}
