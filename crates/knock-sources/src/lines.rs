//! Cuts a window of bytes into whole lines, and skips lines that are too long.
//! Holds no bytes itself: the file re-reads what is left over, stdin keeps it.

use std::ops::Range;

use memchr::{memchr, memrchr};

/// Longest line handed over, without its newline; a longer one is skipped whole.
pub const MAX_LINE: usize = 64 * 1024;

/// Bytes looked at together: the longest line with its newline.
pub(crate) const WINDOW: usize = MAX_LINE + 1;

/// Where a stream of bytes is cut.
#[derive(Debug, Default)]
pub(crate) struct Cutter {
    /// Bytes of the line that is being skipped; 0 when none is.
    skipped: u64,
}

/// What to do with a window.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct Cut {
    /// Whole lines to hand over, may be empty.
    pub(crate) lines: Range<usize>,
    /// Bytes that are done with; what is behind them is the beginning of a line that is not complete.
    pub(crate) used: usize,
    /// A line that ended in this window was too long by far; its length.
    pub(crate) too_long: Option<u64>,
}

impl Cutter {
    /// Cuts `window`, which begins where the last cut's `used` ended. Progress is made whenever the
    /// window is full ([`WINDOW`] bytes) or has a newline.
    pub(crate) fn cut(&mut self, window: &[u8]) -> Cut {
        let mut begin = 0;
        let mut too_long = None;
        if self.skipped > 0 {
            match memchr(b'\n', window) {
                Some(end) => {
                    too_long = Some(self.skipped + end as u64);
                    self.skipped = 0;
                    begin = end + 1;
                }
                None => {
                    self.skipped += window.len() as u64;
                    return Cut { lines: 0..0, used: window.len(), too_long };
                }
            }
        }
        match memrchr(b'\n', &window[begin..]) {
            Some(last) => {
                let end = begin + last + 1;
                Cut { lines: begin..end, used: end, too_long }
            }
            None if window.len() == WINDOW && begin == 0 => {
                self.skipped = window.len() as u64;
                Cut { lines: 0..0, used: window.len(), too_long }
            }
            None => Cut { lines: begin..begin, used: begin, too_long },
        }
    }

    /// Whether what comes next is the rest of a line that is being skipped.
    pub(crate) fn is_skipping(&self) -> bool {
        self.skipped > 0
    }

    /// Treats what comes next as the rest of a line that is too long, `seen` bytes of it being known.
    pub(crate) fn skip_from(&mut self, seen: u64) {
        self.skipped = seen.max(1);
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    /// Feeds `input` as a stream in `pieces` and returns the lines and the lengths skipped.
    fn cut_all(input: &[u8], pieces: &[usize]) -> (Vec<u8>, Vec<u64>) {
        let mut cutter = Cutter::default();
        let (mut window, mut out, mut long) = (Vec::new(), Vec::new(), Vec::new());
        let (mut at, mut piece) = (0, pieces.iter().cycle());
        while at < input.len() {
            let room = WINDOW - window.len();
            let take = room.min(*piece.next().unwrap_or(&WINDOW)).min(input.len() - at);
            window.extend_from_slice(&input[at..at + take]);
            at += take;
            let cut = cutter.cut(&window);
            out.extend_from_slice(&window[cut.lines.clone()]);
            long.extend(cut.too_long);
            window.drain(..cut.used);
            assert!(window.len() < WINDOW, "a full window makes progress");
        }
        (out, long)
    }

    #[test]
    fn the_longest_line_passes_and_one_byte_more_does_not() {
        let mut longest = vec![b'a'; MAX_LINE];
        longest.push(b'\n');
        assert_eq!(cut_all(&longest, &[]), (longest.clone(), vec![]));

        let mut longer = vec![b'a'; MAX_LINE + 1];
        longer.extend_from_slice(b"\nnext\n");
        assert_eq!(cut_all(&longer, &[]), (b"next\n".to_vec(), vec![MAX_LINE as u64 + 1]));
    }

    proptest! {
        #[test]
        fn however_it_arrives_the_lines_are_the_same(
            lengths in prop::collection::vec(prop_oneof![8 => 0..200usize, 1 => MAX_LINE - 2..MAX_LINE + 3, 1 => 0..300_000usize], 1..12),
            pieces in prop::collection::vec(prop_oneof![1..100usize, 1..WINDOW], 1..8),
        ) {
            let (mut input, mut want, mut want_long) = (Vec::new(), Vec::new(), Vec::new());
            for (letter, length) in (b'a'..=b'z').cycle().zip(&lengths) {
                let mut line = vec![letter; *length];
                line.push(b'\n');
                input.extend_from_slice(&line);
                if *length > MAX_LINE { want_long.push(*length as u64) } else { want.extend_from_slice(&line) }
            }
            // Tiny pieces of large inputs only cost time.
            let pieces: Vec<usize> = pieces.iter().map(|p| (*p).max(input.len() / 500).max(1)).collect();
            prop_assert_eq!(cut_all(&input, &pieces), (want, want_long));
        }
    }
}
