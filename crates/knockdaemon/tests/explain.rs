//! `explain`: logs of real knocks with something done to them, and what is told of them.

#![allow(clippy::unwrap_used, reason = "in a test a panic is the report")]

mod common;

use std::fs::OpenOptions;
use std::io::{BufRead, BufReader, Write};
use std::process::{Child, Command, Stdio};

use common::{CONFIG, Ended, Folder, KNOCK, events, knock_log, line, pcap, syn};
use etherparse::PacketBuilder;
use serde_json::{Value, json};

const CLIENT: &str = "10.0.0.1";

/// The lines that the firewall would log of a knock that our own client makes.
fn client_lines(folder: &Folder, options: &str) -> Vec<String> {
    let lines = any_client_lines(folder, options);
    assert_eq!(lines.len(), 8, "{lines:#?}");
    lines
}

/// The same, of a knock of any length.
fn any_client_lines(folder: &Folder, options: &str) -> Vec<String> {
    folder.write("client.conf", "key = knock\n");
    let log = folder.path("client.log");
    let _none = std::fs::remove_file(&log);
    let (conf, log_name) = (folder.path("client.conf"), log.display().to_string());
    let fixed = format!("knockclient -conf {} -logtofile -logfile {log_name}", conf.display());
    let words = format!("{fixed} -fileformat iptables -port 22 -time 15 {options}");
    knockclient::main_with(words.split_whitespace().map(Into::into));
    let text = std::fs::read_to_string(log).unwrap();
    text.lines().map(str::to_owned).collect()
}

/// What `explain` makes of these lines.
fn explained(folder: &Folder, config: &str, lines: &[String]) -> (i32, Vec<Value>) {
    folder.write("k.conf", config);
    folder.write("messages", lines.iter().map(|line| format!("{line}\n")).collect::<String>());
    let ended =
        folder.run(&["explain", "-conf", "k.conf", "messages", "-client", CLIENT, "--json"]);
    assert!(!ended.out.contains("sesame"), "a key is told: {}", ended.out);
    (ended.code, events(&ended.out))
}

/// The codes of what was found: near misses, then conclusions.
fn found(events: &[Value]) -> Vec<String> {
    let code = |event: &Value| event["code"].as_str().unwrap().to_owned();
    let near = events.iter().filter(|event| event["event"] == "near").map(code);
    let conclusions = events.last().unwrap()["conclusions"].as_array().unwrap().iter().map(code);
    near.chain(conclusions).collect()
}

/// Does something to a knock and looks at what is found, and at whether a knock was accepted.
#[track_caller]
fn check(change: impl FnOnce(&mut Vec<String>), accepted: bool, codes: &[&str]) -> Vec<Value> {
    let folder = Folder::new();
    let mut lines = client_lines(&folder, "-client 10.0.0.1");
    change(&mut lines);
    check_lines(&folder, CONFIG, &lines, accepted, codes)
}

#[track_caller]
fn check_lines(
    folder: &Folder,
    config: &str,
    lines: &[String],
    accepted: bool,
    codes: &[&str],
) -> Vec<Value> {
    let (status, events) = explained(folder, config, lines);
    assert_eq!(found(&events), codes, "{events:#?}");
    assert_eq!(status, if accepted { 0 } else { 1 });
    events
}

fn near(events: &[Value]) -> &Value {
    events.iter().find(|event| event["event"] == "near").unwrap()
}

fn from_another_port(line: &str) -> String {
    let start = line.find(" SPT=").unwrap() + 5;
    let end = start + line[start..].find(' ').unwrap();
    format!("{}31999{}", &line[..start], &line[end..])
}

#[test]
fn a_whole_knock_with_what_each_action_makes_of_it() {
    let events = check(|_| (), true, &[]);
    let verdicts: Vec<&str> = events.iter().filter_map(|event| event["verdict"].as_str()).collect();
    assert_eq!(verdicts, [vec!["queued"; 7], vec!["accepted"]].concat());
    assert_eq!(events[2]["queue"], json!(KNOCK[..3]));
    let knock = events.iter().find(|event| event["event"] == "knock").unwrap();
    assert_eq!(knock["line"], 8);
    assert_eq!(knock["fields"]["PORT"], 22);
    let open = &knock["actions"][0];
    assert_eq!((&open["action"], &open["holds"]), (&json!("open"), &json!(true)));
    assert_eq!(open["condition"], "(PORT == 22) && (TIME != 255)");
    assert!(open["runs"]["command"].as_str().unwrap().contains("-I INPUT -p tcp -s 10.0.0.1/32"));
    assert_eq!(knock["actions"][1]["runs"]["delay_s"], 900);
}

