//! What becomes of closings: openings that are late, commands that fail, knocks that are renewed. As
//! stories in text; `script/mod.rs` tells how to read them.

#![allow(clippy::unwrap_used, clippy::expect_used, reason = "in a test a panic is the report")]

mod script;

use script::check;

/// The article's TIME: 0 opens, 255 closes, 1-254 opens and closes after so many minutes.
const CLASSIC: &str = "
    action open if PORT == 22 && TIME != 255 iptables -I INPUT -p tcp -s IP/32 --dport PORT -j ACCEPT
    action close if PORT == 22 && TIME > 0 && TIME < 255 after TIME iptables -D INPUT -p tcp -s IP/32 --dport PORT -j ACCEPT
    action shut if PORT == 22 && TIME == 255 iptables -D INPUT -p tcp -s IP/32 --dport PORT -j ACCEPT
";

fn with(settings: &str) -> String {
    format!("{settings}\n{CLASSIC}")
}

#[test]
fn an_opening_that_fails_is_given_up_before_its_closing() {
    check(
        CLASSIC,
        "at 0s knock 10.0.0.1 PORT=22 TIME=1 -> accepted open@0s close@1m
         at 0s due -> open 10.0.0.1
         at 28s failed open 10.0.0.1 -> again at 29s
         at 28s restart
         at 29s due -> open 10.0.0.1
         at 57s late open 10.0.0.1 -> again at 59s
         at 59s due -> open 10.0.0.1
         at 59s failed open 10.0.0.1 -> given up after 3
         at 59s next -> 1m
         at 1m due -> close 10.0.0.1
         at 1m already close 10.0.0.1 -> struck out
         at 1m next -> nothing
         at 1m agenda -> nothing",
    );
    // A try that is late, as there was no worker, comes before the closing all the same.
    check(
        CLASSIC,
        "at 0s knock 10.0.0.1 PORT=22 TIME=1 -> accepted open@0s close@1m
         at 0s due -> open 10.0.0.1
         at 58s failed open 10.0.0.1 -> again at 59s
         at 2m due -> open 10.0.0.1
         at 2m failed open 10.0.0.1 -> given up after 2
         at 2m due -> close 10.0.0.1",
    );
}

/// As with a chain that is not there: iptables cannot know that no further try helps.
#[test]
fn no_closing_waits_for_the_second_try_of_another_order() {
    check(
        "action open if PORT == 22 iptables -I INPUT -s IP/32 -j ACCEPT
         action extra if 1 iptables -A missing -s IP/32 -j ACCEPT
         action close if PORT == 22 after 3s iptables -D INPUT -s IP/32 -j ACCEPT",
        "at 0s knock 10.0.0.1 PORT=22 TIME=0 -> accepted open@0s extra@0s close@3s
         at 0s due -> open 10.0.0.1
         at 0s done open 10.0.0.1 -> struck out
         at 0s due -> extra 10.0.0.1
         at 0s failed extra 10.0.0.1 -> again at 1s
         at 1s due -> extra 10.0.0.1
         at 1s failed extra 10.0.0.1 -> given up after 2
         at 1s next -> 3s
         at 3s due -> close 10.0.0.1",
    );
    // Closings come before openings in this plan, and a knock while a try is waiting.
    check(
        "action close if PORT == 22 after 3s iptables -D INPUT -s IP/32 -j ACCEPT
         action open if 1 iptables -I INPUT -s IP/32 -j ACCEPT",
        "at 0s knock 10.0.0.1 PORT=80 TIME=0 -> accepted open@0s
         at 0s due -> open 10.0.0.1
         at 20s failed open 10.0.0.1 -> again at 21s
         at 21s due -> open 10.0.0.1
         at 21s failed open 10.0.0.1 -> again at 23s
         at 23s due -> open 10.0.0.1
         at 23s failed open 10.0.0.1 -> again at 27s
         at 23s knock 10.0.0.1 PORT=22 TIME=0 -> accepted close@26s open@23s
         at 23s next -> 26s
         at 26s due -> open 10.0.0.1
         at 26s failed open 10.0.0.1 -> given up after 4
         at 26s due -> open 10.0.0.1
         at 26s failed open 10.0.0.1 -> given up after 1
         at 26s due -> close 10.0.0.1",
    );
}

