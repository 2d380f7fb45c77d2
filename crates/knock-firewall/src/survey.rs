//! A look at the whole firewall of this host: which pieces of ours are wanted, which are there, and
//! what stands around that has an answer to packets for this host. Changes nothing.

use std::collections::BTreeSet;
use std::fs;
use std::io::ErrorKind;

use crate::error::FirewallError;
use crate::iptables::{self, Listing, Program, rules};
use crate::limit::Limit;
use crate::netlink::Socket;
use crate::nftables::chains::{self, Chain};
use crate::nftables::elements::{self, Size};
use crate::nftables::{self, layout};
use crate::pieces::{self, Piece};
use crate::tools::Tools;
use crate::{Kind, ipset};

/// Where the kernel lists the tables of iptables-legacy, for the network of the calling thread.
const LEGACY_TABLES: [(bool, &str); 2] = [
    (true, "/proc/thread-self/net/ip_tables_names"),
    (false, "/proc/thread-self/net/ip6_tables_names"),
];

/// What was seen.
#[derive(Debug)]
pub(crate) struct Survey {
    pub(crate) chains: Vec<Chain>,
    /// The sizes of networks that our table has sets for.
    pub(crate) sizes: Vec<Size>,
    /// Whether a table of our name is not ours.
    pub(crate) table_is_foreign: bool,
    /// It is there, and does nothing.
    table_is_dormant: bool,
    /// It is one of ours all the same, of another shape.
    pub(crate) table_does_nothing_else: bool,
    /// What others have put into our table.
    pub(crate) in_our_table: Vec<String>,
    /// Which sets of ipset there are that are ours, IPv4 first.
    pub(crate) sets: [bool; 2],
    /// Which sets of our names are not ours.
    pub(crate) foreign_sets: [bool; 2],
    /// The engines of iptables that are in use here, with their rules.
    pub(crate) iptables: Vec<(Program, Listing)>,
    /// The same engines, where iptables finds rules that it did not make and cannot print.
    foreign: Vec<Program>,
    /// Those that do not say what rules they have.
    unreadable: Vec<(Program, FirewallError)>,
}

impl Survey {
    /// Looks. What cannot be seen is told by [`Self::failures`] or [`Self::remarks`], and keeps nothing
    /// else from being seen.
    pub(crate) fn of(
        socket: &mut Socket,
        tools: &dyn Tools,
        kind: Kind,
        limit: Limit,
    ) -> Result<Self, FirewallError> {
        let failed = |doing, error| FirewallError::of_kernel(Kind::Nftables, doing, error);
        // A kernel without nftables has no chains of it.
        let chains = match chains::chains(socket) {
            Err(fault) if fault.is_unknown_here() => Vec::new(),
            other => other.map_err(|error| failed("list the chains of nftables", error))?,
        };
        let in_table = match chains.is_empty() {
            true => Vec::new(),
            false => elements::sets(socket)
                .map_err(|error| failed("list the sets of nftables", error))?,
        };
        let table_is_dormant = !chains.is_empty()
            && nftables::is_dormant(socket)
                .map_err(|error| failed("list the tables of nftables", error))?;
        let table_is_foreign = !layout::is_ours(&in_table, &chains);
        let table_does_nothing_else = layout::does_nothing_else(&in_table, &chains);
        let in_our_table = match table_is_foreign {
            true => Vec::new(),
            false => layout::of_others(&in_table, &chains),
        };
        let sizes = match table_is_foreign {
            true => Vec::new(),
            false => elements::sizes(&in_table).collect(),
        };
        let (mut sets, mut foreign_sets) = ([false; 2], [false; 2]);
        let slots = sets.iter_mut().zip(&mut foreign_sets);
        for (v4, (there, foreign)) in [true, false].into_iter().zip(slots) {
            match ipset::is_as_ours(socket, v4) {
                Ok(None) => {}
                Ok(Some(true)) => *there = true,
                Ok(Some(false)) => *foreign = true,
                Err(fault) if fault.is_unknown_here() => {}
                Err(error) => {
                    return Err(FirewallError::of_kernel(Kind::Ipset, "list a set", error));
                }
            }
        }
        let mut survey = Self {
            chains,
            sizes,
            table_is_foreign,
            table_is_dormant,
            table_does_nothing_else,
            in_our_table,
            sets,
            foreign_sets,
            iptables: Vec::new(),
            foreign: Vec::new(),
            unreadable: Vec::new(),
        };
        for program in survey.programs(tools, kind, limit) {
            match program.list(tools, limit) {
                Ok(listing) => survey.iptables.push((program, listing)),
                // Where each lease is a rule of iptables there is no other way to see it.
                Err(FirewallError::Tool { says, .. })
                    if says.contains("is incompatible") && kind != Kind::Iptables =>
                {
                    survey.foreign.push(program);
                }
                // What iptables has made and nobody can read as its own is nftables' all the same.
                Err(FirewallError::NoTool { .. }) if kind == Kind::Nftables => {
                    survey.foreign.push(program);
                }
                Err(error) => survey.unreadable.push((program, error)),
            }
        }
        Ok(survey)
    }

