//! Whatever a configuration holds: it converts both ways to the same meaning with every comment, or it is refused for a
//! reason of its own, never because the converter failed.

#![allow(clippy::unwrap_used, reason = "a test may fail by panic, in its helpers too")]

use knock_config::{
    ClientSettings, ReadOptions, Reading, Severity, SourceText, Syntax, To, convert, parse,
    read_client, read_daemon, to_json,
};
use proptest::prelude::*;

/// What the converter says of a result that it would not give out.
const OWN_MISTAKE: &str = "would not say the same";

fn other(to: To) -> (&'static str, To) {
    match to {
        To::Yaml => ("a.yaml", To::Conf),
        To::Conf | To::Json => ("a.conf", To::Yaml),
    }
}

/// Converts, and back, and once more; each time with all the comments.
fn there_and_back(
    name: &str,
    text: &str,
    to: To,
    comments: &[String],
) -> Result<(), TestCaseError> {
    let (mut name, mut text, mut to) = (name, text.to_owned(), to);
    let first = client(name, &text);
    let first_actions = actions(name, &text);
    for _ in 0..3 {
        let Reading { value, problems } = convert(&SourceText::new(name, text.clone()), to);
        let Some(converted) = value else {
            return Err(TestCaseError::fail(format!("{problems:#?}\n--- {name}\n{text}")));
        };
        let lost = lost(comments, &converted);
        prop_assert!(lost.is_none(), "{lost:?} is lost:\n{text}\n--- became\n{converted}");
        (name, to) = other(to);
        prop_assert_eq!(&client(name, &converted), &first, "{}\n--- became\n{}", text, converted);
        prop_assert_eq!(
            &actions(name, &converted),
            &first_actions,
            "{}\n--- became\n{}",
            text,
            converted
        );
        text = converted;
    }
    Ok(())
}

/// The first comment for which there is no line that ends so; each line counts once.
fn lost(comments: &[String], converted: &str) -> Option<String> {
    let mut lines: Vec<&str> = converted.lines().collect();
    let mut comments: Vec<&String> = comments.iter().collect();
    // The longest first, as one may be the end of another.
    comments.sort_by_key(|comment| std::cmp::Reverse(comment.trim_end().len()));
    let mut without_line = |comment: &&String| {
        let end = format!("#{}", comment.trim_end());
        match lines.iter().position(|line| line.trim_end().ends_with(&end)) {
            Some(at) => {
                lines.swap_remove(at);
                false
            }
            None => true,
        }
    };
    comments.into_iter().find(|comment| without_line(comment)).cloned()
}

fn client(name: &str, text: &str) -> Option<ClientSettings> {
    read_client(&SourceText::new(name, text), &ReadOptions::default()).value
}

/// What the daemon would do, as far as it can read the file.
fn actions(name: &str, text: &str) -> Option<String> {
    let read = read_daemon(&SourceText::new(name, text), &ReadOptions::default());
    read.value.map(|settings| format!("{:?} {:?}", settings.plan.actions, settings.plan.queue))
}

/// Text such as nobody should put into a value.
fn odd() -> impl Strategy<Value = String> {
    let piece = prop_oneof![
        4 => "[a-zA-Z0-9 ]{1,6}",
        1 => proptest::sample::select(vec![
            "#", " # ", "\\#", "\\", "\\\\", "\"", "'", "''", "/*", "*/", "<", ">", "</a>", "<a>", "<br/>", "<<", "<<END",
            "END", "=", " = ", ": ", ":", "- ", "[", "]", "{", "}", ",", "|", ">-", "&a", "*a", "!t", "%", "@", "`", "?",
            "~", "null", "yes", "no", "on", "off", "0x1F", "1e3", "007", "12:30", "2024-01-01", ".5", "-1", "$x", "${x}",
            "\t", "ä", "€", "\u{a0}", "  ", "---", "...", "<<include x>>", "\u{1}", "\u{7f}", "\u{85}", "\u{2028}",
            "\u{feff}", "\u{1f600}", "/>",
        ]).prop_map(str::to_owned),
    ];
    proptest::collection::vec(piece, 0..5).prop_map(|pieces| pieces.concat())
}

/// The same on several lines.
fn odd_lines() -> impl Strategy<Value = String> {
    prop_oneof![
        3 => odd(),
        1 => proptest::collection::vec(odd(), 1..4).prop_map(|lines| lines.join("\n")),
    ]
}

fn comment() -> impl Strategy<Value = String> {
    proptest::collection::vec(
        proptest::sample::select(vec![
            "a comment",
            "#",
            " ",
            "key: value",
            "key = value",
            "\\",
            "\"",
            "'",
            "<a>",
            "</a>",
            "- x",
            "/*",
            "ä",
            "it's",
            "<<END",
            "{",
            "[",
            "|",
            ":",
            "\t",
        ]),
        1..4,
    )
    .prop_map(|parts| format!(" {} ", parts.join(" ")))
}

/// A part of YAML: its lines, and the comments in it.
#[derive(Debug, Clone)]
struct Part {
    text: String,
    comments: Vec<String>,
}

