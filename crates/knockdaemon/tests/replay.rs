//! `replay` and `formats`: what old logs come to, for people and for programs.

#![allow(clippy::unwrap_used, reason = "in a test a panic is the report")]

mod common;

use common::{CONFIG, Folder, events, knock_log, line};
use serde_json::{Value, json};

#[test]
fn a_knock_in_a_log_and_what_it_would_run_as_json() {
    let folder = Folder::new();
    folder.write("k.conf", CONFIG);
    let log = folder.write("messages", knock_log());
    let ended = folder.run(&["replay", "--json", "-conf", "k.conf", "messages"]);
    assert_eq!((ended.code, ended.err.as_str()), (0, ""));
    let events = events(&ended.out);
    let open = "/sbin/iptables -I INPUT -p tcp -s 10.0.0.1/32 --dport 22 --syn -j ACCEPT";
    let close = "/sbin/iptables -D INPUT -p tcp -s 10.0.0.1/32 --dport 22 --syn -j ACCEPT";
    assert_eq!(
        events[0],
        json!({
            "event": "knock", "line": 8, "client": "10.0.0.1",
            "fields": {"IP": "10.0.0.1", "PORT": 22, "TIME": 15, "CHECKSUM": 48},
            "actions": [
                {"template": "open", "delay_s": 0, "command": open},
                {"template": "close", "delay_s": 900, "command": close},
            ],
        })
    );
    let bytes = std::fs::metadata(log).unwrap().len();
    let summary = events.last().unwrap();
    for (name, value) in [("lines", 8), ("bytes", bytes), ("hits", 8), ("knocks", 1)] {
        assert_eq!(summary[name], value, "{name}");
    }
    assert_eq!(events.len(), 2);
}

#[test]
fn the_same_from_a_pipe_for_people() {
    let folder = Folder::new();
    folder.write("k.conf", CONFIG);
    let ended = folder.run_with_input(&["-conf=k.conf", "replay", "-"], knock_log().as_bytes());
    assert_eq!(ended.code, 0, "{}", ended.err);
    assert!(
        ended.out.contains("line 8: 10.0.0.1 knocked: IP=10.0.0.1 PORT=22 TIME=15"),
        "{}",
        ended.out
    );
    assert!(ended.out.contains("close after 900 s: /sbin/iptables -D"), "{}", ended.out);
    assert!(ended.out.contains("8 lines"), "{}", ended.out);
}

#[test]
fn long_lines_broken_text_and_nul_bytes_lose_nothing_and_keep_the_count() {
    let folder = Folder::new();
    folder.write("k.conf", CONFIG);
    let mut log = Vec::new();
    for (index, packet) in knock_log().lines().enumerate() {
        match index {
            2 => log.extend([vec![b'x'; 10 * 1024 * 1024], b"\n".to_vec()].concat()),
            4 => log.extend(b"\xff\xfe\0 kernel: \x1b[2J IN= SRC=\xff\n"),
            _ => {}
        }
        log.extend_from_slice(packet.as_bytes());
        log.push(b'\n');
    }
    folder.write("messages", log);
    let ended = folder.run(&["-quiet", "-conf", "k.conf", "replay", "--json", "messages"]);
    let events = events(&ended.out);
    assert_eq!(events[0]["event"], "knock");
    assert_eq!(events[0]["line"], 10);
    assert_eq!(events[1]["lines"], 10);
}

#[test]
fn a_queue_that_is_too_old_is_forgotten_by_the_lines_own_time() {
    let folder = Folder::new();
    folder.write("k.conf", format!("queuetimeout = 60s\n{CONFIG}"));
    let whole = knock_log();
    let first_half: String = whole.split_inclusive('\n').take(4).collect();
    let second_half: String =
        whole.split_inclusive('\n').skip(4).collect::<String>().replace("03:22:42", "03:24:00");
    let another = whole.replace("03:22:42", "03:30:00").replace("SPT=4", "SPT=5");
    folder.write("messages", format!("{first_half}{second_half}{another}"));
    let ended = folder.run(&["-conf", "k.conf", "replay", "--json", "messages"]);
    assert_eq!(events(&ended.out).last().unwrap()["knocks"], 1, "the whole one only");
}

