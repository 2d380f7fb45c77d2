//! When the next look at the firewall is due. Knows nothing of what is looked at.

use std::time::Duration;

/// What a reload of the firewall wiped is back after so long at most.
pub(super) const EVERY: Duration = Duration::from_secs(60);
/// The firewall did not answer: programs are not there yet, or another one has it locked. Each further
/// time it is twice as long, up to [`EVERY`]: what has not come by then is no hurry.
const AFTER_TROUBLE: Duration = Duration::from_secs(10);
/// So long after the first lease: it is being opened, and nothing else is to be in a hurry meanwhile.
const FIRST: Duration = Duration::from_millis(100);

/// All by uptime.
#[derive(Debug, Default)]
pub(super) struct Pace {
    /// None while there is nothing to compare.
    next: Option<Duration>,
    /// Asked for since the last look began, which may have seen what was there before.
    is_asked: bool,
    /// Looks in a row that nothing came of.
    troubles: u32,
}

impl Pace {
    pub(super) fn next(&self) -> Option<Duration> {
        self.next
    }

    /// Somebody wants it now, and may have put right what was in its way.
    pub(super) fn is_asked_for(&mut self, now: Duration) {
        *self = Self { next: Some(now), is_asked: true, troubles: 0 };
    }

    /// There are leases. Where nobody has looked for a while, what lets them in may have been wiped.
    pub(super) fn has_leases(&mut self, now: Duration) {
        self.next.get_or_insert(now + FIRST);
    }

    /// A look begins.
    pub(super) fn begins(&mut self, now: Duration, has_leases: bool) {
        self.next = has_leases.then(|| now + EVERY);
        self.is_asked = false;
    }

    /// Nothing came of it.
    pub(super) fn met_trouble(&mut self, now: Duration) {
        let pause = AFTER_TROUBLE.saturating_mul(1 << self.troubles.min(8)).min(EVERY);
        self.troubles = self.troubles.saturating_add(1);
        self.again(now + pause);
    }

    /// It was compared; something that leases need is not there.
    pub(super) fn lacks_something(&mut self, now: Duration) {
        self.troubles = 0;
        self.again(now + EVERY);
    }

    /// It was compared.
    pub(super) fn went_well(&mut self) {
        self.troubles = 0;
    }

    /// What was asked for meanwhile is earlier.
    fn again(&mut self, at: Duration) {
        if !self.is_asked {
            self.next = Some(at);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const fn s(seconds: u64) -> Duration {
        Duration::from_secs(seconds)
    }

    #[test]
    fn what_goes_on_not_to_work_is_looked_at_each_minute() {
        let mut pace = Pace::default();
        pace.is_asked_for(s(0));
        let mut looks = Vec::new();
        while looks.len() < 6 {
            let now = pace.next().unwrap();
            looks.push(now);
            pace.begins(now, false);
            pace.met_trouble(now);
        }
        assert_eq!(looks, [0, 10, 30, 70, 130, 190].map(s));
        // Who reloads may have installed what was not there.
        pace.is_asked_for(s(200));
        pace.begins(s(200), false);
        pace.met_trouble(s(201));
        assert_eq!(pace.next(), Some(s(211)));
        pace.begins(s(211), true);
        pace.went_well();
        assert_eq!(pace.next(), Some(s(271)));
        pace.begins(s(271), true);
        pace.met_trouble(s(272));
        assert_eq!(pace.next(), Some(s(282)));
    }

    #[test]
    fn what_is_asked_for_during_a_look_comes_right_behind_it() {
        let looked: [fn(&mut Pace); 3] =
            [|it| it.met_trouble(s(40)), |it| it.lacks_something(s(40)), Pace::went_well];
        for end in looked {
            for has_leases in [true, false] {
                let mut pace = Pace::default();
                pace.begins(s(10), has_leases);
                pace.is_asked_for(s(20));
                end(&mut pace);
                assert_eq!(pace.next(), Some(s(20)));
            }
        }
    }

    #[test]
    fn without_leases_nobody_wakes() {
        let mut pace = Pace::default();
        pace.begins(s(10), false);
        pace.went_well();
        assert_eq!(pace.next(), None);
        pace.has_leases(s(300));
        assert_eq!(pace.next(), Some(s(300) + FIRST));
        pace.has_leases(s(400));
        assert_eq!(pace.next(), Some(s(300) + FIRST));
        // A look that takes long is no reason for one without a pause.
        pace.begins(s(500), true);
        pace.met_trouble(s(700));
        assert_eq!(pace.next(), Some(s(710)));
    }
}
