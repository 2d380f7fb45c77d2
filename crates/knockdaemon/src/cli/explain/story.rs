//! The story of one client: every hit goes through the engine as in the daemon, and what becomes of
//! this client's is told. Runs nothing. Lines come from `mod.rs` and `follow.rs`; words from `words.rs`.

use std::collections::VecDeque;
use std::net::IpAddr;
use std::ops::ControlFlow;
use std::sync::Arc;
use std::time::Duration;

use knock_config::DaemonSettings;
use knock_engine::{Accepted, Engine, Ledger, Now, Verdict};
use knock_formats::{Extractor, Formats, NoHit};
use knock_wire::{Hit, Refusal};

use super::around::{Around, is_near};
use super::named::Named;
use super::near::{self, Budget, Near, Repair, Seen, Spelled};
use super::packets::{self, Sent};
use super::tally::Tally;
use super::teller::{Became, Place, Teller};
use super::words::{self, Forgotten, Scene};

/// A missing hit is not told at once: it may come late, or be the last and be on its way.
const WAIT_HITS: usize = 3;

/// As far as the log's time goes, so long.
const WAIT_TIME: Duration = Duration::from_secs(10);

/// A line or a packet, and where it stands. Most are not told of, so the place is asked for then.
pub(super) struct Said<'a> {
    pub(super) place: &'a dyn Fn() -> Place,
    /// The line; a packet has none.
    pub(super) line: Option<&'a [u8]>,
}

/// Everything that is known of the client so far.
pub(super) struct Story {
    client: IpAddr,
    named: Named,
    engine: Engine,
    formats: Arc<Formats>,
    extractor: Extractor,
    /// The client's last hits inside the span, oldest first.
    recent: VecDeque<Seen>,
    /// The same with those of addresses nearby.
    mixed: VecDeque<Seen>,
    /// When the last of them came.
    last_at: Option<Duration>,
    /// How many hits the queue held after the last one.
    held: usize,
    waiting: Option<Waiting>,
    budget: Budget,
    around: Around,
    tally: Tally,
    teller: Teller,
}

/// A knock that lacked one hit when it was last looked at.
struct Waiting {
    near: Near,
    hits_since: usize,
    at: Duration,
}

impl Story {
    pub(super) fn new(settings: DaemonSettings, client: IpAddr, teller: Teller) -> Self {
        let formats = settings.formats;
        Self {
            client,
            named: Named::new(client),
            engine: Engine::new(settings.plan, Ledger::new()),
            extractor: Extractor::new(Arc::clone(&formats)),
            formats,
            recent: VecDeque::new(),
            mixed: VecDeque::new(),
            last_at: None,
            held: 0,
            waiting: None,
            budget: Budget::new(),
            around: Around::default(),
            tally: Tally::default(),
            teller,
        }
    }

    /// Another log begins: its first line repeats none of the last.
    pub(super) fn next_log(&mut self) {
        self.extractor = Extractor::new(Arc::clone(&self.formats));
    }

    /// Takes a line. `now` gives the time of its hit, if it has one.
    pub(super) fn line(
        &mut self,
        place: &dyn Fn() -> Place,
        line: &[u8],
        now: &mut dyn FnMut(&Hit) -> Now,
    ) {
        self.tally.read += 1;
        let said = Said { place, line: Some(line) };
        match self.extractor.examine(line) {
            Ok((hit, times)) => {
                let now = now(&hit);
                (0..times).for_each(|_| self.hit(&said, &hit, &now));
            }
            Err(why) => {
                let code = words::reason_code(&why);
                self.tally.no_hit(code);
                if self.named.is_in(line) {
                    let about = if why == NoHit::NotRequired { "not_required" } else { code };
                    self.no_hit(&said, about, &why.to_string(), words::no_hit_remedy(&why));
                }
            }
        }
    }

    /// Takes a packet.
    pub(super) fn packet(
        &mut self,
        place: &dyn Fn() -> Place,
        sent: &Sent,
        now: &mut dyn FnMut(&Hit) -> Now,
    ) {
        self.tally.read += 1;
        let said = Said { place, line: None };
        match &sent.hit {
            Ok(hit) => {
                let now = now(hit);
                self.hit(&said, hit, &now);
            }
            Err(why) => {
                let code = packets::code(why);
                self.tally.no_hit(code);
                if sent.from == Some(self.client) {
                    self.no_hit(&said, code, &why.to_string(), words::no_packet_remedy(why));
                }
            }
        }
    }

    /// Nothing has come for a while, or nothing more will: what waits is told.
    pub(super) fn pause(&mut self) {
        if let Some(waiting) = self.waiting.take() {
            self.tell_near(&waiting.near, waiting.hits_since);
        }
    }

    /// Whether [`pause`](Self::pause) would tell anything.
    pub(super) fn waits(&self) -> bool {
        self.waiting.is_some()
    }

