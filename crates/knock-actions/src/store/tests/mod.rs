//! The store as its caller sees it: what was appended is there after the next open, and nothing
//! else ever is. Disks that are full and bytes that turn are in the files beside.

mod crash;
mod damage;
mod disk;

use std::fs;
use std::net::IpAddr;
use std::os::unix::fs::PermissionsExt;
use std::time::SystemTime;

use knock_engine::{Anchor, Fallback, Hold, Lease, LeaseId, LeaseState, Order, OrderId, Times};
use knock_rules::{Command, Family, MemoryChange, MemoryValue};
use knock_wire::Digest;
use tempfile::TempDir;

use super::*;
use crate::testing::{order, shell};

fn folder() -> TempDir {
    tempfile::tempdir().unwrap()
}

/// A sound store, opened without a notice.
fn open(dir: &Path) -> (Store, Ledger) {
    let (store, ledger, notices) = Store::open(dir).unwrap();
    assert_eq!(notices, []);
    (store, ledger)
}

/// All that a ledger tells.
const CLIENTS: [&str; 3] = ["192.0.2.7", "2001:db8::7", "198.51.100.9"];

fn told(ledger: &Ledger) -> String {
    let orders: Vec<_> = ledger.orders().collect();
    let leases: Vec<_> = ledger.leases().collect();
    let places: Vec<_> = ["/var/log/kern.log", "kmsg"].map(|source| ledger.place(source)).into();
    let (memory, anchor) = (ledger.memory(), ledger.anchor());
    let answered = CLIENTS.map(|client| ledger.answered(client.parse().unwrap()));
    let spent = [0, 1, 255].map(|byte| ledger.is_spent(&Digest([byte; 32])));
    let greatest = ledger.greatest_id();
    format!(
        "{orders:#?}\n{leases:#?}\n{memory:#?}\n{places:?}\n{anchor:?}\n{answered:?}\n{spent:?} \
         of {}\ngreatest {greatest}",
        ledger.spent()
    )
}

fn lease(id: u64, opening: &str) -> Lease {
    let epoch = SystemTime::UNIX_EPOCH;
    Lease {
        id: LeaseId(id),
        client: "192.0.2.7".parse().unwrap(),
        user: None,
        opening: opening.parse().unwrap(),
        opened: epoch + Duration::from_nanos(id),
        renewed: epoch,
        until: None,
        at_most: None,
        hold: Hold::No,
        action: "an action".to_owned(),
        template: "a template".to_owned(),
        knock: "PORT=22 TIME=5".to_owned(),
        state: LeaseState::Opening,
    }
}

fn remembered(path: &[&str], value: Option<MemoryValue>) -> Change {
    let path = path.iter().map(|&key| key.to_owned()).collect();
    Change::Remembered(MemoryChange { path, value })
}

/// At second `written`; all of before second `forget` is forgotten.
fn answered(client: usize, written: u64, forget: u64) -> Change {
    let second = |second| SystemTime::UNIX_EPOCH + Duration::from_secs(second);
    let (written, forget) = (second(written), second(forget));
    Change::Answered { client: CLIENTS[client].parse().unwrap(), written, forget }
}

