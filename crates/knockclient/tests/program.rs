//! The program as a user starts it: options, config, what it prints, sends, waits for, and how it
//! ends.

#![allow(clippy::unwrap_used, reason = "a test's helpers report by panicking")]

use std::ffi::{OsStr, OsString};
use std::fs;
use std::io::{BufRead as _, BufReader};
use std::net::TcpListener;
use std::os::unix::ffi::OsStringExt as _;
use std::os::unix::fs::PermissionsExt as _;
use std::path::PathBuf;
use std::process::{Command, Output, Stdio};

use knock_config::{ReadOptions, SourceText, find_format, read_client};
use knock_wire::Hit;
use tempfile::TempDir;

/// What the classic knock of 10.0.0.1 for port 22 and 15 minutes is with the key `knock`.
const CLASSIC: &str = "986,845,946,789,809,954,930,803";

/// A home without a config, and files in it.
struct Home(TempDir);

impl Home {
    fn new() -> Self {
        Self(tempfile::tempdir().unwrap())
    }

    /// A file that only its owner can read.
    fn file(&self, name: &str, text: &str) -> PathBuf {
        let path = self.0.path().join(name);
        fs::write(&path, text).unwrap();
        fs::set_permissions(&path, fs::Permissions::from_mode(0o600)).unwrap();
        path
    }

    fn command<S: AsRef<OsStr>>(&self, args: impl IntoIterator<Item = S>) -> Command {
        let mut command = Command::new(env!("CARGO_BIN_EXE_knockclient"));
        command.args(args).env("HOME", self.0.path()).env_remove("KNOCK_KEY");
        command
    }

    /// Words with blanks between them in; stdout, stderr and exit code out.
    fn run(&self, line: &str) -> (String, String, i32) {
        told(&self.command(line.split_whitespace()).output().unwrap())
    }
}

fn told(output: &Output) -> (String, String, i32) {
    let text = |bytes: &[u8]| String::from_utf8_lossy(bytes).into_owned();
    (text(&output.stdout), text(&output.stderr), output.status.code().unwrap())
}

/// `-test` prints the ports and nothing else, and says nothing on stderr.
#[track_caller]
fn check_ports(home: &Home, line: &str, expected: &str) {
    let (out, err, code) = home.run(&format!("-test {line}"));
    assert_eq!((out.as_str(), err.as_str(), code), (&*format!("{expected}\n"), "", 0));
}

/// It fails with this code, and some line of stderr has this text.
#[track_caller]
fn check_failure(home: &Home, line: &str, code: i32, text: &str) {
    let (out, err, got) = home.run(line);
    assert_eq!((out.as_str(), got), ("", code), "{err}");
    assert!(err.contains(text), "{err}");
}

#[test]
fn ports_are_those_of_the_original() {
    let vectors: Vec<serde_json::Value> =
        serde_json::from_str(include_str!("../../knock-wire/tests/data/knock.json")).unwrap();
    let mut checked = 0;
    for vector in &vectors {
        let text = |name: &str| vector[name].as_str().unwrap();
        let bytes = |name: &str| -> OsString {
            let hex = text(name);
            let byte = |at| u8::from_str_radix(&hex[at..at + 2], 16).unwrap();
            OsString::from_vec((0..hex.len()).step_by(2).map(byte).collect())
        };
        // The others want an IV that the client draws itself, or one that no command line can hold.
        if text("header") != "none" || bytes("iv_hex").as_encoded_bytes().contains(&0) {
            continue;
        }
        let field = |name: &str| vector["fields"][name].to_string().replace('"', "");
        let (ip, port, time) = (field("ip"), field("port"), field("time"));
        let output = Home::new()
            .command(["-test", "-i", &ip, "-p", &port, "-t", &time, "-portspan", text("span")])
            .args(["-cipher", text("cipher"), "-fixediv"])
            .arg(bytes("iv_hex"))
            .env("KNOCK_KEY", bytes("key_hex"))
            .output()
            .unwrap();
        let ports: Vec<String> =
            vector["ports"].as_array().unwrap().iter().map(ToString::to_string).collect();
        assert_eq!(told(&output), (ports.join(",") + "\n", String::new(), 0), "{vector}");
        checked += 1;
    }
    assert_eq!(checked, 58);
}

