//! That the model and the table of keys agree, in both directions: a key asked for without a row
//! panics where it is asked for, and a row never asked for is found here.

use std::collections::BTreeSet;

use super::section::asked;
use super::{ReadOptions, read_client, read_daemon};
use crate::keys::KEYS;
use crate::place::SourceText;

#[test]
fn every_key_of_the_table_is_read_by_a_program() {
    let text = r"
logfile: /var/log/kern.log
encrypt: no
logformats:
  logformat:
    mine:
      expressions: {required: ^knock, ipclient: 'SRC=(\S+)', port: 'DPT=(\d+)'}
      samples: [{line: knock SRC=192.0.2.1 DPT=22, yields: {port: 22}}]
uselogformat: mine
actions:
  action: {template: tell}
  template: {tell: {exec: [/bin/true]}}
ethfilters:
  ethfilter: {syn: {flags: SYN}}
";
    for text in [text.to_owned(), format!("runmode: network\ninterface: any\n{text}")] {
        let source = SourceText::new("all.yaml", text);
        assert_eq!(read_daemon(&source, &ReadOptions::default()).problems, []);
        assert_eq!(read_client(&source, &ReadOptions::default()).problems, []);
    }

    let known: BTreeSet<_> = KEYS.iter().map(|key| (key.within.to_string(), key.name)).collect();
    let unread: Vec<_> = known.difference(&asked::all()).cloned().collect();
    assert!(unread.is_empty(), "in the table, and read by nobody: {unread:?}");
}
