//! Taking away what is ours, and only that: what is word by word as we write it. Whatever has only our
//! name stays, and so does what others have put into ours or let lead there.

use std::time::Duration;

use crate::iptables::{self, Listing, Program, rules};
use crate::nftables::chains::Chain;
use crate::nftables::layout;
use crate::pieces::{Piece, nft};
use crate::survey::Survey;
use crate::tools::Tools;
use crate::{Kind, Work, ipset};

/// Takes away what is ours, but for what belongs to the way that is kept.
pub(crate) fn remove(
    survey: &Survey,
    keep: Option<Kind>,
    tools: &dyn Tools,
    limit: Duration,
    work: &mut Work,
) {
    // The rules first: a set that a rule names cannot go.
    for chain in &survey.chains {
        // One is wanted where the way is kept. Two may come of a command beside a starting daemon.
        let wanted = usize::from(keep == Some(Kind::Nftables));
        from_chain(chain, wanted, tools, limit, work);
    }
    for (program, listing) in &survey.iptables {
        from_iptables(program, listing, keep, tools, limit, work);
    }
    let has_table = !survey.table_is_foreign && survey.chains.iter().any(layout::is_own);
    if keep != Some(Kind::Nftables) && has_table {
        let gone = nft(tools, &layout::removal(), limit);
        work.add(gone, || "removed the table inet knockdaemon".to_owned());
    }
    if keep != Some(Kind::Ipset) {
        for (v4, _) in [true, false].into_iter().zip(survey.sets).filter(|(_, there)| *there) {
            let set = ipset::set(v4);
            if survey.iptables.iter().any(|(_, listing)| listing.others_use(set)) {
                continue;
            }
            let args = ["destroy", set];
            let gone = iptables::run(tools, "ipset", &args, "", limit)
                .and_then(|ran| iptables::succeeded("ipset", &args, ran));
            work.add(gone, || format!("removed the set {set}"));
        }
    }
}

fn from_chain(chain: &Chain, wanted: usize, tools: &dyn Tools, limit: Duration, work: &mut Work) {
    // iptables takes its own away.
    if chain.is_of_iptables() && tools.has("iptables") {
        return;
    }
    for rule in chain.rules.iter().filter(|rule| rule.is_ours).skip(wanted) {
        let script = format!("delete rule {} handle {}\n", chain.name, rule.handle);
        let gone = nft(tools, &script, limit);
        work.add(gone, || format!("removed a rule from the chain {}", chain.name));
    }
}

fn from_iptables(
    program: &Program,
    listing: &Listing,
    keep: Option<Kind>,
    tools: &dyn Tools,
    limit: Duration,
    work: &mut Work,
) {
    let (kept, others): (Vec<_>, Vec<_>) =
        listing.ours().partition(|rule| Some(Piece::kind_of_rule(rule)) == keep);
    for rule in others.into_iter().chain(kept.into_iter().skip(1)) {
        let args: Vec<&str> = ["-D", "INPUT"].into_iter().chain(rule).collect();
        let gone = program.must(tools, &args, limit);
        work.add(gone, || format!("removed a rule from INPUT of {program}"));
    }
    if keep == Some(Kind::Iptables) || !listing.has_chain() || !listing.owns_chain() {
        return;
    }
    // One by one and never by a flush: what others have put in stays.
    for rule in rules::own_words(listing) {
        let words = ["-D", iptables::CHAIN].into_iter().chain(rule.iter().map(String::as_str));
        let gone = program.must(tools, &words.collect::<Vec<_>>(), limit);
        if let Err(error) = gone {
            work.failed.push(error);
        }
    }
    if rules::are_all_ours(listing) && !listing.others_lead_to_chain() {
        let gone = program.must(tools, &["-X", iptables::CHAIN], limit);
        work.add(gone, || format!("removed the chain {} of {program}", iptables::CHAIN));
    }
}
