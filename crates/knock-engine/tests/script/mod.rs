//! Journeys as text: what happens at what time, and what the engine says to it.
//!
//! A script is a list of lines `at TIME COMMAND -> ANSWER`. [`check`] runs the commands, writes the
//! same list with the answers that really came, and compares the two. Everything that an accepted
//! knock changes is committed at once and kept, so that `restart` can build a ledger from it.
//!
//! | command | answer |
//! | --- | --- |
//! | `hit CLIENT:PORT [from SOURCEPORT]`, `hits CLIENT:PORT,PORT,…` | the last verdict |
//! | `knock CLIENT FIELD=N … [slots A-B] [uncommitted]` | the last verdict |
//! | `… inside ADDRESS`, `… wrong key`, `… wrong checksum` | a knock that is not right |
//! | `… drawn N` | with another IV or salt than without; the same N is the same knock |
//! | `… read again` | its hits were dealt with by an earlier run; no answer |
//! | `due [AT_MOST]`; `next` | what is handed out; when to ask again |
//! | `done NAME CLIENT`, `failed …`, `broken …`, `refused …`, `late …`, `taken …`, `put back …` | what becomes of it |
//! | `show NAME CLIENT`, `agenda`, `state KEY,KEY`, `counters` | a look inside |
//! | `look` | what comparing the clocks came to |
//! | `reload PLAN`, `restart`, `reboot`, `clock +1h` or `clock -1h` | |

mod leases;

use std::collections::BTreeMap;
use std::net::IpAddr;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use knock_engine::{
    Action, Change, Engine, Fallback, Fate, Finished, Ledger, Machine, Now, Order, OrderId,
    Outcome, Plan, QueuePolicy, Replay, Scheduler, Verdict,
};
use knock_rules::{
    Command, Condition, Delay, LocalTime, MemoryValue, Names, StateUpdate, Template, TemplateKind,
};
use knock_wire::{
    AddressRule, Cipher, CipherSpec, Codec, Field, Hit, IvMode, KeyDerivation, Knock, PortSpan,
    Secret, Shape, Value,
};

/// The script's zero: 2004-06-01 12:00:00 UTC.
const START: Duration = Duration::from_secs(1_086_091_200);

/// A plan as text, one setting a line: `knock`, `span`, `key`, `salted` (with a derivation), `iv` and `mac`,
/// `replay`, `timeout`, `max`, `anyip`, and
/// `scheduler`, and `action NAME if CONDITION [after DELAY] [iptables RULE | system COMMAND]
/// [else COMMAND]… [state UPDATE]…`.
pub(crate) fn plan(text: &str) -> Plan {
    let mut settings = BTreeMap::new();
    let mut actions = Vec::new();
    for line in text.lines().map(str::trim).filter(|line| !line.is_empty()) {
        let (key, value) = line.split_once(' ').expect(line);
        if key == "action" {
            actions.push(value);
        } else {
            settings.insert(key, value);
        }
    }
    let setting = |key, default| settings.get(key).copied().unwrap_or(default);
    let shape = Shape::parse(setting("knock", "IP,PORT,TIME,CHECKSUM")).unwrap();
    let names = Names::new(&shape);
    let address = match setting("anyip", "no") {
        "no" => AddressRule::MustMatch,
        _ => AddressRule::Any,
    };
    let span = PortSpan::parse(setting("span", "745-1000")).unwrap();
    let timeout = settings.get("timeout").map(|text| duration(text));
    let scheduler = match setting("scheduler", "agenda") {
        "at" => Scheduler::At,
        _ => Scheduler::Agenda,
    };
    Plan {
        scheduler,
        leases: leases::policy(settings.get("maxlease").copied(), setting("onelease", "no")),
        codec: Codec::new(shape, span, cipher(&setting), address).unwrap(),
        actions: actions.into_iter().map(|text| action(text, &names)).collect(),
        queue: QueuePolicy { timeout, max_clients: setting("max", "1000").parse().unwrap() },
        replay: match setting("replay", "allow") {
            "allow" => Replay::Allow,
            _ => Replay::Reject,
        },
    }
}

