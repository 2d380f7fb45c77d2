//! Real processes: a shell that leaves something running, and is gone.

use std::io::Write as _;
use std::process::{Child, Command, Stdio};
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::mpsc;

use super::*;
use crate::testing::is_inside;

#[test]
fn they_are_known_by_what_the_kernel_says() {
    let stat = |text: &str| Stat::read(text.as_bytes());
    let rest = "0 0 0 0 0 0 0 0 0 0 0 0 0 0 0 88 0";
    let known = Some(Stat { parent: 1, session: 9, began: 88 });
    assert_eq!(stat(&format!("7 (ip) (x) S 1 7 9 {rest}")), known);
    assert_eq!(stat(&format!("7 (iptables) Z 1 7 9 {rest}")), None);
    assert_eq!(stat("7 (iptables"), None);
    assert!(Stat::own().unwrap().began > 0);

    assert!(is_tool(b"/usr/sbin/iptables\0-I\0INPUT\0"));
    assert!(is_tool(b"/bin/sh\0/usr/sbin/ip6tables\0-I\0"));
    assert!(!is_tool(b"/bin/sh\0-c\0iptables -I\0") && !is_tool(b""));
    // Whose names begin alike.
    for foreign in ["iptables-monitor", "iptables_exporter", "nftables_exporter", "ipset-blacklist"]
    {
        assert!(!is_tool(foreign.as_bytes()), "{foreign}");
    }
}

/// A program under `setsid` has a session of its own: its number is known before it starts.
#[test]
fn the_session_is_the_one_that_this_process_is_in() {
    const INSIDE: &str = "KNOCK_ACTIONS_TEST_SESSION";
    if std::env::var_os(INSIDE).is_some() {
        let number = Session::own().map(|session| session.number);
        return assert_eq!(number, i32::try_from(std::process::id()).ok());
    }
    let name = "left_behind::tests::the_session_is_the_one_that_this_process_is_in";
    let output = Command::new("setsid")
        .arg("--wait")
        .arg(std::env::current_exe().unwrap())
        .args([name, "--exact"])
        .env(INSIDE, "1")
        .output()
        .unwrap();
    let said = String::from_utf8_lossy(&output.stdout);
    assert!(output.status.success() && said.contains("1 passed"), "{said}");
}

#[test]
fn a_session_is_of_one_run_of_the_machine() {
    let own = Session { boot: boot().unwrap(), number: 7 };
    let text = own.to_string();
    let (number, boot) = text.split_once(' ').unwrap();
    assert_eq!(Session::parse(number, boot), Some(own.clone()));
    assert_eq!(Session::parse("-1", boot), None);
    assert!(LeftBehind::by(Some(own), |_| ()).session.is_some());
    assert!(LeftBehind::by(Session::parse(number, "an earlier one"), |_| ()).session.is_none());
}

/// A program of this name that runs until it is told to end, and has nobody who waits for it.
struct Left {
    _folder: tempfile::TempDir,
    /// Closing it ends the program.
    end: Option<fs::File>,
    pid: Pid,
    behind: LeftBehind,
}

fn leave(name: &str) -> Left {
    leave_by(Command::new("setsid").arg("sh"), name)
}

/// By a shell whose words are begun.
fn leave_by(shell: &mut Command, name: &str) -> Left {
    let folder = tempfile::tempdir().unwrap();
    let tool = folder.path().join(name);
    fs::write(&tool, "echo $$ >\"$1\"\nread end <\"$1.fifo\"\n").unwrap();
    let told = folder.path().join("pid");
    let fifo = folder.path().join("pid.fifo");
    assert!(Command::new("mkfifo").arg(&fifo).status().unwrap().success());
    let mut leaver: Child = shell
        .args(["-c", "sh \"$0\" \"$1\" & while [ ! -s \"$1\" ]; do sleep 0.01; done"])
        .args([&tool, &told])
        .stdout(Stdio::null())
        .stderr(Stdio::null())
        .spawn()
        .unwrap();
    // `setsid` runs the shell in its own place, unless it leads a group.
    leaver.wait().unwrap();
    let pid: i32 = fs::read_to_string(&told).unwrap().trim().parse().unwrap();
    let stat = Stat::read(&fs::read(format!("/proc/{pid}/stat")).unwrap()).unwrap();
    let session = Session { boot: boot().unwrap(), number: stat.session };
    let end = fs::OpenOptions::new().read(true).write(true).open(&fifo).unwrap();
    let behind = LeftBehind::by(Some(session), |_| ());
    Left { _folder: folder, end: Some(end), pid: Pid::from_raw(pid).unwrap(), behind }
}

