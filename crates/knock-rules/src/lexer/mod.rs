//! Cuts an expression into tokens, and refuses by name the pieces of Perl that no token is for.
//! Knows no grammar, only whether an operand or an operator stands before a sign.

mod quotes;

use std::ops::Range;

use crate::error::RuleError;

#[derive(Clone, Debug, PartialEq)]
pub(crate) enum Token<'a> {
    Number(f64),
    /// A number with a unit, `90s`.
    Duration,
    Text(String),
    Word(&'a str),
    Regex {
        source: &'a str,
        source_at: usize,
        flags: &'a str,
        flags_at: usize,
    },
    Sign(&'static str),
    /// Something refused already, in an operand's place.
    Broken,
}

#[derive(Clone, Debug)]
pub(crate) struct Spanned<'a> {
    pub(crate) token: Token<'a>,
    pub(crate) at: Range<usize>,
}

/// Words that join two operands.
pub(crate) const WORD_OPERATORS: [&str; 12] =
    ["eq", "ne", "lt", "gt", "le", "ge", "and", "or", "xor", "x", "cmp", "isa"];

/// Longer ones first, so that `<=` is not `<` and `=`.
const SIGNS: [&str; 62] = [
    "~~", "<=>", "**=", "||=", "&&=", "//=", "...", "===", "!==", "<<=", ">>=", "==", "!=", "<=",
    ">=", "=~", "!~", "&&", "||", "++", "--", "+=", "-=", ".=", "*=", "/=", "%=", "|=", "&=", "^=",
    "**", "//", "->", "=>", "=<", "<>", "<<", ">>", "::", "..", "<", ">", "=", "!", "+", "-", "*",
    "/", "%", ".", "(", ")", ",", ";", "?", ":", "{", "}", "[", "]", "~", "\\",
];
/// Names in capitals that are variables and handles of Perl itself.
const PERLS_OWN: [&str; 6] = ["ENV", "ARGV", "INC", "STDIN", "STDOUT", "STDERR"];
const BIT_SIGNS: [&str; 3] = ["&", "|", "^"];

/// The tokens, with an error for each thing refused. The stream goes on behind it where it can.
pub(crate) fn lex(text: &str) -> (Vec<Spanned<'_>>, Vec<RuleError>) {
    let mut lexer = Lexer { text, at: 0, tokens: Vec::new(), errors: Vec::new() };
    while lexer.at < text.len() {
        lexer.next();
    }
    (lexer.tokens, lexer.errors)
}

/// The units of a duration, with their seconds.
pub(crate) fn unit_seconds(unit: &str) -> Option<f64> {
    Some(match unit {
        "s" | "sec" | "secs" | "second" | "seconds" => 1.0,
        "m" | "min" | "mins" | "minute" | "minutes" => 60.0,
        "h" | "hour" | "hours" => 3600.0,
        "d" | "day" | "days" => 86_400.0,
        _ => return None,
    })
}

struct Lexer<'a> {
    text: &'a str,
    at: usize,
    tokens: Vec<Spanned<'a>>,
    errors: Vec<RuleError>,
}

impl<'a> Lexer<'a> {
    fn next(&mut self) {
        let rest = self.rest();
        let Some(c) = rest.chars().next() else { return };
        match c {
            c if c.is_ascii_whitespace() => self.at += 1,
            '#' => self.at += rest.find('\n').unwrap_or(rest.len()),
            '0'..='9' => self.number(),
            '.' if rest[1..].starts_with(|c: char| c.is_ascii_digit()) && self.wants_operand() => {
                self.number();
            }
            'A'..='Z' | 'a'..='z' | '_' => self.word(),
            '\'' => self.single_quoted(),
            '"' => self.double_quoted(),
            '`' => self.backticks(),
            '/' if self.wants_operand() => self.regex(1),
            '$' | '@' => self.sigil(c),
            '%' | '&' if self.wants_operand() => self.sigil(c),
            _ => self.sign(c),
        }
    }

