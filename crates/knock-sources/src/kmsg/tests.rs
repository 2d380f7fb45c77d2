//! Records as kernels wrote them, and the real device where root runs the tests.

use std::collections::VecDeque;

use super::*;
use crate::testing::Collected;

/// A stop that nobody sets.
fn going() -> Stop {
    Stop::new().unwrap()
}

/// Reads from a script: a record, `EPIPE` for an overrun, or `EIO` for a failure after which the source is
/// run again. Tells lines and notices in order.
fn check(script: &[&str], want: &[&str]) {
    struct Told(Vec<String>);
    impl Intake for Told {
        fn lines(&mut self, block: &[u8]) -> ControlFlow<()> {
            self.0.extend(String::from_utf8_lossy(block).lines().map(str::to_owned));
            ControlFlow::Continue(())
        }
        fn notice(&mut self, notice: Notice) {
            self.0.push(format!("({notice})"));
        }
    }
    let mut script: VecDeque<&str> = script.iter().copied().collect();
    let mut told = Told(Vec::new());
    let mut read = |room: &mut [u8]| match script.pop_front() {
        None => Err(io::Error::from(ErrorKind::WouldBlock)),
        Some("EPIPE") => Err(io::Error::from(Errno::PIPE)),
        Some("EIO") => Err(io::Error::from(Errno::IO)),
        Some("EINTR") => Err(io::Error::from(ErrorKind::Interrupted)),
        Some(record) => {
            room[..record.len()].copy_from_slice(record.as_bytes());
            Ok(record.len())
        }
    };
    let mut records = Records::default();
    while let Err(error) = records.read_all(&mut read, &mut told, &going()) {
        assert!(error.to_string().contains("os error 5"), "{error}");
    }
    assert_eq!(told.0, want);
}

#[test]
fn records_become_lines_and_gaps_are_counted() {
    check(
        &["4,7,1000000,-;a\n", "12,8,1000001,-;user\n", "EINTR", "4,9,1000002,-;b\n DEVICE=x\n"],
        &["[    1.000000] a", "[    1.000002] b"],
    );
    check(
        &["4,7,0,-;a\n", "EPIPE", "4,18,0,-;b\n"],
        &[
            "[    0.000000] a",
            "(the kernel overwrote 10 log records before they were read)",
            "[    0.000000] b",
        ],
    );
    check(
        &["4,7,0,-;a\n", "12,10,0,-;user\n", "4,11,0,-;b\n"],
        &[
            "[    0.000000] a",
            "(the kernel overwrote 2 log records before they were read)",
            "[    0.000000] b",
        ],
    );
    check(
        &["EPIPE", "EPIPE", "4,18,0,-;b\n"],
        &["(the kernel overwrote log records before they were read)", "[    0.000000] b"],
    );
    // Opened anew, it gives the oldest record first.
    check(
        &["4,7,0,-;a\n", "EIO", "4,6,0,-;old\n", "4,7,0,-;a\n", "4,8,0,-;b\n"],
        &["[    0.000000] a", "[    0.000000] b"],
    );
    check(
        &["4,7,0,-;a\n", "EIO", "4,9,0,-;c\n"],
        &[
            "[    0.000000] a",
            "(the kernel overwrote 1 log records before they were read)",
            "[    0.000000] c",
        ],
    );
    check(&["garbage", "4,1,0,-;b\n"], &["[    0.000000] b"]);
}

#[test]
fn a_burst_comes_in_blocks_that_fit() {
    struct Blocks(Vec<usize>);
    impl Intake for Blocks {
        fn lines(&mut self, block: &[u8]) -> ControlFlow<()> {
            self.0.push(block.len());
            ControlFlow::Continue(())
        }
        fn notice(&mut self, notice: Notice) {
            panic!("{notice}");
        }
    }
    let mut left = 1_000u64;
    let mut read = |room: &mut [u8]| {
        left = left.checked_sub(1).ok_or(ErrorKind::WouldBlock)?;
        let record = format!("4,{},0,-;{}\n", 1_000 - left, "x".repeat(1_000));
        room[..record.len()].copy_from_slice(record.as_bytes());
        Ok(record.len())
    };
    let mut blocks = Blocks(Vec::new());
    assert!(Records::default().read_all(&mut read, &mut blocks, &going()).unwrap().is_continue());
    assert!(blocks.0.iter().all(|length| *length <= MAX_LINE));
    assert_eq!(blocks.0.iter().sum::<usize>(), 1_000 * (1_000 + 16));
    assert!(blocks.0.len() < 20, "few blocks, not one a record: {}", blocks.0.len());
}

