//! Why a source cannot go on at all. What may pass by itself is a `Notice`, not an error.

use std::{fmt, io};

/// A source ended because going on makes no sense.
#[derive(Debug)]
#[non_exhaustive]
pub enum SourceError {
    /// The kernel's log may not be opened.
    KmsgForbidden(io::Error),
    /// There is no kernel log here, as in most containers.
    KmsgMissing(io::Error),
    /// The kernel's log cannot be opened for another reason.
    KmsgOpen(io::Error),
    /// Packets may not be captured.
    CaptureForbidden(io::Error),
    /// The process gets no packet or netlink socket, whatever its rights.
    CaptureUnavailable(io::Error),
    /// journalctl cannot be started.
    JournalMissing(io::Error),
    /// journalctl has ended, which it should not.
    Journal {
        /// How it ended, and what it complained of.
        why: String,
    },
    /// A group of NFLOG may not be read.
    NflogForbidden(io::Error),
    /// The kernel has no NFLOG, or the process gets no netlink socket.
    NflogMissing(io::Error),
    /// Another program reads this group.
    NflogTaken {
        /// The group.
        group: u16,
    },
    /// What is read is no capture file that libpcap knows.
    NotACapture {
        /// The file.
        name: String,
        /// What libpcap said.
        why: String,
    },
    /// Reading failed for good.
    Read {
        /// The source's name.
        from: String,
        /// What the system said.
        error: io::Error,
    },
    /// The system refused the means to wait: an eventfd or a poll.
    Wait(io::Error),
}

impl SourceError {
    /// Whether a missing permission is the reason.
    #[must_use]
    pub fn is_permission(&self) -> bool {
        match self {
            Self::KmsgForbidden(_) | Self::CaptureForbidden(_) | Self::NflogForbidden(_) => true,
            Self::NotACapture { .. } | Self::NflogTaken { .. } | Self::Journal { .. } => false,
            Self::KmsgMissing(error)
            | Self::KmsgOpen(error)
            | Self::CaptureUnavailable(error)
            | Self::NflogMissing(error)
            | Self::JournalMissing(error)
            | Self::Read { error, .. }
            | Self::Wait(error) => error.kind() == io::ErrorKind::PermissionDenied,
        }
    }
}

impl fmt::Display for SourceError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::KmsgForbidden(error) => write!(
                f,
                "cannot open /dev/kmsg: {error}; reading the kernel's log takes the capability \
                 CAP_SYSLOG (AmbientCapabilities=CAP_SYSLOG in the unit) or root, as long as \
                 kernel.dmesg_restrict is 1"
            ),
            Self::KmsgMissing(error) => write!(
                f,
                "cannot open /dev/kmsg: {error}; containers often have none: pass the device in, \
                 or follow a file"
            ),
            Self::KmsgOpen(error) => write!(f, "cannot open /dev/kmsg: {error}"),
            Self::CaptureForbidden(error) => write!(
                f,
                "cannot capture packets: {error}; it takes the capability CAP_NET_RAW \
                 (AmbientCapabilities=CAP_NET_RAW in the unit) or root"
            ),
            Self::CaptureUnavailable(error) => write!(
                f,
                "cannot capture packets: {error}; the kernel has no packet sockets, or the unit's \
                 RestrictAddressFamilies= does not name AF_PACKET and AF_NETLINK"
            ),
            Self::JournalMissing(error) => write!(
                f,
                "cannot start journalctl: {error}; it comes with systemd. Without it, runmode = kmsg \
                 reads the kernel directly"
            ),
            Self::Journal { why } => write!(
                f,
                "journalctl does not read the journal: {why}; the daemon's user must be in the group \
                 adm or systemd-journal"
            ),
            Self::NflogForbidden(error) => write!(
                f,
                "cannot read packets of NFLOG: {error}; it takes the capability CAP_NET_ADMIN \
                 (AmbientCapabilities=CAP_NET_ADMIN in the unit) or root, in the network namespace \
                 of the rule"
            ),
            Self::NflogMissing(error) => write!(
                f,
                "cannot read packets of NFLOG: {error}; the kernel has no nfnetlink_log (modprobe \
                 nfnetlink_log), or the unit's RestrictAddressFamilies= does not name AF_NETLINK"
            ),
            Self::NflogTaken { group } => write!(
                f,
                "NFLOG group {group} is read by another program (ulogd, or a second knockdaemon); \
                 give the rule and nfloggroup a number of their own"
            ),
            Self::NotACapture { name, why } => {
                write!(f, "cannot read {name} as a capture file: {why}")
            }
            Self::Read { from, error } => write!(f, "cannot read {from}: {error}"),
            Self::Wait(error) => {
                write!(f, "cannot wait for input: {error}; is the limit of open files reached?")
            }
        }
    }
}

impl std::error::Error for SourceError {
    fn source(&self) -> Option<&(dyn std::error::Error + 'static)> {
        match self {
            Self::KmsgForbidden(error)
            | Self::KmsgMissing(error)
            | Self::KmsgOpen(error)
            | Self::CaptureForbidden(error)
            | Self::CaptureUnavailable(error)
            | Self::NflogForbidden(error)
            | Self::NflogMissing(error)
            | Self::JournalMissing(error)
            | Self::Read { error, .. }
            | Self::Wait(error) => Some(error),
            Self::NotACapture { .. } | Self::NflogTaken { .. } | Self::Journal { .. } => None,
        }
    }
}
