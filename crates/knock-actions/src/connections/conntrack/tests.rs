//! Messages as the kernel builds them, whole and spoilt. A real kernel is asked in the end-to-end
//! tests.

use proptest::prelude::*;

use super::*;

fn attribute(kind: u16, value: &[u8]) -> Vec<u8> {
    let mut bytes = u16::try_from(value.len() + 4).unwrap().to_ne_bytes().to_vec();
    bytes.extend_from_slice(&kind.to_ne_bytes());
    bytes.extend_from_slice(value);
    bytes.resize(aligned(bytes.len()), 0);
    bytes
}

fn nest(kind: u16, parts: &[Vec<u8>]) -> Vec<u8> {
    // The flag of an attribute that holds others.
    attribute(kind | 0x8000, &parts.concat())
}

fn message(kind: u16, body: &[u8]) -> Vec<u8> {
    let mut bytes = u32::try_from(NLMSGHDR + body.len()).unwrap().to_ne_bytes().to_vec();
    bytes.extend_from_slice(&kind.to_ne_bytes());
    bytes.extend_from_slice(&[0; 10]);
    bytes.extend_from_slice(body);
    bytes.resize(aligned(bytes.len()), 0);
    bytes
}

fn connection(client: IpAddr, port: u16, state: u8) -> Vec<u8> {
    let (kind, address) = match client {
        IpAddr::V4(v4) => (IP_V4_SRC, v4.octets().to_vec()),
        IpAddr::V6(v6) => (IP_V6_SRC, v6.octets().to_vec()),
    };
    let ip = nest(TUPLE_IP, &[attribute(kind, &address), attribute(kind + 1, &address)]);
    let proto = nest(
        TUPLE_PROTO,
        &[
            attribute(PROTO_NUM, &[IPPROTO_TCP]),
            attribute(2, &40000u16.to_be_bytes()),
            attribute(PROTO_DST_PORT, &port.to_be_bytes()),
        ],
    );
    let orig = nest(TUPLE_ORIG, &[ip, proto]);
    let tcp = nest(PROTOINFO_TCP, &[attribute(TCP_STATE, &[state])]);
    let body = [vec![0; 4], orig, attribute(3, &[0; 4]), nest(PROTOINFO, &[tcp])].concat();
    message(CT_NEW, &body)
}

fn opening(network: &str, port: u16) -> Opening {
    Opening { network: network.parse().unwrap(), protocol: Protocol::Tcp, port }
}

#[test]
fn sessions_of_the_network_to_the_port_count() {
    let address = |text: &str| text.parse::<IpAddr>().unwrap();
    let datagram = [
        connection(address("192.0.2.7"), 22, ESTABLISHED),
        connection(address("192.0.2.8"), 22, CLOSE_WAIT + 1),
        connection(address("192.0.2.8"), 22, ESTABLISHED - 1),
        connection(address("192.0.2.5"), 22, FIN_WAIT),
        connection(address("192.0.2.6"), 22, CLOSE_WAIT),
        connection(address("192.0.2.9"), 22, ESTABLISHED),
        connection(address("192.0.2.7"), 443, ESTABLISHED),
        connection(address("2001:db8::7"), 22, ESTABLISHED),
        message(NLMSG_DONE, &0i32.to_ne_bytes()),
    ]
    .concat();
    for (network, port, connections) in [
        ("192.0.2.7", 22, 1),
        ("192.0.2.8", 22, 0),
        ("192.0.2.5", 22, 1),
        ("192.0.2.6", 22, 1),
        ("192.0.2.0/24", 22, 4),
        ("192.0.2.0/24", 443, 1),
        ("2001:db8::/64", 22, 1),
        ("198.51.100.7", 22, 0),
    ] {
        let expected = Read { connections, end: Some(0) };
        assert_eq!(read(&datagram, &opening(network, port)), expected, "{network} {port}");
    }
}

#[test]
fn an_error_ends_the_answer() {
    let refused = message(NLMSG_ERROR, &(-1i32).to_ne_bytes());
    assert_eq!(read(&refused, &opening("192.0.2.7", 22)).end, Some(1));
    assert_eq!(read(&[], &opening("192.0.2.7", 22)), Read::default());
}

proptest! {
    #[test]
    fn what_is_cut_or_spoilt_harms_nobody(at in 0usize..160, byte: u8, end in 0usize..160) {
        let mut datagram = connection("192.0.2.7".parse().unwrap(), 22, ESTABLISHED);
        if let Some(place) = datagram.get_mut(at) {
            *place = byte;
        }
        datagram.truncate(end);
        prop_assert!(read(&datagram, &opening("192.0.2.7", 22)).connections <= 1);
    }

    #[test]
    fn any_bytes_are_messages_or_not(bytes in prop::collection::vec(any::<u8>(), 0..300)) {
        let _ = read(&bytes, &opening("0.0.0.0/0", 22));
    }
}
