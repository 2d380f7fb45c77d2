//! Clocks that are set, this way and that, while orders wait and while nobody is there. As stories in
//! text; `script/mod.rs` tells how to read them.

#![allow(clippy::unwrap_used, clippy::expect_used, reason = "in a test a panic is the report")]

mod script;

use script::check;

/// The article's TIME: opens and closes after so many minutes.
const CLASSIC: &str = "
    action open if PORT == 22 iptables -I INPUT -p tcp -s IP/32 --dport PORT -j ACCEPT
    action close if PORT == 22 after TIME iptables -D INPUT -p tcp -s IP/32 --dport PORT -j ACCEPT
";

/// In all of these the time behind "at" is that which has really passed, and those in the answers are
/// the wall clock's.
#[test]
fn what_was_asked_for_a_quarter_of_an_hour_ends_after_one() {
    check(
        CLASSIC,
        "at 0s look -> new machine, 0 moved
         at 0s knock 10.0.0.1 PORT=22 TIME=15 -> accepted open@0s close@15m
         at 0s due -> open 10.0.0.1
         at 0s done open 10.0.0.1 -> struck out
         at 1m look -> nothing
         at 1m clock +1h
         at 1m look -> set forward by 3600.0 s, 1 moved
         at 1m look -> nothing
         at 899s due -> nothing
         at 15m due -> close 10.0.0.1
         at 15m done close 10.0.0.1 -> struck out",
    );
    check(
        CLASSIC,
        "at 2h look -> new machine, 0 moved
         at 2h knock 10.0.0.1 PORT=22 TIME=15 -> accepted open@120m close@135m
         at 2h due -> open 10.0.0.1
         at 2h done open 10.0.0.1 -> struck out
         at 121m clock -1h
         at 121m look -> set back by 3600.0 s, 1 moved
         at 121m next -> 75m
         at 134m due -> nothing
         at 135m due -> close 10.0.0.1",
    );
}

#[test]
fn a_clock_that_is_set_to_and_fro_leaves_deadlines_where_they_were() {
    check(
        CLASSIC,
        "at 0s look -> new machine, 0 moved
         at 0s knock 10.0.0.1 PORT=22 TIME=15 -> accepted open@0s close@15m
         at 0s due -> open 10.0.0.1
         at 0s done open 10.0.0.1 -> struck out
         at 1m clock +1s
         at 1m look -> set forward by 1.0 s, 1 moved
         at 2m clock -1s
         at 2m look -> set back by 1.0 s, 1 moved
         at 899s due -> nothing
         at 15m due -> close 10.0.0.1",
    );
}

#[test]
fn a_clock_that_is_set_while_the_daemon_is_dead_is_seen_by_the_next() {
    check(
        CLASSIC,
        "at 0s look -> new machine, 0 moved
         at 0s knock 10.0.0.1 PORT=22 TIME=15 -> accepted open@0s close@15m
         at 0s due -> open 10.0.0.1
         at 0s done open 10.0.0.1 -> struck out
         at 1m clock +1h
         at 2m restart
         at 2m look -> set forward by 3600.0 s, 1 moved
         at 3m restart
         at 3m look -> nothing
         at 899s due -> nothing
         at 15m due -> close 10.0.0.1",
    );
}

/// The router without a battery wakes in the past and is told the time by the network.
#[test]
fn after_a_restart_of_the_machine_deadlines_are_wall_time_but_nothing_waits_longer_than_ever() {
    check(
        CLASSIC,
        "at 5h look -> new machine, 0 moved
         at 5h knock 10.0.0.1 PORT=22 TIME=15 -> accepted open@300m close@315m
         at 5h due -> open 10.0.0.1
         at 5h done open 10.0.0.1 -> struck out
         at 301m clock -4h
         at 301m reboot
         at 301m look -> new machine, 1 moved
         at 301m next -> 76m
         at 302m knock 10.0.0.2 PORT=22 TIME=15 -> accepted open@62m close@77m
         at 302m due -> open 10.0.0.2
         at 302m done open 10.0.0.2 -> struck out
         at 303m clock +4h
         at 303m look -> set forward by 14400.0 s, 1 moved
         at 303m due -> close 10.0.0.1
         at 316m due -> nothing
         at 317m due -> close 10.0.0.2",
    );
    // With a clock that goes on meanwhile all stays as it is, and is still moved back by nobody.
    check(
        CLASSIC,
        "at 0s look -> new machine, 0 moved
         at 0s knock 10.0.0.1 PORT=22 TIME=15 -> accepted open@0s close@15m
         at 0s due -> open 10.0.0.1
         at 0s done open 10.0.0.1 -> struck out
         at 2m reboot
         at 2m look -> new machine, 0 moved
         at 5m restart
         at 5m look -> nothing
         at 6m clock +1m
         at 6m look -> set forward by 60.0 s, 0 moved
         at 7m clock -1m
         at 7m look -> set back by 60.0 s, 0 moved
         at 899s due -> nothing
         at 15m due -> close 10.0.0.1",
    );
}

