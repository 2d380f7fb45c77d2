//! What stands in the firewall for good, beside the rules of others: our table, our sets, our chain,
//! and the one rule that lets in who is in them. Each piece can be looked for, made, and printed.

use std::fmt;

use crate::error::FirewallError;
use crate::iptables::order::{Place, Standing};
use crate::iptables::{self, Listing, Program};
use crate::limit::Limit;
use crate::nftables::chains::{Chain, ChainName};
use crate::nftables::order::Move;
use crate::nftables::{layout, taking};
use crate::tools::Tools;
use crate::{Kind, ipset, removal, words};

/// One thing that is made once.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Piece {
    /// Our table of nftables.
    Table(layout::Making),
    /// A rule in a chain of nftables.
    InChain(ChainName),
    /// The same, which is there and does nothing where it is.
    MovedInChain(ChainName, Move),
    /// A set of ipset; of IPv4 or not.
    Set(bool),
    /// Our chain of iptables.
    OwnChain(Program),
    /// A rule in the chain INPUT.
    InInput(Program, Vec<String>),
    /// The same, which is there more than once or does nothing where it is.
    PutInInput(Program, Vec<String>, Place),
}

impl fmt::Display for Piece {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Table(_) => f.write_str("the table inet knockdaemon"),
            Self::InChain(chain) => write!(f, "a rule in the chain {chain}"),
            Self::Set(v4) => write!(f, "the set {}", ipset::set(*v4)),
            Self::OwnChain(program) => write!(f, "the chain {} of {program}", iptables::CHAIN),
            Self::MovedInChain(chain, _) => {
                write!(f, "a place for our rule in the chain {chain}, before what keeps all out")
            }
            Self::InInput(program, _) => write!(f, "a rule in INPUT of {program}"),
            Self::PutInInput(program, _, Place { is_dead: true, .. }) => {
                write!(f, "a place for our rule in INPUT of {program}, before what keeps all out")
            }
            Self::PutInInput(program, _, Place { copies, .. }) => {
                write!(f, "one rule in INPUT of {program} of {copies} equal ones")
            }
        }
    }
}

impl Piece {
    /// The rule in INPUT, and whether it is where it should be.
    pub(crate) fn in_input(
        program: &Program,
        listing: &Listing,
        rule: Vec<String>,
    ) -> (Self, bool) {
        let program = program.clone();
        match listing.standing(&rule) {
            Standing::Missing => (Self::InInput(program, rule), false),
            Standing::InPlace => (Self::InInput(program, rule), true),
            Standing::Elsewhere(place) => (Self::PutInInput(program, rule, place), false),
        }
    }

    /// The rule in a chain of nftables, and whether it is where it should be.
    pub(crate) fn in_chain(chain: &Chain, all: &[Chain]) -> (Self, bool) {
        let name = chain.name.clone();
        match chain.move_of_ours(all) {
            Some(to) => (Self::MovedInChain(name, to), false),
            None => (Self::InChain(name), chain.rules.iter().any(|rule| rule.is_ours)),
        }
    }

    /// Makes it. It was looked for before, and is not there.
    pub(crate) fn make(&self, tools: &dyn Tools, limit: Limit) -> Result<(), FirewallError> {
        match self {
            Self::Table(making) => {
                nft(tools, &making.script, limit).map_err(|error| match error {
                    FirewallError::Tool { says, .. } if is_of_another_shape(&says) => {
                        FirewallError::foreign_table(true)
                    }
                    other => other,
                })?;
                if !making.has_others {
                    return Ok(());
                }
                removal::by_netlink("take rules out of our chain", taking::marking_beside_ours)
            }
            Self::InChain(chain) => nft(tools, &layout::accepting(chain, None), limit),
            Self::MovedInChain(chain, Move { before, .. }) => {
                // Not in one step: by its number the old one is taken out only as long as it is ours.
                nft(tools, &layout::accepting(chain, Some(*before)), limit)?;
                let doing = format!("remove a rule from the chain {chain}");
                removal::by_netlink(&doing, |socket| taking::rules(socket, chain, 1)).map(drop)
            }
            Self::Set(v4) => {
                let args = ipset::creation(*v4);
                let ran = iptables::run(tools, "ipset", &args, "", limit)?;
                iptables::succeeded("ipset", &args, ran).map(drop)
            }
            Self::OwnChain(program) => {
                program.must(tools, &["-N", iptables::CHAIN], limit).map(drop)
            }
            Self::InInput(program, rule) => {
                let words: Vec<&str> = insertion(rule).collect();
                program.must(tools, &words, limit).map(drop)
            }
            Self::PutInInput(program, rule, place) => program.put(tools, rule, *place, limit),
        }
    }

