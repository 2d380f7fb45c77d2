//! What a filled template asks for, as data. Runs nothing.

use std::fmt;

use crate::opening::Opening;

/// A command ready to run.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Command {
    /// A text for `/bin/sh -c`.
    Shell(String),
    /// A program with its arguments, no shell between.
    Exec(Vec<String>),
    /// One rule for iptables or ip6tables, by the family of the client.
    Iptables {
        /// Whose rule it is.
        family: Family,
        /// The words behind the program's name; none of them needs quoting.
        args: Vec<String>,
    },
    /// The firewall lets this through. For how long stands in the order.
    Open {
        /// What.
        opening: Opening,
    },
    /// The firewall lets this through no more.
    Close {
        /// What.
        opening: Opening,
    },
    /// Count the connections that are established through an opening. Changes nothing.
    CountConnections {
        /// Through which.
        opening: Opening,
    },
}

/// The two families of addresses.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Family {
    /// IPv4: iptables.
    V4,
    /// IPv6: ip6tables.
    V6,
}

impl Family {
    /// The program that keeps this family's rules.
    #[must_use]
    pub fn program(self) -> &'static str {
        match self {
            Self::V4 => "iptables",
            Self::V6 => "ip6tables",
        }
    }
}

/// One readable line, for people; control characters are escaped.
impl fmt::Display for Command {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Shell(text) => f.write_str(&one_line(text.trim())),
            Self::Exec(words) => f.write_str(&quoted(words)),
            Self::Iptables { family, args } => write!(f, "{} {}", family.program(), quoted(args)),
            Self::Open { opening } => write!(f, "open {opening}"),
            Self::Close { opening } => write!(f, "close {opening}"),
            Self::CountConnections { opening } => write!(f, "count connections, {opening}"),
        }
    }
}

fn quoted(words: &[String]) -> String {
    let plain = |c: char| c.is_alphanumeric() || "-_./:,=+@%!".contains(c);
    let quote = |word: &String| {
        if !word.is_empty() && word.chars().all(plain) {
            word.clone()
        } else {
            format!("'{}'", one_line(word).replace('\'', r"'\''"))
        }
    };
    words.iter().map(quote).collect::<Vec<_>>().join(" ")
}

fn one_line(text: &str) -> String {
    let mut line = String::with_capacity(text.len());
    for c in text.chars() {
        if c.is_control() { line.extend(c.escape_default()) } else { line.push(c) }
    }
    line
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_command_prints_as_one_line() {
        let words = |words: &[&str]| words.iter().map(ToString::to_string).collect::<Vec<_>>();
        let shell = Command::Shell("  iptables -D INPUT\n\techo 'x' | cat\n".to_owned());
        assert_eq!(shell.to_string(), r"iptables -D INPUT\n\techo 'x' | cat");
        let exec = Command::Exec(words(&["/bin/echo", "", "it's", "\u{1b}[31m"]));
        assert_eq!(exec.to_string(), r"/bin/echo '' 'it'\''s' '\u{1b}[31m'");
        let args = words(&["-I", "INPUT", "-s", "2001:db8::1/128", "!", "--syn"]);
        let rule = Command::Iptables { family: Family::V6, args };
        assert_eq!(rule.to_string(), "ip6tables -I INPUT -s 2001:db8::1/128 ! --syn");
    }
}
