//! What holds for every format, shown with the formats that users write.

mod plain;

use proptest::prelude::*;

use super::super::{FieldName, FormatSpec, Formats};
use super::LogFormat;

/// Written one a line, as in a config: `port = DPT=(\d+)`.
fn spec(block: &str) -> FormatSpec {
    let expressions = block.lines().filter_map(|line| line.trim().split_once(" = "));
    let expressions = expressions
        .map(|(name, text)| (FieldName::parse(name.trim()).unwrap(), text.to_owned()))
        .collect();
    FormatSpec { name: "users".to_owned(), expressions, ..FormatSpec::default() }
}

fn format(block: &str) -> LogFormat {
    LogFormat::compile(&spec(block)).unwrap_or_else(|errors| panic!("{errors:#?}"))
}

/// What the format makes of a line, in words.
fn verdict(format: &LogFormat, line: &[u8]) -> String {
    match format.examine(line) {
        Err(reason) => reason.to_string(),
        Ok(hit) => {
            let mut said = format!("{} from {}", hit.port, hit.client);
            let more = [
                hit.protocol.map(|p| format!(" {p}")),
                hit.interface.map(|i| format!(" on {i}")),
                hit.server.map(|s| format!(" at {s}")),
                hit.source_port.map(|p| format!(" by {p}")),
                hit.sequence.map(|n| format!(" seq {n}")),
            ];
            said.extend(more.into_iter().flatten());
            said
        }
    }
}

#[track_caller]
fn check(block: &str, line: impl AsRef<[u8]>, expected: &str) {
    assert_eq!(verdict(&format(block), line.as_ref()), expected);
}

/// The original manual's own format.
const MANUAL: &str = r"
    required = portknock
    interface = IN=(\S+)
    protocol = PROTO=([A-Z]+)
    ipserver = DST=([0-9.]+)
    ipclient = SRC=([0-9.]+)
    port = DPT=([0-9]+)";

/// As short as it may be.
const SHORT: &str = "
    ipclient = SRC=([0-9.]+)
    port = DPT=(\\d+)";

#[test]
fn the_manuals_format_works() {
    let line = "Nov 21 03:22:42 vm kernel: portknock IN=eth0 OUT= MAC=1e:42:60:96:4a:1f:8a:92:9e:a6:fb:e3:08:00 SRC=203.0.113.7 DST=203.0.113.1 LEN=60 TOS=0x00 PREC=0x00 TTL=64 ID=58454 DF PROTO=TCP SPT=40946 DPT=102 WINDOW=64240 RES=0x00 SYN URGP=0 ";
    check(MANUAL, line, "102 from 203.0.113.7 TCP on eth0 at 203.0.113.1");
    check(MANUAL, format!("{line}\n"), "102 from 203.0.113.7 TCP on eth0 at 203.0.113.1");
    check(
        MANUAL,
        line.replace("portknock ", "portknock"),
        "102 from 203.0.113.7 TCP on eth0 at 203.0.113.1",
    );
    check(MANUAL, line.replace("portknock", "knock"), "the required expression does not match");
    check(SHORT, line, "102 from 203.0.113.7 TCP");
    check(
        "ipclient = ^.*SRC=(\\S+) .*$\n port = (?:DPT|dport)=(\\d+)(x)?",
        line,
        "102 from 203.0.113.7 TCP",
    );
    // The first group counts, as the first value of Perl's list does.
    check(
        "ipclient = SRC=((\\d+)\\.\\S+)\n port = DPT=(\\d+)( )",
        line,
        "102 from 203.0.113.7 TCP",
    );
    // A dollar sign also stands before a newline that the caller left.
    check("ipclient = SRC=(\\S+)\n port = DPT=(\\d+)$", "SRC=10.0.0.1 DPT=7\n", "7 from 10.0.0.1");
}

#[test]
fn the_first_valid_value_counts() {
    let all = "SRC=(\\S+)";
    let block = format!("ipclient = {all}\n port = DPT=(\\S+)");
    check(&block, "MACSRC=8a:92:9e:a6:fb:e3 SRC=203.0.113.7 DPT=7", "7 from 203.0.113.7");
    check(SHORT, "MACSRC=8a:92:9e:a6:fb:e3 SRC=203.0.113.7 DPT=7", "7 from 203.0.113.7");
    check(&block, "SRC=203.0.113.7 SRC=198.51.100.66 XDPT=x DPT=7 DPT=8", "7 from 203.0.113.7");
    check(&block, "SRC=x SRC=y DPT=7", "ipclient found 'x', which is no address");
    check(&block, "SRC=10.0.0.1 DPT=0 DPT=65536", "port found '0', which is not 1-65535");
    check(&block, "DPT=7", "no client address: ipclient does not match");
    check(&block, "SRC=10.0.0.1", "no port: the port expression does not match");
    // The engine's matches are walked in the same way.
    let engine = "ipclient = \\bSRC=(\\S+?)\\b(?: |$)\n port = (?:DPT)=(\\d*)\\b";
    check(engine, "SRC=x SRC=10.0.0.1 DPT=99999 DPT=7", "7 from 10.0.0.1");
    let empty = "ipclient = (\\d*\\.?\\d*\\.?\\d*\\.?\\d*)\n port = :(\\d+)";
    check(empty, "a b 10.0.0.1:7", "7 from 10.0.0.1");
    // A group that takes no part in the match captures nothing.
    check(
        "ipclient = SRC=(x)?(\\S+)\n port = DPT=(\\d+)",
        "SRC=10.0.0.1 DPT=7",
        "no client address: ipclient does not match",
    );
}

