//! Taking away what is ours, and only that: what is word by word as we write it. Whatever has only our
//! name stays, and so does what others have put into ours or let lead there.

use crate::error::FirewallError;
use crate::iptables::{self, Listing, Program, rules};
use crate::limit::Limit;
use crate::netlink::{Fault, Socket};
use crate::nftables::chains::Chain;
use crate::nftables::elements::Set;
use crate::nftables::{layout, taking};
use crate::pieces::Piece;
use crate::survey::Survey;
use crate::tools::Tools;
use crate::{Kind, Work, ipset};

/// Takes away what is ours, but for what belongs to the way that is kept.
pub(crate) fn remove(
    survey: &Survey,
    keep: Option<Kind>,
    tools: &dyn Tools,
    limit: Limit,
    work: &mut Work,
) {
    // The rules first: a set that a rule names cannot go.
    for chain in &survey.chains {
        // One is wanted where the way is kept. Two may come of a command beside a starting daemon.
        let wanted = usize::from(keep == Some(Kind::Nftables) && !layout::is_own(chain));
        from_chain(chain, wanted, tools, work);
    }
    for (program, listing) in &survey.iptables {
        from_iptables(program, listing, keep, tools, limit, work);
    }
    if keep != Some(Kind::Nftables) {
        // Who asks for all of ours to be gone means that of another version, too.
        let is_ours: fn(&[Set], &[Chain]) -> bool =
            if keep.is_some() { layout::is_ours_alone } else { layout::is_of_any_version };
        let doing = "remove the table inet knockdaemon";
        match by_netlink(doing, |socket| taking::table(socket, is_ours)) {
            Ok(true) => work.done.push("removed the table inet knockdaemon".to_owned()),
            Ok(false) => {
                let gone = by_netlink(doing, taking::ours_beside_others);
                let gone = gone.map_err(|error| work.failed.push(error)).is_ok_and(|gone| gone);
                let what = "what is ours of the table inet knockdaemon";
                work.done.extend(gone.then(|| format!("removed {what}")));
            }
            Err(FirewallError::NotInTheKernel(_)) => {}
            Err(error) => work.failed.push(error),
        }
    }
    if keep != Some(Kind::Ipset) {
        let sets = survey.sets.into_iter().zip(survey.foreign_sets);
        for (v4, (is_as_ours, is_foreign)) in [true, false].into_iter().zip(sets) {
            let set = ipset::set(v4);
            let rule = iptables::accepting_members(v4);
            // Of another shape, and our own rule leads there: another version has made it.
            let is_led_to = || survey.iptables.iter().any(|(_, listing)| listing.has(&rule));
            let is_ours = is_as_ours || (is_foreign && keep.is_none() && is_led_to());
            if !is_ours || survey.iptables.iter().any(|(_, listing)| listing.others_use(set)) {
                continue;
            }
            let args = ["destroy", set];
            let gone = iptables::run(tools, "ipset", &args, "", limit)
                .and_then(|ran| iptables::succeeded("ipset", &args, ran));
            work.add(gone, || format!("removed the set {set}"));
        }
    }
}

fn from_chain(chain: &Chain, wanted: usize, tools: &dyn Tools, work: &mut Work) {
    // iptables takes its own away.
    if chain.is_of_iptables() && tools.has("iptables") {
        return;
    }
    if chain.rules.iter().filter(|rule| rule.is_ours).count() <= wanted {
        return;
    }
    let doing = format!("remove a rule from the chain {}", chain.name);
    match by_netlink(&doing, |socket| taking::rules(socket, &chain.name, wanted)) {
        Ok(gone) => work.done.extend(
            std::iter::repeat_with(|| format!("removed a rule from the chain {}", chain.name))
                .take(gone),
        ),
        Err(error) => work.failed.push(error),
    }
}

pub(crate) fn by_netlink<T>(
    doing: &str,
    work: impl FnOnce(&mut Socket) -> Result<T, Fault>,
) -> Result<T, FirewallError> {
    let failed = |error| FirewallError::of_kernel(Kind::Nftables, doing, error);
    Socket::open().and_then(|mut socket| work(&mut socket)).map_err(failed)
}

fn from_iptables(
    program: &Program,
    listing: &Listing,
    keep: Option<Kind>,
    tools: &dyn Tools,
    limit: Limit,
    work: &mut Work,
) {
    // Copies of the one that is kept are its piece's business: by their words the first one would go.
    for rule in listing.ours().filter(|rule| Some(Piece::kind_of_rule(rule)) != keep) {
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
    let chain = iptables::CHAIN;
    if rules::are_all_ours(listing) && !listing.others_lead_to_chain() {
        let gone = program.must(tools, &["-X", chain], limit);
        work.add(gone, || format!("removed the chain {chain} of {program}"));
    } else if keep.is_none() {
        work.remarks.push(format!(
            "the chain {chain} of {program} stays: rules are in it or lead there that are not \
             knockdaemon's (look: {program} -S | grep {chain}; to be rid of it: {program} -F {chain}, \
             then {program} -X {chain})"
        ));
    }
}
