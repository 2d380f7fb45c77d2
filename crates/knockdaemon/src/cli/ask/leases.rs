//! What `leases`, `revoke` and `extend` show to people.

use crate::cli::output::Printer;
use crate::cli::paint::{Paint, Role};
use crate::control::protocol::{Firewall, Lease, LeaseState, Leases, Revoked};

use super::table::{Cell, lines, number, span, word};
use super::{compared, shown};

/// What is open, in the sequence in which it was granted.
pub(super) fn show(leases: &Leases, paint: Paint, out: &mut Printer) {
    listed("nothing is open", leases.total, &leases.leases, &leases.firewall, paint, out);
}

/// What ends.
pub(super) fn revoked(revoked: &Revoked, paint: Paint, out: &mut Printer) {
    let Revoked { total, leases, unknown, firewall } = revoked;
    listed("nothing was open", *total, leases, firewall, paint, out);
    for id in unknown {
        out.line(&format!("there was no lease {id}"));
    }
}

/// That nothing is open is said of leases that agree with the firewall only.
fn listed(
    nothing: &str,
    total: usize,
    leases: &[Lease],
    firewall: &Firewall,
    paint: Paint,
    out: &mut Printer,
) {
    let warning = compared::warning(firewall);
    match (total, &warning) {
        (0, None) => out.line(&format!("no lease: {nothing}")),
        (0, Some(_)) => out.line("no lease"),
        _ => table(leases, paint, out),
    }
    more(total, leases.len(), out);
    if let Some(warning) = warning {
        out.line(&paint.text(Role::Bad, &warning));
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
