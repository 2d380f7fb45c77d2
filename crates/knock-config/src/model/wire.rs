//! The settings that daemon and client share about the knock itself, and the codec they make.
//!
//! Texts are kept as they were written until all are known, since the client's command line may
//! replace any of them.

use knock_wire::{
    AddressRule, Cipher, CipherError, CipherName, CipherSpec, Codec, CodecError, IvMode,
    KeyDerivation, MAC_LENGTHS, Padding, PortSpan, Secret, Shape, SpecPart,
};

use crate::keys::{self, Within};
use crate::model::section::{Reader, Section, path_of};
use crate::model::{Setting, values};
use crate::problem::{Problem, Reading, Severity};
use crate::secretfile;
use crate::suggest::nearest;

/// What a knock is made of. Everything may be absent.
#[derive(Debug, Default, PartialEq)]
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
    pub iv: Option<Setting<IvChoice>>,
    /// `fixediv`.
    pub fixediv: Option<Setting<Vec<u8>>>,
    /// `keyderivation`.
    pub keyderivation: Option<Setting<KeyDerivation>>,
    /// `fixedsalt`.
    pub fixedsalt: Option<Setting<Vec<u8>>>,
    /// `padding`.
    pub padding: Option<Setting<Padding>>,
    /// `mac`.
    pub mac: Option<Setting<usize>>,
    /// `anyip`.
    pub anyip: Option<Setting<bool>>,
    /// Something about the key was there but could not be read: that it is missing then needs no
    /// saying.
    unread: bool,
}

/// What `iv` takes.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum IvChoice {
    /// Both sides know the IV, and nothing is sent.
    #[default]
    No,
    /// A random one behind the letters `RandomIV`.
    Yes,
    /// A random salt behind the letters `Salted__`, from which key and IV are derived.
    Salt,
    /// A random one, without letters.
    Bare,
}

impl IvChoice {
    /// As configs and command lines have it: `yes` and `no` in all their forms, `salt`, `bare`.
    #[must_use]
    pub fn parse(text: &str) -> Option<Self> {
        match values::yes_no(text) {
            Some(true) => return Some(Self::Yes),
            Some(false) => return Some(Self::No),
            None => {}
        }
        let text = text.trim();
        [("salt", Self::Salt), ("bare", Self::Bare)]
            .into_iter()
            .find(|(name, _)| name.eq_ignore_ascii_case(text))
            .map(|(_, choice)| choice)
    }
}

