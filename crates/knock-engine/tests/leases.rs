//! Leases as stories: granted, renewed, held, ended, lost, and what is open when all has settled.
//! `script/mod.rs` and `script/leases.rs` tell how to read them.

#![allow(clippy::unwrap_used, clippy::expect_used, reason = "in a test a panic is the report")]

mod script;

use script::check;

/// TIME opens for so many minutes, 0 until it is closed, 255 closes.
const PLAN: &str = "
    maxlease 4h
    action ssh if TIME != 255 opens PORT for TIME
    action shut if TIME == 255 shuts PORT
";

fn with(more: &str) -> String {
    format!("{PLAN}\n{more}")
}

#[test]
fn a_lease_opens_and_ends_by_itself() {
    check(
        PLAN,
        "at 0s knock 10.0.0.1 PORT=22 TIME=5 -> accepted grants 1:22/10.0.0.1@5m opening
         at 0s next -> now
         at 0s due -> open/22 10.0.0.1
         at 0s show open/22 10.0.0.1 -> open tcp port 22 to 10.0.0.1 before 5m
         at 0s next -> nothing
         at 1s done open/22 10.0.0.1 -> 1:22/10.0.0.1@5m
         at 1s due -> nothing
         at 1s next -> 5m
         at 299s due -> nothing
         at 300s due -> close/22 10.0.0.1
         at 300s show close/22 10.0.0.1 -> close tcp port 22 to 10.0.0.1
         at 301s already close/22 10.0.0.1 -> 1 is closed
         at 301s leases -> nothing
         at 301s next -> nothing",
    );
}

#[test]
fn a_new_knock_says_anew_how_long_and_never_doubles() {
    check(
        PLAN,
        "at 0s knock 10.0.0.1 PORT=22 TIME=5 -> accepted grants 1:22/10.0.0.1@5m opening
         at 0s due -> open/22 10.0.0.1
         at 0s done open/22 10.0.0.1 -> 1:22/10.0.0.1@5m
         at 1m knock 10.0.0.1 PORT=22 TIME=10 -> accepted renews 1:22/10.0.0.1@11m
         at 1m due -> open/22 10.0.0.1
         at 1m show open/22 10.0.0.1 -> open tcp port 22 to 10.0.0.1 before 11m
         at 1m already open/22 10.0.0.1 -> nothing
         at 1m next -> 11m
         at 2m knock 10.0.0.1 PORT=22 TIME=1 -> accepted renews 1:22/10.0.0.1@3m
         at 2m due -> open/22 10.0.0.1
         at 2m done open/22 10.0.0.1 -> nothing
         at 3m due -> close/22 10.0.0.1
         at 3m done close/22 10.0.0.1 -> 1 is closed
         at 11m due -> nothing",
    );
}

/// Within one knock no action is newer than another. What the next knock says is.
#[test]
fn of_several_actions_of_one_knock_the_most_generous_says() {
    let short = "action short if TIME > 0 opens PORT for 3s";
    let long = "action long if TIME > 1 opens PORT for 20s hold";
    for plan in [format!("{short}\n{long}"), format!("{long}\n{short}")] {
        check(
            &plan,
            "at 0s knock 10.0.0.1 PORT=22 TIME=2 -> accepted grants 1:22/10.0.0.1@20s step 20s opening
             at 0s restart
             at 0s leases -> 1:22/10.0.0.1@20s step 20s opening
             at 0s due -> open/22 10.0.0.1
             at 0s done open/22 10.0.0.1 -> 1:22/10.0.0.1@20s step 20s
             at 1s knock 10.0.0.1 PORT=22 TIME=2 -> accepted renews 1:22/10.0.0.1@21s step 20s
             at 2s knock 10.0.0.1 PORT=22 TIME=1 -> accepted renews 1:22/10.0.0.1@5s",
        );
    }
    check(
        "action a if 1 opens PORT for TIME
         action b if 1 opens PORT for unlimited
         action c if 1 opens PORT for 9s hold",
        "at 0s knock 10.0.0.1 PORT=22 TIME=3 -> accepted grants 1:22/10.0.0.1@never step 9s opening",
    );
    // What it closes on the way is closed.
    check(
        "action a if 1 opens PORT for 5m
         action b if 1 shuts PORT
         action c if 1 opens PORT for 1m",
        "at 0s knock 10.0.0.1 PORT=22 TIME=3 -> accepted grants 1:22/10.0.0.1@5m opening ends 1 grants 2:22/10.0.0.1@1m opening
         at 0s leases -> 2:22/10.0.0.1@1m opening",
    );
}

