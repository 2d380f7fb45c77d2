//! Spans: text in; size, ports or the complaint with its place out.

use super::*;

/// `expected` is either `size: printed` or the message with the part at fault between `«»`.
#[track_caller]
fn check(text: &str, expected: &str) {
    let got = match PortSpan::parse(text) {
        Ok(span) => {
            round_trip(&span);
            format!("{}: {span}", span.size())
        }
        Err(error) => {
            let Range { start, end } = error.at();
            format!("{}«{}»{} {error}", &text[..start], &text[start..end], &text[end..])
        }
    };
    assert_eq!(got, expected);
}

#[track_caller]
fn round_trip(span: &PortSpan) {
    let mut seen = 0;
    for (number, port) in span.written.iter().flat_map(|piece| piece.first..=piece.last).enumerate()
    {
        let number = u16::try_from(number).unwrap();
        assert_eq!(span.symbol(port), Some(number));
        assert_eq!(span.port(number), Some(port));
        seen += 1;
    }
    assert_eq!(seen, span.size());
    assert_eq!(1 << span.bits(), span.size());
    let inside = (0..=u16::MAX).filter(|port| span.symbol(*port).is_some()).count();
    assert_eq!(inside, usize::try_from(span.size()).unwrap(), "no other port has a number");
    let numbers = (0..=u16::MAX).filter(|number| span.port(*number).is_some()).count();
    assert_eq!(numbers, inside, "no other number has a port");
}

#[test]
fn every_power_of_two_from_one_range() {
    for bits in 1..=15 {
        let last = 20_000 + (1_u32 << bits) - 1;
        check(&format!("20000-{last}"), &format!("{}: 20000-{last}", 1 << bits));
    }
    check("32768-65535", "32768: 32768-65535");
    check("1-32768", "32768: 1-32768");
}

#[test]
fn pieces_are_numbered_as_written() {
    check("745-999,2000", "256: 745-999,2000");
    check(" 100 - 103 , 110,120-121,65535 ", "8: 100-103,110,120-121,65535");
    check("900,30", "2: 900,30");
    let span = PortSpan::parse("1024-1279,512-767").unwrap();
    assert_eq!((span.port(0), span.port(256)), (Some(1024), Some(512)));
    assert_eq!((span.symbol(1279), span.symbol(512)), (Some(255), Some(256)));
}

#[test]
fn as_many_pieces_as_ports() {
    let odd: Vec<String> = (0..32_768_u32).map(|n| (2 * n + 1).to_string()).collect();
    let text = odd.join(",");
    check(&text, &format!("32768: {text}"));
}

#[test]
fn mistakes_are_told_with_their_place() {
    check("", "«» no ports given; write a range such as 745-1000");
    check("  ", "«  » no ports given; write a range such as 745-1000");
    check("1,,2", "1,«»,2 nothing between the commas; write a port or a range, or one comma less");
    check(
        "1,2, ",
        "1,2, «» nothing between the commas; write a port or a range, or one comma less",
    );
    check(
        "1, ssh",
        "1, «ssh» \"ssh\" is not a port; write numbers and ranges such as 745-1000 or 745-999,2000",
    );
    check("745-", "745-«» a range needs a port on both sides, such as 745-1000");
    check("-745", "«»-745 a range needs a port on both sides, such as 745-1000");
    check(
        "1-2-3",
        "1-«2-3» \"2-3\" is not a port; write numbers and ranges such as 745-1000 or 745-999,2000",
    );
    check("0-255", "«0»-255 0 is not a port; ports are 1 to 65535");
    check("65535,65536", "65535,«65536» 65536 is above the last port; ports are 1 to 65535");
    check(
        "1-99999999999999999999",
        "1-«99999999999999999999» 99999999999999999999 is above the last port; ports are 1 to 65535",
    );
    check("10,1000-745", "10,«1000-745» the range 1000-745 goes down; write 745-1000");
    check(
        "10-20,30,15-17",
        "10-20,30,«15-17» port 15 is in the span twice, so it would carry two numbers; give each port once",
    );
    check(
        "15,10-20",
        "15,«10-20» port 15 is in the span twice, so it would carry two numbers; give each port once",
    );
    check(
        "7,7",
        "7,«7» port 7 is in the span twice, so it would carry two numbers; give each port once",
    );
}

#[test]
fn sizes_are_told_with_their_neighbours() {
    let message = |size: u32, near: &str| {
        format!(
            "{size} port{}; the number of ports must be a power of two from 2 to 32768: {near}",
            if size == 1 { "" } else { "s" }
        )
    };
    check(" 100-199 ", &format!(" «100-199»  {}", message(100, "64 or 128")));
    check("22", &format!("«22» {}", message(1, "2")));
    check("1-65535", &format!("«1-65535» {}", message(65535, "32768")));
    check("1-3", &format!("«1-3» {}", message(3, "2 or 4")));
    // More ports than there are: said as what it is.
    check(
        "1-65535,1-65535",
        "1-65535,«1-65535» port 1 is in the span twice, so it would carry two numbers; give each port once",
    );
}
