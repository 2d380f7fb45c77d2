//! One of the old-style configurations of `tests/data/old` on a host of its own, and its client.

#![allow(dead_code, reason = "each test program uses a part of it")]
#![allow(unreachable_pub, reason = "a module of several test programs")]

use std::fs;
use std::path::{Path, PathBuf};

use knock_e2e::oldhost::OldHost;
use knock_e2e::process::Running;
use rustix::process::Signal;

/// All programs that the configurations call.
const PROGRAMS: &[&str] = &["iptables", "ipchains", "printer-door", "note", "wake", "tell", "ring"];

/// at(1), as far as one sees it from outside: it keeps the job, and `run-jobs` is the time come.
const AT: &str = r#"#!/bin/sh
echo "$*" >> /var/log/at.calls
cat >> /var/log/at.jobs
echo "warning: commands will be executed using /bin/sh" >&2
echo "job 7 at Thu Feb 12 00:28:00 2004" >&2
"#;
const RUN_JOBS: &str = "#!/bin/sh\nexec /bin/sh < /var/log/at.jobs\n";

/// The logs that they follow.
const LOGS: [&str; 3] = ["messages", "kern.log", "wall"];

/// The folder of the configurations.
pub fn folder() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/data/old")
}

/// The names of the configurations, without `.conf`, in order.
pub fn names() -> Vec<String> {
    let mut names: Vec<String> = fs::read_dir(folder())
        .unwrap()
        .map(|entry| entry.unwrap().file_name().into_string().unwrap())
        .filter_map(|name| Some(name.strip_suffix(".conf")?.to_owned()))
        .filter(|name| !name.ends_with(".client"))
        .collect();
    names.sort();
    names
}

/// A host with all files of one configuration, and an empty log where it looks for one.
pub fn host(name: &str) -> OldHost {
    let host = OldHost::new(PROGRAMS).unwrap();
    host.program("at", AT).unwrap();
    host.program("run-jobs", RUN_JOBS).unwrap();
    let number = &name[..3];
    for entry in fs::read_dir(folder()).unwrap() {
        let path = entry.unwrap().path();
        if path.file_name().unwrap().to_str().unwrap().starts_with(number) {
            host.install(&path).unwrap();
        }
    }
    for log in LOGS {
        fs::write(host.at("var/log").join(log), "").unwrap();
    }
    host
}

/// The daemon with one of the configurations, unchanged, and a client with the one that goes with it.
pub struct Old {
    daemon: Running,
    name: String,
    client: PathBuf,
    knocks: usize,
    all_knocks: usize,
    ran: usize,
    host: OldHost,
}

impl Old {
    pub fn start(name: &str) -> Self {
        Self::start_with(name, &[])
    }

    pub fn start_with(name: &str, environment: &[(&str, &str)]) -> Self {
        let host = host(name);
        let daemon = host.daemon(&host.at(&format!("etc/{name}.conf")), environment).unwrap();
        let client = host.at(&format!("etc/{name}.client.conf"));
        Self { daemon, name: name.to_owned(), client, knocks: 0, all_knocks: 0, ran: 0, host }
    }

    /// Knocks once, waits until that is accepted, and until these commands and no others have run. A
    /// command is written as `iptables -I INPUT …`; where it has quotes or blanks in a word, as the
    /// stand-in writes it down.
    pub fn knock(&mut self, fields: &[&str], commands: &[&str]) {
        self.host.knock(&self.client, fields).unwrap();
        self.knocks += 1;
        self.all_knocks += 1;
        self.daemon.await_lines("knock accepted", self.knocks).unwrap();
        self.expect(commands);
    }

    /// Waits until these commands have run, in this order, and no others since the last look.
    pub fn expect(&mut self, commands: &[&str]) {
        let all = self
            .host
            .await_ran(self.ran + commands.len())
            .unwrap_or_else(|error| panic!("{error}\n{}", self.daemon.lines().join("\n")));
        let expected: Vec<String> = commands.iter().map(|line| as_recorded(line)).collect();
        assert_eq!(all[self.ran..], expected);
        self.ran = all.len();
    }

    /// Waits until the daemon says this.
    pub fn await_line(&self, text: &str) {
        self.daemon.await_line(text).unwrap();
    }

    /// The log that the daemon follows.
    pub fn log(&self, name: &str) -> String {
        fs::read_to_string(self.host.at("var/log").join(name)).unwrap()
    }

    /// The host's files.
    pub fn host(&self) -> &OldHost {
        &self.host
    }

    /// Stops the daemon and starts it again with the same files.
    pub fn restart(&mut self) {
        self.restart_after(|_| ());
    }

    /// The same, with something done to the host's files in between.
    pub fn restart_after(&mut self, change: impl FnOnce(&OldHost)) {
        self.stop();
        change(&self.host);
        let config = self.host.at(&format!("etc/{}.conf", self.name));
        self.daemon = self.host.daemon(&config, &[]).unwrap();
        self.knocks = 0;
    }

    /// Stops the daemon: it has run no command beyond those that were expected, and complained of
    /// nothing. The configuration converted to YAML, and from there back, finds the same in the log.
    pub fn finish(mut self) {
        self.stop();
        self.says_the_same_when_converted();
        let ran = self.host.ran().unwrap();
        assert_eq!(ran.len(), self.ran, "{ran:#?}");
        for line in self.daemon.lines() {
            assert!(!line.contains(" ERROR "), "{line}");
        }
    }

    fn says_the_same_when_converted(&self) {
        let converted = |from: &str, to: &str| {
            let output = self.host.run("knockdaemon", &["convert", from, "-o", to]).unwrap();
            let said = String::from_utf8_lossy(&output.stderr);
            assert!(output.status.success(), "convert {from}: {said}");
            let output = self.host.run("knockdaemon", &["check", "-conf", to]).unwrap();
            let said = String::from_utf8_lossy(&output.stdout);
            assert!(output.status.success() && said.contains(": ok\n"), "{to}: {said}");
        };
        let original = format!("{}.conf", self.name);
        converted(&original, "converted.yaml");
        converted("converted.yaml", "back.conf");
        let found = self.replayed(&original);
        assert_eq!(found.len(), self.all_knocks, "{found:#?}");
        assert_eq!(self.replayed("converted.yaml"), found);
        assert_eq!(self.replayed("back.conf"), found);
    }

    /// The knocks that `replay` finds in the log, with what each would have run.
    fn replayed(&self, config: &str) -> Vec<String> {
        let logs = LOGS.map(|log| format!("/var/log/{log}"));
        let mut arguments = vec!["replay", "--json", "-conf", config];
        arguments.extend(logs.iter().map(String::as_str));
        let output = self.host.run("knockdaemon", &arguments).unwrap();
        assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
        let said = String::from_utf8(output.stdout).unwrap();
        // All but the summary, which tells how long it took.
        let events = said.lines().filter(|line| line.contains("\"event\":\"knock\""));
        events.map(ToOwned::to_owned).collect()
    }

    fn stop(&mut self) {
        self.daemon.signal(Signal::TERM).unwrap();
        assert!(self.daemon.await_end().unwrap().success());
    }
}

fn as_recorded(command: &str) -> String {
    if command.contains('[') {
        return command.to_owned();
    }
    let mut words = command.split_whitespace();
    let name = words.next().unwrap_or_default().to_owned();
    words.fold(name, |line, word| format!("{line} [{word}]"))
}
