//! What to do: the command line joined with the config file, each with its defaults.
//! Sends nothing, resolves no name.

use std::env;
use std::ffi::OsString;
use std::net::IpAddr;
use std::os::unix::ffi::OsStringExt as _;
use std::path::{Path, PathBuf};
use std::time::Duration;

use knock_config::report::Sources;
use knock_config::{
    ClientSettings, Program, ReadOptions, Reading, Setting, Severity, SourceText, find,
    find_format, read_client, read_keyfile,
};
use knock_formats::LogFormat;
use knock_wire::{Codec, Field, Secret};

use crate::args::{Args, KEY_VARIABLE, Options};
use crate::error::ClientError;
use crate::target::Family;
use crate::voice::Voice;

const DELAY: Duration = Duration::from_millis(50);
const PORT: u16 = 22;
const TRIES: u32 = 3;
const TIMEOUT: Duration = Duration::from_secs(5);
const FILE_FORMAT: &str = "iptables";

/// All that a call needs to know.
#[derive(Debug)]
pub(crate) struct Job {
    pub(crate) remote: Option<String>,
    pub(crate) client: Option<IpAddr>,
    pub(crate) port: u16,
    pub(crate) time: u8,
    pub(crate) flags: [Option<u8>; 10],
    pub(crate) codec: Codec,
    pub(crate) delay: Duration,
    pub(crate) wait: Option<Wait>,
    pub(crate) way: Way,
    pub(crate) then: Option<Vec<OsString>>,
    family: Option<Family>,
}

/// The port that shall open, and how long that may take.
#[derive(Debug)]
pub(crate) struct Wait {
    pub(crate) port: u16,
    pub(crate) tries: u32,
    pub(crate) timeout: Duration,
}

/// What is done with the ports of the knock.
#[derive(Debug)]
pub(crate) enum Way {
    /// They are knocked on.
    Send,
    /// They are printed.
    Print,
    /// A log gets the lines that a firewall would write of them.
    Append { log: PathBuf, format: Box<LogFormat> },
}

impl Job {
    /// The addresses of the remote host that will do.
    pub(crate) fn family(&self) -> Family {
        let holds_v4 = self.codec.shape().fields().contains(&Field::Ip);
        match self.family {
            Some(family) => family,
            None if holds_v4 => Family::PreferV4,
            None => Family::Any,
        }
    }
}

/// Reads the config file and puts the command line above it.
pub(crate) fn job(args: Args, voice: Voice) -> Result<Job, ClientError> {
    let Args { options, flags } = args;
    let mut reading = ReadOptions::default();
    reading.insecure = options.insecure;
    let config = config_file(&options);
    let Config { mut settings, mut sources } = read(config.as_deref(), &reading, voice)?;

    // The key of the environment or the command line first: it may be what the file lacks.
    let judge = |problems: &[knock_config::Problem], sources: &mut Sources| {
        sources.load(problems);
        voice.problems(problems, sources);
        let mistakes: Vec<_> =
            problems.iter().filter(|problem| problem.severity == Severity::Error).collect();
        let in_file = mistakes.iter().any(|problem| problem.at.is_some());
        ClientError::Config {
            mistakes: mistakes.len(),
            path: if in_file { config.clone() } else { None },
        }
    };
    if let Some(Reading { value, problems }) = key(&options, voice) {
        let error = judge(&problems, &mut sources);
        settings.wire.key = Some(Setting::given(value.ok_or(error)?));
    }
    let wire = &mut settings.wire;
    put(&mut wire.knock, options.knock);
    put(&mut wire.portspan, options.portspan);
    put(&mut wire.encrypt, options.encrypt);
    put(&mut wire.cipher, options.cipher);
    put(&mut wire.iv, options.iv);
    put(&mut wire.fixediv, options.fixediv.map(OsString::into_vec));
    put(&mut wire.keyderivation, options.keyderivation);
    put(&mut wire.fixedsalt, options.fixedsalt.map(OsString::into_vec));
    put(&mut wire.padding, options.padding);
    put(&mut wire.mac, options.mac);
    let Reading { value, problems } = wire.codec();
    let error = judge(&problems, &mut sources);
    let codec = value.ok_or(error)?;

    let way = if options.test {
        Way::Print
    } else if options.logtofile || settings.logtofile == Some(true) {
        let log = options.logfile.or(settings.logfile).ok_or(ClientError::NoLogfile)?;
        let name = options.fileformat.or(settings.fileformat);
        let name = name.as_deref().unwrap_or(FILE_FORMAT);
        let Reading { value, problems } =
            find_format(name, &settings.own_formats, config.as_deref(), &reading);
        let error = judge(&problems, &mut sources);
        Way::Append { log, format: Box::new(value.ok_or(error)?) }
    } else {
        Way::Send
    };
    let wait = options.wait.or(settings.wait).map(|port| Wait {
        port,
        tries: options.tries.or(settings.tries.map(saturated)).unwrap_or(TRIES),
        timeout: options.timeout.unwrap_or(TIMEOUT),
    });
    let mut both = flags;
    for (flag, from_file) in both.iter_mut().zip(settings.flags) {
        *flag = flag.or(from_file);
    }
    Ok(Job {
        remote: options.remote.or(settings.remote),
        client: options.client.or(settings.client),
        port: options.port.or(settings.port).unwrap_or(PORT),
        time: options.time.or(settings.time).unwrap_or(0),
        flags: both,
        codec,
        delay: options.delay.or(settings.delay).unwrap_or(DELAY),
        wait,
        way,
        then: (!options.then.is_empty()).then_some(options.then),
        family: match (options.ipv4, options.ipv6) {
            (true, _) => Some(Family::V4),
            (false, true) => Some(Family::V6),
            (false, false) => None,
        },
    })
}

