//! Knocks that come again: once accepted, never again. `script/mod.rs` tells how to read the stories.

#![allow(clippy::unwrap_used, clippy::expect_used, reason = "in a test a panic is the report")]

mod script;

use std::collections::{BTreeMap, BTreeSet};
use std::net::IpAddr;
use std::time::{Duration, UNIX_EPOCH};

use knock_engine::{Change, Engine, Ledger, Now, Verdict};
use knock_rules::LocalTime;
use knock_wire::{Field, Hit, Knock, Refusal, Value};
use proptest::prelude::*;
use script::{check, plan};

/// Sixteen hits to a knock.
const BARE: &str = "
    iv bare
    replay reject
    action open if TIME != 255 system open PORT
";

fn with(settings: &str) -> String {
    format!("{BARE}\n{settings}")
}

#[test]
fn a_knock_is_accepted_once() {
    check(
        BARE,
        "at 0s knock 10.0.0.1 PORT=22 TIME=5 -> accepted open@0s
         at 1s knock 10.0.0.1 PORT=22 TIME=5 -> refused replayed
         at 2s knock 10.0.0.1 PORT=22 TIME=5 drawn 1 -> accepted open@2s
         at 3s knock 10.0.0.1 PORT=22 TIME=5 -> refused replayed
         at 4s knock 10.0.0.1 PORT=22 TIME=5 drawn 1 -> refused replayed
         at 9000h knock 10.0.0.1 PORT=22 TIME=5 -> refused replayed
         at 9000h counters -> hits 96 outside 0 repeated 0 refused 4 accepted 2 evicted 0",
    );
}

#[test]
fn where_the_plan_says_so_it_is_accepted_again() {
    check(
        &with("replay allow"),
        "at 0s knock 10.0.0.1 PORT=22 TIME=5 -> accepted open@0s
         at 1s knock 10.0.0.1 PORT=22 TIME=5 -> accepted open@1s",
    );
    // A format that never varies: each knock once, ever.
    check(
        &with("iv no"),
        "at 0s knock 10.0.0.1 PORT=22 TIME=5 -> accepted open@0s
         at 1s knock 10.0.0.1 PORT=22 TIME=5 -> refused replayed
         at 1s knock 10.0.0.1 PORT=22 TIME=6 -> accepted open@1s",
    );
}

/// From another address it is no knock, whoever knocked first; on behalf of others it comes again.
#[test]
fn from_another_address_it_comes_again_too() {
    check(
        BARE,
        "at 0s knock 10.0.0.1 PORT=22 TIME=5 -> accepted open@0s
         at 0s knock 10.0.0.2 PORT=22 TIME=5 inside 10.0.0.1 -> refused address",
    );
    check(
        &with("anyip yes"),
        "at 0s knock 10.0.0.1 PORT=22 TIME=5 -> accepted open@0s
         at 0s knock 10.0.0.2 PORT=22 TIME=5 inside 10.0.0.1 -> refused replayed",
    );
}

#[test]
fn a_restart_forgets_nothing_and_what_was_not_made_durable_has_not_happened() {
    check(
        BARE,
        "at 0s knock 10.0.0.1 PORT=22 TIME=5 -> accepted open@0s
         at 0s knock 10.0.0.1 PORT=22 TIME=5 drawn 1 uncommitted -> accepted open@0s
         at 1s restart
         at 1s knock 10.0.0.1 PORT=22 TIME=5 -> refused replayed
         at 1s knock 10.0.0.1 PORT=22 TIME=5 drawn 1 -> accepted open@1s
         at 2s reboot
         at 2s knock 10.0.0.1 PORT=22 TIME=5 drawn 1 -> refused replayed",
    );
}

#[test]
fn a_reload_keeps_what_was_accepted() {
    check(
        BARE,
        "at 0s knock 10.0.0.1 PORT=22 TIME=5 -> accepted open@0s
         at 1s reload replay allow
         at 1s knock 10.0.0.1 PORT=22 TIME=5 -> accepted open@1s
         at 1s knock 10.0.0.1 PORT=22 TIME=5 drawn 1 -> accepted open@1s
         at 2s reload replay reject
         at 2s knock 10.0.0.1 PORT=22 TIME=5 -> refused replayed
         at 2s knock 10.0.0.1 PORT=22 TIME=5 drawn 1 -> accepted open@2s
         at 3s reload key another
         at 3s hit 10.0.0.1:745 -> queued 1/16
         at 4s reload replay reject
         at 4s knock 10.0.0.1 PORT=22 TIME=5 -> refused replayed
         at 4s knock 10.0.0.1 PORT=22 TIME=5 drawn 1 -> refused replayed",
    );
}

