//! Complete configurations in the style of the original, each another story, as they are: read by
//! `check` and by the original's own reader, converted there and back, and run by the daemon started as
//! the original was, with a client beside it. What they run is written down by stand-ins under `/sbin`.
//! The same on real packets is in `netns_old_configs`.

#![allow(clippy::unwrap_used, reason = "in a test a panic is the report")]

#[path = "common/old.rs"]
mod old;

use std::fs;
use std::path::Path;
use std::process::Command;

use knock_e2e::oldhost::OldHost;
use knock_e2e::programs;
use old::Old;

const OPEN_22: &str = "iptables -I INPUT -p tcp -s 203.0.113.7/32 --dport 22 -j ACCEPT";
const CLOSE_22: &str = "iptables -D INPUT -p tcp -s 203.0.113.7/32 --dport 22 -j ACCEPT";
const OPEN_22_SYN: &str = "iptables -I INPUT -p tcp -s 203.0.113.7/32 --dport 22 --syn -j ACCEPT";
const CLOSE_22_SYN: &str = "iptables -D INPUT -p tcp -s 203.0.113.7/32 --dport 22 --syn -j ACCEPT";

#[test]
fn each_configuration_is_run() {
    let here = [include_str!("old_configs.rs"), include_str!("netns_old_configs.rs")].concat();
    let names = old::names();
    assert!(names.len() >= 17, "{names:?}");
    for name in names {
        assert!(here.contains(&format!("\"{name}\"")), "no test runs {name}");
    }
}

#[test]
fn check_says_of_each_what_its_golden_text_says() {
    for name in old::names() {
        let host = old::host(&name);
        let output = host.run("knockdaemon", &["check", "-conf", &format!("{name}.conf")]).unwrap();
        let said = String::from_utf8(output.stdout).unwrap();
        assert!(output.status.success(), "{said}");
        // What a knock is made of comes behind it and is tested elsewhere.
        let ok = format!("{name}.conf: ok\n");
        let end = said.find(&ok).unwrap_or_else(|| panic!("{said}")) + ok.len();
        let golden = old::folder().join(format!("{name}.check"));
        let expected = fs::read_to_string(&golden).unwrap_or_default();
        assert_eq!(said[..end], expected, "{}", golden.display());
    }
}

#[test]
fn the_originals_own_reader_makes_the_same_tree_of_each() {
    let reader = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/perl/config.pl");
    let tree = |command: &mut Command| -> serde_json::Value {
        let output = command.current_dir(old::folder()).output().unwrap();
        assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
        serde_json::from_slice(&output.stdout).unwrap()
    };
    let ours = programs::folder().unwrap().join("knockdaemon");
    for name in old::names() {
        let file = format!("{name}.conf");
        let theirs = tree(Command::new("perl").arg(&reader).arg(&file));
        let ours = tree(Command::new(&ours).args(["convert", &file, "--to", "json"]));
        assert_eq!(ours, theirs, "{name}");
    }
}

#[test]
fn the_eight_ports_of_the_article() {
    let mut old = Old::start("01-classic");
    old.knock(&["-port", "22", "-time", "0"], &[OPEN_22_SYN]);
    old.knock(&["-port", "22", "-time", "255"], &[CLOSE_22_SYN]);
    // Open now; closing waits a quarter of an hour, in the agenda.
    old.knock(&["-port", "22", "-time", "15"], &[OPEN_22_SYN]);
    old.knock(&["-port", "80", "-time", "0"], &[]);
    assert_eq!(old.log("messages").lines().count(), 32, "eight packets a knock");
    old.restart();
    old.await_line("waiting=1 overdue=0");
    old.finish();
}

#[test]
fn a_knock_that_is_not_enciphered() {
    let mut old = Old::start("02-plain");
    old.knock(&["-port", "139", "-time", "0"], &["printer-door open 203.0.113.7 139"]);
    old.knock(&["-port", "80", "-time", "255"], &["printer-door shut 203.0.113.7 80"]);
    assert_eq!(old.log("kern.log").lines().count(), 14, "seven packets a knock");
    assert!(old.log("kern.log").contains(" DPT=2203 "), "the address stands there in clear");
    old.finish();
}

