//! What reading one file tells, on its way to the intake: with the path, and with what its copies
//! still have when it was emptied. Holds no state of its own.

use std::{io, ops::ControlFlow, path::Path};

use super::super::{
    family::{self, Family},
    held::{Event, Held, Taker},
};
use crate::{Intake, Notice, Origin, Stop};

/// Puts the path into what a file tells, and finds its copies.
pub(super) struct Telling<'a> {
    pub(super) path: &'a Path,
    /// The other files that are held.
    pub(super) others: &'a [Held],
    /// The siblings that were there at the last look.
    pub(super) family: &'a Family,
    /// Those that were read because it was emptied.
    pub(super) copies: &'a mut Vec<Held>,
    pub(super) intake: &'a mut dyn Intake,
    pub(super) stop: &'a Stop,
}

impl Taker for Telling<'_> {
    fn lines(&mut self, block: &[u8], at: &Origin) -> ControlFlow<()> {
        self.intake.lines_at(block, at)?;
        if self.stop.is_set() { ControlFlow::Break(()) } else { ControlFlow::Continue(()) }
    }

    fn find_again(&self, file: &mut Held) -> bool {
        family::find_again(self.path, file)
    }

    /// Copied and truncated: the copies have what was written between the last look and the copying.
    fn emptied(&mut self, file: &Held, room: &mut [u8]) -> io::Result<ControlFlow<()>> {
        for mut copy in family::copies(self.path, file, self.family, self.others, room)? {
            // It may have been emptied twice while it was read.
            if self.copies.iter().any(|read| read.id == copy.id) {
                continue;
            }
            let end = copy.size()?;
            if copy.read(end, room, self)?.is_break() {
                return Ok(ControlFlow::Break(()));
            }
            self.copies.push(copy);
        }
        Ok(ControlFlow::Continue(()))
    }

    fn is_stopped(&self) -> bool {
        self.stop.is_set()
    }

    fn event(&mut self, event: Event) {
        let path = self.path.to_owned();
        self.intake.notice(match event {
            Event::Truncated => Notice::Truncated { path },
            Event::Rewritten => Notice::Rewritten { path },
            Event::LineTooLong(bytes) => {
                Notice::LineTooLong { from: path.display().to_string(), bytes }
            }
        });
    }
}
