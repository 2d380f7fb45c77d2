//! Leases that sessions hold (`hold = connected`), as stories: asked for, gone on with, ended, and what a
//! restart does to them. `script/mod.rs` and `script/leases.rs` tell how to read them.

#![allow(clippy::unwrap_used, clippy::expect_used, reason = "in a test a panic is the report")]

mod script;

use script::check;

#[test]
fn a_session_holds_its_lease_and_ends_it() {
    let plan = "maxlease 2m\naction ssh if 1 opens PORT for 30s hold";
    check(
        plan,
        "at 0s knock 10.0.0.1 PORT=22 TIME=0 -> accepted grants 1:22/10.0.0.1@30s step 30s opening
         at 0s due -> open/22 10.0.0.1
         at 0s done open/22 10.0.0.1 -> 1:22/10.0.0.1@30s step 30s
         at 0s next -> 25s
         at 25s due -> ask/22 10.0.0.1
         at 25s connected 2 ask/22 10.0.0.1 -> 1:22/10.0.0.1@55s step 30s
         at 25s due -> open/22 10.0.0.1
         at 25s show open/22 10.0.0.1 -> open tcp port 22 to 10.0.0.1 before 55s
         at 25s done open/22 10.0.0.1 -> nothing
         at 50s due -> ask/22 10.0.0.1
         at 50s connected 0 ask/22 10.0.0.1 -> nothing
         at 50s next -> 51s
         at 51s due -> ask/22 10.0.0.1
         at 51s connected 1 ask/22 10.0.0.1 -> 1:22/10.0.0.1@81s step 30s
         at 51s due -> open/22 10.0.0.1
         at 51s done open/22 10.0.0.1 -> nothing
         at 76s due -> ask/22 10.0.0.1
         at 77s failed ask/22 10.0.0.1 -> again in 1s
         at 78s due -> ask/22 10.0.0.1
         at 81s due -> close/22 10.0.0.1
         at 81s connected 1 ask/22 10.0.0.1 -> nothing
         at 81s done close/22 10.0.0.1 -> 1 is closed",
    );
    // Not beyond the longest.
    check(
        plan,
        "at 0s knock 10.0.0.1 PORT=22 TIME=0 -> accepted grants 1:22/10.0.0.1@30s step 30s opening
         at 0s due -> open/22 10.0.0.1
         at 0s done open/22 10.0.0.1 -> 1:22/10.0.0.1@30s step 30s
         at 25s due -> ask/22 10.0.0.1
         at 25s connected 1 ask/22 10.0.0.1 -> 1:22/10.0.0.1@55s step 30s
         at 25s due -> open/22 10.0.0.1
         at 25s done open/22 10.0.0.1 -> nothing
         at 50s due -> ask/22 10.0.0.1
         at 50s connected 1 ask/22 10.0.0.1 -> 1:22/10.0.0.1@80s step 30s
         at 50s due -> open/22 10.0.0.1
         at 50s done open/22 10.0.0.1 -> nothing
         at 75s due -> ask/22 10.0.0.1
         at 75s connected 1 ask/22 10.0.0.1 -> 1:22/10.0.0.1@105s step 30s
         at 75s due -> open/22 10.0.0.1
         at 75s done open/22 10.0.0.1 -> nothing
         at 100s due -> ask/22 10.0.0.1
         at 100s connected 1 ask/22 10.0.0.1 -> 1:22/10.0.0.1@2m step 30s
         at 100s due -> open/22 10.0.0.1
         at 100s done open/22 10.0.0.1 -> nothing
         at 115s due -> nothing
         at 2m due -> close/22 10.0.0.1",
    );
}

/// Somebody holds iptables' lock for longer than the lease still has: the record goes on with the
/// session, and so does the firewall as soon as it can.
#[test]
fn a_slow_firewall_ends_no_session() {
    check(
        "maxlease 1h\naction ssh if 1 opens PORT for 30s hold",
        "at 0s knock 10.0.0.1 PORT=22 TIME=0 -> accepted grants 1:22/10.0.0.1@30s step 30s opening
         at 0s due -> open/22 10.0.0.1
         at 0s done open/22 10.0.0.1 -> 1:22/10.0.0.1@30s step 30s
         at 25s due -> ask/22 10.0.0.1
         at 25s connected 1 ask/22 10.0.0.1 -> 1:22/10.0.0.1@55s step 30s
         at 25s due -> open/22 10.0.0.1
         at 50s due -> ask/22 10.0.0.1
         at 50s connected 1 ask/22 10.0.0.1 -> 1:22/10.0.0.1@80s step 30s
         at 55s late open/22 10.0.0.1 -> again in 1s
         at 56s due -> open/22 10.0.0.1
         at 75s due -> ask/22 10.0.0.1
         at 81s broken open/22 10.0.0.1 -> again in 2s
         at 81s connected 0 ask/22 10.0.0.1 -> nothing
         at 82s due -> close/22 10.0.0.1",
    );
}

/// A lease that was open when the daemon died.
const LIVED: &str =
    "at 0s knock 10.0.0.1 PORT=22 TIME=0 -> accepted grants 1:22/10.0.0.1@30s step 30s opening
         at 0s due -> open/22 10.0.0.1
         at 0s done open/22 10.0.0.1 -> 1:22/10.0.0.1@30s step 30s";

