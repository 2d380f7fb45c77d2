//! One entry of the journal as `journalctl -o json` prints it, and the line that the kernel's own log
//! would have had for it. Runs nothing.

use serde_json::{Map, Value};

use crate::dmesg::push_line;

/// An entry that the kernel wrote.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Entry {
    /// The run of the machine that it is of.
    pub(super) boot: u128,
    /// Where it stands in the journal.
    pub(super) cursor: String,
    /// When the journal took it, in microseconds since the machine started.
    pub(super) taken: u64,
    /// The same by the clock on the wall as it went then, in microseconds since 1970.
    pub(super) dated: Option<u64>,
    /// When the kernel wrote it, likewise.
    written: u64,
    message: Vec<u8>,
}

impl Entry {
    /// Reads a line of journalctl's; `None` when it is none of the kernel's, or has no text.
    pub(super) fn parse(line: &[u8]) -> Option<Self> {
        let fields: Map<String, Value> = serde_json::from_slice(line).ok()?;
        // Only the journal itself can write a field with such a name, so nobody can say it of an
        // entry of his own.
        if fields.get("_TRANSPORT")?.as_str() != Some("kernel") {
            return None;
        }
        let micros = |name: &str| fields.get(name)?.as_str()?.parse().ok();
        let taken = micros("__MONOTONIC_TIMESTAMP")?;
        let boot = fields.get("_BOOT_ID").and_then(Value::as_str).unwrap_or_default();
        Some(Self {
            boot: u128::from_str_radix(boot, 16).unwrap_or_default(),
            cursor: fields.get("__CURSOR")?.as_str()?.to_owned(),
            taken,
            dated: micros("__REALTIME_TIMESTAMP"),
            // Of entries from before the journal ran they differ by the time that it took to start.
            written: micros("_SOURCE_MONOTONIC_TIMESTAMP").unwrap_or(taken),
            message: bytes(fields.get("MESSAGE")?)?,
        })
    }

    /// Appends the line that `dmesg` prints, with its newline.
    pub(super) fn write_line(&self, out: &mut Vec<u8>) {
        // The kernel escapes these in its own log and the journal undoes that: a newline would
        // begin a line of its own.
        let is_control = |byte: &u8| byte.is_ascii_control();
        if !self.message.iter().any(is_control) {
            return push_line(out, self.written, &self.message);
        }
        let mut text = Vec::with_capacity(self.message.len() + 16);
        for byte in &self.message {
            if is_control(byte) {
                text.extend_from_slice(format!("\\x{byte:02x}").as_bytes());
            } else {
                text.push(*byte);
            }
        }
        push_line(out, self.written, &text);
    }
}

/// Text is a string, or a list of bytes where it is no UTF-8 or not printable.
fn bytes(value: &Value) -> Option<Vec<u8>> {
    match value {
        Value::String(text) => Some(text.clone().into_bytes()),
        Value::Array(list) => list.iter().map(|byte| u8::try_from(byte.as_u64()?).ok()).collect(),
        Value::Null | Value::Bool(_) | Value::Number(_) | Value::Object(_) => None,
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn check(line: &str, want: Option<&[u8]>) {
        let got = Entry::parse(line.as_bytes()).map(|entry| {
            let mut line = Vec::new();
            entry.write_line(&mut line);
            line
        });
        assert_eq!(got.as_deref(), want, "{line}");
    }

    #[test]
    fn entries_as_journalctl_printed_them() {
        check(
            r#"{"_TRANSPORT":"kernel","__MONOTONIC_TIMESTAMP":"1801588363","__REALTIME_TIMESTAMP":"1795231365065442","MESSAGE":"portknock IN=eth0 OUT= MAC=1e:42:60:96:4a:1f:8a:92:9e:a6:fb:e3:08:00 SRC=203.0.113.7 DST=203.0.113.1 LEN=60 TOS=0x00 PREC=0x00 TTL=64 ID=58454 DF PROTO=TCP SPT=40946 DPT=102 WINDOW=64240 RES=0x00 SYN URGP=0 ","_SOURCE_MONOTONIC_TIMESTAMP":"1800247278","SYSLOG_IDENTIFIER":"kernel","__CURSOR":"s=906c;i=238;b=534c;m=6b620e8b;t=660c0dfcdeae2;x=29cc03486fe8dd7c","SYSLOG_FACILITY":"0","_HOSTNAME":"vm","PRIORITY":"4"}"#,
            Some(b"[ 1800.247278] portknock IN=eth0 OUT= MAC=1e:42:60:96:4a:1f:8a:92:9e:a6:fb:e3:08:00 SRC=203.0.113.7 DST=203.0.113.1 LEN=60 TOS=0x00 PREC=0x00 TTL=64 ID=58454 DF PROTO=TCP SPT=40946 DPT=102 WINDOW=64240 RES=0x00 SYN URGP=0 \n"),
        );
        // No UTF-8, and a newline with a forged line behind it.
        check(
            r#"{"MESSAGE":[98,97,100,32,255,1,10,91,32,49],"__MONOTONIC_TIMESTAMP":"3000000","_TRANSPORT":"kernel","__CURSOR":"c"}"#,
            Some(b"[    3.000000] bad \xff\\x01\\x0a[ 1\n"),
        );
    }

    #[test]
    fn what_is_not_the_kernels_or_has_no_text_is_left_out() {
        for line in [
            r#"{"MESSAGE":"portknock IN=eth0","__MONOTONIC_TIMESTAMP":"1","_TRANSPORT":"syslog","__CURSOR":"c"}"#,
            r#"{"MESSAGE":"portknock IN=eth0","__MONOTONIC_TIMESTAMP":"1","_TRANSPORT":["kernel","syslog"],"__CURSOR":"c"}"#,
            r#"{"MESSAGE":"portknock IN=eth0","__MONOTONIC_TIMESTAMP":"1","__CURSOR":"c"}"#,
            // Too long for journalctl to print.
            r#"{"MESSAGE":null,"__MONOTONIC_TIMESTAMP":"1","_TRANSPORT":"kernel","__CURSOR":"c"}"#,
            r#"{"MESSAGE":[256],"__MONOTONIC_TIMESTAMP":"1","_TRANSPORT":"kernel","__CURSOR":"c"}"#,
            r#"{"MESSAGE":["a","b"],"__MONOTONIC_TIMESTAMP":"1","_TRANSPORT":"kernel","__CURSOR":"c"}"#,
            r#"{"MESSAGE":"x","__MONOTONIC_TIMESTAMP":"1","_TRANSPORT":"kernel"}"#,
            "-- No entries --",
            "",
            "[[[[",
        ] {
            check(line, None);
        }
    }

    proptest! {
        #[test]
        fn whatever_the_message_is_it_becomes_one_line(message: Vec<u8>, written in 0..u64::MAX) {
            let entry = Entry { boot: 0, cursor: String::new(), taken: 0, dated: None, written, message };
            let mut line = Vec::new();
            entry.write_line(&mut line);
            let controls = line.iter().filter(|byte| byte.is_ascii_control()).count();
            prop_assert_eq!((line.last(), controls), (Some(&b'\n'), 1));
        }

        #[test]
        fn any_bytes_are_an_entry_or_not(bytes: Vec<u8>) {
            let _entry = Entry::parse(&bytes);
        }
    }
}
