//! Lines written for formats, and read back by them.

use std::time::Duration;

use knock_wire::Interface;
use proptest::prelude::*;

use super::super::{FieldName, FormatSpec, Sample, SampleYield};
use super::*;

fn format(expressions: &[(FieldName, &str)], sample: Option<&str>) -> LogFormat {
    let samples = sample.map(|line| Sample {
        line: line.as_bytes().to_vec(),
        yields: SampleYield::Fields(Vec::new()),
    });
    LogFormat::compile(&FormatSpec {
        name: "users".to_owned(),
        expressions: expressions.iter().map(|(f, text)| (*f, (*text).to_owned())).collect(),
        samples: samples.into_iter().collect(),
        ..FormatSpec::default()
    })
    .unwrap()
}

fn hit(client: &str, port: u16) -> Hit {
    Hit::new(client.parse().unwrap(), port)
}

fn wall() -> SystemTime {
    SystemTime::UNIX_EPOCH + Duration::from_secs(1_795_231_362)
}

/// Writes a knock of 10.0.0.7 at port 102 and shows what follows the date.
#[track_caller]
fn check(expressions: &[(FieldName, &str)], sample: Option<&str>, expected: &str) {
    let said = match format(expressions, sample).render(&hit("10.0.0.7", 102), wall()) {
        Ok(line) => line,
        Err(error) => error.to_string(),
    };
    assert!(said.contains(expected), "{said}");
}

const CLIENT: (FieldName, &str) = (FieldName::IpClient, "SRC=([0-9.]+)");
const PORT: (FieldName, &str) = (FieldName::Port, "DPT=(\\d+)");

#[test]
fn a_line_has_the_shape_that_the_format_reads() {
    let required = |text| [(FieldName::Required, text), CLIENT, PORT];
    check(&[CLIENT, PORT], None, "localhost kernel: IN=lo OUT= MAC= SRC=10.0.0.7 DST=10.0.0.7");
    check(&required("portknock"), None, " localhost kernel: portknock IN=lo OUT=");
    check(&required("kernel: portknock "), None, " localhost kernel: portknock IN=lo OUT=");
    check(&required("portknockIN="), None, "portknockIN=");
    check(&required("^\\w+ +\\d+ \\S+ \\S+ kernel: knock"), None, "localhost kernel: knock IN=lo");
    check(&required("^\\d{4}-\\d\\d-\\d\\dT\\S+ \\S+ kernel: "), None, "2026-11-2");
    check(&required("^\\[ *[\\d.]+\\] "), None, "[    0.000000] IN=lo");
    let ipchains =
        [(FieldName::IpClient, "PROTO=\\d+ ([\\d.]+):"), (FieldName::Port, ":(\\d+) L=")];
    check(&ipchains, None, "Packet log: input DENY lo PROTO=6 10.0.0.7:40000 10.0.0.7:102 L=60");
}

#[test]
fn any_other_shape_is_taken_from_a_sample() {
    let own = [(FieldName::IpClient, "from <([0-9.]+)>"), (FieldName::Port, "to <(\\d+)>")];
    check(&own, Some("denied to <7> from <192.0.2.1>."), "denied to <102> from <10.0.0.7>.");
    // No line is both: what the client captures is no address.
    let impossible = [(FieldName::IpClient, "^(x)$"), PORT];
    check(
        &impossible,
        None,
        "no line can be written that logformat 'users' reads as port 102 from 10.0.0.7;",
    );
}

