//! `firewall`: the static part of leases in this host's firewall, printed, made or taken away.

use std::time::Duration;

use knock_actions::Gate;
use knock_config::FirewallChoice;
use knock_firewall::{FirewallError, Keeper, Kind, Work};

use super::args::{Common, FirewallArgs, FirewallKind};
use super::machine::Purpose;
use super::output::Printer;
use super::{load, output};
use crate::exit::Exit;

/// How long each of the firewall's programs may take. Another one may have the firewall locked.
const LIMIT: Duration = Duration::from_secs(30);

/// Does what was asked for; what it did is on standard output.
pub(crate) fn run(common: &Common, args: FirewallArgs) -> Exit {
    let kind = match args.kind {
        Some(kind) => of_argument(kind),
        None => match configured(common) {
            Ok(choice) => of_choice(choice),
            Err(exit) => return exit,
        },
    };
    match ask(Gate::new(kind), args) {
        Ok((lines, failed)) => {
            let mut out = Printer::new();
            if !common.quiet || args.print {
                lines.iter().for_each(|line| out.line(line.trim_end()));
            }
            let exit = out.finish();
            failed.iter().for_each(|error| output::error(&error.to_string()));
            match failed.first() {
                Some(error) => exit_of(error),
                None => exit,
            }
        }
        Err(error) => {
            output::error(&error.to_string());
            exit_of(&error)
        }
    }
}

fn exit_of(error: &FirewallError) -> Exit {
    if error.is_permission() { Exit::Permission } else { Exit::Input }
}

/// What was done, and what could not be.
fn ask(gate: Gate, args: FirewallArgs) -> Result<(Vec<String>, Vec<FirewallError>), FirewallError> {
    let firewall = gate.firewall()?;
    if args.print {
        return Ok((vec![firewall.script(LIMIT)?], Vec::new()));
    }
    let Work { done: mut lines, failed, remarks } = match args.apply {
        true => firewall.apply(LIMIT)?,
        false => firewall.remove(LIMIT)?,
    };
    if lines.is_empty() && failed.is_empty() {
        lines.push(format!("nothing to do ({})", firewall.kind()));
    }
    lines.extend(remarks.iter().map(|remark| format!("note: {remark}")));
    if !args.apply
        && let Err(FirewallError::KeptByAnother { holder }) = Keeper::claim()
    {
        let holder = holder.map_or(String::new(), |holder| format!(" ({holder})"));
        lines.push(format!(
            "note: a running knockdaemon{holder} puts back what its leases need, within \
             a minute; end the leases first (knockdaemon revoke --all), or stop it"
        ));
    }
    Ok((lines, failed))
}

/// What the configuration says; where none is found, this command needs none.
fn configured(common: &Common) -> Result<FirewallChoice, Exit> {
    if common.conf.is_none() && !load::is_there() {
        return Ok(FirewallChoice::Auto);
    }
    load::settings(common, Purpose::Look).map(|(_, settings)| settings.firewall)
}

/// The word of the configuration as one of the ways there are.
pub(crate) fn of_choice(choice: FirewallChoice) -> Kind {
    match choice {
        FirewallChoice::Auto => Kind::Auto,
        FirewallChoice::Nftables => Kind::Nftables,
        FirewallChoice::Ipset => Kind::Ipset,
        FirewallChoice::Iptables => Kind::Iptables,
    }
}

fn of_argument(kind: FirewallKind) -> Kind {
    match kind {
        FirewallKind::Auto => Kind::Auto,
        FirewallKind::Nftables => Kind::Nftables,
        FirewallKind::Ipset => Kind::Ipset,
        FirewallKind::Iptables => Kind::Iptables,
    }
}
