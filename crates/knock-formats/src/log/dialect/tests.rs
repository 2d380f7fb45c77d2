//! Expressions, and what is said about them.

use super::super::{ErrorKind, FieldName, FormatError};
use super::read;

/// The part of the expression that is at fault, and the sentence; or "ok".
fn verdict(text: &str) -> String {
    match read(text) {
        Ok(_) => "ok".to_owned(),
        Err(mistakes) => {
            let (at, kind) = mistakes.into_iter().next().unwrap();
            if !matches!(kind, ErrorKind::Syntax { .. } | ErrorKind::TooLong { .. }) {
                let error =
                    FormatError { field: FieldName::Port, at: at.clone(), kind: kind.clone() };
                assert!(error.help().is_some_and(|help| !help.is_empty()), "no help for {text}");
            }
            format!("{}: {kind}", &text[at])
        }
    }
}

#[track_caller]
fn check(text: &str, expected: &str) {
    let got = verdict(text);
    assert!(got.starts_with(expected), "{text}\n  expected {expected}…\n  got      {got}");
}

#[test]
fn what_perl_has_alone_is_named_with_its_place() {
    check("SRC=(\\S+)(?= DST)", "(?= DST): a look-ahead");
    check("SRC=(\\S+)(?! DST(x))y", "(?! DST(x)): a negative look-ahead");
    check("(?<=SRC=)(\\S+)", "(?<=SRC=): a look-behind");
    check("(?<!MAC)SRC=(\\S+)", "(?<!MAC): a negative look-behind");
    check("(\\S+) \\1", "\\1: a back-reference");
    check("(\\S+) \\12x", "\\12: a back-reference");
    check("(?<a>\\S+) \\k<a>", "\\k: a back-reference");
    check("(\\S+) \\g1", "\\g: a back-reference");
    check("(?P<a>\\S+) (?P=a)", "(?P=a): a back-reference");
    check("DPT=(\\d++) ", "++: a possessive quantifier");
    check("DPT=(\\d*+)", "*+: a possessive quantifier");
    check("DPT=(\\d?+)", "?+: a possessive quantifier");
    check("DPT=(\\d{1,5}+)", "{1,5}+: a possessive quantifier");
    check("(?>SRC=)(\\S+)", "(?>SRC=): an atomic group");
    check("(a(?R)?b)", "(?R): a recursion");
    check("(a(?1)?b)", "(?1): a recursion");
    check("(a(?-1)?b)", "(?-1): a recursion");
    check("(?<x>a(?&x)?b)", "(?&x): a recursion");
    check("(?P<x>a(?P>x)?b)", "(?P>x): a recursion");
    check("(a)?(?(1)b|c)", "(?(1)b|c): a conditional");
    check("(?|a(b)|c(d))", "(?|a(b)|c(d)): a branch reset");
    check("a(?#why)b", "(?#why): a comment");
    check("a(?{ system 'x' })", "(?{ system 'x' }): Perl code");
    check("a(??{ $x })", "(??{ $x }): Perl code");
    check("(?'n'a)", "(?'n'a): a group named");
    check("(?^i:a)", "(?^i:a): flags reset");
    check("a(*SKIP)b", "(*SKIP): a backtracking verb");
    check("(\\d+)\\Z", "\\Z: \\Z: Perl has it");
    check("SRC=\\K(\\S+)", "\\K: \\K: Perl has it");
    check("\\G(\\S+)", "\\G: \\G: Perl has it");
    check("SRC=(\\S+)\\h", "\\h: \\h: Perl has it");
    check("[\\h]", "\\h: \\h: Perl has it");
    check("(.*)\\R", "\\R: \\R: Perl has it");
    check("\\Q[x]\\E(.)", "\\Q: \\Q…\\E: Perl has it");
    check("\\e\\[", "\\e: \\e: Perl has it");
    check("\\0", "\\0: an octal escape");
    check("\\p{L}+", "\\p{L}: a Unicode class");
    check("(?u)\\d", "(?u): Unicode mode");
    check("(?u:\\d)", "u: Unicode mode");
}

#[test]
fn what_would_silently_mean_something_else_is_refused() {
    check("\\<4\\>", "\\<: \\< is the character itself in Perl");
    check("([^[]+)", "[");
    assert!(verdict("([^[]+)").contains("a [ inside a class"), "{}", verdict("([^[]+)"));
    check("[a[b]]", "[b]: a [ inside a class");
    check("[a&&b]", "a&&b: &&, -- or ~~ inside a class");
    check("a\\vb", "\\v: \\v is any vertical blank in Perl");
    check("[\\v]", "\\v: \\v is any vertical blank in Perl");
    check("\\u0041", "\\u0041: \\u is the next letter");
    check("a**", "**: not a regular expression: two quantifiers");
    check("knock{1", "{1: a { that counts nothing");
    check("{knock}", "{: a { that counts nothing");
}

#[test]
fn plain_mistakes_keep_the_parsers_words() {
    check("SRC=(\\S+", "(: not a regular expression: unclosed group");
    check("SRC=[0-9", "[: not a regular expression: unclosed character class");
    check("a)", "): not a regular expression: unopened group");
    check("(?y)a", "y: not a regular expression: an unknown flag");
    check("*a", "*: not a regular expression: repetition operator missing");
    check("[z-a]", "z-a: not a regular expression: invalid character class range");
    check("\\y", "\\y: not a regular expression: unrecognized escape");
    let long = "a".repeat(super::MAX_EXPRESSION + 1);
    assert!(verdict(&long).contains("an expression may have 8192"));
}

#[test]
fn what_means_the_same_is_taken() {
    for text in [
        "portknock",
        "SRC=([0-9.]+)",
        "DPT=(\\d+)",
        "IN=(\\S+)",
        "PROTO=([A-Z]+)",
        "knock\\#1",
        "^.*SRC=(\\S+) .*$",
        "DPT=(\\d+)\\$",
        "(?i)src=(.*?) ",
        "(?:a|b)(?<name>c)",
        "\\bSRC=(\\S+)\\b",
        "[[:digit:]]+",
        "[]a]",
        "[^]a]",
        "\\[\\]\\{\\}\\/\\\"\\ \\-",
        "x{2}y{2,}z{2,3}?",
        "\\x41\\x{42}\\t",
        "(?x) SRC= (\\S+) # the client",
        "\\A(.)\\z",
        "a+?b??c*?",
        "",
        "(?s-i:.)",
        "é",
    ] {
        check(text, "ok");
    }
}
