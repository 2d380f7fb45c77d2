//! One client's side of a measurement: hits, one after the other, and from the last of them on
//! attempts to connect, until one succeeds.

use std::io::Write;
use std::net::{IpAddr, SocketAddr};
use std::os::fd::OwnedFd;
use std::thread;
use std::time::Duration;

use rustix::event::{PollFd, PollFlags, Timespec, poll};

use crate::loggen::Random;
use crate::probe::start_connecting;
use crate::process::now;

/// How long an attempt is waited for. The answer comes within the call that sends the SYN, nearly
/// always; a SYN that was dropped gets none, and the next attempt is another connection: the kernel
/// would send this one again only after a second.
const ATTEMPT: Timespec = Timespec { tv_sec: 0, tv_nsec: 50_000 };

/// An opening that has not come until then is a failure.
pub const MISSED: Duration = Duration::from_secs(3);

/// How hits get to the server.
pub enum Gun<'a> {
    /// As SYNs of the kernel.
    Packets,
    /// As lines that the marksman writes himself.
    Lines(&'a mut dyn Write),
}

/// Who knocks at whom. For a thread in the client's network.
#[derive(Clone, Copy, Debug)]
pub struct Marksman {
    /// The client.
    pub from: IpAddr,
    /// The server.
    pub to: IpAddr,
}

impl Marksman {
    /// Hits the ports in their sequence, with pauses that keep no time and of so many microseconds
    /// at most, half of it on average.
    pub fn shoot(
        self,
        gun: &mut Gun<'_>,
        ports: &[u16],
        pause: u64,
        random: &mut Random,
    ) -> std::io::Result<()> {
        for port in ports {
            self.hit(gun, *port, random)?;
            thread::sleep(Duration::from_micros(random.below(pause)));
        }
        Ok(())
    }

    /// Hits one port.
    pub fn hit(self, gun: &mut Gun<'_>, port: u16, random: &mut Random) -> std::io::Result<()> {
        match gun {
            // Closed at once, so that the kernel does not send it again.
            Gun::Packets => {
                start_connecting(self.from, SocketAddr::new(self.to, port)).map(drop)?
            }
            Gun::Lines(log) => log.write_all(self.line(port, random).as_bytes())?,
        }
        Ok(())
    }

    /// The time from before the last hit, which `trigger` is, to the first connection, if one came.
    pub fn time(
        self,
        trigger: impl FnOnce() -> std::io::Result<()>,
    ) -> std::io::Result<Option<Duration>> {
        let began = now();
        trigger()?;
        while began.elapsed() < MISSED {
            if self.gets_in() {
                return Ok(Some(began.elapsed()));
            }
        }
        Ok(None)
    }

    /// Waits until nothing answers any more.
    #[must_use]
    pub fn is_shut_out(self) -> bool {
        let began = now();
        while began.elapsed() < MISSED {
            if (0..20).all(|_| !self.gets_in()) {
                return true;
            }
        }
        false
    }

    /// Whether one attempt succeeds.
    #[must_use]
    pub fn gets_in(self) -> bool {
        start_connecting(self.from, SocketAddr::new(self.to, 22))
            .is_ok_and(|socket| answered(&socket))
    }

    fn line(self, port: u16, random: &mut Random) -> String {
        let (from, to, source) = (self.from, self.to, 32_768 + random.below(28_000));
        format!(
            "Nov 21 03:22:42 gate kernel: portknock IN=eth0 OUT= MAC=1e:42:60:96:4a:1f:8a:92:9e:a6:fb:e3:08:00 \
             SRC={from} DST={to} LEN=60 TOS=0x00 PREC=0x00 TTL=64 ID=1 DF PROTO=TCP SPT={source} DPT={port} \
             WINDOW=64240 RES=0x00 SYN URGP=0 \n"
        )
    }
}

fn answered(socket: &OwnedFd) -> bool {
    let mut wait = [PollFd::new(socket, PollFlags::OUT)];
    let ready = poll(&mut wait, Some(&ATTEMPT)).is_ok_and(|ready| ready > 0);
    let open = ready && matches!(rustix::net::sockopt::socket_error(socket), Ok(Ok(())));
    if open {
        // Reset instead of closed: no connection stays behind to time out.
        let _closed = rustix::net::sockopt::set_socket_linger(socket, Some(Duration::ZERO));
    }
    open
}
