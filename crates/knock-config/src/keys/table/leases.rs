//! The rows of leases: what a template opens, for how long, and what holds for all of them.
//!
//! Data only, as the table is that they are joined to.

use super::super::{Key, Kind, UsedBy, Within};
use super::key;

pub(super) const LEASES: &[Key] = &[
    key(
        Within::Top,
        "maxlease",
        Kind::MaxLease,
        "1d",
        UsedBy::Daemon,
        "The longest that a port stays open by open, counted from the last knock that asked for it, \
         whatever that knock or its session says.",
    ),
    key(
        Within::Top,
        "onelease",
        Kind::OneLease,
        "no",
        UsedBy::Daemon,
        "With yes a knock that opens ends what is open to other addresses, since who has the key has \
         moved. With the name of a field, such as FLAG0, only that of knocks with the same value \
         in it, so that several people can share the key.",
    ),
    key(
        Within::Action,
        "cooldown",
        Kind::Duration,
        "0",
        UsedBy::Daemon,
        "After this action has answered a client, so long it does not answer that client again.",
    ),
    key(
        Within::Template,
        "open",
        Kind::PortNumber,
        "",
        UsedBy::Daemon,
        "Opens this port to the client of the knock, for the time of lease. A new knock renews the \
         time; it closes by itself.",
    ),
    key(
        Within::Template,
        "lease",
        Kind::Lease,
        "",
        UsedBy::Daemon,
        "How long open holds. A bare number or an expression counts minutes; where an expression comes \
         to 0, and with unlimited, until it is closed, but never longer than maxlease.",
    ),
    key(
        Within::Template,
        "hold",
        Kind::OneOf(&["no", "connected"]),
        "no",
        UsedBy::Daemon,
        "With connected a port stays open beyond its lease while the client has an established \
         connection to it, and closes within half a minute after the last one has ended. Never longer \
         than maxlease.",
    ),
    key(
        Within::Template,
        "close",
        Kind::PortNumber,
        "",
        UsedBy::Daemon,
        "Closes this port at once if it was opened to the client of the knock, or to a network that \
         the client is in.",
    ),
    key(
        Within::Template,
        "protocol",
        Kind::OneOf(&["tcp", "udp"]),
        "tcp",
        UsedBy::Daemon,
        "The protocol of the port that open or close names.",
    ),
    key(
        Within::Template,
        "prefix4",
        Kind::Prefix4,
        "32",
        UsedBy::Daemon,
        "How much of an IPv4 address counts for open. With 24 the port is open to the 256 addresses \
         around the client's, for those who have another one for each connection.",
    ),
    key(
        Within::Template,
        "prefix6",
        Kind::Prefix6,
        "128",
        UsedBy::Daemon,
        "The same for IPv6, where 64 is what one household has.",
    ),
];
