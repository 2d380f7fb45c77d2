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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn loopback_is_reached_from_itself() {
        let own = towards("127.0.0.1:0".parse().unwrap()).unwrap();
        assert_eq!(own, IpAddr::V4(Ipv4Addr::LOCALHOST));
    }
}
