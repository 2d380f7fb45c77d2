//! Old-style command lines made new: `-conf FILE`, `-conf=FILE`, `-deb` become `--conf=FILE`, `--debug`.
//! Knows no option by itself and no option parser; the program says which options it has.
//!
//! It lives here and not with a command line because `knockdaemon` and `knockclient` share the
//! habits of the Perl module that the first knockdaemon used (Getopt::Long), and this crate is the
//! one place that both programs depend on.

use std::ffi::{OsStr, OsString};
use std::fmt;
use std::os::unix::ffi::{OsStrExt, OsStringExt};

use crate::suggest::nearest;

/// The options of a program, and of each of its commands.
#[derive(Clone, Debug, Default)]
pub struct Options {
    /// Those of the program itself; they may stand behind a command too.
    pub own: Vec<Known>,
    /// Those of its commands, which hold from the command on, and before those of the program.
    pub commands: Vec<(String, Vec<Known>)>,
}

/// An option that a program has.
#[derive(Clone, Debug)]
pub struct Known {
    long: String,
    aliases: Vec<String>,
    shorts: Vec<char>,
    takes: Takes,
    age: Age,
}

/// Whether an option is followed by a value.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Takes {
    /// It stands alone.
    Nothing,
    /// The next word is its value, whatever it looks like.
    Value,
}

/// Since when there is an option. What was unambiguous in the original stays so.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Age {
    /// The original had it.
    Old,
    /// It came later.
    New,
}