fn cipher<'a>(setting: &impl Fn(&'static str, &'static str) -> &'a str) -> Cipher {
    let key = setting("key", "secret");
    let spec = CipherSpec {
        mac: setting("mac", "0").parse().unwrap(),
        iv: match setting("iv", "no") {
            "yes" => IvMode::Random,
            "bare" => IvMode::Bare,
            _ => IvMode::default(),
        },
        ..CipherSpec::classic(Secret::new(key.as_bytes().to_vec()))
    };
    match (key, KeyDerivation::parse(setting("salted", "no"))) {
        ("none", _) => Cipher::none(),
        (_, None) => Cipher::new(&spec).unwrap(),
        (_, Some(derivation)) => {
            Cipher::new(&CipherSpec { iv: IvMode::Salt, derivation, ..spec }).unwrap()
        }
    }
}

fn action(text: &str, names: &Names) -> Action {
    let words = [
        " if ",
        " after ",
        " iptables ",
        " system ",
        " else ",
        " state ",
        " opens ",
        " shuts ",
        " cools ",
    ];
    let (name, mut rest) = text.split_once(" if ").expect(text);
    let mut action = Action {
        name: name.to_owned(),
        template: format!("t-{name}"),
        condition: Condition::always(),
        delay: None,
        command: None,
        lease: None,
        cooldown: None,
        state: Vec::new(),
        timeout: Duration::from_secs(30),
        user: None,
        on_failure: Vec::new(),
    };
    let mut part = " if ";
    loop {
        let next = words.iter().filter_map(|word| Some((rest.find(word)?, *word))).min();
        let value = next.map_or(rest, |(at, _)| &rest[..at]);
        match part {
            " if " => action.condition = Condition::parse(value, names).unwrap(),
            " after " => action.delay = Some(Delay::parse(value, names).unwrap()),
            " system " => action.command = Some(Template::parse_shell(value, names).unwrap()),
            " else " => action.on_failure.push(Fallback {
                template: format!("t-{value}"),
                command: Template::parse_shell(value, names).unwrap(),
                user: None,
                timeout: Duration::from_secs(30),
            }),
            " opens " | " shuts " | " cools " => leases::part(&mut action, part, value, names),
            " state " => action.state.extend(StateUpdate::parse(value, names).unwrap()),
            _ => {
                let rule = Template::parse_iptables(TemplateKind::Iptables, value, names);
                action.command = Some(rule.unwrap());
            }
        }
        let Some((at, word)) = next else { return action };
        (part, rest) = (word, &rest[at + word.len()..]);
    }
}

/// Runs a script against a plan; what really happened has to read like the script.
pub(crate) fn check(plan_text: &str, script: &str) {
    let mut stage = Stage::new(plan_text);
    let mut happened = String::new();
    let mut expected = String::new();
    for line in script.lines().map(str::trim).filter(|line| !line.is_empty()) {
        expected += &format!("{line}\n");
        let command = line.split(" ->").next().unwrap_or_default();
        let answer = stage.line(command);
        happened += &if answer.is_empty() {
            format!("{command}\n")
        } else {
            format!("{command} -> {answer}\n")
        };
    }
    assert!(happened == expected, "happened:\n{happened}\nexpected:\n{expected}");
}

struct Stage {
    plan: String,
    engine: Engine,
    durable: Vec<Change>,
    handed_out: Vec<Order>,
    uptime: Duration,
    /// Wall time in seconds since the start of the script.
    wall: i64,
    /// The runs of the machine so far, and when the last began.
    boots: u32,
    booted: Duration,
    /// The number that the leases had when the firewall was looked at.
    asked: Option<u64>,
}

impl Stage {
    fn new(plan_text: &str) -> Self {
        Self {
            plan: plan_text.to_owned(),
            engine: Engine::new(plan(plan_text), Ledger::new()),
            durable: Vec::new(),
            handed_out: Vec::new(),
            uptime: Duration::ZERO,
            wall: 0,
            boots: 1,
            booted: Duration::ZERO,
            asked: None,
        }
    }