#[test]
fn what_its_cooldown_keeps_back_is_told_from_what_no_condition_is_for() {
    let folder = Folder::new();
    folder.write("k.conf", CONFIG.replace("use       = yes", "use = yes\ncooldown = 1h"));
    let again = knock_log().replace("SPT=4", "SPT=5");
    let ended = folder.run_with_input(
        &["-conf=k.conf", "replay", "-"],
        format!("{}{again}", knock_log()).as_bytes(),
    );
    assert!(ended.out.contains("open at once"), "{}", ended.out);
    assert_eq!(ended.out.matches("kept back by its cooldown: ").count(), 1, "{}", ended.out);
    assert!(!ended.out.contains("no action's condition holds"), "{}", ended.out);
}

#[test]
fn a_log_that_cannot_be_read_is_named() {
    let folder = Folder::new();
    folder.write("k.conf", CONFIG);
    let ended = folder.run(&["-conf", "k.conf", "replay", "nosuch.log"]);
    assert_eq!(ended.code, 74);
    assert!(ended.err.contains("nosuch.log: No such file"), "{}", ended.err);
    let ended = folder.run(&["-conf", "k.conf", "replay", "."]);
    assert!(ended.err.contains("is a folder, not a log"), "{}", ended.err);
}

#[test]
fn output_that_cannot_be_written_is_a_failure_and_a_closed_pipe_is_none() {
    let folder = Folder::new();
    folder.write("k.conf", CONFIG);
    folder.write("messages", knock_log());
    for arguments in [&["replay", "messages", "--json"][..], &["check"], &["formats"]] {
        let mut command = std::process::Command::new(env!("CARGO_BIN_EXE_knockdaemon"));
        command.current_dir(folder.dir.path()).args(["-conf", "k.conf"]).args(arguments);
        let full = std::fs::OpenOptions::new().write(true).open("/dev/full").unwrap();
        let ended = command.stdout(full).output().unwrap();
        assert_eq!(ended.status.code(), Some(74), "{arguments:?}");
        assert!(String::from_utf8_lossy(&ended.stderr).contains("No space left"));

        let (reader, writer) = std::io::pipe().unwrap();
        drop(reader);
        let ended = command.stdout(writer).output().unwrap();
        assert_eq!(ended.status.code(), Some(0), "{arguments:?}");
    }
}

#[test]
fn a_fault_is_told_in_json_too() {
    let folder = Folder::new();
    folder.write("k.conf", CONFIG.replace("delay     = TIME", "delay     = 5/(TIME-15)"));
    folder.write("messages", knock_log());
    let ended = folder.run(&["replay", "--json", "-conf", "k.conf", "messages"]);
    let knock = &events(&ended.out)[0];
    assert_eq!(knock["actions"], json!([]), "an opening does not go out without its closing");
    assert!(knock["faults"][0]["why"].as_str().unwrap().contains("zero"), "{knock}");
}

#[test]
fn formats_are_listed_with_their_samples() {
    let folder = Folder::new();
    let ended = folder.run(&["formats"]);
    assert_eq!(ended.code, 0);
    for name in ["iptables", "ipchains", "ulogd"] {
        assert!(ended.out.lines().any(|line| line == name), "{name}");
    }
    let one = folder.run(&["formats", "ipchains"]);
    assert!(one.out.contains("DENY") && one.out.contains("yields nothing"), "{}", one.out);
    let none = folder.run(&["formats", "ipchain"]);
    assert_eq!(none.code, 64);
    assert!(none.err.contains("no logformat 'ipchain'"), "{}", none.err);
}

