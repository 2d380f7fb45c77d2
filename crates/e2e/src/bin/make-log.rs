//! Writes a log for measuring to standard output: `make-log LINES PERCENT_KNOCKS CLIENTS SEED`.
//! Says on standard error how many knocks are in it.

#![forbid(unsafe_code)]

use std::io::{self, BufWriter, Write};
use std::process::ExitCode;

use knock_e2e::loggen::{self, Mixture};

fn main() -> ExitCode {
    let numbers: Vec<u64> = std::env::args().skip(1).filter_map(|word| word.parse().ok()).collect();
    let [lines, percent_knocks, clients, seed] = numbers[..] else {
        let _closed = writeln!(io::stderr(), "usage: make-log LINES PERCENT_KNOCKS CLIENTS SEED");
        return ExitCode::from(64);
    };
    let clients = u32::try_from(clients).unwrap_or(u32::MAX);
    let mixture = Mixture { lines, percent_knocks, clients, seed };
    let mut out = BufWriter::with_capacity(1 << 20, io::stdout());
    match loggen::write(mixture, &mut out).and_then(|knocks| Ok(out.flush().map(|()| knocks)?)) {
        Ok(knocks) => {
            let _closed = writeln!(io::stderr(), "{knocks} knocks");
            ExitCode::SUCCESS
        }
        Err(error) => {
            let _closed = writeln!(io::stderr(), "make-log: {error}");
            ExitCode::FAILURE
        }
    }
}