    fn rest(&self) -> &'a str {
        self.text.get(self.at..).unwrap_or_default()
    }

    fn push(&mut self, token: Token<'a>, len: usize) {
        self.tokens.push(Spanned { token, at: self.at..self.at + len });
        self.at += len;
    }

    fn refuse(&mut self, len: usize, message: impl Into<String>, help: impl Into<String>) {
        let at = self.at..self.at + len;
        self.errors.push(RuleError::new(at, message).help_with(help));
    }

    /// Whether an operand comes next: the way to tell `/` the division from `/` the regex.
    fn wants_operand(&self) -> bool {
        match self.tokens.last().map(|spanned| &spanned.token) {
            None => true,
            Some(Token::Sign(sign)) => !matches!(*sign, ")" | "]" | "}" | "++" | "--"),
            Some(Token::Word(word)) => WORD_OPERATORS.contains(word) || *word == "not",
            Some(
                Token::Number(_)
                | Token::Duration
                | Token::Text(_)
                | Token::Regex { .. }
                | Token::Broken,
            ) => false,
        }
    }

    fn number(&mut self) {
        let rest = self.rest();
        let radix = match rest.get(..2) {
            Some("0x" | "0X") => Some((16, "hexadecimal")),
            Some("0b" | "0B") => Some((2, "binary")),
            _ => None,
        };
        if let Some((radix, name)) = radix {
            let len = 2 + run(&rest[2..], |c| c.is_ascii_alphanumeric() || c == '_');
            let digits = rest[2..len].replace('_', "");
            match u32::from_str_radix(&digits, radix) {
                Ok(number) => self.push(Token::Number(number.into()), len),
                Err(_) => {
                    let message = format!("`{}` is not a {name} number", &rest[..len]);
                    self.refuse(len, message, "at most 32 bits");
                    self.push(Token::Broken, len);
                }
            }
            return;
        }

        let digit = |c: char| c.is_ascii_digit() || c == '_';
        let mut len = run(rest, digit);
        let mut dots = 0;
        while rest[len..].starts_with('.')
            && rest[len + 1..].starts_with(|c: char| c.is_ascii_digit())
        {
            dots += 1;
            len += 1 + run(&rest[len + 1..], digit);
        }
        if dots > 1 {
            len += run(&rest[len..], |c| c.is_ascii_digit() || c == '/');
            let address = &rest[..len];
            let help = match address.contains('/') {
                true => format!("cidr(IP, \"{address}\")"),
                false => format!("\"{address}\""),
            };
            self.refuse(len, "an address needs quotes", format!("write {help}"));
            self.push(Token::Broken, len);
            return;
        }
        if let Some(exponent) = exponent(&rest[len..]) {
            len += exponent;
        } else {
            let unit = run(&rest[len..], |c| c.is_ascii_alphanumeric() || c == '_');
            if unit > 0 {
                self.number_with_unit(len, unit);
                return;
            }
        }

        let digits = rest[..len].replace('_', "");
        let octal = digits.len() > 1 && digits.bytes().all(|b| b.is_ascii_digit());
        if octal && digits.starts_with('0') {
            let decimal = digits.trim_start_matches('0');
            let decimal = if decimal.is_empty() { "0" } else { decimal };
            let help = match u64::from_str_radix(&digits, 8) {
                Ok(octal) => format!("Perl reads it as octal; write {octal} or {decimal}"),
                Err(_) => format!("write {decimal}"),
            };
            self.refuse(len, format!("the number {digits} starts with a zero"), help);
        }
        match digits.parse::<f64>() {
            Ok(number) if number.is_finite() => self.push(Token::Number(number), len),
            Ok(_) | Err(_) => {
                self.refuse(
                    len,
                    format!("the number {digits} is too large"),
                    "write a smaller one",
                );
                self.push(Token::Broken, len);
            }
        }
    }

    fn number_with_unit(&mut self, number: usize, unit: usize) {
        let rest = self.rest();
        let len = number + unit;
        if unit_seconds(&rest[number..len]).is_some() {
            self.push(Token::Duration, len);
        } else {
            let text = &rest[..len];
            let message = format!("`{text}` is neither a number nor a name");
            self.refuse(len, message, format!("a text needs quotes: \"{text}\""));
            self.push(Token::Broken, len);
        }
    }

    fn word(&mut self) {
        let rest = self.rest();
        let len = run(rest, |c| c.is_ascii_alphanumeric() || c == '_');
        let word = &rest[..len];
        let delimiter = rest[len..].chars().next().unwrap_or(' ');
        if self.wants_operand() && delimiter.is_ascii_punctuation() {
            let slash = delimiter == '/' || self.behind_match();
            match (word, delimiter) {
                ("m" | "qr", '/') => return self.regex(len + 1),
                ("m" | "qr", _) if slash => {
                    self.refuse(len + 1, "a regular expression between other signs", "write /…/");
                    return self.give_up();
                }
                ("s" | "tr" | "y", _) if slash => {
                    let message = format!("`{word}{delimiter}…` changes a text");
                    self.refuse(len + 1, message, "a rule can only look: =~ /…/");
                    return self.give_up();
                }
                ("q" | "qq" | "qw" | "qx", c) if !matches!(c, ',' | ')' | ';' | '=') => {
                    return self.quote_like(word, c);
                }
                _ => (),
            }
        }
        self.push(Token::Word(word), len);
    }

    /// `q{…}` and its kin.
    fn quote_like(&mut self, word: &str, opening: char) {
        let rest = self.rest();
        let closing = match opening {
            '(' => ')',
            '{' => '}',
            '[' => ']',
            '<' => '>',
            other => other,
        };
        let inside = word.len() + 1;
        let behind = rest.get(inside..).unwrap_or_default();
        let len = behind.find(closing).map_or(rest.len(), |end| inside + end + 1);
        let help = match word {
            "qx" => "put the command into a template's `system =`",
            "qw" => "compare one by one: PORT == 22 || PORT == 80",
            _ => "write the text in quotes",
        };
        self.refuse(len, format!("`{word}{opening}…{closing}` is not part of the language"), help);
        self.push(Token::Broken, len);
    }

    fn behind_match(&self) -> bool {
        let last = self.tokens.last().map(|spanned| &spanned.token);
        matches!(last, Some(Token::Sign("=~" | "!~")))
    }

    /// The rest cannot be cut into tokens with any sense.
    fn give_up(&mut self) {
        self.push(Token::Broken, self.text.len() - self.at);
    }

    fn regex(&mut self, opening: usize) {
        let rest = self.rest();
        let body = &rest[opening..];
        let mut escaped = false;
        let mut in_class = false;
        let end = body.char_indices().find(|(_, c)| {
            if escaped {
                escaped = false;
                return false;
            }
            match c {
                '\\' => escaped = true,
                '[' => in_class = true,
                ']' => in_class = false,
                _ => (),
            }
            *c == '/'
        });
        let Some((end, _)) = end else {
            self.refuse(opening, "this regular expression has no end", "close it with /");
            return self.give_up();
        };
        if in_class {
            // Perl ends it here too, and then complains about the class.
            self.refuse(opening + end + 1, "the / inside [ ] ends the expression", "write \\/");
            return self.give_up();
        }
        let flags_at = opening + end + 1;
        let flags = run(&rest[flags_at..], |c| c.is_ascii_alphabetic());
        // `/x/and` is no flag, but nobody needs it without the blank.
        let token = Token::Regex {
            source: &body[..end],
            source_at: self.at + opening,
            flags: &rest[flags_at..flags_at + flags],
            flags_at: self.at + flags_at,
        };
        self.push(token, flags_at + flags);
    }

    /// `$PORT`, `@list`, `%IP%`, `&call`: Perl's ways to mark a name.
    fn sigil(&mut self, sigil: char) {
        let rest = self.rest();
        let braced = usize::from(rest[1..].starts_with('{'));
        let start = 1 + braced;
        let name_len = run(&rest[start..], |c| c.is_ascii_alphanumeric() || c == '_');
        let name = &rest[start..start + name_len];
        if name.is_empty() {
            if matches!(sigil, '%' | '&') {
                return self.sign(sigil);
            }
            let len = 1 + rest[1..].chars().next().map_or(0, char::len_utf8);
            let message = format!("`{}` is a variable of Perl's", &rest[..len]);
            self.refuse(len, message, "names of fields stand alone: PORT");
            return self.push(Token::Broken, len);
        }
        let mut len = start + name_len;
        let closing = if braced == 1 { '}' } else { '%' };
        if (braced == 1 || sigil == '%') && rest[len..].starts_with(closing) {
            len += 1;
        }
        // `%PORT%` is a template's way to write a field, and as good as its name.
        if sigil == '%' && len == start + name_len + 1 {
            return self.push_inner(name, start, len);
        }
        let shown = &rest[..len];
        let is_field = name.starts_with(|c: char| c.is_ascii_uppercase())
            && name.bytes().all(|b| b.is_ascii_uppercase() || b.is_ascii_digit())
            && !PERLS_OWN.contains(&name)
            && sigil != '&';
        if is_field {
            let message = format!("`{shown}`: names have no sign before them here");
            self.refuse(len, message, format!("write {name}"));
            return self.push(Token::Word(name), len);
        }
        let (message, help) = match (sigil, name) {
            (_, "state") => (
                format!("`{shown}`: names have no sign before them here"),
                "write state(IP,visits)",
            ),
            ('&', _) => (
                format!("`{shown}` calls a subroutine, and there are none"),
                "there are state(…), defined(…) and cidr(…)",
            ),
            (_, "_" | "a" | "b") | (_, "0") => {
                (format!("`{shown}` is a variable of Perl's"), "fields stand alone: IP, PORT")
            }
            (_, digits) if digits.bytes().all(|b| b.is_ascii_digit()) => (
                format!("`{shown}` is what a regular expression of Perl's caught"),
                "a match is only true or false here: IP =~ /…/ && PORT == 22",
            ),
            (_, "ENV") => (
                format!("`{shown}` is Perl's view of the environment"),
                "a rule sees the knock, the state and the time; a `system =` sees the environment",
            ),
            _ => (
                format!("`{shown}`: there are no variables of Perl's"),
                "fields stand alone: IP, PORT; state(x) remembers from knock to knock",
            ),
        };
        self.refuse(len, message, help);
        // Subscripts such as `{IP}{visits}` and `->{IP}` go with the variable.
        loop {
            let arrow = if rest[len..].starts_with("->") { 2 } else { 0 };
            let open = rest[len + arrow..].chars().next();
            let Some(open) = open.filter(|c| matches!(c, '{' | '[')) else { break };
            let close = if open == '{' { '}' } else { ']' };
            len += rest[len..].find(close).map_or(rest.len() - len, |end| end + 1);
        }
        self.push(Token::Broken, len);
    }

    /// A word with signs around it.
    fn push_inner(&mut self, name: &'a str, start: usize, len: usize) {
        let at = self.at + start..self.at + start + name.len();
        self.tokens.push(Spanned { token: Token::Word(name), at });
        self.at += len;
    }

    fn sign(&mut self, c: char) {
        let rest = self.rest();
        let known = SIGNS.iter().chain(&BIT_SIGNS).find(|sign| rest.starts_with(**sign));
        if let Some(sign) = known {
            return self.push(Token::Sign(sign), sign.len());
        }
        let help = match c {
            '“' | '”' | '„' | '‘' | '’' | '«' | '»' => "write straight quotes: \"…\"",
            '≤' => "write <=",
            '≥' => "write >=",
            '≠' => "write !=",
            '\u{a0}' => "it looks like a blank; write a plain one",
            _ => "nothing is written with it here",
        };
        self.refuse(c.len_utf8(), format!("unexpected character {c:?}"), help);
        self.at += c.len_utf8();
    }
}

fn run(text: &str, belongs: impl Fn(char) -> bool) -> usize {
    text.find(|c| !belongs(c)).unwrap_or(text.len())
}

/// The length of `e5`, `E-10`.
fn exponent(text: &str) -> Option<usize> {
    let rest = text.strip_prefix(['e', 'E'])?;
    let sign = usize::from(rest.starts_with(['+', '-']));
    let digits = run(&rest[sign..], |c| c.is_ascii_digit());
    let behind = rest[sign + digits..].chars().next();
    let word_goes_on = behind.is_some_and(|c| c.is_ascii_alphanumeric() || c == '_');
    (digits > 0 && !word_goes_on).then_some(1 + sign + digits)
}
