//! A logformat as somebody wrote it: named expressions and sample lines, nothing checked yet.
//! Reading it from YAML or a legacy block is the config's business; `LogFormat` is what runs.

use std::fmt;

/// A logformat before it is compiled.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct FormatSpec {
    /// What `uselogformat` calls it.
    pub name: String,
    /// One sentence for the list of formats.
    pub about: String,
    /// The expressions, in the order in which they were written.
    pub expressions: Vec<(FieldName, String)>,
    /// Lines with what they must yield.
    pub samples: Vec<Sample>,
}

/// What an expression is for.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum FieldName {
    /// Must match, or the line is skipped without more work. The only one that captures nothing.
    Required,
    /// The interface that the packet came in by.
    Interface,
    /// The transport protocol, by name or number.
    Protocol,
    /// The address that the packet was sent to.
    IpServer,
    /// The address that the packet came from.
    IpClient,
    /// The port that it was sent to.
    Port,
    /// The port that it was sent from.
    SourcePort,
    /// TCP's flags: only a SYN without ACK counts.
    Flags,
    /// TCP's sequence number.
    Sequence,
    /// When it happened.
    Time,
}

impl FieldName {
    /// All of them, as a config's reader looks for them.
    pub const ALL: [Self; 10] = [
        Self::Required,
        Self::Interface,
        Self::Protocol,
        Self::IpServer,
        Self::IpClient,
        Self::Port,
        Self::SourcePort,
        Self::Flags,
        Self::Sequence,
        Self::Time,
    ];

    /// From its name in a config.
    #[must_use]
    pub fn parse(name: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|field| field.as_str() == name)
    }

    /// Its name in a config.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Required => "required",
            Self::Interface => "interface",
            Self::Protocol => "protocol",
            Self::IpServer => "ipserver",
            Self::IpClient => "ipclient",
            Self::Port => "port",
            Self::SourcePort => "sourceport",
            Self::Flags => "flags",
            Self::Sequence => "sequence",
            Self::Time => "time",
        }
    }
}

impl fmt::Display for FieldName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

/// A line, and what must come of it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Sample {
    /// The line without its newline.
    pub line: Vec<u8>,
    /// What it must yield.
    pub yields: SampleYield,
}

/// What a sample line must yield.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum SampleYield {
    /// No hit.
    Nothing {
        /// Why not, for who reads the format.
        because: String,
    },
    /// A hit with these values; a field not named here may have any.
    Fields(Vec<(FieldName, String)>),
}
