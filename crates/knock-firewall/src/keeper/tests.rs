//! With real sockets, in a network of the test's own. What is different users' is in the end-to-end tests,
//! which are root's.

use std::fs;
use std::process::Command;

use super::*;
use crate::testing::{self, level};

/// Runs the test `name` again under `unshare` with these options, this many levels down.
fn inside(name: &str, level: &str, options: &str) {
    testing::again_inside(&format!("keeper::tests::{name}"), level, options);
}

/// How often the name is in the kernel's list of sockets: with each connection to it once more.
fn sockets_of_the_name() -> usize {
    let sockets = fs::read_to_string("/proc/self/net/unix").unwrap();
    sockets.lines().filter(|line| line.ends_with("@knockdaemon/leases")).count()
}

/// Who keeps another one from it.
fn refused(claimed: Result<Keeper, FirewallError>) -> Option<Holder> {
    match claimed {
        Err(FirewallError::KeptByAnother { holder }) => holder,
        other => panic!("{other:?}"),
    }
}

fn this_process() -> Holder {
    Holder { user: 0, process: Some(rustix::process::getpid().as_raw_pid()) }
}

#[test]
fn a_holder_that_is_asked_often_goes_on_to_tell_its_process() {
    if level().is_none() {
        return inside("a_holder_that_is_asked_often_goes_on_to_tell_its_process", "1", "-Urn");
    }
    for claim in [Keeper::claim, Keeper::by_name] {
        let keeper = claim().unwrap();
        assert_eq!(keeper.remark(), None);
        // Nobody connects to themselves.
        assert_eq!(sockets_of_the_name(), 1);
        // Far more than the queue has room for.
        for turn in 0..300 {
            assert_eq!(holder(), Some(this_process()), "{turn}");
        }
        assert_eq!(refused(claim()), Some(this_process()));
        // Nothing is left.
        drop(keeper);
        assert_eq!((holder(), sockets_of_the_name()), (None, 0));
    }
}

/// Who is kept out by nobody looks again, and finds who has the name by then.
#[test]
fn a_full_queue_keeps_nobody_out_and_is_told() {
    if level().is_none() {
        return inside("a_full_queue_keeps_nobody_out_and_is_told", "1", "-Urn");
    }
    let address = SocketAddrUnix::new_abstract_name(NAME).unwrap();
    let listener = unix_socket().unwrap();
    bind(&listener, &address).unwrap();
    listen(&listener, 0).unwrap();
    let waiting = unix_socket().unwrap();
    connect(&waiting, &address).unwrap();
    let remark = Keeper::by_name().unwrap().remark().unwrap();
    assert!(remark.starts_with("somebody who does not answer has taken the name"), "{remark}");
    // With a group nobody needs the name.
    assert_eq!(Keeper::claim().unwrap().remark(), None);
    drop(accept_with(&listener, SocketFlags::CLOEXEC).unwrap());
    assert_eq!(refused(Keeper::by_name()), Some(this_process()));
}

/// The kernel tells no number of its process there, but whose it is.
#[test]
fn a_holder_of_another_pid_namespace_is_found() {
    let name = "a_holder_of_another_pid_namespace_is_found";
    match level().as_deref() {
        None => inside(name, "1", "-Urn"),
        Some("1") => {
            let _keeper = Keeper::claim().unwrap();
            inside(name, "2", "--pid --fork --mount-proc");
        }
        Some(_) => {
            let unseen = Holder { user: 0, process: None };
            assert_eq!(refused(Keeper::claim()), Some(unseen));
            assert_eq!(refused(Keeper::by_name()), Some(unseen));
            assert!(unseen.to_string().contains("not seen from here"));
        }
    }
}

/// In a user namespace of one's own one has all rights, and none here.
#[test]
fn rights_in_another_user_namespace_are_none() {
    let name = "rights_in_another_user_namespace_are_none";
    match level().as_deref() {
        None => inside(name, "1", "-Urn"),
        Some("1") => {
            let mut child = Command::new("unshare")
                .args(["-Ur", "sh", "-c", "echo ready; read end"])
                .stdin(std::process::Stdio::piped())
                .stdout(std::process::Stdio::piped())
                .spawn()
                .unwrap();
            let mut ready = [0; 6];
            std::io::Read::read_exact(child.stdout.as_mut().unwrap(), &mut ready).unwrap();
            let process = i32::try_from(child.id()).unwrap();
            let status = fs::read_to_string(format!("/proc/{process}/status")).unwrap();
            assert!(holder::may_change_the_firewall(&status, 0));
            assert!(!holder::has_our_users(process));
            drop(child.stdin.take());
            child.wait().unwrap();
        }
        Some(_) => unreachable!(),
    }
}
