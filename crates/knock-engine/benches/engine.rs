//! What a hit costs: while windows fill, when they are refused, when they spell a knock.
//! `cargo bench -p knock-engine`; one item is one hit. Where it lists no
//! allocations, there are none.

#![allow(clippy::unwrap_used, reason = "a benchmark that cannot be set up has nothing to tell")]

use std::net::{IpAddr, Ipv4Addr};
use std::time::{Duration, UNIX_EPOCH};

use divan::counter::ItemsCount;
use divan::{AllocProfiler, Bencher};

use knock_engine::{
    Action, Engine, LeasePolicy, Ledger, Now, Plan, QueuePolicy, Replay, Scheduler, Verdict,
};
use knock_rules::{Condition, Delay, LocalTime, Names, Template, TemplateKind};
use knock_wire::{
    AddressRule, Cipher, CipherSpec, Codec, Field, Hit, Knock, PortSpan, Secret, Shape, Value,
};

#[global_allocator]
static ALLOCATIONS: AllocProfiler = AllocProfiler::system();

fn main() {
    divan::main();
}

/// Every client's first hit, with a full table: each one makes another client go.
#[divan::bench(args = [1_000, 100_000, 1_000_000])]
fn forged(bencher: Bencher<'_, '_>, clients: u32) {
    let mut engine = engine(clients);
    let mut forged = 0..;
    for client in forged.by_ref().take(clients as usize) {
        engine.hit(&now(), &hit(client, 800));
    }
    bencher.counter(ItemsCount::new(1u32)).bench_local(|| {
        let client = forged.next().unwrap_or_default();
        engine.hit(&now(), &hit(client, 800))
    });
}

/// Full windows of junk: each hit is a decoding attempt.
#[divan::bench(args = [1, 1_000, 100_000, 1_000_000])]
fn refused(bencher: Bencher<'_, '_>, clients: u32) {
    let mut engine = engine(clients);
    let mut turn = (0..clients).cycle();
    // Until the memory of repeats is full, too, a client's ring still grows.
    for _ in 0..16 * clients {
        engine.hit(&now(), &hit(turn.next().unwrap_or_default(), 800));
    }
    bencher
        .counter(ItemsCount::new(1u32))
        .bench_local(|| engine.hit(&now(), &hit(turn.next().unwrap_or_default(), 801)));
}

/// Knocks of eight hits that open at once and close later, committed and carried out.
#[divan::bench(args = [1, 1_000, 100_000])]
fn accepted(bencher: Bencher<'_, '_>, clients: u32) {
    let mut engine = engine(clients);
    let knocks: Vec<(u32, Vec<u16>)> = (0..clients).map(|client| (client, ports(client))).collect();
    let mut turn = knocks.iter().cycle();
    bencher.counter(ItemsCount::new(8u32)).bench_local(|| {
        let Some((client, ports)) = turn.next() else { return };
        for port in ports {
            if let Verdict::Accepted(accepted) = engine.hit(&now(), &hit(*client, *port)) {
                engine.commit(&accepted.changes);
                for order in accepted.orders {
                    engine.finished(&now(), order.id, &knock_engine::Outcome::Done);
                }
            }
        }
    });
    assert!(engine.counters().accepted > 0);
}

fn engine(max_clients: u32) -> Engine {
    let names = Names::new(codec().shape());
    let action = |name: &str, condition: &str, delay: Option<&str>, rule: &str| Action {
        name: name.to_owned(),
        template: name.to_owned(),
        condition: Condition::parse(condition, &names).unwrap(),
        delay: delay.map(|delay| Delay::parse(delay, &names).unwrap()),
        command: Some(Template::parse_iptables(TemplateKind::Iptables, rule, &names).unwrap()),
        lease: None,
        cooldown: None,
        state: Vec::new(),
        timeout: Duration::from_secs(30),
        user: None,
        on_failure: Vec::new(),
    };
    let rule = "-p tcp -s IP/32 --dport PORT --syn -j ACCEPT";
    let plan = Plan {
        codec: codec(),
        actions: vec![
            action("open", "PORT == 22 && TIME != 255", None, &format!("-I INPUT {rule}")),
            action("close", "PORT == 22 && TIME != 255", Some("TIME"), &format!("-D INPUT {rule}")),
        ],
        queue: QueuePolicy {
            timeout: Some(Duration::from_secs(60)),
            max_clients: max_clients as usize,
        },
        scheduler: Scheduler::Agenda,
        leases: LeasePolicy::default(),
        replay: Replay::Allow,
    };
    Engine::new(plan, Ledger::new())
}

fn codec() -> Codec {
    let shape = Shape::parse("IP,PORT,TIME,CHECKSUM").unwrap();
    let span = PortSpan::parse("745-1000").unwrap();
    let cipher = Cipher::new(&CipherSpec::classic(Secret::new(b"secret".to_vec()))).unwrap();
    Codec::new(shape, span, cipher, AddressRule::MustMatch).unwrap()
}

fn ports(client: u32) -> Vec<u16> {
    let mut knock = Knock::new();
    knock.set(Field::Ip, Value::from(Ipv4Addr::from_bits(client)));
    knock.set(Field::Port, Value::Number(22));
    knock.set(Field::Time, Value::Number(15));
    codec().encode(&knock, |_| ()).unwrap()
}

fn hit(client: u32, port: u16) -> Hit {
    Hit::new(IpAddr::V4(Ipv4Addr::from_bits(client)), port)
}

fn now() -> Now {
    let local = LocalTime { year: 2004, month: 6, day: 1, hour: 12, minute: 0, weekday: 2 };
    Now { wall: UNIX_EPOCH, uptime: Duration::ZERO, local }
}