#[test]
fn old_and_new_ways_to_write_options() {
    let home = Home::new();
    let conf = home.file("a.conf", "key = knock\n").display().to_string();
    for line in [
        format!("-conf {conf} -i 10.0.0.1 -p 22 -t 15"),
        format!("-conf={conf} -client 10.0.0.1 -port 22 -time 15"),
        format!("--conf {conf} --client=10.0.0.1 --port=22 --time=15 -quiet"),
        format!("-con {conf} -clie 10.0.0.1 -rem 192.0.2.1 -TIME=15"),
        // What later options make ambiguous is still the original's.
        format!("-co {conf} -cl 10.0.0.1 -ti 15 -q -de"),
    ] {
        check_ports(&home, &line, CLASSIC);
    }
}

#[test]
fn the_command_line_beats_the_file() {
    let home = Home::new();
    let file = "client = 10.0.0.1\nport = 22\ntime = 15\nkey = other\nportspan = 1024-1279\n";
    let conf = home.file("a.conf", file).display().to_string();
    let key = home.file("key", "knock\n").display().to_string();
    let (other, ..) = home.run(&format!("-test -conf {conf}"));
    assert_ne!(other.trim_end(), CLASSIC);
    let line = format!("-conf {conf} -keyfile {key} -portspan 745-1000");
    check_ports(&home, &line, CLASSIC);

    let plain = "-knock PORT,FLAG0,CHECKSUM -encrypt no -portspan 1000-1255 -flag0 9";
    check_ports(&home, &format!("-conf {conf} {plain}"), "1022,1009,1031");
    check_ports(&home, &format!("-conf {conf} {plain} -port 80"), "1080,1009,1089");
}

#[test]
fn the_config_is_looked_for_at_home() {
    let home = Home::new();
    let text = "client = 10.0.0.1\nkey = knock\ntime = 15\n";
    home.file(".knockclient.conf", text);
    check_ports(&home, "", CLASSIC);
    let named = home.file("b.yaml", "client: 10.0.0.1\nkey: knock\ntime: 14\n");
    let (out, ..) = home.run(&format!("-test -conf {}", named.display()));
    assert_ne!(out.trim_end(), CLASSIC, "the named file and no other");
}

/// `~/.knockclient.conf`, beside the program, in its `etc`, in `../etc`: the first, and no other.
#[test]
fn the_config_is_looked_for_in_the_originals_order() {
    let home = Home::new();
    let path = |name: &str| home.0.path().join(name);
    for name in ["opt/bin/etc", "opt/etc"] {
        fs::create_dir_all(path(name)).unwrap();
    }
    let (built, program) = (env!("CARGO_BIN_EXE_knockclient"), path("opt/bin/knockclient"));
    if fs::hard_link(built, &program).is_err() {
        fs::copy(built, &program).unwrap();
    }
    let places = [
        ".knockclient.conf",
        "opt/bin/knockclient.conf",
        "opt/bin/etc/knockclient.conf",
        "opt/etc/knockclient.conf",
    ];
    for (number, place) in places.iter().enumerate() {
        home.file(
            place,
            &format!("encrypt = no\nknock = FLAG0\nportspan = 256-511\nflag0 = {number}\n"),
        );
    }
    for (number, place) in places.iter().enumerate() {
        let output =
            Command::new(&program).arg("-test").env("HOME", home.0.path()).output().unwrap();
        assert_eq!(told(&output), (format!("{}\n", 256 + number), String::new(), 0), "{place}");
        fs::remove_file(path(place)).unwrap();
    }
}

#[test]
fn keys_from_everywhere_but_never_shown() {
    let home = Home::new();
    let line = "-test -i 10.0.0.1 -t 15 -debug";
    let (out, err, code) = home.run(&format!("{line} -key knock"));
    assert_eq!((out.trim_end(), code), (CLASSIC, 0));
    assert!(err.contains("the key is on the command line"), "{err}");
    assert!(err.contains("IP=10.0.0.1 PORT=22 TIME=15"), "{err}");
    assert!(!err.contains("knock\n") && !err.contains("=knock"), "{err}");
    check_ports(&home, "-i 10.0.0.1 -t 15 -k knock -quiet", CLASSIC);

    let output = home.command(line.split_whitespace()).env("KNOCK_KEY", "knock").output().unwrap();
    assert_eq!(told(&output).0.trim_end(), CLASSIC);

    let open = home.file("open", "knock");
    fs::set_permissions(&open, fs::Permissions::from_mode(0o644)).unwrap();
    let line = format!("{line} -keyfile {}", open.display());
    check_failure(&home, &line, 64, "open");
    let (out, ..) = home.run(&format!("{line} -insecure"));
    assert_eq!(out.trim_end(), CLASSIC);
}

