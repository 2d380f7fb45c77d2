//! The daemon's end of the control socket: takes connections, sees who is there, and carries a request
//! to the loop and its answer back. Answers nothing itself but refusals.
//!
//! One thread takes connections, and up to [`AT_ONCE`] carry them, each for a bounded time; who comes
//! beyond that waits in the kernel's queue. Without a connection nothing wakes up.

use std::fs::{self, File, Metadata, Permissions};
use std::io;
use std::os::unix::fs::{
    DirBuilderExt as _, FileTypeExt as _, MetadataExt as _, PermissionsExt as _,
};
use std::os::unix::net::{UnixListener, UnixStream};
use std::path::{Path, PathBuf};
use std::sync::mpsc::{self, Receiver, SyncSender};
use std::sync::{Arc, Condvar, Mutex, PoisonError};
use std::thread;
use std::time::Duration;

use nix::sys::socket::{getsockopt, sockopt::PeerCredentials};
use rustix::io::Errno;
use rustix::net::{AddressFamily, Shutdown, SocketAddrUnix, SocketFlags, SocketType};
use rustix::process::{getegid, geteuid};

use super::error::ControlError;
use super::frame::{FrameError, Line};
use super::lock;
use super::protocol::{Answer, Code, MAX_REQUEST, Refused, Request};
use super::with_suffix;

/// Connections that are carried side by side.
const AT_ONCE: usize = 16;

/// Those that wait for that in the kernel.
const BACKLOG: i32 = 128;

/// How long a request may take to come, and an answer to be taken.
const HASTE: Duration = Duration::from_secs(5);

/// How long the loop may take.
const PATIENCE: Duration = Duration::from_secs(20);

/// Reading a configuration asks for users, one at a time.
const PATIENCE_RELOAD: Duration = Duration::from_secs(60);

/// A request on its way to the loop.
#[derive(Debug)]
pub(crate) struct Asked {
    /// What is asked.
    pub(crate) request: Request,
    /// Who asks, for the log.
    pub(crate) by: Peer,
    /// Where the answer goes.
    pub(crate) reply: Reply,
}

/// Takes one answer, without waiting for anybody.
#[derive(Debug)]
pub(crate) struct Reply(SyncSender<Answer>);

impl Reply {
    /// And where it comes out.
    pub(crate) fn new() -> (Self, Receiver<Answer>) {
        let (sender, receiver) = mpsc::sync_channel(1);
        (Self(sender), receiver)
    }

    /// Sends it. Who has gone meanwhile misses it.
    pub(crate) fn send(self, answer: Answer) {
        let _gone = self.0.try_send(answer);
    }

    /// Sends a refusal.
    pub(crate) fn refuse(self, code: Code, message: impl Into<String>) {
        self.send(Answer::Refused(Refused::new(code, message)));
    }
}

/// Who is at the other end, as the kernel knows.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Peer {
    pub(crate) uid: u32,
    pub(crate) gid: u32,
}

/// Who may ask beside root and the daemon's own user.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Members {
    /// Those of the group that this process runs as.
    OwnGroup,
    /// Those of this one.
    Group(u32),
    /// Nobody.
    Nobody,
}

/// The socket; closed and taken away when this is dropped.
#[derive(Debug)]
pub(crate) struct ControlSocket {
    path: PathBuf,
    listener: UnixListener,
    ours: Ours,
    members: Members,
    /// Held while the daemon lives, so that a second one does not take the name away.
    lock: File,
}

/// What the socket's file must be, for the kernel to have let in nobody but whom we want.
#[derive(Clone, Debug, PartialEq, Eq)]
struct Ours {
    file: (u64, u64),
    owner: u32,
    group: u32,
}

