//! Taking away what is ours, and only that: known by our table's name, our sets' and our chain's, and
//! by what our rules say of themselves.

use std::time::Duration;

use crate::error::FirewallError;
use crate::iptables::{self, Listing, Program};
use crate::nftables::chains::Chain;
use crate::nftables::layout;
use crate::pieces::{Piece, nft};
use crate::survey::Survey;
use crate::tools::Tools;
use crate::{Kind, ipset};

/// Takes away what is ours, but for what belongs to the way that is kept. Says what was taken.
pub(crate) fn remove(
    survey: &Survey,
    keep: Option<Kind>,
    tools: &dyn Tools,
    limit: Duration,
) -> Result<Vec<String>, FirewallError> {
    let mut done = Vec::new();
    // The rules first: a set that a rule names cannot go.
    for chain in &survey.chains {
        // One is wanted where the way is kept. Two may come of a command beside a starting daemon.
        let wanted = usize::from(keep == Some(Kind::Nftables));
        from_chain(chain, wanted, tools, limit, &mut done)?;
    }
    for (program, listing) in &survey.iptables {
        from_iptables(program, listing, keep, tools, limit, &mut done)?;
    }
    if keep != Some(Kind::Nftables) && survey.chains.iter().any(layout::is_own) {
        nft(tools, &layout::removal(), limit)?;
        done.push("removed the table inet knockdaemon".to_owned());
    }
    if keep != Some(Kind::Ipset) {
        for (v4, _) in [true, false].into_iter().zip(survey.sets).filter(|(_, there)| *there) {
            let args = ["destroy", ipset::set(v4)];
            let ran = iptables::run(tools, "ipset", &args, "", limit)?;
            iptables::succeeded("ipset", &args, ran)?;
            done.push(format!("removed the set {}", ipset::set(v4)));
        }
    }
    Ok(done)
}

fn from_chain(
    chain: &Chain,
    wanted: usize,
    tools: &dyn Tools,
    limit: Duration,
    done: &mut Vec<String>,
) -> Result<(), FirewallError> {
    // iptables takes its own away.
    if chain.is_of_iptables() && tools.has("iptables") {
        return Ok(());
    }
    for rule in chain.rules.iter().filter(|rule| rule.is_ours).skip(wanted) {
        nft(tools, &format!("delete rule {} handle {}\n", chain.name, rule.handle), limit)?;
        done.push(format!("removed a rule from the chain {}", chain.name));
    }
    Ok(())
}

fn from_iptables(
    program: &Program,
    listing: &Listing,
    keep: Option<Kind>,
    tools: &dyn Tools,
    limit: Duration,
    done: &mut Vec<String>,
) -> Result<(), FirewallError> {
    let (kept, others): (Vec<_>, Vec<_>) =
        listing.ours().partition(|rule| Some(Piece::kind_of_rule(rule)) == keep);
    for rule in others.into_iter().chain(kept.into_iter().skip(1)) {
        let args: Vec<&str> = ["-D", "INPUT"].into_iter().chain(rule).collect();
        program.must(tools, &args, limit)?;
        done.push(format!("removed a rule from INPUT of {program}"));
    }
    if keep != Some(Kind::Iptables) && listing.has_chain() {
        program.must(tools, &["-F", iptables::CHAIN], limit)?;
        program.must(tools, &["-X", iptables::CHAIN], limit)?;
        done.push(format!("removed the chain {} of {program}", iptables::CHAIN));
    }
    Ok(())
}
