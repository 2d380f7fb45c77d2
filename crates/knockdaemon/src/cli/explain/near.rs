//! How near a client's hits came to a knock: cheap repairs of the last of them, each tried on the codec.
//! Knows windows, and neither logs nor queues; what a repair means to people, `words.rs` says.
//!
//! A repair counts only where chance would hardly ever find one: among so many tries, with so many
//! bits of the knock checked. What is tried is bounded, since strangers decide how much there is.

use std::net::IpAddr;
use std::time::Duration;

use knock_wire::{Codec, Field, KeyDerivation, Knock, Refusal};

/// Windows tried in one run of the program: seconds with Blowfish, a minute with the slowest cipher.
const MAX_TRIES: u64 = 10_000_000;

/// Windows that cost a slow key derivation, of those.
const MAX_SLOW: u32 = 8;

/// The most windows tried for one kind of repair at one hit.
const MAX_OF_A_KIND: u64 = 400_000;

/// One in two to the power of this many finds may be chance.
const SURE_BITS: f64 = 10.0;

/// One hit inside the span.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Seen {
    pub(super) from: IpAddr,
    pub(super) port: u16,
    pub(super) symbol: u16,
    pub(super) source_port: Option<u16>,
    /// When it came, by the clock that ages queues.
    pub(super) at: Duration,
    /// It was taken for an earlier packet sent again.
    pub(super) repeated: bool,
}

/// What would have made a knock of the last hits. Hits are named by what they are, oldest first.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Repair {
    /// Nothing had to be mended: these hits were not in the queue together.
    AsTheyCame,
    /// The hits that were taken for repeats had to be counted.
    RepeatsCounted,
    /// These hits were too many.
    Without(Vec<Extra>),
    /// All or most of them came more than once.
    EachOnce,
    /// One hit came in the wrong place.
    Moved {
        /// The hit.
        hit: Seen,
        /// How many places too late; too early where it is negative.
        late: isize,
    },
    /// One hit was missing.
    Missing {
        /// Its port.
        port: u16,
        /// Its place in the knock, counted from 1.
        place: usize,
    },
    /// Hits of several addresses had to be taken together.
    SeveralAddresses(Vec<IpAddr>),
}

/// A hit that was one too many.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Extra {
    pub(super) hit: Seen,
    /// The same port just before it, or just behind: the two look like one.
    pub(super) twin: Option<Seen>,
}

/// What the mended hits spell.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Spelled {
    /// A knock that would have been accepted.
    Knock(Knock),
    /// A knock with another address inside.
    OtherAddress(IpAddr),
}

/// A repair with what came of it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Near {
    pub(super) repair: Repair,
    pub(super) spelled: Spelled,
    /// The hits that the repair was found among, oldest first.
    pub(super) hits: Vec<Seen>,
}

/// What may be spent on searching.
#[derive(Clone, Copy, Debug)]
pub(super) struct Budget {
    tries: u64,
    slow: u32,
}

impl Budget {
    pub(super) fn new() -> Self {
        Self { tries: MAX_TRIES, slow: MAX_SLOW }
    }

    /// Whether nothing is searched any more.
    pub(super) fn is_spent(&self) -> bool {
        self.tries == 0
    }
}

/// How many hits of a client are worth keeping for [`search`].
pub(super) fn worth_keeping(codec: &Codec) -> usize {
    2 * codec.slots() + 2
}

/// Whether the format has enough that is checked in each knock to tell a near miss from noise.
pub(super) fn can_tell(codec: &Codec) -> bool {
    codec.guess_bits() >= SURE_BITS + tries_in_bits(2 * to_u64(codec.slots()))
}

/// Looks for what would have made a knock of the client's last hits, of which the newest is the last
/// that the knock has. `judged`: the last hits as they came were refused already.
pub(super) fn search(
    codec: &Codec,
    client: IpAddr,
    hits: &[Seen],
    judged: bool,
    budget: &mut Budget,
) -> Option<Near> {
    if budget.is_spent() {
        return None;
    }
    let counted: Vec<Seen> = hits.iter().filter(|hit| !hit.repeated).copied().collect();
    let newest_is_repeat = hits.last().is_some_and(|hit| hit.repeated);
    let mut search = Search { codec, client, budget };
    if newest_is_repeat {
        // Without the repeats nothing has changed since the hit before.
        return search.repeats_counted(hits);
    }
    let plain = if judged { None } else { search.as_they_came(&counted) };
    plain
        .or_else(|| search.repeats_counted(hits))
        .or_else(|| search.each_once(&counted))
        .or_else(|| search.without(&counted))
        .or_else(|| search.moved(&counted))
        .or_else(|| search.missing(&counted))
}

