//! What a source tells the administrator while it goes on. Nothing here ends a source.

use std::{fmt, io, path::PathBuf};

/// Something worth a line in the daemon's own log.
#[derive(Debug)]
#[non_exhaustive]
pub enum Notice {
    /// The first file was found, or a file after a time without one.
    Following {
        /// The file.
        path: PathBuf,
        /// Byte at which reading begins.
        from: u64,
    },
    /// Reading goes on where the run before stopped.
    Resumed {
        /// The file.
        path: PathBuf,
        /// Byte at which reading begins, in the file that was there then.
        from: u64,
        /// How many files that were rotated away since are read first.
        files_before: usize,
    },
    /// The place where the run before stopped is nowhere any more: the file is read from its
    /// beginning.
    NotResumed {
        /// The file.
        path: PathBuf,
    },
    /// A source that is no file is open; what comes from now on is read.
    Started {
        /// The source's name.
        name: String,
    },
    /// A source that is no file reads on where the run before stopped.
    WentOn {
        /// The source's name.
        name: String,
    },
    /// The place where the run before stopped is nowhere any more: what comes from now on is read.
    PlaceLost {
        /// The source's name.
        name: String,
        /// What has become of it.
        why: LostPlace,
    },
    /// systemd keeps no journal on this machine.
    NoJournal,
    /// There is nothing to read yet; the source goes on looking.
    Waiting {
        /// The file that is expected.
        path: PathBuf,
        /// What is in the way.
        why: WaitReason,
    },
    /// Another file stands at the path now. The lines of the old one come first.
    Rotated {
        /// The file.
        path: PathBuf,
        /// How many files came and went between two looks; their lines were found and are read too.
        between: usize,
    },
    /// The file was emptied in place (copytruncate); reading begins again at its first byte.
    Truncated {
        /// The file.
        path: PathBuf,
    },
    /// The file was written anew with lines that it had before, as an editor does. Those
    /// have been seen, so reading goes on behind them.
    Rewritten {
        /// The file.
        path: PathBuf,
    },
    /// A rotated file ends in a line without newline that nobody completed; it is not used.
    Torn {
        /// The file.
        path: PathBuf,
        /// Bytes in the unfinished line.
        bytes: u64,
    },
    /// More files came and went between two looks than are kept open; the oldest were not read.
    TooManyRotations {
        /// The file.
        path: PathBuf,
        /// Files that were not read.
        files: usize,
    },
    /// A file that was rotated away cannot be read, or not to its end; its lines are lost.
    GivenUp {
        /// The file, or the log that it was.
        path: PathBuf,
        /// What the system said.
        error: io::Error,
    },
    /// A line was longer than [`MAX_LINE`](crate::MAX_LINE) and was skipped.
    LineTooLong {
        /// The source's name.
        from: String,
        /// Its length.
        bytes: u64,
    },
    /// The kernel overwrote records before they were read.
    Lost {
        /// How many; 0 when there is no telling.
        records: u64,
    },
    /// Packets cannot be captured while the interface is not there; the source waits for it.
    InterfaceAway {
        /// The interface.
        name: String,
        /// What is in the way.
        why: AwayReason,
        /// The interfaces that there are.
        there: Vec<String>,
    },
    /// The interface is there again, and its packets are captured.
    InterfaceBack {
        /// The interface.
        name: String,
    },
    /// The interface is there and cannot be captured on; the source goes on trying.
    CaptureTrouble {
        /// The interface.
        name: String,
        /// What libpcap said.
        why: String,
    },
    /// The kernel does less for a capture than it could.
    CaptureUnaided {
        /// The interface.
        name: String,
        /// What it does not do.
        what: Unaided,
    },
    /// The kernel had no room for packets, because they came faster than they were read.
    Dropped {
        /// How many.
        packets: u64,
    },
    /// The kernel had no room for packets that a rule chose, because they came faster than they were
    /// read.
    Unread {
        /// How many; 0 when there is no telling.
        packets: u64,
    },
    /// A program that reads for us has something to say.
    Says {
        /// The program.
        from: String,
        /// Its words.
        text: String,
    },
    /// A capture file cannot be read to its end; what was whole before that has been handed over.
    CutOff {
        /// The file.
        name: String,
        /// Packets that were read.
        packets: u64,
        /// What libpcap said.
        why: String,
    },
    /// The file is looked at from time to time, because file events are not to be had.
    Polling {
        /// The file.
        path: PathBuf,
        /// Why there are no events.
        why: PollReason,
    },
    /// Reading failed; the source goes on trying.
    Trouble {
        /// The file.
        path: PathBuf,
        /// What the system said.
        error: io::Error,
    },
}

