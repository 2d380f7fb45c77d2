//! Every cipher, header, key derivation and padding between our programs and Perl's Crypt::CBC, with
//! the ciphers as Debian packages them, and `openssl enc`: each reads what the other wrote.
//!
//! Knocks go as ports and as log lines, and one as packets.

#![allow(clippy::unwrap_used, reason = "in a test a panic is the report")]

mod common;

use std::fmt::Write as _;
use std::io::Write as _;
use std::path::Path;
use std::process::{Command, Stdio};

use common::{ACTIONS, Log, Setup, key_of};
use knock_e2e::firewall::Backend;
use knock_e2e::{probe, programs};

const KEY: &str = "open-sesame";
const FIXEDIV: &str = "76543210";
const FIXEDSALT: &str = "saltSALT";
const CLIENT: &str = "198.51.100.7";
const FIRST: u16 = 745;

/// Name, bytes of a block, bytes of a key.
const CIPHERS: [(&str, usize, usize); 10] = [
    ("Blowfish", 8, 56),
    ("DES", 8, 8),
    ("DES_EDE3", 8, 24),
    ("IDEA", 8, 16),
    ("CAST5", 8, 16),
    ("Twofish", 16, 16),
    ("Twofish256", 16, 32),
    ("Rijndael", 16, 32),
    ("Serpent", 16, 32),
    ("Camellia", 16, 32),
];

/// Formats with their plaintext for [`CLIENT`], port 22, time 15 and flags 1, 2, 3, …: 7, 8, 16 and
/// 17 bytes, so that the last block is sometimes full and sometimes not.
fn plaintexts() -> [(String, Vec<u8>); 4] {
    let text = |port: &[u8], flags: u8| {
        let name = if port.len() == 2 { "PORT16" } else { "PORT" };
        let listed: String = (1..=flags).fold(String::new(), |mut listed, flag| {
            write!(listed, "FLAG{flag},").unwrap();
            listed
        });
        let mut plain = vec![198, 51, 100, 7];
        plain.extend(port);
        plain.push(15);
        plain.extend(1..=flags);
        let sum: u32 = plain.iter().map(|byte| u32::from(*byte)).sum();
        plain.push(u8::try_from(sum % 255).unwrap());
        (format!("IP,{name},TIME,{listed}CHECKSUM"), plain)
    };
    [text(&[22], 0), text(&[0, 22], 0), text(&[0, 22], 8), text(&[0, 22], 9)]
}

/// One way to encipher one text.
struct Case {
    cipher: &'static str,
    iv: &'static str,
    derivation: &'static str,
    padding: &'static str,
    key: String,
    knock: String,
    plain: Vec<u8>,
}

impl Case {
    /// The lines of a config of ours.
    fn config(&self) -> String {
        let Self { cipher, iv, derivation, padding, key, knock, .. } = self;
        let mut lines = format!(
            "cipher = {cipher}\niv = {iv}\nkeyderivation = {derivation}\npadding = {padding}\nknock \
             = {knock}\nkey = {key}\nportspan = {FIRST}-{}\n",
            FIRST + 255
        );
        if *iv == "no" {
            writeln!(lines, "fixediv = {FIXEDIV}").unwrap();
        }
        if !matches!(*derivation, "md5chain" | "literal") && *iv != "salt" {
            writeln!(lines, "fixedsalt = {FIXEDSALT}").unwrap();
        }
        lines
    }

    fn header_bytes(&self) -> usize {
        let (_, block, _) = CIPHERS.into_iter().find(|(name, ..)| *name == self.cipher).unwrap();
        match self.iv {
            "no" => 0,
            "bare" => block,
            _ => 16,
        }
    }

    /// What `cbc.pl` is asked.
    fn question(&self, what: &str, text: &[u8]) -> String {
        let Self { cipher, iv, derivation, padding, .. } = self;
        format!("{what} {cipher} {iv} {derivation} {padding} {}\n", hex(text))
    }
}

