//! Templates by the command that they fill to.

use proptest::prelude::*;

use super::*;
use crate::scope::environment;
use crate::testing::{SHAPE, names, only, setting, told};

fn exec_words(text: &str) -> Vec<String> {
    text.split('|').map(str::to_owned).collect()
}

fn parse(kind: TemplateKind, text: &str, shape: &str) -> Result<Template, Vec<RuleError>> {
    match kind {
        TemplateKind::Shell => Template::parse_shell(text, &names(shape)),
        TemplateKind::Exec => Template::parse_exec(&exec_words(text), &names(shape)),
        TemplateKind::Iptables | TemplateKind::Ip6tables => {
            Template::parse_iptables(kind, text, &names(shape))
        }
    }
}

/// `expected` is the command as it prints, or the fault.
#[track_caller]
fn check(kind: TemplateKind, text: &str, values: &str, expected: &str) {
    let template = match parse(kind, text, SHAPE) {
        Ok(template) => template,
        Err(errors) => panic!("{text}: {errors:?}"),
    };
    let given = match template.fill(&setting(values).scope()) {
        Ok(command) => command.to_string(),
        Err(fault) => format!("fault: {fault}"),
    };
    assert_eq!(given, expected, "{text}");
}

#[track_caller]
fn shell(text: &str, expected: &str) {
    check(TemplateKind::Shell, text, "", expected);
}

#[track_caller]
fn rule(text: &str, expected: &str) {
    check(TemplateKind::Iptables, text, "", expected);
}

#[track_caller]
fn refused(kind: TemplateKind, text: &str, expected: &str) {
    let errors = parse(kind, text, "IP,PORT,TIME,CHECKSUM").unwrap_err();
    let parts = if kind == TemplateKind::Exec { exec_words(text) } else { vec![text.to_owned()] };
    let parts: Vec<&str> = parts.iter().map(String::as_str).collect();
    assert_eq!(told(&parts, &errors), expected, "{text}");
}

use TemplateKind::{Exec, Ip6tables, Iptables, Shell};

#[test]
fn the_manuals_template() {
    shell(
        "/sbin/iptables -I INPUT -p tcp -s IP/32 --dport PORT --syn -j ACCEPT",
        "/sbin/iptables -I INPUT -p tcp -s 10.1.2.3/32 --dport 22 --syn -j ACCEPT",
    );
    shell(
        "/sbin/ipchains -I input -p tcp -s IP/32 -d 0/0 PORT -j ACCEPT",
        "/sbin/ipchains -I input -p tcp -s 10.1.2.3/32 -d 0/0 22 -j ACCEPT",
    );
}

#[test]
fn whole_words_only() {
    shell(
        "IPTABLES KNOCK_IP IPX XIP IP2 _IP IP_ FLAG10 FLAG12 PORTS",
        "IPTABLES KNOCK_IP IPX XIP IP2 _IP IP_ FLAG10 FLAG12 PORTS",
    );
    shell("IP", "10.1.2.3");
    shell("IP:PORT,IP-PORT.IP/PORT", "10.1.2.3:22,10.1.2.3-22.10.1.2.3/22");
    shell("--port=PORT 'PORT' \"PORT\" (PORT) éPORTé", "--port=22 '22' \"22\" (22) é22é");
    shell("FLAG0 FLAG1 CHECKSUM TIME", "0 5 99 15");
    shell("ip Port iP", "ip Port iP");
    shell("$KNOCK_IP ${KNOCK_PORT}", "$KNOCK_IP ${KNOCK_PORT}");
    shell("THISHOUR NOW CLIENT", "THISHOUR NOW CLIENT");
}