/// The closing of the first knock, for an hour, does for the second one too. To wait for an hour is
/// not longer than it was meant to.
#[test]
fn a_renewed_closing_may_wait_as_long_as_the_longest() {
    check(
        CLASSIC,
        "at 0s look -> new machine, 0 moved
         at 0s knock 10.0.0.1 PORT=22 TIME=60 -> accepted open@0s close@60m
         at 0s due -> open 10.0.0.1
         at 0s done open 10.0.0.1 -> struck out
         at 1m knock 10.0.0.1 PORT=22 TIME=5 -> accepted open@1m close@60m
         at 1m due -> open 10.0.0.1
         at 1m already open 10.0.0.1 -> struck out
         at 2m reboot
         at 2m look -> new machine, 0 moved
         at 2m next -> 60m",
    );
}

#[test]
fn what_failed_is_tried_again_as_soon_as_it_would_have_been() {
    check(
        CLASSIC,
        "at 60m look -> new machine, 0 moved
         at 60m knock 10.0.0.1 PORT=22 TIME=15 -> accepted open@60m close@75m
         at 60m due -> open 10.0.0.1
         at 60m failed open 10.0.0.1 -> again at 3601s
         at 60m clock -30m
         at 60m look -> set back by 1800.0 s, 2 moved
         at 60m due -> nothing
         at 3601s due -> open 10.0.0.1
         at 3601s done open 10.0.0.1 -> struck out
         at 75m due -> close 10.0.0.1
         at 75m failed close 10.0.0.1 -> again at 2701s
         at 75m clock +50m
         at 75m reboot
         at 75m look -> new machine, 0 moved
         at 75m due -> close 10.0.0.1
         at 75m failed close 10.0.0.1 -> again at 5702s",
    );
}

/// Programs of two knocks: the second's hangs, and the first's closing goes beside it after five seconds.
#[test]
fn a_program_that_hangs_holds_no_closing_longer_when_the_clock_is_set_back() {
    check(
        "action open if TIME > 0 system touch /tmp/open
         action close if TIME > 0 after TIME system rm /tmp/open
         action hang if TIME == 0 system sleep 1000",
        "at 60m look -> new machine, 0 moved
         at 60m knock 10.0.0.1 PORT=22 TIME=1 -> accepted open@60m close@61m
         at 60m due -> open 10.0.0.1
         at 60m done open 10.0.0.1 -> struck out
         at 3659s knock 10.0.0.1 PORT=22 TIME=0 -> accepted hang@3659s
         at 3659s due -> hang 10.0.0.1
         at 3659s clock -30m
         at 3659s look -> set back by 1800.0 s, 2 moved
         at 3660s due -> nothing
         at 3664s due -> close 10.0.0.1",
    );
}

/// at(1) gets the minute by the clock as it is.
#[test]
fn what_is_to_be_handed_over_gets_a_full_minute_again() {
    check(
        &format!("scheduler at{CLASSIC}"),
        "at 0s look -> new machine, 0 moved
         at 10s knock 10.0.0.1 PORT=22 TIME=1 -> accepted open@10s close@10s
         at 10s clock +90s
         at 10s look -> set forward by 90.0 s, 2 moved
         at 10s due -> close 10.0.0.1
         at 10s show close 10.0.0.1 -> iptables -D INPUT -p tcp -s 10.0.0.1/32 --dport 22 -j ACCEPT by at@4m
         at 10s failed close 10.0.0.1 -> kept here, t-close@160s
         at 10s due -> open 10.0.0.1
         at 10s show open 10.0.0.1 -> iptables -I INPUT -p tcp -s 10.0.0.1/32 --dport 22 -j ACCEPT before 210s",
    );
}
