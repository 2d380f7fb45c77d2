//! File events, for one purpose: to ring a bell when a look may find something.
//! What an event says happened is not believed; it may be late, doubled, or missing.

use std::{
    collections::BTreeMap,
    ffi::{OsStr, OsString},
    fs, io,
    os::{
        fd::{AsFd, BorrowedFd, OwnedFd, RawFd},
        unix::ffi::OsStrExt,
    },
    path::{Component, Path, PathBuf},
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering},
    },
};

use notify::{Event, EventKind, RecommendedWatcher, RecursiveMode, Watcher, event::ModifyKind};
use rustix::event::{EventfdFlags, eventfd};

use super::held::{Identity, identity};
use crate::PollReason;

/// Symlinks in a path, as many as the kernel follows.
pub(super) const MOST_LINKS: usize = 40;

/// Changes of the folders themselves that are waited out when watching begins.
const TRIES: usize = 8;

/// File systems on which others write and no event comes here. Others that keep silent are found
/// out when a file grows unannounced.
const SILENT: [u64; 10] = [
    0x6969,      // NFS
    0x517b,      // SMB
    0xff53_4d42, // CIFS
    0xfe53_4d42, // SMB2
    0x6573_5546, // FUSE
    0x0102_1997, // 9p
    0x00c3_6400, // Ceph
    0x5346_414f, // AFS
    0x0bd0_0bd0, // Lustre
    0x786f_4256, // VirtualBox's shared folders
];

/// Makes a watcher that calls back; `notify::recommended_watcher` outside tests.
pub(super) type Maker = fn(Callback) -> notify::Result<RecommendedWatcher>;

pub(super) type Callback = Box<dyn FnMut(notify::Result<Event>) + Send>;

/// Watches the folders in which something about a path can change.
pub(super) struct Watch {
    make: Maker,
    bell: Arc<Bell>,
    /// Dropped and made anew when the targets change, which is rare: so there is no state of watches
    /// on inodes to be kept in step with folders that come and go.
    watcher: Option<RecommendedWatcher>,
    targets: Vec<Target>,
    result: Result<(), PollReason>,
}

/// Rings once for any number of events.
struct Bell {
    descriptor: OwnedFd,
    rung: AtomicBool,
    /// One of the events was more than a write: names or rights changed.
    moved: AtomicBool,
}

/// A folder, or a file that has lost its name.
#[derive(Debug, PartialEq, Eq)]
struct Target {
    path: PathBuf,
    /// A folder may be replaced by another one of its name.
    id: Option<Identity>,
    names: Names,
}

/// Which names in a folder matter.
#[derive(Debug, Clone, PartialEq, Eq)]
struct Names {
    /// Any event.
    exact: Vec<OsString>,
    /// Events that are not mere writes, of the log's rotated siblings: names that begin so.
    family: Option<OsString>,
    /// The target is itself what matters.
    itself: bool,
    /// Only that a folder on the way stays where it is. Without this, a look finds out some time.
    is_way: bool,
}

/// Why a name in a folder matters.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Matter {
    /// A folder of this name is on the way.
    OnTheWay,
    /// It is a symlink, or something is to come there.
    MayTurn,
    /// It is the file's.
    File,
}

impl Watch {
    pub(super) fn new(make: Maker) -> io::Result<Self> {
        let descriptor = eventfd(0, EventfdFlags::CLOEXEC | EventfdFlags::NONBLOCK)?;
        let bell = Bell { descriptor, rung: AtomicBool::new(false), moved: AtomicBool::new(false) };
        let (watcher, targets) = (None, Vec::new());
        Ok(Self { make, bell: Arc::new(bell), watcher, targets, result: Ok(()) })
    }

    /// Watches what matters about `path` now, and the files `apart` wherever they are. The bell rings
    /// for what happens from its return on; an error says why it may not.
    pub(super) fn aim(&mut self, path: &Path, apart: &[RawFd]) -> Result<(), PollReason> {
        for _ in 0..TRIES {
            let targets = targets(path, apart);
            if targets == self.targets {
                break;
            }
            // First, so that there is room for the new one under a tight limit.
            self.watcher = None;
            self.targets = targets;
            self.result = self.watch();
            // Once more: a symlink turned or a folder gone before its watch was there rang no bell.
        }
        self.result.clone()
    }

    /// Takes note of the bell, and tells whether more than writes has happened.
    pub(super) fn hear(&self) -> bool {
        let mut count = [0; 8];
        // Nothing to read is fine. In this order: an event after the second line rings anew, one
        // before it is seen by the look that follows.
        let _ = rustix::io::read(&self.bell.descriptor, &mut count);
        self.bell.rung.store(false, Ordering::SeqCst);
        self.bell.moved.swap(false, Ordering::SeqCst)
    }