#[test]
fn names_between_percent_signs() {
    shell("%IP%", "10.1.2.3");
    shell("x%IP%x%PORT%%TIME%", "x10.1.2.3x2215");
    shell("-s %IP%/32 --dport %PORT%", "-s 10.1.2.3/32 --dport 22");
    shell("%IPX% %IP %ip% 100%", "%IPX% %10.1.2.3 %ip% 100%");
    shell("date +%d%IP%d%H%M%S", "date +%d10.1.2.3d%H%M%S");
    shell("%NOW% %THISYEAR%", "1040827500 2002");
    check(Shell, "%IP% %CLIENT%", "client=192.0.2.9", "10.1.2.3 192.0.2.9");
    shell("%%IP%%", "%10.1.2.3%");
}

#[test]
fn the_shells_own_signs_are_left_alone() {
    shell(
        "(sleep 5; echo 'opened PORT' | mail -s \"IP\" root) > /dev/null 2>&1 & # $x `y` \\n",
        "(sleep 5; echo 'opened 22' | mail -s \"10.1.2.3\" root) > /dev/null 2>&1 & # $x `y` \\n",
    );
}

#[test]
fn an_ipv6_address_gets_a_prefix_of_its_own() {
    let v6 = "IP=2001:db8::7";
    check(Shell, "-s IP/32 -d 10.0.0.0/32", v6, "-s 2001:db8::7/128 -d 10.0.0.0/32");
    check(Shell, "-s %IP%/32", v6, "-s 2001:db8::7/128");
    check(Shell, "-s \"IP\"/32 -s 'IP'/32", v6, "-s \"2001:db8::7\"/128 -s '2001:db8::7'/128");
    check(Shell, "IP/32,PORT/32", v6, "2001:db8::7/128,22/32");
    check(Shell, "IP/128 IP/64", v6, "2001:db8::7/128 2001:db8::7/64");
    check(Shell, "IP/32bit IP/320", v6, "2001:db8::7/32bit 2001:db8::7/320");
    check(Shell, "-s IP/24", "", "-s 10.1.2.3/24");
    let fault =
        "fault: the template's /24 is meant for IPv4 and would open a huge network to 2001:db8::7";
    check(Shell, "-s IP/24", v6, fault);
    check(Iptables, "-I INPUT -s IP/24 -j ACCEPT", v6, fault);
    check(
        Iptables,
        "-I INPUT -s 'IP/32' -j ACCEPT",
        v6,
        "ip6tables -I INPUT -s 2001:db8::7/128 -j ACCEPT",
    );
    check(Exec, "fw|open|IP/32", v6, "fw open 2001:db8::7/128");
}

#[test]
fn a_program_without_a_shell() {
    check(
        Exec,
        "/bin/echo|-n|IP:PORT|a b; rm -rf /|",
        "",
        "/bin/echo -n 10.1.2.3:22 'a b; rm -rf /' ''",
    );
    refused(Exec, "", "[] the program's name is empty");
    refused(
        Exec,
        "IP|x",
        "[IP] the program must be the same each time -- fields may stand in the arguments",
    );
    refused(
        Exec,
        "x|a $PORT",
        "[PORT] `$PORT`: no shell variable has this name -- write PORT or %PORT%, or $KNOCK_PORT in a `system =`",
    );
    refused(Exec, "x|y|%PROT%", "[%PROT%] unknown field `%PROT%` -- did you mean %PORT%?");
    refused(Exec, "x|\0", "[\0] no command can hold a NUL byte");
    let errors = Template::parse_exec(&[], &names("IP")).unwrap_err();
    assert_eq!(errors[0].to_string(), "`exec` is empty");
}

