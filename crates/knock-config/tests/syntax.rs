//! Both syntaxes: text in; tree with places, or report, out.

#![allow(clippy::unwrap_used, reason = "a test may fail by panic, in its helpers too")]

use std::fmt::Write as _;

use knock_config::report::{self, Colour, Sources};
use knock_config::{Node, Place, SourceText, Table, parse, parse_all, to_json};

/// Reads `text` under a name and compares the whole report.
#[track_caller]
fn check_report(name: &str, text: &str, expected: &str) {
    let source = SourceText::new(name, text);
    let (_, problems) = parse_all(&source);
    let mut out = Vec::new();
    report::print(&problems, &Sources::of(&source), Colour::Never, &mut out).unwrap();
    assert_eq!(String::from_utf8(out).unwrap(), expected);
}

/// Compares the tree, one line for each key: `path line:column = value line:column`.
#[track_caller]
fn check_tree(name: &str, text: &str, expected: &str) {
    let reading = parse(&SourceText::new(name, text));
    let tree = reading.value.unwrap_or_else(|| panic!("{:?}", reading.problems));
    let mut dumped = String::new();
    dump(tree.root(), "", &mut dumped);
    assert_eq!(dumped, expected);
}

fn dump(table: &Table, path: &str, out: &mut String) {
    for found in table.iter().flat_map(|entry| entry.occurrences()) {
        let path = format!("{path}/{}", found.key);
        write!(out, "{path} {}", short(&found.key_at())).unwrap();
        match found.node {
            Node::Null(_) => writeln!(out).unwrap(),
            Node::Scalar(text) => {
                writeln!(out, " = {:?} {}", text.text(), short(&text.place())).unwrap();
            }
            Node::Table(table) => {
                writeln!(out).unwrap();
                dump(table, &path, out);
            }
            Node::List(list) => writeln!(out, " list of {}", list.items.len()).unwrap(),
        }
    }
}

fn short(place: &Place) -> String {
    format!("{}:{}", place.line, place.column)
}

/// Where in the file a part of the value of `a` stands: each `part` as `line:column+length`.
#[track_caller]
fn check_parts(name: &str, text: &str, parts: &[(&str, &str)]) {
    let reading = parse(&SourceText::new(name, text));
    let tree = reading.value.unwrap_or_else(|| panic!("{:?}", reading.problems));
    let scalar = tree.root().entries("a").next().unwrap().node.scalar().unwrap();
    for (part, expected) in parts {
        let Some(start) = scalar.text().find(part) else {
            panic!("{part:?} is not in {:?}", scalar.text());
        };
        let place = scalar.place_of(start..start + part.len());
        let found = format!("{}+{}", short(&place), place.len);
        assert_eq!(found, *expected, "{part:?} in {:?}", scalar.text());
    }
}

/// Compares a legacy text with a YAML one: the model must not be able to tell.
#[track_caller]
fn check_same(legacy: &str, yaml: &str) {
    let read = |name: &str, text: &str| {
        let reading = parse(&SourceText::new(name, text));
        to_json(&reading.value.unwrap_or_else(|| panic!("{:?}", reading.problems)))
    };
    assert_eq!(read("a.conf", legacy), read("a.yaml", yaml));
}

mod legacy {
    use super::*;

    #[test]
    fn every_token_has_its_place() {
        check_tree(
            "a.conf",
            "runmode = file\n\
             logfile   /var/log/mäßig   # note\n\
             <actions>\n  \
               <action>\n    use = \"yes\"\n    bare\n  </action>\n  \
               <action>\n    use yes\n  </action>\n  \
               <template open>\n    system <<END\n      a\n      b\n    END\n  </template>\n\
             </actions>\n\
             empty =\n",
            "/runmode 1:1 = \"file\" 1:11\n\
             /logfile 2:1 = \"/var/log/mäßig\" 2:11\n\
             /actions 3:2\n\
             /actions/action 4:4\n\
             /actions/action/use 5:5 = \"yes\" 5:12\n\
             /actions/action/bare 6:5\n\
             /actions/action 8:4\n\
             /actions/action/use 9:5 = \"yes\" 9:9\n\
             /actions/template 11:4\n\
             /actions/template/open 11:13\n\
             /actions/template/open/system 12:5 = \"a\\n  b\" 13:7\n\
             /empty 18:1 = \"\" 18:8\n",
        );
    }

