//! "Did you mean …?": the name nearest to one that does not exist.

/// The known name that a mistyped one was most likely meant to be, if any is near enough.
pub fn nearest<'a>(wrong: &str, known: impl IntoIterator<Item = &'a str>) -> Option<&'a str> {
    let wrong = wrong.to_lowercase();
    // A third of the letters wrong is a typing mistake, more is another word.
    let limit = (wrong.chars().count() / 3).max(1);
    known
        .into_iter()
        .map(|name| (strsim::osa_distance(&wrong, &name.to_lowercase()), name))
        .filter(|(distance, name)| *distance <= limit && *distance < name.chars().count())
        .min_by_key(|(distance, _)| *distance)
        .map(|(_, name)| name)
}

#[cfg(test)]
mod tests {
    use super::nearest;

    #[track_caller]
    fn check(wrong: &str, expected: Option<&str>) {
        let known = ["uselogformat", "logfile", "logformat", "open", "close", "key", "iv"];
        assert_eq!(nearest(wrong, known), expected);
    }

    #[test]
    fn finds_what_was_meant() {
        check("uselogfromat", Some("uselogformat"));
        check("opn", Some("open"));
        check("LogFile", Some("logfile"));
        check("kye", Some("key"));
        check("logformats", Some("logformat"));
    }

    #[test]
    fn says_nothing_rather_than_nonsense() {
        check("portspan", None);
        check("", None);
        check("x", None);
        check("v6", None);
    }
}