    fn line(&mut self, line: &str) -> String {
        let rest = line.strip_prefix("at ").expect(line);
        let (at, command) = rest.split_once(' ').expect(line);
        let uptime = duration(at);
        self.wall += seconds(uptime) - seconds(self.uptime);
        self.uptime = uptime;
        let (verb, rest) = command.split_once(' ').unwrap_or((command, ""));
        match (verb, rest) {
            ("hit" | "hits", rest) => self.hits(rest),
            ("knock", rest) => self.knock(rest),
            ("due", at_most) => {
                let at_most =
                    if at_most.is_empty() { usize::MAX } else { at_most.parse().unwrap() };
                let orders = self.engine.due(&self.now(), at_most);
                let named = orders.iter().map(|o| format!("{} {}", leases::name(o), o.client));
                let answer = or_nothing(named.collect());
                self.handed_out.extend(orders);
                answer
            }
            ("next", "") => {
                self.engine.next_due().map_or("nothing".to_owned(), |due| self.moment(due))
            }
            ("put", order) => {
                let id = self.take(order.strip_prefix("back ").expect(order)).id;
                self.engine.put_back(id);
                String::new()
            }
            ("done", order) => self.finish(order, &Outcome::Done),
            ("taken", order) => self.finish(order, &Outcome::HandedOver { job: 7 }),
            ("already", order) => self.finish(order, &Outcome::AlreadySo),
            ("late", order) => {
                self.finish(order, &Outcome::TimedOut { after: Duration::from_secs(30) })
            }
            ("failed", order) => {
                self.finish(order, &Outcome::Failed { why: "locked".to_owned(), again: true })
            }
            ("refused", order) => {
                self.finish(order, &Outcome::NotBegun { why: "another keeps it".to_owned() })
            }
            ("broken", order) => {
                self.finish(order, &Outcome::Failed { why: "syntax".to_owned(), again: false })
            }
            ("unknown", "") => {
                let finished = self.engine.finished(&self.now(), OrderId(999_999), &Outcome::Done);
                finished.map_or("nothing".to_owned(), |finished| format!("{finished:?}"))
            }
            ("show", order) => {
                let order = self.take(order);
                let mut shown = match &order.command {
                    Command::Shell(text) => text.clone(),
                    other => other.to_string(),
                };
                if let Some(minute) = order.hand_over {
                    shown += &format!(" by at@{}", self.moment(minute));
                }
                if let Some(end) = order.expires {
                    shown += &format!(" before {}", self.moment(end));
                }
                self.handed_out.push(order);
                shown
            }
            ("agenda", "") => {
                let orders = self.engine.ledger().orders();
                let named = orders.map(|o| format!("{}@{}", o.action, self.moment(o.due)));
                or_nothing(named.collect())
            }
            ("state", path) => {
                let path: Vec<String> = path.split(',').map(str::to_owned).collect();
                let value = self.engine.ledger().memory().get(&path);
                value.map_or("nothing".to_owned(), MemoryValue::to_string)
            }
            ("counters", "") => {
                let c = self.engine.counters();
                format!(
                    "hits {} outside {} repeated {} refused {} accepted {} evicted {}",
                    c.hits,
                    c.outside_span,
                    c.repeated,
                    c.refused.values().sum::<u64>(),
                    c.accepted,
                    c.evicted
                )
            }
            ("reload", text) => {
                // Settings on the line stand in for those of the first plan.
                let mut merged = self.plan.clone();
                for setting in text.split("; ").filter(|setting| *setting != "same") {
                    merged += &format!("\n{setting}");
                }
                self.engine.replace_plan(plan(&merged));
                String::new()
            }
            ("look", "") => {
                let boot = format!("boot {}", self.boots);
                let machine = Machine { boot, up: self.uptime - self.booted };
                let Some(news) = self.engine.keep_time(&self.now(), &machine) else {
                    return "nothing".to_owned();
                };
                self.durable.extend(news.changes);
                match news.step {
                    Some(step) => format!("set {step}, {} moved", news.moved),
                    None => format!("new machine, {} moved", news.moved),
                }
            }
            ("reboot", "") => {
                self.boots += 1;
                self.booted = self.uptime;
                self.line(&format!("at {at} restart"))
            }
            ("restart", "") => {
                let mut ledger = Ledger::new();
                self.durable.iter().for_each(|change| ledger.apply(change));
                self.engine = Engine::new(plan(&self.plan), ledger);
                self.handed_out.clear();
                String::new()
            }
            ("leases" | "revoke" | "extend" | "held" | "connected" | "look-at-firewall", rest) => {
                self.lease_command(verb, rest)
            }
            ("clock", jump) => {
                let by = seconds(duration(&jump[1..]));
                self.wall += if jump.starts_with('-') { -by } else { by };
                String::new()
            }
            _ => panic!("no such command: {line}"),
        }
    }

