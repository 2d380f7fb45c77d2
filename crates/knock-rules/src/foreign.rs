//! Perl that is not part of the language: what to say about it, and what works instead.
//! Decides nothing; the parser asks when it is stuck.

use std::ops::Range;

use crate::error::RuleError;
use crate::lexer::{Spanned, Token, unit_seconds};
use crate::parser::slice;

/// A token where an operator should be.
pub(crate) fn in_operators_place(found: &Spanned<'_>, text: &str) -> RuleError {
    let at = found.at.clone();
    let shown = slice(text, &at);
    let refused = |help: &str| {
        RuleError::new(at.clone(), format!("`{shown}` is not part of the language")).help_with(help)
    };
    let Token::Sign(sign) = &found.token else {
        let word = match &found.token {
            Token::Word(word) => *word,
            _ => "",
        };
        return match word {
            "AND" | "OR" | "NOT" | "EQ" | "NE" => {
                let error = RuleError::new(at.clone(), format!("`{word}` is written small"));
                error.help_with(format!("write {}", word.to_ascii_lowercase()))
            }
            "xor" => refused("write (a || b) && !(a && b)"),
            "cmp" => refused("compare with eq, lt, gt"),
            "x" => refused("write the text out"),
            "if" | "unless" => refused(&postfix(word, found, text)),
            "while" | "until" | "for" | "foreach" => refused(
                "a rule is asked once for each knock; the condition is the expression alone",
            ),
            "is" | "equals" => refused("write == for numbers, eq for texts"),
            "isa" | "can" => refused("there are no classes; write == for numbers, eq for texts"),
            "in" | "any" => {
                refused("write PORT == 22 || PORT == 80; cidr(IP, \"10.0.0.0/8\") for networks")
            }
            "between" => refused("write PORT >= 20 && PORT <= 30"),
            "like" | "matches" | "contains" => refused("a match is written =~ /…/"),
            unit if unit_seconds(unit).is_some() && unit.len() > 1 => {
                refused("numbers are minutes already; a fixed time has its unit: 90s, 5m, 1h 30m")
            }
            "then" | "else" => refused("write a ? b : c, or an action each"),
            _ => RuleError::new(at.clone(), format!("`{shown}` follows without an operator"))
                .help_with("join them: &&, ||, ==, eq, a dot, …"),
        };
    };
    match *sign {
        "&" => refused("&& joins conditions; FLAG0 % 2 == 1 asks for the lowest bit"),
        "|" => refused("|| joins conditions"),
        "^" => refused("write (a || b) && !(a && b)"),
        "~~" => refused("write PORT == 22 || PORT == 80 for a list, =~ /…/ for a match"),
        "~" => refused("a match is written =~ /…/"),
        "<<" | ">>" => refused("multiply or divide: PORT * 2, PORT / 2"),
        "**" => refused("write the product out: PORT * PORT"),
        "//" => refused("write defined(a) ? a : b"),
        "<=>" => refused("compare with <, == and >"),
        "=>" => refused("greater or equal is written >="),
        "=<" => refused("less or equal is written <="),
        "<>" => refused("unequal is written !="),
        "===" => refused("write =="),
        "!==" => refused("write !="),
        "->" | "::" => refused("there are no methods and no modules; state(a,b) has the keys"),
        ".." | "..." => refused("write PORT >= 20 && PORT <= 30"),
        "++" | "--" => refused("a condition changes nothing; put it into `state =`"),
        "+=" | "-=" | "*=" | "/=" | "%=" | ".=" | "**=" | "||=" | "&&=" | "//=" | "|=" | "&="
        | "^=" | "<<=" | ">>=" => refused("only an update in `state =` assigns"),
        "=" => refused("== compares"),
        ";" => refused("one expression each; join conditions by &&"),
        "," => refused("join conditions by && or ||"),
        "(" => RuleError::new(at, "`(` follows without an operator").help_with(
            "join them: &&, ||, ==, …; keys of state stand in one pair: state(IP,visits)",
        ),
        ":" => RuleError::new(at, "`:` without a `?` before it")
            .help_with("a choice is written a ? b : c, a time 1h 30m"),
        "{" | "[" => refused("the keys of state stand in parentheses: state(IP,visits)"),
        ")" => RuleError::new(at, "this `)` was never opened").help_with("remove it"),
        _ => RuleError::new(at, format!("`{shown}` cannot stand here")),
    }
}

/// What `a if b` would be as one expression.
fn postfix(word: &str, found: &Spanned<'_>, text: &str) -> String {
    let wrapped = |part: &str| {
        let part = part.trim().trim_end_matches(';');
        let simple = part.chars().all(|c| c.is_ascii_alphanumeric() || c == '_');
        if simple { part.to_owned() } else { format!("({part})") }
    };
    let before = wrapped(text.get(..found.at.start).unwrap_or_default());
    let behind = wrapped(text.get(found.at.end..).unwrap_or_default());
    match (behind.as_str(), word) {
        ("" | "()", _) => "the condition is the expression alone".to_owned(),
        (_, "unless") => format!("write {before} && !{behind}"),
        _ => format!("write {before} && {behind}"),
    }
}

