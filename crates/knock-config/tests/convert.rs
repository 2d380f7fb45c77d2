//! From one syntax to the other and back: the same meaning, and every comment still there.

#![allow(clippy::unwrap_used, reason = "a test may fail by panic, in its helpers too")]

use knock_config::{Reading, Severity, SourceText, To, convert};

/// Converts a text that can be converted.
#[track_caller]
fn converted(name: &str, text: &str, to: To) -> String {
    let Reading { value, problems } = convert(&SourceText::new(name, text), to);
    value.unwrap_or_else(|| panic!("{problems:#?}\n--- {name}\n{text}"))
}

/// A .conf as YAML.
#[track_caller]
fn to_yaml(conf: &str, expected: &str) {
    assert_eq!(converted("a.conf", conf, To::Yaml), expected, "\n--- of\n{conf}");
}

/// YAML as a .conf.
#[track_caller]
fn to_conf(yaml: &str, expected: &str) {
    assert_eq!(converted("a.yaml", yaml, To::Conf), expected, "\n--- of\n{yaml}");
}

/// `LINE:COLUMN severity: message`, one a line.
fn said(name: &str, text: &[u8], to: To) -> (Option<String>, String) {
    let Reading { value, problems } = convert(&SourceText::new(name, text), to);
    let line = |problem: &knock_config::Problem| {
        let at = problem.at.as_ref().map(|at| format!("{}:{} ", at.line, at.column));
        let severity = match problem.severity {
            Severity::Error => "error",
            Severity::Warning => "warning",
        };
        format!("{}{severity}: {}\n", at.unwrap_or_default(), problem.message)
    };
    (value, problems.iter().map(line).collect())
}

#[test]
fn a_conf_with_comments_everywhere() {
    to_yaml(
        r#"# header

/* two lines
   of C */
remote = example.net   # the host
key = a b
knock = IP,PORT \
   ,CHECKSUM
# above the format
<logformat mine> # of mine
  # inside
  required = "^\"x\" \#"
  ipclient <<END
  SRC=(\S+)
  END
  port = DPT=(\d+)  /* inline */
  # end of mine
</logformat> # after it
# end
"#,
        r#"# header

# two lines
# of C
remote: example.net # the host
key: a b
knock: IP,PORT ,CHECKSUM
# above the format
logformat:
  mine: # of mine
    # inside
    required: '^"x" #'
    ipclient: SRC=(\S+)
    port: DPT=(\d+) # inline
    # end of mine
    # after it
# end
"#,
    );
}

#[test]
fn yaml_with_comments_everywhere() {
    to_conf(
        r##"# header

remote: 'it''s # no comment' # but this is
# above a list
logfile: # beside the list's key
  - /a # beside the first
  # above the second
  - "/b # \x41"
logformat:
  mine: # of mine
    # inside
    ipclient: |- # header of a block
      SRC=(\S+)
      # no comment
    # no text either
    port: DPT=(\d+)
    # end of mine
# above time
time: 7
  # deeper
# end
"##,
        r##"# header

remote = it's \# no comment # but this is
# above a list
# beside the list's key
logfile = /a # beside the first
# above the second
logfile = /b \# A
<logformat mine> # of mine
  # inside
  # header of a block
  ipclient = <<END
  SRC=(\S+)
  # no comment
  END
  # no text either
  port = DPT=(\d+)
  # end of mine
</logformat>
# above time
time = 7
# deeper
# end
"##,
    );
}

/// The daemon's own part of a file, for a test that is about something else.
const REST: &str = "logfile = /l\nencrypt = no\n<action>\ntemplate = t\n</action>\n<template t>\nexec = /bin/true\n</template>\n";

#[test]
fn what_only_an_old_file_may_hold_becomes_a_comment() {
    let conf = format!("{REST}# about it\nprivate = 12 # mine\n<mine x>\nb = 1\n</mine>\n");
    let (yaml, problems) = said("a.conf", conf.as_bytes(), To::Yaml);
    let yaml = yaml.unwrap();
    let expected = "\
# about it
# unknown key 'private' in the file:
# private: '12' # mine
# unknown key 'mine' in the file:
# mine:
#   x:
#     b: '1'
";
    assert!(yaml.ends_with(expected), "{yaml}");
    assert_eq!(
        problems,
        "10:1 warning: unknown key 'private' in the file; it becomes a comment, since YAML allows none\n\
         11:2 warning: unknown key 'mine' in the file; it becomes a comment, since YAML allows none\n"
    );
}