/// Nobody could ask for the session while the daemon was dead: it is asked for first, and nothing is
/// opened or closed before the answer.
#[test]
fn what_ended_while_the_daemon_was_dead_is_asked_for_before_it_closes() {
    let plan = "maxlease 2m\naction ssh if 1 opens PORT for 30s hold";
    check(
        plan,
        &format!(
            "{LIVED}
         at 40s restart
         at 40s due -> ask/22 10.0.0.1
         at 40s due -> nothing
         at 40s held -> nothing
         at 40s due -> nothing
         at 41s connected 1 ask/22 10.0.0.1 -> 1:22/10.0.0.1@71s step 30s
         at 41s due -> open/22 10.0.0.1
         at 41s show open/22 10.0.0.1 -> open tcp port 22 to 10.0.0.1 before 71s
         at 41s done open/22 10.0.0.1 -> nothing
         at 41s next -> 66s"
        ),
    );
    // A session that is over, and one of which nobody can tell, keeps nothing.
    for answer in
        ["connected 0 ask/22 10.0.0.1 -> nothing", "failed ask/22 10.0.0.1 -> again in 1s"]
    {
        check(
            plan,
            &format!(
                "{LIVED}
             at 40s restart
             at 40s due -> ask/22 10.0.0.1
             at 40s {answer}
             at 40s next -> now
             at 40s due -> close/22 10.0.0.1
             at 40s done close/22 10.0.0.1 -> 1 is closed
             at 40s next -> nothing"
            ),
        );
    }
    // An answer that does not come is not waited for.
    check(
        plan,
        &format!(
            "{LIVED}
         at 40s restart
         at 40s due -> ask/22 10.0.0.1
         at 40s next -> 50s
         at 49s due -> nothing
         at 50s due -> close/22 10.0.0.1
         at 51s connected 1 ask/22 10.0.0.1 -> nothing
         at 51s done close/22 10.0.0.1 -> 1 is closed"
        ),
    );
    // Nor is one asked for beyond the longest time, or that never opened, or that is to be closed.
    check(
        plan,
        &format!(
            "{LIVED}
         at 2m restart
         at 2m due -> close/22 10.0.0.1"
        ),
    );
    check(
        plan,
        "at 0s knock 10.0.0.1 PORT=22 TIME=0 -> accepted grants 1:22/10.0.0.1@30s step 30s opening
         at 0s due -> open/22 10.0.0.1
         at 40s restart
         at 40s due -> close/22 10.0.0.1",
    );
    check(
        plan,
        &format!(
            "{LIVED}
         at 1s revoke 1 -> ends
         at 40s restart
         at 40s due -> close/22 10.0.0.1"
        ),
    );
}

/// All workers are busy at the start: what was not asked for is asked for when one is free, and its time
/// begins anew for nobody.
#[test]
fn a_question_that_finds_no_worker_is_put_again() {
    check(
        "maxlease 2m\naction ssh if 1 opens PORT for 30s hold",
        &format!(
            "{LIVED}
         at 40s restart
         at 40s due -> ask/22 10.0.0.1
         at 40s put back ask/22 10.0.0.1
         at 45s due -> ask/22 10.0.0.1
         at 45s put back ask/22 10.0.0.1
         at 50s due -> close/22 10.0.0.1"
        ),
    );
}

/// A machine that was asleep is like a daemon that was dead.
#[test]
fn who_slept_through_the_time_to_ask_asks_late() {
    check(
        "maxlease 2m\naction ssh if 1 opens PORT for 30s hold",
        &format!(
            "{LIVED}
         at 1m due -> ask/22 10.0.0.1
         at 1m connected 1 ask/22 10.0.0.1 -> 1:22/10.0.0.1@90s step 30s
         at 1m due -> open/22 10.0.0.1
         at 1m done open/22 10.0.0.1 -> nothing
         at 85s due -> ask/22 10.0.0.1
         at 90s due -> close/22 10.0.0.1"
        ),
    );
}

/// In a network each lease has its own time: the port stays open for those who have some left, and what
/// a neighbour does meanwhile takes nobody's answer away.
#[test]
fn in_a_network_each_is_asked_for_by_itself() {
    check(
        "maxlease 4h
         action ssh if TIME == 0 opens PORT for 30s hold prefix 24
         action long if TIME != 0 opens PORT for TIME prefix 24",
        "at 0s knock 10.0.0.1 PORT=22 TIME=0 -> accepted grants 1:22/10.0.0.0/24@30s step 30s opening
         at 0s knock 10.0.0.2 PORT=22 TIME=5 -> accepted grants 2:22/10.0.0.0/24@5m opening
         at 0s knock 10.0.0.3 PORT=22 TIME=1 -> accepted grants 3:22/10.0.0.0/24@1m opening
         at 0s due -> open/22 10.0.0.2
         at 0s done open/22 10.0.0.2 -> 1:22/10.0.0.0/24@30s step 30s, 2:22/10.0.0.0/24@5m, 3:22/10.0.0.0/24@1m
         at 2m restart
         at 2m due -> open/22 10.0.0.2, ask/22 10.0.0.2
         at 2m show open/22 10.0.0.2 -> open tcp port 22 to 10.0.0.0/24 before 5m
         at 2m done open/22 10.0.0.2 -> 3 is closed
         at 2m knock 10.0.0.2 PORT=22 TIME=1 -> accepted renews 2:22/10.0.0.0/24@3m
         at 2m due -> open/22 10.0.0.2
         at 2m done open/22 10.0.0.2 -> nothing
         at 121s connected 1 ask/22 10.0.0.2 -> 1:22/10.0.0.0/24@151s step 30s
         at 121s next -> 146s",
    );
}
