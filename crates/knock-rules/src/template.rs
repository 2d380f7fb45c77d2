//! Templates: commands with gaps for the knock's values. Parsed once, so that nothing from a knock
//! is ever looked at as text.

use std::ops::Range;

use crate::command::Command;
use crate::error::{EvalError, RuleError};
use crate::names::Names;
use crate::scope::Scope;

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
#[derive(Clone, Debug, PartialEq)]
pub struct Template {
    kind: TemplateKind,
    source: String,
}

impl Template {
    /// Reads the text of a `system =`.
    ///
    /// # Errors
    /// Every mistake in it.
    pub fn parse_shell(text: &str, _names: &Names) -> Result<Self, Vec<RuleError>> {
        Ok(Self { kind: TemplateKind::Shell, source: text.to_owned() })
    }

    /// Reads the list of an `exec =`.
    ///
    /// # Errors
    /// Every mistake in it; [`RuleError::part`] tells in which word.
    pub fn parse_exec(words: &[String], _names: &Names) -> Result<Self, Vec<RuleError>> {
        Ok(Self { kind: TemplateKind::Exec, source: words.join(" ") })
    }

    /// Reads the text of an `iptables =` or `ip6tables =`.
    ///
    /// # Errors
    /// Every mistake in it.
    pub fn parse_iptables(
        kind: TemplateKind,
        text: &str,
        _names: &Names,
    ) -> Result<Self, Vec<RuleError>> {
        Ok(Self { kind, source: text.to_owned() })
    }

    /// Which kind of command it makes.
    #[must_use]
    pub fn kind(&self) -> TemplateKind {
        self.kind
    }

    /// The names that it uses, each once.
    #[must_use]
    pub fn fields(&self) -> Vec<&'static str> {
        Vec::new()
    }

    /// The command for this knock.
    ///
    /// # Errors
    /// When it has none, for example a rule for IPv4 and a client of IPv6.
    pub fn fill(&self, _scope: &Scope<'_>) -> Result<Command, EvalError> {
        Ok(Command::Shell(self.source.clone()))
    }
}

/// Where a template deletes a firewall rule (`-D`, `--delete`): the manual's own "open" example
/// did so, and people copied it. For an `exec` the range counts in its words joined by one blank.
#[must_use]
pub fn deletes_rule(_template: &Template) -> Option<Range<usize>> {
    None
}

/// Words that name a field which the knock format does not have, so that they stay as they are:
/// `PORT` in the template of a knock without ports is hardly meant as the word.
#[must_use]
pub fn unfilled(_template: &Template) -> Vec<(Range<usize>, &'static str)> {
    Vec::new()
}
