//! What stands in the firewall for good, beside the rules of others: our table, our sets, our chain,
//! and the one rule that lets in who is in them. Each piece can be looked for, made, and printed.

use std::fmt;

use crate::error::FirewallError;
use crate::iptables::{self, Program};
use crate::limit::Limit;
use crate::nftables::chains::ChainName;
use crate::nftables::{layout, taking};
use crate::tools::Tools;
use crate::{Kind, ipset, removal};

/// One thing that is made once.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Piece {
    /// Our table of nftables.
    Table(layout::Making),
    /// A rule in a chain of nftables.
    InChain(ChainName),
    /// A set of ipset; of IPv4 or not.
    Set(bool),
    /// Our chain of iptables.
    OwnChain(Program),
    /// A rule in the chain INPUT.
    InInput(Program, Vec<String>),
}

impl fmt::Display for Piece {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Table(_) => f.write_str("the table inet knockdaemon"),
            Self::InChain(chain) => write!(f, "a rule in the chain {chain}"),
            Self::Set(v4) => write!(f, "the set {}", ipset::set(*v4)),
            Self::OwnChain(program) => write!(f, "the chain {} of {program}", iptables::CHAIN),
            Self::InInput(program, _) => write!(f, "a rule in INPUT of {program}"),
        }
    }
}

impl Piece {
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
                let Some(head) = making.head else { return Ok(()) };
                removal::by_netlink("take rules out of our chain", |socket| {
                    taking::marking_behind(socket, head)
                })
            }
            Self::InChain(chain) => nft(tools, &layout::accepting(chain), limit),
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
                layout::accepting(chain)
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