#[test]
fn two_actions_with_one_template_are_told_apart() {
    let folder = Folder::new();
    let lines = client_lines(&folder, "-client 10.0.0.1");
    let config = CONFIG
        .replace("TIME > 0 && TIME < 255", "TIME == 3")
        .replace("template  = close\n    delay", "template  = open\n    delay");
    let events = check_lines(&folder, &config, &lines, true, &[]);
    let knock = events.iter().find(|event| event["event"] == "knock").unwrap();
    assert_eq!(knock["actions"][1]["condition"], "(PORT == 22) && (TIME == 3)");
    assert_eq!(
        (&knock["actions"][1]["holds"], &knock["actions"][1]["runs"]),
        (&json!(false), &Value::Null)
    );
}

#[test]
fn a_knock_that_comes_again_is_named_as_such() {
    let folder = Folder::new();
    let config = format!("iv = yes\n{CONFIG}");
    let options = "-client 10.0.0.1 -iv yes";
    let first = any_client_lines(&folder, options);
    let second = any_client_lines(&folder, options);
    assert_eq!((first.len(), second.len()), (24, 24));
    let lines = [&first[..], &first, &second, &first[20..], &second].concat();
    let events = check_lines(&folder, &config, &lines, true, &["replayed"]);
    let refused: Vec<_> = events.iter().filter(|event| event["code"] == "replayed").collect();
    let lines: Vec<_> = refused.iter().map(|event| &event["line"]).collect();
    assert_eq!(lines, [48, 100], "{refused:#?}");
    let summary = events.last().unwrap();
    assert_eq!((&summary["knocks"], &summary["refused"]["replayed"]), (&json!(2), &json!(2)));

    let ended = folder.run(&["explain", "-conf", "k.conf", "messages", "-client", CLIENT]);
    let said = "refused (replayed): this knock was accepted before, and each is accepted once\n    \
                the queue is empty again";
    assert_eq!(ended.out.matches(said).count(), 2, "{}", ended.out);
    assert!(ended.out.contains("a knock came again 2 times that was accepted"), "{}", ended.out);

    let ended = folder.run(&["replay", "-conf", "k.conf", "messages"]);
    let said = format!("line 48: {CLIENT} refused: this knock was accepted before");
    assert!(ended.out.contains(&said), "{}", ended.out);
    assert!(ended.out.contains("2 knocks (2 more came again and were refused)"), "{}", ended.out);
    let ended = folder.run(&["replay", "--json", "-conf", "k.conf", "messages"]);
    let told: Vec<Value> = common::events(&ended.out);
    let names: Vec<&str> = told.iter().filter_map(|event| event["event"].as_str()).collect();
    assert_eq!(names, ["knock", "refused", "knock", "refused", "summary"]);
    assert_eq!((&told[1]["line"], &told[1]["code"]), (&json!(48), &json!("replayed")));
    assert_eq!(told[4]["refused"]["replayed"], 2);

    // Where the configuration allows it.
    folder.write("k.conf", format!("replay = allow\n{config}"));
    let ended = folder.run(&["replay", "-conf", "k.conf", "messages"]);
    assert!(ended.out.contains("4 knocks in "), "{}", ended.out);
}

#[test]
fn a_lost_hit_is_named_whichever_it_was() {
    for (place, port) in KNOCK.into_iter().enumerate() {
        let events = check(|lines| drop(lines.remove(place)), false, &["missing"]);
        assert_eq!(near(&events)["place"], place + 1);
        assert_eq!(near(&events)["ports"], json!([port]));
        assert_eq!(near(&events)["fields"]["TIME"], 15);
    }
    check(|lines| drop(lines.drain(2..4)), false, &["too_few"]);
    // The last hit is awaited before it is called lost, and a second try is not mixed up with it.
    let lost_and_again = |lines: &mut Vec<String>| {
        let again: Vec<String> = lines.iter().map(|line| from_another_port(line)).collect();
        lines.remove(0);
        lines.extend(again);
    };
    check(lost_and_again, true, &["missing"]);
}