    fn watch(&mut self) -> Result<(), PollReason> {
        let bell = Arc::clone(&self.bell);
        let names: BTreeMap<PathBuf, Names> =
            self.targets.iter().map(|one| (one.path.clone(), one.names.clone())).collect();
        let on_event = move |event: notify::Result<Event>| bell.consider(&names, &event);
        let mut watcher = (self.make)(Box::new(on_event)).map_err(poll_reason)?;
        for target in &self.targets {
            let watched = watcher.watch(&target.path, RecursiveMode::NonRecursive);
            // To pass through a folder takes less than to look into it.
            watched.or_else(
                |error| if target.names.is_way { Ok(()) } else { Err(poll_reason(error)) },
            )?;
        }
        self.watcher = Some(watcher);
        let is_silent = |target: &Target| {
            let kind = rustix::fs::statfs(&target.path).map(|found| found.f_type);
            // Some systems have a signed type of 32 bits for it.
            kind.is_ok_and(|kind| SILENT.contains(&(kind as u64 & 0xffff_ffff)))
        };
        if self.targets.iter().filter(|target| !target.names.is_way).any(is_silent) {
            Err(PollReason::FileSystem)
        } else {
            Ok(())
        }
    }
}

impl AsFd for Watch {
    /// Readable when the bell has rung.
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.bell.descriptor.as_fd()
    }
}

impl Bell {
    /// Rings if `event` is about something that matters. Runs in the watcher's thread.
    fn consider(&self, watched: &BTreeMap<PathBuf, Names>, event: &notify::Result<Event>) {
        let (kind, paths) = match event {
            // Opening and closing are what readers do too, ourselves among them.
            Ok(event) if matches!(event.kind, EventKind::Access(_)) => return,
            Ok(event) => (event.kind, event.paths.as_slice()),
            Err(_) => (EventKind::Other, [].as_slice()),
        };
        let is_write = matches!(kind, EventKind::Modify(ModifyKind::Data(_)));
        let matters = |path: &PathBuf| {
            if watched.get(path).is_some_and(|names| names.itself || !is_write) {
                return true;
            }
            let (Some(folder), Some(name)) = (path.parent(), path.file_name()) else {
                return false;
            };
            watched.get(folder).is_some_and(|names| names.matter(name, is_write))
        };
        // Without paths: events were dropped by the kernel, or something failed.
        if paths.is_empty() || paths.iter().any(matters) {
            if !is_write {
                self.moved.store(true, Ordering::SeqCst);
            }
            if !self.rung.swap(true, Ordering::SeqCst) {
                let _ = rustix::io::write(&self.descriptor, &1u64.to_ne_bytes());
            }
        }
    }
}

impl Names {
    fn matter(&self, name: &OsStr, is_write: bool) -> bool {
        let begins = |family: &OsString| name.as_bytes().starts_with(family.as_bytes());
        self.exact.iter().any(|exact| exact == name)
            || (!is_write && self.family.as_ref().is_some_and(begins))
    }
}

fn targets(path: &Path, apart: &[RawFd]) -> Vec<Target> {
    let mut folders: BTreeMap<PathBuf, Names> = BTreeMap::new();
    for (folder, name, matter) in lookups(path) {
        let nothing = Names { exact: Vec::new(), family: None, itself: false, is_way: true };
        let names = folders.entry(folder).or_insert(nothing);
        names.is_way &= matter == Matter::OnTheWay;
        if matter == Matter::File {
            let bytes = name.as_bytes();
            let stem = bytes.iter().skip(1).position(|byte| *byte == b'.');
            let stem = stem.and_then(|dot| bytes.get(..=dot)).unwrap_or(bytes);
            names.family = Some(OsStr::from_bytes(stem).to_owned());
        }
        if !names.exact.contains(&name) {
            names.exact.push(name);
        }
    }
    // The kernel follows this link to the file itself, so its new name need not be known.
    let files = apart.iter().map(|descriptor| {
        let names = Names { exact: Vec::new(), family: None, itself: true, is_way: false };
        (PathBuf::from(format!("/proc/self/fd/{descriptor}")), names)
    });
    let all = folders.into_iter().chain(files);
    all.map(|(path, names)| {
        let id = fs::metadata(&path).ok().map(|meta| identity(&meta));
        Target { path, id, names }
    })
    .collect()
}