    #[test]
    fn a_place_inside_a_value() {
        let text = "a = \"one \\\n    tw\\$o \\\n\tthree\"\n";
        check_parts(
            "a.conf",
            text,
            &[
                ("one", "1:6+3"),
                ("tw$o", "2:5+5"),
                ("$", "2:8+1"),
                ("three", "3:2+5"),
                (" ", "1:9+1"),
            ],
        );
        check_parts("a.conf", "a <<E\n  é x\n  y z\n  E\n", &[("x", "2:5+1"), ("z", "3:5+1")]);
        check_parts("a.conf", "a = /* c */ vä lue # c\n", &[("lue", "1:16+3")]);
    }

    #[test]
    fn what_was_lost_in_silence_is_told() {
        check_report(
            "a.conf",
            "a = /var/*/log\n\
             b = \"my#secret\"\n\
             c = \"x /* y */ z\"\n\
             color = #fff\n\
             required = knock#1\n\
             d = one \\ \n",
            r#"a.conf:1:10: warning: `*/` ends a comment that was never begun; the line is dropped up to here
  a = /var/*/log
           ^~
  help: in a here-document nothing is a comment: `key <<END`, the value on its own lines, `END`
a.conf:2:8: warning: `#` begins a comment even inside quotes; the value ends here
  b = "my#secret"
         ^~~~~~~~
  help: write `\#` for the character itself
a.conf:3:8: warning: this is a comment, even inside a value or quotes; it is cut out
  c = "x /* y */ z"
         ^~~~~~~
  help: in a here-document nothing is a comment: `key <<END`, the value on its own lines, `END`
a.conf:4:9: warning: `#` begins a comment; the value is empty
  color = #fff
          ^~~~
  help: write `\#` for the character itself
a.conf:5:17: warning: `#` begins a comment; the value ends here
  required = knock#1
                  ^~
  help: write `\#` for the character itself
a.conf:6:9: warning: a backslash joins the next line only as the very last character
  d = one \ 
          ^
  help: take away the blanks, or the carriage return of a Windows file, behind it
"#,
        );
    }

    #[test]
    fn what_never_ends_is_told() {
        check_report(
            "a.conf",
            "a = 1\n/* one\nb = 2\n",
            "a.conf:2:1: warning: this comment is never closed; nothing behind it is read\n  \
               /* one\n  ^~\n  \
               help: end it with a line `*/`, or put `#` in front of each line instead\n",
        );
        check_report(
            "a.conf",
            "a = << oops\nb = 2\n",
            "a.conf:1:8: warning: the here-document that begins here never ends; all of it is lost\n  \
               a = << oops\n         ^~~~\n  \
               help: end it with a line that holds nothing but `oops`\n",
        );
        check_report(
            "a.conf",
            "a = 1 \\\n  2 \\",
            "a.conf:1:1: warning: the file ends in a continued line; the whole option is lost\n  \
               a = 1 \\\n  ^~~~~~~\n  \
               help: take away the backslash at the end of the last line\n",
        );
    }

    #[test]
    fn ordinary_comments_are_no_warning() {
        check_report(
            "a.conf",
            "# it's \"quoted\" #here\n\
             a = 1 # note \"x\" #2\n\
             b = 2# two\n\
             c = # nothing\n\
             delay = 5 # minutes\n\
             /* x */\n\
             d = /* x */ 5\n\
             e = 1 /* x */\n\
             f = \"/tmp/*\"\n\
             g = a\\#b\n\
             #######\n\
             h = 1 ###### x\n",
            "",
        );
    }

    #[test]
    fn all_mistakes_of_a_file_at_once() {
        check_report(
            "a.conf",
            "</x>\n\
             a = 1\n\
             <a>\n\
             b = 2\n\
             </a>\n\
             <t n> b = 1 </t>\n\
             <<include nowhere.conf >>\n",
            "a.conf:1:1: error: `</x>` closes a block, but none is open\n  \
               </x>\n  ^~~~\n  \
               help: take it away, or write the tag that opens the block on a line of its own\n\
             a.conf:3:1: error: `<a>` is a block, but line 2 has an option 'a'\n  \
               <a>\n  ^~~\n  \
               help: rename one of them\n\
             a.conf:6:1: error: `<t n> b = 1 </t>` is never closed\n  \
               <t n> b = 1 </t>\n  ^~~~~~~~~~~~~~~~\n  \
               help: put each tag and each option on a line of its own\n\
             a.conf:7:11: error: cannot include 'nowhere.conf '\n  \
               <<include nowhere.conf >>\n            ^~~~~~~~~~~~~\n  \
               help: looked at nowhere.conf : No such file or directory (os error 2); quotes and blanks before `>>` are part of the name\n",
        );
    }

