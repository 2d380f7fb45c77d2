//! SIGKILL between and during appends: what `append` returned for is there.

use std::io::{BufRead, BufReader, Write};
use std::process::{Command, Stdio};

use super::*;

/// Where the writing process is told to write.
const WRITE_TO: &str = "KNOCK_ACTIONS_TEST_WRITE_TO";
const ROUNDS: u64 = 12;

/// Both processes are this test: it starts itself as the writer, and kills it.
#[test]
fn sigkill_loses_nothing_that_append_returned_for() {
    if let Some(dir) = std::env::var_os(WRITE_TO) {
        write_for_ever(Path::new(&dir));
    }
    let folder = folder();
    let mut appended = 0;
    for round in 1..=ROUNDS {
        let mut writer = Command::new(std::env::current_exe().unwrap())
            .args(["store::tests::crash::sigkill_loses_nothing_that_append_returned_for"])
            .args(["--exact", "--nocapture"])
            .env(WRITE_TO, folder.path())
            .stdout(Stdio::piped())
            .spawn()
            .unwrap();
        let lines = BufReader::new(writer.stdout.take().unwrap()).lines();
        let mut told =
            lines.filter_map(|line| line.unwrap().strip_prefix("appended ")?.parse().ok());
        for _ in 0..round * 3 {
            appended = told.next().expect("the writer ended by itself");
        }
        writer.kill().unwrap();
        writer.wait().unwrap();
        // What it told before it noticed that it was dead.
        appended = told.last().unwrap_or(appended);
        check(folder.path(), appended);
    }
}

/// Change `n` schedules order `n` and strikes out order `n - 10`, in one transaction; the one after
/// the last that was told may be there or not, but not half of it.
fn check(dir: &Path, appended: u64) {
    let (_, ledger) = open(dir);
    let last = ledger.greatest_id().0;
    assert!(last == appended || last == appended + 1, "{last} after {appended}");
    let ids: Vec<u64> = ledger.orders().map(|order| order.id.0).collect();
    let expected: Vec<u64> = (last.saturating_sub(9).max(1)..=last).collect();
    assert_eq!(ids, expected);
    let count = ledger.memory().get(&["count".to_owned()]);
    assert_eq!(count, Some(&number(last)));
}

fn write_for_ever(dir: &Path) -> ! {
    let (mut store, ledger) = open(dir);
    let mut last = ledger.greatest_id().0;
    loop {
        last += 1;
        let mut changes = vec![
            Change::Scheduled(Order { id: OrderId(last), ..order(7, shell("true")) }),
            remembered(&["count"], Some(number(last))),
        ];
        if let Some(old) = last.checked_sub(10) {
            changes.push(Change::Finished(OrderId(old)));
        }
        store.append(&changes).unwrap();
        // Not by `println!`: that would block on a pipe that nobody reads with a lock held.
        writeln!(std::io::stdout(), "appended {last}").unwrap();
    }
}

fn number(number: u64) -> MemoryValue {
    MemoryValue::Number(f64::from(u32::try_from(number).unwrap()))
}