#[test]
fn values_are_typed() {
    let block = r"
        ipclient = SRC=(\S+)
        port = DPT=(\S+)
        ipserver = DST=(\S*)
        interface = IN=(\S*)
        protocol = P=(\S*)
        sourceport = SPT=(\S*)
        sequence = SEQ=(\S*)";
    check(
        block,
        "SRC=2001:0db8:0:0:0:0:0:7%eth0 DPT=7 DST=::ffff:10.0.0.1 IN=eth0 P=17 SPT=1 SEQ=4294967295",
        "7 from 2001:db8::7 UDP on eth0 at 10.0.0.1 by 1 seq 4294967295",
    );
    check(block, "SRC=::ffff:10.0.0.1 DPT=7 IN= DST= P= SPT= SEQ=", "7 from 10.0.0.1");
    check(
        block,
        "SRC=10.0.0.1 DPT=7 IN=sixteen-bytes-xx",
        "interface found 'sixteen-bytes-xx', which cannot be one",
    );
    check(block, "SRC=10.0.0.1 DPT=7 DST=here", "ipserver found 'here', which cannot be one");
    check(
        block,
        "SRC=10.0.0.1 DPT=7 P=carrier-pigeon",
        "protocol found 'carrier-pigeon', which cannot be one",
    );
    check(block, "SRC=10.0.0.1 DPT=7 SPT=70000", "sourceport found '70000', which cannot be one");
    check(
        block,
        "SRC=10.0.0.1 DPT=7 SEQ=4294967296",
        "sequence found '4294967296', which cannot be one",
    );
    // The manual's expression takes the first group of an IPv6 address; that is no address.
    check(
        SHORT,
        "SRC=2001:0db8:0000:0000:0000:0000:0000:0007 DPT=7",
        "ipclient found '2001', which is no address",
    );
    // What is shown of a line cannot drive a terminal, and is short.
    check(
        block,
        b"SRC=\x1b[2J\xff\0 DPT=7",
        "ipclient found '\\x1b[2J\\xff\\x00', which is no address",
    );
    let long = "x".repeat(60);
    check(
        block,
        format!("SRC={long} DPT=7"),
        &format!("ipclient found '{}…', which is no address", &long[..48]),
    );
    // Classes are ASCII, as on Perl's byte strings: no Arabic digit, no Unicode blank.
    check(SHORT, "SRC=10.0.0.1 DPT=\u{661}", "no port: the port expression does not match");
    check(
        "ipclient = SRC=(\\S+)\n port = DPT=(\\d+)",
        "SRC=10.0.0.1\u{a0} DPT=7",
        "ipclient found '10.0.0.1\\xc2\\xa0', which is no address",
    );
}

#[test]
fn a_header_inside_an_icmp_error_yields_nothing() {
    let line = "portknock IN=eth0 OUT= SRC=203.0.113.7 DST=203.0.113.1 LEN=56 PROTO=ICMP TYPE=3 CODE=3 [SRC=198.51.100.66 DST=203.0.113.1 LEN=28 PROTO=UDP SPT=40000 DPT=102 LEN=8 ] ";
    check(MANUAL, line, "protocol ICMP has no ports");
    check(SHORT, line, "protocol ICMP has no ports");
    check(
        "ipclient = SRC=([0-9.]+)\n port = PT=(\\d+)\n protocol = PROTO=(UDP|TCP)",
        line,
        "protocol ICMP has no ports",
    );
    check(
        "required = DPT=102\n ipclient = SRC=(\\S+)\n port = DPT=(\\d+)",
        line,
        "the required expression does not match",
    );
    // Without a protocol's name in the line, the port is still out of reach.
    check(SHORT, line.replace("PROTO=ICMP", ""), "no port: the port expression does not match");
    check(SHORT, "MACPROTO=0800 SRC=10.0.0.1 PROTO=2 DPT=7", "protocol 2 has no ports");
    let ipchains = "ipclient = PROTO=\\d+ ([\\d.]+):\n port = :(\\d+) L=";
    check(
        ipchains,
        "input DENY eth0 PROTO=1 10.0.0.1:3 10.0.0.2:3 L=56",
        "protocol ICMP has no ports",
    );
    check(ipchains, "input DENY eth0 PROTO=6 10.0.0.1:1024 10.0.0.2:7 L=56", "7 from 10.0.0.1 TCP");
}

