//! What a captured packet is to the story: a hit, or the reason against one and whose it was.

use std::net::IpAddr;

use knock_formats::packet::{Captured, NoPacketHit, Packet, Property, PropertyValue};
use knock_sources::RawPacket;
use knock_wire::Hit;

use crate::run::{Tests, captured};

/// A packet, judged.
pub(super) struct Sent {
    pub(super) hit: Result<Hit, NoPacketHit>,
    /// Who sent it, where it is no hit.
    pub(super) from: Option<IpAddr>,
}

impl Sent {
    /// As the daemon judges it.
    pub(super) fn of(packet: &RawPacket<'_>, tests: &Tests) -> Self {
        let hit = tests.hit(packet);
        let from = if hit.is_ok() { None } else { source_of(&captured(packet)) };
        Self { hit, from }
    }
}

/// A short name for the reason, for programs.
pub(super) fn code(why: &NoPacketHit) -> &'static str {
    match why {
        NoPacketHit::NotChosen => "not_chosen",
        NoPacketHit::OtherRule => "other_rule",
        NoPacketHit::NotASyn => "not_a_syn",
        NoPacketHit::NoPorts(_) => "no_ports",
        NoPacketHit::Fragment => "fragment",
        _ => "not_read",
    }
}

fn source_of(captured: &Captured<'_>) -> Option<IpAddr> {
    let property = Property::parse("src_ip")?;
    match Packet::parse(captured).ok()?.value(property)? {
        PropertyValue::Address(address) => Some(address.to_canonical()),
        PropertyValue::Number(_) => None,
    }
}