/// The file that was named, or the first that exists where one is looked for. None is fine: the
/// command line may say everything.
fn config_file(options: &Options) -> Option<PathBuf> {
    if let Some(path) = &options.conf {
        return Some(path.clone());
    }
    let home = env::home_dir();
    let program = env::current_exe().ok();
    let folder = program.as_deref().and_then(Path::parent);
    find(Program::Client, home.as_deref(), folder, Path::is_file).ok()
}

struct Config {
    settings: ClientSettings,
    sources: Sources,
}

fn read(path: Option<&Path>, options: &ReadOptions, voice: Voice) -> Result<Config, ClientError> {
    let Some(path) = path else {
        return Ok(Config { settings: ClientSettings::default(), sources: Sources::default() });
    };
    let source = SourceText::read(path)
        .map_err(|error| ClientError::ConfigUnreadable { path: path.to_path_buf(), error })?;
    voice.debug(&format!("config: {}", path.display()));
    let Reading { value, problems } = read_client(&source, options);
    let mut sources = Sources::of(&source);
    sources.load(&problems);
    voice.problems(&problems, &sources);
    let mistakes = problems.iter().filter(|problem| problem.severity == Severity::Error).count();
    let error = ClientError::Config { mistakes, path: Some(path.to_path_buf()) };
    Ok(Config { settings: value.ok_or(error)?, sources })
}

/// The key where it does not come from the config: option, file, environment, in this order.
fn key(options: &Options, voice: Voice) -> Option<Reading<Secret>> {
    if let Some(key) = &options.key {
        voice.warn(
            "the key is on the command line, where other users of this host can see it (ps); use \
             -keyfile, the environment variable KNOCK_KEY or the config file",
        );
        return Some(Reading::new(Secret::new(key.clone().into_vec()), Vec::new()));
    }
    if let Some(path) = &options.keyfile {
        return Some(read_keyfile(path, options.insecure));
    }
    let key = env::var_os(KEY_VARIABLE)?;
    Some(Reading::new(Secret::new(key.into_vec()), Vec::new()))
}

fn put<T>(setting: &mut Option<Setting<T>>, given: Option<T>) {
    if let Some(value) = given {
        *setting = Some(Setting::given(value));
    }
}

fn saturated(tries: usize) -> u32 {
    u32::try_from(tries).unwrap_or(u32::MAX)
}

#[cfg(test)]
mod tests {
    use knock_config::keys::{self, Within};

    use super::*;

    #[test]
    fn the_table_of_keys_names_the_defaults() {
        let milliseconds = DELAY.as_millis().to_string();
        for (key, default) in [
            ("delay", milliseconds.as_str()),
            ("port", &PORT.to_string()),
            ("tries", &TRIES.to_string()),
            ("fileformat", FILE_FORMAT),
        ] {
            assert_eq!(keys::find(Within::Top, key).unwrap().default, default, "{key}");
        }
    }
}
