//! Words for a shell that is to take them as they are. Knows no commands.

/// The words with blanks between them, each in quotes that hold whatever is in it.
pub(crate) fn quoted<T: AsRef<str>>(words: &[T]) -> String {
    let quote = |word: &T| format!("'{}'", word.as_ref().replace('\'', r"'\''"));
    words.iter().map(quote).collect::<Vec<_>>().join(" ")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn nothing_in_a_word_means_anything() {
        assert_eq!(
            quoted(&["a", "", "$(x) `y` \"z\"", "it's"]),
            r#"'a' '' '$(x) `y` "z"' 'it'\''s'"#
        );
    }
}