    /// The program that makes it.
    pub(crate) fn program(&self) -> &str {
        match self {
            Self::Table(_) | Self::InChain(_) | Self::MovedInChain(..) => "nft",
            Self::Set(_) => "ipset",
            Self::OwnChain(program) | Self::InInput(program, _) | Self::PutInInput(program, ..) => {
                &program.name
            }
        }
    }

    /// The lines of a shell script that make it, as often as they are run.
    pub(crate) fn shell(&self) -> String {
        match self {
            Self::Table(making) if making.script.is_empty() => {
                "# as it is, with what others have put in\n".to_owned()
            }
            Self::Table(making) => format!("nft -f - <<'EOF'\n{}EOF\n", making.script),
            Self::InChain(chain) => format!(
                "nft list chain {chain} | grep -qE '{}' ||\n    nft -f - <<'EOF'\n{}EOF\n",
                layout::accepting_as_listed(),
                layout::accepting(chain, None)
            ),
            Self::MovedInChain(chain, Move { ours, before }) => format!(
                "! nft -a list chain {chain} | grep -q '# handle {ours}$' ||\n    nft -f - <<'EOF'\n\
                 delete rule {chain} handle {ours}\n{}EOF\n",
                layout::accepting(chain, Some(*before))
            ),
            Self::Set(v4) => format!("ipset {}\n", ipset::creation(*v4).join(" ")),
            Self::OwnChain(program) => {
                let chain = iptables::CHAIN;
                format!("{program} -w -S | grep -qx -- '-N {chain}' || {program} -w -N {chain}\n")
            }
            Self::InInput(program, rule) => {
                let check = rule.join(" ");
                let insert = insertion(rule).collect::<Vec<_>>().join(" ");
                format!("{program} -w -C INPUT {check} 2>/dev/null ||\n    {program} -w {insert}\n")
            }
            Self::PutInInput(program, rule, place) => {
                let rule = rule.join(" ");
                format!(
                    "while {program} -w -D INPUT {rule} 2>/dev/null; do :; done\n\
                     {program} -w -I INPUT {} {rule}\n",
                    place.number
                )
            }
        }
    }

    /// Which way it belongs to.
    pub(crate) fn kind_of_rule(rule: &[&str]) -> Kind {
        if rule.contains(&"--match-set") {
            Kind::Ipset
        } else if rule.ends_with(&["-j", iptables::CHAIN]) {
            Kind::Iptables
        } else {
            Kind::Nftables
        }
    }
}

/// What nft says of a set or chain that is there with other words.
fn is_of_another_shape(says: &str) -> bool {
    ["File exists", "mismatch"].iter().any(|part| says.contains(part))
}

fn insertion(rule: &[String]) -> impl Iterator<Item = &str> {
    ["-I", "INPUT", "1"].into_iter().chain(rule.iter().map(String::as_str))
}

/// Runs lines of nft, all of them or none.
pub(crate) fn nft(tools: &dyn Tools, script: &str, limit: Limit) -> Result<(), FirewallError> {
    let args = ["-f", "-"];
    let ran = iptables::run(tools, "nft", &args, script, limit)?;
    iptables::succeeded("nft", &args, ran).map(drop)
}

/// Rules of our chain as nft prints them, for people; by their numbers where it does not.
pub(crate) fn rules_in_words(
    tools: &dyn Tools,
    limit: Limit,
    handles: impl Iterator<Item = u64>,
) -> Vec<String> {
    let mut handles = handles.peekable();
    if handles.peek().is_none() {
        return Vec::new();
    }
    let chain = layout::own_chain().to_string();
    let words = words(&format!("-a list chain {chain}"));
    let args: Vec<&str> = words.iter().map(String::as_str).collect();
    let listed = iptables::run(tools, "nft", &args, "", limit);
    let listed = listed.map(|ran| ran.stdout).unwrap_or_default();
    let rules = listed.lines().filter_map(|line| line.rsplit_once(" # handle "));
    let in_words = |handle: u64| {
        let number = handle.to_string();
        let (rule, _) = rules.clone().find(|(_, found)| found.trim() == number)?;
        Some(rule.trim().chars().filter(|c| !c.is_control()).take(300).collect())
    };
    handles.map(|it| in_words(it).unwrap_or_else(|| format!("handle {it}"))).collect()
}
