//! Finds `iptables -D`, and variables that nobody sets, in commands of the shell. Guesses for warnings:
//! it knows words and separators, not the shell's grammar.

use std::ops::Range;

use crate::names::Names;

pub(super) fn is_delete(word: &str) -> bool {
    word == "-D" || word == "--delete"
}

pub(super) fn deletes_in_shell(text: &str) -> Option<Range<usize>> {
    let mut in_firewall = false;
    let mut start = 0;
    let ends = |c: char| c.is_whitespace() || ";|&()`'\"".contains(c);
    for (at, c) in text.char_indices().chain([(text.len(), '\n')]) {
        if !ends(c) {
            continue;
        }
        let word = text.get(start..at).unwrap_or_default();
        in_firewall |= is_firewall(word);
        if in_firewall && is_delete(word) {
            return Some(start..at);
        }
        // `-D` of another command is something else.
        if matches!(c, ';' | '|' | '&' | '\n')
            && !text.get(..at).unwrap_or_default().ends_with('\\')
        {
            in_firewall = false;
        }
        start = at + c.len_utf8();
    }
    None
}

/// The variables `$KNOCK_…` in a command of the shell that no knock of this format sets, and what they are called. One
/// that the text itself sets, or has a default for, is left alone.
#[must_use]
pub fn unset_variables<'t>(text: &'t str, names: &Names) -> Vec<(Range<usize>, &'t str)> {
    let mut found = Vec::new();
    for (dollar, _) in text.match_indices('$') {
        let behind = text.get(dollar + 1..).unwrap_or_default();
        let (braced, behind) =
            behind.strip_prefix('{').map_or((false, behind), |inner| (true, inner));
        let end = behind.find(|c: char| !c.is_ascii_alphanumeric() && c != '_');
        let (name, rest) = behind.split_at(end.unwrap_or(behind.len()));
        let Some(field) = name.strip_prefix("KNOCK_") else { continue };
        let set =
            field == "CLIENT" || names.field(field).is_some() || text.contains(&format!("{name}="));
        if !set && (!braced || rest.starts_with('}')) {
            let start = dollar + 1 + usize::from(braced);
            found.push((start..start + name.len(), name));
        }
    }
    found
}

fn is_firewall(word: &str) -> bool {
    let name = word.rsplit('/').next().unwrap_or_default();
    ["iptables", "ip6tables", "ipchains"].iter().any(|known| name.starts_with(known))
}