/// Looks for a knock among the last hits of several addresses, `client`'s among them.
pub(super) fn search_addresses(
    codec: &Codec,
    client: IpAddr,
    hits: &[Seen],
    budget: &mut Budget,
) -> Option<Near> {
    let window = last(hits, codec.slots()).filter(|_| !budget.is_spent())?;
    let mut addresses: Vec<IpAddr> = window.iter().map(|hit| hit.from).collect();
    addresses.sort_unstable();
    addresses.dedup();
    if addresses.len() < 2 || !addresses.contains(&client) {
        return None;
    }
    let mut search = Search { codec, client, budget };
    let spelled = search.try_window(&symbols(window), 1)?;
    if let Spelled::OtherAddress(inside) = &spelled
        && !addresses.contains(inside)
    {
        return None;
    }
    Some(Near { repair: Repair::SeveralAddresses(addresses), spelled, hits: window.to_vec() })
}

struct Search<'a> {
    codec: &'a Codec,
    client: IpAddr,
    budget: &'a mut Budget,
}

impl Search<'_> {
    fn as_they_came(&mut self, counted: &[Seen]) -> Option<Near> {
        let window = last(counted, self.codec.slots())?;
        let spelled = self.try_window(&symbols(window), 1)?;
        Some(Near { repair: Repair::AsTheyCame, spelled, hits: window.to_vec() })
    }

    fn repeats_counted(&mut self, hits: &[Seen]) -> Option<Near> {
        let window = last(hits, self.codec.slots())?;
        if !window.iter().any(|hit| hit.repeated) {
            return None;
        }
        let spelled = self.try_window(&symbols(window), 1)?;
        Some(Near { repair: Repair::RepeatsCounted, spelled, hits: window.to_vec() })
    }

    /// Every packet logged twice, or nearly every one.
    fn each_once(&mut self, counted: &[Seen]) -> Option<Near> {
        let slots = self.codec.slots();
        let once = |same: fn(&[Seen]) -> Vec<Seen>| {
            let kept = same(counted);
            last(&kept, slots).map(<[Seen]>::to_vec)
        };
        // Pairs from the end, for a knock that has the same port twice in a row itself.
        let halved = once(|hits| {
            let pairs: Vec<&[Seen]> = hits.rchunks_exact(2).collect();
            let whole = pairs.iter().take_while(|pair| pair.iter().all(|h| h.port == pair[0].port));
            let mut kept: Vec<Seen> = whole.filter_map(|pair| pair.last().copied()).collect();
            kept.reverse();
            kept
        });
        let merged = once(|hits| {
            let mut kept: Vec<Seen> = hits.to_vec();
            kept.dedup_by_key(|hit| hit.port);
            kept
        });
        for window in [halved, merged].into_iter().flatten() {
            let first = window.first().map(|hit| hit.at);
            let spanned = counted.iter().filter(|hit| Some(hit.at) >= first).count();
            // One that is too many is told better as that one.
            if spanned > slots + 2
                && let Some(spelled) = self.try_window(&symbols(&window), 2)
            {
                return Some(Near { repair: Repair::EachOnce, spelled, hits: window });
            }
        }
        None
    }

    fn without(&mut self, counted: &[Seen]) -> Option<Near> {
        let slots = self.codec.slots();
        let one = last(counted, slots + 1).and_then(|hits| {
            // Neither the first nor the last: without them it was a window already.
            (1..slots).find_map(|extra| self.try_without(hits, &[extra], to_u64(slots)))
        });
        one.or_else(|| {
            let hits = last(counted, slots + 2)?;
            let tries = to_u64(slots * slots / 2);
            self.is_worth(tries).then_some(())?;
            (1..=slots).find_map(|first| {
                (first + 1..=slots)
                    .find_map(|second| self.try_without(hits, &[first, second], tries))
            })
        })
    }

    fn try_without(&mut self, hits: &[Seen], extras: &[usize], tries: u64) -> Option<Near> {
        let kept = hits.iter().enumerate().filter(|(at, _)| !extras.contains(at));
        let window: Vec<u16> = kept.map(|(_, hit)| hit.symbol).collect();
        let spelled = self.try_window(&window, tries)?;
        let extras = extras.iter().filter_map(|at| extra(hits, *at)).collect();
        Some(Near { repair: Repair::Without(extras), spelled, hits: hits.to_vec() })
    }

    /// One hit that came later or earlier than it was sent. Neighbours that swapped places are the
    /// nearest case, and the first that is tried.
    fn moved(&mut self, counted: &[Seen]) -> Option<Near> {
        let slots = self.codec.slots();
        let hits = last(counted, slots)?;
        let tries = to_u64(slots * slots);
        self.is_worth(tries).then_some(())?;
        (1..slots).find_map(|distance| {
            (0..slots - distance).find_map(|near| {
                let far = near + distance;
                // The same two places, once with the hit that is late and once with the early one.
                let tries_here = [(far, near), (near, far)];
                tries_here.into_iter().take(if distance == 1 { 1 } else { 2 }).find_map(
                    |(from, to)| {
                        let mut window = symbols(hits);
                        let symbol = window.remove(from);
                        window.insert(to, symbol);
                        let spelled = self.try_window(&window, tries)?;
                        let late = isize::try_from(from).ok()? - isize::try_from(to).ok()?;
                        let hit = *hits.get(from)?;
                        Some(Near {
                            repair: Repair::Moved { hit, late },
                            spelled,
                            hits: hits.to_vec(),
                        })
                    },
                )
            })
        })
    }

    /// The one that is missing is tried as every port in every place.
    fn missing(&mut self, counted: &[Seen]) -> Option<Near> {
        let slots = self.codec.slots();
        let hits = last(counted, slots - 1).filter(|hits| !hits.is_empty())?;
        let size = u16::try_from(self.codec.span().size()).ok()?;
        let tries = to_u64(slots) * u64::from(size);
        for place in 0..slots {
            self.is_worth(tries).then_some(())?;
            let mut window = symbols(hits);
            window.insert(place, 0);
            for symbol in 0..size {
                *window.get_mut(place)? = symbol;
                if let Some(spelled) = self.try_window(&window, tries) {
                    let port = self.codec.span().port(symbol)?;
                    let repair = Repair::Missing { port, place: place + 1 };
                    return Some(Near { repair, spelled, hits: hits.to_vec() });
                }
            }
        }
        None
    }

    /// Whether a find would say something after so many tries of its kind, and may still be sought.
    fn is_worth(&self, tries: u64) -> bool {
        let certain = self.codec.guess_bits() - tries_in_bits(tries);
        tries <= MAX_OF_A_KIND && certain >= SURE_BITS && !self.budget.is_spent()
    }

    /// What a window spells, if that is worth a try.
    fn try_window(&mut self, window: &[u16], tries: u64) -> Option<Spelled> {
        if !self.is_worth(tries) {
            return None;
        }
        let certain = self.codec.guess_bits() - tries_in_bits(tries);
        self.budget.tries -= 1;
        if self.codec.slow_derivation(window).is_some_and(is_slow) {
            self.budget.slow = self.budget.slow.checked_sub(1)?;
        }
        match self.codec.decode(window, self.client) {
            Ok(knock) => Some(Spelled::Knock(knock)),
            // That the address is right was counted among the bits that are checked.
            Err(Refusal::Address { inside }) if certain - self.address_bits() >= SURE_BITS => {
                Some(Spelled::OtherAddress(inside))
            }
            Err(_) => None,
        }
    }

    fn address_bits(&self) -> f64 {
        let wide = self.codec.shape().fields().contains(&Field::Ip6);
        if wide { 128.0 } else { 32.0 }
    }
}

fn extra(hits: &[Seen], at: usize) -> Option<Extra> {
    let hit = *hits.get(at)?;
    let before = at.checked_sub(1).and_then(|before| hits.get(before));
    let twin = [before, hits.get(at + 1)].into_iter().flatten().find(|twin| twin.port == hit.port);
    Some(Extra { hit, twin: twin.copied() })
}

fn last(hits: &[Seen], count: usize) -> Option<&[Seen]> {
    hits.get(hits.len().checked_sub(count)?..)
}

fn symbols(hits: &[Seen]) -> Vec<u16> {
    hits.iter().map(|hit| hit.symbol).collect()
}

fn is_slow(derivation: KeyDerivation) -> bool {
    matches!(derivation, KeyDerivation::Pbkdf2 | KeyDerivation::Argon2id)
}

fn tries_in_bits(tries: u64) -> f64 {
    f64::from(u32::try_from(tries).unwrap_or(u32::MAX)).max(1.0).log2()
}

fn to_u64(count: usize) -> u64 {
    u64::try_from(count).unwrap_or(u64::MAX)
}

#[cfg(test)]
mod tests;
