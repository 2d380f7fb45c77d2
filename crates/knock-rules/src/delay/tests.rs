//! Delays by what they give, in seconds.

use super::*;
use crate::testing::{names, setting, told};

#[track_caller]
fn check(delay: &str, values: &str, seconds: f64) {
    let parsed = Delay::parse(delay, &names("IP,PORT,TIME,FLAG0,CHECKSUM")).unwrap();
    let given = parsed.after(&setting(values).scope()).unwrap();
    assert_eq!(given, Duration::from_secs_f64(seconds), "{delay} with {values}");
}

#[track_caller]
fn refused(delay: &str, expected: &str) {
    let errors = Delay::parse(delay, &names("IP,PORT,TIME,CHECKSUM")).unwrap_err();
    assert_eq!(told(&[delay], &errors), expected);
}

#[test]
fn minutes_units_and_expressions() {
    check("15", "", 900.0);
    check("0", "", 0.0);
    check("0.1", "", 6.0);
    check("0.5", "", 30.0);
    check("TIME", "TIME=254", 254.0 * 60.0);
    check("TIME * 60", "TIME=2", 7200.0);
    check("TIME || 30", "TIME=0", 1800.0);
    check("TIME == 0 ? 5 : TIME", "TIME=0", 300.0);
    check("TIME - 20", "TIME=5", 0.0);
    check("TIME - 5", "TIME=0", 0.0);
    check("state(IP,minutes) + 1", "state/10.1.2.3/minutes=4", 300.0);
    check("state(IP,minutes)", "", 0.0);
    check("90s", "", 90.0);
    check("1.5s", "", 1.5);
    check(" 5m ", "", 300.0);
    check("2h", "", 7200.0);
    check("1d", "", 86_400.0);
    check("1h30m", "", 5400.0);
    check("1h 30 min", "", 5400.0);
    check("90 seconds", "", 90.0);
    check("5 minutes", "", 300.0);
}

#[test]
fn a_delay_is_bounded() {
    check("99999d", "", MAX_DELAY.as_secs_f64());
    check("1e300", "", MAX_DELAY.as_secs_f64());
    check("1e300 * 1e300", "", MAX_DELAY.as_secs_f64());
    check("1e300 * 1e300 - 1e300 * 1e300", "", 0.0);
    let nines = "9".repeat(400);
    check(&format!("{nines}s"), "", MAX_DELAY.as_secs_f64());
}

#[test]
fn what_has_no_length() {
    let parsed = Delay::parse("60 / FLAG0", &names("IP,FLAG0")).unwrap();
    assert_eq!(parsed.after(&setting("FLAG0=0").scope()), Err(EvalError::DivisionByZero));
    refused("", "[] the expression is empty -- leave the line out");
    refused(
        "IP",
        "[IP] a delay needs a number, and an address is none -- a dot joins texts: IP . \"-a\"",
    );
    for past in ["-5", "2 - 3", "-(1 * 2)", " -0.5 "] {
        let told = format!(
            "[{past}] a delay below 0 lies in the past -- leave it out to run the command at once"
        );
        refused(past, &told);
    }
    refused("'soon'", "['soon'] a delay needs a number, and \"soon\" is none");
    refused("5x", "[5x] `5x` is neither a number nor a name -- a text needs quotes: \"5x\"");
    refused(
        "TIME + 5m",
        "[5m] `5m` stands alone, as a whole delay -- in an expression of a delay, numbers are minutes: TIME + 5",
    );
    refused(
        "TIME minutes",
        "[minutes] `minutes` is not part of the language -- numbers are minutes already; a fixed time has its unit: 90s, 5m, 1h 30m",
    );
    refused(
        "1:30",
        "[:] `:` without a `?` before it -- a choice is written a ? b : c, a time 1h 30m",
    );
    refused("TIEM", "[TIEM] unknown name `TIEM` -- did you mean TIME?");
    refused(
        "now + 5 minutes",
        "[now] unknown name `now` -- did you mean NOW?\n[minutes] `minutes` is not part of the language -- numbers are minutes already; a fixed time has its unit: 90s, 5m, 1h 30m",
    );
}

#[test]
fn a_delay_that_is_the_same_each_time_is_known() {
    let fixed = |text| Delay::parse(text, &names("IP,PORT,TIME,CHECKSUM")).unwrap().fixed();
    assert_eq!(fixed("90s"), Some(Duration::from_secs(90)));
    assert_eq!(fixed("0.5"), Some(Duration::from_secs(30)));
    assert_eq!(fixed("TIME"), None);
}
