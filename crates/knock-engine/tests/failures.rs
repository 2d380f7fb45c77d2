//! What is run after a failure, and what at(1) is given or does not take. As stories in text;
//! `script/mod.rs` tells how to read them.

#![allow(clippy::unwrap_used, clippy::expect_used, reason = "in a test a panic is the report")]

mod script;

use script::check;

#[test]
fn what_failed_for_good_is_followed_by_its_onfailure_once() {
    let plan = "action open if PORT == 22 system open IP else mail PORT else page";
    check(
        plan,
        "at 0s knock 10.0.0.1 PORT=22 TIME=0 -> accepted open@0s
         at 0s due -> open 10.0.0.1
         at 1s broken open 10.0.0.1 -> given up after 1, t-mail PORT@0s
         at 1s due -> open 10.0.0.1
         at 1s show open 10.0.0.1 -> mail 22
         at 2s late open 10.0.0.1 -> given up after 1, t-page@0s
         at 2s due -> open 10.0.0.1
         at 2s show open 10.0.0.1 -> page
         at 3s broken open 10.0.0.1 -> given up after 1
         at 3s agenda -> nothing",
    );
    check(
        plan,
        "at 0s knock 10.0.0.1 PORT=22 TIME=0 -> accepted open@0s
         at 0s due -> open 10.0.0.1
         at 1s done open 10.0.0.1 -> struck out
         at 1s agenda -> nothing",
    );
    // As long as it may still succeed, nothing else is done.
    check(
        plan,
        "at 0s knock 10.0.0.1 PORT=22 TIME=0 -> accepted open@0s
         at 0s due -> open 10.0.0.1
         at 0s failed open 10.0.0.1 -> again at 1s
         at 1s agenda -> open@1s",
    );
}

#[test]
fn what_follows_a_failure_survives_a_restart() {
    check(
        "action open if PORT == 22 system open else mail IP",
        "at 0s knock 10.0.0.1 PORT=22 TIME=0 -> accepted open@0s
         at 0s due -> open 10.0.0.1
         at 1s late open 10.0.0.1 -> given up after 1, t-mail IP@0s
         at 1s restart
         at 1s due -> open 10.0.0.1
         at 1s show open 10.0.0.1 -> mail 10.0.0.1
         at 2s done open 10.0.0.1 -> struck out
         at 2s restart
         at 2s agenda -> nothing",
    );
}

/// A second way to open must not open behind the closing, however late it comes: it may not begin
/// after the closing's time either.
#[test]
fn what_opens_after_a_failure_comes_before_the_closing() {
    check(
        "action open if PORT == 22 system open else other way
         action close if PORT == 22 after 10s system close",
        "at 0s knock 10.0.0.1 PORT=22 TIME=0 -> accepted open@0s close@10s
         at 0s due -> open 10.0.0.1
         at 30s late open 10.0.0.1 -> given up after 1, t-other way@0s
         at 30s due -> open 10.0.0.1
         at 30s show open 10.0.0.1 -> other way before 10s
         at 31s done open 10.0.0.1 -> struck out
         at 31s due -> close 10.0.0.1",
    );
}

/// Nor behind the closing of a later knock, which came while the first way was being tried.
#[test]
fn what_opens_after_a_failure_comes_before_what_later_knocks_want() {
    check(
        "action open if TIME == 0 system open else other way
         action close if TIME == 255 system close",
        "at 0s knock 10.0.0.1 PORT=22 TIME=0 -> accepted open@0s
         at 0s due -> open 10.0.0.1
         at 1s knock 10.0.0.1 PORT=22 TIME=255 -> accepted close@1s
         at 2s broken open 10.0.0.1 -> given up after 1, t-other way@0s
         at 2s restart
         at 2s due -> open 10.0.0.1
         at 2s show open 10.0.0.1 -> other way
         at 3s done open 10.0.0.1 -> struck out
         at 3s due -> close 10.0.0.1
         at 3s show close 10.0.0.1 -> close
         at 4s done close 10.0.0.1 -> struck out
         at 4s agenda -> nothing",
    );
}

