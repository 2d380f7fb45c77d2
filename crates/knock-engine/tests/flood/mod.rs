//! What strangers can make the engine do: nothing, within bounds.

use std::net::{IpAddr, Ipv4Addr};
use std::time::{Duration, UNIX_EPOCH};

use knock_engine::{Engine, Ledger, Now, Verdict};
use knock_rules::LocalTime;
use knock_wire::Hit;

use crate::script::plan;

/// A small random generator with a fixed seed: the same flood each time.
struct Random(u64);

impl Random {
    fn below(&mut self, bound: u64) -> u64 {
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        (self.0 >> 16) % bound
    }
}

#[test]
fn a_million_random_hits_ask_for_nothing() {
    const MAX: usize = 5_000;
    let plan = plan(&format!(
        "max {MAX}
         timeout 60s
         action open if 1 iptables -I INPUT -s IP/32 -j ACCEPT state state(IP,visits)++"
    ));
    let mut engine = Engine::new(plan, Ledger::new());
    let mut random = Random(0x6b6e_6f63_6b31);
    let local = LocalTime { year: 2004, month: 6, day: 1, hour: 12, minute: 0, weekday: 2 };
    for n in 0..1_000_000 {
        let uptime = Duration::from_millis(n);
        let now = Now { wall: UNIX_EPOCH + uptime, uptime, local };
        // A few busy clients, whose windows are full, in a crowd of forged ones.
        let clients = if random.below(2) == 0 { 50 } else { 100_000 };
        let client = IpAddr::V4(Ipv4Addr::from_bits(u32::try_from(random.below(clients)).unwrap()));
        let port = u16::try_from(700 + random.below(350)).unwrap();
        let source_port = u16::try_from(random.below(3)).ok();
        let verdict = engine.hit(&now, &Hit { source_port, ..Hit::new(client, port) });
        assert!(!matches!(verdict, Verdict::Accepted(_)), "{verdict:?}");
    }
    let counters = engine.counters();
    assert_eq!(counters.hits, 1_000_000);
    assert!(counters.refused.values().sum::<u64>() > 100_000, "{counters:?}");
    assert!(counters.evicted > 100_000, "{counters:?}");
    assert_eq!(engine.ledger().orders().count(), 0);
    assert_eq!(engine.ledger().memory().iter().count(), 0);
    assert_eq!(engine.next_due(), None);
}