impl ControlSocket {
    /// Listens at this path, for root, this process' user and these.
    ///
    /// # Errors
    /// When the place cannot be used, or another daemon answers there.
    pub(crate) fn listen(path: &Path, members: Members) -> Result<Self, ControlError> {
        let failed = |what| ControlError::failed(path, what);
        let folder = path.parent().filter(|folder| !folder.as_os_str().is_empty());
        if let Some(folder) = folder.filter(|folder| !folder.exists()) {
            fs::DirBuilder::new().mode(0o755).create(folder).map_err(failed("make its folder"))?;
        }
        let lock = lock::take(path)?;
        if let Ok(there) = fs::symlink_metadata(path)
            && !there.file_type().is_socket()
        {
            return Err(ControlError::NoSocket { path: path.to_owned() });
        }
        // Under another name until it is what it is to be, and not listening before: whatever the
        // umask, nobody gets in meanwhile.
        let new = with_suffix(path, ".new");
        remove(&new).map_err(failed("take away what is left of"))?;
        let address = SocketAddrUnix::new(&new).map_err(io::Error::from);
        let address = address.map_err(failed("name"))?;
        let socket = rustix::net::socket_with(
            AddressFamily::UNIX,
            SocketType::STREAM,
            SocketFlags::CLOEXEC,
            None,
        );
        let socket = socket.map_err(io::Error::from).map_err(failed("make"))?;
        rustix::net::bind(&socket, &address).map_err(io::Error::from).map_err(failed("make"))?;
        if let Members::Group(group) = members
            && group != getegid().as_raw()
        {
            std::os::unix::fs::chown(&new, None, Some(group)).map_err(failed("give the group"))?;
        }
        let mode = if members == Members::Nobody { 0o600 } else { 0o660 };
        fs::set_permissions(&new, Permissions::from_mode(mode)).map_err(failed("narrow"))?;
        let metadata = fs::symlink_metadata(&new).map_err(failed("look at"))?;
        fs::rename(&new, path).map_err(failed("put in its place"))?;
        rustix::net::listen(&socket, BACKLOG).map_err(io::Error::from).map_err(failed("use"))?;
        let listener = UnixListener::from(socket);
        Ok(Self { path: path.to_owned(), listener, ours: Ours::of(&metadata), members, lock })
    }

    /// Starts the thread that takes connections. `ask` carries a request to the loop, and returns
    /// whether there is one.
    ///
    /// # Errors
    /// When the system refuses a thread.
    pub(crate) fn serve(
        &self,
        ask: impl Fn(Asked) -> bool + Send + Sync + 'static,
    ) -> io::Result<()> {
        let listener = self.listener.try_clone()?;
        let (path, ours, members) = (self.path.clone(), self.ours.clone(), self.members);
        let ask = Arc::new(ask);
        thread::Builder::new().name("control".to_owned()).spawn(move || {
            let slots = Slots::default();
            loop {
                let slot = slots.take();
                let stream = match listener.accept() {
                    Ok((stream, _)) => stream,
                    Err(error) if is_passing(&error) => continue,
                    Err(error) if is_shortage(&error) => {
                        thread::park_timeout(Duration::from_secs(1));
                        continue;
                    }
                    // Shut down, or beyond help.
                    Err(error) => {
                        tracing::debug!("no more is taken at the control socket: {error}");
                        return;
                    }
                };
                let permitted = permitted(&stream, &path, &ours, members);
                let by = match permitted {
                    Ok(peer) => peer,
                    Err(refused) => {
                        // A new connection has room for this much: nobody is waited for.
                        answer(&stream, &Answer::Refused(refused), Duration::from_millis(100));
                        continue;
                    }
                };
                let ask = Arc::clone(&ask);
                let carry = move || {
                    carry(&stream, by, &*ask);
                    drop(slot);
                };
                let carried = thread::Builder::new().name("asked".to_owned()).spawn(carry);
                if let Err(error) = carried {
                    tracing::warn!("no thread to answer at the control socket: {error}");
                }
            }
        })?;
        Ok(())
    }
}

impl Drop for ControlSocket {
    fn drop(&mut self) {
        let _gone = rustix::net::shutdown(&self.listener, Shutdown::Both);
        let is_ours = |metadata: Metadata| Ours::of(&metadata) == self.ours;
        if fs::symlink_metadata(&self.path).is_ok_and(is_ours) {
            let _gone = fs::remove_file(&self.path);
        }
        // Closing it would not do: a child that is just being started holds it open too.
        let _gone = self.lock.unlock();
    }
}

impl Ours {
    fn of(metadata: &Metadata) -> Self {
        Self {
            file: (metadata.dev(), metadata.ino()),
            owner: metadata.uid(),
            group: metadata.gid(),
        }
    }
}

fn remove(path: &Path) -> io::Result<()> {
    match fs::remove_file(path) {
        Err(error) if error.kind() != io::ErrorKind::NotFound => Err(error),
        Ok(()) | Err(_) => Ok(()),
    }
}

fn is_passing(error: &io::Error) -> bool {
    matches!(error.kind(), io::ErrorKind::Interrupted | io::ErrorKind::ConnectionAborted)
}