#[test]
fn a_random_iv_is_drawn_for_each_knock() {
    let home = Home::new();
    home.file(".knockclient.conf", "client = 10.0.0.1\nkey = knock\niv = yes\n");
    let knocks: Vec<String> = (0..2).map(|_| home.run("-test").0).collect();
    assert_eq!(knocks[0].split(',').count(), 24);
    assert_ne!(knocks[0], knocks[1]);
}

/// Options for the cipher, how many ports come of them, and whether twice the same.
#[test]
fn every_cipher_header_and_derivation_by_option() {
    let home = Home::new();
    home.file(".knockclient.conf", "client = 10.0.0.1\nkey = knock\ncipher = DES\n");
    for (options, ports, varies) in [
        ("", 8, false),
        ("-cipher crypt::rijndael_pp", 16, false),
        ("-iv bare", 16, true),
        ("-iv bare -cipher AES -mac 8", 40, true),
        ("-iv yes -cipher IDEA", 24, true),
        ("-iv salt -keyderivation pbkdf2 -cipher Serpent", 32, true),
        ("-iv no -keyderivation opensslv2 -fixedsalt saltSALT -fixediv x", 8, false),
        ("-keyderivation literal -cipher Blowfish", 8, false),
        ("-keyderivation Argon2id -padding oneandzeroes", 8, false),
        ("-padding none -knock IP,PORT16,TIME,CHECKSUM", 8, false),
    ] {
        let knocks = [(); 2].map(|()| home.run(&format!("-test {options}")).0);
        assert_eq!(knocks[0].split(',').count(), ports, "{options}");
        assert_eq!(knocks[0] != knocks[1], varies, "{options}");
    }
    let (.., debug, _) = home.run("-test -debug -iv bare -mac 4");
    assert!(debug.contains("cipher: DES, key by md5chain, header a bare IV, mac of 4 bytes"));
    check_failure(&home, "-test -iv often", 64, "write no, yes, salt or bare");
    check_failure(&home, "-test -mac 3", 64, "write 0, or a number from 4 to 32");
    check_failure(&home, "-test -padding pkcs7", 64, "standard, space, null, oneandzeroes, none");
    check_failure(&home, "-test -keyderivation md5", 64, "md5chain, literal, opensslv1");
    check_failure(&home, "-test -iv salt", 64, "needs a keyderivation that takes the salt");
    check_failure(&home, "-test -cipher AES -iv yes", 64, "use iv = salt, or iv = bare");
    check_failure(&home, "-test -cipher RC4", 64, "cipher 'RC4' is not available");
    check_failure(&home, "-test -keyderivation literal", 78, "a key of exactly 8 bytes");
    check_failure(&home, "-test -encrypt no -mac 8", 64, "without encryption");
}

#[test]
fn mistakes_are_told_with_the_way_out() {
    let home = Home::new();
    check_failure(&home, "-test", 64, "no key is given");
    check_failure(&home, "-encrypt no", 64, "give one with -remote HOST");
    check_failure(&home, "-encrypt perhaps", 64, "write yes or no");
    check_failure(&home, "-nonsense", 64, "unknown option '-nonsense'");
    check_failure(&home, "-encrpyt=no", 64, "unknown option '-encrpyt'; did you mean -encrypt?");
    check_failure(&home, "-c x", 64, "option '-c' is ambiguous: it may be -conf, -client, -cipher");
    check_failure(&home, "-i 10.0.0.1 -encrypt no -port 8080 -test", 64, "use PORT16");
    check_failure(&home, "-i ::1 -encrypt no -test", 64, "use IP6");
    check_failure(&home, "-encrypt no -knock FLAG3 -test", 64, "-flag3 N");
    check_failure(&home, "-encrypt no -i 10.0.0.1 -portspan 1-100 -test", 64, "100 ports");
    check_failure(&home, "-encrypt no -i 10.0.0.1 -logtofile", 64, "-logfile FILE");
    check_failure(&home, "-conf /nonexistent/a.conf", 78, "cannot read the config file");
    check_failure(&home, "-encrypt no -r host.invalid", 69, "cannot find the host 'host.invalid'");
    check_failure(&home, "-encrypt no -r 127.0.0.1 -6", 69, "no IPv6 address");
    let conf = home.file("a.conf", "key = k\nportspan = 1-100\n").display().to_string();
    check_failure(&home, &format!("-conf {conf} -test -i 10.0.0.1"), 78, "a.conf");
    assert_eq!(home.run("-quiet -encrypt no -r host.invalid"), (String::new(), String::new(), 69));
}