    /// What keeps this way from working, as far as it was seen: what has a name of ours and is not
    /// ours, and programs that do not answer.
    pub(crate) fn failures(&self, kind: Kind) -> Vec<FirewallError> {
        [true, false].into_iter().flat_map(|v4| self.failures_of(kind, v4)).fold(
            Vec::new(),
            |mut all, error| {
                if !all.contains(&error) {
                    all.push(error);
                }
                all
            },
        )
    }

    /// Whether a set that this way goes by has our name and is not ours.
    pub(crate) fn has_foreign_set(&self, kind: Kind, v4: bool) -> bool {
        match kind {
            Kind::Nftables => self.table_is_foreign,
            Kind::Ipset => self.is_foreign_set(v4),
            Kind::Iptables | Kind::Auto => false,
        }
    }

    fn is_foreign_set(&self, v4: bool) -> bool {
        if v4 { self.foreign_sets[0] } else { self.foreign_sets[1] }
    }

    /// Why it is not known what iptables of a family has.
    pub(crate) fn unread(&self, v4: bool) -> Option<FirewallError> {
        let unread = self.unreadable.iter().find(|(program, _)| program.v4 == v4);
        unread.map(|(_, error)| error.clone())
    }

    /// The same as `failures`, for one family.
    pub(crate) fn failures_of(&self, kind: Kind, v4: bool) -> Vec<FirewallError> {
        let mut failures = Vec::new();
        match kind {
            Kind::Nftables if self.table_is_foreign => {
                failures.push(FirewallError::foreign_table(self.table_does_nothing_else));
            }
            Kind::Ipset if self.is_foreign_set(v4) => {
                let name = ipset::set(v4);
                failures.push(FirewallError::NotAsOurs {
                    what: format!("the set {name} of ipset"),
                    remedy: format!(
                        "rename it (ipset rename {name} NAME), or take it away if it is of another \
                         version of knockdaemon (knockdaemon firewall --remove, then ipset destroy {name})"
                    ),
                });
            }
            Kind::Iptables => {
                failures.extend(self.engines(v4).filter(has_foreign_chain).map(|(program, _)| {
                    let chain = iptables::CHAIN;
                    FirewallError::NotAsOurs {
                        what: format!("the chain {chain} of {program}"),
                        remedy: format!(
                            "rename it, and where your rules name it: {program} -E {chain} NAME"
                        ),
                    }
                }))
            }
            Kind::Auto | Kind::Nftables | Kind::Ipset => {}
        }
        if kind != Kind::Nftables {
            let unreadable = self.unreadable.iter().filter(|(program, _)| program.v4 == v4);
            failures.extend(unreadable.map(|(_, error)| error.clone()));
        }
        failures
    }

    /// The engines of iptables of a family.
    pub(crate) fn engines(&self, v4: bool) -> impl Iterator<Item = (&Program, &Listing)> {
        let engines = self.iptables.iter().filter(move |(program, _)| program.v4 == v4);
        engines.map(|(program, listing)| (program, listing))
    }

    /// Those without a chain of our name that is not ours.
    pub(crate) fn own_engines(&self, v4: bool) -> impl Iterator<Item = (&Program, &Listing)> {
        self.engines(v4).filter(|engine| !has_foreign_chain(engine))
    }

