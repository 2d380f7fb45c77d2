//! The rows of where lines and packets come from.
//!
//! Data only, as the table is that they are joined to.

use super::super::{Key, Kind, UsedBy, Within};
use super::key;

/// The values of `runmode` that this version runs.
pub const RUNMODES: &[&str] = &["file", "network", "kmsg", "journal", "nflog", "stdin"];

/// The rows, in the order of the reference.
pub(super) const SOURCES: &[Key] = &[
    key(
        Within::Top,
        "runmode",
        Kind::SomeOf(RUNMODES),
        "file",
        UsedBy::Daemon,
        "Where hits come from: log files, the packets of a network interface without any log, the \
         kernel's own ring buffer (/dev/kmsg, no syslog needed), the kernel's lines in systemd's journal, the packets of an \
         NFLOG rule, or standard input. Several may be read at once.",
    )
    .repeats(),
    key(
        Within::Top,
        "logfile",
        Kind::Path,
        "",
        UsedBy::Both,
        "The log to follow with runmode = file; may be repeated. With logtofile it is the file that \
         the client appends to.",
    )
    .repeats(),
    key(
        Within::Top,
        "fileinterval",
        Kind::Duration,
        "0.5",
        UsedBy::Daemon,
        "The longest time between two looks at the log. The kernel's file events usually wake the \
         daemon sooner.",
    ),
    key(
        Within::Top,
        "silence",
        Kind::Duration,
        "1h",
        UsedBy::Daemon,
        "After so long without a hit the firewall's counters are looked at from time to time; if rules \
         with LOG or NFLOG count packets of which nothing arrives, there is a warning. 0 means never.",
    ),
    key(
        Within::Top,
        "nfloggroup",
        Kind::Group,
        "0",
        UsedBy::Daemon,
        "The group that the firewall's rule sends packets to, with runmode = nflog: iptables -j NFLOG \
         --nflog-group N, or log group N of nftables. One program at a time can read a group.",
    ),
    key(
        Within::Top,
        "nflogprefix",
        Kind::Text,
        "",
        UsedBy::Daemon,
        "The prefix that the rule must have (--nflog-prefix, log prefix), with runmode = nflog; \
         blanks around it do not matter. Without it every rule that sends to the group counts.",
    ),
    key(
        Within::Top,
        "resume",
        Kind::YesNo,
        "no",
        UsedBy::Daemon,
        "Whether the daemon, when it starts again, goes on in the log where it stopped, also in a file \
         that was rotated away meanwhile, so that a knock sent across a restart counts. Else it begins \
         at the log's end. With runmode = file and, as long as the machine runs on, journal.",
    ),
    key(
        Within::Top,
        "maxlag",
        Kind::Duration,
        "60",
        UsedBy::Daemon,
        "With resume, a line that is older than this by its own time (in the journal, by the journal's) is not \
         used for a knock.",
    ),
];
