//! Filters: which packets count. All properties of one filter must hold; of several filters, one.
//! What stands in a packet, `parse.rs` knows; in which file a filter stands, the config.

use knock_wire::{Hit, Protocol};

use super::lint::{self, FilterLint};
use super::numbers::Numbers;
use super::parse::{Rest, Tcp};
use super::property::{Owner, PropertyValue};
use super::text::Text;
use super::{Captured, FilterError, FilterErrorKind, NoPacketHit, Packet, Property};

/// A filter before it is compiled.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct EthFilterSpec {
    /// What `useethfilter` calls it.
    pub name: String,
    /// The properties with the texts of their values, in the order in which they were written.
    pub properties: Vec<(Property, String)>,
}

/// A compiled filter.
#[derive(Clone, Debug)]
pub struct EthFilter {
    name: String,
    conditions: Vec<(Property, Demand)>,
    /// Whether of TCP only the first packet of a connection counts.
    opening: bool,
    lints: Vec<FilterLint>,
}

#[derive(Clone, Debug)]
pub(super) enum Demand {
    Number(Numbers),
    Text(Text),
}

impl EthFilter {
    /// Checks and compiles; all mistakes are told at once.
    ///
    /// # Errors
    /// What is wrong with the values.
    pub fn compile(spec: &EthFilterSpec) -> Result<Self, Vec<FilterError>> {
        let mut errors = Vec::new();
        let mut conditions: Vec<(Property, Demand)> = Vec::new();
        for (property, text) in &spec.properties {
            if conditions.iter().any(|(known, _)| known == property) {
                let (at, kind) = (0..text.len(), FilterErrorKind::Twice);
                errors.push(FilterError { property: *property, at, kind });
                continue;
            }
            let demand = if property.is_text() {
                Text::parse(text).map(Demand::Text)
            } else {
                Numbers::parse(text, *property).map(Demand::Number)
            };
            match demand {
                Ok(demand) => conditions.push((*property, demand)),
                Err(mistakes) => {
                    errors.extend(mistakes.into_iter().map(|(at, kind)| FilterError {
                        property: *property,
                        at,
                        kind,
                    }))
                }
            }
        }
        if !errors.is_empty() {
            return Err(errors);
        }
        let mut filter = Self::of(spec.name.clone(), conditions);
        filter.lints = lint::of(spec, &filter);
        Ok(filter)
    }

    fn of(name: String, conditions: Vec<(Property, Demand)>) -> Self {
        // `flags = SYN` says which packets knock. The answer to a connection of our own has that
        // flag too, with ACK, and is no knock; who wants it names ACK or any other flag.
        let named = conditions.iter().any(|(property, demand)| match demand {
            Demand::Number(numbers) => {
                *property == Property::FLAGS && numbers.ask_beyond(Tcp::SYN.into())
            }
            Demand::Text(_) => false,
        });
        Self { name, conditions, opening: !named, lints: Vec::new() }
    }

    /// What `useethfilter` calls it.
    #[must_use]
    pub fn name(&self) -> &str {
        &self.name
    }

    /// Warnings for `check`: the filter runs all the same.
    #[must_use]
    pub fn lint(&self) -> &[FilterLint] {
        &self.lints
    }

    /// Whether all its properties hold for a packet. A property that the packet does not have, as
    /// a TCP flag of a UDP packet, does not hold.
    #[must_use]
    pub fn matches(&self, packet: &Packet) -> bool {
        self.conditions.iter().all(|(property, demand)| match (packet.value(*property), demand) {
            (Some(PropertyValue::Number(number)), Demand::Number(numbers)) => numbers.hold(number),
            (Some(PropertyValue::Address(address)), Demand::Text(text)) => text.holds(address),
            (Some(_), _) | (None, _) => false,
        })
    }

    /// Whether of TCP only a SYN without ACK counts: always, unless it names other flags than SYN.
    #[must_use]
    pub fn only_opening(&self) -> bool {
        self.opening
    }

    /// Whether a packet with this number can match, as far as that property goes.
    pub(super) fn may_be(&self, property: Property, number: u32) -> bool {
        self.conditions.iter().all(|(known, demand)| match demand {
            Demand::Number(numbers) if *known == property => numbers.hold(number),
            Demand::Number(_) | Demand::Text(_) => true,
        })
    }

    /// Whether packets of this protocol can match at all.
    pub(super) fn may_have(&self, protocol: Protocol) -> bool {
        let fits = |owner| match owner {
            Owner::Ip | Owner::Ports => true,
            Owner::Tcp => protocol == Protocol::TCP,
            Owner::Udp => protocol == Protocol::UDP,
        };
        self.may_be(Property::PROTO, protocol.0.into())
            && self.conditions.iter().all(|(property, _)| fits(property.owner()))
    }

    /// Whether of TCP nothing without SYN can match.
    pub(super) fn needs_syn(&self) -> bool {
        let syn = u32::from(Tcp::SYN);
        self.opening
            || (0..=0xff).all(|flags| flags & syn > 0 || !self.may_be(Property::FLAGS, flags))
    }
}

/// The filters in use.
#[derive(Clone, Debug)]
pub struct EthFilters {
    filters: Vec<EthFilter>,
}

impl EthFilters {
    /// These; a packet counts when one of them matches.
    #[must_use]
    pub fn new(filters: Vec<EthFilter>) -> Self {
        Self { filters }
    }

    /// The filters, in the order of `useethfilter`.
    #[must_use]
    pub fn filters(&self) -> &[EthFilter] {
        &self.filters
    }

    /// The hit that a captured packet is.
    ///
    /// # Errors
    /// Why it is none: a normal result.
    pub fn hit(&self, captured: &Captured<'_>) -> Result<Hit, NoPacketHit> {
        let packet = Packet::parse(captured)?;
        let hit = packet.hit()?;
        let answers = match packet.transport?.rest {
            Rest::Tcp(tcp) => !tcp.opens(),
            Rest::Udp { .. } | Rest::Other => false,
        };
        let mut reason = NoPacketHit::NotChosen;
        for filter in self.filters.iter().filter(|filter| filter.matches(&packet)) {
            if !(answers && filter.opening) {
                return Ok(hit);
            }
            reason = NoPacketHit::NotASyn;
        }
        Err(reason)
    }
}

impl EthFilters {
    /// What counts where no filter is named and a rule of the firewall has chosen already: whatever
    /// has ports, of TCP the first packets of connections.
    #[must_use]
    pub fn behind_a_rule() -> Self {
        Self::new(vec![EthFilter::of("default".to_owned(), Vec::new())])
    }
}

impl Default for EthFilters {
    /// What counts where no filter is named: the first packets of TCP connections.
    fn default() -> Self {
        let tcp = Demand::Number(Numbers::equal(Protocol::TCP.0.into()));
        Self::new(vec![EthFilter::of("default".to_owned(), vec![(Property::PROTO, tcp)])])
    }
}