    fn hits(&mut self, text: &str) -> String {
        let (text, source) = match text.split_once(" from ") {
            Some((text, source)) => (text, Some(source.parse().unwrap())),
            None => (text, None),
        };
        let (client, ports) = text.rsplit_once(':').expect(text);
        let ports: Vec<u16> = ports.split(',').map(|port| port.parse().unwrap()).collect();
        self.send(client.parse().unwrap(), &ports, source, Commit::Yes)
    }

    /// A knock as a client would send it; the words after the fields spoil it.
    fn knock(&mut self, text: &str) -> String {
        let mut words = text.split(' ');
        let client: IpAddr = words.next().unwrap().parse().unwrap();
        let mut knock = Knock::new();
        let ip = |address: IpAddr| match address.to_canonical() {
            IpAddr::V4(v4) => (Field::Ip, Value::from(v4)),
            IpAddr::V6(v6) => (Field::Ip6, Value::from(v6)),
        };
        let (field, value) = ip(client);
        knock.set(field, value);
        let mut settings = self.plan.clone();
        let (mut slots, mut commit, mut drawn, mut old) = (None, Commit::Yes, 0, false);
        while let Some(word) = words.next() {
            match (word, word.split_once('=')) {
                (_, Some((name, number))) => knock.set(
                    Field::from_name(name).expect(name),
                    Value::Number(number.parse().unwrap()),
                ),
                ("inside", _) => {
                    let (field, value) = ip(words.next().unwrap().parse().unwrap());
                    knock.set(field, value);
                }
                ("slots", _) => {
                    let (from, to) = words.next().unwrap().split_once('-').unwrap();
                    slots = Some(from.parse::<usize>().unwrap() - 1..to.parse().unwrap());
                }
                ("uncommitted", _) => commit = Commit::No,
                ("drawn", _) => drawn = words.next().unwrap().parse().unwrap(),
                ("read", _) => old = words.next() == Some("again"),
                ("wrong", _) if words.next() == Some("key") => settings += "\nkey of somebody else",
                // As long as the right one, but its last byte is what we want.
                ("wrong", _) => {
                    settings += "\nknock IP,PORT,TIME,FLAG0";
                    knock.set(Field::Flag(0), Value::Number(254));
                }
                _ => panic!("{word}"),
            }
        }
        let draw = |bytes: &mut [u8]| bytes.fill(drawn);
        let ports = plan(&settings).codec.encode(&knock, draw).unwrap();
        let ports = slots.map_or(ports.clone(), |slots| ports[slots].to_vec());
        if old {
            let now = self.now();
            ports.iter().for_each(|port| self.engine.hit_again(&now, &Hit::new(client, *port)));
            return String::new();
        }
        self.send(client, &ports, None, commit)
    }

    fn send(
        &mut self,
        client: IpAddr,
        ports: &[u16],
        source: Option<u16>,
        commit: Commit,
    ) -> String {
        let now = self.now();
        let mut answer = String::new();
        for port in ports {
            let hit = Hit { source_port: source, ..Hit::new(client, *port) };
            let verdict = self.engine.hit(&now, &hit);
            answer = self.verdict(&verdict);
            if let Verdict::Accepted(accepted) = verdict {
                let kept = match commit {
                    Commit::Yes => {
                        self.engine.commit(&accepted.changes);
                        accepted.changes
                    }
                    // The disk takes that later.
                    Commit::No => self.engine.refuse(&accepted),
                };
                self.durable.extend(kept);
            }
        }
        answer
    }

