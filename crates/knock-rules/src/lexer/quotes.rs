//! Texts in quotes, with Perl's escapes. Puts nothing into them, and says so where Perl would.

use super::{Lexer, Token, run};
use crate::error::RuleError;

impl Lexer<'_> {
    pub(super) fn single_quoted(&mut self) {
        let body = &self.rest()[1..];
        let mut text = String::new();
        let mut chars = body.char_indices();
        while let Some((index, c)) = chars.next() {
            match c {
                '\'' => return self.push(Token::Text(text), index + 2),
                '\\' => match chars.next() {
                    Some((_, next @ ('\\' | '\''))) => text.push(next),
                    Some((_, next)) => text.extend(['\\', next]),
                    None => break,
                },
                c => text.push(c),
            }
        }
        self.refuse(1, "this text has no end", "close it with '");
        self.give_up();
    }

    pub(super) fn double_quoted(&mut self) {
        let body = &self.rest()[1..];
        let mut text = String::new();
        let mut chars = body.char_indices();
        while let Some((index, c)) = chars.next() {
            match c {
                '"' => return self.push(Token::Text(text), index + 2),
                '\\' => {
                    let Some((_, escape)) = chars.next() else { break };
                    let (c, more) = unescaped(escape, chars.as_str());
                    text.push(c);
                    if more > 0 {
                        // What a hexadecimal escape takes is ASCII, so bytes are characters.
                        chars.nth(more - 1);
                    }
                }
                '$' if chars.as_str().starts_with(starts_variable) => {
                    let len = 1 + run(chars.as_str(), |c| c.is_ascii_alphanumeric() || c == '_');
                    let at = self.at + 1 + index;
                    let error = RuleError::new(at..at + len, "a Perl variable inside a text");
                    self.errors.push(error.help_with("join texts and fields by a dot: \"a\" . IP"));
                    text.push(c);
                }
                c => text.push(c),
            }
        }
        self.refuse(1, "this text has no end", "close it with \"");
        self.give_up();
    }

    pub(super) fn backticks(&mut self) {
        let len = self.rest()[1..].find('`').map_or(self.rest().len(), |end| end + 2);
        let help = "put the command into a template's `system =`";
        self.refuse(len, "a rule runs no command: `…`", help);
        self.push(Token::Broken, len);
    }
}

fn starts_variable(c: char) -> bool {
    c.is_ascii_alphabetic() || c == '_' || c == '{'
}

/// The character that a backslash and `escape` stand for, and how many of the characters behind
/// belong to it. An unknown escape is the character itself, as in Perl.
fn unescaped(escape: char, behind: &str) -> (char, usize) {
    match escape {
        'n' => ('\n', 0),
        't' => ('\t', 0),
        'r' => ('\r', 0),
        '0' => ('\0', 0),
        'a' => ('\u{7}', 0),
        'e' => ('\u{1b}', 0),
        'f' => ('\u{c}', 0),
        'x' => {
            let braced = behind.strip_prefix('{').and_then(|rest| rest.split_once('}'));
            let (digits, more) = match braced {
                Some((digits, _)) => (digits, digits.len() + 2),
                None => {
                    let len = run(behind, |c| c.is_ascii_hexdigit()).min(2);
                    (&behind[..len], len)
                }
            };
            let code = u32::from_str_radix(digits, 16).ok().and_then(char::from_u32);
            match code {
                Some(c) if digits.is_ascii() => (c, more),
                Some(_) | None => ('x', 0),
            }
        }
        other => (other, 0),
    }
}
