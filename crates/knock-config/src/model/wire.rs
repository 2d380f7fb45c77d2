//! The settings that daemon and client share about the knock itself, and the codec they make.
//!
//! Texts are kept as they were written until all are known, since the client's command line may
//! replace any of them.

use knock_wire::{AddressRule, Cipher, CipherName, Codec, Iv, PortSpan, Secret, Shape};

use crate::keys::{self, Within};
use crate::model::section::{Reader, Section, path_of};
use crate::model::{Setting, values};
use crate::problem::{Problem, Reading, Severity};
use crate::secretfile;

/// What a knock is made of. Everything may be absent.
#[derive(Debug, Default)]
pub struct WireSettings {
    /// `knock`: the fields.
    pub knock: Option<Setting<String>>,
    /// `portspan`: the ports.
    pub portspan: Option<Setting<String>>,
    /// `encrypt`.
    pub encrypt: Option<Setting<bool>>,
    /// `key`, or what the `keyfile` holds.
    pub key: Option<Setting<Secret>>,
    /// `cipher`.
    pub cipher: Option<Setting<String>>,
    /// `iv`.
    pub iv: Option<Setting<bool>>,
    /// `fixediv`.
    pub fixediv: Option<Setting<Vec<u8>>>,
    /// `anyip`.
    pub anyip: Option<Setting<bool>>,
    /// Something about the key was there but could not be read: that it is missing then needs no
    /// saying.
    unread: bool,
}

impl WireSettings {
    /// The codec that they make, with the defaults for what is absent.
    #[must_use]
    pub fn codec(&self) -> Reading<Codec> {
        let mut problems = Vec::new();
        let shape = self.shape(&mut problems);
        let span = self.span(&mut problems);
        let cipher = self.cipher(&mut problems);
        let rule = match &self.anyip {
            Some(Setting { value: true, .. }) => AddressRule::Any,
            Some(Setting { value: false, .. }) | None => AddressRule::MustMatch,
        };
        let codec = match (shape, span, cipher) {
            (Some(shape), Some(span), Some(cipher)) => {
                match Codec::new(shape, span, cipher, rule) {
                    Ok(codec) => Some(codec),
                    Err(error) => {
                        let knock = or_default(&self.knock, "knock");
                        let whole = 0..knock.value.len();
                        problems.push(knock.problem("knock", whole, error));
                        None
                    }
                }
            }
            _ => None,
        };
        let Reading { value, problems } = Reading::new(codec, problems);
        Reading { value: value.flatten(), problems }
    }

    /// The fields, if they are well written.
    pub(super) fn shape(&self, problems: &mut Vec<Problem>) -> Option<Shape> {
        let knock = or_default(&self.knock, "knock");
        let error = match Shape::parse(&knock.value) {
            Ok(shape) => return Some(shape),
            Err(error) => error,
        };
        // "unknown field; did you mean …": what stands behind the semicolon is the way out.
        let message = error.to_string();
        problems.push(match message.split_once("; ") {
            Some((what, help)) => knock.problem("knock", error.at(), what).with_help(help),
            None => knock.problem("knock", error.at(), message),
        });
        None
    }

    fn span(&self, problems: &mut Vec<Problem>) -> Option<PortSpan> {
        let span = or_default(&self.portspan, "portspan");
        PortSpan::parse(&span.value)
            .map_err(|error| problems.push(span.problem("portspan", error.at(), &error)))
            .ok()
    }

    fn encrypts(&self) -> bool {
        self.encrypt.as_ref().is_none_or(|encrypt| encrypt.value)
    }

    fn cipher(&self, problems: &mut Vec<Problem>) -> Option<Cipher> {
        if !self.encrypts() {
            return Some(Cipher::none());
        }
        let name = or_default(&self.cipher, "cipher");
        let whole = 0..name.value.len();
        let Some(cipher) = CipherName::parse(name.value.trim()) else {
            let message = format!("cipher '{}' is not available", name.value.trim());
            let help = format!("there is {}", keys::CIPHERS.join(", "));
            problems.push(name.problem("cipher", whole, message).with_help(help));
            return None;
        };
        let Some(key) = &self.key else {
            if !self.unread {
                problems.push(self.no_key());
            }
            return None;
        };
        let iv = match (&self.iv, &self.fixediv) {
            (Some(Setting { value: true, .. }), _) => Iv::Random,
            (_, Some(fixed)) => Iv::fixed(&fixed.value),
            (_, None) => Iv::default(),
        };
        let made = match cipher {
            CipherName::Blowfish => Cipher::blowfish(&key.value, iv),
        };
        match made {
            Ok(cipher) => Some(cipher),
            Err(error) => {
                problems.push(key.problem("key", error.at(), error));
                None
            }
        }
    }