#[test]
fn a_logformat_of_the_admins_own() {
    let mut old = Old::start("03-own-logformat");
    old.knock(
        &["-port", "21"],
        &["iptables -I INPUT -p tcp -s 203.0.113.7/32 --dport 21 -j ACCEPT"],
    );
    let log = old.log("wall");
    // No firewall's line, but one of this format.
    assert_eq!(log.matches("wall: refused").count(), 8, "{log}");
    assert_eq!(log.matches("from 203.0.113.7 to ").count(), 8, "{log}");
    old.finish();
}

#[test]
fn values_written_in_every_way_that_the_file_format_has() {
    let open = "iptables -I INPUT -s 203.0.113.7 -p tcp --dport 22 -j ACCEPT";
    let close = "iptables -D INPUT -s 203.0.113.7 -p tcp --dport 22 -j ACCEPT";
    let mut old = Old::start("04-quoting");
    old.knock(&["-port", "22", "-time", "0"], &[open]);
    old.knock(&["-port", "22", "-time", "255"], &[close]);
    old.knock(&["-port", "22", "-time", "7"], &[]);
    old.knock(&["-port", "25", "-time", "7"], &["note [mail for $5 from] [203.0.113.7]"]);
    old.finish();
}

#[test]
fn actions_in_a_file_of_their_own() {
    let mut old = Old::start("05-include");
    old.knock(&["-port", "22"], &[OPEN_22]);
    old.finish();
}

#[test]
fn flags_that_say_what_is_wanted() {
    let mut old = Old::start("06-flags");
    old.knock(&["-port", "22", "-flag0", "0", "-flag1", "0"], &[OPEN_22]);
    old.knock(&["-port", "22", "-flag0", "1", "-flag1", "0"], &[CLOSE_22]);
    old.knock(&["-port", "0", "-flag0", "2", "-flag1", "12"], &["wake machine-12 for 203.0.113.7"]);
    old.knock(&["-port", "0", "-flag0", "2", "-flag1", "13"], &[]);
    old.finish();
}

#[test]
fn three_visits_and_then_a_ban() {
    let mut old = Old::start("07-visits");
    let knock = ["-port", "22", "-flag0", "0"];
    for _visit in 0..3 {
        old.knock(&knock, &[OPEN_22]);
    }
    old.knock(&knock, &["iptables -I INPUT -s 203.0.113.7/32 -j DROP"]);
    old.knock(&knock, &[]);
    old.knock(&["-port", "22", "-flag0", "7"], &["iptables -D INPUT -s 203.0.113.7/32 -j DROP"]);
    old.knock(&knock, &[OPEN_22]);
    // What was counted survives the daemon.
    old.restart();
    old.knock(&knock, &[OPEN_22]);
    old.knock(&knock, &[OPEN_22]);
    old.knock(&knock, &["iptables -I INPUT -s 203.0.113.7/32 -j DROP"]);
    old.finish();
}

#[test]
fn office_hours_are_those_of_the_clock_on_the_wall() {
    let mut noon = Old::start_with("08-office-hours", &[("TZ", &zone_where_it_is(12))]);
    noon.knock(&["-port", "22"], &[OPEN_22]);
    noon.finish();
    let mut night = Old::start_with("08-office-hours", &[("TZ", &zone_where_it_is(2))]);
    let told = "tell [203.0.113.7 came when nobody was there]";
    night.knock(&["-port", "22"], &[told]);
    night.finish();
}

/// A time zone in which it is this hour now.
fn zone_where_it_is(hour: u64) -> String {
    let since = std::time::UNIX_EPOCH.elapsed().unwrap().as_secs();
    // Written as POSIX has it: hours to the west.
    let west = (since / 3600 % 24 + 24 - hour) % 24;
    format!("OLD{west}")
}

#[test]
fn a_span_with_holes() {
    let mut old = Old::start("09-split-span");
    old.knock(&["-port", "22", "-time", "0"], &[OPEN_22]);
    let span = |port: u16| matches!(port, 700..=763 | 5000..=5062 | 8081 | 9000..=9127);
    let log = old.log("messages");
    let ports = log.lines().map(|line| {
        let (_, port) = line.split_once("DPT=").unwrap();
        port.split_once(' ').unwrap().0.parse::<u16>().unwrap()
    });
    assert!(ports.clone().all(span), "{log}");
    assert!(ports.clone().any(|port| port > 9000) && ports.clone().any(|port| port < 5000));
    old.finish();
}

