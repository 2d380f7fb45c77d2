//! A log on a file system without events: bindfs, through FUSE, shows a folder in which others write,
//! and inotify says nothing of that. So it is with NFS, SMB and their like.

#![allow(clippy::unwrap_used, reason = "in a test a panic is the report")]

use std::fs;

use knock_e2e::process::{PATIENCE, Running, await_until};
use knock_e2e::written::WrittenLog;
use rustix::fs::inotify;
use rustix::process::Signal;

const ACTIONS: &str = "
fileinterval = 0.1
resume = yes
<actions>
  <action>
    condition = PORT == 22
    template  = tell
  </action>
  <template tell>
    exec = /bin/echo knock TIME
  </template>
</actions>
";

/// The writer's folder, and the daemon's view of it.
struct Mounted {
    host: WrittenLog,
    bindfs: Option<Running>,
}

impl Mounted {
    fn new() -> Self {
        let host = WrittenLog::new(ACTIONS).unwrap();
        fs::create_dir(host.path("log")).unwrap();
        fs::create_dir(host.path("seen")).unwrap();
        let config = fs::read_to_string(host.config()).unwrap();
        let (log, seen) = (host.path("messages"), host.path("seen/messages"));
        fs::rename(&log, host.path("log/messages")).unwrap();
        std::os::unix::fs::symlink("log/messages", &log).unwrap();
        let config = config.replace(&log.display().to_string(), &seen.display().to_string());
        fs::write(host.config(), config).unwrap();
        let mut command = std::process::Command::new("bindfs");
        command.arg("-f").arg(host.path("log")).arg(host.path("seen"));
        let bindfs = Some(Running::spawn("bindfs", &mut command).unwrap());
        let it = Self { host, bindfs };
        let is_mounted = || it.host.path("seen/messages").exists();
        assert!(await_until(PATIENCE, is_mounted), "{:?}", it.bindfs.as_ref().unwrap().lines());
        it
    }

    fn daemon(&self) -> Running {
        self.host.daemon(&[], &["-debug"]).unwrap()
    }

    fn rotate(&self, to: &str) {
        fs::rename(self.host.path("log/messages"), self.host.path("log").join(to)).unwrap();
        fs::write(self.host.path("log/messages"), "").unwrap();
    }

    /// The lines of a knock that happens now, in two halves.
    fn halves(&mut self, time: u8) -> (Vec<String>, Vec<String>) {
        let date = ["+%Y-%m-%dT%H:%M:%S.%6N%:z"];
        let stamp = std::process::Command::new("date").args(date).output().unwrap();
        let stamp = String::from_utf8(stamp.stdout).unwrap();
        let mut lines = self.host.lines(time, stamp.trim()).unwrap();
        let second = lines.split_off(lines.len() / 2);
        (lines, second)
    }
}

impl Drop for Mounted {
    fn drop(&mut self) {
        let mut unmount = std::process::Command::new("umount");
        let _gone = unmount.arg("--lazy").arg(self.host.path("seen")).status();
        self.bindfs = None;
    }
}

fn answered(daemon: &Running) -> Vec<String> {
    let lines = daemon.lines();
    let done = lines.iter().filter_map(|line| line.split_once("done: /bin/echo "));
    done.map(|(_, knock)| knock.split_whitespace().take(2).collect::<Vec<_>>().join(" ")).collect()
}

#[test]
#[ignore = "needs root: sudo make test"]
fn rotation_is_followed_where_no_event_comes() {
    let mut it = Mounted::new();
    // That it keeps silent is not only believed.
    let events = inotify::init(inotify::CreateFlags::NONBLOCK).unwrap();
    let all = inotify::WatchFlags::MODIFY | inotify::WatchFlags::MOVE | inotify::WatchFlags::CREATE;
    inotify::add_watch(&events, it.host.path("seen"), all).unwrap();
    inotify::add_watch(&events, it.host.path("seen/messages"), all).unwrap();

    let daemon = it.daemon();
    daemon.await_line("file system").unwrap();
    let all = [1, 2, 3, 4, 5].map(|time| it.halves(time));
    let [one, two, three, four, five] = &all;
    it.host.write(&one.0).unwrap();
    it.host.write(&one.1).unwrap();
    daemon.await_lines("done: /bin/echo", 1).unwrap();
    // Renamed in the middle of a knock.
    it.host.write(&two.0).unwrap();
    it.rotate("messages.1");
    it.host.write(&two.1).unwrap();
    daemon.await_lines("done: /bin/echo", 2).unwrap();
    // Twice before anybody may have looked.
    it.host.write(&three.0).unwrap();
    it.rotate("messages.2");
    it.host.write(&three.1).unwrap();
    it.rotate("messages.3");
    it.host.write(&four.0).unwrap();
    daemon.await_lines("done: /bin/echo", 3).unwrap();
    // Copied and truncated.
    fs::copy(it.host.path("log/messages"), it.host.path("log/messages.4")).unwrap();
    fs::write(it.host.path("log/messages"), "").unwrap();
    it.host.write(&four.1).unwrap();
    daemon.await_lines("done: /bin/echo", 4).unwrap();

    let mut room = [std::mem::MaybeUninit::uninit(); 4096];
    let mut heard = inotify::Reader::new(&events, &mut room);
    assert!(heard.next().is_err(), "events come here; this shows nothing");

    // And over a restart.
    it.host.write(&five.0).unwrap();
    let hits = five.0.len();
    daemon.await_line(&format!("queued {hits}/")).unwrap();
    let mut daemon = daemon;
    daemon.signal(Signal::TERM).unwrap();
    daemon.await_end().unwrap();
    let before = answered(&daemon);
    it.rotate("messages.5");
    it.host.write(&five.1).unwrap();
    // Names are cached for a second; which file it opens then, nobody can see who has just come.
    let inode = |folder: &str| {
        let file = fs::metadata(it.host.path(folder).join("messages")).unwrap();
        std::os::unix::fs::MetadataExt::ino(&file)
    };
    assert!(await_until(PATIENCE, || inode("seen") == inode("log")));
    let daemon = it.daemon();
    daemon.await_line("done: /bin/echo").unwrap();
    let knocks = [before, answered(&daemon)].concat();
    assert_eq!(knocks, ["knock 1", "knock 2", "knock 3", "knock 4", "knock 5"]);
}
