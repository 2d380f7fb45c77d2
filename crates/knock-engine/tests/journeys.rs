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
         at 0s show open 10.0.0.1 -> iptables -I INPUT -p tcp -s 10.0.0.1/32 --dport 22 -j ACCEPT before 15m
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

/// Whoever knocks the letters before a salt costs us a derivation, so there is a bound to it; the
/// rest of the daemon goes on, and when they stop, knocks are judged again.
#[test]
fn strangers_cannot_make_us_derive_keys_all_day() {
    let wrong = "at 0s knock 10.0.0.9 PORT=22 TIME=0 wrong key -> refused padding\n".repeat(50);
    check(
        &with("salted pbkdf2"),
        &format!(
            "{wrong}at 0s knock 10.0.0.9 PORT=22 TIME=0 wrong key -> refused busy
             at 0s knock 10.0.0.1 PORT=22 TIME=0 -> refused busy
             at 1s knock 10.0.0.1 PORT=22 TIME=0 -> accepted open@1s"
        ),
    );
    // A derivation of a few digests is no burden.
    let wrong = wrong.repeat(2);
    check(
        &with("salted opensslv2"),
        &format!("{wrong}at 0s knock 10.0.0.1 PORT=22 TIME=0 -> accepted open@0s"),
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
