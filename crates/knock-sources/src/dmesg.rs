//! The shape of the kernel's lines, which /dev/kmsg and the journal share. Reads nothing.

/// Appends a line of the kernel's as `dmesg` prints it, with its newline.
pub(crate) fn push_line(out: &mut Vec<u8>, micros: u64, text: &[u8]) {
    let (seconds, micros) = (micros / 1_000_000, micros % 1_000_000);
    out.extend_from_slice(format!("[{seconds:5}.{micros:06}] ").as_bytes());
    out.extend_from_slice(text);
    out.push(b'\n');
}