/// Every cipher with every header and derivation, and each padding with blocks of both lengths.
fn cases() -> Vec<Case> {
    let mut cases = Vec::new();
    for (place, (cipher, block, key_bytes)) in CIPHERS.into_iter().enumerate() {
        let mut add = |iv, derivation, padding, (knock, plain): &(String, Vec<u8>)| {
            let key = match derivation {
                "literal" => KEY.bytes().cycle().take(key_bytes).map(char::from).collect(),
                _ => KEY.to_owned(),
            };
            let (knock, plain) = (knock.clone(), plain.clone());
            cases.push(Case { cipher, iv, derivation, padding, key, knock, plain });
        };
        let texts = plaintexts();
        for iv in ["no", "yes", "salt", "bare"] {
            if iv == "yes" && block != 8 {
                continue;
            }
            for derivation in ["md5chain", "literal", "opensslv1", "opensslv2", "pbkdf2"] {
                let salted = !matches!(derivation, "md5chain" | "literal");
                // What Crypt::CBC has no way to say, or we refuse as it does.
                if (iv == "salt" && !salted) || (iv == "yes" && derivation != "md5chain") {
                    continue;
                }
                add(iv, derivation, "standard", &texts[place % 4]);
            }
        }
        if matches!(cipher, "CAST5" | "Rijndael") {
            for padding in ["standard", "space", "null", "oneandzeroes", "none"] {
                for text in &texts {
                    if padding != "none" || text.1.len() % block == 0 {
                        add("bare", "md5chain", padding, text);
                    }
                }
            }
        }
    }
    cases
}

