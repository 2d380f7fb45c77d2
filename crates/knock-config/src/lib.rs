//! Two syntaxes, one model, and every mistake with its place.
//!
//! Reads the files it is told to and the files named in them; logs nothing, opens no device.

#![forbid(unsafe_code)]

pub mod argv;
mod convert;
pub mod keys;
pub mod manual;
mod mask;
mod model;
mod place;
mod problem;
pub mod report;
mod search;
mod secretfile;
mod shipped;
mod suggest;
mod syntax;
mod tree;

pub use convert::{To, convert, files_of, holds_key, means_otherwise_at};
pub use model::{
    AskForPlace, AskForUser, CaptureSettings, ClientSettings, ControlSettings, DaemonSettings,
    FirewallChoice, IvChoice, Machine, NflogSettings, Objection, ReadOptions, RunMode, Setting,
    WireSettings, find_control, find_format, known_formats, parse_mac, read_client, read_daemon,
    read_format,
};
pub use place::{Place, SourceText, Spot};
pub use problem::{Problem, Reading, Severity};
pub use search::{NotFound, Program, find, places};
pub use secretfile::read_keyfile;
pub use shipped::SHIPPED_FORMATS;
pub use suggest::nearest;
pub use syntax::{MAX_DEPTH, MAX_FILE, Syntax, parse, parse_all};
pub use tree::{Block, Blocks, Entry, Found, Item, List, Node, Scalar, Table, Tree, to_json};