fn folder() -> std::path::PathBuf {
    std::path::Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/data/config_general")
}

#[test]
fn json_is_what_config_general_made_of_it() {
    let mut wrong = Vec::new();
    let mut count = 0;
    for entry in std::fs::read_dir(folder()).unwrap() {
        let path = entry.unwrap().path();
        if path.extension().is_none_or(|extension| extension != "conf") {
            continue;
        }
        count += 1;
        let recorded = std::fs::read_to_string(path.with_extension("json")).unwrap();
        let recorded: serde_json::Value = serde_json::from_str(&recorded).unwrap();
        let reading = convert(&SourceText::new(&path, std::fs::read(&path).unwrap()), To::Json);
        let made: Option<serde_json::Value> =
            reading.value.map(|text| serde_json::from_str(&text).unwrap());
        let expected = recorded.get("error").is_none().then_some(recorded.clone());
        if made != expected {
            wrong.push(format!("{}: {made:?}, recorded {recorded}", path.display()));
        }
    }
    assert!(count > 90, "the files are missing: {count}");
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}

#[test]
fn json_of_yaml_too() {
    let json = converted("a.yaml", "# c\na:\nb: [1, yes, {c: ~}]\n", To::Json);
    assert_eq!(
        json,
        "{\n  \"a\": null,\n  \"b\": [\n    \"1\",\n    \"yes\",\n    {\n      \"c\": null\n    }\n  ]\n}\n"
    );
}

#[test]
fn every_example_both_ways() {
    let examples = std::path::Path::new(env!("CARGO_MANIFEST_DIR")).join("../../examples");
    let mut count = 0;
    for entry in std::fs::read_dir(examples).unwrap() {
        let path = entry.unwrap().path();
        let name = path.file_name().unwrap().to_str().unwrap().to_owned();
        let to = match name.rsplit_once('.') {
            Some((_, "conf")) => To::Yaml,
            Some((_, "yaml")) => To::Conf,
            _ => continue,
        };
        count += 1;
        let text = std::fs::read_to_string(&path).unwrap();
        let there = converted(&name, &text, to);
        let (other, back) =
            if to == To::Yaml { ("b.yaml", To::Conf) } else { ("b.conf", To::Yaml) };
        let again = converted(other, &there, back);
        for comment in
            text.lines().filter_map(|line| line.split_once('#')).map(|(_, text)| text.trim())
        {
            assert!(there.contains(comment) && again.contains(comment), "{name}: {comment}");
        }
        let tree = |name: &str, text: &str| {
            let reading = knock_config::parse(&SourceText::new(name, text));
            knock_config::to_json(&reading.value.unwrap())
        };
        // A list of actions becomes blocks on the first way to a .conf; from then on nothing changes any more.
        let third = converted(if back == To::Conf { "b.conf" } else { "b.yaml" }, &again, to);
        assert_eq!(tree(other, &there), tree(other, &third), "{name}");
    }
    assert!(count >= 9, "the examples are missing: {count}");
}

