//! Updates of the state variable, by the entry that they leave behind.

use super::*;
use crate::memory::{MAX_BYTES, MAX_ENTRIES, MAX_KEY, MAX_KEYS, MAX_TEXT, Memory};
use crate::testing::{names, setting, told};

/// All of an update's parts.
#[track_caller]
fn all(update: &str, names: &Names) -> Vec<StateUpdate> {
    match StateUpdate::parse(update, names) {
        Ok(parsed) => parsed,
        Err(errors) => panic!("{update}\n{}", told(&[update], &errors)),
    }
}

/// An update that has one.
#[track_caller]
fn one(update: &str, names: &Names) -> StateUpdate {
    let mut parsed = all(update, names);
    assert_eq!(parsed.len(), 1, "{update}");
    parsed.remove(0)
}

/// `expected` is `path=value`, or `path` alone where the entry is removed.
#[track_caller]
fn check(update: &str, values: &str, expected: &str) {
    let parsed = one(update, &names("IP,PORT,FLAG0,CHECKSUM"));
    let setting = setting(values);
    let change = parsed.apply(&setting.scope()).unwrap();
    let value = change.value.as_ref().map(|value| format!("={value}")).unwrap_or_default();
    assert_eq!(format!("{}{value}", change.path.join("/")), expected, "{update}");
    let mut memory = setting.memory;
    assert!(memory.apply(&change));
    assert_eq!(memory.get(&change.path), change.value.as_ref());
}

#[track_caller]
fn refused(update: &str, expected: &str) {
    let errors = StateUpdate::parse(update, &names("IP,PORT,TIME,CHECKSUM")).unwrap_err();
    assert_eq!(told(&[update], &errors), expected);
}

#[test]
fn assignments() {
    check("state(IP,visits,num)++", "", "10.1.2.3/visits/num=1");
    check("state(IP,visits,num)++", "state/10.1.2.3/visits/num=41", "10.1.2.3/visits/num=42");
    check("state(IP,visits,num)--;", "", "10.1.2.3/visits/num=-1");
    check("state(IP,last) = NOW", "", "10.1.2.3/last=1040827500");
    check("state(IP,last) = TIME", "", "10.1.2.3/last=1040827500");
    check("state(last) = IP", "", "last=10.1.2.3");
    check("state(IP,'a b') = 'blocked'", "", "10.1.2.3/a b=blocked");
    check("state(n) += PORT * 2", "state/n=1", "n=45");
    check("state(n) -= 0.5", "state/n=1", "n=0.5");
    check("state(ports) .= PORT . ','", "state/ports=80,", "ports=80,22,");
    check("state(THISYEAR,THISMONTH,THISDAY,PORT)++", "", "2002/12/25/22=1");
    check("state(THISHOUR,THISMINUTE,THISWEEKDAY)++", "", "14/45/3=1");
    check("state(n) = state(m) + 1", "state/m=6", "n=7");
    check("state(n)++", "state/n=6x", "n=7");
    check("state(open) = PORT == 22", "", "open=1");
    check("state(n) = undef", "state/n=6", "n");
    check("state(n) =-1", "", "n=-1");
    check("++state(n)", "state/n=1", "n=2");
    check("--state(IP,n);", "state/10.1.2.3/n=1", "10.1.2.3/n=0");
    check("state(%IP%,\"PORT\",n) = '%PORT%'", "", "10.1.2.3/22/n=22");
}

#[test]
fn several_in_their_order() {
    let mut setting = setting("");
    let updates = all("state(n)++; ++state(n); state(IP,m) = state(n) + 1;", &names("IP,PORT"));
    assert_eq!(updates.len(), 3);
    for update in updates {
        let change = update.apply(&setting.scope()).unwrap();
        assert!(setting.memory.apply(&change));
    }
    let entry = |path: &[&str]| {
        let path: Vec<String> = path.iter().map(|key| (*key).to_owned()).collect();
        setting.memory.get(&path).cloned()
    };
    assert_eq!(entry(&["n"]), Some(MemoryValue::Number(2.0)));
    assert_eq!(entry(&["10.1.2.3", "m"]), Some(MemoryValue::Number(3.0)));
}

