//! What is demanded of every format that ships, beside that its samples yield what they say.

mod common;

use std::net::{IpAddr, Ipv4Addr};
use std::time::SystemTime;

use knock_formats::{FieldName, LogFormat, SampleYield};
use knock_wire::{Hit, Protocol};
use proptest::prelude::*;

#[test]
fn every_shipped_format_does_what_its_samples_say() {
    for (file, spec) in common::shipped() {
        assert_eq!(file, spec.name, "a format is named as its file");
        assert!(!spec.about.is_empty(), "{file} says nothing about itself");
        let format = LogFormat::compile(&spec).unwrap_or_else(|e| panic!("{file}: {e:#?}"));
        let wrong: Vec<_> = format
            .check_samples(&spec)
            .iter()
            .map(|error| {
                let line = String::from_utf8_lossy(&spec.samples[error.sample].line);
                format!("{error}\n    {line}")
            })
            .collect();
        assert!(wrong.is_empty(), "{file}:\n{}", wrong.join("\n"));
    }
}

#[test]
fn every_expression_is_shown_by_a_sample() {
    for (file, spec) in common::shipped() {
        let shown = |field| {
            spec.samples.iter().any(|sample| match &sample.yields {
                SampleYield::Fields(fields) => fields.iter().any(|(name, _)| *name == field),
                SampleYield::Nothing { .. } => false,
            })
        };
        for (field, _) in &spec.expressions {
            assert!(
                *field == FieldName::Required || shown(*field),
                "{file}: no sample has {field}"
            );
        }
    }
}

#[test]
fn every_format_shows_that_text_of_strangers_yields_nothing() {
    for (file, spec) in common::shipped() {
        let remote = spec.samples.iter().any(|sample| {
            let ssh = sample.line.windows(5).any(|window| window == b"sshd[");
            ssh && matches!(sample.yields, SampleYield::Nothing { .. })
        });
        assert!(remote, "{file}: no sample with a name typed at ssh");
    }
}

#[test]
fn shipped_formats_have_nothing_to_be_warned_of() {
    for (file, spec) in common::shipped() {
        let format = LogFormat::compile(&spec).unwrap();
        let said: Vec<_> = format.lint().iter().map(ToString::to_string).collect();
        assert!(said.is_empty(), "{file}: {said:?}");
    }
}

#[test]
fn a_line_cut_anywhere_never_tells_of_another_port_or_client() {
    for (file, spec) in common::shipped() {
        let format = LogFormat::compile(&spec).unwrap();
        // ipchains marks a SYN at the line's end, where old kernels wrote nothing: a line that
        // lost its end may look like one of theirs. Client and port are right even so.
        let may_lose_its_mark = file == "ipchains";
        for sample in &spec.samples {
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
        client: Ipv4Addr, server: Ipv4Addr, port in 1_u16.., from in 1_u16..,
    ) {
        for (file, spec) in common::shipped() {
            let format = LogFormat::compile(&spec).unwrap();
            let hit = Hit {
                server: Some(IpAddr::V4(server)),
                protocol: Some(Protocol::TCP),
                source_port: Some(from),
                ..Hit::new(IpAddr::V4(client), port)
            };
            let line = format
                .render(&hit, SystemTime::UNIX_EPOCH)
                .map_err(|error| TestCaseError::fail(format!("{file}: {error}")))?;
            let back = format.hit(line.as_bytes()).unwrap();
            prop_assert_eq!((back.client, back.port), (hit.client, port), "{}: {}", file, line);
        }
    }
}
