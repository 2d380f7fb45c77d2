//! What may go wrong with a format that works. Old formats must run, so these are warnings; the
//! strongest of them shows a line that a stranger could have written and that is taken for a hit.

use std::fmt;
use std::net::{IpAddr, Ipv4Addr};
use std::time::SystemTime;

use knock_wire::{Hit, Protocol};
use regex_syntax::hir::{Class, Hir, HirKind, Look};

use super::render::Shape;
use super::{FieldName, LogFormat};

impl LogFormat {
    /// Warnings for `check`: the format runs all the same.
    #[must_use]
    pub fn lint(&self) -> &[FormatLint] {
        &self.lints
    }
}

/// A warning about one expression.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct FormatLint {
    /// The expression it is about.
    pub field: FieldName,
    /// What about it.
    pub kind: Lint,
}

/// What may go wrong.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Lint {
    /// `required` may match anywhere in the line.
    Unanchored,
    /// This line, with a text of a stranger's choice in it, is taken for a hit.
    Forged {
        /// The line.
        line: String,
        /// The address that it makes us believe.
        client: IpAddr,
    },
    /// Something before the group swallows as much of the line as it can.
    Greedy {
        /// A line that is taken for somebody else's because of it, where one can be made up.
        proof: Option<Proof>,
    },
    /// The group may capture nothing at all.
    EmptyCapture {
        /// As above.
        proof: Option<Proof>,
    },
}

/// A line that ends in a text of a stranger's choice, and what it makes us believe.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Proof {
    /// The line.
    pub line: String,
    /// Whose packet it is taken for.
    pub client: IpAddr,
    /// The port that it is taken for.
    pub port: u16,
}

impl fmt::Display for Proof {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { line, client, port } = self;
        write!(
            f,
            ": with a text of others at its end this counts as port {port} from {client}: {line}"
        )
    }
}

impl FormatLint {
    /// The way out, where there is one to tell.
    #[must_use]
    pub fn help(&self) -> Option<String> {
        let help = match self.kind {
            Lint::Unanchored | Lint::Forged { .. } => {
                "begin `required` with ^ and spell out the line up to the firewall's own text, \
                 or use one of the shipped formats"
            }
            Lint::Greedy { .. } => {
                "leave it out: a group is looked for everywhere in the line anyway"
            }
            Lint::EmptyCapture { .. } => "write + instead of * for what the group repeats",
        };
        Some(help.to_owned())
    }
}

impl fmt::Display for FormatLint {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}: ", self.field)?;
        match &self.kind {
            Lint::Unanchored => {
                f.write_str("matches anywhere in a line, so text from others may fit")
            }
            Lint::Forged { line, client } => {
                write!(f, "a stranger who picks a login name can pass for {client}: {line}")
            }
            Lint::Greedy { proof } => {
                f.write_str("a greedy .* before the group makes the last match in the line count")?;
                proof.as_ref().map_or(Ok(()), |proof| proof.fmt(f))
            }
            Lint::EmptyCapture { proof } => {
                f.write_str("the group may capture nothing, and then a later match counts")?;
                proof.as_ref().map_or(Ok(()), |proof| proof.fmt(f))
            }
        }
    }
}

/// Whether an expression can match nowhere but at the line's start.
pub(super) fn anchored(hir: &Hir) -> bool {
    hir.properties().look_set_prefix().contains(Look::Start)
}

/// What can be told from one expression alone.
pub(super) fn expression(field: FieldName, hir: &Hir) -> Vec<FormatLint> {
    if !matches!(field, FieldName::IpClient | FieldName::Port) {
        return Vec::new();
    }
    let mut lints = Vec::new();
    if group(hir).is_some_and(|group| group.properties().minimum_len() == Some(0)) {
        lints.push(FormatLint { field, kind: Lint::EmptyCapture { proof: None } });
    }
    if let HirKind::Concat(parts) = hir.kind()
        && (0..parts.len())
            .take_while(|at| parts.get(*at).is_some_and(|part| group(part).is_none()))
            .any(|at| parts.get(at..).and_then(<[Hir]>::split_first).is_some_and(swallows))
    {
        lints.push(FormatLint { field, kind: Lint::Greedy { proof: None } });
    }
    lints
}