/// Why a file is waited for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub enum WaitReason {
    /// It was not there when the source began.
    Missing,
    /// It was followed and is gone, and no other has come in its place.
    Gone,
    /// It, or a folder on the way to it, may not be read.
    Forbidden,
    /// A folder, a device or a pipe has its name.
    NotAFile,
}

/// Why an interface is waited for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub enum AwayReason {
    /// It was not there when the source began.
    Missing,
    /// It was captured on and is gone.
    Gone,
    /// It is there and switched off.
    Down,
}

/// What the kernel does not spare a capture, with libpcap's words for why.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub enum Unaided {
    /// To leave out what this host sends.
    Direction(String),
    /// To leave out what no filter wants.
    Filter(String),
}

/// Why there are no file events.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub enum PollReason {
    /// The user's inotify watches or instances are used up.
    Limit,
    /// The file system is one on which others write unseen (a network file system, FUSE).
    FileSystem,
    /// The file grew and no event told so.
    Unannounced,
    /// Watching failed with this message.
    Failed(String),
}

/// Why a place in the journal is not found again.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum LostPlace {
    /// It is of an earlier run of the machine.
    OtherBoot,
    /// The entry is gone.
    Vacuumed,
}

impl Notice {
    /// Whether the administrator has to do something about it, or lines were lost.
    #[must_use]
    pub fn is_warning(&self) -> bool {
        match self {
            Self::Following { .. }
            | Self::Resumed { .. }
            | Self::NotResumed { .. }
            | Self::Started { .. }
            | Self::WentOn { .. }
            | Self::Rotated { .. }
            | Self::Truncated { .. }
            | Self::Rewritten { .. }
            | Self::InterfaceBack { .. }
            | Self::CaptureUnaided { .. } => false,
            Self::PlaceLost { .. }
            | Self::NoJournal
            | Self::Waiting { .. }
            | Self::Torn { .. }
            | Self::TooManyRotations { .. }
            | Self::GivenUp { .. }
            | Self::LineTooLong { .. }
            | Self::Lost { .. }
            | Self::InterfaceAway { .. }
            | Self::CaptureTrouble { .. }
            | Self::Dropped { .. }
            | Self::Unread { .. }
            | Self::Says { .. }
            | Self::CutOff { .. }
            | Self::Polling { .. }
            | Self::Trouble { .. } => true,
        }
    }
}

