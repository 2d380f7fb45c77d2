//! One record of /dev/kmsg as the kernel prints it: `prio,seq,usec,flags[,…];text`.
//! Does not undo the kernel's `\xNN` escapes: what a stranger can put into a line stays harmless.

use memchr::memchr;

use crate::dmesg::push_line;

/// A record of the kernel's log.
#[derive(Debug, PartialEq, Eq, Clone, Copy)]
pub(super) struct Record<'a> {
    /// Who wrote it: 0 is the kernel, everything else came from user space.
    pub(super) facility: u64,
    /// Its number; each record has the number after its predecessor's.
    pub(super) sequence: u64,
    /// Microseconds since the machine started.
    pub(super) micros: u64,
    /// Its text, without the continuation lines that name devices.
    pub(super) text: &'a [u8],
}

impl<'a> Record<'a> {
    /// Reads what one `read` of /dev/kmsg gave; `None` when it is not `number,number,number…;text`.
    /// More values before the `;` are allowed, as the kernel's documentation announces them.
    pub(super) fn parse(record: &'a [u8]) -> Option<Self> {
        let (head, rest) = split(record, b';')?;
        let mut values = head.split(|byte| *byte == b',').map(number);
        let mut next = || values.next().flatten();
        let (priority, sequence, micros) = (next()?, next()?, next()?);
        let text = split(rest, b'\n').map_or(rest, |(text, _continuation)| text);
        Some(Self { facility: priority >> 3, sequence, micros, text })
    }

    /// Whether the kernel itself wrote it. User space cannot: the kernel changes facility 0 to 1.
    pub(super) fn is_kernel(&self) -> bool {
        self.facility == 0
    }

    /// Appends the line that `dmesg` prints, with its newline.
    pub(super) fn write_line(&self, out: &mut Vec<u8>) {
        push_line(out, self.micros, self.text);
    }
}

fn split(bytes: &[u8], at: u8) -> Option<(&[u8], &[u8])> {
    let place = memchr(at, bytes)?;
    Some((bytes.get(..place)?, bytes.get(place + 1..)?))
}

fn number(digits: &[u8]) -> Option<u64> {
    if digits.is_empty() {
        return None;
    }
    digits.iter().try_fold(0u64, |value, digit| {
        let digit = digit.is_ascii_digit().then(|| u64::from(digit - b'0'))?;
        value.checked_mul(10)?.checked_add(digit)
    })
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    /// The line that a record becomes; `user` and why it is none otherwise.
    fn check(record: &str, want: &str) {
        let got = match Record::parse(record.as_bytes()) {
            Some(record) if record.is_kernel() => {
                let mut line = Vec::new();
                record.write_line(&mut line);
                String::from_utf8(line).unwrap()
            }
            Some(record) => format!("facility {}", record.facility),
            None => "no record".to_owned(),
        };
        assert_eq!(got, want);
    }

    #[test]
    fn recorded_records() {
        check(
            "4,408,1679232768,-;portknock IN=eth0 OUT= MAC=1e:42:60:96:4a:1f:8a:92:9e:a6:fb:e3:08:00 SRC=203.0.113.7 DST=203.0.113.1 LEN=60 TOS=0x00 PREC=0x00 TTL=64 ID=22265 DF PROTO=TCP SPT=33926 DPT=102 WINDOW=64240 RES=0x00 SYN URGP=0 \n",
            "[ 1679.232768] portknock IN=eth0 OUT= MAC=1e:42:60:96:4a:1f:8a:92:9e:a6:fb:e3:08:00 SRC=203.0.113.7 DST=203.0.113.1 LEN=60 TOS=0x00 PREC=0x00 TTL=64 ID=22265 DF PROTO=TCP SPT=33926 DPT=102 WINDOW=64240 RES=0x00 SYN URGP=0 \n",
        );
        check(
            "5,341,1292714,-;virtio_blk virtio1: [vda] new size\n SUBSYSTEM=virtio\n DEVICE=+virtio:virtio1\n",
            "[    1.292714] virtio_blk virtio1: [vda] new size\n",
        );
        check("30,12,5000000,-;systemd[1]: started\n", "facility 3");
        check("12,12,5000000,-;user text\n", "facility 1");
        // A caller's id, as CONFIG_PRINTK_CALLER prints it; and values that may still come.
        check("6,1,100000000000,c,caller=T12;x;y,z\n", "[100000.000000] x;y,z\n");
        check(
            "6,1,0,-;an escaped newline\\x0a[    1.000000] forged\n",
            "[    0.000000] an escaped newline\\x0a[    1.000000] forged\n",
        );
        check("6,1,0,-;", "[    0.000000] \n");
        check("no record", "no record");
        check("6,1;text", "no record");
        check("6,,1,-;text", "no record");
        check("-6,1,1,-;text", "no record");
        check("6,99999999999999999999,1,-;text", "no record");
    }

    proptest! {
        #[test]
        fn any_bytes_are_a_record_or_not(bytes in prop::collection::vec(any::<u8>(), 0..200)) {
            if let Some(record) = Record::parse(&bytes) {
                let mut line = Vec::new();
                record.write_line(&mut line);
                prop_assert_eq!(memchr(b'\n', &line), Some(line.len() - 1), "exactly one line");
            }
        }

        #[test]
        fn what_the_kernel_writes_is_read(priority in 0u64..1024, sequence: u64, micros: u64, text in "[ -~]{0,80}", more in "(\n [A-Z]+=[a-z]*){0,3}") {
            let record = format!("{priority},{sequence},{micros},-;{text}{more}\n");
            let want = Record { facility: priority / 8, sequence, micros, text: text.as_bytes() };
            prop_assert_eq!(Record::parse(record.as_bytes()), Some(want));
        }
    }
}
