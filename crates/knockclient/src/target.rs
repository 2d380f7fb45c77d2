//! From the name of a host to the one address that is knocked at.

use std::net::{SocketAddr, ToSocketAddrs};

use crate::error::ClientError;

/// Which addresses of a host are wanted.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Family {
    /// IPv4 only (`-4`).
    V4,
    /// IPv6 only (`-6`).
    V6,
    /// IPv4 if it has one: the knock format holds an IPv4 address.
    PreferV4,
    /// What the system puts first.
    Any,
}

/// The address of a host; all packets of a knock have to go to one.
pub(crate) fn resolve(host: &str, family: Family) -> Result<SocketAddr, ClientError> {
    // `[::1]` is how addresses are written where a port may follow.
    let bare = host.strip_prefix('[').and_then(|rest| rest.strip_suffix(']')).unwrap_or(host);
    let found: Vec<SocketAddr> = (bare, 0)
        .to_socket_addrs()
        .map_err(|error| ClientError::UnknownHost { host: host.to_owned(), error })?
        .collect();
    choose(&found, family).ok_or_else(|| ClientError::NoAddress {
        host: host.to_owned(),
        family: match family {
            Family::V4 => "IPv4",
            Family::V6 => "IPv6",
            Family::PreferV4 | Family::Any => "usable",
        },
    })
}

fn choose(found: &[SocketAddr], family: Family) -> Option<SocketAddr> {
    let v4 = found.iter().find(|address| address.is_ipv4());
    match family {
        Family::V4 => v4,
        Family::V6 => found.iter().find(|address| address.is_ipv6()),
        Family::PreferV4 => v4.or(found.first()),
        Family::Any => found.first(),
    }
    .copied()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[track_caller]
    fn check(found: &[&str], family: Family, expected: Option<&str>) {
        let found: Vec<SocketAddr> = found.iter().map(|text| text.parse().unwrap()).collect();
        assert_eq!(choose(&found, family).map(|one| one.ip().to_string()).as_deref(), expected);
    }

    #[test]
    fn the_family_that_fits() {
        let both = ["[2001:db8::1]:0", "192.0.2.1:0"];
        check(&both, Family::Any, Some("2001:db8::1"));
        check(&both, Family::PreferV4, Some("192.0.2.1"));
        check(&both, Family::V4, Some("192.0.2.1"));
        check(&both, Family::V6, Some("2001:db8::1"));
        check(&both[..1], Family::PreferV4, Some("2001:db8::1"));
        check(&both[..1], Family::V4, None);
        check(&both[1..], Family::V6, None);
        check(&[], Family::Any, None);
    }

    #[test]
    fn addresses_with_and_without_brackets() {
        for host in ["::1", "[::1]"] {
            assert!(resolve(host, Family::Any).unwrap().is_ipv6(), "{host}");
        }
        let error = resolve("127.0.0.1", Family::V6).unwrap_err();
        assert!(error.to_string().contains("has no IPv6 address"), "{error}");
    }
}
