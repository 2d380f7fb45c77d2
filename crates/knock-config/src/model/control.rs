//! How the running daemon is spoken to: `controlsocket` and `controlgroup`.
//!
//! Opens no socket and looks up no group.

use std::os::unix::ffi::OsStrExt as _;
use std::path::{Path, PathBuf};

use crate::keys::Within;
use crate::model::ReadOptions;
use crate::model::daemon::statedir;
use crate::model::section::{Reader, Section, path_of};
use crate::place::SourceText;
use crate::problem::Problem;
use crate::syntax::parse_all;

/// The most bytes of a socket's path that the kernel takes.
const LONGEST: usize = 107;

/// How the running daemon is spoken to.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ControlSettings {
    /// Where; not at all if there is none.
    pub socket: Option<PathBuf>,
    /// Whether the file names it, and so wants it.
    pub is_wanted: bool,
    /// The group that may; without one the daemon's own.
    pub group: Option<String>,
}

impl ControlSettings {
    /// Those of a daemon whose file says nothing of them: each that may run beside others has a state
    /// folder of its own.
    #[must_use]
    pub fn of_statedir(statedir: &Path) -> Self {
        let socket = match statedir == Path::new("/var/lib/knockdaemon") {
            true => PathBuf::from("/run/knockdaemon/control.sock"),
            false => statedir.join("control.sock"),
        };
        let fits = socket.as_os_str().len() <= LONGEST;
        Self { socket: fits.then_some(socket), is_wanted: false, group: None }
    }
}

impl Default for ControlSettings {
    fn default() -> Self {
        Self::of_statedir(Path::new("/var/lib/knockdaemon"))
    }
}

/// Where the daemon of this file answers, whatever else is wrong with the file: who asks may be about to
/// mend it. `None` where it says that it answers nowhere.
#[must_use]
pub fn find_control(source: &SourceText) -> Option<PathBuf> {
    let (tree, problems) = parse_all(source);
    if tree.root().is_empty() && !problems.is_empty() {
        return find_in_lines(&String::from_utf8_lossy(&source.text));
    }
    let options = ReadOptions::default();
    let mut reader = Reader::new(source, &options, Vec::new());
    let top = reader.section(Within::Top, tree.root());
    let statedir = statedir(&mut reader, &top);
    read(&mut reader, &top, &statedir).socket
}

/// A YAML file that is broken anywhere has no tree; what stands plainly in a line of its own is found.
fn find_in_lines(text: &str) -> Option<PathBuf> {
    let value = |key: &str| {
        let rest = text.lines().find_map(|line| line.strip_prefix(key))?;
        let value = rest.trim_start().strip_prefix(':')?;
        let value = value.split(" #").next().unwrap_or(value);
        Some(value.trim().trim_matches(['"', '\'']).to_owned())
    };
    match value("controlsocket").as_deref() {
        Some("no" | "none" | "off") => None,
        Some(path) => Some(PathBuf::from(path)),
        None => {
            let settings = value("statedir").map(|dir| ControlSettings::of_statedir(dir.as_ref()));
            settings.unwrap_or_default().socket
        }
    }
}

/// Reads both keys.
pub(super) fn read(reader: &mut Reader<'_>, top: &Section<'_>, statedir: &Path) -> ControlSettings {
    let mut settings = ControlSettings::of_statedir(statedir);
    if let Some(text) = reader.text(top, "controlsocket") {
        let path = path_of(text);
        settings.is_wanted = true;
        settings.socket = match text.text().trim() {
            "no" | "none" | "off" => None,
            _ if path.as_os_str().as_bytes().len() > LONGEST => {
                let message = format!("a socket's path has at most {LONGEST} bytes");
                let help = "the usual place is /run/knockdaemon/control.sock";
                reader.add(Problem::error(text.place(), message).with_help(help));
                None
            }
            _ => {
                if let Some(objection) = (reader.options.machine.socket)(&path) {
                    reader.add(objection.at(text.place()));
                }
                Some(path)
            }
        };
    }
    if let Some(text) = reader.text(top, "controlgroup") {
        let group = text.text().trim();
        if let Some(objection) = (reader.options.machine.group)(group) {
            reader.add(objection.at(text.place()));
        }
        settings.group = Some(group.to_owned());
    }
    settings
}

#[cfg(test)]
mod tests {
    use super::*;

    fn found(name: &str, text: &str) -> Option<String> {
        let source = SourceText::new(name, text.to_owned());
        find_control(&source).map(|path| path.display().to_string())
    }

    #[test]
    fn it_is_found_in_a_file_that_is_broken_elsewhere() {
        let usual = Some("/run/knockdaemon/control.sock".to_owned());
        assert_eq!(found("a.conf", "runmode = kmsg\n"), usual);
        assert_eq!(found("a.conf", "statedir = /srv/kd\n").unwrap(), "/srv/kd/control.sock");
        let broken = "controlsocket = /run/mine.sock\nportspan = 7-\n<actions>\n";
        assert_eq!(found("a.conf", broken).unwrap(), "/run/mine.sock");
        assert_eq!(found("a.yaml", "controlsocket: no\nnonsense: [1\n"), None);
        let broken = "statedir: '/srv/kd' # ours\nnonsense: [1\n";
        assert_eq!(found("a.yaml", broken).unwrap(), "/srv/kd/control.sock");
        assert_eq!(found("a.yaml", "controlsocket: no\n"), None);
    }

    #[test]
    fn a_path_that_the_kernel_would_cut_is_an_error_with_its_place() {
        let long = format!("runmode: kmsg\nencrypt: no\ncontrolsocket: /{}\n", "x".repeat(200));
        let source = SourceText::new("a.yaml", long);
        let problems = crate::read_daemon(&source, &ReadOptions::default()).problems;
        let ours = problems.iter().find(|problem| problem.message.contains("107 bytes")).unwrap();
        assert_eq!(ours.at.as_ref().unwrap().line, 3);
    }
}
