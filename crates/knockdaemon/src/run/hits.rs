//! A hit on its way: to the engine, and from there as a knock to the disk and the workers. What an earlier run
//! has dealt with goes no further than the queues.

use std::time::Duration;

use knock_engine::{Change, Now, Verdict};

use super::event::Arrived;
use super::{Daemon, answered, tell};

impl Daemon {
    /// Takes a hit of a source to the engine; whether it was the last one of a knock that counts.
    /// Queues forget by when it `happened`, not by when we came to read it.
    pub(super) fn hit(
        &mut self,
        now: &Now,
        happened: Duration,
        source: usize,
        arrived: &Arrived,
    ) -> bool {
        let Arrived { hit, written, reached, .. } = arrived;
        if let Some(reached) = reached {
            self.readers.dealt_with(source, *reached);
        }
        if answered::is_of_the_past(self.engine.ledger(), arrived) {
            return false;
        }
        let then = Now { uptime: happened, ..*now };
        if answered::is_known(self.engine.ledger(), arrived) {
            self.engine.hit_again(&then, hit);
            return false;
        }
        let verdict = self.engine.hit(&then, hit);
        tell::verdict(&self.engine, hit, &verdict);
        let Verdict::Accepted(mut accepted) = verdict else { return false };
        self.is_news = true;
        accepted.changes.extend(self.places(Some(source)));
        let kept = self.resume.zip(*written);
        accepted.changes.extend(
            kept.and_then(|(back, written)| answered::change(now.wall, back, hit.client, written)),
        );
        self.respond.accept(&mut self.engine, &accepted, now);
        true
    }

    /// How far the sources, or one of them, were read, if it is to be kept.
    pub(super) fn places(&self, source: Option<usize>) -> Vec<Change> {
        let Some(back) = self.resume else { return Vec::new() };
        let places = self.readers.places(source, self.clock.now().uptime, back);
        places.map(|(source, at)| Change::ReadTo { source, place: at.to_string() }).collect()
    }
}
