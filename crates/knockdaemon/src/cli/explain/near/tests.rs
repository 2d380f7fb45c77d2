//! Each thing that happens to knocks on their way, mended.

use knock_wire::{AddressRule, Cipher, CipherSpec, PortSpan, Secret, Shape, Value};

use super::*;

const CLIENT: IpAddr = IpAddr::V4(std::net::Ipv4Addr::new(10, 0, 0, 1));
const OTHER: IpAddr = IpAddr::V4(std::net::Ipv4Addr::new(10, 0, 0, 9));

fn codec(shape: &str, span: &str) -> Codec {
    let cipher = Cipher::new(&CipherSpec::classic(Secret::new(b"knock".to_vec()))).unwrap();
    let (shape, span) = (Shape::parse(shape).unwrap(), PortSpan::parse(span).unwrap());
    Codec::new(shape, span, cipher, AddressRule::MustMatch).unwrap()
}

fn classic() -> Codec {
    codec("IP,PORT,TIME,CHECKSUM", "745-1000")
}

/// The ports of a knock of CLIENT.
fn knock(codec: &Codec) -> Vec<u16> {
    let mut knock = Knock::new();
    knock.set(Field::Ip, Value::Address(CLIENT));
    for field in [Field::Port, Field::Time] {
        knock.set(field, Value::Number(22));
    }
    codec.encode(&knock, |_| ()).unwrap()
}

fn seen(codec: &Codec, from: IpAddr, ports: &[u16]) -> Vec<Seen> {
    let seen = ports.iter().enumerate().map(|(nth, port)| Seen {
        from,
        port: *port,
        symbol: codec.span().symbol(*port).unwrap(),
        source_port: None,
        at: Duration::from_secs(nth as u64),
        repeated: false,
    });
    seen.collect()
}

/// Feeds the ports one by one, as a log does, and returns the first repair as text.
fn first(codec: &Codec, client: IpAddr, ports: &[u16]) -> String {
    let hits = seen(codec, client, ports);
    let mut budget = Budget::new();
    let near = (1..=hits.len()).find_map(|count| {
        search(codec, client, &hits[..count], count >= codec.slots(), &mut budget)
    });
    let Some(near) = near else { return "nothing".to_owned() };
    let what = match near.repair {
        Repair::AsTheyCame => "as they came".to_owned(),
        Repair::RepeatsCounted => "repeats counted".to_owned(),
        Repair::EachOnce => "each once".to_owned(),
        Repair::SeveralAddresses(all) => format!("of {all:?}"),
        Repair::Moved { hit, late } => format!("{} is {late} late", hit.port),
        Repair::Missing { port, place } => format!("{port} is missing at {place}"),
        Repair::Without(extras) => extras
            .iter()
            .map(|one| {
                format!("without {}{}", one.hit.port, if one.twin.is_some() { " twin" } else { "" })
            })
            .collect::<Vec<_>>()
            .join(", "),
    };
    match near.spelled {
        Spelled::Knock(_) => what,
        Spelled::OtherAddress(inside) => format!("{what}, of {inside}"),
    }
}

fn edited(edit: impl FnOnce(&mut Vec<u16>)) -> String {
    let codec = classic();
    let mut ports = knock(&codec);
    edit(&mut ports);
    first(&codec, CLIENT, &ports)
}

// The knock is 986, 845, … as the vectors have it; here another TIME.

#[test]
fn a_hit_that_was_lost_is_found_wherever_it_was() {
    let codec = classic();
    let whole = knock(&codec);
    for (place, port) in whole.iter().enumerate() {
        let text = edited(|ports| ports.retain(|other| other != port));
        assert_eq!(text, format!("{port} is missing at {}", place + 1));
    }
    assert_eq!(edited(|ports| drop(ports.drain(2..4))), "nothing", "two are too many");
}

/// Without the search for a missing hit, which finds the rest of the knock first.
fn whole_only(edit: impl FnOnce(&mut Vec<u16>)) -> Option<Repair> {
    let codec = classic();
    let mut ports = knock(&codec);
    edit(&mut ports);
    let hits = seen(&codec, CLIENT, &ports);
    search(&codec, CLIENT, &hits, true, &mut Budget::new()).map(|near| near.repair)
}

#[test]
fn a_hit_too_many_is_found_and_a_twin_is_called_one() {
    let whole = knock(&classic());
    for (place, port) in whole.iter().enumerate().skip(1) {
        let Some(Repair::Without(extras)) = whole_only(|ports| ports.insert(place, 750)) else {
            panic!("a stranger at {place}")
        };
        assert_eq!((extras.len(), extras[0].hit.port, extras[0].twin), (1, 750, None));
        let Some(Repair::Without(extras)) = whole_only(|ports| ports.insert(place, *port)) else {
            panic!("a twin at {place}")
        };
        assert!(extras[0].twin.is_some(), "{extras:?}");
    }
    let two = whole_only(|ports| {
        ports.insert(6, 751);
        ports.insert(2, 750);
    });
    assert!(matches!(two, Some(Repair::Without(extras)) if extras.len() == 2));
}