#[test]
fn help_and_manual_name_everything() {
    let home = Home::new();
    for line in ["-help", "--help", "-man"] {
        let (out, err, code) = home.run(line);
        assert_eq!((err.as_str(), code), ("", 0));
        for word in ["--flag9", "--fileformat", "75 the port did not open", "example.org -p 22"] {
            assert!(out.contains(word), "{line}: {word}");
        }
    }
    assert_eq!(home.run("--version").0, format!("knockclient {}\n", env!("CARGO_PKG_VERSION")));
    // Without man(1), and what the page has beyond the options.
    let output = home.command(["-man"]).env("PATH", "/nonexistent").output().unwrap();
    let (out, err, code) = told(&output);
    assert_eq!((err.as_str(), code), ("", 0));
    for word in [
        "--flag9 <N>\n    What goes into FLAG9",
        "CONFIGURATION",
        "logtofile ('yes' or 'no')",
        "EXIT STATUS",
    ] {
        assert!(out.contains(word), "{word} is missing in {out}");
    }
    assert!(!out.contains("\\f") && !out.contains("\n."), "roff, not text: {out}");
}

#[test]
fn packets_arrive_in_order() {
    let home = Home::new();
    let mut doors: Vec<TcpListener> =
        (0..4).map(|_| TcpListener::bind("127.0.0.1:0").unwrap()).collect();
    let ports: Vec<String> =
        doors.iter().map(|door| door.local_addr().unwrap().port().to_string()).collect();
    // 0b11_00_10_01: each pair of bits is the number of a door.
    let order = [3, 0, 2, 1];
    let span = ports.join(",");
    let line = format!("-r 127.0.0.1 -encrypt no -knock PORT -port 201 -portspan {span} -delay 20");
    check_ports(&home, &line, &order.map(|door: usize| &*ports[door]).join(","));

    let mut client = home.command(line.split_whitespace()).spawn().unwrap();
    for door in &mut doors {
        door.set_nonblocking(true).unwrap();
    }
    // Each round looks at the last door first. So when a door is found knocked on, those before it
    // are seen in the same round at the latest, however slowly this test runs.
    let mut rounds = [None; 4];
    let mut ended = false;
    for round in 0.. {
        for place in (0..4).rev() {
            if doors[order[place]].accept().is_ok() {
                assert_eq!(rounds[place].replace(round), None, "one packet at each door");
            }
        }
        if ended {
            break;
        }
        ended = client.try_wait().unwrap().is_some();
    }
    assert!(client.wait().unwrap().success());
    assert!(rounds.iter().all(Option::is_some), "{rounds:?}");
    assert!(rounds.is_sorted(), "{rounds:?}");
}

#[test]
fn packets_come_from_the_address_that_is_named_if_it_is_ours() {
    let home = Home::new();
    let doors = [0; 2].map(|_| TcpListener::bind("127.0.0.1:0").unwrap());
    let [one, two] = doors.each_ref().map(|door| door.local_addr().unwrap().port());
    let line = format!("-r 127.0.0.1 -encrypt no -knock PORT -portspan {one},{two} -delay 0");
    for (client, seen) in [("127.0.0.2", "127.0.0.2"), ("192.0.2.77", "127.0.0.1")] {
        // 0b0101_0101: four packets at each of the two doors.
        let line = format!("{line} -port 85 -client {client} -wait {one}");
        assert_eq!(home.run(&line), Default::default());
        for (door, packets) in doors.iter().zip([5, 4]) {
            for _ in 0..packets {
                assert_eq!(door.accept().unwrap().1.ip().to_string(), seen);
            }
        }
    }
}