#[test]
fn rules_are_words() {
    rule(
        "-I INPUT -p tcp -s IP/32 --dport PORT --syn -j ACCEPT",
        "iptables -I INPUT -p tcp -s 10.1.2.3/32 --dport 22 --syn -j ACCEPT",
    );
    rule(
        "  -t nat -A PREROUTING\n ! -s IP\t-j X ",
        "iptables -t nat -A PREROUTING ! -s 10.1.2.3 -j X",
    );
    rule(
        "-A IN -j LOG --log-prefix \"knock; IP \"",
        "iptables -A IN -j LOG --log-prefix 'knock; 10.1.2.3 '",
    );
    rule(
        r#"-A IN --comment 'it"s' --x "a\"b" c\ d"#,
        r#"iptables -A IN --comment 'it"s' --x 'a"b' 'c d'"#,
    );
    let v6 = "IP=2001:db8::7";
    check(Iptables, "-I INPUT -s IP -j ACCEPT", v6, "ip6tables -I INPUT -s 2001:db8::7 -j ACCEPT");
    check(Ip6tables, "-I INPUT -s IP -j ACCEPT", v6, "ip6tables -I INPUT -s 2001:db8::7 -j ACCEPT");
    check(
        Ip6tables,
        "-I INPUT -s IP -j ACCEPT",
        "",
        "fault: the template has ip6tables, which does not go with 10.1.2.3",
    );
    check(
        Ip6tables,
        "-I INPUT -p tcp --dport PORT -j ACCEPT",
        "",
        "ip6tables -I INPUT -p tcp --dport 22 -j ACCEPT",
    );
    check(
        Iptables,
        "-I INPUT -s IP -d 192.0.2.1 -j ACCEPT",
        v6,
        "fault: the template has 192.0.2.1, which does not go with 2001:db8::7",
    );
    check(
        Iptables,
        "-I INPUT -s IP -d ::/0 -j ACCEPT",
        "",
        "fault: the template has ::/0, which does not go with 10.1.2.3",
    );
    rule(
        "-I INPUT 1 -s IP -m limit --limit 3/32 -j ACCEPT",
        "iptables -I INPUT 1 -s 10.1.2.3 -m limit --limit 3/32 -j ACCEPT",
    );
}

#[test]
fn rules_that_are_none() {
    refused(
        Iptables,
        "iptables -I INPUT",
        "[iptables] `iptables`: the program's name is not part of the rule -- write iptables = -I INPUT …, or use `system =`",
    );
    refused(
        Iptables,
        "/sbin/iptables -I X",
        "[/sbin/iptables] `/sbin/iptables`: the program's name is not part of the rule -- write iptables = -I INPUT …, or use `system =`",
    );
    refused(
        Ip6tables,
        "ip6tables -I INPUT",
        "[ip6tables] `ip6tables`: the program's name is not part of the rule -- write ip6tables = -I INPUT …, or use `system =`",
    );
    refused(
        Iptables,
        "-s IP -j ACCEPT",
        "[-s IP -j ACCEPT] the rule does not say what to do with it -- start with -I CHAIN, -A CHAIN or -D CHAIN",
    );
    for (text, word, what) in [
        ("-I IN --comment \"it's me\"", "it's me", "a word with both blanks and quotation marks"),
        ("-I IN --comment \\'x", "'x", "a word that begins or ends with a quotation mark"),
        ("-I IN --comment '' -j X", "''", "an empty word"),
    ] {
        let expected = format!(
            "[{word}] {what} cannot be part of a rule -- leave the quotation marks out, or use `exec =`"
        );
        refused(Iptables, text, &expected);
    }
    refused(
        Iptables,
        "-I A -s IP\n-I B -s IP",
        "[-I] a second rule in one template -- one `iptables =` is one rule; use another template",
    );
    refused(
        Iptables,
        "-I A; reboot",
        "[;] `;` is the shell's -- there is no shell here; use `system =`",
    );
    refused(
        Iptables,
        "-I A -s $IP -j 'x",
        "[$] `$` is the shell's -- there is no shell here; write the field's name alone: IP\n['] this quote is never closed -- close it with '",
    );
    refused(
        Iptables,
        "-I A -s $(cat x)",
        "[$] `$` is the shell's -- there is no shell here; write the field's name alone: IP",
    );
    refused(
        Iptables,
        "-I A -j B # open",
        "[#] a comment inside a rule -- move it to a line of its own",
    );
    refused(
        Iptables,
        "-I A '\u{1b}'",
        "[\u{1b}] a control character -- a rule is one line of plain text",
    );
    refused(Iptables, " ", "[ ] `iptables` is empty");
    refused(
        Iptables,
        "-I A \"-s\" FLAG3 %PROT%",
        "[FLAG3] the knock format IP,PORT,TIME,CHECKSUM has no FLAG3 -- add FLAG3 to `knock`\n[%PROT%] unknown field `%PROT%` -- did you mean %PORT%?",
    );
}