/// Every text that the original lost in silence is told of, and what stood there is a comment then.
#[test]
fn what_the_original_lost_is_told_and_kept_as_a_comment() {
    for (lost, message, kept) in [
        ("about = #fff", "1:9 warning: `#` begins a comment; the value is empty", "#fff"),
        ("about = a#b", "1:10 warning: `#` begins a comment; the value ends here", "#b"),
        ("about = << x\nabout 2", "1:12 warning: the here-document", "# about 2"),
        ("about = a \\ \nabout = 2", "1:11 warning: a backslash joins", "about"),
        ("<x> about = 2", "1:1 warning: this is no tag", "about = 2"),
        ("<x>\nabout = 2\n</y>", "3:1 warning: `</y>` closes `<x>`", "about: '2'"),
        ("about = /* a\nb */", "2:3 warning: `*/` ends a comment that was never", "# b"),
        ("about = /var/*/log", "1:14 warning: `*/` ends a comment", "about = /var/"),
        ("about = a /* b */ c", "1:11 warning: this is a comment, even inside", "# b"),
        ("about = \"a # b\"", "1:12 warning: `#` begins a comment even inside quotes", "# b\""),
        ("/* open\nabout = x", "1:1 warning: this comment is never closed", "# about = x"),
        (
            "about <<END\nabout two",
            "1:9 warning: the here-document that begins here never",
            "# about two",
        ),
        ("about = x \\", "1:1 warning: the file ends in a continued line", "# about = x"),
    ] {
        // What is open at the end must stand there.
        let text = format!("remote = h\n{lost}\n");
        let (text, problems) = said("a.conf", text.as_bytes(), To::Yaml);
        let (line, rest) = message.split_once(':').unwrap();
        let message = format!("{}:{rest}", line.parse::<u32>().unwrap() + 1);
        assert!(problems.contains(&message), "{lost}: {problems}");
        let text = text.unwrap();
        assert!(text.contains(kept), "{lost}: {text}");
        let problems = said("a.conf", format!("remote = h\n{lost}\n").as_bytes(), To::Json).1;
        assert!(problems.contains(&message), "{lost}: {problems}");
    }
}

#[test]
fn old_encodings() {
    let (text, problems) = said("a.conf", b"remote = h # \xe4\n", To::Yaml);
    assert_eq!(text.unwrap(), "remote: h # ä\n");
    assert_eq!(problems, "1:13 warning: this comment is not UTF-8; it is taken for Latin-1\n");
    let (text, problems) = said("a.conf", b"remote = h\nkey = \xe4\n", To::Yaml);
    assert_eq!(text, None);
    assert!(
        problems
            .contains("2:7 error: this value is not UTF-8, so it would be another one afterwards"),
        "{problems}"
    );

    // Nothing that is told makes another key of it.
    let source = SourceText::new("a.conf", b"remote = h\nkey = \xe4\n".as_slice());
    for to in [To::Yaml, To::Json] {
        let helps = convert(&source, to).problems;
        let helps: Vec<String> = helps.into_iter().filter_map(|problem| problem.help).collect();
        assert!(
            !helps.is_empty() && helps.iter().all(|help| help.contains("'keyfile'")),
            "{helps:?}"
        );
    }
    let (text, problems) =
        said("a.conf", b"<\xfc>\n  k\xfc = 1\n  about = \xe4\n</\xfc>\n", To::Json);
    assert!(text.unwrap().contains('\u{fffd}'));
    for told in [
        "1:2 warning: this name is not UTF-8",
        "2:3 warning: this name",
        "3:11 warning: this is not UTF-8",
    ] {
        assert!(problems.contains(told), "{told}: {problems}");
    }
}

#[test]
fn what_no_conf_can_hold_is_refused_with_its_place() {
    let yaml = "remote: h\nlogformat:\n  'a # b':\n    ipclient: S=(\\S+)\n    port: D=(\\d+)\n";
    let (text, problems) = said("a.yaml", yaml.as_bytes(), To::Conf);
    assert_eq!(text, None);
    assert_eq!(problems, "3:4 error: the name 'a # b' cannot be written in a .conf\n");
}

#[test]
fn values_that_need_care() {
    to_yaml(
        "remote = h\nkey = 0x10\n<logformat f>\nabout = ~\nipclient = S=(.)\nport = \"D=(.) \"\nrequired = yes\n</logformat>\ntime = 7\n",
        "remote: h\nkey: '0x10'\nlogformat:\n  f:\n    about: '~'\n    ipclient: S=(.)\n    port: 'D=(.) '\n    required: 'yes'\ntime: 7\n",
    );
    to_conf(
        "remote: h\nkey: \" a'\\\\\"\nlogformat:\n  f: {ipclient: S=(.), port: D=(.), about: \"END\\n */ b\\\\\\n\"}\n",
        "remote = h\nkey = \" a'\\\"\n<logformat f>\n  ipclient = S=(.)\n  port = D=(.)\n  about = <<END1\n  \"END\n   */ b\\\\\n  \"\n  END1\n</logformat>\n",
    );
}