#[test]
fn a_syn_sent_again_is_ignored_by_its_source_port_and_one_from_another_port_is_told() {
    let again = |lines: &mut Vec<String>| lines.insert(4, lines[3].clone());
    let events = check(again, true, &[]);
    assert_eq!(events.last().unwrap()["repeated"], 1);

    let anew = |lines: &mut Vec<String>| lines.insert(4, from_another_port(&lines[3]));
    let events = check(anew, false, &["double"]);
    let what = near(&events)["what"].as_str().unwrap();
    assert!(what.contains("port 789, from the source ports") && what.contains("31999"), "{what}");

    // A logformat that does not tell source ports.
    let folder = Folder::new();
    let mut lines = client_lines(&folder, "-client 10.0.0.1");
    again(&mut lines);
    let own = "uselogformat = mine\n<logformat mine>\n  ipclient = SRC=(\\S+)\n  port = DPT=(\\d+)\n\
               </logformat>\n";
    let events = check_lines(&folder, &format!("{own}{CONFIG}"), &lines, false, &["double"]);
    assert!(near(&events)["do"].as_str().unwrap().contains("'sourceport'"));

    let twice = |lines: &mut Vec<String>| {
        *lines = lines.iter().flat_map(|line| [line.clone(), from_another_port(line)]).collect();
    };
    check(twice, false, &["each_once"]);
}

#[test]
fn hits_in_another_order_or_with_strangers_between_them() {
    let events = check(|lines| lines.swap(2, 3), false, &["moved"]);
    assert_eq!((&near(&events)["ports"], &near(&events)["late"]), (&json!([946]), &json!(1)));
    let late = |lines: &mut Vec<String>| {
        let line = lines.remove(2);
        lines.push(line);
    };
    let events = check(late, false, &["moved"]);
    assert_eq!(near(&events)["late"], 5, "late, and not missing");
    let stranger =
        |lines: &mut Vec<String>| lines.insert(5, line(CLIENT, 750, 31_999).trim().into());
    check(stranger, false, &["extra"]);
}

#[test]
fn a_knock_made_for_another_address_says_which_and_names_the_router() {
    let folder = Folder::new();
    let lines: Vec<String> = client_lines(&folder, "-client 192.168.1.5")
        .iter()
        .map(|line| line.replace("SRC=192.168.1.5", "SRC=203.0.113.50"))
        .collect();
    folder.write("k.conf", CONFIG);
    folder.write("messages", lines.join("\n") + "\n");
    let ended = folder.run(&["explain", "messages", "-conf", "k.conf", "-client=203.0.113.50"]);
    assert_eq!(ended.code, 1);
    for said in [
        "refused (address): the address inside it is 192.168.1.5",
        "the address inside the knock is 192.168.1.5, and its packets came from 203.0.113.50: a \
         private address, so a translating router (NAT) is in between",
        "knockclient -client 203.0.113.50",
        "anyip = yes",
    ] {
        assert!(ended.out.contains(said), "{said}\nis missing in\n{}", ended.out);
    }
}

#[test]
fn one_knock_from_two_addresses_of_a_pool() {
    let pool = |lines: &mut Vec<String>| {
        for line in &mut lines[5..] {
            *line = line.replace("SRC=10.0.0.1 ", "SRC=10.0.0.77 ");
        }
    };
    let events = check(pool, false, &["several_addresses"]);
    assert_eq!(near(&events)["addresses"], json!(["10.0.0.1", "10.0.0.77"]));
}

#[test]
fn another_key_another_length_another_span() {
    let folder = Folder::new();
    let lines = client_lines(&folder, "-client 10.0.0.1");
    let wrong = CONFIG.replace("= knock\n", "= sesame\n");
    let events = check_lines(&folder, &wrong, &lines, false, &["nothing_decrypts"]);
    assert_eq!(events.last().unwrap()["refused"], json!({"padding": 1}));

    let longer = wrong.replace("key ", "knock = IP,PORT,TIME\nmac = 4\nkey ");
    check_lines(&folder, &longer, &lines, false, &["too_few"]);

    let elsewhere = format!("portspan = 2000-2255\n{CONFIG}");
    let events = check_lines(&folder, &elsewhere, &lines, false, &["outside_span"]);
    assert_eq!(events[0]["verdict"], "outside_span");
    let partly = format!("portspan = 800-1055\n{CONFIG}");
    check_lines(&folder, &partly, &lines, false, &["too_few", "some_outside_span"]);
}