/// The first group's inside.
fn group(hir: &Hir) -> Option<&Hir> {
    match hir.kind() {
        HirKind::Capture(capture) => Some(&capture.sub),
        HirKind::Concat(parts) | HirKind::Alternation(parts) => parts.iter().find_map(group),
        HirKind::Repetition(repetition) => group(&repetition.sub),
        HirKind::Empty | HirKind::Literal(_) | HirKind::Class(_) | HirKind::Look(_) => None,
    }
}

/// A greedy run that goes over the blanks between fields. One that stops short of a byte which must
/// follow it cannot go beyond the first of these, so it leaves no choice: `^[^>]* > (`.
fn swallows((run, rest): (&Hir, &[Hir])) -> bool {
    let HirKind::Repetition(run) = run.kind() else { return false };
    let HirKind::Class(Class::Bytes(class)) = run.sub.kind() else { return false };
    let holds = |byte| class.ranges().iter().any(|r| (r.start()..=r.end()).contains(&byte));
    let stops = rest.iter().any(|part| match part.kind() {
        HirKind::Literal(literal) => literal.0.iter().any(|byte| !holds(*byte)),
        _ => false,
    });
    run.greedy && run.max.is_none() && holds(b' ') && holds(b'=') && !stops
}

/// Who sends honest packets in the lines that are made up here, and on which port.
const HONEST: (IpAddr, u16) = (IpAddr::V4(Ipv4Addr::new(203, 0, 113, 7)), 22);
/// Whom a stranger wants to pass for.
const VICTIM: (IpAddr, u16) = (IpAddr::V4(Ipv4Addr::new(198, 51, 100, 66)), 800);

fn genuine(format: &LogFormat, (client, port): (IpAddr, u16)) -> Option<String> {
    format.render(&packet(client, port), SystemTime::UNIX_EPOCH).ok()
}

fn packet(client: IpAddr, port: u16) -> Hit {
    Hit {
        server: Some(IpAddr::V4(Ipv4Addr::new(203, 0, 113, 1))),
        protocol: Some(Protocol::TCP),
        ..Hit::new(client, port)
    }
}

/// Gives the warnings about one expression a line to show, where one can be made up.
pub(super) fn prove(format: &LogFormat, lints: &mut [FormatLint]) {
    for lint in lints {
        let field = lint.field;
        match &mut lint.kind {
            Lint::Greedy { proof } => *proof = appended(format, field, false),
            Lint::EmptyCapture { proof } => *proof = appended(format, field, true),
            Lint::Unanchored | Lint::Forged { .. } => (),
        }
    }
}

/// An honest packet's line with the field of another at its end, its own value taken out or not.
fn appended(format: &LogFormat, field: FieldName, emptied: bool) -> Option<Proof> {
    let mut line = genuine(format, HONEST)?;
    let place = |line: &str| {
        let [client, port] = format.places(line.as_bytes())?;
        Some(if field == FieldName::Port { port } else { client })
    };
    let victims = genuine(format, VICTIM)?;
    let value = place(&victims)?;
    let word = victims.get(..value.start)?.rfind(' ').map_or(0, |blank| blank + 1);
    if emptied {
        line.replace_range(place(&line)?, "");
    }
    let texts = [victims.get(word..value.end)?, victims.get(word..)?];
    // A letter in front, since a second ` SRC=` gives a line away.
    ["", "x"].into_iter().flat_map(|glue| texts.map(|text| (glue, text))).find_map(
        |(glue, text)| {
            let line = format!("{} {glue}{} ", line.trim_end(), text.trim_end());
            let hit = format.hit(line.as_bytes())?;
            let fooled = hit.client == VICTIM.0 || hit.port == VICTIM.1;
            fooled.then_some(Proof { client: hit.client, port: hit.port, line })
        },
    )
}

/// Where a login name ends up: in the middle of a line, and at its end.
const LOGINS: [&str; 2] = [
    "Nov 21 03:22:42 localhost sshd[7]: Invalid user {} from 203.0.113.7 port 50000",
    "Nov 21 03:22:42 localhost sshd[7]: Connection closed by invalid user {}",
];

