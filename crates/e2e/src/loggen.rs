//! Logs made for measuring: a seeded mixture of what a busy host's syslog holds, with whole knocks in
//! it. The same seed makes the same bytes.

use std::io::{self, Write};
use std::net::{IpAddr, Ipv4Addr};

use knock_wire::{
    AddressRule, Cipher, CipherSpec, Codec, Field, Knock, PortSpan, Secret, Shape, Value,
};

use crate::{LabError, Result};

/// What a log shall be like.
#[derive(Clone, Copy, Debug)]
pub struct Mixture {
    /// Lines in all; at least as many as the knocks need.
    pub lines: u64,
    /// Of a hundred lines so many belong to knocks.
    pub percent_knocks: u64,
    /// Clients that knock, many of them at the same time.
    pub clients: u32,
    /// For the same log again.
    pub seed: u64,
}

/// The key of all knocks in it.
pub const KEY: &str = "open sesame";

/// The span of all knocks in it.
pub const SPAN: &str = "745-1000";

/// Writes the log and returns how many knocks are in it, all of them whole.
///
/// # Errors
/// When it cannot be written.
pub fn write(mixture: Mixture, out: &mut impl Write) -> Result<u64> {
    let codec = codec(KEY)?;
    let slots = codec.slots() as u64;
    let knocks = mixture.lines * mixture.percent_knocks / 100 / slots;
    let mut random = Random(mixture.seed | 1);
    let mut pending: Vec<Pending> = Vec::new();
    let mut clients = (0..mixture.clients).cycle();
    let mut started = 0;
    // Many clients knock at the same time, so that their lines interleave.
    let at_once = u64::from(mixture.clients).min(500);
    let mut knock_lines = knocks * slots;
    for line in 0..mixture.lines {
        let left = mixture.lines - line;
        if random.below(left) >= knock_lines {
            noise(&mut random, line, out)?;
            continue;
        }
        knock_lines -= 1;
        while started < knocks && (pending.len() as u64) < at_once {
            let number = clients.next().unwrap_or_default();
            if pending.iter().any(|pending| pending.client == client(number)) {
                break;
            }
            started += 1;
            let minutes = 1 + started % 200;
            pending.push(Pending::new(&codec, client(number), minutes)?);
        }
        let chosen = usize::try_from(random.below(pending.len() as u64)).unwrap_or_default();
        let Some(one) = pending.get_mut(chosen) else { continue };
        if let Some(port) = one.ports.pop() {
            packet(&mut random, line, one.client, port, out)?;
        }
        if one.ports.is_empty() {
            pending.swap_remove(chosen);
        }
    }
    Ok(knocks)
}

struct Pending {
    client: Ipv4Addr,
    /// Still to come, the next one last.
    ports: Vec<u16>,
}

impl Pending {
    fn new(codec: &Codec, client: Ipv4Addr, minutes: u64) -> Result<Self> {
        let mut ports = encode(codec, client.into(), minutes)?;
        ports.reverse();
        Ok(Self { client, ports })
    }
}

/// The ports of a classic knock for port 22 over [`SPAN`], in their sequence.
///
/// # Errors
/// When the key cannot be one.
pub fn ports(key: &str, client: IpAddr, time: u64) -> Result<Vec<u16>> {
    encode(&codec(key)?, client, time)
}

fn encode(codec: &Codec, client: IpAddr, time: u64) -> Result<Vec<u16>> {
    let mut knock = Knock::new();
    knock.set(Field::Ip, Value::Address(client));
    knock.set(Field::Port, Value::Number(22));
    knock.set(Field::Time, Value::Number(time));
    codec.encode(&knock, |_| ()).map_err(|error| LabError(error.to_string()))
}

fn codec(key: &str) -> Result<Codec> {
    let wrong = |error: &dyn std::fmt::Display| LabError(error.to_string());
    let shape = Shape::parse("IP,PORT,TIME,CHECKSUM").map_err(|error| wrong(&error))?;
    let span = PortSpan::parse(SPAN).map_err(|error| wrong(&error))?;
    let key = Secret::new(key.as_bytes().to_vec());
    let cipher = Cipher::new(&CipherSpec::classic(key)).map_err(|error| wrong(&error))?;
    Codec::new(shape, span, cipher, AddressRule::MustMatch).map_err(|error| wrong(&error))
}

fn client(number: u32) -> Ipv4Addr {
    Ipv4Addr::from(u32::from(Ipv4Addr::new(10, 0, 0, 1)) + number)
}

/// `Nov 21 03:12:45`, a hundred lines a second.
fn time(line: u64) -> String {
    let second = line / 100;
    format!(
        "Nov {:>2} {:02}:{:02}:{:02}",
        1 + second / 86_400 % 30,
        second / 3_600 % 24,
        second / 60 % 60,
        second % 60
    )
}

fn packet(
    random: &mut Random,
    line: u64,
    from: Ipv4Addr,
    port: u16,
    out: &mut impl Write,
) -> io::Result<()> {
    let (id, source) = (random.below(65_536), 32_768 + line % 28_000);
    writeln!(
        out,
        "{} gate kernel: [{:>5}.{:06}] portknock IN=eth0 OUT= MAC=1e:42:60:96:4a:1f:8a:92:9e:a6:fb:e3:08:00 \
         SRC={from} DST=192.0.2.1 LEN=60 TOS=0x00 PREC=0x00 TTL=64 ID={id} DF PROTO=TCP SPT={source} \
         DPT={port} WINDOW=64240 RES=0x00 SYN URGP=0 ",
        time(line),
        line / 100,
        line % 100 * 10_000
    )
}

