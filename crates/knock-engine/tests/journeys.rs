//! From hits to orders, as stories in text. `script/mod.rs` tells how to read them.

#![allow(clippy::unwrap_used, clippy::expect_used, reason = "in a test a panic is the report")]

mod flood;
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
fn a_knock_opens_and_closes_on_time() {
    check(
        CLASSIC,
        "at 0s knock 10.0.0.1 PORT=22 TIME=15 -> accepted open@0s close@15m
         at 0s next -> 0s
         at 0s due -> open 10.0.0.1
         at 0s show open 10.0.0.1 -> iptables -I INPUT -p tcp -s 10.0.0.1/32 --dport 22 -j ACCEPT
         at 0s next -> nothing
         at 1s done open 10.0.0.1 -> struck out
         at 1s next -> 15m
         at 899s due -> nothing
         at 15m due -> close 10.0.0.1
         at 15m already close 10.0.0.1 -> struck out
         at 15m next -> nothing
         at 15m agenda -> nothing",
    );
}

#[test]
fn eight_slots_spell_a_knock() {
    check(
        CLASSIC,
        "at 0s knock 10.0.0.1 PORT=22 TIME=0 slots 1-1 -> queued 1/8
         at 1s knock 10.0.0.1 PORT=22 TIME=0 slots 2-7 -> queued 7/8
         at 2s knock 10.0.0.1 PORT=22 TIME=0 slots 8-8 -> accepted open@2s
         at 3s hit 10.0.0.1:800 -> queued 1/8",
    );
}

#[test]
fn a_window_slides_over_junk() {
    check(
        CLASSIC,
        "at 0s hits 10.0.0.1:745,746,747,748,749 -> queued 5/8
         at 0s knock 10.0.0.1 PORT=22 TIME=0 slots 1-3 -> refused padding
         at 0s knock 10.0.0.1 PORT=22 TIME=0 slots 4-7 -> refused padding
         at 0s knock 10.0.0.1 PORT=22 TIME=0 slots 8-8 -> accepted open@0s
         at 0s hits 10.0.0.1:745,746,747,748,749,750,751,752,753,754 -> refused padding
         at 0s knock 10.0.0.1 PORT=22 TIME=255 -> accepted shut@0s
         at 0s counters -> hits 31 outside 0 repeated 0 refused 15 accepted 2 evicted 0",
    );
}

#[test]
fn two_clients_knock_at_the_same_time() {
    check(
        CLASSIC,
        "at 0s knock 10.0.0.1 PORT=22 TIME=1 slots 1-4 -> queued 4/8
         at 0s knock 10.0.0.2 PORT=22 TIME=2 slots 1-6 -> queued 6/8
         at 0s knock 10.0.0.1 PORT=22 TIME=1 slots 5-8 -> accepted open@0s close@1m
         at 0s knock 10.0.0.2 PORT=22 TIME=2 slots 7-8 -> accepted open@0s close@2m
         at 0s due -> open 10.0.0.1, open 10.0.0.2",
    );
}

#[test]
fn hits_outside_the_span_touch_nothing() {
    check(
        CLASSIC,
        "at 0s hits 10.0.0.9:22,80,744,1001 -> outside
         at 0s knock 10.0.0.1 PORT=22 TIME=0 slots 1-7 -> queued 7/8
         at 0s hit 10.0.0.1:443 -> outside
         at 0s knock 10.0.0.1 PORT=22 TIME=0 slots 8-8 -> accepted open@0s",
    );
}

#[test]
fn a_wrong_knock_is_refused_with_its_reason() {
    check(
        CLASSIC,
        "at 0s knock 10.0.0.1 PORT=22 TIME=0 wrong checksum -> refused checksum
         at 0s knock 10.0.0.2 PORT=22 TIME=0 inside 10.9.9.9 -> refused address
         at 0s knock 10.0.0.3 PORT=22 TIME=0 wrong key -> refused padding
         at 0s agenda -> nothing
         at 1s knock 10.0.0.1 PORT=22 TIME=0 -> accepted open@1s",
    );
    check(
        &with("anyip yes"),
        "at 0s knock 10.0.0.2 PORT=22 TIME=0 inside 10.9.9.9 -> accepted open@0s
         at 0s due -> open 10.0.0.2
         at 0s show open 10.0.0.2 -> iptables -I INPUT -p tcp -s 10.9.9.9/32 --dport 22 -j ACCEPT",
    );
}

