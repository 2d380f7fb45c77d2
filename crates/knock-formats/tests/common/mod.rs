//! The shipped formats, read from `logformats/` as simply as a test may: the config's reader is
//! another crate's.

#![allow(clippy::unwrap_used, reason = "a helper of tests: a panic is the report")]

use std::collections::BTreeMap;
use std::path::PathBuf;
use std::sync::LazyLock;

use knock_formats::{FieldName, FormatSpec, LogFormat, Sample, SampleYield};
use serde::Deserialize;

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct File {
    name: String,
    about: String,
    expressions: BTreeMap<String, String>,
    samples: Vec<Line>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Line {
    line: String,
    yields: Yields,
    because: Option<String>,
}

#[derive(Deserialize)]
#[serde(untagged)]
enum Yields {
    Word(String),
    Fields(BTreeMap<String, serde_yaml::Value>),
}

/// A format that ships.
#[allow(dead_code, reason = "each test program compiles this module for itself")]
pub(crate) struct Shipped {
    /// The file's name without its ending.
    pub(crate) file: String,
    pub(crate) spec: FormatSpec,
    pub(crate) format: LogFormat,
}

/// All of them. Compiled once: that takes longer than a thousand lines.
pub(crate) fn all() -> &'static [Shipped] {
    static ALL: LazyLock<Vec<Shipped>> = LazyLock::new(|| {
        let compile = |(file, spec)| {
            let format = LogFormat::compile(&spec).unwrap_or_else(|e| panic!("{file}: {e:#?}"));
            Shipped { file, spec, format }
        };
        read().into_iter().map(compile).collect()
    });
    &ALL
}

/// Every file of `logformats/`, with its name.
fn read() -> Vec<(String, FormatSpec)> {
    let folder = PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("../../logformats");
    let mut found: Vec<_> = std::fs::read_dir(&folder)
        .unwrap_or_else(|error| panic!("{}: {error}", folder.display()))
        .map(|entry| entry.unwrap().path())
        .filter(|path| path.extension().is_some_and(|extension| extension == "yaml"))
        .map(|path| {
            let text = std::fs::read_to_string(&path).unwrap();
            let file: File = serde_yaml::from_str(&text)
                .unwrap_or_else(|error| panic!("{}: {error}", path.display()));
            (path.file_stem().unwrap().to_str().unwrap().to_owned(), spec(file))
        })
        .collect();
    found.sort_by(|(a, _), (b, _)| a.cmp(b));
    assert!(!found.is_empty(), "no formats in {}", folder.display());
    found
}

/// One of them.
#[allow(dead_code, reason = "each test program compiles this module for itself")]
pub(crate) fn compiled(name: &str) -> &'static LogFormat {
    &all().iter().find(|shipped| shipped.file == name).unwrap().format
}

fn spec(file: File) -> FormatSpec {
    let field = |name: &str| FieldName::parse(name).unwrap_or_else(|| panic!("no field {name}"));
    let samples = file.samples.into_iter().map(|sample| Sample {
        line: sample.line.into_bytes(),
        yields: match (sample.yields, sample.because) {
            (Yields::Word(word), Some(because)) if word == "nothing" => {
                SampleYield::Nothing { because }
            }
            (Yields::Fields(fields), None) => SampleYield::Fields(
                fields.iter().map(|(name, value)| (field(name), text(value))).collect(),
            ),
            _ => panic!("a sample yields fields, or `nothing` with a `because`"),
        },
    });
    FormatSpec {
        samples: samples.collect(),
        expressions: file.expressions.into_iter().map(|(name, e)| (field(&name), e)).collect(),
        name: file.name,
        about: file.about,
    }
}

fn text(value: &serde_yaml::Value) -> String {
    match value {
        serde_yaml::Value::String(text) => text.clone(),
        serde_yaml::Value::Number(number) => number.to_string(),
        other => panic!("{other:?} is no sample value"),
    }
}
