//! What systemd is told of a `Type=notify` service: ready, reloading, stopping, one line on how things
//! are, and that the loop still turns.
//!
//! Without systemd, and without a watchdog, nothing is sent and nothing wakes up. Nobody is waited for: what
//! systemd does not take at once is sent a second later.

use std::ffi::{OsStr, OsString};
use std::io;
use std::os::linux::net::SocketAddrExt as _;
use std::os::unix::ffi::OsStrExt as _;
use std::os::unix::net::{SocketAddr, UnixDatagram};
use std::time::Duration;

/// Until what was not taken is sent again.
const AGAIN: Duration = Duration::from_secs(1);

/// A source that says nothing for so long does not keep the service from being ready.
const PATIENCE: Duration = Duration::from_secs(10);

/// What there is to say, each about another thing: of two about one, only the later counts. In the order
/// in which it is sent where there is room for some of it only.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
enum About {
    /// Ready, reloading, stopping.
    State,
    /// One line on how things are.
    Status,
    /// That the loop turns.
    Life,
}

/// The line to systemd.
#[derive(Debug)]
pub(crate) struct Service {
    to: Option<(UnixDatagram, SocketAddr)>,
    /// What systemd has not taken yet.
    unsent: Vec<(About, String)>,
    send_again: Duration,
    /// The time between two signs of life, with a watchdog.
    every: Option<Duration>,
    next_sign: Duration,
    is_ready: bool,
    ready_by: Duration,
    status: String,
}

/// What the environment says of it.
#[derive(Debug, Default)]
pub(crate) struct Told {
    /// `NOTIFY_SOCKET`.
    pub(crate) socket: Option<OsString>,
    /// `WATCHDOG_USEC`, if it is meant for this process.
    pub(crate) watchdog: Option<Duration>,
}

impl Told {
    /// By the environment of this process.
    pub(crate) fn by_environment() -> Self {
        let number = |name| std::env::var(name).ok()?.parse::<u64>().ok();
        let is_ours = number("WATCHDOG_PID").is_none_or(|pid| pid == u64::from(std::process::id()));
        let watchdog = number("WATCHDOG_USEC").filter(|usec| is_ours && *usec > 0);
        Self {
            socket: std::env::var_os("NOTIFY_SOCKET").filter(|socket| !socket.is_empty()),
            watchdog: watchdog.map(Duration::from_micros),
        }
    }
}

impl Service {
    /// As the environment says.
    pub(crate) fn new(told: Told, uptime: Duration) -> Self {
        let to = told.socket.and_then(|socket| match connect(&socket) {
            Ok(to) => Some(to),
            Err(error) => {
                tracing::warn!("systemd cannot be told anything at {}: {error}", socket.display());
                None
            }
        });
        // Two signs fit into its patience, so that one may come late.
        let every = told.watchdog.filter(|_| to.is_some()).map(|limit| limit / 2);
        Self {
            ready_by: uptime + PATIENCE,
            to,
            unsent: Vec::new(),
            send_again: uptime,
            every,
            next_sign: uptime,
            is_ready: false,
            status: String::new(),
        }
    }

    /// The loop turns. `begun` tells whether every source reads, or has failed and is tried again.
    pub(crate) fn turn(&mut self, uptime: Duration, begun: impl FnOnce() -> bool) {
        if self.to.is_none() {
            return;
        }
        if !self.is_ready && (uptime >= self.ready_by || begun()) {
            self.is_ready = true;
            self.send(uptime, About::State, "READY=1");
        }
        if let Some(every) = self.every.filter(|_| uptime >= self.next_sign) {
            self.next_sign = uptime + every;
            self.send(uptime, About::Life, "WATCHDOG=1");
        }
        if !self.unsent.is_empty() && uptime >= self.send_again {
            self.send_unsent(uptime);
        }
    }

