//! Who knocks: many clients at the same time, all the time, as lines in a log that is rotated now and
//! then. Counts what it wrote.

use std::collections::BTreeMap;
use std::fs::{self, File, OpenOptions};
use std::io::Write;
use std::net::{IpAddr, Ipv4Addr};
use std::path::PathBuf;
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};
use std::thread;
use std::time::{Duration, SystemTime};

use chrono::{DateTime, Utc};

use super::ground::{LONG, SECONDS, SHUT};
use super::now;
use crate::loggen::{KEY, Random, ports};
use crate::{LabError, Result};

/// So many clients. Every third of them sends closing knocks as well.
const CLIENTS: u8 = 24;
/// So many knock at the same time, at most.
const AT_ONCE: usize = 6;
/// Whose knocks mark the end of what was written.
const LAST: u8 = 250;

/// Knocks that were written whole.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Knocks {
    pub(super) all: u64,
    pub(super) shut: u64,
    /// The TIME of the last one, and a moment before its end was written.
    pub(super) last: Option<(u64, SystemTime)>,
}

/// Whether a client ever closes what it opened, before its time.
pub(super) fn shuts(client: IpAddr) -> bool {
    match client {
        IpAddr::V4(client) => client.octets()[3].is_multiple_of(3),
        IpAddr::V6(_) => false,
    }
}

pub(super) struct Knocker {
    shared: Arc<Shared>,
}

#[derive(Default)]
struct Shared {
    state: Mutex<State>,
    news: Condvar,
}

#[derive(Default)]
struct State {
    is_paused: bool,
    /// What the thread is told, and what it says to it.
    is_resting: bool,
    has_ended: bool,
    written: BTreeMap<IpAddr, Knocks>,
    failure: Option<String>,
    log: Option<Log>,
}

struct Log {
    path: PathBuf,
    file: File,
    source_port: u16,
    rotated: u32,
}

impl Log {
    fn aside(&self, number: u32) -> PathBuf {
        let mut aside = self.path.clone().into_os_string();
        aside.push(format!(".{number}"));
        aside.into()
    }
}

impl Knocker {
    /// Waits to be told to go on.
    pub(super) fn start(path: PathBuf, seed: u64) -> Result<Self> {
        let file = OpenOptions::new().create(true).append(true).open(&path)?;
        let shared = Arc::new(Shared::default());
        shared.lock().log = Some(Log { path, file, source_port: 20_000, rotated: 0 });
        shared.lock().is_paused = true;
        let its = Arc::clone(&shared);
        thread::Builder::new().name("knocker".into()).spawn(move || {
            if let Err(error) = knock(&its, Random(seed.wrapping_mul(2) | 1)) {
                its.lock().failure = Some(error.to_string());
            }
            its.lock().is_resting = true;
            its.news.notify_all();
        })?;
        Ok(Self { shared })
    }

    /// Returns when all knocks that were begun have been written to their end.
    pub(super) fn pause(&self) {
        let mut state = self.shared.lock();
        state.is_paused = true;
        while !state.is_resting {
            state = self.shared.news.wait(state).unwrap_or_else(PoisonError::into_inner);
        }
    }

    pub(super) fn go_on(&self) {
        self.shared.lock().is_paused = false;
        self.shared.news.notify_all();
    }

    /// One more knock, behind all others, by a client that nobody else is.
    pub(super) fn last_knock(&self) -> Result<IpAddr> {
        let mut state = self.shared.lock();
        if let Some(failure) = state.failure.take() {
            return Err(LabError(format!("the knocker: {failure}")));
        }
        let client = client(LAST);
        state.knock(client, SHUT)?;
        Ok(client.into())
    }

    /// With nobody else knocking: each long lease is made a short one or is closed.
    pub(super) fn end_long_ones(&self) -> Result<()> {
        let mut state = self.shared.lock();
        for number in 1..=CLIENTS {
            let client = client(number);
            let knocks = state.written.get(&IpAddr::from(client)).copied().unwrap_or_default();
            if knocks.last.is_some_and(|(time, _)| time == LONG) {
                state.knock(client, if shuts(client.into()) { SHUT } else { 1 })?;
            }
        }
        Ok(())
    }

    /// All has been read: the log begins anew, and of the old ones the newest is kept. A daemon that
    /// lives for half a second shall not spend it on what was.
    pub(super) fn begin_anew(&self) -> Result<()> {
        let mut state = self.shared.lock();
        state.rotate()?;
        let log = state.log.as_ref().ok_or_else(|| LabError("there is no log".into()))?;
        for number in 1..log.rotated {
            match fs::remove_file(log.aside(number)) {
                Err(error) if error.kind() != std::io::ErrorKind::NotFound => {
                    return Err(error.into());
                }
                Ok(()) | Err(_) => {}
            }
        }
        Ok(())
    }

