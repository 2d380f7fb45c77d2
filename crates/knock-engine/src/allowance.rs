//! How many slow key derivations strangers can make us do: a share of one processor.
//! Knows neither windows nor knocks; who is turned away is chance.

use std::time::Duration;

use knock_wire::KeyDerivation;

/// What was not used can be used at once, but no more than this comes together.
const BURST: Duration = Duration::from_secs(1);

/// The derivations of the last second.
#[derive(Debug, Default)]
pub(crate) struct Allowance {
    /// All that were granted are paid for by then.
    paid: Duration,
}

impl Allowance {
    /// Whether there may be one more now.
    pub(crate) fn take(&mut self, slow: KeyDerivation, now: Duration) -> bool {
        let paid = self.paid.max(now) + price(slow);
        let granted = paid <= now + BURST;
        if granted {
            self.paid = paid;
        }
        granted
    }
}

/// The time that one has to itself: several times what it takes, which was 2.7 ms and 164 ms where it
/// was measured.
fn price(slow: KeyDerivation) -> Duration {
    match slow {
        // A few digests: cheaper than the hit before them.
        KeyDerivation::Md5Chain
        | KeyDerivation::Literal
        | KeyDerivation::OpensslV1
        | KeyDerivation::OpensslV2 => Duration::ZERO,
        KeyDerivation::Pbkdf2 => Duration::from_millis(20),
        KeyDerivation::Argon2id => Duration::from_millis(500),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// How many of a thousand at a time are granted.
    fn granted(allowance: &mut Allowance, slow: KeyDerivation, at: u64) -> usize {
        (0..1000).filter(|_| allowance.take(slow, Duration::from_secs(at))).count()
    }

    #[test]
    fn so_many_a_second_and_no_more_after_a_rest() {
        let mut allowance = Allowance::default();
        assert_eq!(granted(&mut allowance, KeyDerivation::Pbkdf2, 0), 50);
        assert_eq!(granted(&mut allowance, KeyDerivation::Pbkdf2, 1), 50);
        assert_eq!(granted(&mut allowance, KeyDerivation::Pbkdf2, 1000), 50);
        assert_eq!(granted(&mut allowance, KeyDerivation::Argon2id, 2000), 2);
        assert_eq!(granted(&mut allowance, KeyDerivation::OpensslV2, 3000), 1000);
    }

    /// A replayed log may step back.
    #[test]
    fn time_that_steps_back_grants_nothing_twice() {
        let mut allowance = Allowance::default();
        assert_eq!(granted(&mut allowance, KeyDerivation::Pbkdf2, 10), 50);
        assert_eq!(granted(&mut allowance, KeyDerivation::Pbkdf2, 5), 0);
        assert_eq!(granted(&mut allowance, KeyDerivation::Pbkdf2, 11), 50);
    }
}
