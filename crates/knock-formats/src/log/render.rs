//! A hit back to a line, for the client that writes into a log instead of knocking. Shapes of
//! lines are tried until one is read back by the format itself: there is no second description of
//! a format that could fall behind the first.

mod spelt;

use std::fmt;
use std::net::IpAddr;
use std::time::{Duration, SystemTime};

use chrono::{DateTime, Local};
use knock_wire::{Hit, Protocol};

use super::{FieldName, LogFormat};

impl LogFormat {
    /// A line, without its newline, that this format reads back as the same client and port.
    /// `wall` is the time written into it, where the shape has one.
    pub fn render(&self, hit: &Hit, wall: SystemTime) -> Result<String, RenderError> {
        let prefixes = prefixes(&self.literals);
        let shapes = [Shape::Classic, Shape::Iso, Shape::Ulogd, Shape::Ipchains, Shape::Uptime];
        let lines = shapes
            .into_iter()
            .flat_map(|shape| prefixes.iter().map(move |prefix| shape.line(prefix, hit, wall)));
        let after_models = self.models.iter().filter_map(|model| self.after(model, hit));
        let spelt = std::iter::once_with(|| self.spelt(hit, wall)).flatten();
        lines.chain(after_models).chain(spelt).find(|line| self.reads_back(line, hit)).ok_or_else(
            || {
                let format = self.name().to_owned();
                RenderError::NoShape { format, client: hit.client, port: hit.port }
            },
        )
    }

    /// Lines made from the expressions themselves.
    fn spelt(&self, hit: &Hit, wall: SystemTime) -> Vec<String> {
        let value = |field| match field {
            FieldName::IpClient => Some(hit.client.to_canonical().to_string()),
            FieldName::Port => Some(hit.port.to_string()),
            FieldName::IpServer => Some(server(hit).to_string()),
            FieldName::Interface => Some(interface(hit)),
            FieldName::Protocol => Some(protocol(hit).to_string()),
            FieldName::SourcePort => Some(source_port(hit).to_string()),
            FieldName::Flags => Some("SYN".to_owned()),
            FieldName::Required | FieldName::Sequence | FieldName::Time => None,
        };
        let since = wall.duration_since(SystemTime::UNIX_EPOCH).unwrap_or_default();
        let head = format!("{} localhost kernel: ", date(since, "%b %e %H:%M:%S"));
        spelt::lines(&self.expressions, value, &head)
    }

    fn reads_back(&self, line: &str, hit: &Hit) -> bool {
        self.hit(line.as_bytes())
            .is_some_and(|back| back.client == hit.client.to_canonical() && back.port == hit.port)
    }

    /// A sample line with another client and port in their places; and with the port that the
    /// packet comes from, by which one that was sent again is told from a new one.
    fn after(&self, model: &[u8], hit: &Hit) -> Option<String> {
        let [client, port] = self.places(model)?;
        let mut edits =
            vec![(client, hit.client.to_canonical().to_string()), (port, hit.port.to_string())];
        if let (Some(from), Some(place)) = (hit.source_port, self.place_of_source_port(model)) {
            edits.push((place, from.to_string()));
        }
        edits.sort_by_key(|(place, _)| place.start);
        let mut line = Vec::new();
        let mut from = 0;
        for (place, value) in &edits {
            line.extend_from_slice(model.get(from..place.start)?);
            line.extend_from_slice(value.as_bytes());
            from = place.end;
        }
        line.extend_from_slice(model.get(from..)?);
        String::from_utf8(line).ok()
    }
}

/// What may have to stand before the fields for `required` to match: nothing, or the texts that it
/// is made of.
fn prefixes(literals: &[String]) -> Vec<String> {
    let mut prefixes = vec![String::new()];
    for text in literals {
        let bare = text.trim().trim_start_matches("kernel:").trim();
        if !bare.is_empty() {
            prefixes.push(format!("{bare} "));
        }
        prefixes.push(text.clone());
    }
    if literals.len() > 1 {
        prefixes.push(format!("{} ", literals.concat()));
        prefixes.push(format!("{} ", literals.join(" ")));
    }
    prefixes
}

/// How a line can be laid out.
#[derive(Clone, Copy)]
pub(super) enum Shape {
    /// iptables by way of syslog, with the classic date.
    Classic,
    /// The same with an ISO 8601 date.
    Iso,
    /// ulogd's own file.
    Ulogd,
    /// ipchains by way of syslog.
    Ipchains,
    /// iptables as dmesg prints it.
    Uptime,
}