    /// The engines of iptables that have rules here; where each lease is a rule and a family has none,
    /// what the host means by iptables.
    fn programs(&self, tools: &dyn Tools, kind: Kind, limit: Limit) -> Vec<Program> {
        let mut programs = Vec::new();
        for (v4, tables) in LEGACY_TABLES {
            let before = programs.len();
            if has_legacy_rules(tools, v4, tables, limit) {
                programs.push(Program::of_engine(tools, v4, "legacy"));
            }
            let family = if v4 { "ip" } else { "ip6" };
            let has_input = |chain: &Chain| chain.is_of_iptables() && chain.name.family == family;
            if self.chains.iter().any(has_input) {
                programs.push(Program::of_engine(tools, v4, "nft"));
            }
            if programs.len() == before && kind == Kind::Iptables {
                programs.push(Program::usual(v4));
            }
        }
        programs.dedup();
        programs
    }

    /// The pieces that this way wants, in the order in which they are made, and whether they are
    /// there.
    pub(crate) fn pieces(&self, kind: Kind, sizes: &BTreeSet<Size>) -> Vec<(Piece, bool)> {
        let mut pieces = Vec::new();
        match kind {
            Kind::Auto => {}
            Kind::Nftables => {
                if self.table_is_foreign {
                    return pieces;
                }
                let all: BTreeSet<Size> = sizes.iter().chain(&self.sizes).copied().collect();
                let whole =
                    !self.table_is_dormant && layout::is_whole(&all, &self.sizes, &self.chains);
                let making = layout::making(&all, whole, &self.chains);
                pieces.push((Piece::Table(making), whole));
                for chain in self.closing_chains().filter(|chain| !chain.is_before_ours()) {
                    pieces.push(Piece::in_chain(chain, &self.chains));
                }
                let rule = iptables::accepting_marked();
                for (program, listing) in self.closing_iptables() {
                    pieces.push(Piece::in_input(program, listing, rule.clone()));
                }
            }
            Kind::Ipset => {
                let usable = |v4| !self.is_foreign_set(v4);
                for (v4, there) in [true, false].into_iter().zip(self.sets) {
                    if usable(v4) {
                        pieces.push((Piece::Set(v4), there));
                    }
                }
                for (program, listing) in self.closing_iptables() {
                    if !usable(program.v4) {
                        continue;
                    }
                    let rule = iptables::accepting_members(program.v4);
                    pieces.push(Piece::in_input(program, listing, rule));
                }
            }
            Kind::Iptables => {
                for (program, listing) in &self.iptables {
                    if has_foreign_chain(&(program, listing)) {
                        continue;
                    }
                    pieces.push((Piece::OwnChain(program.clone()), listing.has_chain()));
                    let rule = iptables::jumping();
                    pieces.push(Piece::in_input(program, listing, rule));
                }
            }
        }
        pieces
    }

    /// What goes from our chain when the table is mended, as something that was done.
    pub(crate) fn taken_out_of_ours(&self, tools: &dyn Tools, limit: Limit) -> Vec<String> {
        let handles = layout::letting_in_by_others(&self.chains);
        let rules = pieces::rules_in_words(tools, limit, handles).into_iter();
        rules
            .map(|rule| {
                format!(
                    "took a rule out of the chain {} that somebody put there and that can let in people \
                     without a lease ({rule})",
                    layout::own_chain()
                )
            })
            .collect()
    }