#[test]
fn a_pause_longer_than_queuetimeout_is_told_with_its_length() {
    let folder = Folder::new();
    let text = knock_log();
    let lines: Vec<String> = text
        .lines()
        .enumerate()
        .map(|(nth, line)| if nth < 4 { line.into() } else { line.replace("03:22:42", "03:23:57") })
        .collect();
    let config = format!("queuetimeout = 60s\n{CONFIG}");
    let events = check_lines(&folder, &config, &lines, false, &["too_slow"]);
    assert_eq!(
        events[4]["forgotten"],
        json!({"why": "queuetimeout", "hits": 4, "pause_s": 75.0, "timeout_s": 60.0})
    );
    let what = near(&events)["what"].as_str().unwrap();
    assert!(what.contains("75 s passed before the one on port 809"), "{what}");
}

#[test]
fn hits_that_look_repeated_and_are_not() {
    let folder = Folder::new();
    // 10.0.0.1 has the same port twice in a row, and this client keeps its source port.
    let config = CONFIG.replace("key ", "encrypt = no\nkey ");
    let bytes = [10u16, 0, 0, 1, 22, 15];
    let whole = bytes.into_iter().chain([bytes.iter().sum::<u16>() % 255]).map(|byte| 745 + byte);
    let lines: Vec<String> =
        whole.map(|port| line(CLIENT, port, 40_000).trim_end_matches('\n').to_owned()).collect();
    check_lines(&folder, &config, &lines, false, &["repeats_counted"]);
}

#[test]
fn lines_that_name_the_client_and_are_no_hits() {
    let folder = Folder::new();
    let icmp = "Nov 21 03:22:42 vm kernel: portknock IN=eth0 OUT= SRC=10.0.0.8 DST=203.0.113.1 LEN=88 \
                PROTO=ICMP TYPE=3 CODE=3 [SRC=10.0.0.1 DST=203.0.113.1 PROTO=UDP SPT=1 DPT=750 LEN=8 ] ";
    let answer = line(CLIENT, 750, 1).replace(" SYN ", " ACK SYN ");
    let allowed = line(CLIENT, 750, 2).replace("portknock", "[UFW ALLOW]");
    let ssh = "Nov 21 03:22:42 vm sshd[7]: Invalid user \x1b[2J from 10.0.0.1 port 7";
    let other = line("10.0.0.11", 750, 3);
    let lines =
        [icmp, &answer, &allowed, ssh, &other].map(|line| line.trim_end_matches('\n').to_owned());
    let events = check_lines(&folder, CONFIG, &lines, false, &["no_hit", "neighbour"]);
    let told: Vec<(&Value, &Value)> = events
        .iter()
        .filter(|event| event["event"] == "no_hit")
        .map(|event| (&event["line"], &event["code"]))
        .collect();
    let expected = [(1, "no_ports"), (2, "not_a_syn"), (3, "allowed"), (4, "not_required")]
        .map(|(line, code)| (json!(line), json!(code)));
    assert_eq!(told, expected.iter().map(|(line, code)| (line, code)).collect::<Vec<_>>());

    let text = folder.run(&["explain", "messages", "-conf", "k.conf", "--client", CLIENT]).out;
    assert!(text.contains("the packet was let through, not denied"), "{text}");
    assert!(!text.contains('\x1b') && text.contains("\\u{1b}[2J"), "{text:?}");
}