#[test]
fn mistakes() {
    refused("", "[] the update is empty -- write state(IP,visits)++, or = += -= .= and a value");
    refused(
        "state(IP,n)",
        "[state(IP,n)] this update changes nothing -- one of ++ -- = += -= .= comes behind state(…)",
    );
    refused(
        "visits++",
        "[visits] an update starts with state(…) -- write state(IP,visits)++, or = += -= .= and a value",
    );
    refused(
        "++PORT",
        "[++] an update starts with state(…) -- write state(IP,visits)++, or = += -= .= and a value",
    );
    refused(
        "PORT = 3",
        "[PORT] PORT is what the knock or the clock says, and cannot be set -- write state(IP,visits)++, or = += -= .= and a value",
    );
    refused("STATE(n)++", "[STATE] `STATE` is written small -- write state(…)");
    refused(
        "undef state(n)",
        "[undef] an update starts with state(…) -- write state(IP,visits) = undef",
    );
    refused("state(n) *= 2", "[*=] `*=` is no assignment here -- write state(n) = state(n) * 2");
    refused(
        "state(n) ||= 2",
        "[||=] `||=` is no assignment here -- write state(n) = state(n) || 2",
    );
    refused("state(n) == 2", "[==] `==` compares; it does not assign -- write state(n) = …");
    refused(
        "state(n)(m)++",
        "[(] `(` behind the keys of state -- they stand in one pair: state(IP,visits)",
    );
    refused(
        "state(n)++ if PORT == 22",
        "[if] `if` behind an update -- what it asks belongs into the action's `condition =`",
    );
    refused("state(n)++ + 1", "[+] `+` cannot stand here");
    refused(
        "state(n)++, state(m)++",
        "[,] a second update behind `,` -- put `;` between two updates",
    );
    // Of a second one the mistakes are its own.
    refused(
        "state(n)++; state(PROT)++; state(m) = PROT",
        "[PROT] unknown name `PROT` -- did you mean PORT?",
    );
    refused(
        "state(n)++; PORT = 1",
        "[PORT] PORT is what the knock or the clock says, and cannot be set -- write state(IP,visits)++, or = += -= .= and a value",
    );
    refused(
        "state(n)++; state(m) *= 2",
        "[*=] `*=` is no assignment here -- write state(m) = state(m) * 2",
    );
    refused(
        "state(n)++;; state(m)++",
        "[;] an update starts with state(…) -- write state(IP,visits)++, or = += -= .= and a value",
    );
    refused("state(n) = PROT", "[PROT] unknown name `PROT` -- did you mean PORT?");
    refused("state(n) += 'many'", "['many'] `+=` needs a number, and \"many\" is none");
    refused(
        "state(n) -= IP",
        "[IP] `-=` needs a number, and an address is none -- a dot joins texts: IP . \"-a\"",
    );
    let many = format!("state({})++", ["a"; MAX_KEYS + 1].join(","));
    assert_eq!(
        StateUpdate::parse(&many, &names("IP")).unwrap_err()[0].to_string(),
        "state with 9 keys"
    );
    let long = format!("state({})++", "a".repeat(MAX_KEY + 1));
    assert_eq!(
        StateUpdate::parse(&long, &names("IP")).unwrap_err()[0].to_string(),
        "this key is too long"
    );
}

#[test]
fn memory_is_bounded() {
    let names = names("IP,PORT");
    let append = one("state(a) .= state(a) . 'x'", &names);
    let mut setting = setting("state/a=x");
    let fault = loop {
        match append.apply(&setting.scope()) {
            Ok(change) => assert!(setting.memory.apply(&change)),
            Err(fault) => break fault,
        }
    };
    assert_eq!(fault, EvalError::TextTooLong { limit: MAX_TEXT });

    for n in setting.memory.len()..MAX_ENTRIES {
        let change =
            MemoryChange { path: vec![n.to_string()], value: Some(MemoryValue::Number(1.0)) };
        assert!(setting.memory.apply(&change));
    }
    let full = Err(EvalError::MemoryFull);
    assert_eq!(one("state(new)++", &names).apply(&setting.scope()), full);
    let change =
        MemoryChange { path: vec!["new".to_owned()], value: Some(MemoryValue::Number(1.0)) };
    assert!(!setting.memory.apply(&change), "a store that somebody edited grows nothing either");
    assert_eq!(setting.memory.len(), MAX_ENTRIES);
    // What is there goes on counting, and room can be made.
    let old = one("state(500)++", &names).apply(&setting.scope()).unwrap();
    assert!(setting.memory.apply(&old));
    let gone = one("state(500) = undef", &names);
    let gone = gone.apply(&setting.scope()).unwrap();
    assert!(setting.memory.apply(&gone));
    assert!(one("state(new)++", &names).apply(&setting.scope()).is_ok());
}

#[test]
fn memory_is_bounded_in_bytes_too() {
    let names = names("IP,PORT");
    let mut setting = setting("");
    let text = MemoryValue::Text("x".repeat(MAX_TEXT));
    let mut stored = 0;
    while setting
        .memory
        .apply(&MemoryChange { path: vec![stored.to_string()], value: Some(text.clone()) })
    {
        stored += 1;
    }
    assert!(stored * MAX_TEXT < MAX_BYTES && (stored + 2) * MAX_TEXT > MAX_BYTES * 9 / 10);
    let more =
        |text: &str, setting: &crate::testing::Setting| one(text, &names).apply(&setting.scope());
    assert_eq!(more("state(new) = state(1)", &setting), Err(EvalError::MemoryFull));
    // What replaces a value counts in its place, and what goes makes room.
    let shorter = more("state(1) = 1", &setting).unwrap();
    assert!(setting.memory.apply(&shorter));
    assert!(more("state(new) = state(2)", &setting).is_ok());
    for n in 0..stored {
        assert!(setting.memory.apply(&MemoryChange { path: vec![n.to_string()], value: None }));
    }
    assert_eq!(setting.memory, Memory::new());
}

#[test]
fn memory_refuses_what_the_language_could_not_make() {
    let mut memory = Memory::new();
    let mut apply = |path: Vec<String>, text: String| {
        memory.apply(&MemoryChange { path, value: Some(MemoryValue::Text(text)) })
    };
    assert!(!apply(Vec::new(), String::new()));
    assert!(!apply(vec![String::new(); MAX_KEYS + 1], String::new()));
    assert!(!apply(vec!["k".repeat(MAX_KEY + 1)], String::new()));
    assert!(!apply(vec!["k".to_owned()], "t".repeat(MAX_TEXT + 1)));
    assert!(apply(vec!["k".repeat(MAX_KEY); MAX_KEYS], "t".repeat(MAX_TEXT)));
    assert_eq!(memory.iter().count(), 1);
}