/// And what closes instead of a closing that failed must not close what was opened since.
#[test]
fn what_closes_after_a_failure_comes_before_a_later_opening() {
    check(
        "action open if TIME == 0 system open
         action close if TIME == 1 after 10s system close else other way",
        "at 0s knock 10.0.0.1 PORT=22 TIME=1 -> accepted close@10s
         at 10s due -> close 10.0.0.1
         at 10s broken close 10.0.0.1 -> again at 11s
         at 11s due -> close 10.0.0.1
         at 11s broken close 10.0.0.1 -> again at 13s
         at 13s due -> close 10.0.0.1
         at 13s broken close 10.0.0.1 -> again at 17s
         at 17s due -> close 10.0.0.1
         at 17s broken close 10.0.0.1 -> again at 25s
         at 25s due -> close 10.0.0.1
         at 26s knock 10.0.0.1 PORT=22 TIME=0 -> accepted open@26s
         at 27s broken close 10.0.0.1 -> given up after 5, t-other way@25s
         at 27s due -> close 10.0.0.1
         at 27s show close 10.0.0.1 -> other way
         at 28s done close 10.0.0.1 -> struck out
         at 28s due -> open 10.0.0.1",
    );
}

/// A closing program is tried five times, and so is what stands in for it.
#[test]
fn what_stands_in_for_a_closing_is_a_closing() {
    check(
        "action close if PORT == 22 after 1m system close else other way",
        "at 0s knock 10.0.0.1 PORT=22 TIME=0 -> accepted close@1m
         at 1m due -> close 10.0.0.1
         at 1m broken close 10.0.0.1 -> again at 61s
         at 61s due -> close 10.0.0.1
         at 61s broken close 10.0.0.1 -> again at 63s
         at 63s due -> close 10.0.0.1
         at 63s broken close 10.0.0.1 -> again at 67s
         at 67s due -> close 10.0.0.1
         at 67s broken close 10.0.0.1 -> again at 75s
         at 75s due -> close 10.0.0.1
         at 75s broken close 10.0.0.1 -> given up after 5, t-other way@75s
         at 75s due -> close 10.0.0.1
         at 75s broken close 10.0.0.1 -> again at 76s",
    );
}

/// A rule that closes is tried for ever; somebody has to hear of it all the same, and once.
#[test]
fn a_closing_rule_that_keeps_failing_is_told_once() {
    let mut script = "at 0s knock 10.0.0.1 PORT=22 TIME=0 -> accepted close@1m\n".to_owned();
    let (mut at, mut pause) = (60, 1);
    let moment = |at: u64| match at {
        at if at.is_multiple_of(60) => format!("{}m", at / 60),
        at => format!("{at}s"),
    };
    for attempt in 1..=30 {
        let next = at + pause;
        let told = match attempt {
            20 => format!(", t-mail@{}", moment(at)),
            _ => String::new(),
        };
        script += &format!("at {at}s due -> close 10.0.0.1\n");
        script += &format!("at {at}s failed close 10.0.0.1 -> again at {}{told}\n", moment(next));
        if attempt == 20 {
            script += &format!("at {at}s due -> close 10.0.0.1\n");
            script += &format!("at {at}s show close 10.0.0.1 -> mail\n");
            script += &format!("at {at}s done close 10.0.0.1 -> struck out\n");
        }
        at = next;
        pause = (pause * 2).min(60);
    }
    check(
        "action close if PORT == 22 after 1m iptables -D INPUT -s IP/32 -j ACCEPT else mail",
        &script,
    );
}

const AT: &str = "
    scheduler at
    action open if PORT == 22 iptables -I INPUT -s IP/32 -j ACCEPT
    action close if PORT == 22 after TIME iptables -D INPUT -s IP/32 -j ACCEPT";

