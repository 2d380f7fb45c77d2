//! Where a config file is looked for when none is named.
//!
//! Pure: the caller says what exists.

use std::fmt;
use std::path::{Path, PathBuf};

/// Which program looks.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Program {
    /// `knockdaemon`.
    Daemon,
    /// `knockclient`.
    Client,
}

impl Program {
    /// Its name, which its files carry too.
    pub fn name(self) -> &'static str {
        match self {
            Program::Daemon => "knockdaemon",
            Program::Client => "knockclient",
        }
    }
}

/// No config file exists in any of the places.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct NotFound {
    /// Whose config it is.
    pub program: Program,
    /// The places, in the order in which they were looked at.
    pub tried: Vec<PathBuf>,
}

impl fmt::Display for NotFound {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let name = self.program.name();
        writeln!(f, "no config file found; looked at")?;
        for path in &self.tried {
            writeln!(f, "  {}", path.display())?;
        }
        write!(f, "help: write one of these, or name yours: {name} -conf FILE")
    }
}

impl std::error::Error for NotFound {}

/// The first config file that exists, in the order of [`places`].
///
/// `exists` is [`Path::is_file`] in both programs: a folder of that name is passed over, and a file that only root
/// may read is found, so that its owner is told instead of another file being taken.
pub fn find(
    program: Program,
    home: Option<&Path>,
    bin_dir: Option<&Path>,
    exists: impl Fn(&Path) -> bool,
) -> Result<PathBuf, NotFound> {
    let tried = places(program, home, bin_dir);
    match tried.iter().find(|path| exists(path)) {
        Some(path) => Ok(path.clone()),
        None => Err(NotFound { program, tried }),
    }
}

/// All places where a config file is looked for, in order.
///
/// The four first are the original's, which had no YAML; so nothing that is laid beside them can take their place.
pub fn places(program: Program, home: Option<&Path>, bin_dir: Option<&Path>) -> Vec<PathBuf> {
    let name = program.name();
    let conf = format!("{name}.conf");
    let mut places = Vec::new();
    if let Some(home) = home {
        places.push(home.join(format!(".{conf}")));
    }
    if let Some(bin) = bin_dir {
        places.extend([bin.join(&conf), bin.join("etc").join(&conf)]);
        places.push(bin.join("..").join("etc").join(&conf));
    }
    let etc = Path::new("/etc/knockdaemon");
    places.extend(["yaml", "yml", "conf"].map(|end| etc.join(format!("{name}.{end}"))));
    places
}

#[cfg(test)]
mod tests {
    use super::*;

    #[track_caller]
    fn check(program: Program, existing: &[&str], expected: &str) {
        let exists = |path: &Path| existing.iter().any(|one| Path::new(one) == path);
        let found = find(program, Some(Path::new("/home/u")), Some(Path::new("/opt/bin")), exists);
        let found = match found {
            Ok(path) => path.display().to_string(),
            Err(error) => error.to_string(),
        };
        assert_eq!(found, expected);
    }

    #[test]
    fn the_first_that_exists_is_taken() {
        check(
            Program::Daemon,
            &["/etc/knockdaemon/knockdaemon.yaml", "/home/u/.knockdaemon.conf"],
            "/home/u/.knockdaemon.conf",
        );
        check(
            Program::Daemon,
            &["/opt/bin/../etc/knockdaemon.conf", "/opt/bin/etc/knockdaemon.conf"],
            "/opt/bin/etc/knockdaemon.conf",
        );
        check(
            Program::Client,
            &["/etc/knockdaemon/knockclient.conf", "/etc/knockdaemon/knockclient.yaml"],
            "/etc/knockdaemon/knockclient.yaml",
        );
    }

    #[test]
    fn the_error_lists_every_place_and_the_way_out() {
        check(
            Program::Client,
            &["/home/u/.knockdaemon.conf"],
            "no config file found; looked at\n  \
               /home/u/.knockclient.conf\n  \
               /opt/bin/knockclient.conf\n  \
               /opt/bin/etc/knockclient.conf\n  \
               /opt/bin/../etc/knockclient.conf\n  \
               /etc/knockdaemon/knockclient.yaml\n  \
               /etc/knockdaemon/knockclient.yml\n  \
               /etc/knockdaemon/knockclient.conf\n\
             help: write one of these, or name yours: knockclient -conf FILE",
        );
    }

    #[test]
    fn without_home_and_program_folder_etc_is_left() {
        let found = find(Program::Daemon, None, None, |path| path.ends_with("knockdaemon.yml"));
        assert_eq!(found, Ok(PathBuf::from("/etc/knockdaemon/knockdaemon.yml")));
    }
}