/// Renewed while the first opening is still under way: the firewall has to hear of the new time.
#[test]
fn a_renewal_waits_for_the_opening_that_is_under_way() {
    check(
        PLAN,
        "at 0s knock 10.0.0.1 PORT=22 TIME=5 -> accepted grants 1:22/10.0.0.1@5m opening
         at 0s due -> open/22 10.0.0.1
         at 1s knock 10.0.0.1 PORT=22 TIME=9 -> accepted renews 1:22/10.0.0.1@541s opening
         at 1s due -> nothing
         at 2s done open/22 10.0.0.1 -> 1:22/10.0.0.1@541s
         at 2s due -> open/22 10.0.0.1
         at 2s show open/22 10.0.0.1 -> open tcp port 22 to 10.0.0.1 before 541s
         at 2s done open/22 10.0.0.1 -> nothing
         at 2s next -> 541s",
    );
}

/// The order waited for the firewall's lock until its time was over; the lease has another time by now.
#[test]
fn a_renewal_outlives_the_failure_of_the_opening_before_it() {
    check(
        PLAN,
        "at 0s knock 10.0.0.1 PORT=22 TIME=1 -> accepted grants 1:22/10.0.0.1@1m opening
         at 0s due -> open/22 10.0.0.1
         at 50s knock 10.0.0.1 PORT=22 TIME=9 -> accepted renews 1:22/10.0.0.1@590s opening
         at 61s broken open/22 10.0.0.1 -> again in 1s
         at 62s due -> open/22 10.0.0.1
         at 62s show open/22 10.0.0.1 -> open tcp port 22 to 10.0.0.1 before 590s
         at 62s done open/22 10.0.0.1 -> 1:22/10.0.0.1@590s",
    );
}

#[test]
fn a_knock_that_closes_closes_at_once_also_while_it_is_opening() {
    check(
        PLAN,
        "at 0s knock 10.0.0.1 PORT=22 TIME=255 -> accepted 22 is not open
         at 0s knock 10.0.0.1 PORT=22 TIME=5 -> accepted grants 1:22/10.0.0.1@5m opening
         at 0s due -> open/22 10.0.0.1
         at 1s knock 10.0.0.1 PORT=80 TIME=255 -> accepted 80 is not open
         at 1s knock 10.0.0.2 PORT=22 TIME=255 -> accepted 22 is not open
         at 1s knock 10.0.0.1 PORT=22 TIME=255 -> accepted ends 1
         at 1s due -> nothing
         at 2s done open/22 10.0.0.1 -> nothing
         at 2s leases -> 1:22/10.0.0.1@5m closing
         at 2s due -> close/22 10.0.0.1
         at 2s knock 10.0.0.1 PORT=22 TIME=255 -> accepted
         at 3s done close/22 10.0.0.1 -> 1 is closed
         at 3s next -> nothing",
    );
}