impl fmt::Display for Notice {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Following { path, from } => {
                write!(f, "following {} from byte {from}", path.display())
            }
            Self::Resumed { path, from, files_before } => {
                write!(
                    f,
                    "following {} from where the last run stopped, byte {from}",
                    path.display()
                )?;
                match files_before {
                    0 => Ok(()),
                    1 => write!(f, " of a file that was rotated away since"),
                    more => write!(f, " of the first of {more} files that were rotated away since"),
                }
            }
            Self::NotResumed { path } => write!(
                f,
                "following {} from its beginning: the place where the last run stopped is nowhere \
                 any more",
                path.display()
            ),
            Self::Started { name } => write!(f, "following {name}"),
            Self::WentOn { name } => write!(f, "following {name} from where the last run stopped"),
            Self::PlaceLost { name, why } => {
                let why = match why {
                    LostPlace::OtherBoot => "that was before the machine was started anew",
                    LostPlace::Vacuumed => "it has no such entry any more",
                };
                write!(
                    f,
                    "following {name} from now on, not from where the last run stopped: {why}. Knocks \
                     that were sent in between are not answered"
                )
            }
            Self::NoJournal => write!(
                f,
                "systemd keeps no journal on this machine, so nothing can be read from it: journald \
                 does not run ('systemctl status systemd-journald') or keeps nothing (Storage=none in \
                 journald.conf). Without it, runmode = kmsg reads the kernel directly"
            ),
            Self::Waiting { path, why } => {
                let path = path.display();
                match why {
                    WaitReason::Missing => write!(
                        f,
                        "waiting for {path}: there is no such file. Today's Debian has no such log \
                         unless rsyslog is installed; 'runmode = kmsg' reads the kernel directly"
                    ),
                    WaitReason::Gone => {
                        write!(f, "waiting for {path}: it is gone, and no new one has come")
                    }
                    WaitReason::Forbidden => write!(
                        f,
                        "waiting for {path}: permission denied. Give the daemon's user the right \
                         to read it (on Debian: usermod -a -G adm USER) and to enter its folders, \
                         or use 'runmode = kmsg'"
                    ),
                    WaitReason::NotAFile => {
                        write!(f, "waiting for {path}: what stands there is not a regular file")
                    }
                }
            }
            Self::Rotated { path, between: 0 } => write!(f, "{} was rotated", path.display()),
            Self::Rotated { path, between } => write!(
                f,
                "{} was rotated {} times between two looks; all of it is read",
                path.display(),
                between + 1
            ),
            Self::Truncated { path } => {
                write!(f, "{} was truncated; reading it from its beginning", path.display())
            }
            Self::Rewritten { path } => {
                write!(f, "{} was written anew; its old lines are not read again", path.display())
            }
            Self::Torn { path, bytes } => write!(
                f,
                "the file rotated away from {} ends in {bytes} bytes without newline; they are \
                 not used",
                path.display()
            ),
            Self::TooManyRotations { path, files } => write!(
                f,
                "{} was rotated too often between two looks; {files} files were not read",
                path.display()
            ),
            Self::LineTooLong { from, bytes } => {
                write!(f, "skipped a line of {bytes} bytes from {from}")
            }
            Self::Lost { records: 0 } => {
                write!(f, "the kernel overwrote log records before they were read")
            }
            Self::Lost { records } => {
                write!(f, "the kernel overwrote {records} log records before they were read")
            }
            Self::InterfaceAway { name, why, there } => match why {
                AwayReason::Missing => write!(
                    f,
                    "waiting for interface {name}: there is none of this name; there are {}",
                    there.join(", ")
                ),
                AwayReason::Gone => write!(f, "interface {name} is gone; waiting for it"),
                AwayReason::Down => write!(
                    f,
                    "interface {name} is down; waiting until it is up (ip link set {name} up)"
                ),
            },
            Self::InterfaceBack { name } => {
                write!(f, "interface {name} is back; its packets are read again")
            }
            Self::CaptureTrouble { name, why } => {
                write!(f, "cannot capture on interface {name}: {why}; trying again")
            }
            Self::CaptureUnaided { name, what: Unaided::Direction(why) } => write!(
                f,
                "on interface {name} also the packets that this host sends are captured: {why}"
            ),
            Self::CaptureUnaided { name, what: Unaided::Filter(why) } => write!(
                f,
                "on interface {name} the kernel hands over all packets, and those that no \
                 ethfilter wants are left out here: {why}"
            ),
            Self::Dropped { packets } => write!(
                f,
                "the kernel dropped {packets} packets because they came faster than they were \
                 read; a smaller snapshotsize leaves it room for more"
            ),
            Self::Says { from, text } => write!(f, "{from} says: {text}"),
            Self::Unread { packets: 0 } => write!(
                f,
                "the kernel dropped packets of the rule because they came faster than they were \
                 read"
            ),
            Self::Unread { packets } => write!(
                f,
                "the kernel dropped {packets} packets of the rule because they came faster than \
                 they were read; a rule that names the ports of the span sends fewer"
            ),
            Self::CutOff { name, packets, why } => {
                write!(f, "{name} cannot be read to its end: {why}; read {packets} packets")
            }
            Self::Polling { path, why } => {
                write!(
                    f,
                    "looking at {} from time to time, without file events: ",
                    path.display()
                )?;
                match why {
                    PollReason::Limit => write!(
                        f,
                        "the limit of inotify watches or instances is reached; raise it with \
                         'sysctl fs.inotify.max_user_watches=524288' and \
                         'sysctl fs.inotify.max_user_instances=512'"
                    ),
                    PollReason::FileSystem => {
                        write!(f, "its file system does not tell what others write")
                    }
                    PollReason::Unannounced => write!(f, "it grew and no event told so"),
                    PollReason::Failed(why) => write!(f, "{why}"),
                }
            }
            Self::GivenUp { path, error } => write!(
                f,
                "a file that was rotated away cannot be read to its end, and its lines are lost: \
                 {}: {error}",
                path.display()
            ),
            Self::Trouble { path, error } => {
                write!(f, "cannot read {}: {error}; trying again", path.display())
            }
        }
    }
}