#[test]
fn a_mapped_client_is_its_ipv4() {
    check(
        CLASSIC,
        "at 0s knock ::ffff:10.0.0.1 PORT=22 TIME=0 slots 1-4 -> queued 4/8
         at 0s knock 10.0.0.1 PORT=22 TIME=0 slots 5-8 -> accepted open@0s
         at 0s due -> open 10.0.0.1",
    );
}

#[test]
fn an_ipv6_client_knocks_with_ip6() {
    check(
        &with("knock IP6,PORT,TIME,CHECKSUM"),
        "at 0s knock 2001:db8::1 PORT=22 TIME=0 slots 1-23 -> queued 23/24
         at 0s knock 2001:db8::1 PORT=22 TIME=0 slots 24-24 -> accepted open@0s
         at 0s due -> open 2001:db8::1
         at 0s show open 2001:db8::1 -> ip6tables -I INPUT -p tcp -s 2001:db8::1/128 --dport 22 -j ACCEPT",
    );
}

#[test]
fn a_packet_sent_again_counts_once() {
    check(
        CLASSIC,
        "at 0s hit 10.0.0.1:800 from 40000 -> queued 1/8
         at 1s hit 10.0.0.1:800 from 40000 -> repeated
         at 3s hit 10.0.0.1:800 from 40000 -> repeated
         at 3s hit 10.0.0.1:801 from 40000 -> queued 2/8
         at 3s hit 10.0.0.1:800 from 40001 -> queued 3/8
         at 3s hit 10.0.0.2:800 from 40000 -> queued 1/8
         at 13s hit 10.0.0.1:800 from 40000 -> repeated
         at 24s hit 10.0.0.1:800 from 40000 -> queued 4/8
         at 24s hits 10.0.0.1:800,800 -> queued 6/8",
    );
}

#[test]
fn a_packet_of_an_accepted_knock_sent_again_is_known() {
    // No key, so that the hits can be written out: PORT 22, checksum 22.
    check(
        "
        knock PORT,CHECKSUM
        key none
        action open if PORT == 22 system open PORT
        ",
        "at 0s hit 10.0.0.1:767 from 40000 -> queued 1/2
         at 0s hit 10.0.0.1:767 from 40001 -> accepted open@0s
         at 1s hit 10.0.0.1:767 from 40000 -> repeated
         at 1s hit 10.0.0.1:767 from 40001 -> repeated
         at 1s hit 10.0.0.1:767 from 40002 -> queued 1/2",
    );
}

#[test]
fn the_last_sixteen_packets_are_known() {
    let hits = |from: u16| {
        let lines = (0..16).map(|n| {
            let filled = (usize::from(from) + n).min(8);
            let said =
                if filled < 8 { format!("queued {filled}/8") } else { "refused padding".into() };
            format!("at 1s hit 10.0.0.1:{} from 9 -> {said}\n", 800 + n)
        });
        lines.collect::<String>()
    };
    check(
        CLASSIC,
        &format!(
            "at 0s hit 10.0.0.1:745 from 9 -> queued 1/8
             {}
             at 1s hit 10.0.0.1:800 from 9 -> repeated
             at 1s hit 10.0.0.1:745 from 9 -> refused padding",
            hits(2)
        ),
    );
}

#[test]
fn an_old_queue_is_forgotten() {
    check(
        &with("timeout 60s"),
        "at 0s hits 10.0.0.1:800,801,802 -> queued 3/8
         at 60s hit 10.0.0.1:803 -> queued 4/8
         at 121s hit 10.0.0.1:804 -> queued 1/8
         at 122s clock +1h
         at 122s hit 10.0.0.1:804 -> queued 2/8",
    );
    check(
        CLASSIC,
        "at 0s hits 10.0.0.1:800,801,802 -> queued 3/8
         at 240h hit 10.0.0.1:803 -> queued 4/8",
    );
}