/// What is wanted last counts, however often it changes while the firewall is slow.
#[test]
fn a_knock_that_opens_while_it_is_closing_opens_again_afterwards() {
    check(
        PLAN,
        "at 0s knock 10.0.0.1 PORT=22 TIME=1 -> accepted grants 1:22/10.0.0.1@1m opening
         at 0s due -> open/22 10.0.0.1
         at 0s done open/22 10.0.0.1 -> 1:22/10.0.0.1@1m
         at 1m due -> close/22 10.0.0.1
         at 61s knock 10.0.0.1 PORT=22 TIME=1 -> accepted grants 4:22/10.0.0.1@121s opening
         at 61s due -> nothing
         at 62s done close/22 10.0.0.1 -> nothing
         at 62s leases -> 4:22/10.0.0.1@121s opening
         at 62s due -> open/22 10.0.0.1
         at 62s done open/22 10.0.0.1 -> 4:22/10.0.0.1@121s
         at 121s due -> close/22 10.0.0.1
         at 122s failed close/22 10.0.0.1 -> again in 1s
         at 122s knock 10.0.0.1 PORT=22 TIME=1 -> accepted grants 7:22/10.0.0.1@182s opening
         at 122s due -> open/22 10.0.0.1
         at 122s done open/22 10.0.0.1 -> 7:22/10.0.0.1@182s
         at 122s next -> 182s",
    );
}

#[test]
fn an_opening_that_fails_is_tried_again_until_its_time_is_over() {
    check(
        PLAN,
        "at 0s knock 10.0.0.1 PORT=22 TIME=1 -> accepted grants 1:22/10.0.0.1@1m opening
         at 0s due -> open/22 10.0.0.1
         at 1s failed open/22 10.0.0.1 -> again in 1s
         at 1s next -> 2s
         at 2s due -> open/22 10.0.0.1
         at 32s late open/22 10.0.0.1 -> again in 2s
         at 34s due -> open/22 10.0.0.1
         at 57s failed open/22 10.0.0.1 -> given up after 3, 1:22/10.0.0.1@1m failed: locked
         at 57s due -> close/22 10.0.0.1
         at 58s failed close/22 10.0.0.1 -> again in 1s
         at 59s due -> close/22 10.0.0.1
         at 59s already close/22 10.0.0.1 -> 1 is closed",
    );
    check(
        PLAN,
        "at 0s knock 10.0.0.1 PORT=22 TIME=5 -> accepted grants 1:22/10.0.0.1@5m opening
         at 0s due -> open/22 10.0.0.1
         at 1s broken open/22 10.0.0.1 -> given up after 1, 1:22/10.0.0.1@5m failed: syntax
         at 1s knock 10.0.0.1 PORT=22 TIME=5 -> accepted grants 3:22/10.0.0.1@301s opening
         at 1s due -> open/22 10.0.0.1
         at 1s done open/22 10.0.0.1 -> 3:22/10.0.0.1@301s",
    );
}

/// Another daemon keeps the leases, say: what was never begun needs no closing.
#[test]
fn what_was_never_begun_is_over_without_a_closing() {
    check(
        PLAN,
        "at 0s knock 10.0.0.1 PORT=22 TIME=1 -> accepted grants 1:22/10.0.0.1@1m opening
         at 0s due -> open/22 10.0.0.1
         at 57s refused open/22 10.0.0.1 -> again in 1s
         at 58s due -> open/22 10.0.0.1
         at 58s refused open/22 10.0.0.1 -> given up after 2, 1:22/10.0.0.1@1m failed: another keeps it
         at 58s due -> close/22 10.0.0.1
         at 58s refused close/22 10.0.0.1 -> 1 is closed
         at 58s next -> nothing",
    );
    // Some of it may have been done.
    check(
        PLAN,
        "at 0s knock 10.0.0.1 PORT=22 TIME=1 -> accepted grants 1:22/10.0.0.1@1m opening
         at 0s due -> open/22 10.0.0.1
         at 57s failed open/22 10.0.0.1 -> again in 1s
         at 58s due -> open/22 10.0.0.1
         at 58s refused open/22 10.0.0.1 -> given up after 2, 1:22/10.0.0.1@1m failed: another keeps it
         at 58s due -> close/22 10.0.0.1
         at 58s refused close/22 10.0.0.1 -> again in 1s",
    );
    // And how far an earlier run came nobody knows.
    check(
        PLAN,
        "at 0s knock 10.0.0.1 PORT=22 TIME=1 -> accepted grants 1:22/10.0.0.1@1m opening
         at 0s due -> open/22 10.0.0.1
         at 1s restart
         at 58s due -> open/22 10.0.0.1
         at 61s refused open/22 10.0.0.1 -> given up after 1, 1:22/10.0.0.1@1m failed: another keeps it
         at 61s due -> close/22 10.0.0.1
         at 61s refused close/22 10.0.0.1 -> again in 1s",
    );
}