/// Asks Perl everything at once.
fn perl(key: &str, questions: &str) -> Vec<Vec<u8>> {
    let mut perl = Command::new("perl")
        .arg(Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/perl/cbc.pl"))
        .env("KEY", key)
        .env("FIXEDIV", FIXEDIV)
        .env("FIXEDSALT", FIXEDSALT)
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .spawn()
        .unwrap();
    let mut stdin = perl.stdin.take().unwrap();
    let questions = questions.to_owned();
    let asking = std::thread::spawn(move || stdin.write_all(questions.as_bytes()));
    let output = perl.wait_with_output().unwrap();
    assert!(output.status.success(), ".ci/install-tools test installs Perl's modules");
    asking.join().unwrap().unwrap();
    String::from_utf8(output.stdout).unwrap().lines().map(unhex).collect()
}

/// What our client would send, as bytes.
fn client_sends(folder: &Path, case: &Case) -> Vec<u8> {
    let config = write_config(folder, "client.conf", &case.config());
    let mut command = Command::new(programs::folder().unwrap().join("knockclient"));
    command.args([
        "-test",
        "-remote",
        "192.0.2.1",
        "-client",
        CLIENT,
        "-port",
        "22",
        "-time",
        "15",
    ]);
    for flag in 1..=9 {
        command.args([format!("-flag{flag}"), flag.to_string()]);
    }
    let output = command.arg("-conf").arg(config).output().unwrap();
    let said = String::from_utf8_lossy(&output.stderr).into_owned();
    assert!(output.status.success(), "{said}\n{}", case.config());
    let ports = String::from_utf8(output.stdout).unwrap();
    let byte = |port: &str| u8::try_from(port.parse::<u16>().unwrap() - FIRST).unwrap();
    ports.trim().split(',').map(byte).collect()
}

/// What our daemon makes of bytes that were knocked: the first knock in them, if there is one.
fn daemon_reads(folder: &Path, config: &str, wire: &[u8]) -> Option<serde_json::Value> {
    let log = folder.join("messages");
    let mut lines = String::new();
    for (place, byte) in wire.iter().enumerate() {
        let port = FIRST + u16::from(*byte);
        writeln!(
            lines,
            "Feb 12 00:13:26 gate kernel: portknock IN=eth0 OUT= \
             MAC=1e:42:60:96:4a:1f:8a:92:9e:a6:fb:e3:08:00 SRC={CLIENT} DST=192.0.2.1 LEN=60 \
             TOS=0x00 PREC=0x00 TTL=64 ID=1 DF PROTO=TCP SPT={} DPT={port} WINDOW=64240 RES=0x00 SYN \
             URGP=0 ",
            40000 + place
        )
        .unwrap();
    }
    std::fs::write(&log, lines).unwrap();
    let config = write_config(folder, "daemon.conf", &format!("logfile = /dev/null\n{config}"));
    let output = Command::new(programs::folder().unwrap().join("knockdaemon"))
        .args(["replay", "--json"])
        .arg(&log)
        .arg("-conf")
        .arg(config)
        .output()
        .unwrap();
    let said = String::from_utf8(output.stdout).unwrap();
    let first: serde_json::Value = serde_json::from_str(said.lines().next()?).unwrap();
    (first["event"] == "knock" && first["client"] == CLIENT).then_some(first)
}

fn write_config(folder: &Path, name: &str, text: &str) -> std::path::PathBuf {
    use std::os::unix::fs::PermissionsExt as _;
    let path = folder.join(name);
    std::fs::write(&path, text).unwrap();
    std::fs::set_permissions(&path, std::fs::Permissions::from_mode(0o600)).unwrap();
    path
}

fn hex(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}

fn unhex(text: &str) -> Vec<u8> {
    (0..text.len())
        .step_by(2)
        .map(|at| u8::from_str_radix(&text[at..at + 2], 16).unwrap())
        .collect()
}

#[test]
fn perl_reads_what_our_client_sends() {
    let folder = tempfile::tempdir().unwrap();
    let cases = cases();
    assert_eq!(cases.len(), 170);
    let questions: String = cases
        .iter()
        .map(|case| case.question("decrypt", &client_sends(folder.path(), case)))
        .collect();
    let answers = perl(KEY, &questions);
    assert_eq!(answers.len(), cases.len());
    for (case, answer) in cases.iter().zip(answers) {
        assert_eq!(hex(&answer), hex(&case.plain), "{}", case.config());
    }
}

#[test]
fn our_daemon_reads_what_perl_sends() {
    let folder = tempfile::tempdir().unwrap();
    let cases = cases();
    let questions: String =
        cases.iter().map(|case| case.question("encrypt", &case.plain)).collect();
    let answers = perl(KEY, &questions);
    assert_eq!(answers.len(), cases.len());
    for (case, wire) in cases.iter().zip(answers) {
        // First what is a bit different in the first block, where the address is, and no knock.
        let mut both = wire.clone();
        both[case.header_bytes()] ^= 1;
        both.extend_from_slice(&wire);
        let knock = daemon_reads(folder.path(), &case.config(), &both);
        let knock = knock.unwrap_or_else(|| panic!("refused\n{}", case.config()));
        assert_eq!(knock["line"], both.len(), "{}", case.config());
        assert_eq!((&knock["fields"]["PORT"], &knock["fields"]["TIME"]), (&22.into(), &15.into()));
    }
}

/// `openssl enc` with a passphrase, in the three forms that it has had.
#[test]
fn openssl_enc_both_ways() {
    let folder = tempfile::tempdir().unwrap();
    let ways = [("pbkdf2", "-pbkdf2"), ("opensslv2", "-md sha256"), ("opensslv1", "-md md5")];
    let ciphers =
        [("AES", "-aes-256-cbc"), ("Camellia", "-camellia-256-cbc"), ("DES_EDE3", "-des-ede3-cbc")];
    let [(knock, plain), ..] = plaintexts();
    for (cipher, theirs) in ciphers {
        for (derivation, options) in ways {
            let openssl = |more: &[&str], text: &[u8]| {
                let mut child = Command::new("openssl")
                    .args(["enc", theirs, "-pass", &format!("pass:{KEY}")])
                    .args(options.split(' '))
                    .args(more)
                    .stdin(Stdio::piped())
                    .stdout(Stdio::piped())
                    .stderr(Stdio::null())
                    .spawn()
                    .unwrap();
                child.stdin.take().unwrap().write_all(text).unwrap();
                child.wait_with_output().unwrap().stdout
            };
            let case = Case {
                cipher,
                iv: "salt",
                derivation,
                padding: "standard",
                key: KEY.to_owned(),
                knock: knock.clone(),
                plain: plain.clone(),
            };
            let sent = client_sends(folder.path(), &case);
            assert_eq!(openssl(&["-d"], &sent), plain, "{}", case.config());
            let wire = openssl(&["-salt"], &plain);
            let knock = daemon_reads(folder.path(), &case.config(), &wire).unwrap();
            assert_eq!(knock["fields"]["TIME"], 15, "{}", case.config());
        }
    }
}

/// A salt of its own for each knock, a slow derivation and a cipher of sixteen bytes: 32 packets of
/// our client, and 32 at ports that Perl computed.
#[test]
#[ignore = "needs root: sudo make test"]
fn salted_knocks_on_real_packets() {
    let settings =
        "knock = IP,PORT,TIME,CHECKSUM\ncipher = Serpent\niv = salt\nkeyderivation = pbkdf2";
    let setup = Setup::with(Log::Kmsg, Backend::Nft, settings, ACTIONS);
    let (first, second) = (setup.lab.client(), setup.lab.second_client());
    setup.knock(&["-port", "22", "-time", "0"]);
    setup.await_open(first);
    assert!(!setup.is_open(second));

    let std::net::IpAddr::V4(address) = second else { panic!("{second} is no IPv4 address") };
    let mut plain = [address.octets().as_slice(), &[22, 0]].concat();
    let sum: u32 = plain.iter().map(|byte| u32::from(*byte)).sum();
    plain.push(u8::try_from(sum % 255).unwrap());
    let question = format!("encrypt Serpent salt pbkdf2 standard {}\n", hex(&plain));
    let [wire] = perl(&key_of(&setup.lab), &question).try_into().unwrap();
    assert_eq!(wire.len(), 32);
    for byte in wire {
        let port = FIRST + u16::from(byte);
        probe::send_syn(&setup.lab, second, setup.lab.server(), port).unwrap();
    }
    setup.await_open(second);
}