#[test]
fn a_format_tried_on_a_file_tells_each_line() {
    let folder = Folder::new();
    let forged = "Nov 21 03:22:43 vm kernel: FWDROP IN=eth0 OUT= MAC= SRC=203.0.113.7 DST=203.0.113.1 \
                  LEN=56 TOS=0x00 PREC=0x00 TTL=64 ID=26526 DF PROTO=ICMP TYPE=3 CODE=3 \
                  [SRC=198.51.100.66 DST=203.0.113.1 LEN=28 TOS=0x00 PREC=0x00 TTL=64 ID=16962 \
                  PROTO=UDP SPT=40000 DPT=102 LEN=8 ] \n";
    folder.write("messages", format!("{}{forged}noise\n", line("2001:db8::7", 102, 40_000)));
    let ended = folder.run(&["formats", "iptables", "--test", "messages", "--json"]);
    assert_eq!(ended.code, 0, "{}", ended.err);
    let lines = events(&ended.out);
    assert_eq!(lines[0]["line"], 1);
    assert_eq!(lines[0]["hit"]["client"], "2001:db8::7");
    assert_eq!(lines[0]["hit"]["port"], 102);
    assert_eq!(lines[0]["hit"]["protocol"], "TCP");
    assert_eq!(lines[1]["hit"], Value::Null);
    assert!(lines[1]["why"].as_str().unwrap().contains("ICMP"), "{}", lines[1]);
    assert_eq!(lines[2]["hit"], Value::Null);
    assert_eq!(lines.len(), 3);

    // The old spelling, and for people.
    let ended = folder.run(&["formats", "iptables", "-test", "messages"]);
    assert!(ended.out.contains("1 of 3 lines yield a hit"), "{}", ended.out);
}

#[test]
fn a_users_own_format_in_the_configuration_is_one_of_them() {
    let folder = Folder::new();
    let own = "uselogformat = mine\n<logformat mine>\n  required = fw-drop\n  ipclient = from (\\S+)\n  \
               port = to port (\\d+)\n</logformat>\n";
    folder.write("k.conf", format!("{own}{CONFIG}"));
    folder.write("messages", "fw-drop from 192.0.2.7 to port 800\n");
    let ended = folder.run(&["formats", "mine", "--test", "messages", "--json", "-conf", "k.conf"]);
    assert_eq!(events(&ended.out)[0]["hit"]["port"], 800, "{}", ended.err);
}

/// A log with everything in it that `-debug` has a word for.
fn log_of_all_kinds() -> String {
    let wrong: String = (41_000..).zip(745..753).map(|(s, p)| line("10.0.0.9", p, s)).collect();
    let icmp = "Nov 21 03:22:42 vm kernel: portknock IN=eth0 OUT= SRC=10.0.0.8 DST=203.0.113.1 LEN=88 \
                PROTO=ICMP TYPE=3 CODE=3 [SRC=10.0.0.7 DST=203.0.113.1 PROTO=UDP SPT=1 DPT=750 LEN=8 ] \n";
    let noise = "Nov 21 03:22:42 vm sshd[7]: hello \x1b[31m\n";
    let outside = line("10.0.0.9", 22, 42_000);
    let again = line("10.0.0.9", 752, 41_007);
    format!("{noise}{icmp}{outside}{wrong}{again}{}", knock_log())
}

#[test]
fn debug_tells_line_hit_queue_window_and_decision() {
    let folder = Folder::new();
    folder.write("k.conf", CONFIG);
    folder.write("messages", log_of_all_kinds());
    let ended = folder.run(&["-debug", "-conf", "k.conf", "replay", "messages"]);
    assert_eq!(ended.code, 0, "{}", ended.err);
    for said in [
        "no hit: protocol ICMP has no ports line=\"Nov 21 03:22:42 vm kernel: portknock IN=eth0",
        "hit: client=10.0.0.9 port=22 server=203.0.113.1 interface=eth0 protocol=TCP sourceport=42000",
        "outside the span 745-1000 client=10.0.0.9 port=22",
        "queued 3/8 client=10.0.0.9 port=747 queue=\"745,746,747\"",
        "window refused (padding): it does not decrypt: another key, or no knock at all; its oldest \
         hit is dropped client=10.0.0.9 port=752 window=\"745,746,747,748,749,750,751,752\"",
        "a repeated SYN (same source port), ignored client=10.0.0.9 port=752",
        "window is a knock: IP=10.0.0.1 PORT=22 TIME=15",
        "its condition holds client=10.0.0.1 action=\"open\"",
        "ordered after 900 s: /sbin/iptables -D INPUT -p tcp -s 10.0.0.1/32 --dport 22",
    ] {
        assert!(ended.err.contains(said), "{said}\nis missing in\n{}", ended.err);
    }
    assert!(!ended.err.contains("hello"), "a line that is none of ours: {}", ended.err);
    assert!(ended.out.contains("20 lines"), "{}", ended.out);
}

