//! What a format means, written for the eye: each expression by the regex engine, one after another,
//! each guard by a search of its own. The quick way of `format.rs` is held against it, for shipped
//! formats and for odd ones of users, on lines of all kinds and on what becomes of them when they
//! are torn, mixed and mended.

use crate::log::{FormatSpec, needle};
use std::sync::LazyLock;

use proptest::prelude::*;
use regex::bytes::Regex;

use super::super::*;

/// A format as it is written.
struct Plain {
    expressions: Vec<(FieldName, Regex)>,
    quick: LogFormat,
}

/// A capture that is a value, or the first that is none.
type Captured<'l, T> = Result<Option<(T, usize)>, &'l [u8]>;

impl Plain {
    fn new(expressions: Expressions) -> Self {
        let regex =
            |text: &str| regex::bytes::RegexBuilder::new(text).unicode(false).build().unwrap();
        let spec = FormatSpec { expressions, ..FormatSpec::default() };
        Self {
            expressions: spec
                .expressions
                .iter()
                .map(|(field, text)| (*field, regex(text)))
                .collect(),
            quick: LogFormat::compile(&spec).unwrap(),
        }
    }

    fn expression(&self, field: FieldName) -> Option<&Regex> {
        self.expressions.iter().find(|(name, _)| *name == field).map(|(_, regex)| regex)
    }

    fn first<'l, T>(
        &self,
        field: FieldName,
        line: &'l [u8],
        parse: impl Fn(&'l [u8]) -> Option<T>,
    ) -> Captured<'l, T> {
        let Some(expression) = self.expression(field) else { return Ok(None) };
        let mut first = None;
        for group in expression.captures_iter(line).filter_map(|found| found.get(1)) {
            if let Some(value) = parse(group.as_bytes()) {
                return Ok(Some((value, group.start())));
            }
            first = first.or(Some(group.as_bytes()));
        }
        first.map_or(Ok(None), Err)
    }

    fn optional<'l, T>(
        &self,
        field: FieldName,
        line: &'l [u8],
        parse: impl Fn(&'l [u8]) -> Option<T>,
    ) -> Result<Option<T>, NoHit> {
        match self.first(field, line, parse) {
            Ok(found) => Ok(found.map(|(value, _)| value)),
            Err(b"") => Ok(None),
            Err(text) => Err(NoHit::BadField { field, text: Excerpt::of(text) }),
        }
    }

    fn examine(&self, line: &[u8]) -> Result<Hit, NoHit> {
        use FieldName as F;
        let line = line.strip_suffix(b"\n").unwrap_or(line);
        let end = memchr::memmem::find(line, b"[SRC=").unwrap_or(line.len());
        let line = &line[..end];
        if self.expression(F::Required).is_some_and(|required| !required.is_match(line)) {
            return Err(NoHit::NotRequired);
        }
        if memchr::memmem::find_iter(line, b" SRC=").count() > 1 {
            return Err(NoHit::TwoPackets);
        }
        let word = Regex::new(r"(?-u)(?:^|[ \t\n\x0c\r])PROTO=([^ \t\n\x0c\r]*)").unwrap();
        let words = word.captures_iter(line).filter_map(|found| found.get(1));
        let outer = words.filter_map(|value| Protocol::from_text(value.as_bytes())).next();
        let own = self.optional(F::Protocol, line, Protocol::from_text);
        for protocol in outer.into_iter().chain(own.ok().flatten()) {
            if !protocol.has_ports() {
                return Err(NoHit::NoPorts(protocol));
            }
        }
        let protocol = own?.or(outer);
        let (client, at) = match self.first(F::IpClient, line, fields::address) {
            Ok(Some(found)) => found,
            Ok(None) => return Err(NoHit::NoClient),
            Err(text) => return Err(NoHit::BadClient { text: Excerpt::of(text) }),
        };
        if self.quick.guards.lets_through(&line[..at]) {
            return Err(NoHit::Allowed);
        }
        let (port, at) = match self.first(F::Port, line, fields::port) {
            Ok(Some(found)) => found,
            Ok(None) => return Err(NoHit::NoPort),
            Err(text) => return Err(NoHit::BadPort { text: Excerpt::of(text) }),
        };
        let is_tcp = protocol.is_none_or(|protocol| protocol == Protocol::TCP);
        if self.expression(F::Flags).is_some() && is_tcp {
            let opens = match self.first(F::Flags, line, Some).unwrap() {
                Some((flags, _)) => fields::opens(flags),
                None => protocol.is_none() || fields::names_syn(&line[at..]),
            };
            if !opens {
                return Err(NoHit::NotASyn);
            }
        }
        Ok(Hit {
            client,
            port,
            server: self.optional(F::IpServer, line, fields::address)?,
            interface: self.optional(F::Interface, line, Interface::new)?,
            protocol,
            source_port: self.optional(F::SourcePort, line, fields::port)?,
            sequence: self.optional(F::Sequence, line, fields::number)?,
            time: self.first(F::Time, line, time::parse).ok().flatten().map(|(time, _)| time),
        })
    }

    #[track_caller]
    fn check(&self, line: &[u8]) -> bool {
        let expected = self.examine(line);
        let shown = line.escape_ascii();
        assert_eq!(self.quick.examine(line), expected, "{shown}");
        assert_eq!(self.quick.hit(line), expected.ok(), "{shown}");
        if expected.is_ok() {
            let needle = needle::Needle::of(std::slice::from_ref(&self.quick.needles));
            assert!(needle.is_none_or(|needle| needle.find(line).is_some()), "{shown}");
        }
        expected.is_ok()
    }
}