/// In quotes that hold anything.
fn quoted(text: &str) -> String {
    let escape = |c: char| match c {
        '"' | '\\' => format!("\\{c}"),
        ' '..='~' => c.to_string(),
        c if u32::from(c) <= 0xffff => format!("\\u{:04x}", u32::from(c)),
        c => format!("\\U{:08x}", u32::from(c)),
    };
    format!("\"{}\"", text.chars().map(escape).collect::<String>())
}

/// One line with comments around it.
fn line(indent: usize, text: String) -> impl Strategy<Value = Part> {
    let above = proptest::collection::vec(comment(), 0..2);
    (above, proptest::option::of(comment()), any::<bool>()).prop_map(
        move |(above, beside, blank)| {
            let margin = " ".repeat(indent);
            let mut part = Part { text: String::new(), comments: above.clone() };
            if blank {
                part.text.push('\n');
            }
            for one in above {
                part.text.push_str(&format!("{margin}#{one}\n"));
            }
            part.text.push_str(&format!("{margin}{text}"));
            if let Some(beside) = beside {
                part.text.push_str(&format!(" #{beside}"));
                part.comments.push(beside);
            }
            part.text.push('\n');
            part
        },
    )
}

fn lines(lines: Vec<BoxedStrategy<Part>>) -> impl Strategy<Value = Part> {
    lines.prop_map(|parts| Part {
        text: parts.iter().map(|part| part.text.as_str()).collect(),
        comments: parts.into_iter().flat_map(|part| part.comments).collect(),
    })
}

/// `key: "value"` with an odd value.
fn scalar(indent: usize, key: &'static str) -> BoxedStrategy<Part> {
    odd_lines()
        .prop_flat_map(move |value| line(indent, format!("{key}: {}", quoted(&value))))
        .boxed()
}

fn fixed(indent: usize, text: &str) -> BoxedStrategy<Part> {
    line(indent, text.to_owned()).boxed()
}

/// A client's file with a logformat, and every text in it odd.
fn client_file() -> impl Strategy<Value = Part> {
    lines(vec![
        odd_lines()
            .prop_filter("a key", |key| !key.is_empty())
            .prop_flat_map(|key| line(0, format!("key: {}", quoted(&key))))
            .boxed(),
        fixed(0, "remote: h"),
        fixed(0, "time: 7"),
        fixed(0, "logformat:"),
        fixed(2, "mine:"),
        scalar(4, "about"),
        fixed(4, r"port: DPT=(\d+)"),
        fixed(4, r"'ipclient': |-"),
        Just(Part { text: "      SRC=(\\S+)\n      # text\n".into(), comments: vec![] }).boxed(),
        fixed(4, "sample:"),
        Just(Part { text: "      -\n".into(), comments: vec![] }).boxed(),
        scalar(8, "line"),
        fixed(8, "yields: nothing"),
        scalar(8, "because"),
        fixed(6, "- 'a line'"),
        scalar(0, "knock")
            .prop_map(|_| Part { text: "tries: 3\n".into(), comments: vec![] })
            .boxed(),
        comment()
            .prop_map(|text| Part { text: format!("#{text}\n"), comments: vec![text] })
            .boxed(),
    ])
}

/// A daemon's file with actions and templates in all forms.
fn daemon_file() -> impl Strategy<Value = Part> {
    let action = || {
        let name = "[a-z][a-z #\\\\'-]{0,8}[a-z]"
            .prop_flat_map(|name| line(6, format!("name: {}", quoted(&name))));
        let condition = proptest::sample::select(vec![
            "PORT == 22 && TIME != 255",
            "IP == \"10.0.0.1\" # not",
            "IP =~ /^10\\./",
            "PORT < 5 or TIME > 3",
        ])
        .prop_filter("a good one", |condition| !condition.contains('#'))
        .prop_flat_map(|condition| line(6, format!("condition: {}", quoted(condition))));
        let dash = Just(Part { text: "    -\n".into(), comments: vec![] });
        lines(vec![
            dash.boxed(),
            name.boxed(),
            condition.boxed(),
            fixed(6, "template: t"),
            fixed(6, "use: yes"),
        ])
    };
    let listed = proptest::collection::vec(action(), 1..3).prop_map(|parts| Part {
        text: parts.iter().map(|part| part.text.as_str()).collect(),
        comments: parts.into_iter().flat_map(|part| part.comments).collect(),
    });
    let listed = listed.boxed();
    let exec = prop_oneof![
        "[a-z /'*#-]{1,12}".prop_map(|text| format!("exec: [{}]", quoted(&format!("/{text}")))),
        "[a-z /*#-]{1,12}".prop_map(|text| format!("exec: {}", quoted(&format!("/{text}")))),
        ("x[a-z '\"-]{1,9}", "[a-z*#-]{1,9}").prop_map(|(one, two)| format!(
            "exec: [/bin/x, {}, {}]",
            quoted(&one),
            quoted(&two)
        )),
        proptest::collection::vec("[a-z #*/;|<>=$-]{1,12}", 1..3)
            .prop_map(|lines| format!("system: {}", quoted(&lines.join("\n")))),
    ];
    let style = proptest::sample::select(vec!["actions:", "actions:\n  action:"]);
    (style, odd_lines().prop_filter("a key", |key| !key.is_empty())).prop_flat_map(
        move |(style, key)| {
            lines(vec![
                fixed(0, "logfile: [/var/log/a, '/var/log/b # c']"),
                // The shipped format takes long to compile.
                fixed(0, "uselogformat: mine"),
                fixed(
                    0,
                    r"logformat: {mine: {required: ^k, ipclient: 'S=(\S+)', port: 'D=(\d+)'}}",
                ),
                line(0, format!("key: {}", quoted(&key))).boxed(),
                fixed(0, style),
                listed.clone(),
                fixed(0, "template:"),
                fixed(2, "t:"),
                exec.clone().prop_flat_map(|text| line(4, text)).boxed(),
                fixed(0, "maxclients: 7"),
                comment()
                    .prop_map(|text| Part { text: format!("#{text}\n"), comments: vec![text] })
                    .boxed(),
            ])
        },
    )
}

