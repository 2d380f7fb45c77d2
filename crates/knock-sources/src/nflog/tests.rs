//! What numbers and errors come to. Real rules and packets are in the end-to-end tests.

use super::*;
use crate::testing::Collected;

fn reading() -> Reading {
    let flags = SocketFlags::CLOEXEC | SocketFlags::NONBLOCK;
    Reading::of(5, socket_with(AddressFamily::UNIX, SocketType::DGRAM, flags, None).unwrap())
}

fn numbered(sequence: u32) -> Logged<'static> {
    Logged {
        protocol: ETHER_IPV4,
        bytes: b"packet",
        came_in_by: Some(u32::MAX),
        sequence: Some(sequence),
        ..Logged::default()
    }
}

#[test]
fn packets_that_are_missing_are_counted_by_their_numbers() {
    let (mut reading, mut got) = (reading(), Collected::new());
    for number in [0, 1, 4] {
        assert!(reading.packet(&numbered(number), &mut got).is_continue());
    }
    assert_eq!(reading.lost, 2);
    reading.tell_lost(&mut got);
    // The counter wraps around.
    reading.expected = u32::MAX;
    for number in [u32::MAX, 0, 2] {
        assert!(reading.packet(&numbered(number), &mut got).is_continue());
    }
    assert_eq!((reading.lost, got.packets().len()), (1, 6));
    assert!(got.notices()[0].starts_with("the kernel dropped 2 packets of the rule"));
}

#[test]
fn an_overrun_is_over_when_its_size_is_known() {
    let (mut reading, mut got) = (reading(), Collected::new());
    reading.overrun = true;
    // What was in the buffer before the loss comes first.
    let _ = reading.packet(&numbered(0), &mut got);
    assert!(reading.overrun);
    let _ = reading.packet(&numbered(7), &mut got);
    assert!(!reading.overrun);
    assert_eq!(reading.lost, 6);
}

#[test]
fn what_is_no_ip_or_was_sent_from_here_is_counted_and_not_handed_over() {
    let (mut reading, mut got) = (reading(), Collected::new());
    let arp = Logged { protocol: 0x0806, ..numbered(0) };
    let sent = Logged { came_in_by: None, ..numbered(1) };
    for packet in [arp, sent, numbered(2)] {
        let _ = reading.packet(&packet, &mut got);
    }
    assert_eq!((reading.lost, got.packets().len()), (0, 1));
    assert_eq!(got.packets()[0].link, LINK_IPV4);
}

#[test]
fn each_error_says_what_to_do() {
    let (mut reading, mut got) = (reading(), Collected::new());
    let mut told =
        |answer| reading.take(Message::Answer(answer), &mut got).unwrap_err().to_string();
    assert!(told(Errno::PERM.raw_os_error()).contains("group 5 is read by another program"));
    assert!(told(Errno::BUSY.raw_os_error()).contains("nfloggroup"));
    assert!(told(Errno::NOMEM.raw_os_error()).contains("the kernel's NFLOG"));
    let forbidden = SourceError::NflogForbidden(Errno::PERM.into());
    assert!(forbidden.is_permission() && forbidden.to_string().contains("CAP_NET_ADMIN"));
}
