//! Where the daemon's own words go: to the journal with fields when systemd started it, else to
//! standard error.

use std::io::IsTerminal;
use std::sync::LazyLock;

use tracing::level_filters::LevelFilter;
use tracing_subscriber::prelude::*;

/// How much is said.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Volume {
    /// Errors only.
    Quiet,
    /// Accepted knocks, orders, and what an admin has to know.
    Normal,
    /// Each hit and each decision as well.
    Debug,
}

/// Whether the daemon may quote log lines among its own words. Not in the journal: a syslog daemon may
/// write those into the very file that is followed, and an old format without an anchor would take
/// the quotation for a new hit, for ever.
pub(crate) fn may_quote_lines() -> bool {
    static MAY: LazyLock<bool> = LazyLock::new(|| std::env::var_os("JOURNAL_STREAM").is_none());
    *MAY
}

/// Sets the program's logger up. A second call changes nothing.
pub(crate) fn start(volume: Volume) {
    let level = match volume {
        Volume::Quiet => LevelFilter::ERROR,
        Volume::Normal => LevelFilter::INFO,
        Volume::Debug => LevelFilter::DEBUG,
    };
    let registry = tracing_subscriber::registry().with(level);
    // Under systemd standard error is a pipe to the journal, which would lose the fields.
    let journal = std::env::var_os("JOURNAL_STREAM").and_then(|_| tracing_journald::layer().ok());
    let started = match journal {
        Some(journal) => registry.with(journal).try_init(),
        None => registry
            .with(
                tracing_subscriber::fmt::layer()
                    .with_writer(std::io::stderr)
                    .with_ansi(std::io::stderr().is_terminal())
                    .with_target(false),
            )
            .try_init(),
    };
    // The only failure is that a logger is there already, which is what we want.
    drop(started);
}
