//! The lines of one source to hits, with what syslog folded unfolded again. Reading the lines is
//! the source's business.

use std::fmt;
use std::sync::Arc;

use knock_wire::Hit;
use memchr::memmem::Finder;

use super::{Formats, NoHit, fields, time};

/// The most hits that one "last message repeated" line stands for: a line must not cost more than
/// its length lets expect.
pub const MAX_REPEATS: u32 = 1000;

/// Lines of one source to hits.
pub struct Extractor {
    formats: Arc<Formats>,
    /// The hit of the line before, if it was one.
    last: Option<Hit>,
    repeated: Finder<'static>,
}

/// Stands in each line that tells of a repetition.
const REPEATED: &[u8] = b"message repeated ";

impl Extractor {
    /// For one source: "last message" is the last of the same file.
    #[must_use]
    pub fn new(formats: Arc<Formats>) -> Self {
        Self { formats, last: None, repeated: Finder::new(REPEATED) }
    }

    /// Hands each hit of the next line, given without its newline, to `sink`. That is none or one;
    /// several when the line tells that the one before it was repeated.
    pub fn hits(&mut self, line: &[u8], sink: &mut dyn FnMut(Hit)) {
        let hit = self.formats.hit(line);
        // Nearly every line is no hit behind no hit, and pays nothing for this.
        let worth_a_look = hit.is_some() || self.last.is_some();
        let Some(times) = worth_a_look.then(|| self.repeats(line)).flatten() else {
            self.last = hit;
            return hit.into_iter().for_each(sink);
        };
        let Some(last) = self.last else { return };
        for _ in 0..times.min(MAX_REPEATS) {
            sink(last);
        }
    }

    /// As [`Extractor::hits`] for who wants to know why: the line's hit and how often it counts, or
    /// the reason against one.
    ///
    /// # Errors
    /// The reason of the format that got furthest.
    pub fn examine(&mut self, line: &[u8]) -> Result<(Hit, u32), NoHit> {
        let result = self.formats.examine(line);
        let Some(times) = self.repeats(line) else {
            self.last = result.ok();
            return result.map(|hit| (hit, 1));
        };
        match (self.last, result) {
            (Some(last), _) => Ok((last, times.min(MAX_REPEATS))),
            (None, Ok(_)) => Err(NoHit::RepeatsNothing),
            (None, Err(why)) => Err(why),
        }
    }
}

impl Extractor {
    /// As [`Extractor::hits`] for each line of a block of whole lines, each ended by `\n`. Nearly
    /// all lines of a log are no hits; where the formats allow it, those are stepped over without
    /// being looked at one by one. `sink` also gets the offset in the block of the hit's line.
    pub fn block(&mut self, block: &[u8], sink: &mut dyn FnMut(usize, Hit)) {
        let formats = Arc::clone(&self.formats);
        let mut rest = block;
        while !rest.is_empty() {
            // Behind a hit each line counts: it may tell of a repetition, and ends the wait for one.
            if let (None, Some(needle)) = (self.last, &formats.needle) {
                let Some(at) = needle.find(rest) else { return };
                let (before, _) = rest.split_at(at);
                let start = memchr::memrchr(b'\n', before).map_or(0, |end| end + 1);
                rest = rest.get(start..).unwrap_or_default();
            }
            let end = memchr::memchr(b'\n', rest).unwrap_or(rest.len());
            let at = block.len() - rest.len();
            self.hits(rest.get(..end).unwrap_or_default(), &mut |hit| sink(at, hit));
            rest = rest.get(end + 1..).unwrap_or_default();
        }
    }
}

impl Extractor {
    fn repeats(&self, line: &[u8]) -> Option<u32> {
        repeats(line, self.repeated.find(line)?)
    }
}

impl fmt::Debug for Extractor {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Extractor").field("last", &self.last).finish_non_exhaustive()
    }
}

/// How often the line says that the one before it came again; at `at` it says `message repeated `.
/// Two writers say so: syslogd with `<time> <host> last message repeated 3 times`, rsyslog with
/// `<time> <host> kernel: message repeated 3 times: [ … ]`. Under any other program's tag it is
/// that program's message that was repeated.
fn repeats(line: &[u8], at: usize) -> Option<u32> {
    let (head, rest) = line.split_at_checked(at)?;
    let rest = rest.strip_prefix(REPEATED)?;
    let digits = rest.iter().take_while(|byte| byte.is_ascii_digit()).count();
    let times = fields::number(rest.get(..digits)?)?;
    let rest = rest.get(digits..)?.strip_prefix(b" time")?;
    let rest = rest.strip_prefix(b"s").unwrap_or(rest);
    let tag = behind_host(head)?;
    let said = match tag {
        b"last " | b"--- last " => matches!(rest.trim_ascii_end(), b"" | b" ---"),
        _ => is_kernel(tag) && rest.starts_with(b": ["),
    };
    said.then_some(times)
}

/// What stands behind the time and the host.
fn behind_host(head: &[u8]) -> Option<&[u8]> {
    let (_, rest) = time::leading(time::behind_priority(head))?;
    let rest = rest.strip_prefix(b" ")?;
    let host = rest.iter().position(|byte| *byte == b' ').filter(|len| *len > 0)?;
    rest.get(host + 1..)
}