#[test]
fn the_client_idle_longest_makes_room() {
    check(
        &with("max 2"),
        "at 0s hit 10.0.0.1:800 -> queued 1/8
         at 1s hit 10.0.0.2:800 -> queued 1/8
         at 2s hit 10.0.0.1:801 -> queued 2/8
         at 3s hit 10.0.0.3:800 -> queued 1/8
         at 4s hit 10.0.0.1:802 -> queued 3/8
         at 5s hit 10.0.0.2:801 -> queued 1/8
         at 5s counters -> hits 6 outside 0 repeated 0 refused 0 accepted 0 evicted 2",
    );
}

#[test]
fn every_action_whose_condition_holds_answers_in_order() {
    check(
        "
        action log if 1 system logger PORT
        action web if PORT == 80 || PORT == 8 system web
        action both if PORT < 100 system both
        action never if TIME > 5 system never
        ",
        "at 0s knock 10.0.0.1 PORT=80 TIME=0 -> accepted log@0s web@0s both@0s
         at 0s knock 10.0.0.1 PORT=81 TIME=0 -> accepted log@0s both@0s
         at 0s knock 10.0.0.1 PORT=200 TIME=0 -> accepted log@0s
         at 0s due -> log 10.0.0.1
         at 0s done log 10.0.0.1 -> struck out
         at 0s due -> web 10.0.0.1
         at 0s show web 10.0.0.1 -> web",
    );
}

#[test]
fn delays_are_expressions_in_minutes_or_spans_of_time() {
    check(
        "
        action a if 1 after 90s system a
        action b if 1 after 2h system b
        action c if 1 after TIME system c
        action d if 1 after TIME * 2 system d
        action e if 1 after TIME - 9 system e
        ",
        "at 0s knock 10.0.0.1 PORT=1 TIME=3 -> accepted a@90s b@120m c@3m d@6m e@0s
         at 10m due -> e 10.0.0.1
         at 10m done e 10.0.0.1 -> struck out
         at 10m due -> a 10.0.0.1",
    );
}

#[test]
fn a_rule_without_result_is_told() {
    check(
        "
        action odd if 1 % TIME == 0 system odd
        action plain if 1 system plain
        ",
        "at 0s knock 10.0.0.1 PORT=1 TIME=0 -> accepted plain@0s !odd: division by zero
         at 0s knock 10.0.0.1 PORT=1 TIME=1 -> accepted odd@0s plain@0s",
    );
}

#[test]
fn an_opening_does_not_go_out_without_its_closing() {
    check(
        "
        action open if 1 system open state state(opened)++
        action close if 1 after 60 / TIME system close
        ",
        "at 0s knock 10.0.0.1 PORT=1 TIME=0 -> accepted !close: division by zero
         at 0s agenda -> nothing
         at 0s state opened -> nothing
         at 0s knock 10.0.0.1 PORT=1 TIME=2 -> accepted open@0s close@30m",
    );
}

/// The condition, the state and the command of a delayed action count as much as its delay.
#[test]
fn nothing_of_a_knock_happens_when_its_closing_has_no_result() {
    for close in [
        "if 60 / TIME > 0 after 5 system close",
        "if 1 after 5 system close state state(left) = 60 / TIME",
    ] {
        check(
            &format!(
                "action open if 1 system open state state(opened)++
                 action close {close}
                 action last if 1 system last"
            ),
            "at 0s knock 10.0.0.1 PORT=1 TIME=0 -> accepted !close: division by zero
             at 0s agenda -> nothing
             at 0s state opened -> nothing
             at 0s knock 10.0.0.1 PORT=1 TIME=2 -> accepted open@0s close@5m last@0s",
        );
    }
    check(
        "
        knock IP6,PORT,TIME,CHECKSUM
        action open if 1 system open
        action close if 1 after 5 iptables -D INPUT -s IP/24 -j ACCEPT
        ",
        "at 0s knock 2001:db8::1 PORT=22 TIME=0 -> accepted !close: the template's /24 is meant for \
         IPv4 and would open a huge network to 2001:db8::1
         at 0s agenda -> nothing",
    );
}