#[test]
fn debug_tells_which_condition_does_not_hold_and_no_key() {
    let folder = Folder::new();
    folder.write("k.conf", CONFIG.replace("TIME != 255", "TIME == 3"));
    folder.write("messages", format!("{}{}", log_of_all_kinds(), line("10.0.0.1\x1b[2J", 750, 1)));
    let ended = folder.run(&["-debug", "-conf", "k.conf", "replay", "messages"]);
    let said = "its condition does not hold client=10.0.0.1 action=\"open\"";
    assert!(ended.err.contains(said), "{}", ended.err);
    assert!(!ended.err.contains('\x1b'), "a log drives the terminal: {:?}", ended.err);
    folder.write("k.conf", CONFIG.replace("= knock\n", "= sesame7\n"));
    let ended = folder.run(&["-debug", "-conf", "k.conf", "replay", "messages"]);
    assert!(ended.err.contains("window refused"), "{}", ended.err);
    assert!(!format!("{}{}", ended.err, ended.out).contains("sesame7"), "{}", ended.err);
}

#[test]
fn debug_changes_nothing_but_what_is_said() {
    let folder = Folder::new();
    folder.write("k.conf", CONFIG);
    let folded = "Nov 21 03:22:43 vm last message repeated 3 times\n";
    folder.write("messages", format!("{folded}{}{folded}", log_of_all_kinds()));
    let counts = |arguments: &[&str]| {
        let ended =
            folder.run(&[arguments, &["-conf", "k.conf", "replay", "--json", "messages"]].concat());
        let mut events = events(&ended.out);
        events.last_mut().unwrap()["seconds"] = json!(0);
        events
    };
    assert_eq!(counts(&[]), counts(&["-debug"]));
}

#[test]
fn formats_unfolds_what_the_daemon_unfolds() {
    let folder = Folder::new();
    let folded = "Nov 21 03:22:43 vm last message repeated 3 times\n";
    folder.write("messages", format!("{folded}{}{folded}", line("10.0.0.1", 750, 40_000)));
    let ended = folder.run(&["formats", "iptables", "--test", "messages"]);
    assert!(ended.out.contains("3 times the last hit: client=10.0.0.1 port=750"), "{}", ended.out);
    assert!(ended.out.contains("2 of 3 lines yield a hit"), "{}", ended.out);
    let ended = folder.run(&["formats", "iptables", "--test", "messages", "--json"]);
    let events = events(&ended.out);
    assert_eq!((&events[0]["hit"], &events[2]["times"]), (&Value::Null, &json!(3)));
}

#[test]
fn on_a_terminal_what_each_expression_caught_has_its_colour_and_its_name() {
    let folder = Folder::new();
    folder.write("messages", format!("{}noise \x1b[2J\n", line("192.0.2.7", 750, 40_000)));
    let shown = |variable: &str| {
        let mut command = folder.command(&["formats", "iptables", "--test", "messages"]);
        let output = command.env(variable, "1").output().unwrap();
        String::from_utf8(output.stdout).unwrap()
    };
    let coloured = shown("CLICOLOR_FORCE");
    for (name, value) in [("ipclient", "192.0.2.7"), ("port", "750"), ("sourceport", "40000")] {
        let legend =
            coloured.split('\u{1b}').find(|part| part.ends_with(&format!("{name}={value}")));
        let style = legend.and_then(|part| part.split_once('m')).unwrap().0.to_owned();
        // The same colour in the line and in the legend.
        assert!(coloured.contains(&format!("{style}m{value}\u{1b}[0m")), "{name}: {coloured}");
    }
    assert!(coloured.contains("DPT=\u{1b}"), "only the value: {coloured}");
    assert!(!coloured.contains("\u{1b}[2J"), "a log drives the terminal: {coloured:?}");
    assert!(!shown("NO_COLOR").contains('\u{1b}'));
}