/// What else the log of a host on the Internet holds: logins, mail, names, timers, web; and of twenty
/// lines one of a firewall that logs what it blocks.
fn noise(random: &mut Random, line: u64, out: &mut impl Write) -> io::Result<()> {
    let time = time(line);
    let stranger = Ipv4Addr::from(0xC633_6400_u32 + u32::try_from(random.below(256)).unwrap_or(0));
    let pid = 1000 + random.below(30_000);
    let port = 1024 + random.below(60_000);
    write!(out, "{time} gate ")?;
    match random.below(100) {
        0..15 => writeln!(
            out,
            "sshd[{pid}]: Failed password for invalid user {} from {stranger} port {port} ssh2",
            random.word()
        ),
        15..25 => writeln!(
            out,
            "sshd[{pid}]: pam_unix(sshd:auth): authentication failure; logname= uid=0 euid=0 tty=ssh ruser= \
             rhost={stranger}  user={}",
            random.word()
        ),
        25..40 => writeln!(
            out,
            "postfix/smtpd[{pid}]: NOQUEUE: reject: RCPT from unknown[{stranger}]: 554 5.7.1 Service unavailable; \
             Client host [{stranger}] blocked using zen.example.org; from=<{}@example.com> to=<{}@example.org> \
             proto=ESMTP helo=<mail{}.example.com>",
            random.word(),
            random.word(),
            random.below(100)
        ),
        40..50 => writeln!(
            out,
            "dovecot: imap-login: Disconnected (auth failed, 1 attempts in {} secs): user=<{}@example.org>, \
             method=PLAIN, rip={stranger}, lip=192.0.2.1, TLS, session=<{:x}{:x}>",
            random.below(30),
            random.word(),
            random.below(1 << 40),
            random.below(1 << 40)
        ),
        50..60 => writeln!(
            out,
            "named[{pid}]: client @0x{:x} {stranger}#{port} ({}.example.org): query (cache) '{}.example.org/A/IN' denied",
            random.below(1 << 44),
            random.word(),
            random.word()
        ),
        60..80 => writeln!(
            out,
            "nginx: 2026/11/21 03:22:42 [error] {pid}#{pid}: *{} open() \"/srv/www/{}.php\" failed (2: No such file or \
             directory), client: {stranger}, server: www.example.org, request: \"GET /{}.php HTTP/1.1\", host: \"192.0.2.1\"",
            random.below(1_000_000),
            random.word(),
            random.word()
        ),
        80..87 => writeln!(
            out,
            "CRON[{pid}]: (root) CMD (   cd / && run-parts --report /etc/cron.hourly && test -x /usr/sbin/anacron)"
        ),
        87..95 => writeln!(
            out,
            "systemd[1]: session-{}.scope: Deactivated successfully, consumed {}.{:03}s CPU time of user {}.",
            random.below(9_999),
            random.below(60),
            random.below(1_000),
            random.word()
        ),
        _ => blocked(random, line, stranger, out),
    }
}

/// A packet that the firewall blocked and that is nobody's knock.
fn blocked(random: &mut Random, line: u64, from: Ipv4Addr, out: &mut impl Write) -> io::Result<()> {
    write!(
        out,
        "kernel: [{:>5}.{:06}] [UFW BLOCK] IN=eth0 OUT= MAC=1e:42:60:96:4a:1f:8a:92:9e:a6:fb:e3:08:00 SRC={from} \
         DST=192.0.2.1 LEN=40 TOS=0x00 PREC=0x00 TTL={} ID={} ",
        line / 100,
        line % 100 * 10_000,
        40 + random.below(200),
        random.below(65_536)
    )?;
    let (source, port) = (1024 + random.below(60_000), 1 + random.below(65_535));
    match random.below(10) {
        0 => writeln!(
            out,
            "PROTO=ICMP TYPE=3 CODE=3 [SRC=10.0.0.1 DST=192.0.2.1 LEN=28 TOS=0x00 PREC=0x00 TTL=64 ID=16962 \
             PROTO=UDP SPT=40000 DPT={} LEN=8 ] ",
            745 + random.below(256)
        ),
        1..4 => writeln!(out, "PROTO=UDP SPT={source} DPT={port} LEN=20 "),
        _ => writeln!(out, "DF PROTO=TCP SPT={source} DPT={port} WINDOW=1024 RES=0x00 SYN URGP=0 "),
    }
}

/// A small generator of pseudo-random numbers (xorshift64*); nothing here needs a better one.
pub struct Random(pub u64);

impl Random {
    /// One below the limit.
    pub fn below(&mut self, limit: u64) -> u64 {
        self.0 ^= self.0 >> 12;
        self.0 ^= self.0 << 25;
        self.0 ^= self.0 >> 27;
        (self.0.wrapping_mul(0x2545_F491_4F6C_DD1D) >> 16) % limit.max(1)
    }
    /// A name as strangers try them.
    fn word(&mut self) -> &'static str {
        const WORDS: [&str; 8] =
            ["admin", "oracle", "test", "postgres", "info", "backup", "www-data", "ftpuser"];
        let nth = usize::try_from(self.below(8)).unwrap_or_default();
        WORDS.get(nth).copied().unwrap_or("root")
    }
}