#[test]
fn a_state_is_seen_by_later_actions_of_the_same_knock() {
    check(
        "
        action count if 1 state state(IP,visits)++
        action first if state(IP,visits) == 1 system first
        action third if state(IP,visits) == 3 system third
        action later if 1 after 5 system later state state(late) = 1
        ",
        "at 0s knock 10.0.0.1 PORT=1 TIME=0 -> accepted first@0s later@5m
         at 0s state 10.0.0.1,visits -> 1
         at 0s state late -> 1
         at 0s knock 10.0.0.1 PORT=1 TIME=0 -> accepted later@5m
         at 0s knock 10.0.0.2 PORT=1 TIME=0 -> accepted first@0s later@5m
         at 0s knock 10.0.0.1 PORT=1 TIME=0 -> accepted third@0s later@5m
         at 0s state 10.0.0.1,visits -> 3",
    );
}

#[test]
fn what_is_not_committed_has_not_happened() {
    check(
        "
        action count if 1 state state(visits)++
        action open if 1 system open
        ",
        "at 0s knock 10.0.0.1 PORT=1 TIME=0 uncommitted -> accepted open@0s
         at 0s agenda -> nothing
         at 0s due -> nothing
         at 0s state visits -> nothing
         at 1s knock 10.0.0.1 PORT=1 TIME=0 -> accepted open@1s
         at 1s state visits -> 1
         at 1s due -> open 10.0.0.1",
    );
}

