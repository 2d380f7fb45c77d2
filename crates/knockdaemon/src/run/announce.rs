//! What the log is told of the agenda, the clock and the sources. Decides nothing.

use std::time::Duration;

use knock_engine::{ClockNews, Lease, Ledger, Now};
use knock_sources::Notice;

use super::source_state::{SourceState, Trouble};

/// What an earlier run has left to do.
pub(super) fn agenda(ledger: &Ledger, now: &Now) {
    let overdue = ledger.orders().filter(|order| order.due <= now.wall).count();
    let waiting = ledger.orders().count();
    if waiting > 0 {
        tracing::info!(waiting, overdue, "agenda taken up; what is overdue runs now");
    }
    let over =
        |lease: &&Lease| !lease.is_wanted() || lease.until.is_some_and(|until| until <= now.wall);
    let (leases, overdue) = (ledger.leases().count(), ledger.leases().filter(over).count());
    if leases > 0 {
        tracing::info!(
            leases,
            overdue,
            "leases taken up; what is overdue is closed now, unless a session holds it"
        );
    }
}

/// That orders for the firewall wait, which would be a riddle else.
pub(super) fn left_behind(programs: usize) {
    tracing::warn!(
        programs,
        "an earlier run has left iptables running; orders for it wait for its end, half a minute at most"
    );
}

/// That somebody has set the clock.
pub(super) fn clock_set(news: &ClockNews) {
    let moved = news.moved;
    match news.step {
        Some(step) => tracing::warn!(
            moved,
            "the clock was set {step}; what waits comes when it would have come"
        ),
        None if moved > 0 => tracing::warn!(
            moved,
            "the machine was started anew and its clock stands before what the agenda knows; nothing \
             waits longer from now on than it was meant to"
        ),
        None => {}
    }
}

/// How far a source came.
pub(super) fn source(state: &SourceState, uptime: Duration) {
    let (source, read, hits) = (state.name(), state.lines(), state.hits());
    match (state.trouble_now(), state.last()) {
        (Some(trouble), _) => {
            let Trouble { error, failures, next_try } = trouble;
            let next_try = next_try.saturating_sub(uptime).as_secs();
            tracing::info!(source, read, hits, failures, next_try, "not readable: {error}");
        }
        (None, Some(last)) => {
            let seconds_ago = uptime.saturating_sub(last).as_secs();
            tracing::info!(
                source,
                read,
                hits,
                seconds_ago,
                "read so many lines or packets, the last one so long ago"
            );
        }
        (None, None) => tracing::info!(source, "read nothing"),
    }
}

/// What a source says of itself.
pub(super) fn notice(source: &str, notice: &Notice) {
    if notice.is_warning() {
        tracing::warn!(source, "{notice}");
    } else {
        tracing::info!(source, "{notice}");
    }
}
