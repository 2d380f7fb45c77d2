//! Old-style command lines made new: `-conf FILE`, `-conf=FILE`, `-deb` become `--conf=FILE`, `--debug`.
//! Knows no option by itself and no option parser; the program says which options it has.
//!
//! It lives here and not with a command line because `knockdaemon` and `knockclient` share the
//! habits of the Perl module that the first knockdaemon used (Getopt::Long), and this crate is the
//! one place that both programs depend on.

use std::ffi::{OsStr, OsString};
use std::fmt;
use std::os::unix::ffi::{OsStrExt, OsStringExt};

/// An option that a program has.
#[derive(Clone, Debug)]
pub struct Known {
    long: String,
    aliases: Vec<String>,
    shorts: Vec<char>,
    takes: Takes,
}

/// Whether an option is followed by a value.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Takes {
    /// It stands alone.
    Nothing,
    /// The next word is its value, whatever it looks like.
    Value,
}

impl Known {
    /// By its long name, without dashes.
    pub fn new(long: impl Into<String>, takes: Takes) -> Self {
        Self { long: long.into(), aliases: Vec::new(), shorts: Vec::new(), takes }
    }

    /// Its long name.
    #[must_use]
    pub fn long(&self) -> &str {
        &self.long
    }

    /// With other long names.
    #[must_use]
    pub fn aliases<S: Into<String>>(mut self, names: impl IntoIterator<Item = S>) -> Self {
        self.aliases.extend(names.into_iter().map(Into::into));
        self
    }

    /// With single letters.
    #[must_use]
    pub fn shorts(mut self, letters: impl IntoIterator<Item = char>) -> Self {
        self.shorts.extend(letters);
        self
    }

    fn has_name(&self, matches: impl Fn(&str) -> bool) -> bool {
        matches(&self.long) || self.aliases.iter().any(|alias| matches(alias))
    }

    fn has_short(&self, name: &str) -> bool {
        let mut letters = name.chars();
        letters.next().is_some_and(|letter| self.shorts.contains(&letter))
            && letters.next().is_none()
    }
}

/// Rewrites the words of a command line, the program's name first, for a parser that wants
/// `--option=value`. One dash or two, `=` or a blank, any case, and any beginning of a name that
/// only one option has. Letters are not bundled (`-qd`), as they never were.
///
/// What it does not know is passed on, so that the parser behind it complains in its own words.
/// Values are not looked at, nor anything behind `--`.
///
/// # Errors
/// When the beginning of a name fits more than one option.
pub fn normalise(
    args: impl IntoIterator<Item = OsString>,
    known: &[Known],
) -> Result<Vec<OsString>, ArgvError> {
    let mut args = args.into_iter();
    let mut words: Vec<OsString> = args.next().into_iter().collect();
    while let Some(word) = args.next() {
        if word == "--" {
            words.push(word);
            words.extend(args);
            break;
        }
        let Some((name, value)) = split(&word) else {
            words.push(word);
            continue;
        };
        match find(name, known)? {
            Match::Unknown => words.push(double_dashed(name, value)),
            // `-h` and `--help` may differ, so a letter that stands alone stays a letter.
            Match::Letter(option) if value.is_none() && option.takes == Takes::Nothing => {
                words.push(word);
            }
            Match::Letter(option) | Match::Name(option) => match (option.takes, value) {
                (Takes::Value, None) => match args.next() {
                    // Joined with `=`: a value such as `-5` cannot be taken for an option then.
                    Some(value) if value != "--" => {
                        words.push(double_dashed(&option.long, Some(&value)));
                    }
                    // No value. The parser says so.
                    end => {
                        words.push(double_dashed(&option.long, None));
                        words.extend(end);
                        words.extend(args);
                        break;
                    }
                },
                (Takes::Nothing | Takes::Value, value) => {
                    words.push(double_dashed(&option.long, value));
                }
            },
        }
    }
    Ok(words)
}

enum Match<'a> {
    Name(&'a Known),
    Letter(&'a Known),
    Unknown,
}

/// Name and value of `-name`, `--name`, `-name=value`; `None` when the word is no option: a file,
/// a number below zero, the `-` that stands for stdin.
fn split(word: &OsStr) -> Option<(&str, Option<&OsStr>)> {
    let bytes = word.as_bytes();
    let option = bytes.strip_prefix(b"--").or_else(|| bytes.strip_prefix(b"-"))?;
    let mut parts = option.splitn(2, |byte| *byte == b'=');
    let name = std::str::from_utf8(parts.next()?).ok()?;
    let number = name.len() > 1 && name.bytes().all(|byte| byte.is_ascii_digit() || byte == b'.');
    if name.is_empty() || name.starts_with('-') || number {
        return None;
    }
    Some((name, parts.next().map(OsStr::from_bytes)))
}

/// The option with this name or letter, else the one whose name begins so.
fn find<'a>(name: &str, known: &'a [Known]) -> Result<Match<'a>, ArgvError> {
    if let Some(option) = known.iter().find(|option| option.has_short(name)) {
        return Ok(Match::Letter(option));
    }
    if let Some(option) = known.iter().find(|option| option.has_name(|full| full == name)) {
        return Ok(Match::Name(option));
    }
    if let Some(option) =
        known.iter().find(|option| option.has_name(|full| full.eq_ignore_ascii_case(name)))
    {
        return Ok(Match::Name(option));
    }
    let begins =
        |full: &str| full.get(..name.len()).is_some_and(|start| start.eq_ignore_ascii_case(name));
    let mut fitting = known.iter().filter(|option| option.has_name(begins));
    match (fitting.next(), fitting.next()) {
        (None, _) => Ok(Match::Unknown),
        (Some(option), None) => Ok(Match::Name(option)),
        (Some(_), Some(_)) => Err(ArgvError::Ambiguous {
            given: name.to_owned(),
            fitting: known
                .iter()
                .filter(|option| option.has_name(begins))
                .map(|option| option.long.clone())
                .collect(),
        }),
    }
}