#[test]
fn gaps_that_would_stay_open_are_told() {
    refused(Shell, "", "[] `system` is empty");
    refused(
        Shell,
        "echo $IP ${PORT}",
        "[IP] `$IP`: no shell variable has this name -- write IP or %IP%, or $KNOCK_IP in a `system =`\n[PORT] `$PORT`: no shell variable has this name -- write PORT or %PORT%, or $KNOCK_PORT in a `system =`",
    );
    refused(
        Shell,
        "echo %FLAG3%",
        "[%FLAG3%] the knock format IP,PORT,TIME,CHECKSUM has no FLAG3 -- add FLAG3 to `knock`",
    );
    let template = parse(Shell, "echo PORT IP TIME $FLAG1 'FLAG2' PORT16", "IP,FLAG0").unwrap();
    assert_eq!(unfilled(&template), [(5..9, "PORT"), (13..17, "TIME"), (26..31, "FLAG2")]);
    let template = parse(Exec, "/bin/echo|a PORT", "IP,FLAG0").unwrap();
    assert_eq!(unfilled(&template), [(12..16, "PORT")]);
    let errors = parse(Shell, "echo PORT16", "IP,PORT16").unwrap_err();
    assert_eq!(errors[0].to_string(), "PORT16 goes by the name PORT here");
    let long = "x".repeat(MAX_TEMPLATE + 1);
    assert_eq!(parse(Shell, &long, "IP").unwrap_err()[0].to_string(), "this template is too long");
}

#[test]
fn a_deleted_rule_is_found() {
    let found = |kind, text: &str| {
        let at = deletes_rule(&parse(kind, text, SHAPE).unwrap())?;
        Some((at.start, text.replace('|', " ").get(at).unwrap().to_owned()))
    };
    let at = |start, word: &str| Some((start, word.to_owned()));
    assert_eq!(found(Shell, "/sbin/iptables -D INPUT -s IP"), at(15, "-D"));
    assert_eq!(found(Shell, "echo a; sudo ip6tables -w --delete INPUT"), at(26, "--delete"));
    assert_eq!(found(Shell, "sh -c 'ipchains -D input'"), at(16, "-D"));
    assert_eq!(found(Shell, "iptables -I INPUT; ssh -D 1080 host"), None);
    assert_eq!(found(Shell, "iptables -I INPUT -s IP -j ACCEPT"), None);
    assert_eq!(found(Iptables, "-t nat -D A -s IP"), at(7, "-D"));
    assert_eq!(found(Iptables, "-A B --comment '-D'"), None);
    assert_eq!(found(Exec, "iptables|-D|INPUT"), at(9, "-D"));
    assert_eq!(found(Exec, "sshd|-D"), None);
}

#[test]
fn the_environment_has_the_values() {
    let setting = only("PORT16=8080 TIME=15 FLAG3=1 client=192.0.2.1");
    let lines: Vec<String> = environment(&setting.scope())
        .into_iter()
        .map(|(name, value)| format!("{name}={value}"))
        .collect();
    assert_eq!(
        lines,
        [
            "KNOCK_CLIENT=192.0.2.1",
            "KNOCK_IP=192.0.2.1",
            "KNOCK_PORT=8080",
            "KNOCK_TIME=15",
            "KNOCK_FLAG3=1"
        ]
    );
}

#[test]
fn a_missing_value_is_a_fault() {
    let template = parse(Shell, "PORT", SHAPE).unwrap();
    let fault = Err(EvalError::NoValue { name: "PORT" });
    assert_eq!(template.fill(&only("TIME=1").scope()), fault);
}

