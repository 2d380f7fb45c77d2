//! The control socket: the running daemon is asked how it is, and told to end a lease, to extend one, or to
//! read its configuration again.
//!
//! One line of JSON there, one back, and the connection ends. Who may ask is judged here; what is
//! answered is the loop's business.

use std::path::{Path, PathBuf};

pub(crate) mod client;
mod error;
mod frame;
mod lock;
pub(crate) mod protocol;
pub(crate) mod server;

pub(crate) use error::ControlError;

/// A file beside the socket.
fn with_suffix(path: &Path, suffix: &str) -> PathBuf {
    let mut name = path.as_os_str().to_owned();
    name.push(suffix);
    name.into()
}