#[test]
fn at_has_the_closing_before_anything_is_opened() {
    check(
        AT,
        "at 5s knock 10.0.0.1 PORT=22 TIME=2 -> accepted open@5s close@5s
         at 5s due -> close 10.0.0.1
         at 5s show close 10.0.0.1 -> iptables -D INPUT -s 10.0.0.1/32 -j ACCEPT by at@3m
         at 5s due -> nothing
         at 6s taken close 10.0.0.1 -> struck out
         at 6s due -> open 10.0.0.1
         at 6s show open 10.0.0.1 -> iptables -I INPUT -s 10.0.0.1/32 -j ACCEPT before 3m
         at 7s done open 10.0.0.1 -> struck out
         at 7s agenda -> nothing",
    );
    // On the minute it is that minute, and without a delay it is done at once.
    check(
        AT,
        "at 1m knock 10.0.0.1 PORT=22 TIME=2 -> accepted open@1m close@1m
         at 1m due -> close 10.0.0.1
         at 1m show close 10.0.0.1 -> iptables -D INPUT -s 10.0.0.1/32 -j ACCEPT by at@3m
         at 1m knock 10.0.0.2 PORT=22 TIME=0 -> accepted open@1m close@1m
         at 1m due -> open 10.0.0.2
         at 1m show open 10.0.0.2 -> iptables -I INPUT -s 10.0.0.2/32 -j ACCEPT",
    );
}

/// Killed in between, the closing is handed over once more rather than not at all.
#[test]
fn a_restart_hands_over_what_at_may_not_have() {
    check(
        AT,
        "at 5s knock 10.0.0.1 PORT=22 TIME=2 -> accepted open@5s close@5s
         at 5s due -> close 10.0.0.1
         at 6s restart
         at 6s due -> close 10.0.0.1
         at 6s show close 10.0.0.1 -> iptables -D INPUT -s 10.0.0.1/32 -j ACCEPT by at@3m
         at 6s taken close 10.0.0.1 -> struck out
         at 6s due -> open 10.0.0.1",
    );
}

#[test]
fn what_at_does_not_take_waits_in_the_agenda() {
    check(
        AT,
        "at 5s knock 10.0.0.1 PORT=22 TIME=2 -> accepted open@5s close@5s
         at 5s due -> close 10.0.0.1
         at 6s broken close 10.0.0.1 -> kept here, t-close@125s
         at 6s due -> open 10.0.0.1
         at 6s done open 10.0.0.1 -> struck out
         at 7s restart
         at 7s next -> 125s
         at 125s due -> close 10.0.0.1
         at 125s failed close 10.0.0.1 -> again at 126s",
    );
    // As with every closing in the agenda, a further knock renews it.
    check(
        AT,
        "at 5s knock 10.0.0.1 PORT=22 TIME=2 -> accepted open@5s close@5s
         at 5s due -> close 10.0.0.1
         at 5s late close 10.0.0.1 -> kept here, t-close@125s
         at 5s due -> open 10.0.0.1
         at 5s done open 10.0.0.1 -> struck out
         at 10s knock 10.0.0.1 PORT=22 TIME=1 -> accepted open@10s close@10s
         at 10s due -> close 10.0.0.1
         at 10s failed close 10.0.0.1 -> kept here, strikes out 3, t-close@125s
         at 10s agenda -> open@10s, close@125s",
    );
}

/// Dead for an hour: what was to be opened is not begun any more, and the closing is done at once.
#[test]
fn a_job_whose_minute_has_passed_is_done_here_at_once() {
    check(
        AT,
        "at 5s knock 10.0.0.1 PORT=22 TIME=2 -> accepted open@5s close@5s
         at 1h restart
         at 1h due -> close 10.0.0.1
         at 1h broken close 10.0.0.1 -> kept here, t-close@125s
         at 1h due -> open 10.0.0.1
         at 1h broken open 10.0.0.1 -> given up after 1
         at 1h due -> close 10.0.0.1
         at 1h show close 10.0.0.1 -> iptables -D INPUT -s 10.0.0.1/32 -j ACCEPT
         at 1h done close 10.0.0.1 -> struck out
         at 1h agenda -> nothing",
    );
}

/// at(1) waits for nobody: what it takes back must be done before, or not at all.
#[test]
fn an_opening_is_not_tried_behind_the_job_of_at() {
    check(
        AT,
        "at 5s knock 10.0.0.1 PORT=22 TIME=1 -> accepted open@5s close@5s
         at 5s due -> close 10.0.0.1
         at 5s taken close 10.0.0.1 -> struck out
         at 5s due -> open 10.0.0.1
         at 118s failed open 10.0.0.1 -> again at 119s
         at 119s due -> open 10.0.0.1
         at 119s failed open 10.0.0.1 -> given up after 2",
    );
}
