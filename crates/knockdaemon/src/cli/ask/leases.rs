//! What `leases`, `revoke` and `extend` show to people.

use crate::cli::output::Printer;
use crate::cli::paint::{Paint, Role};
use crate::control::protocol::{Lease, LeaseState, Leases, Revoked};

use super::table::{Cell, lines, number, span, word};
use super::{compared, shown};

/// What is open, in the sequence in which it was granted.
pub(super) fn show(leases: &Leases, paint: Paint, out: &mut Printer) {
    let warning = compared::warning(&leases.firewall);
    match (leases.total, &warning) {
        (0, None) => out.line("no lease: nothing is open"),
        (0, Some(_)) => out.line("no lease"),
        _ => table(&leases.leases, paint, out),
    }
    more(leases.total, leases.leases.len(), out);
    if let Some(warning) = warning {
        out.line(&paint.text(Role::Bad, &warning));
    }
}

/// What ends.
pub(super) fn revoked(revoked: &Revoked, paint: Paint, out: &mut Printer) {
    if revoked.total == 0 {
        out.line("no lease: nothing was open");
        return;
    }
    table(&revoked.leases, paint, out);
    more(revoked.total, revoked.leases.len(), out);
    for id in &revoked.unknown {
        out.line(&format!("there was no lease {id}"));
    }
}

/// The lease with its new end.
pub(super) fn extended(lease: &Lease, paint: Paint, out: &mut Printer) {
    table(std::slice::from_ref(lease), paint, out);
}

fn table(leases: &[Lease], paint: Paint, out: &mut Printer) {
    let rows: Vec<Vec<Cell>> = leases.iter().map(row).collect();
    let heading = ["id", "state", "port", "to", "left", "until", "user", "knock"];
    lines(&heading, &rows, 0, paint).iter().for_each(|line| out.line(line));
    for lease in leases {
        if let Some(trouble) = &lease.trouble {
            out.line(&format!("lease {}: {}", lease.id, shown(trouble)));
        }
    }
}

fn row(lease: &Lease) -> Vec<Cell> {
    let state = match lease.state {
        LeaseState::Opening => word("opening"),
        LeaseState::Open => word("open").role(Role::Good),
        LeaseState::Closing => word("closing").role(Role::Notable),
        LeaseState::Failed => word("FAILED").role(Role::Bad),
    };
    let left = match lease.left_s {
        Some(left) if left < 0.0 => number(span(-left) + " late").role(Role::Notable),
        Some(left) => number(span(left)),
        None => number("no end"),
    };
    let until = lease.until.as_deref().map_or("-".to_owned(), shown);
    // A session keeps it beyond that.
    let until = if lease.hold { until + ", held" } else { until };
    vec![
        number(lease.id),
        state,
        number(format!("{}/{}", lease.port, shown(&lease.protocol))),
        word(shown(&lease.to)),
        left,
        word(until),
        word(lease.user.as_deref().map_or("-".to_owned(), shown)),
        word(shown(&lease.knock)),
    ]
}

fn more(total: usize, shown: usize, out: &mut Printer) {
    if total > shown {
        out.line(&format!("… and {} more", total - shown));
    }
}