/// Each folder in which a change of one name can change what `path` leads to: those on the way, where
/// symlinks stand, and where the file stands or, if that is missing, the first folder that is there.
fn lookups(path: &Path) -> Vec<(PathBuf, OsString, Matter)> {
    let mut found = Vec::new();
    let mut path = path.to_owned();
    'link: for _ in 0..MOST_LINKS {
        let mut walked = PathBuf::from("/");
        let mut rest = path.components();
        while let Some(component) = rest.next() {
            let name = match component {
                Component::Normal(name) => name,
                Component::ParentDir => {
                    walked.pop();
                    continue;
                }
                Component::RootDir | Component::CurDir | Component::Prefix(_) => continue,
            };
            let folder = walked.clone();
            walked.push(name);
            let is_last = rest.as_path().as_os_str().is_empty();
            match fs::read_link(&walked) {
                Ok(target) => {
                    found.push((folder.clone(), name.to_owned(), Matter::MayTurn));
                    path = folder.join(target).join(rest.as_path());
                    // An empty rest would leave a slash behind the file's name.
                    if is_last {
                        path = path.components().collect();
                    }
                    continue 'link;
                }
                Err(_) if is_last => found.push((folder, name.to_owned(), Matter::File)),
                // It is missing or is no folder: nothing behind it can change before it does.
                Err(_) if !walked.is_dir() => {
                    found.push((folder, name.to_owned(), Matter::MayTurn));
                    return found;
                }
                Err(_) => found.push((folder, name.to_owned(), Matter::OnTheWay)),
            }
        }
        return found;
    }
    found
}

fn poll_reason(error: notify::Error) -> PollReason {
    // Out of instances is EMFILE, out of watches ENOSPC, which notify names itself.
    let no_instance = rustix::io::Errno::MFILE.raw_os_error();
    match &error.kind {
        notify::ErrorKind::MaxFilesWatch => PollReason::Limit,
        notify::ErrorKind::Io(io) if io.raw_os_error() == Some(no_instance) => PollReason::Limit,
        _ => PollReason::Failed(error.to_string()),
    }
}

#[cfg(test)]
mod tests {
    use std::os::unix::fs::symlink;

    use super::*;

    #[test]
    fn every_name_on_the_way_that_may_change_is_watched() {
        let temp = tempfile::tempdir().unwrap();
        let root = fs::canonicalize(temp.path()).unwrap();
        fs::create_dir_all(root.join("data/v1")).unwrap();
        fs::write(root.join("data/v1/real.log"), "").unwrap();
        symlink("data/v1", root.join("app")).unwrap();
        symlink("../data/v1/real.log", root.join("data/link.log")).unwrap();
        symlink("loop", root.join("loop")).unwrap();
        let check = |path: &str, want: &[(&str, &str, Matter)]| {
            let want = want.iter().map(|(folder, name, matter)| {
                (root.join(folder).components().collect(), OsString::from(name), *matter)
            });
            let mut found = lookups(&root.join(path));
            // What is above the folder of the test is on the way, each time from the top.
            found.retain(|(folder, _, matter)| {
                folder.starts_with(&root) || *matter != Matter::OnTheWay
            });
            assert_eq!(found, want.collect::<Vec<(PathBuf, _, _)>>(), "{path}");
        };
        use Matter::{File, MayTurn, OnTheWay};
        let [data, v1] = [("", "data", OnTheWay), ("data", "v1", OnTheWay)];
        let real = ("data/v1", "real.log", File);
        check("data/v1/real.log", &[data, v1, real]);
        check("data/v1/none.log", &[data, v1, ("data/v1", "none.log", File)]);
        check("app/real.log", &[("", "app", MayTurn), data, v1, real]);
        let link = ("data", "link.log", MayTurn);
        // By way of `data/../data`.
        check("data/link.log", &[data, link, data, data, v1, real]);
        check("app/../link.log", &[("", "app", MayTurn), data, v1, link, data, data, v1, real]);
        check("none/of/this.log", &[("", "none", MayTurn)]);
        check("data/v1/real.log/x", &[data, v1, ("data/v1", "real.log", MayTurn)]);
        let turns =
            lookups(&root.join("loop")).into_iter().filter(|(.., matter)| *matter == MayTurn);
        assert_eq!(turns.count(), MOST_LINKS);
    }

    #[test]
    fn errors_of_the_limit_name_the_remedy() {
        let full = notify::Error::io(rustix::io::Errno::MFILE.into());
        assert_eq!(poll_reason(full), PollReason::Limit);
        let full = notify::Error::new(notify::ErrorKind::MaxFilesWatch);
        let notice = crate::Notice::Polling { path: "x".into(), why: poll_reason(full) };
        assert!(notice.to_string().contains("fs.inotify.max_user_watches"), "{notice}");
    }
}
