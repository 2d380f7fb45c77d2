//! Packets from a network interface, through libpcap, as long as the interface is there and again
//! whenever it comes back. What the packets say is not known here.

mod file;
mod handle;
mod kind;
mod links;

use std::{ops::ControlFlow, time::Duration};

use self::{
    file::plain,
    handle::{Batch, Handle},
    links::{Links, Look, permitted},
};
use crate::{
    AwayReason, Intake, Notice, Source, SourceError, Stop,
    wait::{Woken, wait, wait_either},
};

pub use file::PcapFileSource;
pub use kind::InputKind;

/// Between two attempts to open an interface that is there and cannot be opened: at first, and at
/// most.
const FIRST_PAUSE: Duration = Duration::from_secs(1);
const LONGEST_PAUSE: Duration = Duration::from_secs(30);

/// So long after the last packets the kernel is asked whether it dropped any. Then it is left alone.
const CALM: Duration = Duration::from_secs(1);

/// In a flood the calm does not come; after so many batches it is asked all the same.
const BATCHES: u32 = 64;

/// libpcap's name for all interfaces at once.
const ANY: &str = "any";

/// Captures on an interface: what comes in there, cut off behind the snapshot. `any` is all of them.
///
/// An interface that is not there, goes away or is switched off is waited for. The kernel tells of
/// it, so waiting costs nothing.
#[derive(Debug)]
pub struct CaptureSource {
    interface: String,
    snapshot: usize,
    filter: Option<String>,
}

/// How capturing on an open interface ended.
enum Ended {
    /// The interface is another one now, or none.
    Lost {
        /// Whether the administrator knows that it is away.
        is_said: bool,
    },
    /// The stop is set, or the intake has had enough.
    Over,
}

impl CaptureSource {
    /// Captures on `interface`, at most `snapshot` bytes of each packet. `filter` is an expression
    /// of libpcap (`tcp or udp`); where it cannot be used, all packets are handed over.
    #[must_use]
    pub fn new(interface: String, snapshot: usize, filter: Option<String>) -> Self {
        Self { interface, snapshot, filter }
    }

    /// Opens the interface as soon as it can be, and tells which it is: `any` is
    /// no interface of the kernel's and has no number. `None` when the stop was set before. What is
    /// in the way is said once, unless `is_said`.
    fn await_open(
        &self,
        links: &Links,
        mut is_said: bool,
        intake: &mut dyn Intake,
        stop: &Stop,
    ) -> Result<Option<(Handle, Option<u32>)>, SourceError> {
        let mut pause = FIRST_PAUSE;
        let mut trouble = String::new();
        loop {
            let index = links.index(&self.interface);
            let filter = self.filter.as_deref();
            // libpcap has more to offer (USB, D-Bus), which is no network.
            let is_there = index.is_some() || self.interface == ANY;
            let open = || Handle::open(&self.interface, self.snapshot, filter);
            let error = match is_there.then(open) {
                Some(Ok((handle, unaided))) if links.index(&self.interface) == index => {
                    for what in unaided {
                        let name = self.interface.clone();
                        intake.notice(Notice::CaptureUnaided { name, what });
                    }
                    return Ok(Some((handle, index)));
                }
                // Another one took its place, and there is no telling which of them was opened.
                Some(Ok(_)) => continue,
                Some(Err(error)) => plain(&error),
                None => String::new(),
            };
            permitted()?;
            let is_away = match links.look(&self.interface) {
                // All interfaces at once are always there: what failed is the opening.
                Look::Missing if self.interface == ANY => None,
                Look::Missing => Some(AwayReason::Missing),
                Look::Down(_) => Some(AwayReason::Down),
                Look::Up(_) => None,
            };
            if let Some(why) = is_away {
                if !is_said {
                    self.say_away(why, links, intake);
                    is_said = true;
                }
            } else {
                // What appeared a moment after it was looked for is no trouble.
                if trouble != error && !error.is_empty() {
                    let name = self.interface.clone();
                    intake.notice(Notice::CaptureTrouble { name, why: error.clone() });
                    trouble = error;
                }
            }
            let limit = is_away.is_none().then_some(pause);
            pause = (pause * 2).min(LONGEST_PAUSE);
            match wait(links.fd(), stop, limit)? {
                Woken::Stopped => return Ok(None),
                Woken::Ready | Woken::TimedOut => {
                    links.hear();
                }
            }
        }
    }