#[test]
fn a_failed_opening_is_not_overtaken_by_its_closing() {
    check(
        CLASSIC,
        "at 0s knock 10.0.0.1 PORT=22 TIME=1 -> accepted open@0s close@1m
         at 0s due -> open 10.0.0.1
         at 59s failed open 10.0.0.1 -> again at 1m
         at 1m due -> open 10.0.0.1
         at 61s due -> nothing
         at 61s next -> nothing
         at 61s failed open 10.0.0.1 -> again at 63s
         at 62s next -> 63s
         at 62s due -> nothing
         at 63s due -> open 10.0.0.1
         at 63s done open 10.0.0.1 -> struck out
         at 63s next -> 1m
         at 63s due -> close 10.0.0.1",
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
fn an_order_without_a_worker_stays_due() {
    check(
        CLASSIC,
        "at 0s knock 10.0.0.1 PORT=22 TIME=0 -> accepted open@0s
         at 0s knock 10.0.0.2 PORT=22 TIME=0 -> accepted open@0s
         at 0s due -> open 10.0.0.1, open 10.0.0.2
         at 0s put back open 10.0.0.2
         at 0s next -> nothing
         at 1s done open 10.0.0.1 -> struck out
         at 1s next -> 0s
         at 1s due -> open 10.0.0.2
         at 1s put back open 10.0.0.2
         at 1s next -> 0s
         at 1s due -> open 10.0.0.2",
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
fn a_mistake_in_a_closing_does_not_bar_its_client_for_ever() {
    check(
        CLASSIC,
        "at 0s knock 10.0.0.1 PORT=22 TIME=1 -> accepted open@0s close@1m
         at 0s due -> open 10.0.0.1
         at 0s done open 10.0.0.1 -> struck out
         at 1m due -> close 10.0.0.1
         at 1m broken close 10.0.0.1 -> again at 61s
         at 1m reload action corrected if PORT == 80 iptables -I INPUT -s IP/32 -j ACCEPT
         at 1m knock 10.0.0.1 PORT=80 TIME=0 -> accepted corrected@1m
         at 1m due -> corrected 10.0.0.1
         at 1m done corrected 10.0.0.1 -> struck out
         at 61s due -> close 10.0.0.1
         at 61s failed close 10.0.0.1 -> again at 63s
         at 62s knock 10.0.0.1 PORT=80 TIME=0 -> accepted corrected@62s
         at 62s due -> nothing
         at 63s due -> close 10.0.0.1
         at 63s done close 10.0.0.1 -> struck out
         at 63s due -> corrected 10.0.0.1",
    );
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
fn a_closing_under_way_is_not_renewed_but_comes_first() {
    check(
        CLASSIC,
        "at 0s knock 10.0.0.1 PORT=22 TIME=1 -> accepted open@0s close@1m
         at 0s due -> open 10.0.0.1
         at 0s done open 10.0.0.1 -> struck out
         at 1m due -> close 10.0.0.1
         at 1m knock 10.0.0.1 PORT=22 TIME=1 -> accepted open@1m close@2m
         at 1m failed close 10.0.0.1 -> again at 61s
         at 1m due -> nothing
         at 61s due -> close 10.0.0.1
         at 61s done close 10.0.0.1 -> struck out
         at 61s due -> open 10.0.0.1
         at 61s agenda -> open@1m, close@2m",
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

#[test]
fn no_more_is_handed_out_than_was_asked_for() {
    check(
        CLASSIC,
        "at 0s knock 10.0.0.1 PORT=22 TIME=0 -> accepted open@0s
         at 0s knock 10.0.0.2 PORT=22 TIME=0 -> accepted open@0s
         at 0s knock 10.0.0.3 PORT=22 TIME=0 -> accepted open@0s
         at 0s due 0 -> nothing
         at 0s due 2 -> open 10.0.0.1, open 10.0.0.2
         at 0s next -> 0s
         at 0s due 2 -> open 10.0.0.3
         at 0s next -> nothing",
    );
}

#[test]
fn a_restart_goes_on_from_the_ledger() {
    check(
        CLASSIC,
        "at 0s knock 10.0.0.1 PORT=22 TIME=1 -> accepted open@0s close@1m
         at 0s knock 10.0.0.2 PORT=22 TIME=0 -> accepted open@0s
         at 0s due -> open 10.0.0.1, open 10.0.0.2
         at 0s done open 10.0.0.1 -> struck out
         at 0s failed open 10.0.0.2 -> again at 1s
         at 30s restart
         at 30s agenda -> close@1m, open@1s
         at 30s due -> open 10.0.0.2
         at 30s failed open 10.0.0.2 -> again at 32s
         at 40s restart
         at 40s knock 10.0.0.3 PORT=22 TIME=0 -> accepted open@40s
         at 2m due -> open 10.0.0.2, open 10.0.0.3, close 10.0.0.1
         at 2m restart
         at 2m due -> open 10.0.0.2, open 10.0.0.3, close 10.0.0.1",
    );
}

#[test]
fn a_reload_keeps_the_agenda_and_where_it_can_the_queues() {
    check(
        CLASSIC,
        "at 0s knock 10.0.0.1 PORT=22 TIME=1 -> accepted open@0s close@1m
         at 0s due -> open 10.0.0.1
         at 0s knock 10.0.0.2 PORT=22 TIME=0 slots 1-5 -> queued 5/8
         at 1s reload action also if 1 system also
         at 1s knock 10.0.0.2 PORT=22 TIME=0 slots 6-8 -> accepted open@1s also@1s
         at 1s done open 10.0.0.1 -> struck out
         at 1s hit 10.0.0.3:800 -> queued 1/8
         at 2s reload max 1
         at 2s hit 10.0.0.3:801 -> queued 2/8
         at 3s reload span 2000-2255
         at 3s hit 10.0.0.3:802 -> outside
         at 3s hit 10.0.0.3:2001 -> queued 1/8
         at 4s reload knock IP,PORT,TIME,FLAG0,FLAG1,CHECKSUM
         at 4s hit 10.0.0.3:802 -> queued 1/16
         at 1m due -> open 10.0.0.2, close 10.0.0.1
         at 1m counters -> hits 21 outside 1 repeated 0 refused 0 accepted 2 evicted 2",
    );
}

#[test]
fn deadlines_follow_the_wall_clock() {
    check(
        CLASSIC,
        "at 0s knock 10.0.0.1 PORT=22 TIME=15 -> accepted open@0s close@15m
         at 0s due -> open 10.0.0.1
         at 0s done open 10.0.0.1 -> struck out
         at 1s clock +1h
         at 1s due -> close 10.0.0.1
         at 1s put back close 10.0.0.1
         at 2s clock -1h
         at 2s due -> nothing
         at 2s next -> 15m
         at 15m due -> close 10.0.0.1",
    );
}