    #[test]
    fn a_missing_end_tag_is_found_where_it_is_missing() {
        check_report(
            "a.conf",
            "<actions>\n<action>\n</ACTION >\n<template a>\nsystem = x\n</actions>\nrunmode = file\n",
            "a.conf:1:1: error: `<actions>` is never closed\n  \
               <actions>\n  ^~~~~~~~~\n  \
               help: `</actions>` closes `<template a>` (line 4), so a `</actions>` is missing\n\
             a.conf:6:1: warning: `</actions>` closes `<template a>` from line 4\n  \
               </actions>\n  ^~~~~~~~~~\n  \
               help: write `</template>`; end tags are not compared\n",
        );
    }

    #[test]
    fn a_tag_with_an_option_behind_it() {
        check_report(
            "a.conf",
            "<a> x = 1\n",
            "a.conf:1:1: warning: this is no tag, since more follows on its line; it is read as an option\n  \
               <a> x = 1\n  ^~~~~~~~~\n  \
               help: put each tag and each option on a line of its own\n",
        );
    }

    #[test]
    fn latin_1_keeps_its_bytes_and_is_told() {
        let source = SourceText::new("a.conf", b"key = gr\xfc\xdfe x\n# \xfc\n".as_slice());
        let reading = parse(&source);
        assert_eq!(reading.problems.len(), 1);
        let at = reading.problems[0].at.as_ref().unwrap();
        assert_eq!((at.line, at.column), (1, 9));
        let tree = reading.value.unwrap();
        let secret = tree.root().entries("key").next().unwrap().node.scalar().unwrap();
        assert_eq!(secret.bytes(), b"gr\xfc\xdfe x");
        let at = secret.place_of(secret.text().find('x').unwrap()..secret.text().len());
        assert_eq!((at.line, at.column), (1, 13));
    }

    #[test]
    fn nesting_is_bounded() {
        let nested = |depth: usize| "<a>\n".repeat(depth) + &"</a>\n".repeat(depth);
        let read = |depth| parse(&SourceText::new("a.conf", nested(depth)));
        assert!(read(knock_config::MAX_DEPTH).value.is_some());
        let problems = read(50_000).problems;
        assert_eq!(problems.len(), 1);
        assert_eq!(problems[0].message, "blocks are nested more than 64 deep");
    }

    #[test]
    fn a_file_is_bounded() {
        let text = " ".repeat(knock_config::MAX_FILE + 1);
        assert!(parse(&SourceText::new("a.conf", text.clone())).value.is_none());
        assert!(parse(&SourceText::new("a.yaml", text)).value.is_none());
    }

    #[test]
    fn a_file_that_includes_itself_ends() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("a.conf");
        let text = "<<include b.conf>>\na = 1\n";
        std::fs::write(&path, text).unwrap();
        std::fs::write(folder.path().join("b.conf"), "b = /x/*/y\n<<include a.conf>>\n").unwrap();
        let source = SourceText::read(&path).unwrap();
        let reading = parse(&source);
        assert_eq!(to_json(&reading.value.unwrap()), serde_json::json!({"y": null, "a": "1"}));
        let mut sources = Sources::of(&source);
        sources.load(&reading.problems);
        let mut out = Vec::new();
        report::print(&reading.problems, &sources, Colour::Never, &mut out).unwrap();
        let out = String::from_utf8(out).unwrap();
        assert!(out.contains("b.conf:1:8: warning: `*/` ends"), "{out}");
        assert!(out.contains("  b = /x/*/y\n         ^~\n"), "{out}");
        assert!(out.contains("b.conf:2:11: warning: "), "{out}");
    }

    #[test]
    fn too_many_includes_are_refused() {
        let folder = tempfile::tempdir().unwrap();
        for number in 0..70 {
            let text = format!("<<include {}.conf>>\n", number + 1);
            std::fs::write(folder.path().join(format!("{number}.conf")), text).unwrap();
        }
        let source = SourceText::read(&folder.path().join("0.conf")).unwrap();
        let problems = parse(&source).problems;
        assert_eq!(problems.len(), 1);
        assert!(problems[0].message.ends_with("too many files"), "{}", problems[0].message);
        assert!(problems[0].at.as_ref().unwrap().file.ends_with("64.conf"));
    }

    #[test]
    fn a_pipe_or_a_device_cannot_be_included() {
        let problems = parse(&SourceText::new("a.conf", "<<include /dev/zero>>\n")).problems;
        assert_eq!(problems.len(), 1);
        assert!(problems[0].help.as_ref().unwrap().contains("not a regular file"));
    }
}

mod yaml {
    use super::*;