#[test]
fn a_closing_is_never_given_up() {
    let mut script = String::from(
        "at 0s knock 10.0.0.1 PORT=22 TIME=1 -> accepted grants 1:22/10.0.0.1@1m opening
         at 0s due -> open/22 10.0.0.1
         at 0s done open/22 10.0.0.1 -> 1:22/10.0.0.1@1m\n",
    );
    let mut at = 60;
    for tries in 0..50_u32 {
        let pause = 1_u64.checked_shl(tries).unwrap_or(u64::MAX).min(60);
        script += &format!("at {at}s due -> close/22 10.0.0.1\n");
        script += &format!("at {at}s failed close/22 10.0.0.1 -> again in {pause}s\n");
        at += pause;
    }
    script += &format!("at {at}s due -> close/22 10.0.0.1\n");
    script += &format!("at {at}s done close/22 10.0.0.1 -> 1 is closed\n");
    check(PLAN, &script);
}

#[test]
fn no_lease_lasts_longer_than_the_longest() {
    check(
        &with("maxlease 1h"),
        "at 0s knock 10.0.0.1 PORT=22 TIME=90 -> accepted grants 1:22/10.0.0.1@60m opening
         at 0s knock 10.0.0.1 PORT=80 TIME=0 -> accepted grants 2:80/10.0.0.1@60m opening
         at 30m knock 10.0.0.1 PORT=80 TIME=0 -> accepted renews 2:80/10.0.0.1@90m opening
         at 30m extend 1 61m -> maxlease allows 3600 s from now
         at 30m extend 1 59m -> extended
         at 30m extend 1 0s -> that time is over; to close a lease, revoke it
         at 30m extend 7 5m -> there is no lease 7
         at 30m extend 2 never -> extended
         at 30m leases -> 1:22/10.0.0.1@89m opening, 2:80/10.0.0.1@90m opening",
    );
    check(
        "action ssh if 1 opens PORT for unlimited",
        "at 0s knock 10.0.0.1 PORT=22 TIME=0 -> accepted grants 1:22/10.0.0.1@never opening
         at 0s due -> open/22 10.0.0.1
         at 0s done open/22 10.0.0.1 -> 1:22/10.0.0.1@never
         at 0s next -> nothing
         at 0s extend 1 5m -> extended
         at 0s due -> open/22 10.0.0.1
         at 0s done open/22 10.0.0.1 -> nothing
         at 0s next -> 5m",
    );
}

#[test]
fn a_revoked_lease_is_closed_and_stays_so() {
    check(
        PLAN,
        "at 0s knock 10.0.0.1 PORT=22 TIME=5 -> accepted grants 1:22/10.0.0.1@5m opening
         at 0s due -> open/22 10.0.0.1
         at 0s done open/22 10.0.0.1 -> 1:22/10.0.0.1@5m
         at 1s revoke 2 -> unknown
         at 1s revoke 1 -> ends
         at 1s revoke 1 -> already
         at 1s extend 1 5m -> lease 1 is being closed
         at 1s restart
         at 2s leases -> 1:22/10.0.0.1@5m closing
         at 2s due -> close/22 10.0.0.1
         at 2s done close/22 10.0.0.1 -> 1 is closed",
    );
}

