//! The client that knocks. Crafts no packets: ordinary connections from the system's own stack.
//!
//! What becomes of a call: `args` reads the command line, `settings` joins it with the config
//! file into a `Job`, `target` and `address` find both ends of the way, `knock_wire` turns the
//! fields into ports, and `send` knocks; `logmode` writes log lines instead. `wait` then looks
//! whether a port has opened, and at last the user's command takes the client's place.

#![forbid(unsafe_code)]

mod address;
mod args;
mod clock;
mod connect;
mod error;
mod logmode;
pub mod manual;
mod send;
mod settings;
mod target;
mod then;
mod voice;
mod wait;

use std::ffi::OsString;
use std::net::{IpAddr, SocketAddr};
use std::process::ExitCode;

use knock_wire::{Codec, Field, Knock, Value};

pub use args::command;

use crate::args::{Args, Call};
use crate::error::ClientError;
use crate::settings::{Job, Way};
use crate::voice::Voice;

/// Runs the client with the words of a command line, the program's name first.
pub fn main_with(args: impl IntoIterator<Item = OsString>) -> ExitCode {
    let args = match args::parse(args) {
        Call::Knock(args) => args,
        Call::Manual => return manual::show(),
        Call::Done(code) => return code,
    };
    let voice = Voice::new(args.options.quiet, args.options.debug);
    match run(*args, voice) {
        Ok(code) => code,
        Err(error) => {
            voice.error(&error);
            ExitCode::from(error.code())
        }
    }
}

fn run(args: Args, voice: Voice) -> Result<ExitCode, ClientError> {
    let job = settings::job(args, voice)?;
    let remote = match &job.remote {
        Some(host) => Some(target::resolve(host, job.family())?),
        None => None,
    };
    let knock = knock_for(&job, remote)?;
    let ports = encode(&job.codec, &knock)?;
    tell(&job, &knock, &ports, voice);

    match &job.way {
        Way::Print => {
            voice.print(&join(&ports))?;
            return Ok(ExitCode::SUCCESS);
        }
        Way::Append { log, format } => {
            // The client that the lines tell of is the one that the knock speaks for.
            let client = own_address(&job, remote)?;
            logmode::append(log, format, client, remote.map(|to| to.ip()), &ports)?;
        }
        Way::Send => {
            let remote = remote.ok_or(ClientError::NoRemote)?;
            knock_at(&job, remote, &knock, ports, voice)?;
        }
    }
    match job.then {
        Some(command) => Err(then::replace_with(command)),
        None => Ok(ExitCode::SUCCESS),
    }
}

/// Knocks, and where a port is waited for, knocks again until it opens.
fn knock_at(
    job: &Job,
    remote: SocketAddr,
    knock: &Knock,
    mut ports: Vec<u16>,
    voice: Voice,
) -> Result<(), ClientError> {
    // Without a way there all packets would be lost one by one; so this is said before.
    let own = address::towards(remote)?;
    let from = address::to_bind(job.client, own);
    let Some(wait) = &job.wait else {
        return send::knock(from, remote, &ports, job.delay);
    };
    let mut door = remote;
    door.set_port(wait.port);
    for attempt in 1..=wait.tries {
        // Where each knock has randomness of its own each is accepted once: the first one may have
        // arrived, and sent again it would be a replay.
        if attempt > 1 && job.codec.varies() {
            ports = encode(&job.codec, knock)?;
            tell_ports(job, &ports, voice);
        }
        send::knock(from, remote, &ports, job.delay)?;
        voice.debug(&format!(
            "knock {attempt} of {} sent; waiting for port {}",
            wait.tries, wait.port
        ));
        if wait::until_open(from, door, wait.timeout)? == wait::Outcome::Open {
            voice.debug(&format!("port {} is open", wait.port));
            return Ok(());
        }
    }
    Err(ClientError::StillClosed { port: wait.port, tries: wait.tries, each: wait.timeout })
}

/// The fields of the knock, with values for all but the checksum.
fn knock_for(job: &Job, remote: Option<SocketAddr>) -> Result<Knock, ClientError> {
    let mut knock = Knock::new();
    for field in job.codec.shape().fields() {
        let value = match field {
            Field::Ip | Field::Ip6 => Value::Address(own_address(job, remote)?),
            Field::Port | Field::Port16 => Value::Number(job.port.into()),
            Field::Time => Value::Number(job.time.into()),
            Field::Flag(number) => match job.flags.get(usize::from(*number)).copied().flatten() {
                Some(value) => Value::Number(value.into()),
                None => return Err(ClientError::NoFlag { field: *field }),
            },
            Field::Checksum => continue,
        };
        knock.set(*field, value);
    }
    Ok(knock)
}

/// The address that the knock speaks for.
fn own_address(job: &Job, remote: Option<SocketAddr>) -> Result<IpAddr, ClientError> {
    match (job.client, remote) {
        (Some(client), _) => Ok(client),
        (None, Some(remote)) => address::towards(remote),
        (None, None) => Err(ClientError::NoRemote),
    }
}

/// What `-debug` shows. Neither key nor ciphertext is told.
fn tell(job: &Job, knock: &Knock, ports: &[u16], voice: Voice) {
    let fields: Vec<String> =
        knock.iter().map(|(field, value)| format!("{field}={value}")).collect();
    voice.debug(&format!("fields: {}", fields.join(" ")));
    let (plain, wire) = (job.codec.shape().bytes(), job.codec.wire_bytes());
    voice.debug(&format!("plaintext: {plain} bytes; on the wire: {wire}"));
    voice.debug(&format!("cipher: {}", job.codec.cipher()));
    tell_ports(job, ports, voice);
}

fn tell_ports(job: &Job, ports: &[u16], voice: Voice) {
    voice.debug(&format!("ports: {} ({} of {})", join(ports), ports.len(), job.codec.span()));
}

fn join(ports: &[u16]) -> String {
    ports.iter().map(u16::to_string).collect::<Vec<_>>().join(",")
}

/// The ports of the knock. Without randomness there are none, rather than some that anybody could
/// foresee.
fn encode(codec: &Codec, knock: &Knock) -> Result<Vec<u16>, ClientError> {
    let mut drawn = Ok(());
    let ports = codec.encode(knock, |bytes| drawn = random(bytes));
    drawn?;
    ports.map_err(ClientError::Knock)
}

/// Fills it from the kernel.
fn random(bytes: &mut [u8]) -> Result<(), ClientError> {
    use std::io::Read as _;
    std::fs::File::open("/dev/urandom")
        .and_then(|mut source| source.read_exact(bytes))
        .map_err(ClientError::NoRandomness)
}
