//! One line for the `iptables` crate out of words, so that it splits into the same words again.
//!
//! The crate splits by `["'].+?["']|[^ ]+` and then strips quotes from both ends of each piece.
//! What does not survive that is refused: a rule must not become another rule on its way.

use std::fmt;

/// The line.
///
/// # Errors
/// For the first word that would not arrive as it is.
pub(super) fn quoted(words: &[String]) -> Result<String, Unpassable> {
    let mut line = String::new();
    for word in words {
        let unpassable = |because| Unpassable { word: word.clone(), because };
        if !line.is_empty() {
            line.push(' ');
        }
        if word.is_empty() {
            return Err(unpassable("is empty"));
        }
        if word.contains('\0') {
            return Err(unpassable("contains a NUL byte"));
        }
        if !word.contains(' ') {
            if word.starts_with(QUOTES) || word.ends_with(QUOTES) {
                return Err(unpassable("begins or ends with a quotation mark"));
            }
            line.push_str(word);
        } else if word.contains(QUOTES) {
            return Err(unpassable("contains both blanks and quotation marks"));
        } else if word.contains('\n') {
            return Err(unpassable("contains both blanks and line breaks"));
        } else {
            line.push('"');
            line.push_str(word);
            line.push('"');
        }
    }
    Ok(line)
}

const QUOTES: [char; 2] = ['"', '\''];

/// A word that cannot be handed to iptables.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Unpassable {
    word: String,
    because: &'static str,
}

impl fmt::Display for Unpassable {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { word, because } = self;
        write!(f, "'{}' {because}, and cannot be part of a rule; use 'exec'", word.escape_debug())
    }
}

impl std::error::Error for Unpassable {}

#[cfg(test)]
mod tests {
    use iptables::IPTables;

    use super::*;
    use crate::testing::script;

    /// What a program gets from the crate for this line.
    fn arrives(line: &str) -> Vec<String> {
        let folder = tempfile::tempdir().unwrap();
        let cmd = script(folder.path(), r#"shift 2; printf '%s\0' "$@""#);
        let iptables = IPTables { cmd, has_check: true, has_wait: false, is_numeric: false };
        let stdout = iptables.execute("filter", line).unwrap().stdout;
        let words = String::from_utf8(stdout).unwrap();
        words.split_terminator('\0').map(str::to_owned).collect()
    }

    /// All words of up to three of these characters: what is not refused arrives.
    #[test]
    fn words_arrive_as_they_are_or_are_refused() {
        let letters = ["a", " ", "'", "\"", "\n", "\t", "\\", "$"];
        let mut words = vec![String::new()];
        let mut longest = words.clone();
        for _ in 0..3 {
            let longer = |word: &String| letters.map(|letter| format!("{word}{letter}"));
            longest = longest.iter().flat_map(longer).collect();
            words.extend(longest.iter().cloned());
        }
        let one = |word: &String| quoted(std::slice::from_ref(word));
        let (passable, refused): (Vec<_>, Vec<_>) =
            words.into_iter().partition(|word| one(word).is_ok());
        assert_eq!(arrives(&quoted(&passable).unwrap()), passable);
        assert!(passable.contains(&"a'a".to_owned()) && passable.contains(&"a a".to_owned()));
        assert!(refused.contains(&"'a ".to_owned()) && refused.contains(&String::new()));
    }

    #[test]
    fn a_refusal_names_the_word() {
        let words = ["-j", "say \"hi\""].map(str::to_owned);
        let said = quoted(&words).unwrap_err().to_string();
        assert!(
            said.contains(r#"'say \"hi\"' contains both blanks and quotation marks"#),
            "{said}"
        );
    }
}
