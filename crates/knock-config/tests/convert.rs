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