#[test]
fn a_restart_opens_again_what_holds_and_closes_what_does_not() {
    let lived = "at 0s knock 10.0.0.1 PORT=22 TIME=5 -> accepted grants 1:22/10.0.0.1@5m opening
         at 0s knock 10.0.0.2 PORT=22 TIME=1 -> accepted grants 2:22/10.0.0.2@1m opening
         at 0s due -> open/22 10.0.0.1, open/22 10.0.0.2
         at 0s done open/22 10.0.0.1 -> 1:22/10.0.0.1@5m
         at 0s done open/22 10.0.0.2 -> 2:22/10.0.0.2@1m
         at 2m restart";
    check(
        PLAN,
        &format!(
            "{lived}
         at 2m due -> open/22 10.0.0.1, close/22 10.0.0.2
         at 2m already open/22 10.0.0.1 -> nothing
         at 2m already close/22 10.0.0.2 -> 2 is closed
         at 2m next -> 5m
         at 2m knock 10.0.0.9 PORT=22 TIME=5 -> accepted grants 5:22/10.0.0.9@7m opening"
        ),
    );
    // What the firewall is known to hold is left alone.
    check(
        PLAN,
        &format!(
            "{lived}
         at 2m held 22/10.0.0.1@3m 22/10.0.0.2@10s -> nothing
         at 2m due -> close/22 10.0.0.2
         at 2m done close/22 10.0.0.2 -> 2 is closed
         at 2m next -> 5m"
        ),
    );
}

/// Between the record and the opening, and between the closing and striking it out.
#[test]
fn a_crash_anywhere_leaves_nothing_open_for_ever() {
    check(
        PLAN,
        "at 0s knock 10.0.0.1 PORT=22 TIME=5 -> accepted grants 1:22/10.0.0.1@5m opening
         at 0s restart
         at 0s due -> open/22 10.0.0.1
         at 0s restart
         at 1s due -> open/22 10.0.0.1
         at 1s already open/22 10.0.0.1 -> 1:22/10.0.0.1@5m
         at 5m due -> close/22 10.0.0.1
         at 5m restart
         at 6m due -> close/22 10.0.0.1
         at 6m already close/22 10.0.0.1 -> 1 is closed
         at 6m restart
         at 6m due -> nothing",
    );
    // Not durable, so nothing has happened.
    check(
        PLAN,
        "at 0s knock 10.0.0.1 PORT=22 TIME=5 uncommitted -> accepted grants 1:22/10.0.0.1@5m opening
         at 0s leases -> nothing
         at 0s due -> nothing",
    );
}

/// A full disk keeps nobody from closing; what a knock would open stays closed, and what would have to go
/// for that stays.
#[test]
fn a_knock_that_cannot_be_kept_closes_and_does_nothing_else() {
    check(
        &with("onelease yes\naction again if TIME == 255 && PORT == 80 opens PORT for 5m"),
        "at 0s knock 10.0.0.1 PORT=22 TIME=5 -> accepted grants 1:22/10.0.0.1@5m opening
         at 0s knock 10.0.0.1 PORT=80 TIME=5 -> accepted grants 2:80/10.0.0.1@5m opening
         at 0s due -> open/22 10.0.0.1, open/80 10.0.0.1
         at 0s done open/22 10.0.0.1 -> 1:22/10.0.0.1@5m
         at 0s done open/80 10.0.0.1 -> 2:80/10.0.0.1@5m
         at 1m knock 10.0.0.2 PORT=22 TIME=5 uncommitted -> accepted leaves 1 leaves 2 grants 5:22/10.0.0.2@6m opening
         at 1m knock 10.0.0.1 PORT=22 TIME=1 uncommitted -> accepted renews 1:22/10.0.0.1@2m
         at 1m due -> nothing
         at 1m leases -> 1:22/10.0.0.1@5m, 2:80/10.0.0.1@5m
         at 1m knock 10.0.0.1 PORT=80 TIME=255 uncommitted -> accepted ends 2 grants 6:80/10.0.0.1@6m opening
         at 1m due -> close/80 10.0.0.1
         at 1m done close/80 10.0.0.1 -> 2 is closed
         at 1m leases -> 1:22/10.0.0.1@5m
         at 1m restart
         at 1m leases -> 1:22/10.0.0.1@5m",
    );
}

