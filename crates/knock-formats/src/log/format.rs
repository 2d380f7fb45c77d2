//! A logformat at work: one line in, a hit or the reason against it out.
//!
//! A firewall log can be forged into: the sender of an ICMP error chooses the packet header that
//! the kernel prints in it. So these hold for every format, whoever wrote it: nothing behind
//! `[SRC=` is looked at, a line with two packets tells of none, values are typed and the first valid one counts, a protocol without ports
//! yields nothing, TCP counts only when it opens a connection, and only what was denied counts.
//! `compile` makes it, `guards` are what it heeds besides its expressions. Does not know where lines come
//! from, nor what follows from a hit.

mod compile;
mod guards;

use std::ops::Range;

use knock_wire::{Hit, Interface, LineTime, Protocol};
use regex_syntax::hir::Hir;

use super::line::{Line, Texts};
use super::matcher::{Found, Matcher, Test};
use super::nohit::Excerpt;
use super::{FieldName, FormatLint, MAX_LINE, NoHit, fields, time};
use guards::Guards;

/// A compiled logformat.
#[derive(Debug)]
pub struct LogFormat {
    name: String,
    required: Option<Test>,
    client: Matcher,
    port: Matcher,
    protocol: Option<Matcher>,
    flags: Option<Matcher>,
    server: Option<Matcher>,
    interface: Option<Matcher>,
    source_port: Option<Matcher>,
    sequence: Option<Matcher>,
    time: Option<Matcher>,
    /// What expressions and guards look for.
    texts: Texts,
    guards: Guards,
    /// Texts that every line with a hit has.
    pub(super) needles: Vec<Vec<u8>>,
    /// The texts that `required` is made of, where it is plain enough to tell.
    pub(super) literals: Vec<String>,
    /// What the expressions are made of, in the order of the format, to write lines after.
    pub(super) expressions: Vec<(FieldName, Hir)>,
    /// Sample lines that yield something.
    pub(super) models: Vec<Vec<u8>>,
    pub(super) lints: Vec<FormatLint>,
}

impl LogFormat {
    /// What `uselogformat` calls it.
    #[must_use]
    pub fn name(&self) -> &str {
        &self.name
    }

    /// The hit that a line, without its newline, tells of.
    #[must_use]
    pub fn hit(&self, line: &[u8]) -> Option<Hit> {
        if line.len() > MAX_LINE {
            return None;
        }
        let line = self.read(line);
        // Whether a line is what it says costs most to find out, so it comes last.
        let hit = self.fields(&line).ok()?;
        self.is_required(&line).then_some(hit)
    }

    /// As [`LogFormat::hit`], with the reason when there is none.
    pub fn examine(&self, line: &[u8]) -> Result<Hit, NoHit> {
        if line.len() > MAX_LINE {
            return Err(NoHit::TooLong);
        }
        let line = self.read(line);
        if !self.is_required(&line) {
            return Err(NoHit::NotRequired);
        }
        self.fields(&line)
    }

