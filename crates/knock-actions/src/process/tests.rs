//! Programs that misbehave: talkative, stubborn, with children that stay. Each test ends only if
//! we do not wait for what never comes.

use std::fs;
use std::path::Path;

use super::*;
use crate::output::CAPTURE;

const NEVER: Duration = Duration::from_secs(600);
/// Long enough for a shell to say its first word, also on a busy machine.
const SOON: Duration = Duration::from_secs(1);

fn sh(text: &str, limit: Duration) -> Ended {
    run("/bin/sh", ["-c", text], &[], limit).unwrap()
}

fn has_ended(ended: &Ended) -> bool {
    matches!(ended.how, Ending::Exited(status) if status.success())
}

#[test]
fn megabytes_of_output_block_nobody() {
    let ended =
        sh("head -c 5000000 /dev/zero >&2; head -c 5000000 /dev/zero; echo; echo end", NEVER);
    assert!(has_ended(&ended));
    assert_eq!(ended.stdout.last_line().as_deref(), Some("end"));
    assert!(ended.stderr.last_line().unwrap().len() < CAPTURE);
}

#[test]
fn a_child_that_keeps_the_pipe_open_holds_nobody() {
    let folder = tempfile::tempdir().unwrap();
    let gate = folder.path().join("gate");
    let pipe = |text: &str| text.replace("GATE", &gate.display().to_string());
    assert!(has_ended(&sh(&pipe("mkfifo GATE"), NEVER)));
    // It outlives its parent, as `system = "service &"` wants it to.
    assert!(has_ended(&sh(&pipe("cat GATE >GATE.copy & echo started"), NEVER)));
    fs::write(&gate, "still there").unwrap();
}

#[test]
fn closing_its_outputs_does_not_look_like_an_end() {
    let ended = sh("exec >&- 2>&-; sleep 0.05; exit 3", NEVER);
    assert!(matches!(ended.how, Ending::Exited(status) if status.code() == Some(3)));
}

#[test]
fn a_whole_group_is_ended_however_stubborn() {
    let folder = tempfile::tempdir().unwrap();
    let pids = folder.path().join("pids");
    // The leader heeds SIGTERM; its child, which keeps the pipes, does not.
    let text = format!(
        "(trap '' TERM; exec sleep 600) & echo $! >{pids}; echo $$ >>{pids}; sleep 600",
        pids = pids.display()
    );
    assert!(matches!(sh(&text, SOON).how, Ending::TimedOut));
    for pid in fs::read_to_string(&pids).unwrap().lines() {
        assert!(ends(pid), "process {pid} lives on");
    }
}

#[test]
fn a_leader_that_ignores_sigterm_is_killed() {
    let ended = sh("trap '' TERM; echo waiting; while :; do sleep 600; done", SOON);
    assert!(matches!(ended.how, Ending::TimedOut));
    assert_eq!(ended.stdout.last_line().as_deref(), Some("waiting"));
}

#[test]
fn without_pidfd_a_thread_waits() {
    let run = |text: &str, limit| {
        run_watched("/bin/sh".as_ref(), ["-c", text], &[], limit, ExitNotice::by_thread).unwrap()
    };
    assert!(has_ended(&run("echo hello", NEVER)));
    assert!(matches!(run("sleep 600", SOON).how, Ending::TimedOut));
}

#[test]
fn no_zombie_is_left() {
    let folder = tempfile::tempdir().unwrap();
    let pid = folder.path().join("pid");
    for (text, limit) in [("true", NEVER), ("exit 1", NEVER), ("exec sleep 600", SOON)] {
        let _ = sh(&format!("echo $$ >{}; {text}", pid.display()), limit);
        let pid = fs::read_to_string(&pid).unwrap();
        assert!(!Path::new("/proc").join(pid.trim()).exists(), "{text}");
    }
}

/// A grandchild is somebody else's to wait for; here it is only seen to end.
fn ends(pid: &str) -> bool {
    let pid = pid.trim().parse().ok().and_then(Pid::from_raw).unwrap();
    let Ok(pidfd) = pidfd_open(pid, PidfdFlags::empty()) else { return true };
    let minute = Timespec::try_from(Duration::from_secs(60)).unwrap();
    poll(&mut [PollFd::new(&pidfd, PollFlags::IN)], Some(&minute)).unwrap() == 1
}