#[test]
fn a_knock_that_shuts_waits_a_minute_at_most() {
    check(
        &with("action extra if TIME == 0 iptables -A missing -s IP/32 -j ACCEPT"),
        "at 0s knock 10.0.0.1 PORT=80 TIME=0 -> accepted extra@0s
         at 0s due -> extra 10.0.0.1
         at 0s failed extra 10.0.0.1 -> again at 1s
         at 1s due -> extra 10.0.0.1
         at 1s knock 10.0.0.1 PORT=22 TIME=255 -> accepted shut@1s
         at 31s failed extra 10.0.0.1 -> again at 33s
         at 31s due -> nothing
         at 33s due -> extra 10.0.0.1
         at 56s failed extra 10.0.0.1 -> again at 1m
         at 1m due -> extra 10.0.0.1
         at 1m failed extra 10.0.0.1 -> given up after 4
         at 1m due -> shut 10.0.0.1",
    );
}

#[test]
fn a_closing_that_fails_holds_back_nobody() {
    check(
        "action open if PORT == 22 iptables -I INPUT -s IP/32 -j ACCEPT
         action first if PORT == 22 after 1m iptables -D missing -s IP/32 -j ACCEPT
         action close if PORT == 22 after 61s iptables -D INPUT -s IP/32 -j ACCEPT
         action other if PORT == 80 iptables -I INPUT -s IP/32 -j ACCEPT",
        "at 0s knock 10.0.0.1 PORT=22 TIME=0 -> accepted open@0s first@1m close@61s
         at 0s due -> open 10.0.0.1
         at 0s done open 10.0.0.1 -> struck out
         at 1m due -> first 10.0.0.1
         at 1m failed first 10.0.0.1 -> again at 61s
         at 61s due -> first 10.0.0.1
         at 61s due -> nothing
         at 61s failed first 10.0.0.1 -> again at 63s
         at 61s due -> close 10.0.0.1
         at 61s failed close 10.0.0.1 -> again at 62s
         at 61s knock 10.0.0.1 PORT=80 TIME=0 -> accepted other@61s
         at 61s due -> other 10.0.0.1
         at 61s failed other 10.0.0.1 -> again at 62s
         at 61s restart
         at 62s due -> close 10.0.0.1
         at 62s done close 10.0.0.1 -> struck out
         at 62s due -> other 10.0.0.1
         at 62s failed other 10.0.0.1 -> again at 64s
         at 63s due -> first 10.0.0.1",
    );
}

#[test]
fn a_slow_opening_holds_back_its_closing_but_no_other_client() {
    check(
        CLASSIC,
        "at 0s knock 10.0.0.1 PORT=22 TIME=1 -> accepted open@0s close@1m
         at 0s due -> open 10.0.0.1
         at 50s knock 10.0.0.2 PORT=22 TIME=255 -> accepted shut@50s
         at 2m due -> shut 10.0.0.2
         at 2m next -> nothing
         at 3m done open 10.0.0.1 -> struck out
         at 3m next -> 1m
         at 3m due -> close 10.0.0.1",
    );
}

#[test]
fn a_failure_is_tried_again_with_growing_pauses_and_then_given_up() {
    let mut story = String::from("at 0s knock 10.0.0.1 PORT=22 TIME=0 -> accepted open@0s\n");
    let mut at = 0;
    for attempt in 1..=20 {
        story += &format!("at {at}s due -> open 10.0.0.1\n");
        let pause = (1u64 << (attempt - 1)).min(60);
        let then = at + pause;
        let again =
            if then.is_multiple_of(60) { format!("{}m", then / 60) } else { format!("{then}s") };
        let verb = if attempt % 2 == 0 { "late" } else { "failed" };
        let answer =
            if attempt < 20 { format!("again at {again}") } else { "given up after 20".into() };
        story += &format!("at {at}s {verb} open 10.0.0.1 -> {answer}\n");
        at = then;
    }
    check(CLASSIC, &story);
}

/// Whatever failed: `failed` could not even start, `broken` went wrong, `late` took too long.
#[test]
fn a_program_that_was_started_is_not_run_again() {
    check(
        "action run if 1 system run",
        "at 0s knock 10.0.0.1 PORT=1 TIME=0 -> accepted run@0s
         at 0s due -> run 10.0.0.1
         at 0s broken run 10.0.0.1 -> given up after 1
         at 0s knock 10.0.0.1 PORT=1 TIME=0 -> accepted run@0s
         at 0s due -> run 10.0.0.1
         at 0s late run 10.0.0.1 -> given up after 1
         at 0s knock 10.0.0.1 PORT=1 TIME=0 -> accepted run@0s
         at 0s due -> run 10.0.0.1
         at 0s failed run 10.0.0.1 -> again at 1s
         at 1s due -> run 10.0.0.1
         at 1s broken run 10.0.0.1 -> given up after 2
         at 1s unknown -> nothing",
    );
    check(
        CLASSIC,
        "at 0s knock 10.0.0.1 PORT=22 TIME=0 -> accepted open@0s
         at 0s due -> open 10.0.0.1
         at 0s broken open 10.0.0.1 -> given up after 1",
    );
}

