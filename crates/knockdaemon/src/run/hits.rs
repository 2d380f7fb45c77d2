//! A hit on its way: to the engine, and from there as a knock to the disk and the workers. What an earlier run
//! has dealt with goes no further than the queues.

use knock_engine::{Change, Now, Verdict};

use super::event::Arrived;
use super::{Daemon, answered, tell};

impl Daemon {
    /// Takes a hit of a source to the engine.
    pub(super) fn hit(&mut self, now: &Now, source: usize, arrived: &Arrived) {
        let Arrived { hit, ago, written, reached, .. } = arrived;
        if let Some(reached) = reached {
            self.readers.dealt_with(source, *reached);
        }
        if answered::is_of_the_past(self.engine.ledger(), arrived) {
            return;
        }
        // Queues forget by when it happened, not by when we came to read it.
        let then = Now { uptime: now.uptime.saturating_sub(*ago), ..*now };
        if answered::is_known(self.engine.ledger(), arrived) {
            return self.engine.hit_again(&then, hit);
        }
        let verdict = self.engine.hit(&then, hit);
        tell::verdict(&self.engine, hit, &verdict);
        if let Verdict::Accepted(mut accepted) = verdict {
            self.is_news = true;
            accepted.changes.extend(self.places(Some(source)));
            let kept = self.resume.zip(*written);
            accepted.changes.extend(
                kept.and_then(|(back, written)| {
                    answered::change(now.wall, back, hit.client, written)
                }),
            );
            self.respond.accept(&mut self.engine, &accepted, now);
        }
    }

    /// How far the sources, or one of them, were read, if it is to be kept.
    pub(super) fn places(&self, source: Option<usize>) -> Vec<Change> {
        let Some(back) = self.resume else { return Vec::new() };
        let places = self.readers.places(source, self.clock.now().uptime, back);
        places.map(|(source, at)| Change::ReadTo { source, place: at.to_string() }).collect()
    }
}
