//! Which knocks have been answered, when their lines are read once more after a restart: from another log
//! that has them too, from one that was edited, or where the place of before is nowhere. Judges by the
//! client and the time in the line; places are the business of `trail`.

use std::net::IpAddr;
use std::time::{Duration, SystemTime};

use knock_engine::{Change, Ledger};
use knock_sources::Age;

use super::event::Arrived;

/// So long, or for maxlag, it is remembered that a client was answered: the next run may have a longer
/// maxlag than this one.
const A_DAY: Duration = Duration::from_secs(86_400);

/// Whether a hit is read again and older than the last knock of its client that was answered: it
/// belongs to no knock to come, and would only push from the queue's memory by which packets are known
/// that two logs have.
pub(crate) fn is_of_the_past(ledger: &Ledger, arrived: &Arrived) -> bool {
    if arrived.age == Age::Live {
        return false;
    }
    let last = ledger.answered(arrived.hit.client);
    let written = arrived.written.map(at_the_latest);
    written.zip(last).is_some_and(|(written, last)| written < last)
}

/// Whether a knock that this hit completes has been answered before.
pub(crate) fn is_known(ledger: &Ledger, arrived: &Arrived) -> bool {
    let last = || ledger.answered(arrived.hit.client);
    match arrived.age {
        Age::Known => true,
        Age::Backlog => arrived.written.is_some_and(|written| last() >= Some(written)),
        Age::Live => false,
    }
}

/// That a knock with this time in its last line was accepted; `back` is maxlag.
pub(crate) fn change(
    now: SystemTime,
    back: Duration,
    client: IpAddr,
    written: SystemTime,
) -> Option<Change> {
    // Of a log with a clock far ahead of ours, nothing must be remembered for ever.
    let written = at_the_latest(written).min(now + back);
    let forget = now.checked_sub(back.max(A_DAY))?;
    Some(Change::Answered { client, written, forget })
}

/// The latest time that it may have been: one without a fraction is that of a whole second.
fn at_the_latest(written: SystemTime) -> SystemTime {
    let since = written.duration_since(SystemTime::UNIX_EPOCH).unwrap_or_default();
    match since.subsec_nanos() {
        0 => written + Duration::from_nanos(999_999_999),
        _ => written,
    }
}

#[cfg(test)]
mod tests {
    use knock_wire::Hit;

    use super::*;

    const CLIENT: &str = "192.0.2.7";

    fn at(millis: u64) -> SystemTime {
        SystemTime::UNIX_EPOCH + Duration::from_secs(1_795_231_365) + Duration::from_millis(millis)
    }

    /// A knock was answered whose last line says `answered`; a hit read again says `written`. Whether it
    /// is left out, and whether what it completes is known.
    fn check(answered: u64, age: Age, written: u64, want: (bool, bool)) {
        let client: IpAddr = CLIENT.parse().unwrap();
        let (now, maxlag) = (at(5_000), Duration::from_secs(60));
        let mut ledger = Ledger::new();
        ledger.apply(&change(now, maxlag, client, at(answered)).unwrap());
        let hit = Hit::new(client, 800);
        let arrived = Arrived { age, written: Some(at(written)), ..Arrived::now(hit) };
        let got = (is_of_the_past(&ledger, &arrived), is_known(&ledger, &arrived));
        assert_eq!(got, want, "{answered} {age:?} {written}");
        let other = Hit::new("192.0.2.8".parse().unwrap(), 800);
        let arrived = Arrived { hit: other, ..arrived };
        assert!(!is_of_the_past(&ledger, &arrived));
        assert_eq!(is_known(&ledger, &arrived), age == Age::Known);
    }

    #[test]
    fn what_is_not_younger_than_the_last_knock_is_known() {
        check(2_500, Age::Backlog, 2_499, (true, true));
        check(2_500, Age::Backlog, 2_500, (false, true));
        check(2_500, Age::Backlog, 2_501, (false, false));
        check(2_500, Age::Known, 2_501, (false, true));
        // What comes as it happens is new, however the clocks stand.
        check(2_500, Age::Live, 2_499, (false, false));
        // Without fractions: another log's line of the same second may say more.
        check(2_000, Age::Backlog, 2_900, (true, true));
        check(2_000, Age::Backlog, 3_001, (false, false));
        check(2_500, Age::Backlog, 2_000, (false, true));
        check(2_500, Age::Backlog, 1_000, (true, true));
        // A log whose clock is ahead by hours.
        check(10_000_000, Age::Backlog, 70_000, (false, false));
    }
}