/// The queue is empty behind it, as behind any knock, so that the next one is judged by itself; and what
/// comes late of it holds up the next for no longer than it takes to slide out.
#[test]
fn a_replay_does_not_hold_up_a_fresh_knock() {
    check(
        BARE,
        "at 0s knock 10.0.0.1 PORT=22 TIME=5 -> accepted open@0s
         at 1s knock 10.0.0.1 PORT=22 TIME=5 -> refused replayed
         at 1s knock 10.0.0.1 PORT=22 TIME=5 drawn 1 slots 1-1 -> queued 1/16
         at 1s knock 10.0.0.1 PORT=22 TIME=5 drawn 1 slots 2-16 -> accepted open@1s
         at 2s knock 10.0.0.1 PORT=22 TIME=5 -> refused replayed
         at 2s knock 10.0.0.1 PORT=22 TIME=5 slots 14-16 -> queued 3/16
         at 2s knock 10.0.0.1 PORT=22 TIME=5 drawn 2 -> accepted open@2s
         at 3s knock 10.0.0.1 PORT=22 TIME=5 slots 1-9 -> queued 9/16
         at 3s knock 10.0.0.1 PORT=22 TIME=5 drawn 3 -> accepted open@3s",
    );
}

/// What an earlier run has answered is nobody's try to knock twice: it is neither answered nor counted.
#[test]
fn hits_that_are_read_again_are_no_replay() {
    check(
        BARE,
        "at 0s knock 10.0.0.1 PORT=22 TIME=5 -> accepted open@0s
         at 0s knock 10.0.0.1 PORT=22 TIME=5 drawn 1 slots 1-7 -> queued 7/16
         at 1s restart
         at 1s knock 10.0.0.1 PORT=22 TIME=5 read again
         at 1s knock 10.0.0.1 PORT=22 TIME=5 drawn 1 slots 1-7 read again
         at 1s counters -> hits 23 outside 0 repeated 0 refused 0 accepted 0 evicted 0
         at 1s knock 10.0.0.1 PORT=22 TIME=5 drawn 1 slots 8-16 -> accepted open@1s
         at 2s knock 10.0.0.1 PORT=22 TIME=5 -> refused replayed",
    );
}

/// Else whoever has seen one knock could keep out real ones with it.
#[test]
fn a_replay_costs_no_slow_derivation() {
    let again = "at 0s knock 10.0.0.1 PORT=22 TIME=5 -> refused replayed\n".repeat(60);
    check(
        &with("salted pbkdf2"),
        &format!(
            "at 0s knock 10.0.0.1 PORT=22 TIME=5 -> accepted open@0s
             {again}at 0s knock 10.0.0.1 PORT=22 TIME=5 drawn 1 -> accepted open@0s"
        ),
    );
}

/// An engine with a clock that stands still: what is told here needs none.
struct Stage {
    plan: String,
    engine: Engine,
    durable: Vec<Change>,
}

const NOON: LocalTime = LocalTime { year: 2004, month: 6, day: 1, hour: 12, minute: 0, weekday: 2 };

impl Stage {
    fn new(plan_text: &str) -> Self {
        let engine = Engine::new(plan(plan_text), Ledger::new());
        Self { plan: plan_text.to_owned(), engine, durable: Vec::new() }
    }

    /// The symbols of a knock of this client.
    fn window(&self, client: IpAddr, time: u64, drawn: &[u8]) -> Vec<u16> {
        let mut knock = Knock::new();
        knock.set(Field::Ip, Value::Address(client));
        knock.set(Field::Port, Value::Number(22));
        knock.set(Field::Time, Value::Number(time));
        let draw = |bytes: &mut [u8]| {
            bytes.iter_mut().zip(drawn.iter().cycle()).for_each(|(byte, drawn)| *byte = *drawn);
        };
        let codec = &self.engine.plan().codec;
        let ports = codec.encode(&knock, draw).unwrap();
        ports.iter().map(|port| codec.span().symbol(*port).unwrap()).collect()
    }

    /// What came of the last hit.
    fn send(&mut self, client: IpAddr, window: &[u16]) -> Verdict {
        let now = Now { wall: UNIX_EPOCH, uptime: Duration::ZERO, local: NOON };
        let mut last = Verdict::OutsideSpan;
        for symbol in window {
            let port = self.engine.span().port(*symbol).unwrap();
            last = self.engine.hit(&now, &Hit::new(client, port));
            if let Verdict::Accepted(accepted) = &last {
                self.engine.commit(&accepted.changes);
                let spent = |change: &&Change| matches!(change, Change::Spent { .. });
                self.durable.extend(accepted.changes.iter().filter(spent).cloned());
            }
        }
        last
    }

    fn restart(&mut self) {
        let mut ledger = Ledger::new();
        self.durable.iter().for_each(|change| ledger.apply(change));
        self.engine = Engine::new(plan(&self.plan), ledger);
    }
}

fn client() -> IpAddr {
    "10.0.0.1".parse().unwrap()
}