#[test]
fn included_files_are_put_in_place() {
    let folder = tempfile::tempdir().unwrap();
    std::fs::write(folder.path().join("time.inc"), "# in it\ntime = 7 # beside\n").unwrap();
    let source = SourceText::new(
        folder.path().join("a.conf"),
        "remote = h\n<<include time.inc>> # why\nport = 22\n",
    );
    assert_eq!(
        convert(&source, To::Yaml).value.unwrap(),
        "remote: h\n# why\n# from time.inc:\n# in it\ntime: 7 # beside\n# end of time.inc\nport: 22\n"
    );
}

#[test]
fn a_broken_file_is_refused_with_its_own_errors_but_has_a_tree() {
    let conf = "logfile = /l\nkey = k\n<action>\ntemplate = nosuch\n</action>\n";
    let (text, problems) = said("a.conf", conf.as_bytes(), To::Yaml);
    assert_eq!(text, None);
    assert!(problems.contains("4:12 error: unknown template 'nosuch'"), "{problems}");
    assert!(said("a.conf", conf.as_bytes(), To::Json).0.is_some());
}

#[test]
fn the_timeout_that_is_not_written_stays_what_it_was() {
    for (given, expected) in
        [("", "queuetimeout: 0\n"), ("queuetimeout = 5m\n", "queuetimeout: 5m\n")]
    {
        let yaml = converted("a.conf", &format!("{given}{REST}"), To::Yaml);
        assert!(yaml.contains(expected), "{yaml}");
    }
    let yaml =
        "logfile: /l\nencrypt: no\nactions: [{template: t}]\ntemplate: {t: {exec: ['/bin/a b']}}\n";
    let conf = converted("a.yaml", yaml, To::Conf);
    assert!(conf.contains("queuetimeout = 60s\n"), "{conf}");
    // A list of one word is not split.
    assert!(conf.contains("exec = /bin/a\\ b\n"), "{conf}");
    // The client has no queue, even if the daemon could read its file.
    for conf in ["remote = h\n", "remote = h\nlogfile = /l\nencrypt = no\n"] {
        assert!(!converted("a.conf", conf, To::Yaml).contains("queuetimeout"));
    }
}

#[test]
fn two_blocks_of_actions_become_one() {
    let conf = "logfile = /l\nencrypt = no\n<actions>\n# one\n<action>\nname = a\ntemplate = t\n</action>\n</actions>\n\
                # between\n<actions>\n# two\n<action>\nname = b\ntemplate = t\n</action>\n<template t>\nexec = /bin/a\n</template>\n</actions>\n";
    let yaml = converted("a.conf", conf, To::Yaml);
    let expected = "\
actions:
  # one
  action:
    - name: a
      template: t
    # between
    # two
    - name: b
      template: t
  template:
    t:
      exec: /bin/a
";
    assert!(yaml.ends_with(expected), "{yaml}");
}

#[test]
fn a_filter_that_cannot_be_used_is_left_out_of_those_in_use() {
    let conf = |used: &str| {
        format!(
            "logfile = /l\nkey = k\n<ethfilter good>\n  dest_port = 745-1000\n</ethfilter>\n\
             <ethfilter bad>\n  dest_port = x-\n</ethfilter>\nuseethfilter = {used}\n"
        )
    };
    for (used, expected) in [
        ("good, nope", "# Without 'nope': no ethfilter that could be used.\nuseethfilter: good\n"),
        ("bad good", "# Without 'bad': no ethfilter that could be used.\nuseethfilter: good\n"),
        ("bad nope\nuseethfilter = good", "useethfilter:\n  - good\n"),
        ("nope", "# no ethfilter 'nope' that could be used:\n# useethfilter: nope\n"),
        ("bad", "# no ethfilter 'bad' that could be used:\n# useethfilter: bad\n"),
        ("good", "\nuseethfilter: good\n"),
    ] {
        let (text, problems) = said("a.conf", conf(used).as_bytes(), To::Yaml);
        let text = text.unwrap_or_else(|| panic!("{used}: {problems}"));
        assert!(text.contains(expected), "{used}: {problems}\n{text}");
        let told = problems.contains("left out, since YAML allows none");
        assert_eq!(told, used.contains("good") && used.contains("nope"), "{used}: {problems}");
    }
}
