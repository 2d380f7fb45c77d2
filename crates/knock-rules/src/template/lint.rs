//! Finds `iptables -D` in commands of the shell. A guess for a warning: it knows words and
//! separators, not the shell's grammar.

use std::ops::Range;

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

fn is_firewall(word: &str) -> bool {
    let name = word.rsplit('/').next().unwrap_or_default();
    ["iptables", "ip6tables", "ipchains"].iter().any(|known| name.starts_with(known))
}