#[test]
fn who_moves_leaves_nothing_open_behind() {
    check(
        &with("onelease yes"),
        "at 0s knock 10.0.0.1 PORT=22 TIME=5 -> accepted grants 1:22/10.0.0.1@5m opening
         at 0s knock 10.0.0.1 PORT=80 TIME=5 -> accepted grants 2:80/10.0.0.1@5m opening
         at 0s due -> open/22 10.0.0.1, open/80 10.0.0.1
         at 0s done open/22 10.0.0.1 -> 1:22/10.0.0.1@5m
         at 0s done open/80 10.0.0.1 -> 2:80/10.0.0.1@5m
         at 1m knock 10.0.0.2 PORT=22 TIME=255 -> accepted 22 is not open
         at 1m knock 10.0.0.2 PORT=22 TIME=5 -> accepted leaves 1 leaves 2 grants 5:22/10.0.0.2@6m opening
         at 1m due -> close/22 10.0.0.1, close/80 10.0.0.1, open/22 10.0.0.2",
    );
    check(
        "knock IP,PORT,TIME,FLAG0,CHECKSUM
         onelease FLAG0
         action ssh if 1 opens PORT for TIME",
        "at 0s knock 10.0.0.1 PORT=22 TIME=5 FLAG0=1 -> accepted grants 1:22/10.0.0.1@5m of 1 opening
         at 0s knock 10.0.0.2 PORT=22 TIME=5 FLAG0=2 -> accepted grants 2:22/10.0.0.2@5m of 2 opening
         at 0s knock 10.0.0.3 PORT=22 TIME=5 FLAG0=1 -> accepted leaves 1 grants 3:22/10.0.0.3@5m of 1 opening",
    );
}

/// Many sessions renew their leases all the time; what is not theirs is compared all the same.
#[test]
fn what_changes_meanwhile_holds_no_comparison_up() {
    check(
        PLAN,
        "at 0s knock 10.0.0.1 PORT=22 TIME=5 -> accepted grants 1:22/10.0.0.1@5m opening
         at 0s knock 10.0.0.2 PORT=22 TIME=5 -> accepted grants 2:22/10.0.0.2@5m opening
         at 0s knock 10.0.0.3 PORT=22 TIME=1 -> accepted grants 3:22/10.0.0.3@1m opening
         at 0s due -> open/22 10.0.0.1, open/22 10.0.0.2, open/22 10.0.0.3
         at 0s done open/22 10.0.0.1 -> 1:22/10.0.0.1@5m
         at 0s done open/22 10.0.0.3 -> 3:22/10.0.0.3@1m
         at 1m look-at-firewall
         at 1m done open/22 10.0.0.2 -> 2:22/10.0.0.2@5m
         at 1m due -> close/22 10.0.0.3
         at 1m done close/22 10.0.0.3 -> 3 is closed
         at 1m held 22/10.0.0.3@1s 22/10.0.0.9 -> +22/10.0.0.1, -22/10.0.0.9
         at 1m look-at-firewall
         at 1m held 22/10.0.0.3@1s -> +22/10.0.0.2, -22/10.0.0.3",
    );
}

/// A broken `iptables` does not say that nobody is in.
#[test]
fn of_a_family_that_cannot_be_read_nothing_is_concluded() {
    check(
        PLAN,
        "at 0s knock 10.0.0.1 PORT=22 TIME=5 -> accepted grants 1:22/10.0.0.1@5m opening
         at 0s due -> open/22 10.0.0.1
         at 0s done open/22 10.0.0.1 -> 1:22/10.0.0.1@5m
         at 1m held !v4 22/2001:db8::9 -> -22/2001:db8::9
         at 1m due -> close/22 2001:db8::9
         at 1m done close/22 2001:db8::9 -> nothing
         at 2m held !v6 -> +22/10.0.0.1",
    );
}