const LEGACY: &[&str] = &[
    "remote h\n",
    "key k\n",
    "time = 7\n",
    "key",
    "remote",
    "about x\n",
    " ",
    "=",
    "\n",
    "\n",
    "\n",
    "\\",
    "\\\n",
    "#",
    "# c\n",
    "/*",
    "*/",
    "\"",
    "<logformat a>\n",
    "<logformat a b>\n",
    "</logformat>\n",
    "<action>\n",
    "</action>\n",
    "<template x>\n",
    "<template/>\n",
    "<x/>\n",
    "<x>\n",
    "</x>\n",
    "<<E\n",
    "E\n",
    "ä",
    "\t",
    "0",
    "~",
    "yes",
    ": ",
    "'",
    "- ",
    "port 1\n",
    "ipclient a\n",
    "name n\n",
    "<",
    ">",
    "/",
    "\r\n",
];

const YAML: &[&str] = &[
    "remote: h\n",
    "key: k\n",
    "time: 7\n",
    "key: ",
    "key: |\n",
    "  text\n",
    "    deeper\n",
    "  # no text\n",
    "# c\n",
    " # c\n",
    "\n",
    "\"",
    "'",
    "logformat:\n",
    "  a:\n",
    "    about: x\n",
    "    sample:\n",
    "      - l # c\n",
    "- ",
    "[",
    "]",
    "{",
    "}",
    ",",
    "&a ",
    "*a",
    ">-\n",
    "about: >\n",
    "key: \"a\n",
    "\\\n",
    "~",
    "#",
    " #",
    "---\n",
    "key: 'a\n",
    "port: 1\n",
    "name: n\n",
    "tries: 3\n",
];

fn text_of(pieces: &'static [&'static str]) -> impl Strategy<Value = String> {
    proptest::collection::vec(proptest::sample::select(pieces), 0..25)
        .prop_map(|pieces| pieces.concat())
}

/// Any text converts or is refused for a reason of its own.
fn own_reason(name: &str, text: &str, to: To) -> Result<(), TestCaseError> {
    let source = SourceText::new(name, text);
    let Reading { value, problems } = convert(&source, to);
    let failed = problems.iter().any(|problem| problem.severity == Severity::Error);
    prop_assert_eq!(value.is_none(), failed);
    let own = problems.iter().find(|problem| problem.message.contains(OWN_MISTAKE));
    prop_assert!(own.is_none(), "{own:#?}\n{text}");
    // Whoever can parse it can have its tree.
    let json = convert(&source, To::Json).value;
    let tree = parse(&source).value.map(|tree| to_json(&tree));
    prop_assert_eq!(
        json.map(|text| serde_json::from_str::<serde_json::Value>(&text).unwrap()),
        tree
    );
    let Some(converted) = value else { return Ok(()) };
    let (name, back) = other(to);
    prop_assert_eq!(
        Syntax::of(name.as_ref()),
        if to == To::Yaml { Syntax::Yaml } else { Syntax::Legacy }
    );
    let again = convert(&SourceText::new(name, converted.clone()), back);
    prop_assert!(again.value.is_some(), "{:#?}\n{text}\n--- became\n{converted}", again.problems);
    Ok(())
}

/// Each reads, compiles and compares a configuration eight times.
const CASES: u32 = 40;

proptest! {
    #![proptest_config(ProptestConfig { cases: CASES, failure_persistence: None, max_shrink_iters: 60, ..ProptestConfig::default() })]

    #[test]
    fn a_clients_file(part in client_file()) {
        there_and_back("a.yaml", &part.text, To::Conf, &part.comments)?;
    }

    #[test]
    fn a_daemons_file(part in daemon_file()) {
        there_and_back("a.yaml", &part.text, To::Conf, &part.comments)?;
    }

    #[test]
    fn any_legacy(text in text_of(LEGACY)) {
        own_reason("a.conf", &text, To::Yaml)?;
        own_reason("a.conf", &text, To::Conf)?;
    }

    #[test]
    fn any_yaml(text in text_of(YAML)) {
        own_reason("a.yaml", &text, To::Conf)?;
        own_reason("a.yaml", &text, To::Yaml)?;
    }
}