impl Known {
    /// By its long name, without dashes.
    pub fn new(long: impl Into<String>, takes: Takes) -> Self {
        Self { long: long.into(), aliases: Vec::new(), shorts: Vec::new(), takes, age: Age::New }
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

    /// As one that the original had: where the beginning of a name fits it and later ones, it is meant.
    #[must_use]
    pub fn of_the_original(mut self) -> Self {
        self.age = Age::Old;
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
/// only one option has, or only one of the original's. Letters are not bundled (`-qd`), as they
/// never were.
///
/// Values are not looked at, nor anything behind `--`.
///
/// # Errors
/// When an option is none, or the beginning of several.
pub fn normalise(
    args: impl IntoIterator<Item = OsString>,
    options: &Options,
) -> Result<Vec<OsString>, ArgvError> {
    let mut args = args.into_iter();
    let mut words: Vec<OsString> = args.next().into_iter().collect();
    let mut command: Option<&[Known]> = None;
    while let Some(word) = args.next() {
        if word == "--" {
            words.push(word);
            words.extend(args);
            break;
        }
        let Some((name, value)) = split(&word) else {
            if command.is_none() {
                let named = options.commands.iter().find(|(name, _)| word == name.as_str());
                command = Some(named.map_or(&[], |(_, known)| known.as_slice()));
            }
            words.push(word);
            continue;
        };
        let theirs = command.unwrap_or_default();
        match find(name, theirs, &options.own).map_err(|stuck| stuck.told_of(&word, value))? {
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
}

/// Why there is no match.
enum Stuck {
    Unknown { nearest: Option<String> },
    Ambiguous { fitting: Vec<String> },
}

impl Stuck {
    /// About a word of the command line, of which the part behind `=` is no one's business: it may
    /// be a key.
    fn told_of(self, word: &OsStr, value: Option<&OsStr>) -> ArgvError {
        let len = word.len() - value.map_or(0, |value| value.len() + 1);
        let given = word.as_bytes().get(..len).unwrap_or_default();
        let given = String::from_utf8_lossy(given).into_owned();
        match self {
            Self::Unknown { nearest } => ArgvError::Unknown { given, nearest },
            Self::Ambiguous { fitting } => ArgvError::Ambiguous { given, fitting },
        }
    }
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

/// The option with this name or letter, else the one whose name begins so. An option of the
/// command hides one of the same name.
fn find<'a>(name: &str, theirs: &'a [Known], own: &'a [Known]) -> Result<Match<'a>, Stuck> {
    let hidden = |option: &&Known| theirs.iter().any(|other| other.long == option.long);
    let known = || theirs.iter().chain(own.iter().filter(|option| !hidden(option)));
    if let Some(option) = known().find(|option| option.has_short(name)) {
        return Ok(Match::Letter(option));
    }
    if let Some(option) = known().find(|option| option.has_name(|full| full == name)) {
        return Ok(Match::Name(option));
    }
    if let Some(option) =
        known().find(|option| option.has_name(|full| full.eq_ignore_ascii_case(name)))
    {
        return Ok(Match::Name(option));
    }
    let begins =
        |full: &str| full.get(..name.len()).is_some_and(|start| start.eq_ignore_ascii_case(name));
    let fitting: Vec<&Known> = known().filter(|option| option.has_name(begins)).collect();
    let old: Vec<&Known> = fitting.iter().copied().filter(|one| one.age == Age::Old).collect();
    match (fitting.as_slice(), old.as_slice()) {
        ([option], _) | (_, [option]) => Ok(Match::Name(option)),
        ([], _) => {
            let names = known().map(|option| option.long.as_str());
            Err(Stuck::Unknown { nearest: nearest(name, names).map(str::to_owned) })
        }
        (several, _) => {
            let fitting = several.iter().map(|option| option.long.clone()).collect();
            Err(Stuck::Ambiguous { fitting })
        }
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
    /// No option begins so.
    Unknown {
        /// As given, without a value.
        given: String,
        /// The option that may be meant.
        nearest: Option<String>,
    },
    /// The beginning of more than one option.
    Ambiguous {
        /// As given, without a value.
        given: String,
        /// The options that begin so.
        fitting: Vec<String>,
    },
}

impl fmt::Display for ArgvError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Unknown { given, nearest } => {
                write!(f, "unknown option '{given}'")?;
                match nearest {
                    Some(near) => write!(f, "; did you mean -{near}?"),
                    None => Ok(()),
                }
            }
            Self::Ambiguous { given, fitting } => write!(
                f,
                "option '{given}' is ambiguous: it may be -{}; write more of its name",
                fitting.join(", -")
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
        let own = vec![
            Known::new("conf", Takes::Value).of_the_original(),
            Known::new("debug", Takes::Nothing).of_the_original(),
            Known::new("delay", Takes::Value),
            Known::new("remote", Takes::Value).aliases(["host"]).shorts(['r']),
            Known::new("port", Takes::Value).shorts(['p']).of_the_original(),
            Known::new("portspan", Takes::Value).of_the_original(),
            Known::new("time", Takes::Value).shorts(['t']).of_the_original(),
            Known::new("timeout", Takes::Value),
            Known::new("test", Takes::Nothing).of_the_original(),
            Known::new("help", Takes::Nothing).shorts(['h']),
            Known::new("ipv4", Takes::Nothing).shorts(['4']),
        ];
        let formats = vec![Known::new("test", Takes::Value), Known::new("json", Takes::Nothing)];
        let options = Options { own, commands: vec![("formats".to_owned(), formats)] };
        let args = std::iter::once("prog").chain(line.split_whitespace()).map(OsString::from);
        let got = match normalise(args, &options) {
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
            "option '-po' is ambiguous: it may be -port, -portspan; write more of its name",
        );
        check(
            "--po=22",
            "option '--po' is ambiguous: it may be -port, -portspan; write more of its name",
        );
    }

    #[test]
    fn what_was_short_enough_for_the_original_still_is() {
        check("-de -ti 15", "prog --debug --time=15");
        check("-del 5 -timeo 3", "prog --delay=5 --timeout=3");
    }

    #[test]
    fn a_command_has_options_of_its_own_from_there_on() {
        check("-te formats -te FILE -js -deb", "prog --test formats --test=FILE --json --debug");
        check("-conf formats -test", "prog --conf=formats --test");
        check("-js formats", "unknown option '-js'");
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
    fn unknown_options_are_told_as_they_were_written_but_for_their_value() {
        check("-nonsense", "unknown option '-nonsense'");
        check("--dbeug=1", "unknown option '--dbeug'; did you mean -debug?");
        check("-qd", "unknown option '-qd'");
        check("-x -debug", "unknown option '-x'");
    }

    #[test]
    fn bytes_that_are_no_text_stay_as_they_are() {
        let odd = OsString::from_vec(b"-\xff".to_vec());
        let args = [OsString::from("prog"), odd.clone(), "-conf".into(), odd.clone()];
        let own = vec![Known::new("conf", Takes::Value)];
        let words = normalise(args, &Options { own, commands: Vec::new() }).unwrap();
        let mut joined = OsString::from("--conf=");
        joined.push(&odd);
        assert_eq!(words, [OsString::from("prog"), odd, joined]);
    }
}