#[test]
fn what_could_not_be_started_is_tried_five_times() {
    check(
        "action run if 1 system run",
        "at 0s knock 10.0.0.1 PORT=1 TIME=0 -> accepted run@0s
         at 0s due -> run 10.0.0.1
         at 0s failed run 10.0.0.1 -> again at 1s
         at 1s due -> run 10.0.0.1
         at 1s failed run 10.0.0.1 -> again at 3s
         at 3s due -> run 10.0.0.1
         at 3s failed run 10.0.0.1 -> again at 7s
         at 7s due -> run 10.0.0.1
         at 7s failed run 10.0.0.1 -> again at 15s
         at 15s due -> run 10.0.0.1
         at 15s failed run 10.0.0.1 -> given up after 5",
    );
}

#[test]
fn a_closing_by_a_program_is_tried_five_times() {
    check(
        "action close if 1 after TIME system close",
        "at 0s knock 10.0.0.1 PORT=1 TIME=1 -> accepted close@1m
         at 1m due -> close 10.0.0.1
         at 1m broken close 10.0.0.1 -> again at 61s
         at 61s due -> close 10.0.0.1
         at 61s late close 10.0.0.1 -> again at 63s
         at 62s restart
         at 63s due -> close 10.0.0.1
         at 63s failed close 10.0.0.1 -> again at 67s
         at 67s due -> close 10.0.0.1
         at 67s broken close 10.0.0.1 -> again at 75s
         at 75s due -> close 10.0.0.1
         at 75s broken close 10.0.0.1 -> given up after 5
         at 75s agenda -> nothing",
    );
    // A delay of nothing is none.
    check(
        "action close if 1 after TIME system close",
        "at 0s knock 10.0.0.1 PORT=1 TIME=0 -> accepted close@0s
         at 0s due -> close 10.0.0.1
         at 0s broken close 10.0.0.1 -> given up after 1",
    );
}

#[test]
fn a_closing_rule_is_never_given_up() {
    let mut story = String::from(
        "at 0s knock 10.0.0.1 PORT=22 TIME=1 -> accepted open@0s close@1m
         at 0s due -> open 10.0.0.1
         at 0s done open 10.0.0.1 -> struck out\n",
    );
    let mut at = 60;
    for attempt in 0..100 {
        let verb = ["failed", "broken", "late"][attempt % 3];
        let then = at + (1u64 << attempt.min(6)).min(60);
        let again =
            if then.is_multiple_of(60) { format!("{}m", then / 60) } else { format!("{then}s") };
        story += &format!("at {at}s due -> close 10.0.0.1\n");
        story += &format!("at {at}s {verb} close 10.0.0.1 -> again at {again}\n");
        if attempt == 50 {
            story += &format!("at {at}s restart\n");
        }
        at = then;
    }
    story += &format!("at {at}s due -> close 10.0.0.1\n");
    story += &format!("at {at}s done close 10.0.0.1 -> struck out\n");
    check(CLASSIC, &story);
}

#[test]
fn a_renewed_knock_is_not_cut_short_by_the_first_closing() {
    check(
        CLASSIC,
        "at 0s knock 10.0.0.1 PORT=22 TIME=15 -> accepted open@0s close@15m
         at 0s due -> open 10.0.0.1
         at 0s done open 10.0.0.1 -> struck out
         at 10m knock 10.0.0.1 PORT=22 TIME=15 -> accepted open@10m close@25m
         at 10m agenda -> open@10m, close@25m
         at 10m due -> open 10.0.0.1
         at 10m already open 10.0.0.1 -> struck out
         at 10m restart
         at 15m due -> nothing
         at 25m due -> close 10.0.0.1
         at 25m done close 10.0.0.1 -> struck out
         at 25m agenda -> nothing",
    );
}

#[test]
fn the_later_of_two_closings_counts() {
    check(
        CLASSIC,
        "at 0s knock 10.0.0.1 PORT=22 TIME=60 -> accepted open@0s close@60m
         at 0s due -> open 10.0.0.1
         at 0s done open 10.0.0.1 -> struck out
         at 1m knock 10.0.0.1 PORT=22 TIME=1 -> accepted open@1m close@60m
         at 1m agenda -> open@1m, close@60m",
    );
}