#[test]
fn a_stop_is_heard_in_the_middle_of_a_flood() {
    let stop = going();
    let mut read_so_far = 0;
    let mut read = |room: &mut [u8]| {
        read_so_far += 1;
        if read_so_far == 3 {
            stop.set();
        }
        assert!(read_so_far < 10, "the stop is not heard");
        let record = format!("4,{read_so_far},0,-;flood\n");
        room[..record.len()].copy_from_slice(record.as_bytes());
        Ok(record.len())
    };
    let mut told = Collected::new();
    assert!(Records::default().read_all(&mut read, &mut told, &stop).unwrap().is_break());
    assert_eq!(told.lines().len(), 3, "what was read before it is not lost");
}

#[test]
fn a_device_that_is_missing_or_forbidden_says_what_to_do() {
    let mut source =
        KmsgSource { device: "/nonexistent/kmsg".into(), ..KmsgSource::new(Start::AtEnd) };
    let error = source.run(&mut Collected::new(), &Stop::new().unwrap()).unwrap_err();
    assert!(matches!(error, SourceError::KmsgMissing(_)), "{error}");
    assert!(error.to_string().contains("containers"), "{error}");
    let forbidden = SourceError::KmsgForbidden(Errno::PERM.into()).to_string();
    assert!(
        forbidden.contains("CAP_SYSLOG") && forbidden.contains("dmesg_restrict"),
        "{forbidden}"
    );
}

#[test]
#[ignore = "needs root: cargo test -p knock-sources -- --ignored"]
fn the_real_device_gives_kernel_records_only_and_stops() {
    use std::io::Write;

    // From the beginning there are kernel records, whatever was written since.
    let (mut all, stop) = (Collected::new(), Stop::new().unwrap());
    let told = all.clone();
    let other = stop.clone();
    let reader =
        std::thread::spawn(move || KmsgSource::new(Start::AtBeginning).run(&mut all, &other));
    let mine = format!("knock-sources test {}", std::process::id());
    // Facility 0 in what we write: the kernel makes it 1, so it must not become a line.
    let mut kmsg = OpenOptions::new().write(true).open(DEVICE).unwrap();
    kmsg.write_all(format!("<4>{mine} IN=eth0 SRC=192.0.2.1 DPT=800\n").as_bytes()).unwrap();
    let lines = told.await_lines(10);
    assert!(lines.iter().all(|line| line.starts_with('[') && line.contains("] ")), "{lines:?}");
    stop.set();
    reader.join().unwrap().unwrap();

    // It is in the ring buffer by now, so reading raw to the end must have passed it.
    let mut source = KmsgSource::new(Start::AtBeginning);
    let device = source.open().unwrap();
    let (mut seen, mut room) = (false, vec![0; RECORD]);
    while let Ok(length) = (&device).read(&mut room) {
        seen |= String::from_utf8_lossy(&room[..length]).contains(&mine);
    }
    assert!(seen, "the record is there");
    let mut again = Collected::new();
    let device = source.open().unwrap();
    let mut read = |room: &mut [u8]| (&device).read(room);
    assert!(Records::default().read_all(&mut read, &mut again, &going()).is_ok());
    assert!(!again.lines().iter().any(|line| line.contains(&mine)), "a user's record is no line");

    // At the end there is nothing until the kernel writes, and a stop ends the wait.
    source.start = Start::AtEnd;
    let (quiet, stop) = (Collected::new(), Stop::new().unwrap());
    stop.set();
    source.run(&mut quiet.clone(), &stop).unwrap();
    assert_eq!(quiet.lines(), Vec::<String>::new());
}