fn double_dashed(name: &str, value: Option<&OsStr>) -> OsString {
    let mut word = b"--".to_vec();
    word.extend_from_slice(name.as_bytes());
    if let Some(value) = value {
        word.push(b'=');
        word.extend_from_slice(value.as_bytes());
    }
    OsString::from_vec(word)
}

/// What is wrong with a command line before its options are even parsed.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum ArgvError {
    /// The beginning of more than one option.
    Ambiguous {
        /// As given, without dashes.
        given: String,
        /// The options that begin so.
        fitting: Vec<String>,
    },
}

impl fmt::Display for ArgvError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Ambiguous { given, fitting } => write!(
                f,
                "option '-{given}' is ambiguous: it may be --{}; write more of its name",
                fitting.join(", --")
            ),
        }
    }
}

impl std::error::Error for ArgvError {}

#[cfg(test)]
mod tests {
    use super::*;

    /// Words with blanks between them in, words or the complaint out.
    #[track_caller]
    fn check(line: &str, expected: &str) {
        let known = [
            Known::new("conf", Takes::Value),
            Known::new("debug", Takes::Nothing),
            Known::new("remote", Takes::Value).aliases(["host"]).shorts(['r']),
            Known::new("port", Takes::Value).shorts(['p']),
            Known::new("portspan", Takes::Value),
            Known::new("time", Takes::Value).shorts(['t']),
            Known::new("test", Takes::Nothing),
            Known::new("help", Takes::Nothing).shorts(['h']),
            Known::new("ipv4", Takes::Nothing).shorts(['4']),
        ];
        let args = std::iter::once("prog").chain(line.split_whitespace()).map(OsString::from);
        let got = match normalise(args, &known) {
            Ok(words) => {
                let words: Vec<_> = words.iter().map(|word| word.to_string_lossy()).collect();
                words.join(" ")
            }
            Err(error) => error.to_string(),
        };
        assert_eq!(got, expected);
    }

    #[test]
    fn one_dash_or_two_equals_sign_or_blank() {
        check("", "prog");
        for line in ["-conf F", "--conf F", "-conf=F", "--conf=F", "-CONF F", "-co F"] {
            check(line, "prog --conf=F");
        }
        check("-debug --debug -deb", "prog --debug --debug --debug");
        check("-hos example.org", "prog --remote=example.org");
        check("-conf=a=b", "prog --conf=a=b");
        check("-conf=", "prog --conf=");
    }

    #[test]
    fn letters_before_beginnings_of_names() {
        check("-p 22 -t 15 -test -r host", "prog --port=22 --time=15 --test --remote=host");
        check("-h", "prog -h");
        check("-help", "prog --help");
        check("-4", "prog -4");
    }

    #[test]
    fn an_exact_name_before_a_longer_one() {
        check("-port 22 -portspan 1-2 -ports 3-4", "prog --port=22 --portspan=1-2 --portspan=3-4");
    }

    #[test]
    fn a_beginning_of_several_names_is_refused() {
        check(
            "-te -po 22",
            "option '-po' is ambiguous: it may be --port, --portspan; write more of its name",
        );
    }

    #[test]
    fn values_are_not_looked_at() {
        check("-time -1 -debug", "prog --time=-1 --debug");
        check("-conf -debug -debug", "prog --conf=-debug --debug");
        check("file - -12 -0.5", "prog file - -12 -0.5");
    }

    #[test]
    fn nothing_behind_two_dashes_is_touched() {
        check("-deb -- ssh -p 22 -deb", "prog --debug -- ssh -p 22 -deb");
        check("-conf -- ssh -deb", "prog --conf -- ssh -deb");
        check("-conf", "prog --conf");
    }

    #[test]
    fn unknown_options_are_passed_on() {
        check("-nonsense --other=1", "prog --nonsense --other=1");
        check("-qd", "prog --qd");
    }

    #[test]
    fn bytes_that_are_no_text_stay_as_they_are() {
        let odd = OsString::from_vec(b"-\xff".to_vec());
        let args = [OsString::from("prog"), odd.clone(), "-conf".into(), odd.clone()];
        let words = normalise(args, &[Known::new("conf", Takes::Value)]).unwrap();
        let mut joined = OsString::from("--conf=");
        joined.push(&odd);
        assert_eq!(words, [OsString::from("prog"), odd, joined]);
    }
}