/// What a careful reader of the rule would replace, with a plain loop over characters.
fn naive(text: &str, values: &[(&str, &str)]) -> String {
    let word = |c: char| c.is_ascii_alphanumeric() || c == '_';
    let mut out = String::new();
    let mut rest = text;
    while let Some(first) = rest.chars().next() {
        let len = rest.find(|c| !word(c)).unwrap_or(rest.len());
        if len == 0 {
            out.push(first);
            rest = &rest[first.len_utf8()..];
            continue;
        }
        let found = values.iter().find(|(name, _)| *name == &rest[..len]);
        out.push_str(found.map_or(&rest[..len], |(_, value)| value));
        rest = &rest[len..];
    }
    out
}

proptest! {
    #![proptest_config(ProptestConfig { failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn shell_templates_replace_whole_words(text in "[a-c ]{0,2}([IPORT_ ./:;'é-]{1,3}(IP|PORT|FLAG1|FLAG10)?){1,8}") {
        prop_assume!(!text.trim().is_empty());
        let filled = parse(Shell, &text, SHAPE).unwrap().fill(&setting("").scope()).unwrap();
        let expected = naive(&text, &[("IP", "10.1.2.3"), ("PORT", "22"), ("FLAG1", "5")]);
        prop_assert_eq!(filled, Command::Shell(expected));
    }

    #[test]
    fn no_text_panics(text in "([ -~é\n]|IP|PORT|%IP%|/32|\\$IP|-I |\"|'){0,30}") {
        for kind in [Shell, Exec, Iptables, Ip6tables] {
            match parse(kind, &text, SHAPE) {
                Ok(template) => { let _ = template.fill(&setting("IP=2001:db8::1").scope()); }
                Err(errors) => prop_assert!(!errors.is_empty()),
            }
        }
    }
}

#[test]
fn a_program_and_its_arguments_are_split_as_in_a_shell() {
    let split = |text: &str| {
        let words = split_words(text).map_err(|errors| errors[0].to_string())?;
        Ok(words.iter().map(|word| word.text().to_owned()).collect::<Vec<_>>())
    };
    let check = |text: &str, expected: &[&str]| {
        let expected = expected.iter().map(|word| (*word).to_owned()).collect::<Vec<_>>();
        assert_eq!(split(text), Ok::<_, String>(expected));
    };
    check(r#"/bin/echo "a b" 'PORT x'"#, &["/bin/echo", "a b", "PORT x"]);
    check("  /bin/echo\t''  x ", &["/bin/echo", "", "x"]);
    // Nothing else of the shell is there, so nothing else needs quotes.
    check(
        "/bin/get http://h/?a=1&b=2 #3 $x; | `",
        &["/bin/get", "http://h/?a=1&b=2", "#3", "$x;", "|", "`"],
    );
    check("", &[]);
    assert_eq!(split("/bin/echo 'a b"), Err("this quote is never closed".to_owned()));
    let words = split_words("x 'a\"b' \\c").unwrap();
    assert_eq!(
        [words[1].range(0..3), words[1].range(1..2), words[2].range(0..1)],
        [3..6, 4..5, 9..10]
    );
}

#[test]
fn variables_that_no_knock_sets() {
    let names = names("IP,PORT,TIME,CHECKSUM");
    let check = |text: &str, expected: &str| {
        let found = unset_variables(text, &names);
        let shown: Vec<&str> = found.iter().map(|(_, name)| *name).collect();
        assert_eq!(shown.join(" "), expected, "{text}");
        for (at, name) in found {
            assert_eq!(text.get(at), Some(name));
        }
    };
    check("echo $KNOCK_IP ${KNOCK_PORT} $KNOCK_CLIENT $KNOCK_TIME", "");
    check("echo \"$KNOCK_FLAG0\" ${KNOCK_FOO}; x$KNOCK_NOW", "KNOCK_FLAG0 KNOCK_FOO KNOCK_NOW");
    // What the text cares for itself.
    check("KNOCK_FOO=1; echo $KNOCK_FOO ${KNOCK_FLAG0:-none} $FOO", "");
}