#[test]
fn a_client_that_never_appears() {
    let folder = Folder::new();
    let elsewhere = knock_log().replace(CLIENT, "198.51.100.4");
    let lines = |text: &str| text.lines().map(str::to_owned).collect::<Vec<_>>();
    check_lines(&folder, CONFIG, &lines(&elsewhere), false, &["never_seen", "others"]);
    let near = knock_log().replace(CLIENT, "10.0.0.9");
    let events = check_lines(&folder, CONFIG, &lines(&near), false, &["never_seen", "neighbour"]);
    let neighbour = &events.last().unwrap()["neighbours"][0];
    assert_eq!(*neighbour, json!({"client": "10.0.0.9", "hits": 8, "in_span": 8, "knocks": 0}));
    let nobody = ["Nov 21 03:22:42 vm cron[1]: hello".to_owned()];
    let events = check_lines(&folder, CONFIG, &nobody, false, &["no_hits"]);
    assert_eq!(events.last().unwrap()["no_hits"], json!({"not_required": 1}));
    check_lines(&folder, CONFIG, &[], false, &["nothing_read"]);
    // The address as another family writes it is the same client.
    folder.write("messages", knock_log());
    let mapped =
        folder.run(&["explain", "-conf", "k.conf", "messages", "--client", "::ffff:10.0.0.1"]);
    assert_eq!(mapped.code, 0, "{}", mapped.out);
}

#[test]
fn the_story_for_people() {
    let folder = Folder::new();
    folder.write("k.conf", CONFIG);
    let log: String = (knock_log().split_inclusive('\n').enumerate())
        .filter(|(nth, _)| *nth != 3)
        .map(|(_, line)| line)
        .collect();
    let noise = "Nov 21 03:22:43 vm kernel: portknock IN=eth0 OUT= SRC=10.0.0.1 DST=203.0.113.1 LEN=60 \
                 PROTO=TCP SPT=7 DPT=22 WINDOW=1 RES=0x00 SYN URGP=0 \n";
    let arguments = ["explain", "-conf", "k.conf", "-", "--client", CLIENT];
    let ended = folder.run_with_input(&arguments, format!("{noise}{log}").as_bytes());
    assert_eq!((ended.code, ended.err.as_str()), (1, ""));
    let wanted = include_str!("explain/lost.txt");
    assert_eq!(ended.out, wanted, "as it is now:\n{}", ended.out);
}

#[test]
fn colours_on_a_terminal_only() {
    let folder = Folder::new();
    folder.write("k.conf", CONFIG);
    folder.write("messages", knock_log());
    let shown = |variable: &str, json: &[&str]| {
        let arguments =
            [&["explain", "-conf", "k.conf", "messages", "--client", CLIENT], json].concat();
        let output = folder.command(&arguments).env(variable, "1").output().unwrap();
        String::from_utf8(output.stdout).unwrap()
    };
    assert!(shown("CLICOLOR_FORCE", &[]).contains("\u{1b}[1m\u{1b}[32ma knock:"));
    assert!(!shown("CLICOLOR_FORCE", &["--json"]).contains('\u{1b}'));
    assert!(!shown("NO_COLOR", &[]).contains('\u{1b}'));
}

#[test]
fn what_is_asked_wrongly_is_said() {
    let folder = Folder::new();
    folder.write("k.conf", CONFIG);
    folder.write("messages", knock_log());
    let run = |arguments: &[&str]| -> Ended { folder.run(arguments) };
    let ended = run(&["explain", "-conf", "k.conf", "messages", "--client", "10.0.0.0/24"]);
    assert_eq!(ended.code, 64);
    assert!(ended.err.contains("give one address"), "{}", ended.err);
    assert_eq!(run(&["explain", "-conf", "k.conf", "messages"]).code, 64);
    assert_eq!(run(&["explain", "-conf", "k.conf", "--client", CLIENT]).code, 64);
    let ended = run(&["explain", "-conf", "k.conf", "nosuch", "--client", CLIENT]);
    assert_eq!(ended.code, 74);
}

#[test]
fn a_capture_file_tells_the_same() {
    let folder = Folder::new();
    let config =
        CONFIG.replace("logfile = /var/log/messages\n", "runmode = network\ninterface = eth0\n");
    folder.write("k.conf", config);
    let mut frames: Vec<Vec<u8>> =
        (40_000..).zip(KNOCK).map(|(from, port)| syn([203, 0, 113, 1], from, port)).collect();
    frames.remove(6);
    let mut answer = Vec::new();
    PacketBuilder::ethernet2([2; 6], [4; 6])
        .ipv4([10, 0, 0, 1], [203, 0, 113, 1], 64)
        .tcp(22, 750, 1000, 64_240)
        .ack(7)
        .write(&mut answer, &[])
        .unwrap();
    frames.insert(0, answer);
    folder.write("x.pcap", pcap(&frames));
    let ended = folder.run(&["explain", "-conf", "k.conf", "x.pcap", "--client", CLIENT, "--json"]);
    let events = events(&ended.out);
    assert_eq!((&events[0]["packet"], &events[0]["code"]), (&json!(1), &json!("not_a_syn")));
    assert_eq!(found(&events), ["missing"], "{}", ended.err);
    assert_eq!(near(&events)["ports"], json!([KNOCK[6]]));
}

