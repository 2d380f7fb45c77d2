//! The client's settings. Nothing has a default here, so that the command line can tell what the
//! file left open; it may set any field before it asks for the codec.

use std::net::IpAddr;
use std::path::PathBuf;
use std::time::Duration;

use knock_formats::FormatSpec;

use crate::keys::Within;
use crate::model::section::{Reader, path_of};
use crate::model::{ReadOptions, WireSettings, formats, values, wire};
use crate::place::SourceText;
use crate::problem::Reading;
use crate::syntax::{Extent, parse_as_far_as};

/// What a file tells the client.
#[derive(Debug, Default, PartialEq)]
pub struct ClientSettings {
    /// The host to knock at.
    pub remote: Option<String>,
    /// The address that the knock speaks for.
    pub client: Option<IpAddr>,
    /// The port that shall open.
    pub port: Option<u16>,
    /// What goes into `TIME`.
    pub time: Option<u8>,
    /// What goes into `FLAG0` to `FLAG9`.
    pub flags: [Option<u8>; 10],
    /// The knock itself; [`WireSettings::codec`] puts it together.
    pub wire: WireSettings,
    /// The pause between two packets.
    pub delay: Option<Duration>,
    /// The port to probe until it is open.
    pub wait: Option<u16>,
    /// How often to knock.
    pub tries: Option<usize>,
    /// Append lines to a log in place of sending.
    pub logtofile: Option<bool>,
    /// The log to append to.
    pub logfile: Option<PathBuf>,
    /// The logformat of what is appended.
    pub fileformat: Option<String>,
    /// The logformats that the file itself defines.
    pub own_formats: Vec<FormatSpec>,
}

const FLAGS: [&str; 10] =
    ["flag0", "flag1", "flag2", "flag3", "flag4", "flag5", "flag6", "flag7", "flag8", "flag9"];

/// Reads the client's settings; keys of the daemon are accepted in silence, since both may share a
/// file.
#[must_use]
pub fn read_client(source: &SourceText, options: &ReadOptions) -> Reading<ClientSettings> {
    let (tree, problems, extent) = parse_as_far_as(source);
    if extent == Extent::Nothing {
        return Reading { value: None, problems };
    }
    let mut reader = Reader::new(source, options, problems).relying_on(extent);
    let top = reader.section(Within::Top, tree.root());
    let mut flags = [None; 10];
    for (flag, name) in flags.iter_mut().zip(FLAGS) {
        *flag = reader.byte(&top, name);
    }
    let settings = ClientSettings {
        remote: reader.string(&top, "remote").map(|remote| remote.value.trim().to_owned()),
        client: reader.address(&top, "client"),
        port: reader.port(&top, "port"),
        time: reader.byte(&top, "time"),
        flags,
        wire: wire::read(&mut reader, &top),
        delay: reader.parsed(&top, "delay", values::milliseconds).map(|delay| delay.value),
        wait: reader.port(&top, "wait"),
        tries: reader.count(&top, "tries"),
        logtofile: reader.yes_no(&top, "logtofile").map(|given| given.value),
        logfile: reader.texts(&top, "logfile").first().map(|text| path_of(text)),
        fileformat: reader.string(&top, "fileformat").map(|name| name.value.trim().to_owned()),
        own_formats: formats::read_own(&mut reader, &top),
    };
    reader.finish(Some(settings))
}
