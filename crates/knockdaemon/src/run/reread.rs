//! Reading the configuration again, beside the loop: a user of a directory that does not answer, a file
//! on a disk that hangs or a slow key derivation must hold up no closing.

use std::sync::Arc;
use std::sync::mpsc::SyncSender;
use std::thread;

use knock_config::DaemonSettings;

use crate::control::protocol::Code;
use crate::control::server::Reply;

use super::event::Event;

/// Reads the configuration anew and reports its problems.
pub(crate) type Reread = Arc<dyn Fn() -> NewSettings + Send + Sync>;

/// What came of reading the configuration while the daemon runs.
#[derive(Debug)]
pub(crate) enum NewSettings {
    /// It can be used.
    Read {
        /// What it says.
        settings: Box<DaemonSettings>,
        /// Its warnings, with places.
        report: String,
    },
    /// It has mistakes.
    Mistaken {
        /// Which, with places.
        report: String,
    },
    /// The file cannot be read.
    Unreadable {
        /// Which file, and why.
        why: String,
    },
}

/// At most one reading at a time.
pub(crate) struct Rereading {
    reread: Reread,
    inbox: SyncSender<Event>,
    state: State,
    /// Who wants to know what comes of the reading that goes on.
    waiting: Vec<Reply>,
    /// Who asked later, and is told of the next.
    later: Vec<Reply>,
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum State {
    Idle,
    Reading,
    /// Asked for again meanwhile: what is being read may be the file of before.
    ReadingAndAskedAgain,
}

impl Rereading {
    pub(crate) fn new(reread: Reread, inbox: SyncSender<Event>) -> Self {
        Self { reread, inbox, state: State::Idle, waiting: Vec::new(), later: Vec::new() }
    }

    /// Reads, and sends what was read to the inbox. Returns whether it will.
    pub(crate) fn start(&mut self, reply: Option<Reply>) -> bool {
        if self.state == State::Idle {
            self.waiting.extend(reply);
            self.begin();
        } else {
            self.state = State::ReadingAndAskedAgain;
            self.later.extend(reply);
        }
        self.state != State::Idle
    }

    fn begin(&mut self) {
        let (reread, inbox) = (Arc::clone(&self.reread), self.inbox.clone());
        let started = thread::Builder::new().name("reload".to_owned()).spawn(move || {
            // A closed inbox: the daemon has stopped.
            let _gone = inbox.send(Event::Reread(Box::new(reread())));
        });
        match started {
            Ok(_) => self.state = State::Reading,
            Err(error) => {
                tracing::error!(
                    "no thread to read the configuration; the running one stays: {error}"
                );
                for reply in self.waiting.drain(..) {
                    reply.refuse(
                        Code::Busy,
                        format!("no thread to read the configuration: {error}"),
                    );
                }
            }
        }
    }

    /// Whether nothing is being read.
    pub(crate) fn is_idle(&self) -> bool {
        self.state == State::Idle
    }

    /// What was read has arrived. Returns who wants to know what came of it.
    pub(crate) fn ended(&mut self) -> Vec<Reply> {
        let told = std::mem::take(&mut self.waiting);
        let again = self.state == State::ReadingAndAskedAgain;
        self.state = State::Idle;
        if again {
            self.waiting = std::mem::take(&mut self.later);
            self.begin();
        }
        told
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Mutex;
    use std::sync::mpsc::{channel, sync_channel};
    use std::time::Duration;

    use super::*;

    const LONG: Duration = Duration::from_secs(60);

    #[test]
    fn the_loop_goes_on_and_what_was_asked_meanwhile_is_read_once() {
        let (begin, begun) = channel();
        let (go_on, gate) = channel();
        let gate = Mutex::new(gate);
        let reread = move || {
            begin.send(()).unwrap();
            gate.lock().unwrap().recv_timeout(LONG).unwrap();
            NewSettings::Mistaken { report: String::new() }
        };
        let (to_inbox, inbox) = sync_channel(1);
        let mut rereading = Rereading::new(Arc::new(reread), to_inbox);
        for _ in 0..3 {
            assert!(rereading.start(None));
        }
        for _ in 0..2 {
            begun.recv_timeout(LONG).unwrap();
            assert!(inbox.try_recv().is_err());
            go_on.send(()).unwrap();
            assert!(matches!(inbox.recv_timeout(LONG), Ok(Event::Reread(_))));
            rereading.ended();
        }
        assert!(rereading.state == State::Idle && begun.try_recv().is_err());
    }
}
