//! From the texts of a format to the format, or to all that is wrong with it.

use regex_syntax::hir::{Hir, HirKind};

use super::super::line::Texts;
use super::super::matcher::{Matcher, Test};
use super::super::{
    ErrorKind, FieldName, FormatError, FormatLint, FormatSpec, MAX_LINE, SampleYield, dialect,
    lint, needle,
};
use super::LogFormat;
use super::guards::{EMBEDDED, Guards};

/// How many sample lines are kept to write lines after.
const MAX_MODELS: usize = 8;

impl LogFormat {
    /// Checks and compiles; all mistakes are told at once.
    pub fn compile(spec: &FormatSpec) -> Result<Self, Vec<FormatError>> {
        let mut build = Build::default();
        for (field, text) in &spec.expressions {
            if build.seen.contains(field) {
                build.error(*field, 0..text.len(), ErrorKind::Twice);
            } else {
                build.seen.push(*field);
                build.expression(*field, text);
            }
        }
        for field in [FieldName::IpClient, FieldName::Port] {
            if !build.seen.contains(&field) {
                build.error(field, 0..0, ErrorKind::Missing);
            }
        }
        let (Some(client), Some(port), true) =
            (build.take(FieldName::IpClient), build.take(FieldName::Port), build.errors.is_empty())
        else {
            return Err(build.errors);
        };
        let models = spec.samples.iter().filter(|sample| {
            matches!(sample.yields, SampleYield::Fields(_)) && sample.line.len() <= MAX_LINE
        });
        let mut texts = Texts::new(EMBEDDED);
        let guards = Guards::new(&build.literals, &mut texts);
        let client = client.look_in(&mut texts);
        let port = port.look_in(&mut texts);
        let mut optional = |field| Some(build.take(field)?.look_in(&mut texts));
        let mut format = Self {
            name: spec.name.clone(),
            client,
            port,
            protocol: optional(FieldName::Protocol),
            flags: optional(FieldName::Flags),
            server: optional(FieldName::IpServer),
            interface: optional(FieldName::Interface),
            source_port: optional(FieldName::SourcePort),
            sequence: optional(FieldName::Sequence),
            time: optional(FieldName::Time),
            guards,
            texts,
            required: build.required,
            needles: build.needles,
            literals: build.literals,
            expressions: build.expressions,
            models: models.take(MAX_MODELS).map(|sample| sample.line.clone()).collect(),
            lints: build.lints,
        };
        let mut lints = std::mem::take(&mut format.lints);
        lint::prove(&format, &mut lints);
        format.lints = lints;
        format.lints.extend(lint::forgeable(&format, build.anchored));
        Ok(format)
    }
}

/// A format being compiled.
#[derive(Default)]
struct Build {
    seen: Vec<FieldName>,
    errors: Vec<FormatError>,
    matchers: Vec<(FieldName, Matcher)>,
    required: Option<Test>,
    needles: Vec<Vec<u8>>,
    literals: Vec<String>,
    expressions: Vec<(FieldName, Hir)>,
    anchored: bool,
    lints: Vec<FormatLint>,
}

impl Build {
    fn error(&mut self, field: FieldName, at: std::ops::Range<usize>, kind: ErrorKind) {
        self.errors.push(FormatError { field, at, kind });
    }

    fn take(&mut self, field: FieldName) -> Option<Matcher> {
        let at = self.matchers.iter().position(|(name, _)| *name == field)?;
        Some(self.matchers.swap_remove(at).1)
    }

    fn expression(&mut self, field: FieldName, text: &str) {
        let hir = match dialect::read(text) {
            Ok(hir) => hir,
            Err(mistakes) => {
                for (at, kind) in mistakes {
                    self.error(field, at, kind);
                }
                return;
            }
        };
        self.expressions.push((field, hir.clone()));
        if matches!(field, FieldName::Required | FieldName::IpClient | FieldName::Port) {
            self.needles.extend(needle::texts(&hir));
        }
        if field == FieldName::Required {
            match Test::compile(text, &hir) {
                Ok(test) => {
                    self.required = Some(test);
                    self.literals = literals(&hir);
                    self.anchored = lint::anchored(&hir);
                }
                Err(kind) => self.error(field, 0..text.len(), kind),
            }
            return;
        }
        if hir.properties().explicit_captures_len() == 0 {
            return self.error(field, 0..text.len(), ErrorKind::NoGroup);
        }
        match Matcher::compile(text, &hir) {
            Ok(matcher) => {
                self.lints.extend(lint::expression(field, &hir));
                self.matchers.push((field, matcher));
            }
            Err(kind) => self.error(field, 0..text.len(), kind),
        }
    }
}

/// The plain texts that an expression is made of, in their order.
fn literals(hir: &Hir) -> Vec<String> {
    let text = |part: &Hir| match part.kind() {
        HirKind::Literal(literal) => std::str::from_utf8(&literal.0).ok().map(str::to_owned),
        _ => None,
    };
    match hir.kind() {
        HirKind::Concat(parts) => parts.iter().filter_map(text).collect(),
        HirKind::Alternation(parts) => parts.first().into_iter().filter_map(text).collect(),
        _ => text(hir).into_iter().collect(),
    }
}