/// Some of everything, the strange included.
fn changes() -> Vec<Change> {
    let words = |words: &[&str]| words.iter().map(|&word| word.to_owned()).collect::<Vec<_>>();
    let text = "echo 'two  words' \"ü\"\n\ttab\0nul";
    let epoch = SystemTime::UNIX_EPOCH;
    let args = words(&["-D", "INPUT", "-s", "2001:db8::7/128"]);
    vec![
        Change::Scheduled(order(1, shell(text))),
        Change::Scheduled(Order {
            client: "2001:db8::7".parse::<IpAddr>().unwrap(),
            due: epoch + Duration::new(1_800_000_000, 123_456_789),
            delay: Duration::from_millis(900_001),
            timeout: Duration::from_nanos(1),
            environment: vec![],
            ..order(2, Command::Iptables { family: Family::V6, args })
        }),
        Change::Scheduled(Order {
            action: String::new(),
            due: epoch - Duration::from_nanos(1),
            attempts: u32::MAX,
            user: Some("ü nobody".to_owned()),
            on_failure: vec![
                Fallback {
                    template: "t".to_owned(),
                    command: Command::Exec(words(&["/bin/mail", "a b"])),
                    user: None,
                    timeout: Duration::from_nanos(7),
                },
                Fallback {
                    template: String::new(),
                    command: shell("'\n"),
                    user: Some("daemon".to_owned()),
                    timeout: Duration::from_secs(1),
                },
            ],
            hand_over: Some(epoch + Duration::from_secs(60)),
            expires: Some(epoch - Duration::from_secs(1)),
            ..order(3, Command::Exec(words(&["/bin/echo", "", "[\"a\"]"])))
        }),
        Change::Scheduled(Order { id: OrderId(u64::MAX - 1), ..order(4, shell("")) }),
        Change::Scheduled(order(5, shell("struck out"))),
        remembered(&["192.0.2.7", "visits"], Some(MemoryValue::Number(-0.125))),
        remembered(&["192.0.2.7"], Some(MemoryValue::Text("{\"a\":\0}".to_owned()))),
        remembered(&["removed", "ü"], Some(MemoryValue::Number(f64::INFINITY))),
        remembered(&["whole"], Some(MemoryValue::Number(7.0))),
        Change::Rescheduled { id: OrderId(2), due: epoch + Duration::from_secs(9), attempts: 3 },
        Change::Rescheduled { id: OrderId(77), due: epoch, attempts: 1 },
        Change::Scheduled(order(3, shell("comes too late"))),
        Change::Moved {
            id: OrderId(1),
            times: Times {
                due: epoch + Duration::from_secs(10),
                hand_over: Some(epoch + Duration::from_secs(120)),
                expires: Some(epoch - Duration::from_secs(3)),
            },
        },
        Change::Moved {
            id: OrderId(79),
            times: Times { due: epoch, hand_over: None, expires: None },
        },
        Change::Anchored(Anchor {
            boot: "ü'".to_owned(),
            began: epoch - Duration::from_nanos(7),
            earlier: OrderId(u64::MAX),
        }),
        Change::Leased(Lease {
            client: "2001:db8::7".parse().unwrap(),
            user: Some("ü'".to_owned()),
            until: Some(epoch + Duration::from_secs(7)),
            at_most: Some(epoch - Duration::from_nanos(1)),
            hold: Hold::Connected { step: Duration::from_millis(1500) },
            state: LeaseState::Failed { why: "no\nway".to_owned() },
            ..lease(12, "udp port 53 to 2001:db8::/64")
        }),
        Change::Leased(lease(11, "tcp port 22 to 192.0.2.7")),
        Change::Leased(Lease {
            state: LeaseState::Open,
            ..lease(13, "tcp port 1 to 192.0.2.0/24")
        }),
        Change::Leased(Lease {
            state: LeaseState::Closing,
            renewed: epoch + Duration::from_secs(9),
            ..lease(11, "tcp port 22 to 192.0.2.7")
        }),
        Change::Leased(lease(14, "tcp port 80 to 192.0.2.7")),
        Change::LeaseClosed(LeaseId(14)),
        Change::LeaseClosed(LeaseId(80)),
        Change::Finished(OrderId(5)),
        Change::Finished(OrderId(78)),
        remembered(&["removed", "ü"], None),
        remembered(&["never there"], None),
        Change::ReadTo { source: "/var/log/kern.log".into(), place: "file 1:2 from 3".into() },
        Change::ReadTo { source: "/var/log/kern.log".into(), place: "file 1:2 from 400".into() },
        Change::ReadTo { source: "kmsg".into(), place: "'\0\u{fc}".into() },
        answered(2, 7, 0),
        answered(0, 9, 8),
        answered(1, 8, 8),
        spent(0, 5),
        spent(255, 6),
        spent(0, 7),
    ]
}

/// The knock that is known by so many of this byte, accepted at this second.
fn spent(byte: u8, second: u64) -> Change {
    let accepted = SystemTime::UNIX_EPOCH + Duration::from_secs(second);
    Change::Spent { digest: Digest([byte; 32]), accepted }
}

/// Whatever the changes come in: one by one or all at once, the ledger on disk is the ledger.
#[test]
fn what_was_appended_is_there_after_the_next_open() {
    let (one_by_one, at_once) = (folder(), folder());
    let mut expected = Ledger::new();
    for change in changes() {
        expected.apply(&change);
        let (mut store, _) = open(one_by_one.path());
        store.append(&[change]).unwrap();
        drop(store);
        assert_eq!(told(&open(one_by_one.path()).1), told(&expected));
    }
    open(at_once.path()).0.append(&changes()).unwrap();
    assert_eq!(told(&open(at_once.path()).1), told(&expected));
    assert_eq!(expected.orders().count(), 4);
    assert_eq!(expected.memory().len(), 3);
}

