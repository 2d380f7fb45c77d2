//! A format's own sample lines, run through it: what `check` does with every format and the tests
//! do with the shipped ones.

use std::fmt;

use knock_wire::{Hit, Interface, Protocol};

use super::{FieldName, FormatSpec, LogFormat, NoHit, SampleYield, fields, time};

impl LogFormat {
    /// Runs the samples of the spec that this format was compiled from; empty when each yields
    /// what it says.
    #[must_use]
    pub fn check_samples(&self, spec: &FormatSpec) -> Vec<SampleError> {
        let mut errors = Vec::new();
        for (sample, wanted) in spec.samples.iter().enumerate() {
            let mut error = |kind| errors.push(SampleError { sample, kind });
            match (&wanted.yields, self.examine(&wanted.line)) {
                (SampleYield::Nothing { .. }, Err(_)) => (),
                (SampleYield::Nothing { because }, Ok(hit)) => {
                    error(SampleErrorKind::Hit { hit, because: because.clone() });
                }
                (SampleYield::Fields(_), Err(reason)) => error(SampleErrorKind::NoHit(reason)),
                (SampleYield::Fields(wanted_fields), Ok(hit)) => wanted_fields
                    .iter()
                    .filter_map(|(field, text)| self.differs(*field, text, &wanted.line, &hit))
                    .for_each(error),
            }
        }
        errors
    }

    fn differs(
        &self,
        field: FieldName,
        wanted: &str,
        line: &[u8],
        hit: &Hit,
    ) -> Option<SampleErrorKind> {
        if self.matcher(field).is_none() {
            return Some(SampleErrorKind::NoExpression(field));
        }
        let bytes = wanted.as_bytes();
        let (same, found) = match field {
            FieldName::Required => return Some(SampleErrorKind::NoExpression(field)),
            FieldName::IpClient => compare(Some(hit.client), fields::address(bytes)),
            FieldName::IpServer => compare(hit.server, fields::address(bytes)),
            FieldName::Port => compare(Some(hit.port), fields::port(bytes)),
            FieldName::SourcePort => compare(hit.source_port, fields::port(bytes)),
            FieldName::Protocol => compare(hit.protocol, Protocol::from_text(bytes)),
            FieldName::Interface => compare(hit.interface, Interface::new(bytes)),
            FieldName::Sequence => compare(hit.sequence, fields::number(bytes)),
            FieldName::Flags => {
                let found = self.captured(field, line).unwrap_or_default().trim_ascii();
                (found == bytes.trim_ascii(), Some(found.escape_ascii().to_string()))
            }
            FieldName::Time => {
                let found = self.captured(field, line).unwrap_or_default();
                let same = hit.time.is_some() && hit.time == time::parse(bytes);
                (same, Some(found.escape_ascii().to_string()))
            }
        };
        let wanted = wanted.to_owned();
        (!same).then(|| SampleErrorKind::Differs {
            field,
            wanted,
            found: found.unwrap_or_default(),
        })
    }
}

/// Whether the value is there and the one that is wanted, and how it reads.
fn compare<T: PartialEq + fmt::Display>(
    found: Option<T>,
    wanted: Option<T>,
) -> (bool, Option<String>) {
    (found.is_some() && found == wanted, found.map(|found| found.to_string()))
}

/// A sample that yields something else than it says.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SampleError {
    /// Which sample of the spec, from 0.
    pub sample: usize,
    /// What is wrong with it.
    pub kind: SampleErrorKind,
}

/// How a sample fails.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum SampleErrorKind {
    /// It should yield a hit.
    NoHit(NoHit),
    /// It should yield nothing.
    Hit {
        /// What it yields.
        hit: Hit,
        /// Why it should not, as the sample says.
        because: String,
    },
    /// A field has another value.
    Differs {
        /// Which one.
        field: FieldName,
        /// What the sample says.
        wanted: String,
        /// What the line yields; empty when nothing.
        found: String,
    },
    /// The format has no expression for a field that the sample names.
    NoExpression(FieldName),
}

impl fmt::Display for SampleError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "sample {}: ", self.sample + 1)?;
        match &self.kind {
            SampleErrorKind::NoHit(reason) => write!(f, "yields nothing: {reason}"),
            SampleErrorKind::Hit { hit, because } => {
                write!(f, "yields port {} from {}, but should not: {because}", hit.port, hit.client)
            }
            SampleErrorKind::Differs { field, wanted, found } if found.is_empty() => {
                write!(f, "{field} should be '{wanted}', but there is none")
            }
            SampleErrorKind::Differs { field, wanted, found } => {
                write!(f, "{field} should be '{wanted}', but is '{found}'")
            }
            SampleErrorKind::NoExpression(field) => {
                write!(f, "names {field}, for which the format captures nothing")
            }
        }
    }
}

impl std::error::Error for SampleError {}

#[cfg(test)]
mod tests {
    use super::super::Sample;
    use super::*;

    /// What is said of a line that should yield these fields; none means nothing.
    #[track_caller]
    fn check(line: &str, yields: &[(FieldName, &str)], expected: &str) {
        let fields: Vec<_> = yields.iter().map(|(f, text)| (*f, (*text).to_owned())).collect();
        let yields = match fields.is_empty() {
            true => SampleYield::Nothing { because: "it is forged".to_owned() },
            false => SampleYield::Fields(fields),
        };
        let expressions = [
            (FieldName::IpClient, "SRC=(\\S+)"),
            (FieldName::Port, "DPT=(\\d+)"),
            (FieldName::Flags, "FLAGS=(\\S+)"),
            (FieldName::Time, "^(.{15}) "),
            (FieldName::IpServer, "DST=(\\S+)"),
        ];
        let spec = FormatSpec {
            name: "t".to_owned(),
            about: String::new(),
            expressions: expressions.map(|(field, text)| (field, text.to_owned())).to_vec(),
            samples: vec![Sample { line: line.as_bytes().to_vec(), yields }],
        };
        let errors = LogFormat::compile(&spec).unwrap().check_samples(&spec);
        let said: Vec<_> = errors.iter().map(ToString::to_string).collect();
        assert_eq!(said.join("; "), expected);
    }

    #[test]
    fn samples_are_held_to_what_they_say() {
        use FieldName::{Flags, Interface, IpClient, IpServer, Port, Time};
        let line = "Nov 21 03:22:42 SRC=::ffff:10.0.0.1 DPT=7 FLAGS=S";
        let all = [(IpClient, "10.0.0.1"), (Port, "7"), (Flags, "S"), (Time, "Nov 21 03:22:42")];
        check(line, &all, "");
        check("SRC=x DPT=7", &[], "");
        check(line, &[], "sample 1: yields port 7 from 10.0.0.1, but should not: it is forged");
        check(line, &[(Port, "8")], "sample 1: port should be '8', but is '7'");
        check(line, &[(Port, "x")], "sample 1: port should be 'x', but is '7'");
        check(
            line,
            &[(IpServer, "10.0.0.2")],
            "sample 1: ipserver should be '10.0.0.2', but there is none",
        );
        check(line, &[(Flags, "SA")], "sample 1: flags should be 'SA', but is 'S'");
        check(
            line,
            &[(Time, "Nov 21 03:22:43")],
            "sample 1: time should be 'Nov 21 03:22:43', but is 'Nov 21 03:22:42'",
        );
        check(
            line,
            &[(Interface, "eth0")],
            "sample 1: names interface, for which the format captures nothing",
        );
        check(
            "SRC=x DPT=7",
            &[(Port, "7")],
            "sample 1: yields nothing: ipclient found 'x', which is no address",
        );
    }
}
