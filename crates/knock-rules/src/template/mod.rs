//! Templates: commands with gaps for the knock's values. Read once, so that nothing from a knock
//! is ever looked at as text. Fills gaps; runs nothing.

mod iptables;
mod lint;
mod pieces;
mod words;

use std::net::IpAddr;
use std::ops::Range;

use crate::command::{Command, Family};
use crate::error::{EvalError, RuleError};
use crate::limits::MAX_TEMPLATE;
use crate::names::{Names, Variable};
use crate::network::Network;
use crate::scope::Scope;
pub use lint::unset_variables;
use pieces::{Piece, Reader};
pub use words::{Word, split_words};

/// Which kind of command a template makes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum TemplateKind {
    /// `system =`: a text for the shell.
    Shell,
    /// `exec =`: a program and its arguments.
    Exec,
    /// `iptables =`: one rule; ip6tables for an IPv6 client.
    Iptables,
    /// `ip6tables =`: one rule, IPv6 only.
    Ip6tables,
}

/// A template, read and checked.
///
/// A field's name standing alone as a word is replaced by its value: `-s IP/32 --dport PORT`. A
/// word ends at whatever is no letter, digit or `_`, so the `IP` of `IPTABLES` and `KNOCK_IP` is
/// left alone. `%IP%` means the same, and is the way to write the names that are common words:
/// `%CLIENT%`, `%NOW%`, `%THISHOUR%`. `$IP` is refused: as a variable of the shell it is empty, and
/// as a gap it would leave a `$1…` behind. `$KNOCK_IP` is in the environment.
///
/// `/32` straight behind an address is `/128` for IPv6; a shorter prefix has no value for IPv6.
#[derive(Clone, Debug, PartialEq)]
pub struct Template {
    body: Body,
    deletes: Option<Range<usize>>,
    unfilled: Vec<(Range<usize>, &'static str)>,
}

#[derive(Clone, Debug, PartialEq)]
enum Body {
    Shell(Vec<Piece>),
    Exec(Vec<Vec<Piece>>),
    Rule { v6_only: bool, words: Vec<Vec<Piece>> },
}

impl Template {
    /// Reads the text of a `system =`.
    ///
    /// # Errors
    /// Every mistake in it.
    pub fn parse_shell(text: &str, names: &Names) -> Result<Self, Vec<RuleError>> {
        check_text(text, "`system`").map_err(|error| vec![error])?;
        let mut reader = Reader::new(names);
        let pieces = reader.pieces(text, |at| at);
        let deletes = lint::deletes_in_shell(text);
        reader.finish(Body::Shell(pieces), deletes)
    }

    /// Reads the list of an `exec =`.
    ///
    /// # Errors
    /// Every mistake in it; [`RuleError::part`] tells in which word.
    pub fn parse_exec(words: &[String], names: &Names) -> Result<Self, Vec<RuleError>> {
        let Some(program) = words.first() else {
            let error = RuleError::new(0..0, "`exec` is empty");
            return Err(vec![error.help_with("write exec = [/path/to/program, argument, IP]")]);
        };
        let mut reader = Reader::new(names);
        let mut filled = Vec::new();
        let mut joined = 0;
        for (part, word) in words.iter().enumerate() {
            if part == 0 || !word.is_empty() {
                let checked = check_text(word, "the program's name");
                reader.errors.extend(checked.err().map(|error| error.in_part(part)));
            }
            reader.part = part;
            let known = reader.unfilled.len();
            filled.push(reader.pieces(word, |at| at));
            for (at, _) in reader.unfilled.iter_mut().skip(known) {
                *at = at.start + joined..at.end + joined;
            }
            joined += word.len() + 1;
        }
        if words.iter().map(String::len).sum::<usize>() > MAX_TEMPLATE {
            reader.errors.push(too_long(0..0));
        }
        if filled.first().is_some_and(|pieces| pieces.iter().any(Piece::is_gap)) {
            let error = RuleError::new(0..program.len(), "the program must be the same each time");
            reader.errors.push(error.help_with("fields may stand in the arguments"));
        }
        let deletes = lint::deletes_in_shell(&words.join(" "));
        reader.finish(Body::Exec(filled), deletes)
    }