#[test]
fn closed_ports_are_knocked_on_too() {
    let home = Home::new();
    let line = "-r 127.0.0.1 -encrypt no -knock PORT -portspan 2-5 -delay 1ms";
    assert_eq!(home.run(line), (String::new(), String::new(), 0));
}

/// The lines are those that the format itself reads back, with this client and these ports.
#[track_caller]
fn check_log(home: &Home, format: &str, line: &str) -> Option<u16> {
    let log = home.0.path().join("kern.log");
    fs::write(&log, "a line that was there\n").unwrap();
    let log_options = format!("-logtofile -logfile {} -fileformat {format}", log.display());
    assert_eq!(home.run(&format!("{line} {log_options}")), Default::default());

    let own = home.0.path().join(".knockclient.conf");
    let own = SourceText::new(&own, fs::read(&own).unwrap_or_default());
    let options = ReadOptions::default();
    let own = read_client(&own, &options).value.unwrap().own_formats;
    let format = find_format(format, &own, None, &options).value.unwrap();
    let text = fs::read_to_string(&log).unwrap();
    let lines: Vec<&str> = text.lines().collect();
    assert_eq!(lines[0], "a line that was there");
    let hits: Vec<Hit> =
        lines[1..].iter().map(|line| format.hit(line.as_bytes()).unwrap()).collect();
    let ports: Vec<String> = hits.iter().map(|hit| hit.port.to_string()).collect();
    assert_eq!(ports.join(","), CLASSIC);
    assert!(hits.iter().all(|hit| hit.client.to_string() == "10.0.0.1"), "{text}");
    let mut from: Vec<u16> = hits.iter().filter_map(|hit| hit.source_port).collect();
    let first = from.first().copied();
    from.dedup();
    assert!(from.is_empty() || from.len() == hits.len(), "no hit looks like a repeat: {text}");
    first
}

#[test]
fn log_lines_in_place_of_packets() {
    let home = Home::new();
    let key = home.file("key", "knock");
    let line = format!("-i 10.0.0.1 -p 22 -t 15 -keyfile {}", key.display());
    let first = [(); 4].map(|()| check_log(&home, "iptables", &line));
    assert!(first.iter().any(|port| *port != first[0]), "each knock is another: {first:?}");
    // `logtofile` needs no host; with one its address is in the lines.
    check_log(&home, "iptables", &format!("{line} -r 127.0.0.1"));
    home.file(
        ".knockclient.conf",
        "<logformat mine>\n\
         required = ^\\w{3} +\\d+ [\\d:]+ \\S+ kernel: \n\
         ipclient = ^[^\\[]*? SRC=(\\S+)\n\
         port = ^[^\\[]*? DPT=(\\d+)\n\
         </logformat>\n",
    );
    check_log(&home, "mine", &line);
    // One of them has no line for a client of IPv4.
    let shipped = knock_config::SHIPPED_FORMATS.iter().map(|(name, _)| *name);
    for format in shipped.filter(|name| *name != "ip6tables") {
        check_log(&home, format, &format!("{line} -r 192.0.2.1"));
    }
    // Of no firewall's shape, and without a sample.
    home.file(
        ".knockclient.conf",
        "<logformat router>\n\
         required = ^[A-Z][a-z]{2} [ \\d]\\d \\S+ router: DENIED\n\
         ipclient = from <([\\d.]+)>\n\
         ipserver = to <([\\d.]+)>\n\
         port = port (\\d+)\n\
         </logformat>\n",
    );
    check_log(&home, "router", &line);
    check_failure(
        &home,
        &format!("{line} -logtofile -logfile x -fileformat iptable"),
        64,
        "iptables",
    );
    let line = format!("{line} -logtofile -logfile /nonexistent/log");
    check_failure(&home, &line, 74, "cannot append to the log /nonexistent/log");
}

#[test]
fn waits_for_a_port_that_opens_later() {
    let home = Home::new();
    let port = free_port();
    let mut client = home
        .command(plain_to_loopback(&format!("-wait {port} -timeout 1m -debug -- echo open")))
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .unwrap();
    let mut said = BufReader::new(client.stderr.take().unwrap()).lines();
    let waiting = said.find(|line| line.as_ref().unwrap().contains("waiting for port"));
    assert!(waiting.is_some());
    let door = TcpListener::bind(("127.0.0.1", port)).unwrap();
    door.accept().unwrap();
    let rest: Vec<String> = said.map(Result::unwrap).collect();
    let output = client.wait_with_output().unwrap();
    assert_eq!(told(&output), ("open\n".to_owned(), String::new(), 0));
    assert!(rest.concat().contains("is open"), "{rest:?}");
}