impl Shape {
    pub(super) fn line(self, prefix: &str, hit: &Hit, wall: SystemTime) -> String {
        let since = wall.duration_since(SystemTime::UNIX_EPOCH).unwrap_or_default();
        let classic = date(since, "%b %e %H:%M:%S");
        match self {
            Self::Classic => format!("{classic} localhost kernel: {}", netfilter(prefix, hit)),
            Self::Iso => {
                let iso = date(since, "%Y-%m-%dT%H:%M:%S%.6f%:z");
                format!("{iso} localhost kernel: {}", netfilter(prefix, hit))
            }
            Self::Ulogd => format!("{classic} localhost {}", ulogd(prefix, hit)),
            Self::Ipchains => {
                format!("{classic} localhost kernel: Packet log: {prefix}{}", ipchains(hit))
            }
            // There is no uptime to tell; the format of the number is all that matters.
            Self::Uptime => format!("[    0.000000] {}", netfilter(prefix, hit)),
        }
    }
}

fn date(since: Duration, format: &str) -> String {
    let seconds = i64::try_from(since.as_secs()).unwrap_or_default();
    // A clock so far off that chrono has no date for it must not stop a test line.
    let utc = DateTime::from_timestamp(seconds, since.subsec_nanos()).unwrap_or_default();
    utc.with_timezone(&Local).format(format).to_string()
}

fn netfilter(prefix: &str, hit: &Hit) -> String {
    let sequence = hit.sequence.map_or(String::new(), |n| format!("SEQ={n} ACK=0 "));
    let rest = match protocol(hit) {
        Protocol::TCP => format!("{sequence}WINDOW=64240 RES=0x00 SYN URGP=0 "),
        _ => "LEN=9 ".to_owned(),
    };
    fields(prefix, hit, &rest)
}

fn ulogd(prefix: &str, hit: &Hit) -> String {
    let rest = match protocol(hit) {
        Protocol::TCP => {
            format!("SEQ={} ACK=0 WINDOW=64240 SYN URGP=0 ", hit.sequence.unwrap_or_default())
        }
        _ => "LEN=9 ".to_owned(),
    };
    fields(prefix, hit, &rest)
}

fn ipchains(hit: &Hit) -> String {
    let protocol = protocol(hit);
    let syn = if protocol == Protocol::TCP { "SYN " } else { "" };
    format!(
        "input DENY {} PROTO={} {}:{} {}:{} L=60 S=0x00 I=1 F=0x4000 T=64 {syn}(#1)",
        interface(hit),
        protocol.0,
        hit.client.to_canonical(),
        source_port(hit),
        server(hit),
        hit.port,
    )
}

/// `IN=… DPT=…`, which iptables, nftables and ulogd have in common.
fn fields(prefix: &str, hit: &Hit, rest: &str) -> String {
    let ip = match hit.client.to_canonical() {
        IpAddr::V4(_) => "LEN=60 TOS=0x00 PREC=0x00 TTL=64 ID=1 DF",
        IpAddr::V6(_) => "LEN=80 TC=0 HOPLIMIT=64 FLOWLBL=0",
    };
    format!(
        "{prefix}IN={} OUT= MAC= SRC={} DST={} {ip} PROTO={} SPT={} DPT={} {rest}",
        interface(hit),
        written_out(hit.client.to_canonical()),
        written_out(server(hit)),
        protocol(hit),
        source_port(hit),
        hit.port,
    )
}

/// As the kernel prints it: IPv6 in eight groups of four digits.
fn written_out(address: IpAddr) -> String {
    match address {
        IpAddr::V4(address) => address.to_string(),
        IpAddr::V6(address) => address.segments().map(|group| format!("{group:04x}")).join(":"),
    }
}

fn interface(hit: &Hit) -> String {
    hit.interface.map_or("lo".to_owned(), |name| name.to_string())
}

fn protocol(hit: &Hit) -> Protocol {
    hit.protocol.unwrap_or(Protocol::TCP)
}

fn source_port(hit: &Hit) -> u16 {
    // Any port of a client's own choice will do.
    hit.source_port.unwrap_or(40000)
}

/// The address knocked at; the client's own where none is known, for a test on one machine.
fn server(hit: &Hit) -> IpAddr {
    hit.server.unwrap_or(hit.client).to_canonical()
}

/// No line can be written.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum RenderError {
    /// The format reads no line that we know how to write as this client and port.
    NoShape {
        /// The format's name.
        format: String,
        /// The client that should be read.
        client: IpAddr,
        /// The port that should be read.
        port: u16,
    },
}

impl fmt::Display for RenderError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::NoShape { format, client, port } => write!(
                f,
                "no line can be written that logformat '{format}' reads as port {port} from \
                 {client}; a sample line in the format that yields a hit would serve as a model"
            ),
        }
    }
}

impl std::error::Error for RenderError {}

#[cfg(test)]
mod tests;