    /// Reads the text of an `iptables =` or `ip6tables =`: the words behind the program's name,
    /// with the shell's quotes and nothing else of the shell.
    ///
    /// # Errors
    /// Every mistake in it.
    pub fn parse_iptables(
        kind: TemplateKind,
        text: &str,
        names: &Names,
    ) -> Result<Self, Vec<RuleError>> {
        let v6_only = kind == TemplateKind::Ip6tables;
        let program = if v6_only { Family::V6.program() } else { Family::V4.program() };
        check_text(text, &format!("`{program}`")).map_err(|error| vec![error])?;
        let (words, errors) = iptables::words(text, program);
        let mut reader = Reader::new(names);
        reader.errors = errors;
        let mut filled = Vec::new();
        for word in &words {
            filled.push(reader.pieces(word.text(), |at| word.place(at)));
        }
        // A rule with a gap left open can only fail, when somebody stands before the door.
        for (at, name) in std::mem::take(&mut reader.unfilled) {
            reader.errors.push(names.missing(at, name));
        }
        let deletes = iptables::deletes(&words);
        reader.finish(Body::Rule { v6_only, words: filled }, deletes)
    }

    /// The command for this knock.
    ///
    /// # Errors
    /// When it has none, for example a rule for IPv4 and a client of IPv6.
    pub fn fill(&self, scope: &Scope<'_>) -> Result<Command, EvalError> {
        let fill = |pieces: &Vec<Piece>| pieces::fill(pieces, scope);
        match &self.body {
            Body::Shell(pieces) => Ok(Command::Shell(fill(pieces)?)),
            Body::Exec(words) => {
                Ok(Command::Exec(words.iter().map(fill).collect::<Result<_, _>>()?))
            }
            Body::Rule { v6_only, words } => {
                let family = self.family(*v6_only, words, scope)?;
                let args = words.iter().map(fill).collect::<Result<_, _>>()?;
                Ok(Command::Iptables { family, args })
            }
        }
    }

    fn variables(&self) -> impl Iterator<Item = Variable> + '_ {
        let words: &[Vec<Piece>] = match &self.body {
            Body::Shell(pieces) => std::slice::from_ref(pieces),
            Body::Exec(words) | Body::Rule { words, .. } => words,
        };
        words.iter().flatten().filter_map(Piece::variable)
    }

    /// The family of the rule, which is the client's. What the template has of the other family
    /// would make iptables fail after the knock; here it is told with its reason.
    fn family(
        &self,
        v6_only: bool,
        words: &[Vec<Piece>],
        scope: &Scope<'_>,
    ) -> Result<Family, EvalError> {
        let address = scope.ip();
        let wrong = |template: &str| EvalError::WrongFamily { address, template: template.into() };
        let family = match address {
            _ if v6_only => Family::V6,
            IpAddr::V4(_) => Family::V4,
            IpAddr::V6(_) => Family::V6,
        };
        if v6_only && address.is_ipv4() && self.variables().any(Variable::is_address) {
            return Err(wrong("ip6tables"));
        }
        for word in words {
            let [Piece::Text(text)] = word.as_slice() else { continue };
            // A lone number such as a port is no address; `parse` wants all four parts.
            if Network::parse(text).is_some_and(|net| net.is_v4() != (family == Family::V4)) {
                return Err(wrong(text));
            }
        }
        Ok(family)
    }
}

/// Where a template deletes a firewall rule (`-D`, `--delete`): the manual's own "open" example
/// did so, and people copied it. For an `exec` the range counts in its words joined by one blank.
#[must_use]
pub fn deletes_rule(template: &Template) -> Option<Range<usize>> {
    template.deletes.clone()
}

/// Words of a shell or `exec` template that name a field which the knock format does not have, so
/// that they stay as they are. An old template may mean the word `PORT`, so these are warnings. For
/// an `exec` the ranges count in its words joined by one blank.
#[must_use]
pub fn unfilled(template: &Template) -> Vec<(Range<usize>, &'static str)> {
    template.unfilled.clone()
}

fn check_text(text: &str, what: &str) -> Result<(), RuleError> {
    if text.trim().is_empty() {
        return Err(RuleError::new(0..text.len(), format!("{what} is empty")));
    }
    if text.len() > MAX_TEMPLATE {
        return Err(too_long(0..0));
    }
    match text.find('\0') {
        None => Ok(()),
        Some(at) => Err(RuleError::new(at..at + 1, "no command can hold a NUL byte")),
    }
}

fn too_long(at: Range<usize>) -> RuleError {
    RuleError::new(at, "this template is too long")
        .help_with(format!("at most {MAX_TEMPLATE} bytes are read; put the rest into a script"))
}

#[cfg(test)]
mod tests;