/// Changes may be appended again by a caller that does not know whether they were.
#[test]
fn twice_is_the_same_as_once() {
    let folder = folder();
    let mut store = open(folder.path()).0;
    let changes = changes();
    let (scheduled, rest) = changes.split_at(2);
    store.append(scheduled).unwrap();
    store.append(scheduled).unwrap();
    store.append(&[]).unwrap();
    store.append(&rest[7..]).unwrap();
    store.append(&rest[7..]).unwrap();
    let mut expected = Ledger::new();
    scheduled.iter().chain(&rest[7..]).for_each(|change| expected.apply(change));
    drop(store);
    assert_eq!(told(&open(folder.path()).1), told(&expected));
}

#[test]
fn ids_are_not_used_again_though_the_agenda_is_empty() {
    let folder = folder();
    let change = [Change::Scheduled(order(9, shell("true"))), Change::Finished(OrderId(9))];
    open(folder.path()).0.append(&change).unwrap();
    let ledger = open(folder.path()).1;
    assert_eq!((ledger.orders().count(), ledger.greatest_id()), (0, OrderId(9)));
}

/// As the first version of this program left it.
#[test]
fn a_store_with_the_first_tables_is_taken_over() {
    let folder = folder();
    let old = order(1, shell("true"));
    open(folder.path()).0.append(&[Change::Scheduled(old.clone())]).unwrap();
    let admin = Connection::open(folder.path().join("knockdaemon.db")).unwrap();
    let table: String = admin
        .query_row("SELECT sql FROM sqlite_schema WHERE name = 'agenda'", (), |row| row.get(0))
        .unwrap();
    let more = " user TEXT, on_failure TEXT, hand_over_ns INTEGER, expires_ns INTEGER,";
    assert!(table.contains(more));
    let columns = "id, client, action, template, due_ns, delay_ns, kind, command, environment, \
                   timeout_ns, attempts, seal";
    admin
        .execute_batch(&format!(
            "ALTER TABLE agenda RENAME TO new; {}; INSERT INTO agenda SELECT {columns} FROM new; \
             DROP TABLE new; DROP TABLE cursor; DROP TABLE anchor; DROP TABLE leases; DROP TABLE answered; DROP TABLE spent; PRAGMA user_version = 1",
            table.replace(more, "")
        ))
        .unwrap();
    drop(admin);
    for _ in 0..2 {
        let (_, ledger) = open(folder.path());
        assert_eq!(ledger.orders().collect::<Vec<_>>(), [&old]);
    }
}

/// As the version left it that kept no places in logs.
#[test]
fn a_store_with_the_second_tables_is_taken_over() {
    let folder = folder();
    open(folder.path()).0.append(&changes()).unwrap();
    let (_, whole) = open(folder.path());
    let admin = Connection::open(folder.path().join("knockdaemon.db")).unwrap();
    let older = "DROP TABLE cursor; DROP TABLE anchor; DROP TABLE leases; DROP TABLE answered; DROP TABLE spent; PRAGMA user_version = 2";
    admin.execute_batch(older).unwrap();
    drop(admin);
    let (mut store, ledger) = open(folder.path());
    assert_eq!(ledger.orders().count(), whole.orders().count());
    assert_eq!(ledger.place("/var/log/kern.log"), None);
    store.append(&changes()).unwrap();
    drop(store);
    assert_eq!(told(&open(folder.path()).1), told(&whole));
}

/// As the version left it that did not know how the clock stood.
#[test]
fn a_store_with_the_third_tables_is_taken_over() {
    let folder = folder();
    open(folder.path()).0.append(&changes()).unwrap();
    let (_, whole) = open(folder.path());
    let admin = Connection::open(folder.path().join("knockdaemon.db")).unwrap();
    admin
        .execute_batch(
            "DROP TABLE anchor; DROP TABLE leases; DROP TABLE answered; DROP TABLE spent; \
             PRAGMA user_version = 3",
        )
        .unwrap();
    drop(admin);
    let (mut store, ledger) = open(folder.path());
    assert_eq!(ledger.orders().count(), whole.orders().count());
    assert_eq!(ledger.anchor(), None);
    store.append(&changes()).unwrap();
    drop(store);
    assert_eq!(told(&open(folder.path()).1), told(&whole));
}