    /// Hands over packets until the interface is lost.
    fn capture(
        &self,
        (handle, index): (&mut Handle, Option<u32>),
        links: &Links,
        intake: &mut dyn Intake,
        stop: &Stop,
    ) -> Result<Ended, SourceError> {
        let mut is_down = false;
        let mut batches = 0;
        loop {
            let limit = (batches > 0).then_some(CALM);
            match wait_either(handle.fd(), links.fd(), stop, limit)? {
                Woken::Stopped => return Ok(Ended::Over),
                Woken::TimedOut => {
                    tell_dropped(handle, &mut batches, intake);
                    continue;
                }
                Woken::Ready => {}
            }
            match handle.read(intake) {
                Ok(Batch { flow: ControlFlow::Break(()), .. }) => return Ok(Ended::Over),
                Ok(Batch { packets: 0, .. }) => {}
                Ok(_) => batches += 1,
                Err(_) => {
                    tell_dropped(handle, &mut batches, intake);
                    return Ok(Ended::Lost { is_said: is_down });
                }
            }
            if batches >= BATCHES {
                tell_dropped(handle, &mut batches, intake);
            }
            // Heard in any case: word that nobody takes would wake us without end.
            let has_word = links.hear();
            let Some(index) = index.filter(|_| has_word) else { continue };
            match links.look(&self.interface) {
                // Kept open: the kernel captures on it again from the moment that it is up.
                Look::Down(found) if found == index => {
                    if !std::mem::replace(&mut is_down, true) {
                        self.say_away(AwayReason::Down, links, intake);
                    }
                }
                Look::Up(found) if found == index => {
                    if std::mem::take(&mut is_down) {
                        self.say_back(intake);
                    }
                }
                Look::Missing | Look::Down(_) | Look::Up(_) => {
                    return Ok(Ended::Lost { is_said: is_down });
                }
            }
        }
    }

    fn say_back(&self, intake: &mut dyn Intake) {
        intake.notice(Notice::InterfaceBack { name: self.interface.clone() });
    }

    fn say_away(&self, why: AwayReason, links: &Links, intake: &mut dyn Intake) {
        let there = links.names();
        intake.notice(Notice::InterfaceAway { name: self.interface.clone(), why, there });
    }
}

impl Source for CaptureSource {
    fn name(&self) -> String {
        format!("interface {}", self.interface)
    }

    fn run(&mut self, intake: &mut dyn Intake, stop: &Stop) -> Result<(), SourceError> {
        // Before the first look, so that nothing happens unheard between the two.
        let links = Links::new()?;
        let mut was_lost = false;
        while let Some((mut handle, index)) = self.await_open(&links, was_lost, intake, stop)? {
            if was_lost {
                self.say_back(intake);
            } else {
                intake.notice(Notice::Started { name: self.name() });
            }
            match self.capture((&mut handle, index), &links, intake, stop)? {
                Ended::Over => break,
                Ended::Lost { is_said } => {
                    was_lost = true;
                    if !is_said {
                        self.say_away(AwayReason::Gone, &links, intake);
                    }
                }
            }
        }
        Ok(())
    }
}

fn tell_dropped(handle: &mut Handle, batches: &mut u32, intake: &mut dyn Intake) {
    *batches = 0;
    let packets = handle.newly_dropped();
    if packets > 0 {
        intake.notice(Notice::Dropped { packets });
    }
}