#[test]
fn gives_up_when_the_port_stays_closed() {
    let home = Home::new();
    let line = format!("-wait {} -tries 2 -timeout 1ms -- echo never", free_port());
    let output = home.command(plain_to_loopback(&line)).output().unwrap();
    let (out, err, code) = told(&output);
    assert_eq!((out.as_str(), code), ("", 75), "{err}");
    assert!(err.contains("did not open after 2 knocks"), "{err}");
}

/// Knocks three times at sixteen doors, while a port stays closed. What it says it knocks on, and what
/// came at the doors, sorted.
fn three_tries(home: &Home, iv: &str) -> (Vec<String>, Vec<u16>) {
    let doors = [(); 16].map(|()| TcpListener::bind("127.0.0.1:0").unwrap());
    let number = |door: &TcpListener| door.local_addr().unwrap().port();
    let span = doors.each_ref().map(|door| number(door).to_string()).join(",");
    let line = format!("-r 127.0.0.1 -cipher DES -iv {iv} -portspan {span} -delay 0 -debug");
    let wait = format!("-wait {} -tries 3 -timeout 1ms", free_port());
    let words = [&line, &wait].into_iter().flat_map(|line| line.split_whitespace());
    let output = home.command(words).env("KNOCK_KEY", "knock").output().unwrap();
    let (_, err, code) = told(&output);
    assert!(code == 75 && err.contains("knock 3 of 3 sent"), "{err}");
    let knocks = err.lines().filter_map(|line| line.split_once("ports: ")?.1.split_once(" ("));
    let mut came = Vec::new();
    for door in &doors {
        door.set_nonblocking(true).unwrap();
        while door.accept().is_ok() {
            came.push(number(door));
        }
    }
    came.sort_unstable();
    (knocks.map(|(ports, _)| ports.to_owned()).collect(), came)
}

fn sorted(knocks: &[String]) -> Vec<u16> {
    let all = knocks.iter().flat_map(|ports| ports.split(','));
    let mut all: Vec<u16> = all.map(|port| port.parse().unwrap()).collect();
    all.sort_unstable();
    all
}

/// Where each knock is accepted once the second try would be refused as a replay of the first one.
#[test]
fn each_try_is_a_knock_of_its_own_where_knocks_vary() {
    let home = Home::new();
    let (mut knocks, came) = three_tries(&home, "yes");
    assert_eq!(came, sorted(&knocks));
    knocks.sort();
    knocks.dedup();
    assert_eq!(knocks.len(), 3, "{knocks:?}");

    let (knocks, came) = three_tries(&home, "no");
    let [knock] = &knocks[..] else { panic!("it is one knock: {knocks:?}") };
    assert_eq!(came, sorted(&[knock.clone(), knock.clone(), knock.clone()]));
}

#[test]
fn the_command_gets_its_words_and_gives_its_status() {
    let home = Home::new();
    let script = r#"echo "$1|$KNOCK_KEY"; exit 7"#;
    let words = plain_to_loopback("--")
        .into_iter()
        .chain(["sh", "-c", script, "sh", "-debug -p 22"].map(OsString::from));
    let output = home.command(words).env("KNOCK_KEY", "secret").output().unwrap();
    assert_eq!(told(&output), ("-debug -p 22|\n".to_owned(), String::new(), 7));

    let missing = home.command(plain_to_loopback("-- /nonexistent/program")).output().unwrap();
    let (_, err, code) = told(&missing);
    assert_eq!(code, 127);
    assert!(err.contains("the knock is done, but '/nonexistent/program' cannot be run"), "{err}");
}

fn plain_to_loopback(line: &str) -> Vec<OsString> {
    let line = format!("-r 127.0.0.1 -encrypt no -knock PORT -portspan 2-5 -delay 0 {line}");
    line.split_whitespace().map(OsString::from).collect()
}

/// A port that nobody listens on.
fn free_port() -> u16 {
    TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().port()
}