/// No file descriptor or memory is left; others will give some back.
fn is_shortage(error: &io::Error) -> bool {
    let short = [Errno::MFILE, Errno::NFILE, Errno::NOBUFS, Errno::NOMEM];
    short.iter().any(|short| error.raw_os_error() == Some(short.raw_os_error()))
}

/// Who is there, if they may ask.
///
/// For groups beside the first one there is no question to the kernel that needs no unsafe code. But
/// it has asked them itself: it lets in whom the file's mode lets in, and so the file is looked at,
/// whether it still lets in our group and nobody else.
fn permitted(
    stream: &UnixStream,
    path: &Path,
    ours: &Ours,
    members: Members,
) -> Result<Peer, Refused> {
    let refused = |message| Err(Refused::new(Code::Permission, message));
    let Ok(cred) = getsockopt(stream, PeerCredentials) else {
        return refused("the kernel does not say who you are".to_owned());
    };
    // Not the process: for one in another PID namespace the kernel says 0.
    let (uid, gid) = (cred.uid(), cred.gid());
    let peer = Peer { uid, gid };
    let has_members = members != Members::Nobody;
    if uid == 0 || uid == geteuid().as_raw() || (has_members && gid == ours.group) {
        return Ok(peer);
    }
    let guarded = has_members
        && fs::symlink_metadata(path)
            .is_ok_and(|metadata| Ours::of(&metadata) == *ours && metadata.mode() & 0o007 == 0);
    if guarded {
        return Ok(peer);
    }
    refused(format!(
        "user {uid} is neither root nor the daemon's user, and whether they are of its group cannot be \
         told: {} has been changed. Restart the daemon to have it made anew",
        path.display()
    ))
}

/// One request and its answer.
fn carry(stream: &UnixStream, by: Peer, ask: &dyn Fn(Asked) -> bool) {
    let refused = |code, message: String| Answer::Refused(Refused::new(code, message));
    let request = match Line::within(stream, HASTE).read(MAX_REQUEST) {
        Ok(line) => serde_json::from_slice(&line),
        // Nobody is there to be told.
        Err(FrameError::Ended | FrameError::Socket(_)) => return,
        Err(error @ (FrameError::TooLong { .. } | FrameError::TooLate)) => {
            return answer(stream, &refused(Code::Request, error.to_string()), HASTE);
        }
    };
    let said = match request {
        Ok(request) => {
            let patience = match request {
                Request::Reload {} => PATIENCE_RELOAD,
                _ => PATIENCE,
            };
            let (reply, answered) = Reply::new();
            match ask(Asked { request, by, reply }).then(|| answered.recv_timeout(patience)) {
                Some(Ok(answer)) => answer,
                Some(Err(mpsc::RecvTimeoutError::Timeout)) => {
                    let seconds = patience.as_secs();
                    refused(
                        Code::Busy,
                        format!("no answer within {seconds} s; it may still be done"),
                    )
                }
                Some(Err(mpsc::RecvTimeoutError::Disconnected)) | None => {
                    refused(Code::Busy, "the daemon is about to end".to_owned())
                }
            }
        }
        Err(error) => {
            let version = env!("CARGO_PKG_VERSION");
            refused(Code::Request, format!("version {version} knows no such request: {error}"))
        }
    };
    answer(stream, &said, HASTE);
}

fn answer(stream: &UnixStream, answer: &Answer, limit: Duration) {
    let Ok(text) = serde_json::to_vec(answer) else { return };
    if let Err(error) = Line::within(stream, limit).write(&text) {
        tracing::debug!("an answer at the control socket was not taken: {error}");
    }
}

/// Counts the connections that are carried.
#[derive(Clone, Debug, Default)]
struct Slots(Arc<(Mutex<usize>, Condvar)>);

impl Slots {
    /// Waits for a free one.
    fn take(&self) -> Slot {
        let (taken, freed) = &*self.0;
        let taken = taken.lock().unwrap_or_else(PoisonError::into_inner);
        let waited = freed.wait_while(taken, |taken| *taken >= AT_ONCE);
        *waited.unwrap_or_else(PoisonError::into_inner) += 1;
        Slot(self.clone())
    }
}

/// A connection's place; free again when this is dropped.
#[derive(Debug)]
struct Slot(Slots);

impl Drop for Slot {
    fn drop(&mut self) {
        let (taken, freed) = &*self.0.0;
        *taken.lock().unwrap_or_else(PoisonError::into_inner) -= 1;
        freed.notify_one();
    }
}

#[cfg(test)]
mod any;
#[cfg(test)]
mod tests;
