//! What may go wrong with a filter that works. Old files must run, so these are warnings.

use std::fmt;
use std::net::IpAddr;

use knock_wire::Protocol;

use super::Property;
use super::filter::{EthFilter, EthFilterSpec};
use super::text::{self, Text};

/// The protocols whose packets are sent to ports.
pub(super) const WITH_PORTS: [Protocol; 5] =
    [Protocol::TCP, Protocol::UDP, Protocol::DCCP, Protocol::SCTP, Protocol::UDPLITE];

/// A filter, or a property of one, that is not quite what it looks like.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct FilterLint {
    /// The property; none when it is about the whole filter.
    pub property: Option<Property>,
    /// What about it.
    pub kind: FilterLintKind,
}

/// What is suspicious.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum FilterLintKind {
    /// It has no property.
    Everything,
    /// No packet with ports can match.
    Nothing,
    /// An expression meant for one address, or for those with one beginning, takes another.
    Loose {
        /// What was meant, as it was written.
        meant: String,
        /// An address that matches as well.
        also: IpAddr,
    },
    /// An address that never looks like this.
    Never {
        /// How it does look; none when it is no address.
        looks: Option<IpAddr>,
    },
}

impl FilterLint {
    /// The way out, where there is one to tell.
    #[must_use]
    pub fn help(&self) -> Option<String> {
        match &self.kind {
            FilterLintKind::Everything => {
                Some("name a property, such as flags = SYN or dest_port = 745-1000".to_owned())
            }
            FilterLintKind::Nothing => {
                Some("a hit needs a port, as TCP and UDP have: proto = TCP".to_owned())
            }
            FilterLintKind::Loose { meant, .. } => {
                let end = if meant.parse::<IpAddr>().is_ok() { "$" } else { "" };
                Some(format!("write ^{}{end}", meant.replace('.', "\\.")))
            }
            FilterLintKind::Never { looks: Some(looks) } => {
                Some(format!("write ^{}$", looks.to_string().replace('.', "\\.")))
            }
            FilterLintKind::Never { looks: None } => Some(
                "it is a regular expression: write how the addresses begin, such as ^10\\."
                    .to_owned(),
            ),
        }
    }
}

impl fmt::Display for FilterLint {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if let Some(property) = self.property {
            write!(f, "{property}: ")?;
        }
        match &self.kind {
            FilterLintKind::Everything => {
                f.write_str("has no property, so every packet with a port matches")
            }
            FilterLintKind::Nothing => f.write_str("matches no packet that could be a hit"),
            FilterLintKind::Loose { also, .. } => {
                write!(f, "is a regular expression, which matches {also} as well")
            }
            FilterLintKind::Never { looks: Some(looks) } => {
                write!(f, "never matches: this address is written {looks}")
            }
            FilterLintKind::Never { looks: None } => {
                f.write_str("never matches: an address has no '/'")
            }
        }
    }
}

pub(super) fn of(spec: &EthFilterSpec, filter: &EthFilter) -> Vec<FilterLint> {
    let mut lints = Vec::new();
    if spec.properties.is_empty() {
        lints.push(FilterLint { property: None, kind: FilterLintKind::Everything });
    }
    let empty = spec.properties.iter().map(|(property, _)| *property).any(|property| {
        property
            .max()
            .is_some_and(|max| max <= 0xff && !(0..=max).any(|n| filter.may_be(property, n)))
    });
    if empty || !WITH_PORTS.into_iter().any(|protocol| filter.may_have(protocol)) {
        lints.push(FilterLint { property: None, kind: FilterLintKind::Nothing });
    }
    for (property, text) in spec.properties.iter().filter(|(property, _)| property.is_text()) {
        let kind = address(text);
        lints.extend(kind.map(|kind| FilterLint { property: Some(*property), kind }));
    }
    lints
}