impl Left {
    fn runs(&self) -> bool {
        let stat = fs::read(format!("/proc/{}/stat", self.pid.as_raw_pid()));
        stat.is_ok_and(|stat| Stat::read(&stat).is_some())
    }

    fn end(&mut self) {
        if let Some(mut end) = self.end.take() {
            end.write_all(b"now\n").unwrap();
            while self.runs() {
                std::thread::yield_now();
            }
        }
    }
}

impl Drop for Left {
    fn drop(&mut self) {
        self.end();
    }
}

/// It began after this process, so a daemon of now would not take it for an old one; what is left is
/// told apart without that here.
fn is_seen(left: &Left) -> bool {
    let session = left.behind.session.as_ref().unwrap().number;
    !left_before(session, u64::MAX, Path::new("/proc")).is_empty()
}

#[test]
fn what_is_left_is_waited_for_until_it_ends() {
    static TOLD: AtomicUsize = AtomicUsize::new(0);
    let mut left = leave("iptables");
    left.behind.longest = Duration::MAX;
    left.behind.tell = |programs| {
        TOLD.fetch_add(programs, Ordering::SeqCst);
    };
    assert!(is_seen(&left));
    std::thread::scope(|scope| {
        let behind = &left.behind;
        let (tell, told) = mpsc::channel();
        let waiting = scope.spawn(move || {
            tell.send(rustix::thread::gettid()).unwrap();
            behind.wait_for(u64::MAX);
        });
        let stat = format!("/proc/self/task/{}/stat", told.recv().unwrap().as_raw_pid());
        // Until the kernel says that it told, and sleeps.
        while TOLD.load(Ordering::SeqCst) == 0 || !sleeps(&stat) {
            assert!(!waiting.is_finished(), "nothing was waited for");
            std::thread::yield_now();
        }
        let mut end = left.end.take().unwrap();
        end.write_all(b"now\n").unwrap();
        waiting.join().unwrap();
    });
    assert!(!is_seen(&left));
    // Once, and nothing where nothing is left.
    left.behind.wait_for(u64::MAX);
    assert_eq!(TOLD.load(Ordering::SeqCst), 1);
}

fn sleeps(stat: &str) -> bool {
    let stat = fs::read_to_string(stat).unwrap_or_default();
    stat.rsplit(") ").next().is_some_and(|behind| behind.starts_with('S'))
}

/// Whatever it is: it may be a stranger's, and holds nobody up for ever.
#[test]
fn nothing_is_ever_ended() {
    let mut left = leave("iptables");
    left.behind.longest = Duration::ZERO;
    left.behind.wait_for(u64::MAX);
    assert!(left.runs());
    // Nor asked about a second time.
    left.behind.longest = Duration::MAX;
    left.behind.wait_for(u64::MAX);
    assert!(left.runs());
}

/// An init or a container may start everything outside of any session that has a number there.
#[test]
fn where_no_session_has_a_number_it_is_waited_for_all_the_same() {
    let name = "left_behind::tests::where_no_session_has_a_number_it_is_waited_for_all_the_same";
    if is_inside(name, "-Urpf --mount-proc") {
        assert_eq!(Session::own().map(|session| session.number), Some(0));
        let mut left = leave_by(&mut Command::new("sh"), "iptables");
        assert_eq!(left.behind.session, Session::own());
        assert!(is_seen(&left));
        left.end();
        assert!(!is_seen(&left));
    }
}

#[test]
fn programs_of_others_are_not_waited_for() {
    let exporter = leave("nftables_exporter");
    assert!(!is_seen(&exporter));
    exporter.behind.wait_for(u64::MAX);
    assert!(exporter.runs());
    // What began later than this process is none that an earlier one left.
    let later = leave("iptables");
    later.behind.wait();
    assert!(later.runs());
}