    fn no_key(&self) -> Problem {
        let help = "give a key with 'key' or 'keyfile', or say 'no' to encrypt";
        let problem = match &self.encrypt {
            Some(encrypt) => encrypt.problem("encrypt", 0..3, "encryption needs a key"),
            None => Problem {
                severity: Severity::Error,
                at: None,
                message: "no key is given, and encrypt is 'yes' unless the file says otherwise"
                    .to_owned(),
                help: None,
            },
        };
        problem.with_help(help)
    }
}

/// Reads them, and the key's file.
pub(super) fn read(reader: &mut Reader<'_>, top: &Section<'_>) -> WireSettings {
    only_standard(reader, top, "padding");
    only_standard(reader, top, "keyderivation");
    let encrypt = reader.yes_no(top, "encrypt");
    let encrypts = encrypt.as_ref().is_none_or(|encrypt| encrypt.value);
    let key = key(reader, top, encrypts);
    let given = |name: &str| top.table.get(name).is_some();
    let unread = encrypt.is_none() && given("encrypt")
        || key.is_none() && (given("key") || given("keyfile"));
    WireSettings {
        unread,
        knock: reader.string(top, "knock"),
        portspan: reader.string(top, "portspan"),
        encrypt,
        key,
        cipher: reader.string(top, "cipher"),
        iv: iv(reader, top),
        fixediv: reader
            .text(top, "fixediv")
            .map(|text| Setting::from_text(text.bytes().to_vec(), text)),
        anyip: reader.yes_no(top, "anyip"),
    }
}

/// `padding` and `keyderivation` have one value each in this version.
fn only_standard(reader: &mut Reader<'_>, top: &Section<'_>, name: &'static str) {
    let Some(text) = reader.text(top, name) else { return };
    let key = top.key(name);
    if !text.text().trim().eq_ignore_ascii_case(key.default) {
        let message = format!("{name} '{}' is not available in this version", text.text().trim());
        let help = format!("there is {}", key.kind);
        reader.add(Problem::error(text.place(), message).with_help(help));
    }
}

fn iv(reader: &mut Reader<'_>, top: &Section<'_>) -> Option<Setting<bool>> {
    let text = reader.text(top, "iv")?;
    if let "salt" | "bare" = text.text().trim() {
        let message = format!("iv '{}' is not available in this version", text.text().trim());
        reader.add(Problem::error(text.place(), message).with_help("there are 'yes' and 'no'"));
        return None;
    }
    reader.parsed(top, "iv", values::yes_no)
}

fn key(reader: &mut Reader<'_>, top: &Section<'_>, encrypts: bool) -> Option<Setting<Secret>> {
    let written = reader.text(top, "key");
    let file = reader.text(top, "keyfile");
    if let (Some(_), Some(file)) = (written, file) {
        let problem = Problem::error(file.place(), "both 'key' and 'keyfile' are given");
        reader.add(problem.with_help("keep one of them"));
    }
    if let Some(text) = written {
        let at = text.place();
        if text.bytes().is_empty() {
            if !encrypts {
                return None;
            }
            reader.error(at, "the key is empty, so anybody could knock; give it a value");
            return None;
        }
        let insecure = reader.options.insecure;
        let exposed = secretfile::in_config(&reader.path, reader.syntax, insecure, &at);
        reader.extend(exposed);
        reader.extend(secretfile::well_known(text.bytes(), &at));
        return Some(Setting::at_place(Secret::new(text.bytes().to_vec()), at));
    }
    let file = file?;
    let at = file.place();
    let path = reader.folder().join(path_of(file));
    let secret = secretfile::read_at(&path, reader.options.insecure, Some(&at));
    reader.take(secret).map(|secret| Setting::at_place(secret, at))
}

/// What was given, or the default of the table.
fn or_default(given: &Option<Setting<String>>, key: &'static str) -> Setting<String> {
    given.clone().unwrap_or_else(|| {
        let default = keys::find(Within::Top, key).map_or("", |key| key.default);
        Setting::given(default.to_owned())
    })
}
