//! Times and spans as columns of a table, and back.

use std::time::{Duration, SystemTime};

/// Nothing stays nothing; what is there has to make sense.
pub(super) fn optional<T, U>(
    value: Option<T>,
    read: impl FnOnce(T) -> Option<U>,
) -> Option<Option<U>> {
    match value {
        None => Some(None),
        Some(value) => read(value).map(Some),
    }
}

/// The 64 bits last from 1677 to 2262; what is beyond, waits at the end of that.
pub(super) fn since_epoch(time: SystemTime) -> i64 {
    match time.duration_since(SystemTime::UNIX_EPOCH) {
        Ok(since) => nanoseconds(since),
        Err(before) => -nanoseconds(before.duration()),
    }
}

pub(super) fn from_epoch(nanoseconds: i64) -> Option<SystemTime> {
    let span = Duration::from_nanos(nanoseconds.unsigned_abs());
    if nanoseconds < 0 {
        SystemTime::UNIX_EPOCH.checked_sub(span)
    } else {
        SystemTime::UNIX_EPOCH.checked_add(span)
    }
}

pub(super) fn nanoseconds(span: Duration) -> i64 {
    i64::try_from(span.as_nanos()).unwrap_or(i64::MAX)
}
