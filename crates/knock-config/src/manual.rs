//! A manual page as plain text, for where there is no man(1). Knows the few macros that our pages are
//! made of; formats for no particular width.

/// The text of a page in roff.
#[must_use]
pub fn plain(page: &[u8]) -> String {
    let page = String::from_utf8_lossy(page);
    let mut text = String::new();
    let mut indent = "";
    let mut as_it_is = false;
    for line in page.lines() {
        let (request, rest) = match line.strip_prefix('.') {
            Some(request) => request.split_once(' ').unwrap_or((request, "")),
            None => ("", line),
        };
        let words = || plain_text(rest.trim_matches('"'));
        match request {
            "" if rest.is_empty() && !as_it_is => {}
            "" => text.push_str(&format!("{indent}{}\n", plain_text(rest))),
            "TH" => text.push_str(&format!("{}\n", plain_text(&rest.replace('"', "")))),
            "SH" => {
                text.push_str(&format!("\n{}\n", words()));
                indent = "    ";
            }
            "SS" => {
                text.push_str(&format!("\n  {}\n", words()));
                indent = "    ";
            }
            "TP" | "PP" => text.push('\n'),
            "nf" => as_it_is = true,
            "fi" => as_it_is = false,
            // Conditions and definitions for roff itself.
            _ => {}
        }
    }
    text
}

/// A line without fonts and escapes.
fn plain_text(line: &str) -> String {
    let mut text = String::with_capacity(line.len());
    let mut chars = line.chars();
    while let Some(c) = chars.next() {
        match (c, c == '\\') {
            (_, false) => text.push(c),
            (_, true) => match chars.next() {
                // `\fB`: one letter more.
                Some('f') => drop(chars.next()),
                // `\*(Aq`: the only string that is used, an apostrophe.
                Some('*') => {
                    text.push('\'');
                    chars.by_ref().take(3).for_each(drop);
                }
                // An empty thing that keeps a dot from being a request.
                Some('&') | None => {}
                Some('e') => text.push('\\'),
                Some(other) => text.push(other),
            },
        }
    }
    text
}

#[cfg(test)]
mod tests {
    use super::plain;

    #[test]
    fn a_page_reads_as_text() {
        let page = ".ie \\n(.g .ds Aq \\(aq\n.el .ds Aq '\n.TH knock 1  \"v 1\" \"User\"\n.SH NAME\nknock \\- knocks\n\
                    .SH \"FIELDS OF IT\"\n.TP\n\\fB\\-\\-port\\fR \\fI<N>\\fR\nThe host\\*(Aqs port\n.PP\n\\&.hidden a\\eb\n";
        let expected = "knock 1  v 1 User\n\nNAME\n    knock - knocks\n\nFIELDS OF IT\n\n    --port <N>\n    \
                        The host's port\n\n    .hidden a\\b\n";
        assert_eq!(plain(page.as_bytes()), expected);
    }
}
