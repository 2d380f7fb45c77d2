//! This host's own address on the way to another, as the routing table has it.
//! Sends nothing: a connected UDP socket only asks the kernel for a route.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr, UdpSocket};

use crate::error::ClientError;

/// The address that packets to `remote` leave with. Behind a router that translates addresses the
/// other side sees another one, which nobody on this host can know.
pub(crate) fn towards(remote: SocketAddr) -> Result<IpAddr, ClientError> {
    let any: IpAddr = match remote {
        SocketAddr::V4(_) => Ipv4Addr::UNSPECIFIED.into(),
        SocketAddr::V6(_) => Ipv6Addr::UNSPECIFIED.into(),
    };
    // Any port does: the route does not depend on it, but 0 is refused.
    let mut to = remote;
    to.set_port(9);
    UdpSocket::bind((any, 0))
        .and_then(|socket| {
            socket.connect(to)?;
            socket.local_addr()
        })
        .map(|own| own.ip().to_canonical())
        .map_err(|error| ClientError::NoRoute { to: remote.ip(), error })
}

/// The address that a socket has to be bound to, so that packets leave with it and not with the own one.
/// Bound, it gets a source port by chance, now and then one that it had a moment ago, and then the packet
/// counts as sent again. Left alone, the kernel goes on to the next port.
pub(crate) fn to_bind(client: Option<IpAddr>, own: IpAddr) -> Option<IpAddr> {
    client.filter(|client| client.to_canonical() != own)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_packets_leave_with_anyway_is_not_bound_to() {
        let [own, other, mapped] = ["10.0.0.1", "10.0.0.2", "::ffff:10.0.0.1"]
            .map(|address| address.parse::<IpAddr>().unwrap());
        assert_eq!(to_bind(None, own), None);
        assert_eq!(to_bind(Some(own), own), None);
        assert_eq!(to_bind(Some(mapped), own), None);
        assert_eq!(to_bind(Some(other), own), Some(other));
    }

    #[test]
    fn loopback_is_reached_from_itself() {
        let own = towards("127.0.0.1:0".parse().unwrap()).unwrap();
        assert_eq!(own, IpAddr::V4(Ipv4Addr::LOCALHOST));
    }
}
