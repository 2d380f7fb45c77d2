//! What it takes to open, when it is known for whom: iptables as a program, with and without a shell,
//! on a short chain and behind 5,000 rules; and the kernel's sets over netlink, as the daemon does it.

use std::fmt::Write as _;
use std::net::{IpAddr, Ipv4Addr};
use std::process::Command;
use std::time::Duration;

use knock_actions::Gate;
use knock_firewall::{FirewallError, Kind};
use knock_rules::{Network, Opening, Protocol};

use super::Timings;
use super::way::bare_rule;
use crate::lab::{Host, Lab};
use crate::process::now;
use crate::{LabError, Result};

/// Rules in place for "with 5,000 rules".
const MANY: u32 = 5_000;

/// One thing to time, and what takes it back.
struct Action {
    name: &'static str,
    words: Vec<String>,
    undo: Vec<String>,
}

/// Times each of them so often, in turns. For a lab whose firewall is shut.
///
/// # Errors
/// When a program fails.
pub fn alone(lab: &Lab, times: usize) -> Result<Vec<(String, Timings)>> {
    let mut told = Vec::new();
    let put_in = ["-I", "-D", "-C"].map(|verb| bare_rule(verb, "10.99.255.1"));
    let [insert, delete, check] = put_in.map(|rule| iptables(&rule));
    let in_shell = vec!["sh".to_owned(), "-c".to_owned(), insert.join(" ")];
    let actions = vec![
        Action { name: "`iptables -I`", words: insert.clone(), undo: delete.clone() },
        Action { name: "`sh -c 'iptables -I'`", words: in_shell, undo: delete.clone() },
    ];
    time(lab, "", &actions, times, &mut told)?;
    for (kind, name) in [(Kind::Nftables, "nftables"), (Kind::Ipset, "ipset")] {
        let [few, many] = lab.within(Host::Server, || in_set(kind, times))??;
        told.push((format!("a member of a set of {name}, over netlink"), few));
        told.push((format!("a member of a set of {name}, 5,000 members in place"), many));
    }
    fill(lab)?;
    let actions = vec![
        Action { name: "`iptables -I`", words: insert.clone(), undo: delete.clone() },
        Action { name: "`iptables -D` of the first", words: delete, undo: insert },
        Action { name: "`iptables -C` of none", words: check, undo: Vec::new() },
    ];
    // The second takes out what the first has put in: it begins with it there.
    time(lab, ", 5,000 rules in place", &actions, times.min(20), &mut told)?;
    Ok(told)
}

/// The time from a program's start to its end. What it says is not shown.
///
/// # Errors
/// When it cannot be started, or fails.
pub fn run(words: &[String]) -> Result<Duration> {
    let Some((program, rest)) = words.split_first() else { return Ok(Duration::ZERO) };
    let mut command = Command::new(program);
    command.args(rest);
    let began = now();
    let output = command.output()?;
    let took = began.elapsed();
    let is_check = words.iter().any(|word| word == "-C");
    if output.status.success() || is_check {
        return Ok(took);
    }
    let said = String::from_utf8_lossy(&output.stderr);
    Err(LabError(format!("{words:?}: {}: {}", output.status, said.trim())))
}

/// With an empty set, and with one that has many members.
fn in_set(kind: Kind, times: usize) -> Result<[Timings; 2]> {
    const LIMIT: Duration = Duration::from_secs(10);
    // The wall clock is what a lease ends by.
    #[allow(clippy::disallowed_methods, reason = "the kernel's clock is the real one")]
    let lease = Some(std::time::SystemTime::now() + Duration::from_secs(24 * 3600));
    let wrong = |error: FirewallError| LabError(error.to_string());
    let firewall = Gate::new(kind).firewall().map_err(wrong)?;
    firewall.apply(LIMIT).map_err(wrong)?;
    let opening = |client: u32| Opening {
        network: Network::host(IpAddr::from(Ipv4Addr::from(0x0a62_0000 + client))),
        protocol: Protocol::Tcp,
        port: 22,
    };
    let mut all = [Timings::default(), Timings::default()];
    for (members, timings) in [0..0, 0..MANY].into_iter().zip(&mut all) {
        for member in members {
            firewall.open(&opening(member), lease, LIMIT).map_err(wrong)?;
        }
        for _ in 0..times {
            let began = now();
            firewall.open(&opening(MANY), lease, LIMIT).map_err(wrong)?;
            timings.push(began.elapsed());
            firewall.close(&opening(MANY), LIMIT).map_err(wrong)?;
        }
    }
    firewall.remove(LIMIT).map_err(wrong)?;
    Ok(all)
}

fn time(
    lab: &Lab,
    where_: &str,
    actions: &[Action],
    times: usize,
    told: &mut Vec<(String, Timings)>,
) -> Result<()> {
    let mut all = vec![Timings::default(); actions.len()];
    lab.within(Host::Server, || {
        for round in 0..=times {
            for (action, timings) in actions.iter().zip(&mut all) {
                let puts_back = action.words.iter().any(|word| word == "-D");
                if puts_back {
                    run(&action.undo)?;
                }
                let took = run(&action.words)?;
                if !puts_back {
                    run(&action.undo)?;
                }
                // The first is a warm-up.
                if round > 0 {
                    timings.push(took);
                }
            }
        }
        Ok::<_, LabError>(())
    })??;
    let names = actions.iter().map(|action| format!("{}{where_}", action.name));
    told.extend(names.zip(all));
    Ok(())
}

fn iptables(rule: &str) -> Vec<String> {
    let words = rule.split_whitespace().map(str::to_owned);
    std::iter::once("iptables".to_owned()).chain(words).collect()
}

fn fill(lab: &Lab) -> Result<()> {
    let mut text = "*filter\n".to_owned();
    for number in 0..MANY {
        let client = format!("10.98.{}.{}", number / 250, number % 250 + 1);
        let _infallible = writeln!(text, "{}", bare_rule("-A", &client));
    }
    text.push_str("COMMIT\n");
    let file = lab.write("many.rules", &text)?;
    let line = format!("iptables-restore --noflush {}", file.display());
    lab.on(Host::Server, &line).map(drop)
}
