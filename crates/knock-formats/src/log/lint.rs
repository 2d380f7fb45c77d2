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
    Greedy,
    /// The group may capture nothing at all.
    EmptyCapture,
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
            Lint::Greedy => "leave it out: a group is looked for everywhere in the line anyway",
            Lint::EmptyCapture => "write + instead of * for what the group repeats",
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
            Lint::Greedy => {
                f.write_str("a greedy .* before the group makes the last match in the line count")
            }
            Lint::EmptyCapture => f.write_str("the group may capture nothing"),
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
        lints.push(FormatLint { field, kind: Lint::EmptyCapture });
    }
    if let HirKind::Concat(parts) = hir.kind()
        && parts.iter().take_while(|part| group(part).is_none()).any(swallows)
    {
        lints.push(FormatLint { field, kind: Lint::Greedy });
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

/// A greedy run that goes over the blanks between fields.
fn swallows(hir: &Hir) -> bool {
    let HirKind::Repetition(run) = hir.kind() else { return false };
    let HirKind::Class(Class::Bytes(class)) = run.sub.kind() else { return false };
    let holds = |byte| class.ranges().iter().any(|r| (r.start()..=r.end()).contains(&byte));
    run.greedy && run.max.is_none() && holds(b' ') && holds(b'=')
}

/// Whether text that comes from others is taken for a packet.
pub(super) fn forgeable(format: &LogFormat, anchored: bool) -> Option<FormatLint> {
    let field = FieldName::Required;
    let hit = Hit {
        server: Some(IpAddr::V4(Ipv4Addr::new(203, 0, 113, 1))),
        protocol: Some(Protocol::TCP),
        ..Hit::new(IpAddr::V4(Ipv4Addr::new(198, 51, 100, 66)), 800)
    };
    let genuine = format.render(&hit, SystemTime::UNIX_EPOCH).ok();
    let shapes = [Shape::Classic, Shape::Ulogd, Shape::Ipchains];
    let known = shapes.map(|shape| shape.line("", &hit, SystemTime::UNIX_EPOCH));
    let forged = genuine.into_iter().chain(known).find_map(|name| {
        let line = format!(
            "Nov 21 03:22:42 localhost sshd[7]: Invalid user {name} from 203.0.113.7 port 50000"
        );
        let client = format.hit(line.as_bytes())?.client;
        Some(Lint::Forged { line, client })
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
    fn weak_groups_are_pointed_out() {
        let strict = "^\\w+ +\\d+ [\\d:]+ \\S+ kernel: portknock ";
        check(strict, "SRC=([0-9.]*)", "DPT=(\\d+)", &["ipclient: the group may capture nothing"]);
        check(strict, ".*SRC=([0-9.]+)", "DPT=(\\d+)", &["ipclient: a greedy .*"]);
        check(strict, ".*?SRC=([0-9.]+)", "SPT=\\S+ DPT=(\\d+)", &[]);
    }
}