    #[test]
    fn every_token_has_its_place() {
        check_tree(
            "a.yaml",
            "runmode: file\n\
             encrypt: yes\n\
             port: 0x10\n\
             fileinterval: 0.50\n\
             nothing:\n\
             logfile: [/var/log/ä, '/b c']\n\
             actions:\n  \
               action:\n    - use: \"yes\"\n    - {use: no, delay: 007}\n  \
               template:\n    open:\n      system: |\n        a\n          b\n    \
                   \"close\": {}\n",
            "/runmode 1:1 = \"file\" 1:10\n\
             /encrypt 2:1 = \"yes\" 2:10\n\
             /port 3:1 = \"0x10\" 3:7\n\
             /fileinterval 4:1 = \"0.50\" 4:15\n\
             /nothing 5:1\n\
             /logfile 6:11 = \"/var/log/ä\" 6:11\n\
             /logfile 6:24 = \"/b c\" 6:24\n\
             /actions 7:1\n\
             /actions/action 9:7\n\
             /actions/action/use 9:7 = \"yes\" 9:13\n\
             /actions/action 10:8\n\
             /actions/action/use 10:8 = \"no\" 10:13\n\
             /actions/action/delay 10:17 = \"007\" 10:24\n\
             /actions/template 11:3\n\
             /actions/template/open 12:5\n\
             /actions/template/open/system 13:7 = \"a\\n  b\\n\" 14:9\n\
             /actions/template/close 16:6\n",
        );
    }

    #[test]
    fn a_place_inside_a_value() {
        let double = "a: \"x\\ty \\u00e4z \\\n     on\n    fold\"\n";
        check_parts(
            "a.yaml",
            double,
            &[
                ("\t", "1:6+1"),
                ("y", "1:8+1"),
                ("äz", "1:10+7"),
                ("on", "2:6+2"),
                ("fold", "3:5+4"),
            ],
        );
        check_parts("a.yaml", "a: 'it''s é [x]'\n", &[("'s", "1:7+3"), ("[x]", "1:13+3")]);
        check_parts(
            "a.yaml",
            "a: |\n  one (\n    two\n\n  three\n",
            &[("(", "2:7+1"), ("two", "3:5+3"), ("three", "5:3+5")],
        );
        check_parts(
            "a.yaml",
            "a: >-\n  one\n  two\n\n  three\n",
            &[("two", "3:3+3"), ("three", "5:3+5")],
        );
        check_parts("a.yaml", "b: &x !!str 'say so'\na: *x\n", &[("so", "1:18+2")]);
        check_parts("a.yaml", "\u{feff}a: wä +x\n", &[("+x", "1:7+2")]);
        check_parts("a.yaml", "a: one\n  two   three\n", &[("two", "2:3+3"), ("three", "2:9+5")]);
    }

    #[test]
    fn both_syntaxes_make_the_same_tree() {
        check_same(
            "logfile = /a\nlogfile = /b\nbare\n\
             <actions>\n<action>\nuse yes\n</action>\n<action>\nuse no\n</action>\n\
             <template open>\nsystem = x y\n</template>\n<template close/>\n</actions>\n",
            "logfile: [/a, /b]\nbare:\n\
             actions:\n  action:\n  - use: yes\n  - use: no\n  \
               template:\n    open: {system: x y}\n    close: {}\n",
        );
        check_same("", "");
        check_same("", "# only a comment\n---\n");
    }

    #[test]
    fn mistakes_are_told_with_their_place() {
        check_report(
            "a.yaml",
            "a: 1\nb:\n  c: 1\n  c: 2\na: 3\n<<: 4\n",
            "a.yaml:4:3: error: 'c' is given twice; the first is in line 3\n    \
                 c: 2\n    ^\n  \
               help: give several values as a list: `c: [a, b]`\n\
             a.yaml:5:1: error: 'a' is given twice; the first is in line 1\n  \
               a: 3\n  ^\n  \
               help: give several values as a list: `a: [a, b]`\n\
             a.yaml:6:1: error: merge keys `<<` are not known here\n  \
               <<: 4\n  ^~\n  \
               help: write the keys out\n",
        );
        check_report(
            "a.yaml",
            "system: echo \"a: b\"\nport: %x\n",
            "a.yaml:1:16: error: a `:` with a blank behind it begins a value, but none may begin here\n  \
               system: echo \"a: b\"\n                 ^\n  \
               help: put text that holds `: ` into quotes, and look at the indentation\n",
        );
        check_report(
            "a.yaml",
            "a: 1\n\tb: 2\n",
            "a.yaml:2:1: error: a tab cannot indent\n      \
                   b: 2\n  ^~~~\n  \
               help: indent with blanks (while scanning a plain scalar at line 1 column 4)\n",
        );
        check_report(
            "a.yaml",
            "a: 1\nb: *gone\n",
            "a.yaml:2:4: error: no `&anchor` with this name stands before\n  \
               b: *gone\n     ^\n  \
               help: write the value out\n",
        );
        check_report(
            "a.yaml",
            "a: 1\n---\nb: 2\n",
            "a.yaml:3:1: error: a second YAML document begins here; only one is read\n  \
               b: 2\n  ^\n  \
               help: take away the line `---` before it\n",
        );
        check_report(
            "a.yaml",
            "a:\n  b: !x 1\n",
            "a.yaml:2:6: error: tags such as `!name` mean nothing here\n    b: !x 1\n       ^\n",
        );
        check_report(
            "a.yaml",
            "a: 1\n? [b]\n: c\n",
            "a.yaml:2:3: error: a key must be plain text\n  ? [b]\n    ^\n  \
               help: put lists and maps behind the key\n",
        );
        check_report(
            "a.yaml",
            "just text\n",
            "a.yaml:1:1: error: a config file is made of keys with values, such as `runmode: file`\n  \
               just text\n  ^\n",
        );
        check_report(
            "a.yaml",
            "a: 1\nb: x\u{7}y\n",
            "a.yaml:2:5: error: YAML allows no control character U+0007\n  \
               b: x\\u{7}y\n      ^~~~~\n  \
               help: inside double quotes it is written \"\\x..\"\n",
        );
    }