    /// Ends the story with what it comes to; whether the client has knocked.
    pub(super) fn end(mut self) -> (bool, Teller) {
        self.pause();
        self.tally.end_group();
        self.tally.search_ended = self.budget.is_spent();
        let format_names: Vec<&str> = self.formats.names().collect();
        let plan = self.engine.plan();
        let conclusions =
            self.tally.conclusions(self.client, &plan.codec, &self.around, &format_names);
        self.teller.summary(self.client, &self.tally, &self.around, &conclusions);
        (self.tally.knocks > 0, self.teller)
    }

    /// Whether there is a point in telling more.
    pub(super) fn go_on(&self) -> ControlFlow<()> {
        self.teller.out.go_on()
    }

    /// Shows what has been told so far, for who looks on.
    pub(super) fn show(&mut self) -> ControlFlow<()> {
        self.teller.out.show();
        self.go_on()
    }

    fn no_hit(&mut self, said: &Said<'_>, code: &'static str, why: &str, remedy: &str) {
        let first = !self.tally.noise.contains_key(code);
        if self.tally.worth_telling(code) {
            self.teller.no_hit(said, code, why, if first { remedy } else { "" });
        }
    }

    fn hit(&mut self, said: &Said<'_>, hit: &Hit, now: &Now) {
        self.tally.hits += 1;
        let from = hit.client.to_canonical();
        if from == self.client {
            return self.own_hit(said, hit, now);
        }
        let verdict = self.engine.hit(now, hit);
        let in_span = !matches!(verdict, Verdict::OutsideSpan);
        let knocked = matches!(verdict, Verdict::Accepted(_));
        self.around.hit(self.client, from, in_span, knocked);
        if in_span && is_near(self.client, from) {
            let repeated = matches!(verdict, Verdict::Repeated);
            self.search_mixed(seen(&self.engine, hit, from, now, repeated));
        }
        if let Verdict::Accepted(accepted) = verdict {
            // The state goes on as it would have; orders are not kept.
            self.engine.commit(&accepted.remembered());
        }
    }

    fn own_hit(&mut self, said: &Said<'_>, hit: &Hit, now: &Now) {
        self.tally.own_hits += 1;
        let before = self.engine.queued(self.client).len();
        let verdict = self.engine.hit(now, hit);
        if matches!(verdict, Verdict::OutsideSpan) {
            self.tally.outside(hit.port);
            if self.tally.worth_telling("outside_span") {
                let span = self.engine.span().to_string();
                self.teller.hit(said, hit, None, &Became::Outside { span: &span });
            }
            return;
        }
        let repeated = matches!(verdict, Verdict::Repeated);
        let seen = seen(&self.engine, hit, self.client, now, repeated);
        let pause = self.last_at.map(|last| now.uptime.saturating_sub(last));
        self.last_at = Some(now.uptime);
        if !repeated {
            self.tally.in_span(pause);
        }
        let forgotten = self.forgotten(before, pause, &verdict);
        self.tell_hit(said, hit, forgotten, &verdict);
        self.keep(seen);
        match verdict {
            Verdict::Accepted(accepted) => self.accepted(said, &accepted),
            Verdict::Refused(refusal) => self.refused(refusal, seen),
            Verdict::OutsideSpan | Verdict::Repeated | Verdict::Queued { .. } => {
                self.search(seen, false);
            }
        }
        self.held = self.engine.queued(self.client).len();
    }

    /// Why the queue holds less than it did.
    fn forgotten(
        &self,
        before: usize,
        pause: Option<Duration>,
        verdict: &Verdict,
    ) -> Option<Forgotten> {
        if before < self.held {
            return Some(Forgotten::MadeRoom { hits: self.held });
        }
        let Verdict::Queued { filled: 1, .. } = verdict else { return None };
        let (pause, timeout) = (pause?, self.engine.plan().queue.timeout?);
        (before > 0).then_some(Forgotten::TooOld { pause, timeout, hits: before })
    }

    fn tell_hit(
        &mut self,
        said: &Said<'_>,
        hit: &Hit,
        forgotten: Option<Forgotten>,
        verdict: &Verdict,
    ) {
        let became = match verdict {
            // Told by the caller, with the span.
            Verdict::OutsideSpan => return,
            Verdict::Repeated => {
                self.tally.repeated += 1;
                Became::Repeated
            }
            Verdict::Queued { of, .. } => {
                Became::Queued { queue: self.engine.queued(self.client), of: *of }
            }
            Verdict::Refused(refusal) => {
                self.tally.refused(refusal.code());
                Became::Refused { refusal: *refusal, window: self.engine.judged_window() }
            }
            Verdict::Accepted(_) => Became::Accepted { window: self.engine.judged_window() },
        };
        self.teller.hit(said, hit, forgotten, &became);
    }

