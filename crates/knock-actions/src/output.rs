//! What a program said, cut down to what a log line can hold.
//! Reads no pipe itself; see `process`.

/// Bytes kept of each of a program's outputs. The last ones: the reason for a failure stands at the
/// end.
pub(crate) const CAPTURE: usize = 8 * 1024;
/// Longest excerpt that goes into a log line, in characters.
const EXCERPT: usize = 300;

/// The end of an output of any length, in bounded memory.
#[derive(Debug)]
pub(crate) struct Tail {
    bytes: Vec<u8>,
    most: usize,
    is_cut: bool,
}

impl Default for Tail {
    fn default() -> Self {
        Self::of(CAPTURE)
    }
}

impl Tail {
    /// Of so many bytes at most.
    pub(crate) fn of(most: usize) -> Self {
        Self { bytes: Vec::new(), most, is_cut: false }
    }

    /// Takes the next bytes; what is older than the bound is forgotten.
    pub(crate) fn push(&mut self, bytes: &[u8]) {
        let bytes = bytes.split_at(bytes.len().saturating_sub(self.most)).1;
        let surplus = (self.bytes.len() + bytes.len()).saturating_sub(self.most);
        self.is_cut |= surplus > 0 || bytes.len() == self.most;
        self.bytes.drain(..surplus.min(self.bytes.len()));
        self.bytes.extend_from_slice(bytes);
    }

    /// How much is kept.
    pub(crate) fn most(&self) -> usize {
        self.most
    }

    /// All that was said; `None` when the bound has cut something off.
    pub(crate) fn whole(&self) -> Option<String> {
        (!self.is_cut).then(|| String::from_utf8_lossy(&self.bytes).into_owned())
    }

    /// The last line that is not blank, fit for a log.
    pub(crate) fn last_line(&self) -> Option<String> {
        lines(&self.bytes).next_back()
    }

    /// All lines that are not blank, fit for a log.
    pub(crate) fn lines(&self) -> impl Iterator<Item = String> + '_ {
        lines(&self.bytes)
    }
}

/// The first line that is not blank, fit for a log.
pub(crate) fn first_line(bytes: &[u8]) -> Option<String> {
    lines(bytes).next()
}

fn lines(bytes: &[u8]) -> impl DoubleEndedIterator<Item = String> + '_ {
    bytes.split(|byte| *byte == b'\n').map(excerpt).filter(|line| !line.is_empty())
}

/// Programs print what they were given, colours and cursor movements too: no control character of
/// theirs reaches a terminal or a log through us.
fn excerpt(line: &[u8]) -> String {
    let mut excerpt = String::new();
    for (count, c) in String::from_utf8_lossy(line).trim().chars().enumerate() {
        if count == EXCERPT {
            excerpt.push('…');
            break;
        }
        if c.is_control() {
            excerpt.extend(c.escape_default());
        } else {
            excerpt.push(c);
        }
    }
    excerpt
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(output: &[&[u8]], last: Option<&str>) {
        let mut tail = Tail::default();
        output.iter().for_each(|bytes| tail.push(bytes));
        assert_eq!(tail.last_line().as_deref(), last);
        assert!(tail.bytes.len() <= CAPTURE);
    }

    #[test]
    fn the_last_line_is_what_counts() {
        check(&[], None);
        check(&[b"\n \n"], None);
        check(&[b"one\ntwo"], Some("two"));
        check(&[b"one\ntw", b"o\n\n"], Some("two"));
        check(&[b"\x1b[31mred\x07 \xff\r\n"], Some("\\u{1b}[31mred\\u{7} \u{fffd}"));
    }

    #[test]
    fn what_was_cut_is_not_taken_for_the_whole() {
        let mut tail = Tail::of(4);
        tail.push(b"abc");
        assert_eq!(tail.whole().as_deref(), Some("abc"));
        tail.push(b"de");
        assert_eq!((tail.whole(), tail.last_line().as_deref()), (None, Some("bcde")));
    }

    #[test]
    fn nothing_grows_without_bound() {
        let flood = vec![b'x'; 3 * CAPTURE];
        check(&[&flood, b"\nend"], Some("end"));
        let cut = "x".repeat(EXCERPT) + "…";
        check(&[b"start\n", &flood], Some(&cut));
        check(&[&flood, &flood[..CAPTURE - 1]], Some(&cut));
    }
}