    #[test]
    fn what_stands_behind_the_end_is_no_second_document() {
        check_report(
            "a.yaml",
            "{a: 1}\n]\n",
            "a.yaml:2:1: error: the file should have ended before this\n  ]\n  ^\n  \
               help: keys of one block begin in the same column\n",
        );
    }

    #[test]
    fn a_quote_that_never_ends_is_placed_at_its_beginning() {
        check_report(
            "a.yaml",
            "a: 1\nb: \"x\nc: 2\n",
            "a.yaml:2:4: error: this quote is never closed\n  \
               b: \"x\n     ^\n  \
               help: close it; inside double quotes a quote is written \\\"\n",
        );
    }

    #[test]
    fn a_word_without_a_colon_is_placed_where_it_stands() {
        for rest in ["", "\n# and so on\nc: 2\n"] {
            check_report(
                "a.yaml",
                &format!("a: 1\nbad\n{rest}"),
                "a.yaml:2:1: error: this key has no `:`\n  bad\n  ^\n  help: write `key: value`\n",
            );
        }
    }

    #[test]
    fn what_is_no_utf_8_is_placed() {
        let source = SourceText::new("a.yaml", b"a: 1\nb: gr\xfcn\n".as_slice());
        let problems = parse(&source).problems;
        assert_eq!(problems.len(), 1);
        assert_eq!(problems[0].at.as_ref().map(short), Some("2:6".to_owned()));
    }

    #[test]
    fn nesting_and_unfolding_are_bounded() {
        let message = |text: String| {
            let problems = parse(&SourceText::new("a.yaml", text)).problems;
            problems.first().map(|problem| problem.message.clone()).unwrap_or_default()
        };
        assert_eq!(message("[".repeat(500_000)), "more than 1000 brackets are open here");
        let nested = |depth: usize| format!("a: {}{}", "[".repeat(depth), "]".repeat(depth));
        assert_eq!(message(nested(knock_config::MAX_DEPTH - 1)), "");
        assert_eq!(message(nested(70)), "this is nested more than 64 deep");
        let mut bomb = String::from("a0: &a0 [x,x,x,x,x,x,x,x,x,x]\n");
        for level in 1..9 {
            let alias = vec![format!("*a{}", level - 1); 10].join(",");
            bomb += &format!("a{level}: &a{level} [{alias}]\n");
        }
        assert!(
            ["more than 100000 values", "the aliases of this file unfold into too much"]
                .contains(&message(bomb.clone()).as_str()),
            "{}",
            message(bomb)
        );
        assert_ne!(message("a: &x [*x]\n".to_owned()), "");
    }
}

#[test]
fn only_two_files_know_the_yaml_parser() {
    let mut users = Vec::new();
    let mut folders = vec![std::path::Path::new(env!("CARGO_MANIFEST_DIR")).join("src")];
    while let Some(folder) = folders.pop() {
        for entry in std::fs::read_dir(folder).unwrap() {
            let path = entry.unwrap().path();
            if path.is_dir() {
                folders.push(path);
            } else if std::fs::read_to_string(&path).unwrap().contains("serde_yaml::") {
                users.push(path.file_name().unwrap().to_string_lossy().into_owned());
            }
        }
    }
    users.sort();
    assert_eq!(users, ["locate.rs", "yaml.rs"]);
}