/// As the version left it that had no leases.
#[test]
fn a_store_with_the_fourth_tables_is_taken_over() {
    let folder = folder();
    open(folder.path()).0.append(&changes()).unwrap();
    let (_, whole) = open(folder.path());
    let admin = Connection::open(folder.path().join("knockdaemon.db")).unwrap();
    admin
        .execute_batch(
            "DROP TABLE leases; DROP TABLE answered; DROP TABLE spent; PRAGMA user_version = 4",
        )
        .unwrap();
    drop(admin);
    let (mut store, ledger) = open(folder.path());
    assert_eq!(ledger.orders().count(), whole.orders().count());
    assert_eq!(ledger.leases().count(), 0);
    store.append(&changes()).unwrap();
    drop(store);
    assert_eq!(told(&open(folder.path()).1), told(&whole));
}

/// As the version left it that accepted any knock again.
#[test]
fn a_store_with_the_sixth_tables_is_taken_over() {
    let folder = folder();
    open(folder.path()).0.append(&changes()).unwrap();
    let (_, whole) = open(folder.path());
    let admin = Connection::open(folder.path().join("knockdaemon.db")).unwrap();
    admin.execute_batch("DROP TABLE spent; PRAGMA user_version = 6").unwrap();
    drop(admin);
    let (mut store, ledger) = open(folder.path());
    assert_eq!(ledger.orders().count(), whole.orders().count());
    assert_eq!((ledger.spent(), whole.spent()), (0, 2));
    let client = CLIENTS[0].parse().unwrap();
    assert_eq!(ledger.answered(client), whole.answered(client));
    store.append(&changes()).unwrap();
    drop(store);
    assert_eq!(told(&open(folder.path()).1), told(&whole));
}

/// A knock is accepted with its orders or not at all: also on the disk.
#[test]
fn a_spent_knock_stands_there_with_the_time_of_its_acceptance_for_ever() {
    let folder = folder();
    let (mut store, _) = open(folder.path());
    store.append(&[spent(7, 5), Change::Scheduled(order(1, shell("true")))]).unwrap();
    store.append(&[spent(7, 9)]).unwrap();
    let admin = Connection::open(folder.path().join("knockdaemon.db")).unwrap();
    let question = "SELECT lower(hex(digest)), accepted_ns FROM spent";
    let row: (String, i64) =
        admin.query_row(question, (), |row| Ok((row.get(0)?, row.get(1)?))).unwrap();
    assert_eq!(row, ("07".repeat(32), 5_000_000_000));
}

#[test]
fn who_was_answered_is_remembered_for_a_time() {
    let folder = folder();
    let known = |ledger: &Ledger| CLIENTS.map(|client| ledger.answered(client.parse().unwrap()));
    let second = |second| Some(SystemTime::UNIX_EPOCH + Duration::from_secs(second));
    open(folder.path()).0.append(&[answered(0, 5, 0), answered(1, 6, 0)]).unwrap();
    assert_eq!(known(&open(folder.path()).1), [second(5), second(6), None]);
    open(folder.path()).0.append(&[answered(2, 9, 6)]).unwrap();
    assert_eq!(known(&open(folder.path()).1), [None, second(6), second(9)]);
}

#[test]
fn each_change_of_the_state_variable_counts() {
    let folder = folder();
    let visits = remembered(&["visits"], Some(MemoryValue::Number(1.0)));
    let (mut store, _) = open(folder.path());
    assert_eq!(store.generation(), 0);
    store.append(&[visits.clone(), visits.clone()]).unwrap();
    store.append(&[Change::Finished(OrderId(1))]).unwrap();
    store.append(&[visits]).unwrap();
    assert_eq!(store.generation(), 2);
    drop(store);
    let (store, ledger) = open(folder.path());
    assert_eq!((store.generation(), ledger.memory().len()), (2, 1));
}

#[test]
fn a_number_that_is_none_stays_one() {
    let folder = folder();
    let change = remembered(&["odd"], Some(MemoryValue::Number(f64::NAN)));
    open(folder.path()).0.append(&[change]).unwrap();
    let ledger = open(folder.path()).1;
    let value = ledger.memory().get(&["odd".to_owned()]);
    assert!(matches!(value, Some(MemoryValue::Number(number)) if number.is_nan()));
}

#[test]
fn a_time_beyond_the_columns_waits_at_their_end() {
    let folder = folder();
    let due = SystemTime::UNIX_EPOCH + Duration::from_secs(100_000_000_000);
    let late = Order { due, delay: Duration::MAX, ..order(1, shell("true")) };
    open(folder.path()).0.append(&[Change::Scheduled(late)]).unwrap();
    let ledger = open(folder.path()).1;
    let due = ledger.orders().next().unwrap().due;
    let year_2262 = SystemTime::UNIX_EPOCH + Duration::from_secs(9_223_372_036);
    assert!(due >= year_2262);
}