/// What is wrong with an expression that looks like a plain address or like the beginning of one.
fn address(text: &str) -> Option<FilterLintKind> {
    let (_, expression) = text::split(text);
    let plain = expression.strip_prefix('^').unwrap_or(expression);
    let plain = plain.strip_suffix('$').unwrap_or(plain).replace("\\.", ".");
    if let Some((start, bits)) = plain.split_once('/')
        && start.parse::<IpAddr>().is_ok()
        && bits.bytes().all(|byte| byte.is_ascii_digit())
    {
        return Some(FilterLintKind::Never { looks: None });
    }
    let demand = Text::parse(expression).ok()?;
    let whole = plain.parse::<IpAddr>().ok();
    if let Some(looks) = whole.map(|address| address.to_canonical())
        && !demand.holds(looks)
    {
        return Some(FilterLintKind::Never { looks: Some(looks) });
    }
    if whole.is_none() && !plain.bytes().all(|byte| byte.is_ascii_digit() || byte == b'.') {
        return None;
    }
    let stretched = plain.strip_suffix('.').map(|start| format!("{start}0."));
    let mut others = vec![format!("{plain}0"), format!("{plain}1"), format!("1{plain}")];
    others.extend(stretched);
    let also = others.into_iter().find_map(|other| {
        let other = completed(&other)?;
        let is_meant = match whole {
            Some(whole) => whole == other,
            None => other.to_string().starts_with(&plain),
        };
        (!is_meant && demand.holds(other)).then_some(other)
    })?;
    Some(FilterLintKind::Loose { meant: plain, also })
}

/// An address that begins like this.
fn completed(start: &str) -> Option<IpAddr> {
    let tails = ["", ".1", ".1.1", ".1.1.1", "1", "1.1", "1.1.1"];
    tails.into_iter().find_map(|tail| format!("{start}{tail}").parse().ok())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[track_caller]
    fn check(properties: &[(&str, &str)], expected: &str) {
        let property =
            |(name, text): &(&str, &str)| (Property::parse(name).unwrap(), (*text).to_owned());
        let properties = properties.iter().map(property).collect();
        let filter = EthFilter::compile(&EthFilterSpec { name: "t".into(), properties }).unwrap();
        let show = |lint: &FilterLint| format!("{lint} | {}", lint.help().unwrap());
        let shown: Vec<String> = filter.lint().iter().map(show).collect();
        assert_eq!(shown.join("\n"), expected, "{properties:?}", properties = filter);
    }

    #[test]
    fn an_address_is_shown_what_else_it_takes() {
        check(
            &[("dest_ip", "127.0.0.1")],
            "dest_ip: is a regular expression, which matches 127.0.0.10 as well | write ^127\\.0\\.0\\.1$",
        );
        check(
            &[("src_ip", "192.168.1.")],
            "src_ip: is a regular expression, which matches 192.168.10.1 as well | write ^192\\.168\\.1\\.",
        );
        check(
            &[("src_ip", "!10.1.1.1$")],
            "src_ip: is a regular expression, which matches 110.1.1.1 as well | write ^10\\.1\\.1\\.1$",
        );
        check(
            &[("src_ip", "2001:db8::1")],
            "src_ip: is a regular expression, which matches 2001:db8::10 as well | write ^2001:db8::1$",
        );
        for fine in [
            "^127\\.0\\.0\\.1$",
            "^127.0.0.1$",
            "^192\\.168\\.1\\.",
            "^2001:db8::1$",
            "^(10|192\\.168)\\.",
            "^2001:db8:",
        ] {
            check(&[("dest_ip", fine)], "");
        }
    }

    #[test]
    fn what_never_matches_is_said() {
        check(
            &[("src_ip", "10.0.0.0/8")],
            "src_ip: never matches: an address has no '/' | it is a regular expression: write how the addresses begin, such as ^10\\.",
        );
        check(
            &[("src_ip", "2001:0DB8::1")],
            "src_ip: never matches: this address is written 2001:db8::1 | write ^2001:db8::1$",
        );
        let nothing = "matches no packet that could be a hit | a hit needs a port, as TCP and UDP have: proto = TCP";
        check(&[("proto", "ICMP")], nothing);
        check(&[("proto", "UDP"), ("flags", "SYN")], nothing);
        check(&[("flags", "SYN & !SYN")], nothing);
        check(&[("proto", "TCP & UDP")], nothing);
        check(&[("proto", "TCP | UDP"), ("dest_port", "745-1000")], "");
    }

    #[test]
    fn a_filter_without_properties_takes_all() {
        check(
            &[],
            "has no property, so every packet with a port matches | name a property, such as flags = SYN or dest_port = 745-1000",
        );
    }
}