    pub(super) fn written(&self) -> BTreeMap<IpAddr, Knocks> {
        self.shared.lock().written.clone()
    }
}

impl Drop for Knocker {
    fn drop(&mut self) {
        self.shared.lock().has_ended = true;
        self.shared.news.notify_all();
    }
}

impl Shared {
    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// `None` when it is over.
    fn wait(&self, is_idle: bool) -> Option<MutexGuard<'_, State>> {
        let mut state = self.lock();
        while state.is_paused && is_idle && !state.has_ended {
            state.is_resting = true;
            self.news.notify_all();
            state = self.news.wait(state).unwrap_or_else(PoisonError::into_inner);
        }
        state.is_resting = false;
        (!state.has_ended).then_some(state)
    }
}

impl State {
    /// One line, sometimes in two writes.
    fn hit(&mut self, client: Ipv4Addr, port: u16) -> Result<()> {
        let log = self.log.as_mut().ok_or_else(|| LabError("there is no log".into()))?;
        log.source_port = log.source_port.checked_add(1).unwrap_or(20_000);
        let source = log.source_port;
        let line = format!(
            "{} vm kernel: portknock IN=eth0 OUT= MAC= SRC={client} DST=192.0.2.1 LEN=60 TOS=0x00 \
             PREC=0x00 TTL=64 ID=58454 DF PROTO=TCP SPT={source} DPT={port} WINDOW=64240 RES=0x00 SYN \
             URGP=0 \n",
            DateTime::<Utc>::from(now()).format("%Y-%m-%dT%H:%M:%S%.6f%:z")
        );
        let (first, rest) = line.split_at(usize::from(source) % line.len());
        log.file.write_all(first.as_bytes())?;
        log.file.write_all(rest.as_bytes())?;
        Ok(())
    }

    /// A whole one, with nobody's lines between.
    fn knock(&mut self, client: Ipv4Addr, time: u64) -> Result<()> {
        let begun = now();
        for port in ports(KEY, client.into(), time)? {
            self.hit(client, port)?;
        }
        self.wrote(client, time, begun);
        Ok(())
    }

    fn wrote(&mut self, client: Ipv4Addr, time: u64, before: SystemTime) {
        let knocks = self.written.entry(client.into()).or_default();
        knocks.all += 1;
        knocks.shut += u64::from(time == SHUT);
        knocks.last = Some((time, before));
    }

    /// As logrotate does with `create`.
    fn rotate(&mut self) -> Result<()> {
        let log = self.log.as_mut().ok_or_else(|| LabError("there is no log".into()))?;
        log.rotated += 1;
        fs::rename(&log.path, log.aside(log.rotated))?;
        log.file = OpenOptions::new().create(true).append(true).open(&log.path)?;
        Ok(())
    }
}

/// A knock that is being written.
struct Pending {
    client: Ipv4Addr,
    time: u64,
    /// Still to come, the next one last.
    ports: Vec<u16>,
}

fn knock(shared: &Shared, mut random: Random) -> Result<()> {
    let mut pending: Vec<Pending> = Vec::new();
    loop {
        let Some(mut state) = shared.wait(pending.is_empty()) else { return Ok(()) };
        if pending.len() < AT_ONCE && !state.is_paused {
            pending.extend(another(&pending, &mut random)?);
        }
        let chosen = usize::try_from(random.below(pending.len() as u64)).unwrap_or_default();
        if let Some(one) = pending.get_mut(chosen) {
            let before = now();
            if let Some(port) = one.ports.pop() {
                state.hit(one.client, port)?;
            }
            if one.ports.is_empty() {
                state.wrote(one.client, one.time, before);
                pending.swap_remove(chosen);
            }
        }
        if random.below(1_500) == 0 {
            state.rotate()?;
        }
        drop(state);
        thread::sleep(Duration::from_micros(random.below(16_000)));
    }
}

/// A knock of a client that is not knocking.
fn another(pending: &[Pending], random: &mut Random) -> Result<Option<Pending>> {
    let number = 1 + u8::try_from(random.below(CLIENTS.into())).unwrap_or_default();
    let client = client(number);
    if pending.iter().any(|one| one.client == client) {
        return Ok(None);
    }
    let time = if shuts(client.into()) && random.below(3) == 0 {
        SHUT
    } else if random.below(4) == 0 {
        LONG
    } else {
        let nth = usize::try_from(random.below(SECONDS.len() as u64)).unwrap_or_default();
        SECONDS.get(nth).copied().unwrap_or(1)
    };
    let mut ports = ports(KEY, client.into(), time)?;
    ports.reverse();
    Ok(Some(Pending { client, time, ports }))
}

fn client(number: u8) -> Ipv4Addr {
    Ipv4Addr::new(198, 51, 100, number)
}