#[test]
fn only_one_daemon_works_in_a_folder() {
    let folder = folder();
    let first = open(folder.path());
    let said = Store::open(folder.path()).unwrap_err().to_string();
    let dir = folder.path().display();
    let me = std::process::id();
    assert!(
        said.starts_with(&format!("another knockdaemon (process {me}) works with {dir}")),
        "{said}"
    );
    drop(first);
    let _ = open(folder.path());
}

#[test]
fn an_admin_can_look_while_the_daemon_runs() {
    let folder = folder();
    let (mut store, _) = open(folder.path());
    store.append(&changes()).unwrap();
    let admin = Connection::open(folder.path().join("knockdaemon.db")).unwrap();
    let question = "SELECT datetime(due_ns / 1000000000, 'unixepoch') FROM agenda WHERE id = 2";
    let due: String = admin.query_row(question, (), |row| row.get(0)).unwrap();
    assert_eq!(due, "1970-01-01 00:00:09");
    store.append(&[Change::Finished(OrderId(2))]).unwrap();
}

#[test]
fn nobody_else_can_read_or_write() {
    let folder = folder();
    let dir = folder.path().join("state/deep");
    let mode = |path: &Path| fs::metadata(path).unwrap().permissions().mode() & 0o777;
    let set = |path: &Path, mode| fs::set_permissions(path, fs::Permissions::from_mode(mode));
    let (mut store, _) = open(&dir);
    store.append(&changes()).unwrap();
    assert_eq!(mode(&dir), 0o700);
    for entry in fs::read_dir(&dir).unwrap() {
        assert_eq!(mode(&entry.unwrap().path()), 0o600);
    }
    drop(store);

    let database = dir.join("knockdaemon.db");
    set(&database, 0o644).unwrap();
    let notices = Store::open(&dir).unwrap().2;
    assert_eq!(notices, [StoreNotice::Narrowed { path: database.clone() }]);
    assert_eq!(mode(&database), 0o600);

    for (path, wide) in [(&database, 0o666), (&dir, 0o770)] {
        set(path, wide).unwrap();
        let said = Store::open(&dir).unwrap_err().to_string();
        assert!(said.contains(&format!("can be written by others (mode 0{wide:o})")), "{said}");
    }
    set(&dir, 0o755).unwrap();
    set(&database, 0o600).unwrap();
    assert_eq!(open(&dir).1.orders().count(), 4);
}

/// Else a port would open whose closing no restart finds.
#[test]
fn a_store_that_was_removed_or_replaced_while_open_takes_nothing() {
    let check = |meddle: &dyn Fn(&Path)| {
        let folder = folder();
        let dir = folder.path().join("state");
        let (mut store, _) = open(&dir);
        store.append(&changes()).unwrap();
        meddle(&dir);
        let error = store.append(&[Change::Finished(OrderId(1))]).unwrap_err();
        assert!(matches!(error, StoreError::Gone { .. }), "{error:?}");
        let said = error.to_string();
        let database = dir.join("knockdaemon.db").display().to_string();
        assert!(said.contains(&database) && said.contains("restart the daemon"), "{said}");
    };
    check(&|dir| fs::remove_dir_all(dir).unwrap());
    check(&|dir| fs::rename(dir, dir.with_extension("old")).unwrap());
    check(&|dir| fs::remove_file(dir.join("knockdaemon.db")).unwrap());
    check(&|dir| fs::remove_file(dir.join("knockdaemon.db-wal")).unwrap());
    check(&|dir| {
        fs::rename(dir, dir.with_extension("old")).unwrap();
        drop(open(dir));
    });
    check(&|dir| {
        let [database, copy] = ["knockdaemon.db", "copy"].map(|name| dir.join(name));
        fs::copy(&database, &copy).unwrap();
        fs::rename(&copy, &database).unwrap();
    });
}

/// What stands in for an order that failed comes in the same write, under the same number.
#[test]
fn an_order_that_takes_the_place_of_another_stays() {
    let dir = folder();
    let (mut store, _) = open(dir.path());
    store.append(&[Change::Scheduled(order(1, shell("first")))]).unwrap();
    let second = order(1, shell("second"));
    store.append(&[Change::Finished(OrderId(1)), Change::Scheduled(second.clone())]).unwrap();
    drop(store);
    let (_, ledger) = open(dir.path());
    assert_eq!(ledger.orders().collect::<Vec<_>>(), [&second]);
}