/// Whether text that comes from others is taken for a packet.
pub(super) fn forgeable(format: &LogFormat, anchored: bool) -> Option<FormatLint> {
    let field = FieldName::Required;
    let hit = packet(VICTIM.0, VICTIM.1);
    let shapes = [Shape::Classic, Shape::Ulogd, Shape::Ipchains];
    let known = shapes.map(|shape| shape.line("", &hit, SystemTime::UNIX_EPOCH));
    let forged = genuine(format, VICTIM).into_iter().chain(known).find_map(|name| {
        LOGINS.into_iter().find_map(|login| {
            let line = login.replace("{}", &name);
            let client = format.hit(line.as_bytes())?.client;
            Some(Lint::Forged { line, client })
        })
    });
    match forged {
        Some(kind) => Some(FormatLint { field, kind }),
        None if !anchored => Some(FormatLint { field, kind: Lint::Unanchored }),
        None => None,
    }
}

#[cfg(test)]
mod tests {
    use super::super::FormatSpec;
    use super::*;

    #[track_caller]
    fn check(required: &str, client: &str, port: &str, expected: &[&str]) {
        let expressions = [
            (FieldName::Required, required),
            (FieldName::IpClient, client),
            (FieldName::Port, port),
        ];
        let spec = FormatSpec {
            name: "t".to_owned(),
            expressions: expressions.map(|(field, text)| (field, text.to_owned())).to_vec(),
            ..FormatSpec::default()
        };
        let format = LogFormat::compile(&spec).unwrap();
        let said: Vec<_> = format.lint().iter().map(ToString::to_string).collect();
        assert_eq!(said.len(), expected.len(), "{said:?}");
        for (said, expected) in said.iter().zip(expected) {
            assert!(said.starts_with(expected), "{said}");
        }
        assert!(format.lint().iter().all(|lint| lint.help().is_some()));
    }

    #[test]
    fn a_format_that_strangers_can_write_into_is_shown_how() {
        let forged = "required: a stranger who picks a login name can pass for 198.51.100.66: Nov";
        check("portknock", "SRC=([0-9.]+)", "DPT=(\\d+)", &[forged]);
        check("Packet log", "PROTO=\\d+ ([0-9.]+):", ":(\\d+) L=", &[forged]);
        check("strange", "from <([0-9.]+)>", "to <(\\d+)>", &[forged]);
        // Of a line that nobody can write nothing can be shown.
        check("strange", "from <([0-9]{40})>", "to <(\\d+)>", &["required: matches anywhere"]);
        check("^\\w+ +\\d+ [\\d:]+ \\S+ kernel: portknock ", "SRC=([0-9.]+)", "DPT=(\\d+)", &[]);
    }

    #[test]
    fn a_format_that_ends_in_its_fields_is_fooled_at_the_end_of_a_line() {
        let forged = "required: a stranger who picks a login name can pass for 198.51.100.66: Nov 21 03:22:42 localhost sshd[7]: Connection closed by";
        check("strange", "from <([0-9.]+)>", "to <(\\d+)>$", &[forged]);
    }

    #[test]
    fn weak_groups_are_pointed_out_with_a_line_that_fools_them() {
        let strict = "^\\w+ +\\d+ [\\d:]+ \\S+ kernel: portknock ";
        let at_end = "with a text of others at its end this counts as port 22 from 198.51.100.66: ";
        let empty = "ipclient: the group may capture nothing, and then a later match counts: ";
        check(strict, "SRC=([0-9.]*)", "DPT=(\\d+)", &[&format!("{empty}{at_end}")]);
        let greedy = "a greedy .* before the group makes the last match in the line count";
        check(strict, ".*SRC=([0-9.]+)", "DPT=(\\d+)", &[&format!("ipclient: {greedy}: {at_end}")]);
        let port = "with a text of others at its end this counts as port 800 from 203.0.113.7: ";
        check(strict, "SRC=([0-9.]+)", ".*DPT=(\\d+)", &[&format!("port: {greedy}: {port}")]);
        check(strict, ".*?SRC=([0-9.]+)", "SPT=\\S+ DPT=(\\d+)", &[]);
        // It stops at the first = of the line.
        check(strict, "^[^=]*=\\S+ .*?SRC=([0-9.]+)", "DPT=(\\d+)", &[]);
        // Nothing can follow in a line whose end is spelt out.
        let whole = format!("{strict}.*URGP=0 $");
        check(&whole, ".*SRC=([0-9.]+)", "DPT=(\\d+)", &[&format!("ipclient: {greedy}")]);
    }
}