    fn keep(&mut self, seen: Seen) {
        let most = near::worth_keeping(&self.engine.plan().codec);
        for hits in [&mut self.recent, &mut self.mixed] {
            hits.push_back(seen);
            while hits.len() > most {
                hits.pop_front();
            }
        }
    }

    fn accepted(&mut self, said: &Said<'_>, accepted: &Accepted) {
        // What was missing came: it was merely the last.
        self.waiting = None;
        self.recent.clear();
        self.mixed.clear();
        self.tally.knocks += 1;
        self.tally.end_group();
        self.teller.knock(said, accepted, &self.engine.plan().actions);
        self.engine.commit(&accepted.remembered());
    }

    fn refused(&mut self, refusal: Refusal, newest: Seen) {
        match refusal {
            Refusal::Address { inside } => {
                let slots = self.engine.plan().codec.slots();
                let all = self.recent.iter().filter(|hit| !hit.repeated).copied();
                let hits: Vec<Seen> = all.collect();
                let window = hits.get(hits.len().saturating_sub(slots)..).unwrap_or_default();
                let spelled = Spelled::OtherAddress(inside);
                self.waiting = None;
                let near = Near { repair: Repair::AsTheyCame, spelled, hits: window.to_vec() };
                self.tell_near(&near, 0);
            }
            // A whole knock: there is nothing to mend, and none of its hits is another's.
            Refusal::Replayed => {
                self.waiting = None;
                self.recent.clear();
                self.mixed.clear();
                self.tally.end_group();
            }
            // It was not judged, so it may be one.
            Refusal::Busy => self.search(newest, false),
            _ => self.search(newest, true),
        }
    }

    fn search(&mut self, newest: Seen, judged: bool) {
        let codec = &self.engine.plan().codec;
        let hits = self.recent.make_contiguous();
        let found =
            near::search(codec, self.client, hits, judged, &mut self.budget).or_else(|| {
                let mixed = self.mixed.make_contiguous();
                near::search_addresses(codec, self.client, mixed, &mut self.budget)
            });
        match found {
            Some(near) if matches!(near.repair, Repair::Missing { .. }) => {
                self.waited(newest);
                self.pause();
                self.waiting = Some(Waiting { near, hits_since: 0, at: newest.at });
            }
            // What waited is the better explanation, and what is left explains nothing.
            Some(near) if self.is_worse(&near) => {
                self.waited(newest);
                self.pause();
            }
            // However late it came: what was missing is there.
            Some(near) => {
                self.waiting = None;
                self.tell_near(&near, 0);
            }
            None => self.waited(newest),
        }
    }

    /// One more hit has come since a knock lacked one.
    fn waited(&mut self, newest: Seen) {
        let Some(waiting) = &mut self.waiting else { return };
        waiting.hits_since += 1;
        let late = newest.at.saturating_sub(waiting.at) > WAIT_TIME;
        if waiting.hits_since >= WAIT_HITS || late {
            self.pause();
        }
    }

    /// Whether a knock that waits for a hit explains more. The first hit of a second try looks like
    /// the lost first one of the try before, and late by the whole knock.
    fn is_worse(&self, near: &Near) -> bool {
        match (&near.repair, self.waiting.as_ref().map(|waiting| &waiting.near.repair)) {
            (Repair::Moved { late, .. }, Some(Repair::Missing { place: 1, .. })) => {
                let slots = self.engine.plan().codec.slots();
                usize::try_from(*late).is_ok_and(|late| late + 1 >= slots)
            }
            (_, _) => false,
        }
    }

    fn search_mixed(&mut self, seen: Seen) {
        let most = near::worth_keeping(&self.engine.plan().codec);
        self.mixed.push_back(seen);
        while self.mixed.len() > most {
            self.mixed.pop_front();
        }
        let (codec, mixed) = (&self.engine.plan().codec, self.mixed.make_contiguous());
        let found = near::search_addresses(codec, self.client, mixed, &mut self.budget);
        if let Some(near) = found {
            self.waiting = None;
            self.tell_near(&near, 0);
        }
    }

    /// All hits but so many of the newest have had their explanation.
    fn tell_near(&mut self, near: &Near, keep: usize) {
        self.recent.drain(..self.recent.len().saturating_sub(keep));
        self.mixed.clone_from(&self.recent);
        let plan = self.engine.plan();
        let scene =
            Scene { client: self.client, slots: plan.codec.slots(), timeout: plan.queue.timeout };
        let words = words::near(near, &scene);
        self.tally.near(words.code);
        self.teller.near(near, &words);
    }
}

fn seen(engine: &Engine, hit: &Hit, from: IpAddr, now: &Now, repeated: bool) -> Seen {
    Seen {
        from,
        port: hit.port,
        // It is inside the span, or nobody would ask.
        symbol: engine.span().symbol(hit.port).unwrap_or_default(),
        source_port: hit.source_port,
        at: now.uptime,
        repeated,
    }
}