#[test]
fn a_hit_in_the_wrong_place_is_found() {
    let whole = knock(&classic());
    for (place, port) in whole.iter().enumerate().take(7) {
        let Some(Repair::Moved { hit, late }) = whole_only(|ports| ports.swap(place, place + 1))
        else {
            panic!("swapped at {place}")
        };
        assert_eq!((hit.port, late), (*port, 1));
    }
    let late = whole_only(|ports| {
        let port = ports.remove(2);
        ports.push(port);
    });
    assert!(
        matches!(late, Some(Repair::Moved { hit, late: 5 }) if hit.port == whole[2]),
        "{late:?}"
    );
    let early = whole_only(|ports| {
        let port = ports.remove(6);
        ports.insert(1, port);
    });
    assert!(matches!(early, Some(Repair::Moved { hit, late: -5 }) if hit.port == whole[6]));
}

#[test]
fn a_log_with_every_packet_twice_is_seen_through() {
    let twice = whole_only(|ports| *ports = ports.iter().flat_map(|port| [*port, *port]).collect());
    assert_eq!(twice, Some(Repair::EachOnce));
    let most = whole_only(|ports| {
        *ports =
            ports.iter().flat_map(|port| vec![*port; if *port % 2 == 0 { 2 } else { 1 }]).collect();
    });
    assert_eq!(most, Some(Repair::EachOnce));
}

#[test]
fn hits_that_the_queue_forgot_or_took_for_repeats_are_put_together() {
    let codec = classic();
    let mut hits = seen(&codec, CLIENT, &knock(&codec));
    let found = search(&codec, CLIENT, &hits, false, &mut Budget::new()).unwrap();
    assert_eq!(found.repair, Repair::AsTheyCame);
    hits[7].repeated = true;
    let found = search(&codec, CLIENT, &hits, false, &mut Budget::new()).unwrap();
    assert_eq!(found.repair, Repair::RepeatsCounted);
    hits[7].repeated = false;
    hits[3].repeated = true;
    let found = search(&codec, CLIENT, &hits, false, &mut Budget::new()).unwrap();
    assert_eq!(found.repair, Repair::RepeatsCounted);
}

#[test]
fn a_knock_for_another_address_is_called_so_where_chance_cannot_do_it() {
    let codec = classic();
    let ports = knock(&codec);
    assert_eq!(first(&codec, OTHER, &ports), "nothing", "the daemon itself refuses it: address");
    let mut extra = ports.clone();
    extra.insert(4, 750);
    assert_eq!(first(&codec, OTHER, &extra), "without 750, of 10.0.0.1");
    let mut lost = ports;
    lost.remove(4);
    assert_eq!(first(&codec, OTHER, &lost), "nothing", "16 bits and 2,048 tries: chance");
}

#[test]
fn a_knock_of_two_addresses_is_put_together() {
    let codec = classic();
    let mut hits = seen(&codec, CLIENT, &knock(&codec));
    assert!(search_addresses(&codec, CLIENT, &hits, &mut Budget::new()).is_none());
    for hit in &mut hits[..3] {
        hit.from = OTHER;
    }
    for (client, knock) in [(CLIENT, true), (OTHER, false)] {
        let found = search_addresses(&codec, client, &hits, &mut Budget::new()).unwrap();
        assert_eq!(found.repair, Repair::SeveralAddresses(vec![CLIENT, OTHER]));
        assert_eq!(matches!(found.spelled, Spelled::Knock(_)), knock);
    }
}

#[test]
fn noise_and_other_keys_are_near_nothing() {
    let codec = classic();
    let noise: Vec<u16> = (0..60u16).map(|nth| 745 + nth * 89 % 256).collect();
    assert_eq!(first(&codec, CLIENT, &noise), "nothing");
}

#[test]
fn a_format_that_checks_little_tells_nothing() {
    let codec = codec("PORT,TIME", "745-1000");
    assert!(can_tell(&codec), "six bytes of padding");
    let cipher = Cipher::none();
    let (shape, span) = (Shape::parse("PORT,CHECKSUM").unwrap(), PortSpan::parse("1-16").unwrap());
    let weak = Codec::new(shape, span, cipher, AddressRule::MustMatch).unwrap();
    assert!(!can_tell(&weak));
    assert_eq!(first(&weak, CLIENT, &[1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11]), "nothing");
}

#[test]
fn the_search_ends_when_its_budget_is_spent() {
    let codec = classic();
    let mut ports = knock(&codec);
    ports.remove(3);
    let hits = seen(&codec, CLIENT, &ports);
    let mut budget = Budget { tries: 10, slow: 0 };
    assert_eq!(search(&codec, CLIENT, &hits, false, &mut budget), None);
    assert!(budget.is_spent());
}