/// Formats as users write them, for firewalls and programs that we know nothing of.
#[test]
fn where_there_is_no_sample_the_expressions_tell_the_shape() {
    let check = |client, port, required: &[&str], expected| {
        let mut all = vec![(FieldName::IpClient, client), (FieldName::Port, port)];
        all.extend(required.iter().map(|text| (FieldName::Required, *text)));
        check(&all, None, expected);
    };
    check("from <([0-9.]+)>", "to <(\\d+)>", &[], "localhost kernel: from <10.0.0.7> to <102>");
    check("from ([\\d.]+)", "port (\\d+)", &["portknock"], " portknock from 10.0.0.7 port 102");
    check(
        "^.*client=(\\S+)",
        "^.*dport=(\\d+)",
        &["^\\d+ DENY"],
        "1 DENY client=10.0.0.7 dport=102",
    );
    check(
        "src=\"([^\"]+)\"",
        "dst_port=\"(\\d{1,5})\"",
        &["^<\\d+>.*action=drop$"],
        "<1> src=\"10.0.0.7\" dst_port=\"102\"action=drop",
    );
    check(
        "\\b(\\d+\\.\\d+\\.\\d+\\.\\d+):\\d+ ->",
        "-> \\S+:(\\d+)",
        &["(?i)blocked"],
        "10.0.0.7:1 -> -> x:102",
    );
    check("(?:saddr|src)[= ]+([0-9a-fA-F.:]+)", "(?:dport|dst port)[= ](\\d+)\\b", &[], "10.0.0.7");
}

#[test]
fn what_cannot_be_read_back_is_not_written() {
    let v4_only = format(&[CLIENT, PORT], None);
    assert!(v4_only.render(&hit("2001:db8::7", 102), wall()).is_err());
    assert!(v4_only.render(&hit("10.0.0.7", 0), wall()).is_err());
    assert!(
        v4_only.render(&hit("::ffff:10.0.0.7", 102), wall()).unwrap().contains("SRC=10.0.0.7 ")
    );
}

#[test]
fn a_clock_far_off_stops_no_line() {
    let far = SystemTime::UNIX_EPOCH + Duration::from_secs(1 << 60);
    let before = SystemTime::UNIX_EPOCH - Duration::from_secs(1 << 40);
    for wall in [far, before] {
        assert!(format(&[CLIENT, PORT], None).render(&hit("10.0.0.7", 102), wall).is_ok());
    }
}

proptest! {
    #[test]
    fn what_is_written_is_read_back(client: IpAddr, server: IpAddr, port in 1_u16.., udp: bool, from in 1_u16..) {
        let all = format(
            &[(FieldName::IpClient, " SRC=(\\S+) "), (FieldName::Port, " DPT=(\\d+) "),
              (FieldName::IpServer, " DST=(\\S+) "), (FieldName::Interface, "IN=(\\S+)"),
              (FieldName::SourcePort, " SPT=(\\d+) "), (FieldName::Protocol, " PROTO=(\\w+) "),
              (FieldName::Flags, " RES=0x00 ([A-Z ]+)URGP=")],
            None,
        );
        let hit = Hit {
            server: Some(server.to_canonical()),
            protocol: Some(if udp { Protocol::UDP } else { Protocol::TCP }),
            interface: Interface::new(b"eth0"),
            source_port: Some(from),
            ..Hit::new(client.to_canonical(), port)
        };
        let line = all.render(&hit, wall()).unwrap();
        prop_assert_eq!(all.hit(line.as_bytes()), Some(hit));
    }

    /// A user's own format, whatever words its lines have.
    #[test]
    fn a_format_of_any_words_is_written_as_it_is_read(
        words in prop::collection::vec("[a-z=:<(\\[]{1,8} ?", 3),
        anchored: bool,
        group in prop::sample::select(vec!["([0-9.]+)", "(\\S+)", "(\\d+\\.\\d+\\.\\d+\\.\\d+)", "\"([^\"]+)\""]),
        client: std::net::Ipv4Addr,
        port in 1_u16..,
    ) {
        let [required, source, target] = [0, 1, 2].map(|at| regex::escape(&words[at]));
        let start = if anchored { "^" } else { "" };
        let expressions = [
            (FieldName::Required, format!("{start}{required}")),
            (FieldName::IpClient, format!(" {source} {group}")),
            (FieldName::Port, format!(" {target} (\\d+)(?: |$)")),
        ];
        let expressions: Vec<(FieldName, &str)> =
            expressions.iter().map(|(field, text)| (*field, text.as_str())).collect();
        let own = format(&expressions, None);
        let hit = Hit::new(client.into(), port);
        let line = own.render(&hit, wall()).map_err(|e| TestCaseError::fail(e.to_string()))?;
        let back = own.hit(line.as_bytes()).map(|hit| (hit.client, hit.port));
        prop_assert_eq!(back, Some((hit.client, port)), "{}", line);
    }
}
