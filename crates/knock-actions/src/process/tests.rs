//! Programs that misbehave: talkative, stubborn, with children that stay. Each test ends only if
//! we do not wait for what never comes.

use std::fs;
use std::path::Path;

use super::*;
use crate::output::CAPTURE;
use crate::testing::until_it_got_far_enough;

const NEVER: Duration = Duration::from_secs(600);

fn sh(text: &str, limit: Duration) -> Ended {
    run("/bin/sh", ["-c", text], &[], limit).unwrap()
}

/// Runs what never ends, until it is seen to have got far enough before it was ended.
fn timed_out<T>(text: &str, seen: impl Fn(&Ended) -> Option<T>) -> T {
    until_it_got_far_enough(|limit| {
        let ended = sh(text, limit);
        assert!(matches!(ended.how, Ending::TimedOut), "{ended:?}");
        seen(&ended)
    })
}

/// The number that a shell wrote into this file, if it got to that.
fn pid_in(file: &Path) -> Option<String> {
    let text = fs::read_to_string(file).ok()?;
    text.strip_suffix('\n').map(str::to_owned)
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
    let (leader, child) = (folder.path().join("leader"), folder.path().join("child"));
    // The leader heeds SIGTERM; its child, which keeps the pipes, does not.
    let text = format!(
        r#"sh -c 'trap "" TERM; echo $$ >{}; exec sleep 600' & echo $$ >{}; wait"#,
        child.display(),
        leader.display()
    );
    let pids = timed_out(&text, |_| Some([pid_in(&leader)?, pid_in(&child)?]));
    for pid in pids {
        assert!(ends(&pid), "process {pid} lives on");
    }
}

#[test]
fn a_leader_that_ignores_sigterm_is_killed() {
    let said = timed_out("trap '' TERM; echo waiting; while :; do sleep 600; done", |ended| {
        ended.stdout.last_line()
    });
    assert_eq!(said, "waiting");
}

#[test]
fn without_pidfd_a_thread_waits() {
    let run = |text: &str, limit| {
        run_watched(
            in_own_world("/bin/sh".as_ref()),
            ["-c", text],
            &[],
            limit,
            Stdio::null(),
            ExitNotice::by_thread,
        )
        .unwrap()
    };
    assert!(has_ended(&run("echo hello", NEVER)));
    let soon = Duration::from_millis(50);
    assert!(matches!(run("sleep 600", soon).how, Ending::TimedOut));
}

#[test]
fn no_zombie_is_left() {
    let folder = tempfile::tempdir().unwrap();
    let pid = folder.path().join("pid");
    let is_left = |pid: String| Path::new("/proc").join(pid).exists();
    let with_pid = |text: &str| format!("echo $$ >{}; {text}", pid.display());
    for text in ["true", "exit 1"] {
        let _ = sh(&with_pid(text), NEVER);
        assert!(!is_left(pid_in(&pid).unwrap()), "{text}");
    }
    fs::remove_file(&pid).unwrap();
    assert!(!is_left(timed_out(&with_pid("exec sleep 600"), |_| pid_in(&pid))));
}

/// A grandchild is somebody else's to wait for; here it is only seen to end.
fn ends(pid: &str) -> bool {
    let pid = pid.parse().ok().and_then(Pid::from_raw).unwrap();
    let Ok(pidfd) = pidfd_open(pid, PidfdFlags::empty()) else { return true };
    let minute = Timespec::try_from(Duration::from_secs(60)).unwrap();
    poll(&mut [PollFd::new(&pidfd, PollFlags::IN)], Some(&minute)).unwrap() == 1
}
