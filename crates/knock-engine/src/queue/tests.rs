//! The ring against a naive model that keeps everything, and its size.

use proptest::prelude::*;

use super::*;

/// What the queue is meant to do, written for the eye.
#[derive(Default)]
struct Model {
    hits: Vec<(u16, Option<u16>, u64)>,
    window: Vec<u16>,
    newest: u64,
}

impl Model {
    fn push(&mut self, symbol: u16, source: Option<u16>, at: u64, limits: Limits) -> Pushed {
        let recent = self.hits.len().saturating_sub(REPEATS);
        let same = |hit: &&mut (u16, Option<u16>, u64)| {
            source.is_some() && (hit.0, hit.1) == (symbol, source) && at - hit.2 <= 10_000
        };
        if let Some(earlier) = self.hits[recent..].iter_mut().find(same) {
            earlier.2 = at;
            return Pushed::Repeated;
        }
        let newest = self.hits.last().map(|hit| hit.2);
        if let (Some(timeout), Some(newest)) = (limits.timeout, newest)
            && at - newest > u64::from(timeout)
        {
            self.window.clear();
        }
        self.hits.push((symbol, source, at));
        self.window.push(symbol);
        if self.window.len() > limits.slots {
            self.window.remove(0);
        }
        Pushed::Filled(self.window.len())
    }
}

#[derive(Clone, Debug)]
struct Step {
    symbol: u16,
    source: Option<u16>,
    pause: u64,
    accepted: bool,
}

fn steps() -> impl Strategy<Value = Vec<Step>> {
    let pause = prop_oneof![5 => 0u64..3000, 1 => 9_990u64..10_010, 1 => 50_000u64..70_000];
    let step = (0u16..4, prop::option::of(1u16..4), pause, prop::bool::weighted(0.2));
    let step =
        step.prop_map(|(symbol, source, pause, accepted)| Step { symbol, source, pause, accepted });
    prop::collection::vec(step, 1..120)
}

proptest! {
    #[test]
    fn the_ring_does_what_the_model_does(
        steps in steps(),
        slots in prop_oneof![1usize..12, 12usize..40],
        timeout in prop::option::of(Just(Duration::from_secs(60))),
        // Close to where the stamp wraps, too.
        start in prop_oneof![Just(0u64), Just(u64::from(u32::MAX) - 5_000)],
    ) {
        let limits = Limits::new(slots, timeout);
        let (mut queue, mut model) = (Queue::default(), Model { newest: start, ..Model::default() });
        for step in steps {
            model.newest += step.pause;
            let at = model.newest;
            let stamp = Stamp::of(Duration::from_millis(at));
            let expected = model.push(step.symbol, step.source, at, limits);
            prop_assert_eq!(queue.push(step.symbol, step.source, stamp, limits), expected);
            prop_assert_eq!(queue.window().collect::<Vec<_>>(), model.window.clone());
            if expected == Pushed::Filled(slots) {
                if step.accepted {
                    queue.empty();
                    model.window.clear();
                } else {
                    queue.slide();
                    model.window.remove(0);
                }
            }
        }
    }
}

#[test]
fn a_log_whose_times_run_backwards_keeps_its_queue() {
    let limits = Limits::new(8, Some(Duration::from_secs(60)));
    let mut queue = Queue::default();
    for (nth, at) in [100_000, 99_000, 20_000].into_iter().enumerate() {
        let stamp = Stamp::of(Duration::from_millis(at));
        assert_eq!(queue.push(1, None, stamp, limits), Pushed::Filled(nth + 1));
    }
}

#[test]
fn a_client_costs_what_the_bound_on_memory_counts_with() {
    assert_eq!(size_of::<Entry>(), 8);
    assert_eq!(size_of::<Queue>(), 32);
    let limits = Limits::new(8, None);
    let mut queue = Queue::default();
    for _ in 0..100 {
        queue.push(1, None, Stamp::default(), limits);
    }
    assert_eq!(queue.cells.as_slice().len(), REPEATS);
}