/// `kernel: `, perhaps with an uptime behind it.
fn is_kernel(tag: &[u8]) -> bool {
    let Some(rest) = tag.strip_prefix(b"kernel: ") else { return false };
    rest.is_empty() || time::leading(rest).is_some_and(|(_, rest)| rest == b" ")
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::super::{FieldName, FormatSpec, LogFormat};
    use super::*;

    /// With a text that a block is searched for.
    const PLAIN: [&str; 2] = [" SRC=(\\S+) ", " DPT=(\\d+) "];

    /// The same with none.
    const VAGUE: [&str; 2] = [" (?:SRC|src)=(\\S+) ", " (?:DPT|dpt)=(\\d+) "];

    fn extractor([client, port]: [&str; 2]) -> Extractor {
        let expressions =
            vec![(FieldName::IpClient, client.to_owned()), (FieldName::Port, port.to_owned())];
        let spec = FormatSpec { name: "t".to_owned(), expressions, ..FormatSpec::default() };
        Extractor::new(Arc::new(Formats::new(vec![LogFormat::compile(&spec).unwrap()])))
    }

    /// Feeds lines one by one, as a block, and with their reasons, to a format that can step over lines and to one that
    /// cannot. `K` and a port stand for a knock line. Returns the ports of the hits.
    fn ports(lines: &[&str]) -> Vec<u16> {
        let lines = lines.iter().map(|line| match line.strip_prefix('K') {
            Some(port) => format!("Nov 21 03:22:42 h kernel: IN=a SRC=10.0.0.1 DPT={port} \n"),
            None => format!("{line}\n"),
        });
        let lines: Vec<_> = lines.collect();
        let mut all = Vec::new();
        for format in [PLAIN, VAGUE] {
            let mut got = Vec::new();
            let mut one = extractor(format);
            for line in &lines {
                one.hits(line.trim_end_matches('\n').as_bytes(), &mut |hit| got.push(hit.port));
            }
            all.push(got);
            let mut got = Vec::new();
            extractor(format).block(lines.concat().as_bytes(), &mut |_, hit| got.push(hit.port));
            all.push(got);
            let mut got = Vec::new();
            let mut one = extractor(format);
            for line in &lines {
                if let Ok((hit, times)) = one.examine(line.trim_end_matches('\n').as_bytes()) {
                    got.extend((0..times).map(|_| hit.port));
                }
            }
            all.push(got);
        }
        assert!(all.iter().all(|got| *got == all[0]), "{all:?} of {lines:?}");
        all.swap_remove(0)
    }

    #[track_caller]
    fn check(lines: &[&str], expected: &[u16]) {
        assert_eq!(ports(lines), expected, "{lines:?}");
    }

    const TWICE: &str = "Nov 21 03:22:43 h last message repeated 2 times";

    #[test]
    fn a_folded_line_is_unfolded() {
        check(&["K7", TWICE, "K8"], &[7, 7, 7, 8]);
        check(&["K7", TWICE, TWICE], &[7, 7, 7, 7, 7]);
        check(&["K7", "Nov 21 03:22:43 h last message repeated 1 time"], &[7, 7]);
        check(&["K7", "<6>Nov  1 03:22:43 h --- last message repeated 1 time ---"], &[7, 7]);
        check(&["K7", "2026-11-21T03:22:42.97+00:00 h last message repeated 2 times"], &[7, 7, 7]);
        let rsyslog =
            "Nov 21 03:22:43 h kernel: message repeated 2 times: [ IN=a SRC=10.0.0.1 DPT=7 ]";
        check(&["K7", rsyslog, "K8"], &[7, 7, 7, 8]);
        let uptime = "Nov 21 03:22:43 h kernel: [  12.345678] message repeated 2 times: [ IN=a SRC=10.0.0.1 DPT=7 ]";
        check(&["K7", uptime], &[7, 7, 7]);
    }

    #[test]
    fn only_the_line_right_behind_a_hit_is_unfolded() {
        check(&[TWICE, "K7"], &[7]);
        check(&["K7", "Nov 21 03:22:43 h cron[1]: hello", TWICE], &[7]);
        check(&["K7", "", TWICE], &[7]);
    }

    #[test]
    fn nobody_else_can_say_so() {
        for line in [
            "Nov 21 03:22:43 h sshd[7]: Invalid user last message repeated 900 times",
            "Nov 21 03:22:43 h sshd[7]: message repeated 2 times: [ Failed password for root]",
            "Nov 21 03:22:43 h sshd[7]: last message repeated 2 times",
            "Nov 21 03:22:43 h last message repeated 2 times by root",
            "Nov 21 03:22:43 h last message repeated -2 times",
            "Nov 21 03:22:43 h last message repeated times",
            "Nov 21 03:22:43 h last message repeated 99999999999 times",
            "Nov 21 03:22:43  last message repeated 2 times",
            "h last message repeated 2 times",
            "last message repeated 2 times",
        ] {
            check(&["K7", line, TWICE], &[7]);
        }
    }

    #[test]
    fn one_line_stands_for_so_many_hits_at_most() {
        let line = "Nov 21 03:22:43 h last message repeated 4000000000 times";
        let most = usize::try_from(MAX_REPEATS).unwrap() + 1;
        check(&["K7", line], &vec![7; most]);
    }

    #[test]
    fn a_block_may_lack_its_last_newline() {
        let mut got = Vec::new();
        let block = b"x\n\nIN=a SRC=10.0.0.1 DPT=7 \n\nIN=a SRC=10.0.0.1 DPT=8 ";
        extractor(PLAIN).block(block, &mut |_, hit| got.push(hit.port));
        assert_eq!(got, [7, 8]);
    }

    proptest! {
        #[test]
        fn stepping_over_lines_loses_none(lines in prop::collection::vec(prop::sample::select(vec![
            "K7", "K8", "", "x", TWICE, " SRC=10.0.0.1 ", "SRC=", "Nov 21 03:22:43 h sshd[7]: SRC=x",
        ]), 0..12)) {
            ports(&lines);
        }
    }
}