    /// When [`turn`](Self::turn) has something to do, whatever else happens.
    pub(crate) fn next_due(&self) -> Option<Duration> {
        self.to.as_ref()?;
        let ready = (!self.is_ready).then_some(self.ready_by);
        let again = (!self.unsent.is_empty()).then_some(self.send_again);
        [ready, again, self.every.map(|_| self.next_sign)].into_iter().flatten().min()
    }

    /// Whether [`status`](Self::status) is heard.
    pub(crate) fn listens(&self) -> bool {
        self.to.is_some()
    }

    /// How things are, in a line; sent only when it changes.
    pub(crate) fn status(&mut self, uptime: Duration, status: String) {
        if self.status != status {
            self.send(uptime, About::Status, &format!("STATUS={status}"));
            self.status = status;
        }
    }

    /// The configuration is read again, since this moment of the machine's monotonic clock.
    pub(crate) fn reloading(&mut self, uptime: Duration, monotonic: Duration) {
        let usec = monotonic.as_micros();
        self.send(uptime, About::State, &format!("RELOADING=1\nMONOTONIC_USEC={usec}"));
    }

    /// It has been read; the service is ready again.
    pub(crate) fn reloaded(&mut self, uptime: Duration) {
        if self.is_ready {
            self.send(uptime, About::State, "READY=1");
        }
    }

    /// The end has begun.
    pub(crate) fn stopping(&mut self, uptime: Duration) {
        self.unsent.clear();
        self.send(uptime, About::State, "STOPPING=1");
    }

    fn send(&mut self, uptime: Duration, about: About, words: &str) {
        if self.to.is_none() {
            return;
        }
        self.unsent.retain(|(other, _)| *other != about);
        let behind = self.unsent.partition_point(|(other, _)| *other < about);
        self.unsent.insert(behind, (about, words.to_owned()));
        self.send_unsent(uptime);
    }

    fn send_unsent(&mut self, uptime: Duration) {
        let Some((socket, address)) = &self.to else { return };
        let sent = self.unsent.iter().take_while(|(_, words)| {
            match socket.send_to_addr(words.as_bytes(), address) {
                Ok(_) => true,
                Err(error) => {
                    tracing::debug!("systemd was not told '{}': {error}", words.escape_debug());
                    false
                }
            }
        });
        let sent = sent.count();
        self.unsent.drain(..sent);
        self.send_again = uptime + AGAIN;
    }
}