#[test]
fn nine_packets_over_the_widest_span() {
    let mut old = Old::start("10-wide-span");
    let flags = |time| ["-port", "22", "-time", time, "-flag0", "1", "-flag1", "2"];
    old.knock(&flags("0"), &[OPEN_22_SYN]);
    assert_eq!(old.log("messages").lines().count(), 9);
    old.knock(&flags("255"), &[CLOSE_22_SYN]);
    let wrong = [&flags("0")[..], &["-flag2", "76"]].concat();
    old.knock(&wrong, &[]);
    old.finish();
}

#[test]
fn a_random_iv_ahead_of_the_knock() {
    let mut old = Old::start("11-random-iv");
    for _again in 0..2 {
        old.knock(&["-port", "22", "-time", "0"], &[OPEN_22_SYN]);
    }
    let log = old.log("messages");
    let ports: Vec<&str> = log
        .lines()
        .map(|line| line.split_once("DPT=").unwrap().1.split(' ').next().unwrap())
        .collect();
    assert_eq!(ports.len(), 48);
    assert_eq!(ports[..8], ports[24..32], "the word RandomIV");
    assert_ne!(ports[8..24], ports[32..48]);
    old.finish();
}

#[test]
fn keys_that_nobody_knows_do_no_harm() {
    let mut old = Old::start("12-private-keys");
    old.await_line("unknown key 'owner'");
    old.knock(&["-port", "22"], &[OPEN_22]);
    old.finish();
}

#[test]
fn one_knock_with_several_answers() {
    let tell = "tell 203.0.113.7 knocked for 22";
    let mut old = Old::start("13-several-answers");
    old.knock(&["-port", "22"], &[OPEN_22, tell]);
    // Three seconds later, not before.
    old.expect(&[CLOSE_22]);
    let tell = "tell 203.0.113.7 knocked for 23";
    old.knock(&["-port", "23"], &[tell, tell]);
    old.finish();
}

#[test]
fn conditions_as_a_perl_programmer_writes_them() {
    let fields = |port, time, flag| ["-port", port, "-time", time, "-flag0", flag];
    let neighbour = "tell neighbour 203.0.113.7 22";
    let again = "tell 203.0.113.7 again";
    let mut old = Old::start("14-perl-conditions");
    old.knock(&fields("22", "5", "0"), &[neighbour]);
    let half = "tell half an hour for 203.0.113.7";
    old.knock(&fields("22", "30", "7"), &[neighbour, half, again]);
    old.knock(&fields("22", "30", "6"), &[neighbour, again]);
    old.knock(&fields("22", "241", "0"), &["tell stranger 203.0.113.7 22", again]);
    old.knock(&fields("80", "5", "0"), &[again]);
    let other = [&fields("80", "5", "0")[..], &["-client", "203.0.114.7"]].concat();
    old.knock(&other, &["tell stranger 203.0.114.7 80"]);
    old.finish();
}

#[test]
fn the_manuals_own_open_deletes_and_does_so_here() {
    let mut old = Old::start("15-manual-open");
    old.await_line("template 'open' deletes a rule");
    old.knock(&["-port", "22", "-time", "0"], &[CLOSE_22_SYN]);
    old.finish();
}

#[test]
fn three_ports_open_close_and_ignore() {
    let ports = |a, b, c| ["-flag0", a, "-flag1", b, "-flag2", c];
    let mut old = Old::start("16-three-ports");
    old.knock(&ports("30", "31", "29"), &[OPEN_22_SYN]);
    let log = old.log("messages");
    let order: Vec<&str> = ["31", "32", "30"].to_vec();
    for (line, port) in log.lines().zip(order) {
        assert!(line.contains(&format!(" DPT={port} ")), "{line}");
    }
    old.knock(&ports("31", "29", "30"), &[CLOSE_22_SYN]);
    old.knock(&ports("1", "2", "3"), &[]);
    old.knock(&ports("30", "29", "31"), &[CLOSE_22_SYN]);
    // And from then on that address is not listened to.
    old.knock(&ports("30", "31", "29"), &[]);
    let other = [&ports("30", "31", "29")[..], &["-client", "203.0.113.8"]].concat();
    old.knock(&other, &["iptables -I INPUT -p tcp -s 203.0.113.8/32 --dport 22 --syn -j ACCEPT"]);
    old.finish();
}

