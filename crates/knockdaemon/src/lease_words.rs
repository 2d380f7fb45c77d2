//! What a knock makes of leases, in the words of the log, of `-test`, `replay` and `explain`, and as
//! JSON. Decides nothing, and grants nothing.

use knock_engine::{EndedBy, Hold, Lease, LeaseNews};
use serde_json::{Value, json};

/// In one line: `opens tcp port 22 to 192.0.2.7 for 600 s`.
pub(crate) fn news_text(news: &LeaseNews) -> String {
    match news {
        LeaseNews::Granted(lease) => format!("opens {} {}", lease.opening, length_text(lease)),
        LeaseNews::Renewed(lease) => {
            format!("opens {} again {}", lease.opening, length_text(lease))
        }
        LeaseNews::Ended { lease, why: EndedBy::CloseKnock } => format!("closes {}", lease.opening),
        LeaseNews::Ended { lease, why: EndedBy::NewAddress } => {
            format!("closes {}, since its user knocks from a new address", lease.opening)
        }
        LeaseNews::NothingOpen { client, protocol, port } => {
            format!("closes nothing: {protocol} port {port} is not open to {client}")
        }
        LeaseNews::Full { opening, most, client: Some(client) } => {
            format!("does not open {opening}: {client} has {most} leases, which is the most")
        }
        LeaseNews::Full { opening, most, client: None } => {
            format!("does not open {opening}: there are {most} leases, which is the most")
        }
    }
}

/// The same for programs.
pub(crate) fn news_json(news: &LeaseNews) -> Value {
    let of = |does: &str, lease: &Lease| {
        json!({
            "does": does,
            "template": lease.template,
            "network": lease.opening.network.to_string(),
            "protocol": lease.opening.protocol.as_str(),
            "port": lease.opening.port,
            "lease_s": seconds(lease),
            "hold": matches!(lease.hold, Hold::Connected { .. }),
        })
    };
    match news {
        LeaseNews::Granted(lease) => of("open", lease),
        LeaseNews::Renewed(lease) => of("renew", lease),
        LeaseNews::Ended { lease, .. } => of("close", lease),
        LeaseNews::NothingOpen { client, protocol, port } => json!({
            "does": "nothing",
            "network": client.to_string(),
            "protocol": protocol.as_str(),
            "port": port,
        }),
        LeaseNews::Full { opening, .. } => json!({
            "does": "refuse",
            "network": opening.network.to_string(),
            "protocol": opening.protocol.as_str(),
            "port": opening.port,
        }),
    }
}

/// Says what a knock that counts made of leases.
pub(crate) fn log(news: &LeaseNews) {
    let text = news_text(news);
    match news {
        LeaseNews::Granted(lease) | LeaseNews::Renewed(lease) | LeaseNews::Ended { lease, .. } => {
            let (client, template) = (lease.client, &lease.template);
            tracing::info!(%client, template, lease = lease.id.0, "{text}");
        }
        LeaseNews::NothingOpen { client, .. } => tracing::info!(%client, "{text}"),
        LeaseNews::Full { .. } => tracing::error!("{text}; revoke some, or wait for their ends"),
    }
}

/// For how long, from the last time that this was decided.
fn length_text(lease: &Lease) -> String {
    let held = match lease.hold {
        Hold::No => "",
        Hold::Connected { .. } => ", and on while connected",
    };
    match seconds(lease) {
        Some(seconds) => format!("for {seconds} s{held}"),
        None => "until it is closed".to_owned(),
    }
}

fn seconds(lease: &Lease) -> Option<u64> {
    let length = lease.until?.duration_since(lease.renewed).unwrap_or_default();
    Some(length.as_secs() + u64::from(length.subsec_nanos() > 0))
}