#[test]
fn only_a_syn_counts_where_flags_are_captured() {
    let block = format!("{SHORT}\n flags = FLAGS=(\\S*)");
    let tcp = |flags: &str| format!("SRC=10.0.0.1 PROTO=TCP DPT=7 {flags}");
    check(&block, tcp("FLAGS=SYN"), "7 from 10.0.0.1 TCP");
    check(&block, tcp("FLAGS=ACK,SYN"), "TCP, but not a SYN without ACK");
    check(&block, tcp("FLAGS="), "TCP, but not a SYN without ACK");
    check(&block, tcp(""), "TCP, but not a SYN without ACK");
    check(&block, "SRC=10.0.0.1 PROTO=UDP DPT=7", "7 from 10.0.0.1 UDP");
    check(&block, "SRC=10.0.0.1 DPT=7", "7 from 10.0.0.1");
    check(&block, "SRC=10.0.0.1 DPT=7 FLAGS=S.", "TCP, but not a SYN without ACK");
    // Without the expression nobody can tell.
    check(SHORT, tcp("FLAGS=ACK"), "7 from 10.0.0.1 TCP");
}

#[test]
fn what_was_let_through_does_not_count() {
    for head in [
        "[UFW ALLOW]",
        "Shorewall:net2fw:ACCEPT:IN=eth0",
        "[UFW AUDIT]",
        "input ACCEPT eth0",
        // As RouterOS spells it, and people.
        "accept input:",
        "Accepted:",
        "ssh-allowed ",
    ] {
        check(
            SHORT,
            format!("{head} SRC=10.0.0.1 DPT=7"),
            "the packet was let through, not denied",
        );
    }
    for head in ["[UFW BLOCK]", "DISALLOWED", "ACCEPTING", "acceptable", "an audit"] {
        check(SHORT, format!("{head} SRC=10.0.0.1 DPT=7"), "7 from 10.0.0.1");
    }
    check(SHORT, "SRC=10.0.0.1 DPT=7 ACCEPT", "7 from 10.0.0.1");
    // Who asks for such lines gets them.
    let wanted = format!("required = [:]ACCEPT:\n{SHORT}");
    check(&wanted, "x:ACCEPT: SRC=10.0.0.1 DPT=7", "7 from 10.0.0.1");
    let wanted = format!("required = [:]accept:\n{SHORT}");
    check(&wanted, "x:accept: SRC=10.0.0.1 DPT=7", "7 from 10.0.0.1");
}

#[test]
fn a_line_with_two_packets_tells_of_none() {
    let two = "a second SRC=: two packets in one line, perhaps torn";
    check(SHORT, "IN= SRC=10.0.0.1 DST=IN= SRC=10.0.0.2 DPT=7", two);
    check(SHORT, "IN= SRC=10.0.0.1 DPT=7 [SRC=10.0.0.2 DPT=8 SRC=10.0.0.2", "7 from 10.0.0.1");
    check(SHORT, "IN= MACSRC=8a:92 SRC=10.0.0.1 DPT=7", "7 from 10.0.0.1");
}

#[test]
fn lines_are_bounded() {
    let knock = "SRC=10.0.0.1 DPT=7 ";
    let fits = format!("{knock}{}", "x".repeat(super::MAX_LINE - knock.len()));
    check(SHORT, &fits, "7 from 10.0.0.1");
    check(SHORT, format!("{fits}x"), "longer than 65536 bytes: not looked at");
    // A line made of what looks like values costs no more than its length.
    let many = "\tSRC=x".repeat(10_000);
    check(SHORT, &many, "no client address: ipclient does not match");
    check(
        "ipclient = SRC=(\\S+)\n port = DPT=(\\d+)",
        &many,
        "ipclient found 'x', which is no address",
    );
}

/// What is said of a block that does not compile.
#[track_caller]
fn refused(block: &str, expected: &[&str]) {
    let errors = LogFormat::compile(&spec(block)).expect_err("compiles");
    let said: Vec<_> = errors.iter().map(|e| format!("{e} at {:?}", e.at)).collect();
    assert_eq!(said, expected);
    for error in errors {
        let text = spec(block).expressions;
        let text = text.iter().rev().find(|(field, _)| *field == error.field);
        let fits = text.is_none_or(|(_, text)| text.get(error.at.clone()).is_some());
        assert!(fits, "{error} is placed outside its expression");
    }
}