    fn verdict(&self, verdict: &Verdict) -> String {
        match verdict {
            Verdict::OutsideSpan => "outside".to_owned(),
            Verdict::Repeated => "repeated".to_owned(),
            Verdict::Queued { filled, of } => format!("queued {filled}/{of}"),
            Verdict::Refused(refusal) => format!("refused {}", refusal.code()),
            Verdict::Accepted(accepted) => {
                let mut parts = vec!["accepted".to_owned()];
                let orders = accepted.orders.iter();
                parts.extend(orders.map(|o| format!("{}@{}", o.action, self.moment(o.due))));
                let news = accepted.leases.iter();
                parts.extend(news.map(|news| self.lease_news(news)));
                let faults = accepted.faults.iter();
                parts.extend(faults.map(|(action, why)| format!("!{action}: {why}")));
                parts.join(" ")
            }
        }
    }

    fn finish(&mut self, order: &str, outcome: &Outcome) -> String {
        let taken = self.take(order);
        let Finished { changes, fate, follow_up, .. } =
            self.engine.finished(&self.now(), taken.id, outcome).unwrap();
        if leases::name(&taken) != taken.action {
            let answer = self.lease_finished(fate, &changes);
            self.durable.extend(changes);
            return answer;
        }
        let (first, then) = changes.split_at(1);
        let mut answer = match (fate, first) {
            (Fate::Done, [Change::Finished(_)]) => "struck out".to_owned(),
            (Fate::Replaced, [Change::Finished(_)]) => "replaced".to_owned(),
            (Fate::GivenUp { tries }, [Change::Finished(_)]) => format!("given up after {tries}"),
            (Fate::Again { after, tries }, [Change::Rescheduled { due, attempts, .. }]) => {
                assert_eq!((*due, *attempts), (self.now().wall + after, tries));
                format!("again at {}", self.moment(*due))
            }
            (Fate::KeptHere, [Change::Finished(_)]) => "kept here".to_owned(),
            other => format!("{other:?}"),
        };
        for change in then {
            answer += &match change {
                Change::Scheduled(order) => {
                    format!(", {}@{}", order.template, self.moment(order.due))
                }
                Change::Finished(id) => format!(", strikes out {id}"),
                other => format!("{other:?}"),
            };
        }
        let scheduled = |change| matches!(change, &Change::Scheduled(_));
        let expected = fate != Fate::KeptHere && then.iter().any(scheduled);
        assert_eq!(follow_up.is_some(), expected);
        self.durable.extend(changes);
        answer
    }

    fn take(&mut self, order: &str) -> Order {
        let (action, client) = order.split_once(' ').expect(order);
        let client: IpAddr = client.parse().unwrap();
        let handed_out = &mut self.handed_out;
        let at = handed_out.iter().position(|o| leases::name(o) == action && o.client == client);
        handed_out.remove(at.expect(order))
    }

    fn now(&self) -> Now {
        let wall = UNIX_EPOCH + START;
        let shift = Duration::from_secs(self.wall.unsigned_abs());
        let wall = if self.wall < 0 { wall - shift } else { wall + shift };
        Now { wall, uptime: self.uptime, local: NOON }
    }

    fn moment(&self, wall: SystemTime) -> String {
        // Before the script: nothing has to be waited for.
        let Ok(since) = wall.duration_since(UNIX_EPOCH + START) else { return "now".to_owned() };
        match since.as_secs() {
            0 => "0s".to_owned(),
            s if s.is_multiple_of(60) => format!("{}m", s / 60),
            s => format!("{s}s"),
        }
    }
}

const NOON: LocalTime = LocalTime { year: 2004, month: 6, day: 1, hour: 12, minute: 0, weekday: 2 };

#[derive(Clone, Copy)]
enum Commit {
    Yes,
    No,
}

fn or_nothing(parts: Vec<String>) -> String {
    if parts.is_empty() { "nothing".to_owned() } else { parts.join(", ") }
}

fn seconds(duration: Duration) -> i64 {
    i64::try_from(duration.as_secs()).unwrap()
}

fn duration(text: &str) -> Duration {
    let (number, unit) = text.split_at(text.len() - 1);
    let unit = match unit {
        "s" => 1,
        "m" => 60,
        "h" => 3600,
        _ => panic!("{text}"),
    };
    Duration::from_secs(number.parse::<u64>().unwrap() * unit)
}