/// The length of a MAC: 0 for none, or 4 to 32.
#[must_use]
pub fn parse_mac(text: &str) -> Option<usize> {
    text.trim().parse().ok().filter(|length| *length == 0 || MAC_LENGTHS.contains(length))
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
                        problems.push(self.unfit(&error));
                        None
                    }
                }
            }
            _ => None,
        };
        let Reading { value, problems } = Reading::new(codec, problems);
        Reading { value: value.flatten(), problems }
    }

    /// Fields and cipher that do not go together: at the padding, if that is what keeps them apart.
    fn unfit(&self, error: &CodecError) -> Problem {
        let knock = or_default(&self.knock, "knock");
        with_way_out(error, |what| match (error, &self.padding) {
            (CodecError::NotWholeBlocks { .. }, Some(padding)) => {
                padding.problem("padding", 0..padding.value.as_str().len(), what)
            }
            _ => knock.problem("knock", 0..knock.value.len(), what),
        })
    }

    /// The fields, if they are well written.
    pub(super) fn shape(&self, problems: &mut Vec<Problem>) -> Option<Shape> {
        let knock = or_default(&self.knock, "knock");
        let error = match Shape::parse(&knock.value) {
            Ok(shape) => return Some(shape),
            Err(error) => error,
        };
        problems.push(with_way_out(&error, |what| knock.problem("knock", error.at(), what)));
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
            // Who asked for one counts on it.
            if let Some(mac) = self.mac.as_ref().filter(|mac| mac.value > 0) {
                let help = "say 'yes' to encrypt, or leave mac out";
                let message = "without encryption there is no key for a mac";
                problems.push(mac.problem("mac", 0..2, message).with_help(help));
            }
            return Some(Cipher::none());
        }
        let name = self.name(problems);
        let salt = self.salt(problems);
        let Some(key) = &self.key else {
            if !self.unread {
                problems.push(self.no_key());
            }
            return None;
        };
        let spec = CipherSpec {
            name: name?,
            key: key.value.clone(),
            iv: self.iv_mode(),
            derivation: self.keyderivation.as_ref().map(|given| given.value).unwrap_or_default(),
            salt: salt?,
            padding: self.padding.as_ref().map(|given| given.value).unwrap_or_default(),
            mac: self.mac.as_ref().map_or(0, |given| given.value),
        };
        match Cipher::new(&spec) {
            Ok(cipher) => Some(cipher),
            Err(error) => {
                problems.push(self.unsuitable(&error));
                None
            }
        }
    }

    fn name(&self, problems: &mut Vec<Problem>) -> Option<CipherName> {
        let name = or_default(&self.cipher, "cipher");
        let text = name.value.trim();
        let known = CipherName::parse(text);
        if known.is_none() {
            let message = format!("cipher '{text}' is not available");
            let help = match nearest(text, keys::CIPHERS.iter().copied()) {
                Some(near) => format!("did you mean '{near}'?"),
                None => format!("there are {}; AES is Rijndael", keys::CIPHERS.join(", ")),
            };
            let whole = 0..name.value.len();
            problems.push(name.problem("cipher", whole, message).with_help(help));
        }
        known
    }

    fn iv_mode(&self) -> IvMode {
        match self.iv.as_ref().map(|iv| iv.value).unwrap_or_default() {
            IvChoice::No => match &self.fixediv {
                Some(fixed) => IvMode::Fixed(fixed.value.clone()),
                None => IvMode::default(),
            },
            IvChoice::Yes => IvMode::Random,
            IvChoice::Salt => IvMode::Salt,
            IvChoice::Bare => IvMode::Bare,
        }
    }

    /// The salt that both sides know, if there is one. `None`: it cannot be one.
    fn salt(&self, problems: &mut Vec<Problem>) -> Option<Option<[u8; 8]>> {
        let Some(given) = &self.fixedsalt else { return Some(None) };
        let length = given.value.len();
        if let Ok(salt) = given.value.as_slice().try_into() {
            return Some(Some(salt));
        }
        let message = format!("a salt has 8 bytes, and this one has {length}");
        problems.push(given.problem("fixedsalt", 0..length, message));
        None
    }

    /// At the part that is at fault.
    fn unsuitable(&self, error: &CipherError) -> Problem {
        let at_part = |what: &str| match error.part() {
            SpecPart::Iv => Some(self.iv.as_ref()?.problem("iv", 0..4, what)),
            SpecPart::Derivation => {
                let given = self.keyderivation.as_ref()?;
                Some(given.problem("keyderivation", 0..given.value.as_str().len(), what))
            }
            SpecPart::Salt => Some(self.fixedsalt.as_ref()?.problem("fixedsalt", 0..8, what)),
            SpecPart::Mac => Some(self.mac.as_ref()?.problem("mac", 0..2, what)),
            // Whatever else may come is wrong with the key.
            _ => Some(self.key.as_ref()?.problem("key", 0..0, what)),
        };
        with_way_out(error, |what| {
            at_part(what).unwrap_or_else(|| Problem {
                severity: Severity::Error,
                at: None,
                message: what.to_owned(),
                help: None,
            })
        })
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
    let encrypt = reader.yes_no(top, "encrypt");
    let encrypts = encrypt.as_ref().is_none_or(|encrypt| encrypt.value);
    let key = key(reader, top, encrypts);
    let given = |name: &str| top.table.get(name).is_some();
    let unread = encrypt.is_none() && given("encrypt")
        || key.is_none() && (given("key") || given("keyfile"));
    let iv = reader.parsed(top, "iv", IvChoice::parse);
    let choice = iv.as_ref().map(|iv| iv.value).unwrap_or_default();
    WireSettings {
        unread,
        knock: reader.string(top, "knock"),
        portspan: reader.string(top, "portspan"),
        encrypt,
        key,
        cipher: reader.string(top, "cipher"),
        iv,
        fixediv: fixediv(reader, top, choice),
        keyderivation: reader.parsed(top, "keyderivation", KeyDerivation::parse),
        fixedsalt: reader
            .text(top, "fixedsalt")
            .map(|text| Setting::from_text(text.bytes().to_vec(), text)),
        padding: reader.parsed(top, "padding", Padding::parse),
        mac: reader.parsed(top, "mac", parse_mac),
        anyip: reader.yes_no(top, "anyip"),
    }
}

/// The IV that both sides know, with a word where none is used.
fn fixediv(reader: &mut Reader<'_>, top: &Section<'_>, iv: IvChoice) -> Option<Setting<Vec<u8>>> {
    let text = reader.text(top, "fixediv")?;
    if iv != IvChoice::No {
        let message = "'fixediv' has no effect: with this iv each knock has its own";
        reader.add(Problem::warning(text.place(), message));
    }
    Some(Setting::from_text(text.bytes().to_vec(), text))
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
        // The file that it stands in, which may be an included one.
        let exposed = secretfile::in_config(reader.syntax, insecure, &at);
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

/// "unknown field; did you mean …": what stands behind the semicolon is the way out.
fn with_way_out(error: &dyn std::error::Error, problem: impl FnOnce(&str) -> Problem) -> Problem {
    let message = error.to_string();
    match message.split_once("; ") {
        Some((what, help)) => problem(what).with_help(help),
        None => problem(&message),
    }
}

/// What was given, or the default of the table.
fn or_default(given: &Option<Setting<String>>, key: &'static str) -> Setting<String> {
    given.clone().unwrap_or_else(|| {
        let default = keys::find(Within::Top, key).map_or("", |key| key.default);
        Setting::given(default.to_owned())
    })
}