/// A token where a field, a number or a text should be.
pub(crate) fn in_operands_place(found: &Spanned<'_>, text: &str) -> RuleError {
    let at = found.at.clone();
    let shown = slice(text, &at);
    let expected = "a field, a number, a text in quotes or ( stands there";
    match &found.token {
        Token::Duration => RuleError::new(at, format!("`{shown}` stands alone, as a whole delay"))
            .help_with("in an expression of a delay, numbers are minutes: TIME + 5"),
        Token::Regex { .. } => {
            RuleError::new(at, "a regular expression needs something to look at")
                .help_with(format!("write IP =~ {shown}"))
        }
        Token::Sign("<<") => {
            RuleError::new(at, "a here-document (`<<`) is not part of the language")
                .help_with("write the text in quotes")
        }
        Token::Sign("..") => RuleError::new(at, "`..` is not part of the language")
            .help_with("write PORT >= 20 && PORT <= 30"),
        Token::Sign("++" | "--") => {
            RuleError::new(at, format!("`{shown}` is not part of the language"))
                .help_with("an update stands in `state =`: state(IP,visits)++")
        }
        Token::Sign("\\" | "~" | "{" | "[" | "<" | "&" | "::" | "->" | "**" | "//") => {
            RuleError::new(at, format!("`{shown}` is not part of the language")).help_with(expected)
        }
        Token::Sign(")") => {
            RuleError::new(at, "something is missing before this `)`").help_with(expected)
        }
        _ => {
            RuleError::new(at, format!("something is missing before `{shown}`")).help_with(expected)
        }
    }
}

/// A call of a function that is none of ours.
pub(crate) fn function(at: Range<usize>, name: &str) -> RuleError {
    if name.eq_ignore_ascii_case("state") {
        return RuleError::new(at, format!("`{name}` is written small"))
            .help_with("write state(…)");
    }
    let error = RuleError::new(at, format!("unknown function `{name}`"));
    match instead(name) {
        Some(help) => error.help_with(help),
        None => error.help_with("there are state(…), defined(…) and cidr(…)"),
    }
}

/// A function of Perl's, written without parentheses.
pub(crate) fn bare_function(at: Range<usize>, name: &str) -> Option<RuleError> {
    instead(name).map(|help| RuleError::new(at, format!("unknown name `{name}`")).help_with(help))
}

/// A test of a file, `-e "/path"`.
pub(crate) fn file_test(at: Range<usize>, letter: &str) -> RuleError {
    RuleError::new(at, format!("`-{letter}` is not part of the language: a rule looks at no file"))
        .help_with("test it in the template: system = \"test -e /path && …\"")
}

/// A statement of Perl's.
pub(crate) fn statement(at: Range<usize>, word: &str) -> Option<RuleError> {
    let help = match word {
        "if" | "unless" | "while" | "until" | "for" | "foreach" | "return" | "do" => {
            "the condition is the expression alone: PORT == 22 && TIME != 255"
        }
        "my" | "our" | "local" | "use" | "require" | "package" | "sub" | "eval" | "no" => {
            "conditions compare, `state =` remembers, `system =` runs a program"
        }
        _ => return None,
    };
    Some(RuleError::new(at, format!("`{word}` is not part of the language")).help_with(help))
}

fn instead(name: &str) -> Option<&'static str> {
    const NUMBERS: &str = "numbers are compared and joined by + - * / %";
    const LISTS: &str = "there are no lists: write PORT == 22 || PORT == 80";
    Some(match name {
        "system" | "exec" | "qx" | "fork" | "kill" | "open" | "close" | "unlink" | "mkdir"
        | "rename" | "chmod" | "chown" | "sleep" | "wait" | "syslog" => {
            "put the command into a template's `system =`"
        }
        "print" | "printf" | "say" | "warn" | "die" | "exit" => {
            "a rule prints nothing; put it into a template's `system =`"
        }
        "time" => "write NOW",
        "localtime" | "gmtime" | "strftime" | "date" => {
            "write THISYEAR, THISMONTH, THISDAY, THISHOUR, THISMINUTE or THISWEEKDAY"
        }
        "sprintf" | "join" | "pack" | "concat" => "join texts by a dot: IP . \":\" . PORT",
        "lc" | "uc" | "lcfirst" | "ucfirst" => "/…/i ignores case",
        "length" | "substr" | "index" | "rindex" | "split" | "match" | "unpack" | "pos" => {
            "write =~ /…/, such as IP =~ /^10\\.1\\./"
        }
        "grep" | "map" | "sort" | "reverse" | "scalar" | "keys" | "values" | "each" | "push"
        | "pop" | "shift" | "unshift" | "splice" | "first" | "any" | "all" | "wantarray" => LISTS,
        "int" | "floor" | "round" => {
            "whole parts of a / b are (a - a % b) / b; or compare with < and >"
        }
        "abs" | "sqrt" | "sin" | "cos" | "log" | "exp" | "min" | "max" | "hex" | "oct" | "chr"
        | "ord" => NUMBERS,
        "rand" | "srand" => "a rule says the same for the same knock; nothing is drawn by lot",
        "ref" | "bless" | "tie" => "values are numbers, texts and addresses only",
        "exists" => "write defined(state(…))",
        "delete" => "write state(IP,visits) = undef in `state =`",
        "last" | "next" | "redo" | "goto" => {
            "a rule is asked once for each knock; the condition is the expression alone"
        }
        "true" | "TRUE" | "yes" => "write 1",
        "false" | "FALSE" | "no" => "write 0",
        "inet_aton" | "inet_ntoa" | "gethostbyname" => {
            "compare addresses as they are written: IP == \"192.0.2.7\""
        }
        _ => return None,
    })
}