#[test]
fn all_mistakes_are_told_at_once() {
    refused(
        "required = (?<=x)y\n ipclient = SRC=\\S+\n port = DPT=(\\d++)\n flags = [",
        &[
            "required: a look-behind (?<=…): Perl has it, expressions here have not at 0..6",
            "ipclient: has no capture group, so it captures nothing at 0..7",
            "port: a possessive quantifier: Perl has it, expressions here have not at 7..9",
            "flags: not a regular expression: unclosed character class at 0..1",
        ],
    );
    refused(
        "required = x",
        &[
            "ipclient: is missing; a line yields a hit only when it matches at 0..0",
            "port: is missing; a line yields a hit only when it matches at 0..0",
        ],
    );
    refused(
        &format!("{SHORT}\n port = dport (\\d+)"),
        &["port: stands here a second time at 0..11"],
    );
    refused(
        "ipclient = (a{1000}{1000})\n port = (x)",
        &[
            "ipclient: not a regular expression: two quantifiers in a row; put the inner one into (?:…) at 2..14",
        ],
    );
    refused(
        "ipclient = ((?:a{1000}){1000})\n port = (x)",
        &["ipclient: is too large once it is compiled at 0..19"],
    );
    refused(
        "required = (?:a{1000}){1000}\n ipclient = (x)\n port = (x)",
        &["required: is too large once it is compiled at 0..17"],
    );
}

#[test]
fn of_several_formats_the_first_that_yields_counts() {
    let other = "required = ^two\n ipclient = from (\\S+)\n port = to (\\S+)";
    let formats = Formats::new(vec![format(MANUAL), format(other)]);
    let of = |line: &str| match formats.examine(line.as_bytes()) {
        Ok(hit) => hit.port.to_string(),
        Err(reason) => reason.to_string(),
    };
    assert_eq!(of("portknock SRC=10.0.0.1 DPT=7"), "7");
    assert_eq!(of("two from 10.0.0.1 to 8"), "8");
    assert_eq!(of("three"), "the required expression does not match");
    // The reason is that of the format that got furthest.
    assert_eq!(of("two from 10.0.0.1 to nowhere"), "port found 'nowhere', which is not 1-65535");
    assert_eq!(of("portknock SRC=10.0.0.1"), "no port: the port expression does not match");
    assert_eq!(formats.hit(b"two from 10.0.0.1 to 8").map(|hit| hit.port), Some(8));
    assert_eq!(Formats::new(Vec::new()).hit(b"two from 10.0.0.1 to 8"), None);
}

#[test]
fn formats_go_where_threads_go() {
    fn shared<T: Send + Sync>() {}
    shared::<LogFormat>();
    shared::<Formats>();
    // Two threads at one expression of the engine's.
    let format = format("ipclient = SRC=(\\S+?)\\b(?: |$)\n port = DPT=(\\d{1,5})\\b");
    std::thread::scope(|scope| {
        for client in ["10.0.0.1", "10.0.0.2"] {
            let format = &format;
            scope.spawn(move || {
                for port in 1..2000 {
                    let hit = format.hit(format!("SRC={client} DPT={port}").as_bytes()).unwrap();
                    assert_eq!((hit.client.to_string().as_str(), hit.port), (client, port));
                }
            });
        }
    });
}

proptest! {
    #[test]
    fn any_bytes_are_only_a_line(line in prop::collection::vec(any::<u8>(), 0..400)) {
        static FORMAT: std::sync::LazyLock<LogFormat> =
            std::sync::LazyLock::new(|| format(MANUAL));
        let _ = FORMAT.examine(&line);
    }

    #[test]
    fn any_text_is_an_expression_or_an_error_in_its_place(text in "[ -~é\n]{0,24}") {
        let spec = FormatSpec {
            expressions: vec![
                (FieldName::Required, text.clone()),
                (FieldName::IpClient, text.clone()),
                (FieldName::Port, format!("({text})")),
            ],
            ..FormatSpec::default()
        };
        match LogFormat::compile(&spec) {
            Ok(format) => drop(format.examine(text.as_bytes())),
            Err(errors) => for error in errors {
                let (_, text) = spec.expressions.iter().find(|(f, _)| *f == error.field).unwrap();
                prop_assert!(text.get(error.at.clone()).is_some(), "{:?} of {}", error, text);
            },
        }
    }

    #[test]
    fn any_mix_of_perls_syntax_is_answered(text in "(\\(|\\)|\\?|\\[|\\]|\\{|\\}|\\\\|\\*|\\+|<|>|=|!|:|P|R|1|,|a|\\||\\^|-|&){0,12}") {
        if let Err(mistakes) = super::super::dialect::read(&text) {
            for (at, _) in mistakes {
                prop_assert!(text.get(at.clone()).is_some(), "{:?} of {}", at, text);
            }
        }
    }
}