/// A path, or with `@` in front a name that is in no file system.
fn connect(socket: &OsStr) -> io::Result<(UnixDatagram, SocketAddr)> {
    let address = match socket.as_bytes() {
        [b'@', name @ ..] => SocketAddr::from_abstract_name(name)?,
        _ => SocketAddr::from_pathname(socket)?,
    };
    let datagrams = UnixDatagram::unbound()?;
    datagrams.set_nonblocking(true)?;
    Ok((datagrams, address))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(seconds: u64) -> Duration {
        Duration::from_secs(seconds)
    }

    struct Systemd(UnixDatagram, tempfile::TempDir);

    impl Systemd {
        fn with(watchdog: Option<Duration>) -> (Self, Service) {
            let folder = tempfile::tempdir().unwrap();
            let path = folder.path().join("notify");
            let socket = UnixDatagram::bind(&path).unwrap();
            socket.set_nonblocking(true).unwrap();
            let told = Told { socket: Some(path.into()), watchdog };
            (Self(socket, folder), Service::new(told, at(0)))
        }

        fn heard(&self) -> Vec<String> {
            let mut heard = Vec::new();
            let mut block = [0; 500];
            while let Ok(length) = self.0.recv(&mut block) {
                heard.push(String::from_utf8(block[..length].to_vec()).unwrap());
            }
            heard
        }
    }

    #[test]
    fn it_is_ready_when_the_sources_are_and_says_so_once() {
        let (systemd, mut service) = Systemd::with(None);
        service.turn(at(0), || false);
        assert_eq!(systemd.heard(), [""; 0]);
        assert_eq!(service.next_due(), Some(PATIENCE));
        service.turn(at(1), || true);
        service.turn(at(2), || true);
        assert_eq!(systemd.heard(), ["READY=1"]);
        assert_eq!(service.next_due(), None, "without a watchdog nothing wakes up");
        for _ in 0..3 {
            service.status(at(3), "well".to_owned());
        }
        service.reloading(at(4), Duration::from_micros(77));
        service.reloaded(at(5));
        service.stopping(at(6));
        let heard = systemd.heard();
        assert_eq!(heard[0], "STATUS=well");
        assert_eq!(heard[1..], ["RELOADING=1\nMONOTONIC_USEC=77", "READY=1", "STOPPING=1"]);
    }

    #[test]
    fn a_source_that_says_nothing_does_not_hold_it_up_for_ever() {
        let (systemd, mut service) = Systemd::with(None);
        service.turn(PATIENCE, || false);
        assert_eq!(systemd.heard(), ["READY=1"]);
    }

    #[test]
    fn the_watchdog_hears_of_each_half_of_its_patience_in_which_the_loop_turned() {
        let (systemd, mut service) = Systemd::with(Some(at(20)));
        service.turn(at(0), || true);
        assert_eq!(systemd.heard(), ["READY=1", "WATCHDOG=1"]);
        assert_eq!(service.next_due(), Some(at(10)));
        service.turn(at(9), || true);
        assert_eq!(systemd.heard(), [""; 0]);
        service.turn(at(10), || true);
        assert_eq!(systemd.heard(), ["WATCHDOG=1"]);
        // A loop that hung says nothing for the time that it hung.
        service.turn(at(100), || true);
        assert_eq!(systemd.heard(), ["WATCHDOG=1"]);
        assert_eq!(service.next_due(), Some(at(110)));
    }

    #[test]
    fn what_systemd_does_not_take_is_sent_later_and_nobody_waits() {
        let (systemd, mut service) = Systemd::with(None);
        let Systemd(_, folder) = &systemd;
        let path = folder.path().join("notify");
        std::fs::rename(&path, folder.path().join("away")).unwrap();
        service.turn(at(0), || true);
        for nth in 0..100 {
            service.status(at(0), format!("{nth}"));
            service.reloading(at(0), Duration::ZERO);
        }
        assert_eq!(service.next_due(), Some(at(1)));
        service.reloaded(at(0));
        std::fs::rename(folder.path().join("away"), &path).unwrap();
        service.turn(at(1), || true);
        // Of each thing the latest: it would wait for READY=1 for ever.
        assert_eq!(systemd.heard(), ["READY=1", "STATUS=99"]);
    }

    /// A queue that somebody has filled, and takes from one by one.
    #[test]
    fn a_sign_of_life_takes_no_place_from_other_words() {
        let (systemd, mut service) = Systemd::with(Some(at(2)));
        service.turn(at(0), || true);
        assert_eq!(systemd.heard(), ["READY=1", "WATCHDOG=1"]);
        let (socket, address) = service.to.as_ref().unwrap();
        while socket.send_to_addr(b"others", address).is_ok() {}
        service.turn(at(1), || true);
        service.status(at(1), "well".to_owned());
        service.reloading(at(1), Duration::ZERO);
        for second in 2..100 {
            service.turn(at(second), || true);
            assert_eq!(service.unsent.len(), 3, "of each the latest");
        }
        let mut heard = Vec::new();
        let mut block = [0; 500];
        for second in 100.. {
            let length = systemd.0.recv(&mut block).unwrap();
            heard.push(String::from_utf8(block[..length].to_vec()).unwrap());
            if heard.last().is_some_and(|words| words == "WATCHDOG=1") {
                break;
            }
            service.turn(at(second), || true);
        }
        heard.retain(|words| words != "others");
        assert_eq!(heard, ["RELOADING=1\nMONOTONIC_USEC=0", "STATUS=well", "WATCHDOG=1"]);
    }

    #[test]
    fn without_systemd_nothing_is_due() {
        let mut service = Service::new(Told::default(), at(0));
        service.turn(at(100), || true);
        assert_eq!(service.next_due(), None);
        assert!(!service.listens());
    }
}