/// The vector stands in the open before the blocks, and changes what is deciphered of the first one bit by
/// bit: without a mac whoever has seen a knock can make others of it. They are the same knock.
#[test]
fn a_knock_with_another_iv_before_it_is_no_other_knock() {
    let mut stage = Stage::new(BARE);
    let seen = stage.window(client(), 15, &[7, 1]);
    let mut changed = seen.clone();
    // Behind IP and PORT: TIME, then the CHECKSUM.
    changed[5] ^= 15 ^ 16;
    changed[6] ^= 48 ^ 49;
    let time = |verdict| match verdict {
        Verdict::Accepted(accepted) => accepted.knock.get("TIME"),
        _ => None,
    };
    assert_eq!(time(stage.send(client(), &changed)), Some(Value::Number(16)));
    let mut stage = Stage::new(BARE);
    assert_eq!(time(stage.send(client(), &seen)), Some(Value::Number(15)));
    let verdict = stage.send(client(), &changed);
    assert!(matches!(verdict, Verdict::Refused(Refusal::Replayed)), "{verdict:?}");
}

/// Promise 12.
#[test]
fn of_ten_thousand_replays_none_is_accepted() {
    let mut stage = Stage::new(BARE);
    let knocks: Vec<_> = (0..100).map(|n| stage.window(client(), 5, &[n, 9])).collect();
    for knock in &knocks {
        assert!(matches!(stage.send(client(), knock), Verdict::Accepted(_)));
    }
    for round in 0..100 {
        for knock in &knocks {
            let verdict = stage.send(client(), knock);
            assert!(matches!(verdict, Verdict::Refused(Refusal::Replayed)), "{verdict:?}");
        }
        if round % 10 == 0 {
            stage.restart();
        }
    }
    assert_eq!(stage.engine.ledger().spent(), 100);
    assert_eq!(stage.durable.len(), 100);
}

/// Something that happens to an engine.
#[derive(Clone, Debug)]
enum Step {
    /// A client sends a knock, known by its number, or a part of it.
    Send {
        client: u8,
        number: u8,
        from: usize,
        to: usize,
    },
    Noise {
        client: u8,
        symbols: Vec<u16>,
    },
    Restart,
    Reload(&'static str),
}

fn any_step() -> impl Strategy<Value = Step> {
    let whole = (0..3u8, 0..6u8).prop_map(|(client, number)| Step::Send {
        client,
        number,
        from: 0,
        to: usize::MAX,
    });
    let part = (0..3u8, 0..6u8, 0..24usize, 0..24usize)
        .prop_map(|(client, number, from, to)| Step::Send { client, number, from, to });
    let noise = (0..3u8, prop::collection::vec(0..256u16, 0..40))
        .prop_map(|(client, symbols)| Step::Noise { client, symbols });
    let reload = prop::sample::select(vec!["max 2", "timeout 60s", "span 2000-2255"]);
    prop_oneof![
        8 => whole,
        4 => part,
        2 => noise,
        1 => Just(Step::Restart),
        1 => reload.prop_map(Step::Reload),
    ]
}

proptest! {
    /// Whatever comes in between: at most once, and at once when it is fresh and comes whole.
    #[test]
    fn a_knock_is_accepted_once_whatever_is_in_between(
        format in prop::sample::select(vec!["iv yes", "iv bare", "iv bare\nmac 4", "salted opensslv2"]),
        steps in prop::collection::vec(any_step(), 0..60),
    ) {
        let mut stage = Stage::new(&with(format));
        let mut accepted: BTreeMap<(u8, u8), u32> = BTreeMap::new();
        let mut spent = BTreeSet::new();
        for step in steps {
            match step {
                Step::Send { client, number, from, to } => {
                    let address = IpAddr::from([10, 0, 0, client]);
                    let window = stage.window(address, number.into(), &[number, client, 3]);
                    let to = to.min(window.len());
                    let sent = window.get(from.min(to)..to).unwrap();
                    let whole = sent.len() == window.len();
                    let verdict = stage.send(address, sent);
                    let fresh = !spent.contains(&(client, number));
                    if let Verdict::Accepted(knock) = &verdict {
                        prop_assert_eq!(knock.knock.get("TIME"), Some(Value::Number(number.into())));
                        *accepted.entry((client, number)).or_default() += 1;
                        spent.insert((client, number));
                    }
                    let was_accepted = matches!(verdict, Verdict::Accepted(_));
                    prop_assert!(!whole || was_accepted == fresh, "{:?}", verdict);
                }
                Step::Noise { client, symbols } => {
                    stage.send(IpAddr::from([10, 0, 0, client]), &symbols);
                }
                Step::Restart => stage.restart(),
                Step::Reload(setting) => {
                    stage.plan = format!("{}\n{setting}", with(format));
                    let plan = plan(&stage.plan);
                    stage.engine.replace_plan(plan);
                }
            }
        }
        prop_assert!(accepted.values().all(|times| *times == 1));
        prop_assert_eq!(stage.engine.ledger().spent(), accepted.len());
    }
}