/// Blocks of users, from manuals and forums, and some that nobody should write.
const USERS: [&str; 6] = [
    r"required = portknock
      interface = IN=(\S+)
      protocol = PROTO=([A-Z]+)
      ipserver = DST=([0-9.]+)
      ipclient = SRC=([0-9.]+)
      port = DPT=([0-9]+)",
    r"ipclient = =(\S+) D
      port = =(\d+)",
    r"required = ^[^=]*=
      ipclient = SRC=(\S*) DST
      port = \bDPT=(\d{1,5})\b
      flags = (SYN|ACK)
      time = ^([^k]+)kernel",
    r"required = ^(?:\w+ +\d+ [\d:]+ \S+ kernel: )?(?:\[ *\d+\.\d+\] )?\S* ?IN=
      ipclient = (?:SRC|DST)=(\S+?) 
      port = [SD]PT=(\d+)
      interface = OUT=(\S*) 
      sourceport = SPT=(\d+) DPT=",
    r"ipclient = IN=.*SRC=(\S+) 
      port = PT=([0-9 ]+)W
      ipserver = ^(\S+)
      flags = RES=0x00 ([A-Z ]*)URGP=
      sequence = ID=(\d+)",
    r"required = =eth0
      ipclient = T=(\d[\d.]*)
      port = T=([^=]*)=
      protocol = O=(\S*) ",
];

static FORMATS: LazyLock<Vec<Plain>> = LazyLock::new(|| {
    let shipped = LINES.iter().map(|(_, expressions)| expressions.clone());
    let users = USERS.map(|block| {
        let lines = block.lines().filter_map(|line| line.trim_start().split_once(" = "));
        lines.map(|(name, text)| (FieldName::parse(name).unwrap(), text.to_owned())).collect()
    });
    shipped.chain(users).map(Plain::new).collect()
});

type Expressions = Vec<(FieldName, String)>;

/// The lines of the samples in each shipped file, and its expressions.
static LINES: LazyLock<Vec<(Vec<String>, Expressions)>> = LazyLock::new(|| {
    let folder = concat!(env!("CARGO_MANIFEST_DIR"), "/../../logformats");
    let files = std::fs::read_dir(folder).unwrap().map(|entry| entry.unwrap().path());
    let mut files: Vec<_> =
        files.filter(|path| path.extension() == Some("yaml".as_ref())).collect();
    files.sort();
    let read = |path: &std::path::PathBuf| {
        let file = std::fs::read_to_string(path).unwrap();
        let file: serde_yaml::Value = serde_yaml::from_str(&file).unwrap();
        let text = |value: &serde_yaml::Value| value.as_str().unwrap().to_owned();
        let samples = file["samples"].as_sequence().unwrap().iter();
        let expressions = file["expressions"].as_mapping().unwrap().iter();
        let expressions =
            expressions.map(|(name, e)| (FieldName::parse(&text(name)).unwrap(), text(e)));
        (samples.map(|sample| text(&sample["line"])).collect(), expressions.collect())
    };
    files.iter().map(read).collect()
});

fn lines() -> impl Iterator<Item = &'static String> {
    LINES.iter().flat_map(|(lines, _)| lines)
}

#[test]
fn the_quick_way_means_the_same_on_every_sample() {
    let mut hits = 0;
    for line in lines() {
        hits += FORMATS.iter().filter(|format| format.check(line.as_bytes())).count();
    }
    assert!(hits > 200, "{hits}");
}

/// A line of the samples with something done to it.
fn mended() -> impl Strategy<Value = Vec<u8>> {
    let pieces = prop::sample::select(vec![
        &b" "[..],
        b"=",
        b"[SRC=",
        b" SRC=",
        b" SRC=10.0.0.1 ",
        b" DPT=80 ",
        b" DPT=0 ",
        b"SRC=x ",
        b"MACSRC=",
        b"PROTO=ICMP ",
        b" PROTO=TCP ",
        b"PROTO=",
        b" PROTO=x ",
        b" RES=0x00 SYN URGP=",
        b"ACK ",
        b"SYN",
        b"ALLOW ",
        b"[UFW AUDIT]",
        b"ACCEPT",
        b"\0",
        b"\t",
        b"\xff",
        b"IN=",
        b" OUT=",
        b"0",
        b"9999999999",
        b"kernel: ",
        b"\n",
        b"IN=eth1 ",
        b"T=",
        b"=80 D",
    ]);
    let change =
        (any::<prop::sample::Index>(), prop_oneof![Just(0), 0..3_usize, 0..20_usize], pieces);
    let all: Vec<&String> = lines().collect();
    let line = prop::sample::select(all);
    let changes = prop::collection::vec(change, 0..4);
    (line.clone(), line, changes, prop::bool::weighted(0.2), prop::bool::weighted(0.1)).prop_map(
        |(line, other, changes, is_torn, is_long)| {
            let mut line = line.clone().into_bytes();
            for (at, len, piece) in changes {
                let at = at.index(line.len() + 1);
                line.splice(at..line.len().min(at + len), piece.iter().copied());
                if is_torn {
                    line.truncate(at);
                    line.extend_from_slice(other.as_bytes());
                }
            }
            if is_long {
                line.splice(0..0, std::iter::repeat_n(b'x', 470));
            }
            line
        },
    )
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(500))]
    #[test]
    fn the_quick_way_means_the_same(line in mended()) {
        for format in FORMATS.iter() {
            format.check(&line);
        }
    }
}