/// `explain --follow` at work.
struct Following {
    child: Child,
    out: BufReader<std::process::ChildStdout>,
}

impl Following {
    /// Begins, and waits until the log is followed.
    fn start(folder: &Folder, more: &[&str]) -> Self {
        let arguments = ["explain", "-conf", "k.conf", "--follow", "--client", CLIENT];
        let mut command: Command = folder.command(&[&arguments, more].concat());
        let mut child = command.stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().unwrap();
        let mut err = BufReader::new(child.stderr.take().unwrap());
        let mut said = String::new();
        while !said.contains("following ") {
            said.clear();
            assert_ne!(err.read_line(&mut said).unwrap(), 0, "it ended before it followed");
        }
        // Kept read, so that it never waits for us.
        std::thread::spawn(move || std::io::copy(&mut err, &mut std::io::sink()));
        let out = BufReader::new(child.stdout.take().unwrap());
        Self { child, out }
    }

    /// Reads on until a line has this in it.
    fn await_line(&mut self, part: &str) -> String {
        let mut line = String::new();
        while !line.contains(part) {
            line.clear();
            assert_ne!(self.out.read_line(&mut line).unwrap(), 0, "it ended without {part}");
        }
        line
    }

    /// Ends it as ctrl-C does, and returns the status.
    fn interrupt(mut self) -> i32 {
        let id = self.child.id().to_string();
        assert!(Command::new("kill").args(["-INT", &id]).status().unwrap().success());
        self.await_line("summary");
        self.child.wait().unwrap().code().unwrap()
    }
}

fn append(path: &std::path::Path, text: &str) {
    OpenOptions::new().append(true).open(path).unwrap().write_all(text.as_bytes()).unwrap();
}

#[test]
fn the_log_of_the_configuration_is_followed_until_ctrl_c() {
    let folder = Folder::new();
    let log = folder.write("live.log", knock_log());
    folder.write("k.conf", CONFIG.replace("/var/log/messages", &log.display().to_string()));
    let mut following = Following::start(&folder, &["--json"]);
    let whole = knock_log().replace("SPT=4", "SPT=5");
    let first: String = whole.split_inclusive('\n').take(7).collect();
    append(&log, &first);
    // Nobody sends the last one: it is told although nothing comes any more.
    let near = following.await_line(r#""event":"near""#);
    assert!(near.contains(r#""code":"missing""#) && near.contains(r#""place":8"#), "{near}");
    append(&log, &whole.replace("SPT=5", "SPT=6"));
    let knock = following.await_line(r#""event":"knock""#);
    assert!(knock.contains("-I INPUT"), "{knock}");
    assert_eq!(following.interrupt(), 0);
}

#[test]
fn a_log_that_is_named_is_followed_in_place_of_the_configured_one() {
    let folder = Folder::new();
    folder.write("k.conf", CONFIG);
    let log = folder.write("other.log", "");
    let mut following = Following::start(&folder, &["other.log", "--json"]);
    append(&log, &line(CLIENT, 750, 1));
    let hit = following.await_line(r#""event":"hit""#);
    assert!(hit.contains(r#""queue":[750]"#) && !hit.contains(r#""line""#), "{hit}");
    assert_eq!(following.interrupt(), 1);
}

#[test]
fn a_named_pipe_is_the_daemons_alone() {
    let folder = Folder::new();
    let pipe = folder.path("pipe");
    assert!(Command::new("mkfifo").arg(&pipe).status().unwrap().success());
    folder.write("k.conf", CONFIG.replace("/var/log/messages", &pipe.display().to_string()));
    let ended = folder.run(&["explain", "-conf", "k.conf", "--follow", "--client", CLIENT]);
    assert_eq!(ended.code, 74);
    assert!(ended.err.contains("is a named pipe"), "{}", ended.err);
}
