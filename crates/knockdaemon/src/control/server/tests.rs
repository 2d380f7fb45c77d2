//! Who gets in, what is told to whom, and that nobody can hold it up.

use std::io::{Read as _, Write as _};
use std::sync::atomic::{AtomicUsize, Ordering};

use super::super::client::{AskError, ask};
use super::super::protocol::{Firewall, Refused, Reloaded};
use super::*;

/// A socket whose loop answers everything at once, and counts.
fn answering(folder: &Path) -> (ControlSocket, PathBuf, Arc<AtomicUsize>) {
    let path = folder.join("control.sock");
    let socket = ControlSocket::listen(&path, Members::OwnGroup).unwrap();
    let count = Arc::new(AtomicUsize::new(0));
    let counted = Arc::clone(&count);
    let reply = move |asked: Asked| {
        counted.fetch_add(1, Ordering::Relaxed);
        let firewall = Firewall::default();
        let answer = Reloaded { config: "a".into(), report: "b".into(), firewall };
        asked.reply.send(Answer::Reloaded(answer));
        true
    };
    socket.serve(reply).unwrap();
    (socket, path, count)
}

fn said(stream: &mut UnixStream) -> Answer {
    let mut text = String::new();
    stream.read_to_string(&mut text).unwrap();
    serde_json::from_str(&text).unwrap()
}

#[test]
fn a_request_is_answered_and_the_socket_is_gone_with_the_daemon() {
    let folder = tempfile::tempdir().unwrap();
    let (socket, path, _) = answering(folder.path());
    let mode = fs::metadata(&path).unwrap().mode();
    assert_eq!(mode & 0o7777, 0o660);
    let answer = ask(&path, &Request::Reload {}).unwrap();
    assert!(matches!(answer, Answer::Reloaded(reloaded) if reloaded.config == "a"));
    drop(socket);
    assert!(!path.exists());
    assert!(matches!(ask(&path, &Request::Status {}), Err(AskError::NotRunning { .. })));
}

#[test]
fn the_socket_of_a_killed_daemon_is_replaced_and_that_of_a_living_one_is_not() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("control.sock");
    // As SIGKILL leaves it: a name that nobody listens at.
    drop(UnixListener::bind(&path).unwrap());
    fs::write(with_suffix(&path, ".new"), "").unwrap();
    assert!(matches!(ask(&path, &Request::Status {}), Err(AskError::NotRunning { .. })));
    let (socket, _, _) = answering(folder.path());
    ask(&path, &Request::Status {}).unwrap();

    let second = ControlSocket::listen(&path, Members::OwnGroup).unwrap_err();
    assert!(matches!(second, ControlError::Taken { .. }));
    let text = second.to_string();
    assert!(text.contains("another daemon") && text.contains("controlsocket"), "{text}");
    ask(&path, &Request::Status {}).unwrap();
    drop(socket);
    ControlSocket::listen(&path, Members::OwnGroup).unwrap();
}

#[test]
fn a_file_of_somebody_elses_is_not_taken_away() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("control.sock");
    fs::write(&path, "precious").unwrap();
    let error = ControlSocket::listen(&path, Members::OwnGroup).unwrap_err();
    assert!(matches!(error, ControlError::NoSocket { .. }), "{error}");
    assert_eq!(fs::read(&path).unwrap(), b"precious");
}

#[test]
fn what_is_no_request_is_refused_with_a_reason() {
    let folder = tempfile::tempdir().unwrap();
    let (_socket, path, count) = answering(folder.path());
    for (sent, code) in [
        ("{\"ask\":\"status\",\"more\":1}\n".to_owned(), Code::Request),
        ("{\"ask\":\"sing\"}\n".to_owned(), Code::Request),
        ("\u{0}\u{1b}[31m\n".to_owned(), Code::Request),
        ("[".repeat(3000) + "\n", Code::Request),
        ("x".repeat(MAX_REQUEST + 1), Code::Request),
    ] {
        let mut stream = UnixStream::connect(&path).unwrap();
        stream.write_all(sent.as_bytes()).unwrap();
        let answer = said(&mut stream);
        let refused_so = matches!(&answer, Answer::Refused(Refused { code: c, .. }) if *c == code);
        assert!(refused_so, "{sent:.40}: {answer:?}");
    }
    assert_eq!(count.load(Ordering::Relaxed), 0, "none of it came to the loop");
}

#[test]
fn those_who_hang_hold_up_nobody_for_long_and_all_others_are_answered() {
    let folder = tempfile::tempdir().unwrap();
    let (_socket, path, count) = answering(folder.path());
    // As many as are carried side by side say nothing: the next waits until their time is over.
    let silent: Vec<UnixStream> =
        (0..AT_ONCE).map(|_| UnixStream::connect(&path).unwrap()).collect();
    thread::scope(|scope| {
        for _ in 0..8 {
            scope.spawn(|| (0..125).for_each(|_| drop(ask(&path, &Request::Status {}).unwrap())));
        }
    });
    assert_eq!(count.load(Ordering::Relaxed), 1000);
    for mut stream in silent {
        assert!(matches!(said(&mut stream), Answer::Refused(_)));
    }
}

#[test]
fn without_a_loop_who_asks_is_told_so() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("control.sock");
    let socket = ControlSocket::listen(&path, Members::OwnGroup).unwrap();
    socket.serve(|_| false).unwrap();
    let answer = ask(&path, &Request::Status {}).unwrap();
    assert!(matches!(answer, Answer::Refused(Refused { code: Code::Busy, .. })));
}

#[test]
fn a_locked_file_of_a_strangers_keeps_nobody_away() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("control.sock");
    let lock = with_suffix(&path, ".lock");
    let theirs = File::create(&lock).unwrap();
    theirs.try_lock().unwrap();
    // Ours, or of whom the folder is: a daemon may have it.
    let taken = ControlSocket::listen(&path, Members::OwnGroup).unwrap_err();
    assert!(matches!(taken, ControlError::Taken { .. }), "{taken}");
    // Only root can make a stranger's file.
    if std::os::unix::fs::chown(&lock, Some(4321), None).is_err() {
        return;
    }
    let _socket = ControlSocket::listen(&path, Members::OwnGroup).unwrap();
    let ours = fs::metadata(&lock).unwrap();
    assert_eq!((ours.uid(), ours.mode() & 0o777), (geteuid().as_raw(), 0o600));
    let second = ControlSocket::listen(&path, Members::OwnGroup).unwrap_err();
    assert!(matches!(second, ControlError::Taken { .. }), "{second}");
}

#[test]
fn a_group_that_is_not_known_lets_nobody_in_by_their_group() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("control.sock");
    let socket = ControlSocket::listen(&path, Members::Nobody).unwrap();
    socket.serve(|_| false).unwrap();
    assert_eq!(fs::metadata(&path).unwrap().mode() & 0o7777, 0o600);
    // The daemon's own user may ask.
    ask(&path, &Request::Status {}).unwrap();
}
