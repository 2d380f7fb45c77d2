//! The rows of what makes a line or a packet a hit: logformats with their samples, and ethfilters.
//!
//! Data only, as the table is that they are joined to.

use super::super::{Key, Kind, UsedBy, Within};
use super::key;

const fn property(name: &'static str, about: &'static str) -> Key {
    key(Within::Ethfilter, name, Kind::PacketNumber, "", UsedBy::Daemon, about)
}

const fn address(name: &'static str, about: &'static str) -> Key {
    key(Within::Ethfilter, name, Kind::Expression, "", UsedBy::Daemon, about)
}

const fn expression(name: &'static str, about: &'static str) -> Key {
    key(Within::Logformat, name, Kind::Expression, "", UsedBy::Both, about)
}

const fn expression_below(name: &'static str) -> Key {
    key(
        Within::Expressions,
        name,
        Kind::Expression,
        "",
        UsedBy::Both,
        "As directly in the logformat.",
    )
}

const fn yield_of(name: &'static str) -> Key {
    key(
        Within::Yields,
        name,
        Kind::Text,
        "",
        UsedBy::Both,
        "The value that the line must yield under this name.",
    )
}

/// The rows, in the order of the reference.
pub(super) const HITS: &[Key] = &[
    // <logformats>
    key(Within::Logformats, "logformat", Kind::Block, "", UsedBy::Both, "A logformat.").repeats(),
    // <logformat>
    key(
        Within::Logformat,
        "name",
        Kind::Name,
        "",
        UsedBy::Both,
        "The format's name, in a file of the logformats folder.",
    ),
    key(
        Within::Logformat,
        "about",
        Kind::Text,
        "",
        UsedBy::Both,
        "Which firewall writes such lines.",
    ),
    expression(
        "required",
        "Must match, or the line is skipped without more work. Anchor it at the start of the line, \
         so that text from strangers cannot stand in for the firewall's.",
    ),
    expression("interface", "Its first group is the interface that the packet came in by."),
    expression("protocol", "Its first group is the protocol, by name or number."),
    expression("ipserver", "Its first group is the address that the packet was sent to."),
    expression("ipclient", "Its first group is the address of the sender. A hit needs it."),
    expression("port", "Its first group is the port that the packet was sent to. A hit needs it."),
    expression(
        "sourceport",
        "Its first group is the sender's port; it tells a repeated packet from a second one.",
    ),
    expression("flags", "Its first group is TCP's flags; then only a SYN without ACK counts."),
    expression("sequence", "Its first group is TCP's sequence number."),
    expression("time", "Its first group is the time of the line."),
    key(
        Within::Logformat,
        "expressions",
        Kind::Block,
        "",
        UsedBy::Both,
        "May hold the expressions, as the shipped files have it.",
    ),
    key(
        Within::Logformat,
        "sample",
        Kind::Block,
        "",
        UsedBy::Both,
        "A line that the format must yield a hit for, or a block with line and yields. Samples are \
         tried whenever the file is read.",
    )
    .repeats(),
    key(Within::Logformat, "samples", Kind::Block, "", UsedBy::Both, "The same as sample.")
        .repeats(),
    expression_below("required"),
    expression_below("interface"),
    expression_below("protocol"),
    expression_below("ipserver"),
    expression_below("ipclient"),
    expression_below("port"),
    expression_below("sourceport"),
    expression_below("flags"),
    expression_below("sequence"),
    expression_below("time"),
    // <sample>
    key(Within::Sample, "line", Kind::Text, "", UsedBy::Both, "A line of a log, whole."),
    key(
        Within::Sample,
        "yields",
        Kind::Block,
        "a hit",
        UsedBy::Both,
        "What the line must yield: 'nothing', or names of expressions with their values.",
    ),
    key(
        Within::Sample,
        "because",
        Kind::Text,
        "",
        UsedBy::Both,
        "Why the line must yield nothing.",
    ),
    yield_of("interface"),
    yield_of("protocol"),
    yield_of("ipserver"),
    yield_of("ipclient"),
    yield_of("port"),
    yield_of("sourceport"),
    yield_of("flags"),
    yield_of("sequence"),
    yield_of("time"),
    // <ethfilters>, <ethfilter>
    key(Within::Ethfilters, "ethfilter", Kind::Block, "", UsedBy::Daemon, "An ethfilter.")
        .repeats(),
    property("ver", "The version of IP: 4 or 6."),
    property("hlen", "The length of the IP header in words of 4 bytes; 10 for IPv6."),
    property("ip.flags", "The flags of IP: MOREFRAGS DONTFRAG CONGESTION. Of IPv6 only MOREFRAGS."),
    property(
        "foffset",
        "Where a fragment begins in its packet, in bytes. Only the first has ports.",
    ),
    property("tos", "The type of service, or the traffic class of IPv6."),
    property(
        "len",
        "The length of the IP packet as it was sent, header included; of IPv6 without its header.",
    ),
    property("id", "The identification of an IP packet; IPv6 has one in fragments only."),
    property("ttl", "The time to live, or the hop limit of IPv6."),
    property(
        "proto",
        "The protocol inside IP: TCP UDP ICMP …; of IPv6 the one behind its extension headers.",
    ),
    property("cksum", "The checksum of the IP header; IPv6 has none."),
    address(
        "src_ip",
        "An expression that the sender's address matches, anywhere in it unless anchored.",
    ),
    address("dest_ip", "An expression that the address matches which the packet was sent to."),
    property("src_port", "The port that the packet was sent from."),
    property("dest_port", "The port that the packet was sent to."),
    property("tcp.src_port", "As src_port, of TCP only."),
    property("tcp.dest_port", "As dest_port, of TCP only."),
    property("seqnum", "TCP's sequence number."),
    property("acknum", "TCP's acknowledgement number."),
    property("tcp.hlen", "The length of the TCP header in words of 4 bytes."),
    property("reserved", "The four bits behind the length of the TCP header."),
    property(
        "flags",
        "TCP's flags: FIN SYN RST PSH ACK URG ECE CWR. Whatever other properties say, a TCP packet counts only with SYN and without ACK, unless this one names more than SYN.",
    ),
    property("winsize", "TCP's window size."),
    property("tcp.cksum", "The checksum of TCP."),
    property("urg", "TCP's urgent pointer."),
    property("udp.src_port", "As src_port, of UDP only."),
    property("udp.dest_port", "As dest_port, of UDP only."),
    property("udp.len", "The length of the UDP header and what it carries."),
    property("udp.cksum", "The checksum of UDP."),
];