#[test]
fn what_the_firewall_lost_is_put_back_and_what_it_should_not_have_is_removed() {
    check(
        PLAN,
        "at 0s knock 10.0.0.1 PORT=22 TIME=5 -> accepted grants 1:22/10.0.0.1@5m opening
         at 0s knock 10.0.0.1 PORT=80 TIME=5 -> accepted grants 2:80/10.0.0.1@5m opening
         at 0s held 22/10.0.0.9 -> -22/10.0.0.9
         at 0s due -> open/22 10.0.0.1, open/80 10.0.0.1, close/22 10.0.0.9
         at 0s held 22/10.0.0.9 -> nothing
         at 0s done close/22 10.0.0.9 -> nothing
         at 0s done open/22 10.0.0.1 -> 1:22/10.0.0.1@5m
         at 0s done open/80 10.0.0.1 -> 2:80/10.0.0.1@5m
         at 1m held 22/10.0.0.1@4m 80/10.0.0.1 -> nothing
         at 1m due -> nothing
         at 2m held 80/10.0.0.1@3m -> +22/10.0.0.1
         at 2m due -> open/22 10.0.0.1
         at 2m show open/22 10.0.0.1 -> open tcp port 22 to 10.0.0.1 before 5m
         at 2m held 80/10.0.0.1@1m -> +80/10.0.0.1
         at 2m done open/22 10.0.0.1 -> nothing
         at 2m due -> open/80 10.0.0.1
         at 2m failed open/80 10.0.0.1 -> again in 1s
         at 2m held 22/10.0.0.1@3m 80/10.0.0.1@3m -> nothing
         at 2m next -> 5m
         at 3m held 22/10.0.0.1@never 80/10.0.0.1@2m -> +22/10.0.0.1
         at 3m due -> open/22 10.0.0.1",
    );
}

/// As rules of iptables, which know no moment behind January 2038.
#[test]
fn no_end_is_right_for_what_ends_later_than_the_firewall_can_tell() {
    check(
        PLAN,
        "at 0s knock 10.0.0.1 PORT=22 TIME=5 -> accepted grants 1:22/10.0.0.1@5m opening
         at 0s due -> open/22 10.0.0.1
         at 0s done open/22 10.0.0.1 -> 1:22/10.0.0.1@5m
         at 1m held 22/10.0.0.1<5m -> nothing
         at 1m held 22/10.0.0.1<301s -> +22/10.0.0.1",
    );
}

#[test]
fn what_finds_no_worker_is_handed_out_again() {
    check(
        PLAN,
        "at 0s knock 10.0.0.1 PORT=22 TIME=5 -> accepted grants 1:22/10.0.0.1@5m opening
         at 0s knock 10.0.0.2 PORT=22 TIME=5 -> accepted grants 2:22/10.0.0.2@5m opening
         at 0s due 1 -> open/22 10.0.0.1
         at 0s due 1 -> open/22 10.0.0.2
         at 0s put back open/22 10.0.0.2
         at 0s next -> nothing
         at 1s done open/22 10.0.0.1 -> 1:22/10.0.0.1@5m
         at 1s next -> now
         at 1s due -> open/22 10.0.0.2",
    );
}

#[test]
fn leases_are_bounded() {
    let mut script = String::new();
    for port in 1..=64 {
        script += &format!(
            "at 0s knock 10.0.0.1 PORT={port} TIME=5 -> accepted grants {port}:{port}/10.0.0.1@5m opening\n"
        );
    }
    script += "at 0s knock 10.0.0.1 PORT=65 TIME=5 -> accepted full, 64 of the client
         at 0s knock 10.0.0.1 PORT=64 TIME=6 -> accepted renews 64:64/10.0.0.1@6m opening
         at 0s knock 10.0.0.2 PORT=65 TIME=5 -> accepted grants 65:65/10.0.0.2@5m opening";
    check(PLAN, &script);
}

