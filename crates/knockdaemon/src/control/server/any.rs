//! Any bytes from either end: a refusal or nothing, and the next who asks is answered.

use std::io::{Read as _, Write as _};
use std::net::Shutdown;

use proptest::prelude::*;

use super::super::client::ask;
use super::super::protocol::{Firewall, Reloaded, Which};
use super::*;

fn request() -> impl Strategy<Value = Request> {
    let ids = proptest::collection::vec(any::<u64>(), 0..20).prop_map(Which::Ids);
    let client = any::<std::net::IpAddr>().prop_map(Which::Client);
    let which = prop_oneof![ids, client, Just(Which::All)];
    prop_oneof![
        Just(Request::Status {}),
        Just(Request::Leases {}),
        Just(Request::Reload {}),
        which.prop_map(|which| Request::Revoke { which }),
        (any::<u64>(), any::<u64>()).prop_map(|(id, by_s)| Request::Extend { id, by_s }),
    ]
}

/// Bytes of all sorts, and requests with something wrong in them.
fn nonsense() -> impl Strategy<Value = Vec<u8>> {
    let damaged =
        (request(), any::<prop::sample::Index>(), any::<u8>()).prop_map(|(request, at, byte)| {
            let mut bytes = serde_json::to_vec(&request).unwrap();
            let at = at.index(bytes.len());
            bytes[at] = byte;
            bytes
        });
    let cut = (request(), any::<prop::sample::Index>()).prop_map(|(request, at)| {
        let bytes = serde_json::to_vec(&request).unwrap();
        bytes[..at.index(bytes.len())].to_vec()
    });
    let deep = (0..MAX_REQUEST).prop_map(|depth| b"[{\"ask\":".repeat(depth / 8));
    let any_bytes = proptest::collection::vec(any::<u8>(), 0..2 * MAX_REQUEST);
    prop_oneof![any_bytes, damaged, cut, deep]
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 200, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn a_request_reads_as_it_was_written(request in request()) {
        let line = serde_json::to_vec(&request).unwrap();
        prop_assert!(line.len() < MAX_REQUEST && !line.contains(&b'\n'));
        prop_assert_eq!(serde_json::from_slice::<Request>(&line).unwrap(), request);
    }
}

#[test]
fn whatever_is_sent_is_refused_and_the_next_is_answered() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("control.sock");
    let socket = ControlSocket::listen(&path, Members::OwnGroup).unwrap();
    let reloaded =
        Reloaded { config: String::new(), report: String::new(), firewall: Firewall::default() };
    let answer = Answer::Reloaded(reloaded);
    let always = answer.clone();
    let serve = move |asked: Asked| {
        asked.reply.send(always.clone());
        true
    };
    socket.serve(serve).unwrap();
    let config = ProptestConfig { cases: 200, failure_persistence: None, ..Default::default() };
    proptest!(config, |(bytes in nonsense())| {
        let mut stream = UnixStream::connect(&path).unwrap();
        // It may have been refused before all was sent.
        let _refused = stream.write_all(&bytes).and_then(|()| stream.write_all(b"\n"));
        let _refused = stream.shutdown(Shutdown::Write);
        let mut said = Vec::new();
        if stream.read_to_end(&mut said).is_ok() && !said.is_empty() {
            let line = bytes.split(|byte| *byte == b'\n').next().unwrap_or_default();
            let is_request = serde_json::from_slice::<Request>(line).is_ok();
            let said: Answer = serde_json::from_slice(&said).unwrap();
            prop_assert_eq!(matches!(said, Answer::Refused(_)), !is_request);
        }
        prop_assert_eq!(&ask(&path, &Request::Status {}).unwrap(), &answer);
    });
}

#[test]
fn whatever_answers_the_client_reads_it_or_says_that_it_cannot() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("control.sock");
    let listener = UnixListener::bind(&path).unwrap();
    let config = ProptestConfig { cases: 200, failure_persistence: None, ..Default::default() };
    proptest!(config, |(bytes in nonsense())| {
        thread::scope(|scope| {
            scope.spawn(|| {
                let (mut stream, _) = listener.accept().unwrap();
                let _gone = stream.write_all(&bytes);
            });
            let answer = ask(&path, &Request::Status {});
            prop_assert!(answer.is_err(), "{:?}", answer);
            Ok(())
        })?;
    });
}
