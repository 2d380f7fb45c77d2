//! What is demanded of every format that ships, beside that its samples yield what they say.

#![allow(clippy::unwrap_used, reason = "in a test a panic is the report")]

mod common;

use std::collections::BTreeSet;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};
use std::time::SystemTime;

use knock_formats::{FieldName, SampleYield};
use knock_wire::{Hit, Protocol};
use proptest::prelude::*;

#[test]
fn every_shipped_format_does_what_its_samples_say() {
    for shipped in common::all() {
        let (spec, format) = (&shipped.spec, &shipped.format);
        assert_eq!(shipped.file, spec.name, "a format is named as its file");
        assert!(!spec.about.is_empty(), "{} says nothing about itself", spec.name);
        let wrong: Vec<_> = format
            .check_samples(spec)
            .iter()
            .map(|error| {
                let line = String::from_utf8_lossy(&spec.samples[error.sample].line);
                format!("{error}\n    {line}")
            })
            .collect();
        assert!(wrong.is_empty(), "{}:\n{}", spec.name, wrong.join("\n"));
    }
}

#[test]
fn there_is_one_for_each_firewall_that_the_guide_lists() {
    let guide = include_str!("../../../docs/guide/logformats.md");
    let listed: BTreeSet<&str> = guide
        .lines()
        .filter_map(|line| line.strip_prefix("| `")?.split_once("` | "))
        .filter(|(_, rest)| !rest.contains(" | "))
        .map(|(name, _)| name)
        .collect();
    for shipped in common::all() {
        let name = shipped.spec.name.as_str();
        assert!(listed.contains(name), "docs/guide/logformats.md has no row for {name}");
    }
    assert!(common::all().len() >= 25);
}

#[test]
fn every_expression_is_shown_by_a_sample() {
    for shipped in common::all() {
        let spec = &shipped.spec;
        let shown = |field| {
            spec.samples.iter().any(|sample| match &sample.yields {
                SampleYield::Fields(fields) => fields.iter().any(|(name, _)| *name == field),
                SampleYield::Nothing { .. } => false,
            })
        };
        for (field, _) in &spec.expressions {
            let shown = *field == FieldName::Required || shown(*field);
            assert!(shown, "{}: no sample has {field}", spec.name);
        }
    }
}

#[test]
fn every_format_shows_that_text_of_strangers_yields_nothing() {
    for shipped in common::all() {
        let remote = shipped.spec.samples.iter().any(|sample| {
            let ssh = sample.line.windows(5).any(|window| window == b"sshd[");
            ssh && matches!(sample.yields, SampleYield::Nothing { .. })
        });
        assert!(remote, "{}: no sample with a name typed at ssh", shipped.spec.name);
    }
}

#[test]
fn nothing_is_there_twice() {
    let mut formats = BTreeSet::new();
    for shipped in common::all() {
        let mut lines = BTreeSet::new();
        for sample in &shipped.spec.samples {
            let line = String::from_utf8_lossy(&sample.line);
            assert!(lines.insert(&sample.line), "{}: twice: {line}", shipped.spec.name);
        }
        let required = shipped.spec.expressions.iter().find(|(f, _)| *f == FieldName::Required);
        let required = required.map(|(_, text)| text.as_str());
        assert!(formats.insert(required), "{} repeats another format", shipped.spec.name);
    }
}

#[test]
fn shipped_formats_have_nothing_to_be_warned_of() {
    for shipped in common::all() {
        let said: Vec<_> = shipped.format.lint().iter().map(ToString::to_string).collect();
        assert!(said.is_empty(), "{}: {said:?}", shipped.spec.name);
    }
}

#[test]
fn a_line_cut_anywhere_never_tells_of_another_port_or_client() {
    for shipped in common::all() {
        let (file, format) = (&shipped.file, &shipped.format);
        // These tell of a SYN at the line's end, where older kernels wrote nothing: a line that
        // lost its end may look like one of theirs. Client and port are right even so.
        let may_lose_its_mark = ["ipchains", "log_in_vain"].contains(&file.as_str());
        for sample in &shipped.spec.samples {
            let whole = format.hit(&sample.line);
            for end in 0..sample.line.len() {
                let Some(hit) = format.hit(&sample.line[..end]) else { continue };
                let line = String::from_utf8_lossy(&sample.line[..end]);
                match whole {
                    Some(whole) => {
                        let same = (hit.client, hit.port) == (whole.client, whole.port);
                        assert!(same, "{file}: {line}");
                    }
                    None => assert!(may_lose_its_mark, "{file}: {line}"),
                }
            }
        }
    }
}

proptest! {
    /// What the client writes with -logtofile, the daemon reads: whoever knocks, at whom, on what.
    #[test]
    fn every_shipped_format_reads_the_line_that_is_written_in_its_shape(
        client: Ipv4Addr, server: Ipv4Addr, client6: Ipv6Addr, server6: Ipv6Addr, port in 1_u16.., from in 1_u16..,
    ) {
        for shipped in common::all() {
            let (client, server) = match shipped.file.as_str() {
                "ip6tables" => (IpAddr::V6(client6), IpAddr::V6(server6)),
                _ => (IpAddr::V4(client), IpAddr::V4(server)),
            };
            // An IPv4 address in the clothes of IPv6 is one of IPv4.
            prop_assume!(client.to_canonical() == client);
            let hit = Hit {
                server: Some(server),
                protocol: Some(Protocol::TCP),
                source_port: Some(from),
                ..Hit::new(client, port)
            };
            let line = shipped
                .format
                .render(&hit, SystemTime::UNIX_EPOCH)
                .map_err(|error| TestCaseError::fail(format!("{}: {error}", shipped.file)))?;
            let back = shipped.format.hit(line.as_bytes()).unwrap();
            prop_assert_eq!((back.client, back.port), (client, port), "{}: {}", shipped.file, line);
            // Else the lines of one knock would look like one packet that was sent again.
            prop_assert!([None, Some(from)].contains(&back.source_port), "{}: {}", shipped.file, line);
        }
    }
}