#[test]
fn only_the_same_rule_of_the_same_client_is_renewed() {
    check(
        &with("action also if PORT == 80 after TIME iptables -D INPUT -s IP/32 -j ACCEPT"),
        "at 0s knock 10.0.0.1 PORT=22 TIME=1 -> accepted open@0s close@1m
         at 0s knock 10.0.0.2 PORT=22 TIME=2 -> accepted open@0s close@2m
         at 0s knock 10.0.0.1 PORT=80 TIME=3 -> accepted also@3m
         at 0s agenda -> open@0s, close@1m, open@0s, close@2m, also@3m",
    );
    // An opening without an end does not take back the closing that waits.
    check(
        CLASSIC,
        "at 0s knock 10.0.0.1 PORT=22 TIME=1 -> accepted open@0s close@1m
         at 0s knock 10.0.0.1 PORT=22 TIME=0 -> accepted open@0s
         at 0s agenda -> open@0s, close@1m, open@0s",
    );
    // Each run of a program undoes one other run.
    check(
        "action open if 1 system open
         action close if 1 after TIME system close",
        "at 0s knock 10.0.0.1 PORT=22 TIME=1 -> accepted open@0s close@1m
         at 0s knock 10.0.0.1 PORT=22 TIME=1 -> accepted open@0s close@1m
         at 0s agenda -> open@0s, close@1m, open@0s, close@1m",
    );
}

#[test]
fn a_closing_under_way_comes_first_and_if_it_fails_makes_way() {
    check(
        CLASSIC,
        "at 0s knock 10.0.0.1 PORT=22 TIME=1 -> accepted open@0s close@1m
         at 0s due -> open 10.0.0.1
         at 0s done open 10.0.0.1 -> struck out
         at 1m due -> close 10.0.0.1
         at 1m knock 10.0.0.1 PORT=22 TIME=1 -> accepted open@1m close@2m
         at 1m due -> nothing
         at 1m failed close 10.0.0.1 -> replaced
         at 1m agenda -> open@1m, close@2m
         at 1m restart
         at 1m due -> open 10.0.0.1
         at 1m done open 10.0.0.1 -> struck out
         at 2m due -> close 10.0.0.1",
    );
}

#[test]
fn a_closing_that_failed_makes_way_for_the_next_knock() {
    check(
        CLASSIC,
        "at 0s knock 10.0.0.1 PORT=22 TIME=1 -> accepted open@0s close@1m
         at 0s due -> open 10.0.0.1
         at 0s done open 10.0.0.1 -> struck out
         at 1m due -> close 10.0.0.1
         at 1m failed close 10.0.0.1 -> again at 61s
         at 1m knock 10.0.0.1 PORT=22 TIME=1 -> accepted open@1m close@2m
         at 1m agenda -> open@1m, close@2m
         at 1m due -> open 10.0.0.1",
    );
}

/// A program that goes on and on: its own closing ends it, that of another knock goes beside it.
#[test]
fn no_closing_waits_for_a_program_of_another_knock_that_goes_on() {
    let actions = "
        action first if TIME == 1 system first
        action close if TIME == 1 after 10s system close
        action long if TIME == 0 system long";
    check(
        actions,
        "at 0s knock 10.0.0.1 PORT=22 TIME=1 -> accepted first@0s close@10s
         at 0s due -> first 10.0.0.1
         at 0s show first 10.0.0.1 -> first before 10s
         at 1s done first 10.0.0.1 -> struck out
         at 2s knock 10.0.0.1 PORT=22 TIME=0 -> accepted long@2s
         at 2s due -> long 10.0.0.1
         at 2s show long 10.0.0.1 -> long
         at 3s next -> 10s
         at 10s due -> close 10.0.0.1
         at 10s next -> nothing
         at 11s done close 10.0.0.1 -> struck out
         at 11s knock 10.0.0.1 PORT=22 TIME=1 -> accepted first@11s close@21s
         at 30s due -> nothing
         at 31s late long 10.0.0.1 -> given up after 1
         at 31s due -> first 10.0.0.1
         at 31s next -> nothing
         at 31s broken first 10.0.0.1 -> given up after 1
         at 31s due -> close 10.0.0.1",
    );
    // One that has only just begun is waited for.
    check(
        actions,
        "at 0s knock 10.0.0.1 PORT=22 TIME=1 -> accepted first@0s close@10s
         at 0s due -> first 10.0.0.1
         at 1s done first 10.0.0.1 -> struck out
         at 8s knock 10.0.0.1 PORT=22 TIME=0 -> accepted long@8s
         at 8s due -> long 10.0.0.1
         at 10s due -> nothing
         at 10s next -> 13s
         at 13s due -> close 10.0.0.1",
    );
}
