//! The server's firewall: everything to it is dropped and every SYN is logged, as on a real host.

use std::time::Duration;

use crate::lab::{Host, Lab};
use crate::process::{PATIENCE, await_until};
use crate::{LabError, Result};

/// Which of the kernel's two rule engines the `iptables` commands talk to.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Backend {
    /// `iptables-nft`, today's default.
    Nft,
    /// `iptables-legacy`, as on old hosts.
    Legacy,
}

impl Backend {
    /// The suffix of its programs.
    #[must_use]
    pub fn suffix(self) -> &'static str {
        match self {
            Self::Nft => "nft",
            Self::Legacy => "legacy",
        }
    }
}

/// Default drop, established connections pass, SYNs are logged with this prefix. Both families.
///
/// # Errors
/// When iptables is missing or refuses.
pub fn close(lab: &Lab, backend: Backend, prefix: &str) -> Result<()> {
    close_in_silence(lab, backend)?;
    for family in ["iptables", "ip6tables"] {
        let program = format!("{family}-{}", backend.suffix());
        lab.on(
            Host::Server,
            &format!("{program} -A INPUT -p tcp --syn -j LOG --log-prefix {prefix}"),
        )?;
    }
    Ok(())
}

/// Default drop, established connections pass, nothing is logged. Both families.
///
/// # Errors
/// When iptables is missing or refuses.
pub fn close_in_silence(lab: &Lab, backend: Backend) -> Result<()> {
    for family in ["iptables", "ip6tables"] {
        let program = format!("{family}-{}", backend.suffix());
        for rule in [
            "-P INPUT DROP",
            "-A INPUT -m conntrack --ctstate ESTABLISHED,RELATED -j ACCEPT",
            "-A INPUT -i lo -j ACCEPT",
        ] {
            lab.on(Host::Server, &format!("{program} {rule}"))?;
        }
    }
    Ok(())
}

/// Default drop, and SYNs are sent to a group of NFLOG with this prefix. Both families.
///
/// # Errors
/// When iptables is missing or refuses.
pub fn close_to_group(lab: &Lab, backend: Backend, group: u16, prefix: &str) -> Result<()> {
    close_in_silence(lab, backend)?;
    send_to_group(lab, backend, group, prefix)
}

/// One more rule that sends SYNs to a group of NFLOG. Both families.
///
/// # Errors
/// When iptables is missing or refuses.
pub fn send_to_group(lab: &Lab, backend: Backend, group: u16, prefix: &str) -> Result<()> {
    for family in ["iptables", "ip6tables"] {
        let program = format!("{family}-{}", backend.suffix());
        let target = format!("NFLOG --nflog-group {group} --nflog-prefix {prefix}");
        lab.on(Host::Server, &format!("{program} -A INPUT -p tcp --syn -j {target}"))?;
    }
    Ok(())
}

/// The same with nftables' own commands.
///
/// # Errors
/// When nft is missing or refuses.
pub fn close_with_nft(lab: &Lab, prefix: &str) -> Result<()> {
    close_with_nft_and(lab, &format!("log prefix \"{prefix}\" flags all"))
}

/// The same, and this statement is what happens to SYNs.
///
/// # Errors
/// When nft is missing or refuses.
pub fn close_with_nft_and(lab: &Lab, statement: &str) -> Result<()> {
    let rules = lab.write(
        "firewall.nft",
        &format!(
            "table inet filter {{\n  chain input {{\n    type filter hook input priority 0; policy drop;\n\
             \x20   ct state established,related accept\n    iif lo accept\n\
             \x20   tcp flags & (syn|ack) == syn {statement}\n  }}\n}}\n"
        ),
    )?;
    lab.on(Host::Server, &format!("nft -f {}", rules.display())).map(drop)
}

/// The rules of INPUT that name `what`, as `iptables -S` prints them.
///
/// # Errors
/// When iptables cannot be asked.
pub fn rules(lab: &Lab, program: &str, what: &str) -> Result<Vec<String>> {
    let all = lab.on(Host::Server, &format!("{program} -S INPUT"))?;
    Ok(all.lines().filter(|rule| rule.contains(what)).map(ToOwned::to_owned).collect())
}

/// Waits until exactly `count` rules of INPUT name `what`.
///
/// # Errors
/// When it does not come to that; the text holds the rules.
pub fn await_rules(lab: &Lab, program: &str, what: &str, count: usize) -> Result<()> {
    let mut last = Vec::new();
    let seen = await_until(PATIENCE + Duration::from_secs(30), || {
        last = rules(lab, program, what).unwrap_or_default();
        last.len() == count
    });
    if seen {
        return Ok(());
    }
    Err(LabError(format!("{count} rules naming {what} expected, there are: {last:#?}")))
}