#[test]
fn a_prefix_without_a_blank() {
    let mut old = Old::start("17-prefix");
    old.knock(&["-port", "22", "-time", "0"], &[OPEN_22_SYN]);
    old.knock(&["-port", "22", "-time", "255"], &[CLOSE_22_SYN]);
    old.finish();
}

#[test]
fn ipchains_with_a_chain_of_its_own() {
    let commands = |do_: &str| {
        [
            format!("ipchains -{do_} knocked -p tcp -s 203.0.113.7/32 -d 0/0 22 -j ACCEPT"),
            format!("ipchains -{do_} output -p tcp -s 0/0 22 -d 203.0.113.7/32 ! -y -j ACCEPT"),
        ]
    };
    let mut old = Old::start("18-ipchains");
    for (time, letter) in [("0", "I"), ("255", "D")] {
        let [first, second] = commands(letter);
        old.knock(&["-port", "22", "-time", time], &[&first, &second]);
    }
    old.finish();
}

#[test]
fn rijndael_makes_sixteen_ports() {
    let mut old = Old::start("19-rijndael");
    old.knock(&["-port", "22", "-time", "0"], &[OPEN_22]);
    assert_eq!(old.log("messages").lines().count(), 16);
    old.finish();
}

#[test]
fn des_by_its_modules_name_with_a_random_iv() {
    let mut old = Old::start("20-des");
    old.knock(&["-port", "22"], &[OPEN_22]);
    old.knock(&["-port", "22"], &[OPEN_22]);
    assert_eq!(old.log("messages").lines().count(), 48);
    old.finish();
}

#[test]
fn twofish_over_ports_of_ten_bits() {
    let mut old = Old::start("21-twofish");
    old.knock(&["-port", "22", "-time", "0"], &[OPEN_22]);
    assert_eq!(old.log("messages").lines().count(), 13);
    old.finish();
}

#[test]
fn what_has_a_delay_goes_to_at() {
    let mut old = Old::start("24-at");
    old.knock(&["-port", "22", "-time", "15"], &[OPEN_22]);
    old.await_line("job 7");
    let time = fs::read_to_string(old.host().at("var/log/at.calls")).unwrap();
    let minute = time.trim().strip_prefix("-t ").unwrap();
    assert!(minute.len() == 12 && minute.bytes().all(|byte| byte.is_ascii_digit()), "{time}");
    // It is the job that closes, whatever became of the daemon.
    old.restart();
    assert!(old.host().run("run-jobs", &[]).unwrap().status.success());
    old.expect(&[CLOSE_22]);
    // TIME 0: what is left open needs no job.
    old.knock(&["-port", "22", "-time", "0"], &[OPEN_22]);
    old.finish();
}

#[test]
fn what_the_statefile_says_is_what_is_remembered() {
    let announced = "tell 203.0.113.7 is new";
    let mut old = Old::start("23-statefile");
    old.knock(&["-port", "22"], &[announced, OPEN_22]);
    old.knock(&["-port", "22"], &[OPEN_22]);
    let statefile = old.host().at("var/lib/knockdaemon.state");
    old.restart();
    let text = fs::read_to_string(&statefile).unwrap();
    let state: serde_json::Value = serde_json::from_str(&text).unwrap();
    assert_eq!(state["203.0.113.7"]["visits"], 2, "{text}");
    old.knock(&["-port", "22"], &[OPEN_22]);

    // All that is left of the daemon's memory is the file.
    let lose_the_rest = |host: &OldHost| {
        fs::remove_dir_all(host.at("var/lib/knockdaemon")).unwrap();
    };
    old.restart_after(lose_the_rest);
    old.knock(&["-port", "22"], &[OPEN_22]);
    // Without it they meet for the first time.
    old.restart_after(|host| {
        lose_the_rest(host);
        fs::remove_file(&statefile).unwrap();
    });
    old.knock(&["-port", "22"], &[announced, OPEN_22]);
    old.finish();
}