    /// The line up to the header that a stranger may have written.
    fn read<'l>(&self, line: &'l [u8]) -> Line<'l, '_> {
        self.texts.read(line.strip_suffix(b"\n").unwrap_or(line))
    }

    fn is_required(&self, line: &Line<'_, '_>) -> bool {
        self.required.as_ref().is_none_or(|required| required.is_match(line))
    }

    /// The hit of a line that has what is required.
    fn fields(&self, line: &Line<'_, '_>) -> Result<Hit, NoHit> {
        if line.has_again(self.guards.source) {
            return Err(NoHit::TwoPackets);
        }
        let protocol = self.protocol(line)?;
        let (client, at) = match self.client.first(line, fields::address) {
            Found::Value(client, at) => (client, at),
            Found::Bad(text) => return Err(NoHit::BadClient { text: Excerpt::of(text) }),
            Found::Nothing => return Err(NoHit::NoClient),
        };
        if self.guards.lets_through(line.bytes.get(..at).unwrap_or_default()) {
            return Err(NoHit::Allowed);
        }
        let (port, at) = match self.port.first(line, fields::port) {
            Found::Value(port, at) => (port, at),
            Found::Bad(text) => return Err(NoHit::BadPort { text: Excerpt::of(text) }),
            Found::Nothing => return Err(NoHit::NoPort),
        };
        self.opens(line, protocol, line.bytes.get(at..).unwrap_or_default())?;
        Ok(Hit {
            client,
            port,
            server: optional(&self.server, FieldName::IpServer, line, fields::address)?,
            interface: optional(&self.interface, FieldName::Interface, line, Interface::new)?,
            protocol,
            source_port: optional(&self.source_port, FieldName::SourcePort, line, fields::port)?,
            sequence: optional(&self.sequence, FieldName::Sequence, line, fields::number)?,
            time: self.time(line),
        })
    }

    /// The first text that an expression captures, whatever it is worth.
    pub(super) fn captured<'l>(&self, field: FieldName, line: &'l [u8]) -> Option<&'l [u8]> {
        match self.matcher(field)?.first(&self.read(line), Some) {
            Found::Value(text, _) => Some(text),
            Found::Bad(_) | Found::Nothing => None,
        }
    }

    /// What each expression caught in a line, and where: the value that counts, or the first text where
    /// none is a value. Nothing of a line that `required` does not match.
    #[must_use]
    pub fn captures(&self, line: &[u8]) -> Vec<(FieldName, Range<usize>)> {
        let line = self.read(line);
        if !self.is_required(&line) {
            return Vec::new();
        }
        let caught = |field| {
            let matcher = self.matcher(field)?;
            let place = |valid: fn(&[u8]) -> bool| place(matcher, &line, valid);
            Some((field, place(is_value(field)).or_else(|| place(|_| true))?))
        };
        FieldName::ALL.into_iter().filter_map(caught).collect()
    }

    /// Where in a line the value stands that counts as its client or port.
    pub(super) fn places(&self, line: &[u8]) -> Option<[Range<usize>; 2]> {
        let line = self.read(line);
        let client = place(&self.client, &line, is_value(FieldName::IpClient))?;
        let port = place(&self.port, &line, is_value(FieldName::Port))?;
        Some([client, port])
    }

    /// Where the port stands that a line's packet came from, if the format looks for it.
    pub(super) fn place_of_source_port(&self, line: &[u8]) -> Option<Range<usize>> {
        let matcher = self.source_port.as_ref()?;
        place(matcher, &self.read(line), is_value(FieldName::SourcePort))
    }

    /// The expression of that name, where the format has one.
    pub(super) fn matcher(&self, field: FieldName) -> Option<&Matcher> {
        match field {
            FieldName::Required => None,
            FieldName::IpClient => Some(&self.client),
            FieldName::Port => Some(&self.port),
            FieldName::Protocol => self.protocol.as_ref(),
            FieldName::Flags => self.flags.as_ref(),
            FieldName::IpServer => self.server.as_ref(),
            FieldName::Interface => self.interface.as_ref(),
            FieldName::SourcePort => self.source_port.as_ref(),
            FieldName::Sequence => self.sequence.as_ref(),
            FieldName::Time => self.time.as_ref(),
        }
    }

    /// The protocol, if it is one with ports or not known. The line's own `PROTO=` is looked at
    /// even when the format has an expression for it, which may have found a word elsewhere.
    fn protocol(&self, line: &Line<'_, '_>) -> Result<Option<Protocol>, NoHit> {
        let outer = self.guards.outer_protocol(line);
        let own = optional(&self.protocol, FieldName::Protocol, line, Protocol::from_text);
        // What the line says is the better reason, so it comes first.
        match outer.into_iter().chain(own.ok().flatten()).find(|protocol| !protocol.has_ports()) {
            Some(protocol) => Err(NoHit::NoPorts(protocol)),
            None => own.map(|own| own.or(outer)),
        }
    }

    /// Whether the packet opens a connection, as far as the format can tell. A filter on the line's
    /// way here may have taken out what the expression for flags goes by; then the words behind the
    /// port tell.
    fn opens(
        &self,
        line: &Line<'_, '_>,
        protocol: Option<Protocol>,
        behind_port: &[u8],
    ) -> Result<(), NoHit> {
        let Some(flags) = &self.flags else { return Ok(()) };
        match (protocol, flags.first(line, Some)) {
            (Some(Protocol::TCP) | None, Found::Value(flags, _)) if fields::opens(flags) => Ok(()),
            (Some(Protocol::TCP), Found::Nothing) if fields::names_syn(behind_port) => Ok(()),
            // A line without flags is UDP's, or torn.
            (None, Found::Nothing | Found::Bad(_)) => Ok(()),
            (Some(Protocol::TCP) | None, _) => Err(NoHit::NotASyn),
            (Some(_), _) => Ok(()),
        }
    }

    /// Advisory, so a time that cannot be read is no reason against a hit.
    fn time(&self, line: &Line<'_, '_>) -> Option<LineTime> {
        match self.time.as_ref()?.first(line, time::parse) {
            Found::Value(time, _) => Some(time),
            Found::Bad(_) | Found::Nothing => None,
        }
    }
}

/// Where in a line the first valid text stands.
fn place(matcher: &Matcher, line: &Line<'_, '_>, valid: fn(&[u8]) -> bool) -> Option<Range<usize>> {
    match matcher.first(line, |text| valid(text).then_some(text.len())) {
        Found::Value(len, start) => Some(start..start + len),
        Found::Bad(_) | Found::Nothing => None,
    }
}

/// Whether a text is a value of a field's type.
fn is_value(field: FieldName) -> fn(&[u8]) -> bool {
    match field {
        FieldName::IpClient | FieldName::IpServer => |text| fields::address(text).is_some(),
        FieldName::Port | FieldName::SourcePort => |text| fields::port(text).is_some(),
        FieldName::Protocol => |text| Protocol::from_text(text).is_some(),
        FieldName::Interface => |text| Interface::new(text).is_some(),
        FieldName::Sequence => |text| fields::number(text).is_some(),
        FieldName::Time => |text| time::parse(text).is_some(),
        FieldName::Required | FieldName::Flags => |_| true,
    }
}

/// The value of an expression that need not match. An empty capture is as good as none (`IN=` of a
/// packet that came from this machine); any other text must be a value.
fn optional<'l, T>(
    matcher: &Option<Matcher>,
    field: FieldName,
    line: &Line<'l, '_>,
    parse: impl Fn(&'l [u8]) -> Option<T>,
) -> Result<Option<T>, NoHit> {
    let Some(matcher) = matcher else { return Ok(None) };
    match matcher.first(line, parse) {
        Found::Value(value, _) => Ok(Some(value)),
        Found::Bad(text) if !text.is_empty() => {
            Err(NoHit::BadField { field, text: Excerpt::of(text) })
        }
        Found::Bad(_) | Found::Nothing => Ok(None),
    }
}

#[cfg(test)]
mod tests;