    /// What a reader of the script should know.
    pub(crate) fn remarks(&self, kind: Kind) -> Vec<String> {
        let mut remarks = Vec::new();
        let native: Vec<&Chain> = self.closing_chains().collect();
        let closing: Vec<&(Program, Listing)> = self.closing_iptables().collect();
        if kind == Kind::Nftables {
            remarks.extend(self.unreadable.iter().map(|(program, error)| {
                format!("if {program} has rules that close this host, leases do not get through: {error}")
            }));
        }
        if !self.in_our_table.is_empty() {
            remarks.push(format!(
                "the table inet knockdaemon has in it what is not knockdaemon's ({}); that stays as it \
                 is, and leases get in unless it keeps them out",
                self.in_our_table.join(", ")
            ));
        }
        if kind == Kind::Iptables {
            remarks.extend(self.iptables.iter().filter_map(let_in_by_others));
        }
        if native.is_empty() && closing.is_empty() && self.unreadable.is_empty() {
            remarks.push(
                "no chain was found that keeps anybody out of this host: there is nothing to open"
                    .to_owned(),
            );
        }
        for chain in &native {
            if kind == Kind::Nftables && chain.is_before_ours() {
                remarks.push(format!(
                    "the chain {} keeps packets out before it can be known that they belong to a lease: leases \
                     do not get through it; give it a priority above {}",
                    chain.name,
                    nftables::PRIORITY
                ));
            }
            if !chain.keeps_established(&self.chains) {
                remarks.push(without_established(&format!("the chain {}", chain.name)));
            }
            if kind == Kind::Nftables && chain.is_held_back(&self.chains) {
                remarks.push(held_back(&format!("the chain {}", chain.name)));
            }
            if kind != Kind::Nftables {
                remarks.push(format!(
                    "the chain {} closes this host too, and {kind} cannot let anybody through it; \
                     use 'firewall = nftables'",
                    chain.name
                ));
            }
        }
        for (program, listing) in closing {
            let chain = format!("the chain INPUT of {program}");
            if !listing.keeps_established() {
                remarks.push(without_established(&chain));
            }
            let ours = match kind {
                Kind::Nftables => iptables::accepting_marked(),
                Kind::Ipset => iptables::accepting_members(program.v4),
                Kind::Iptables | Kind::Auto => iptables::jumping(),
            };
            if listing.is_held_back(&ours) {
                remarks.push(held_back(&chain));
            }
        }
        remarks
    }

    /// Chains of nftables that would drop what we let in.
    fn closing_chains(&self) -> impl Iterator<Item = &Chain> {
        self.chains.iter().filter(|chain| {
            let is_ours = layout::is_own(chain) && !self.table_is_foreign;
            !is_ours
                && chain.closes(&self.chains)
                && (!chain.is_of_iptables() || self.is_foreign(chain))
        })
    }

    /// Engines of iptables that do something with what comes in.
    fn closing_iptables(&self) -> impl Iterator<Item = &(Program, Listing)> {
        self.iptables.iter().filter(|(_, listing)| listing.filters())
    }

    /// Whether iptables cannot say what is in this chain of its.
    fn is_foreign(&self, chain: &Chain) -> bool {
        let v4 = chain.name.family == "ip";
        self.foreign.iter().any(|program| program.v4 == v4)
    }
}

fn has_foreign_chain((_, listing): &(&Program, &Listing)) -> bool {
    listing.has_chain() && !listing.owns_chain()
}

/// A leased host is open beyond its leases where others use our chain for it.
fn let_in_by_others((program, listing): &(Program, Listing)) -> Option<String> {
    let mut rules = rules::letting_in_by_others(listing).filter(|_| listing.owns_chain());
    let first = rules.next()?;
    let others = match rules.count() {
        0 => String::new(),
        more => format!(" and {more} more"),
    };
    let chain = iptables::CHAIN;
    Some(format!(
        "the chain {chain} of {program} lets in without a lease, by a rule that is not knockdaemon's \
         and stays ({first}){others}; to be rid of it: {program} -D {chain} {first}"
    ))
}

/// Whether iptables-legacy has been used in this network. The kernel tells root alone, and to ask by
/// iptables-legacy would make its tables; for others it is in use where `iptables` means it.
fn has_legacy_rules(tools: &dyn Tools, v4: bool, tables: &str, limit: Limit) -> bool {
    match fs::read_to_string(tables) {
        Ok(tables) => tables.lines().any(|table| table == "filter"),
        Err(error) if error.kind() == ErrorKind::NotFound => false,
        Err(_) => {
            let version = Program::usual(v4).version(tools, limit);
            version.is_ok_and(|version| !version.contains("nf_tables"))
        }
    }
}

fn held_back(chain: &str) -> String {
    format!(
        "in {chain} a rule before ours keeps everybody out of something, and bans stand between the two, so that \
         ours stays where it is: put that rule behind ours if leases do not get in"
    )
}

fn without_established(chain: &str) -> String {
    format!(
        "{chain} has no rule for established connections (ct state established accept): a session \
         ends with its lease"
    )
}
