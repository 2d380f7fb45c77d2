//! The logformats that are built into the program, so that it needs no other file.
//!
//! `logformats/` at the root has them, and a symbolic link brings it here. A new one takes a line
//! in this list; a test compares list and folder.

macro_rules! shipped {
    ($($name:literal),* $(,)?) => {
        &[$(($name, include_str!(concat!("../logformats/", $name, ".yaml")))),*]
    };
}

/// Name and text of each, in the order of their names.
pub const SHIPPED_FORMATS: &[(&str, &str)] = shipped![
    "aix-ipsec",
    "aws-vpc",
    "cisco-asa",
    "cisco-ios",
    "firewalld",
    "ip6tables",
    "ipchains",
    "ipfw",
    "ipmon",
    "iptables",
    "log_in_vain",
    "mikrotik",
    "netscreen",
    "nftables",
    "openwrt",
    "opnsense",
    "pf",
    "pfsense",
    "proxmox",
    "shorewall",
    "susefirewall2",
    "ufw",
    "ulogd",
    "unifi",
    "windows-firewall",
];