/// Who gets nothing loses nothing.
#[test]
fn who_moves_to_where_no_more_may_be_opened_keeps_what_there_is() {
    let one = |from: &str, port: u32, user: u32| {
        format!("at 0s knock {from} PORT={port} TIME=5 FLAG0={user} -> accepted")
    };
    let mut script = one("10.0.0.1", 99, 1) + " grants 1:99/10.0.0.1@5m of 1 opening\n";
    for port in 1..=64 {
        let id = port + 1;
        script += &one("10.0.0.2", port, 2);
        script += &format!(" grants {id}:{port}/10.0.0.2@5m of 2 opening\n");
    }
    script += &(one("10.0.0.2", 99, 1) + " full, 64 of the client");
    check(
        "knock IP,PORT,TIME,FLAG0,CHECKSUM\nonelease FLAG0\naction ssh if 1 opens PORT for TIME",
        &script,
    );
}

#[test]
fn an_extension_begins_no_cooldown() {
    check(
        "action ssh if TIME != 255 opens PORT for TIME cools 10s",
        "at 0s knock 10.0.0.1 PORT=80 TIME=5 -> accepted grants 1:80/10.0.0.1@5m opening
         at 20s knock 10.0.0.2 PORT=22 TIME=5 uncommitted -> accepted grants 2:22/10.0.0.2@320s opening
         at 21s extend 1 9m -> extended
         at 22s knock 10.0.0.2 PORT=22 TIME=5 -> accepted grants 3:22/10.0.0.2@322s opening",
    );
}

#[test]
fn an_action_that_cools_answers_once() {
    check(
        "action ssh if TIME != 255 opens PORT for TIME cools 10s
         action tell if 1 system true state state(all)++",
        "at 0s knock 10.0.0.1 PORT=22 TIME=5 uncommitted -> accepted tell@0s grants 2:22/10.0.0.1@5m opening
         at 0s knock 10.0.0.1 PORT=22 TIME=5 -> accepted tell@0s grants 4:22/10.0.0.1@5m opening
         at 9s knock 10.0.0.1 PORT=22 TIME=9 -> accepted tell@9s
         at 9s knock 10.0.0.2 PORT=22 TIME=9 -> accepted tell@9s grants 7:22/10.0.0.2@549s opening
         at 10s knock 10.0.0.1 PORT=22 TIME=1 -> accepted tell@10s renews 4:22/10.0.0.1@70s opening
         at 11s knock 10.0.0.1 PORT=22 TIME=9 -> accepted tell@11s
         at 11s state all -> 5",
    );
}

#[test]
fn what_a_knock_cannot_mean_opens_nothing() {
    check(
        "action odd if 1 opens PORT for TIME-5
         action zero if TIME == 9 opens PORT-22 for 5",
        "at 0s knock 10.0.0.1 PORT=22 TIME=4 -> accepted !odd: -1 minutes is no time for a lease
         at 0s knock 10.0.0.1 PORT=22 TIME=9 -> accepted grants 1:22/10.0.0.1@4m opening !zero: 0 is no port, 1-65535",
    );
}

/// A reload changes what new knocks get, not what is open.
#[test]
fn a_reload_keeps_leases() {
    check(
        PLAN,
        "at 0s knock 10.0.0.1 PORT=22 TIME=9 -> accepted grants 1:22/10.0.0.1@9m opening
         at 0s due -> open/22 10.0.0.1
         at 0s done open/22 10.0.0.1 -> 1:22/10.0.0.1@9m
         at 1m reload maxlease 1m
         at 1m leases -> 1:22/10.0.0.1@9m
         at 1m knock 10.0.0.2 PORT=22 TIME=9 -> accepted grants 3:22/10.0.0.2@2m opening",
    );
}
