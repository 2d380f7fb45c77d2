//! Conditions by what they answer, mistakes by what is said about them.

use proptest::prelude::*;

use super::*;
use crate::testing::{SHAPE, names, only, setting, told};
use crate::{MAX_DEPTH, MAX_EXPRESSION};

#[track_caller]
fn check(condition: &str, values: &str, expected: bool) {
    let parsed = match Condition::parse(condition, &names(SHAPE)) {
        Ok(parsed) => parsed,
        Err(errors) => panic!("{condition}\n{}", told(&[condition], &errors)),
    };
    let setting = setting(values);
    assert_eq!(parsed.holds(&setting.scope()), Ok(expected), "{condition} with {values}");
    // The printed form means the same, and is the same tree.
    let printed = parsed.to_string();
    assert_eq!(Condition::parse(&printed, &names(SHAPE)).as_ref(), Ok(&parsed), "{printed}");
}

#[track_caller]
fn check_fault(condition: &str, expected: EvalError) {
    let parsed = Condition::parse(condition, &names(SHAPE)).unwrap();
    assert_eq!(parsed.holds(&setting("").scope()), Err(expected), "{condition}");
}

/// `expected`: a line for each error, `[text pointed at] message -- help`.
#[track_caller]
fn refused(condition: &str, expected: &str) {
    let errors = Condition::parse(condition, &names("IP,PORT,TIME,CHECKSUM")).unwrap_err();
    assert_eq!(told(&[condition], &errors), expected, "{condition}");
}

#[test]
fn what_the_manual_shows() {
    check("PORT == 22 && TIME != 255", "", true);
    check("PORT == 22 && TIME != 255", "TIME=255", false);
    check("PORT == 22 && TIME > 0 && TIME < 255", "TIME=0", false);
    check("PORT == 22 && TIME > 0 && TIME < 255", "TIME=254", true);
    check("PORT == 22 && TIME == 255;", "TIME=255", true);
    check("1", "", true);
    check("0", "", false);
}

/// The original put the values in place of the names and gave the text to Perl, so an address had to
/// stand in quotes, as its name.
#[test]
fn names_in_quotes_or_percent_signs_are_the_field() {
    check("\"IP\" eq \"10.1.2.3\"", "", true);
    check("'IP' =~ /^10\\.1\\./ && \"PORT\" == 22", "", true);
    check("%IP% eq '10.1.2.3' && %PORT% == 22", "", true);
    check("'%FLAG1%' == 5", "", true);
    check("PORT % FLAG1 == 2", "", true);
    check("state(\"IP\",'visits') == 3", "state/10.1.2.3/visits=3", true);
    // More than the name alone is a text.
    check("'IP ' eq 'IP' . ' '", "", false);
    check("'IPTABLES' eq \"IPT\" . 'ABLES'", "", true);
    check("state(mode) eq 'THISHOUR'", "state/mode=THISHOUR", true);
    refused("%PROT% == 22", "[PROT] unknown name `PROT` -- did you mean PORT?");
    refused(
        "%FLAG7% == 22",
        "[FLAG7] the knock format IP,PORT,TIME,CHECKSUM has no FLAG7 -- add FLAG7 to `knock`",
    );
}

#[test]
fn comparisons() {
    check("PORT != 22", "PORT=80", true);
    check("PORT <= 22", "", true);
    check("PORT >= 23", "", false);
    check("PORT == 0x16", "", true);
    check("PORT == 0b10110", "", true);
    check("PORT == 2_2", "", true);
    check("PORT == 22.0", "", true);
    check("PORT > 21.5 && PORT < 2.25e1", "", true);
    check("PORT eq \"22\"", "", true);
    check("PORT eq 22", "", true);
    check("PORT ne '22'", "", false);
    // As texts, 9 comes after 22.
    check("PORT lt 9 && PORT gt 10 && PORT le 22 && PORT ge 22", "", true);
    check("PORT > 9", "", true);
    check("'abc' lt 'abd'", "", true);
}

#[test]
fn addresses() {
    check("IP == \"10.1.2.3\"", "", true);
    check("IP != '10.1.2.4'", "", true);
    check("'10.1.2.3' == IP", "", true);
    check("IP == CLIENT", "client=192.0.2.1", false);
    check("CLIENT == '192.0.2.1'", "client=::ffff:192.0.2.1", true);
    check("IP eq '10.1.2.3'", "", true);
    check("IP =~ /^10\\./", "", true);
    check("IP !~ /^192\\.168\\./", "", true);
    check("IP == '2001:DB8:0::1'", "IP=2001:db8::1", true);
    check("IP eq '2001:DB8:0::1'", "IP=2001:db8::1", false);
    check("cidr(IP, \"10.0.0.0/8\")", "", true);
    check("cidr(IP, '192.168.0.0/16', '10.1.0.0/16')", "", true);
    check("! cidr(IP, '192.168.0.0/16')", "", true);
    check("cidr(IP, '2001:db8::/32')", "", false);
    check("cidr(IP, '2001:db8::/32')", "IP=2001:db8:ffff::9", true);
    check("cidr(IP, \"10.1.2.0/\" . 24)", "", true);
    check("cidr(state(last), '10.0.0.0/8')", "state/last=10.9.9.9", true);
    check("cidr(state(last), '10.0.0.0/8')", "", false);
    check("IP == state(last)", "state/last=10.1.2.3", true);
    check("IP == state(last)", "", false);
    check("IP", "", true);
}

#[test]
fn an_address_is_the_clients_where_the_knock_has_none() {
    let condition = Condition::parse("IP == '192.0.2.1'", &Names::from_fields(&[])).unwrap();
    let setting = only("client=192.0.2.1");
    assert_eq!(condition.holds(&setting.scope()), Ok(true));
}

#[test]
fn logic_has_perls_precedence() {
    check("PORT == 80 || PORT == 22", "", true);
    check("PORT == 22 or PORT == 80 and TIME == 1", "", true);
    check("(PORT == 22 or PORT == 80) and TIME == 1", "", false);
    check("PORT == 22 || PORT == 80 && TIME == 1", "", true);
    check("not PORT == 80", "", true);
    check("not PORT == 80 and TIME == 1", "", false);
    check("not (PORT == 80 and TIME == 1)", "", true);
    check("!(PORT == 22)", "", false);
    check("!FLAG0", "", true);
    check("!FLAG0 == 1", "", true);
    check("!FLAG1 || TIME", "", true);
    check("not not FLAG1", "", true);
    check("0 && 1 or 1", "", true);
    check("0 && (1 or 1)", "", false);
    check("1 or 1 && 0", "", true);
    check("PORT == 22 ? TIME == 15 : TIME == 16", "", true);
    check("PORT == 80 ? 1 : PORT == 22 ? 0 : 1", "", false);
    check("FLAG0 || FLAG1", "", true);
    // The value of a chain is that of the part which decided.
    check("(FLAG0 || FLAG1) == 5", "", true);
    check("(FLAG1 && TIME) == 15", "", true);
}

#[test]
fn arithmetic() {
    check("PORT + 2 * 3 == 28", "", true);
    check("(PORT + 2) * 3 == 72", "", true);
    check("PORT - 10 - 2 == 10", "", true);
    check("PORT / 4 == 5.5", "", true);
    check("PORT % 4 == 2", "", true);
    check("-PORT % 4 == 2", "", true);
    check("PORT % -4 == -2", "", true);
    check("7.9 % 4 == 3", "", true);
    check("-PORT == -22 && +PORT == 22", "", true);
    check("- 5 + 6", "", true);
    check("PORT . TIME eq \"2215\"", "", true);
    check("PORT.TIME == 2215", "", true);
    check("1 + 2 . 3 + 4 eq '37'", "", true);
    check("0.1 + 0.2 eq '0.3'", "", true);
    check("PORT / 7 eq '3.14285714285714'", "", true);
    check_fault("PORT / FLAG0 == 1", EvalError::DivisionByZero);
    check_fault("PORT % FLAG0 == 1", EvalError::DivisionByZero);
    check_fault("PORT % 0.5 == 1", EvalError::DivisionByZero);
    let address = [10, 1, 2, 3].into();
    check_fault("(1 ? IP : 2) + 1 == 3", EvalError::AddressAsNumber { address });
    check_fault("cidr(IP, '10.' . 5)", EvalError::NotANetwork { text: "10.5".to_owned() });
}

#[test]
fn texts() {
    check(r#"IP . ":" . PORT eq "10.1.2.3:22""#, "", true);
    check(r#""a\tb" eq 'a' . "\x09" . "b""#, "", true);
    check(r#"'it\'s' eq "it's""#, "", true);
    check(r#"'a\d' eq "a\\d""#, "", true);
    check(r#""\$5" eq '$5'"#, "", true);
    check(r#""\x{e9}" eq "é""#, "", true);
    check("PORT =~ /^2[12]$/", "", true);
    check("PORT =~ m/^2/ && IP =~ qr/3$/", "", true);
    check("'Open' =~ /OPEN/i", "", true);
    check("'Open' =~ /OPEN/", "", false);
    check("state(name) =~ /^a\\/b$/", "state/name=a/b", true);
    check("'1٣' =~ /^\\d+$/", "", false);
    check("PORT / 2 == 11 && PORT / 11 == 2", "", true);
    check("(PORT) / 2 == 11", "", true);
    check("'ab' =~ /A # the first\n B/xi", "", true);
    check("PORT == 22 # ssh", "", true);
    check("PORT == 22\n  && TIME == 15", "", true);
}

#[test]
fn state_and_numbers_meet_as_in_perl() {
    check("state(IP,visits) > 2", "state/10.1.2.3/visits=3", true);
    check("state(IP,visits) < 1", "", true);
    check("state(IP,visits) == 0 && state(IP,visits) eq ''", "", true);
    check("state(IP,visits) == ''", "", true);
    check("state(a) == 22", "state/a=22/tcp", true);
    check("state(a) + 1 == 1", "state/a=tcp", true);
    check("state(a)", "state/a=0", false);
    check("state(a)", "state/a=0.0x", true);
    check("!state(IP,blocked)", "", true);
    check("state(IP,blocked) ne 'yes'", "state/10.1.2.3/blocked=yes", false);
    check("state('a b',22,5m) == 1", "state/a=1", false);
    check("state(22,IP,PORT) == 1", "state/22/10.1.2.3/22=1", true);
    check("state(THISYEAR,THISMONTH,THISDAY) == 7", "state/2002/12/25=7", true);
    check("defined(state(IP,visits))", "state/10.1.2.3/visits=0", true);
    check("defined(state(IP))", "state/10.1.2.3/visits=0", true);
    check("defined(state(IP))", "state/10.1.2.30=1", false);
    check("defined state(IP) && defined PORT", "state/10.1.2.3=1", true);
    check("state(a) eq undef", "", true);
}

#[test]
fn time_words() {
    check("THISHOUR >= 8 && THISHOUR < 18", "", true);
    check("THISWEEKDAY == 3 and THISYEAR == 2002 and THISMONTH == 12 and THISDAY == 25", "", true);
    check("THISMINUTE == 45 && NOW == 1040827500", "", true);
    // The field comes before the time word of the same name.
    check("TIME == 15", "", true);
    let without = Condition::parse("TIME == NOW", &names("IP,PORT")).unwrap();
    assert_eq!(without.holds(&setting("").scope()), Ok(true));
}

#[test]
fn a_field_that_the_knock_lacks_is_a_fault() {
    let condition = Condition::parse("FLAG1 == 5", &names(SHAPE)).unwrap();
    let fault = Err(EvalError::NoValue { name: "FLAG1" });
    assert_eq!(condition.holds(&only("PORT=22").scope()), fault);
    let condition = Condition::parse("defined(FLAG1)", &names(SHAPE)).unwrap();
    assert_eq!(condition.holds(&only("PORT=22").scope()), Ok(false));
}

#[test]
fn names_are_checked() {
    refused("PROT == 22", "[PROT] unknown name `PROT` -- did you mean PORT?");
    refused("port == 22", "[port] unknown name `port` -- did you mean PORT?");
    refused(
        "FLAG3 == 1",
        "[FLAG3] the knock format IP,PORT,TIME,CHECKSUM has no FLAG3 -- add FLAG3 to `knock`",
    );
    refused("PORT16 == 1", "[PORT16] PORT16 goes by the name PORT here -- write PORT");
    refused("PORT eq ssh", "[ssh] unknown name `ssh` -- a text needs quotes: \"ssh\"");
    refused(
        "PROT == 22 && (TMIE == 1 || $PORT = 3)",
        "[PROT] unknown name `PROT` -- did you mean PORT?\n\
         [TMIE] unknown name `TMIE` -- did you mean TIME?\n\
         [$PORT] `$PORT`: names have no sign before them here -- write PORT\n\
         [=] `=` assigns; it does not compare -- use ==: $PORT == 3",
    );
    refused(
        "state(FLAG3) == 1 && defined(FLAG4)",
        "[FLAG3] the knock format IP,PORT,TIME,CHECKSUM has no FLAG3 -- add FLAG3 to `knock`\n[FLAG4] the knock format IP,PORT,TIME,CHECKSUM has no FLAG4 -- add FLAG4 to `knock`",
    );
    let errors = Condition::parse("PORT == 1", &Names::from_fields(&[])).unwrap_err();
    assert_eq!(errors[0].to_string(), "this knock has no fields, so no PORT");
}

#[test]
fn the_rest_of_perl_is_refused_by_name() {
    refused("PORT = 22", "[=] `=` assigns; it does not compare -- use ==: PORT == 22");
    refused("state(a) = 'x'", "[=] `=` assigns; it does not compare -- use eq: state(a) eq 'x'");
    refused(
        "system('reboot') == 0",
        "[system] unknown function `system` -- put the command into a template's `system =`",
    );
    refused(
        "`id` eq 'root'",
        "[`id`] a rule runs no command: `…` -- put the command into a template's `system =`",
    );
    refused("$PORT == 22", "[$PORT] `$PORT`: names have no sign before them here -- write PORT");
    refused(
        "$state{IP}{visits} > 2",
        "[$state] `$state`: names have no sign before them here -- write state(IP,visits)",
    );
    refused("$_ eq 'a'", "[$_] `$_` is a variable of Perl's -- fields stand alone: IP, PORT");
    refused("lc(PORT) eq 'a'", "[lc] unknown function `lc` -- /…/i ignores case");
    refused(
        "frob(1, (2), 3)",
        "[frob] unknown function `frob` -- there are state(…), defined(…) and cidr(…)",
    );
    refused("time > 5", "[time] unknown name `time` -- write NOW");
    refused("IP =~ s/1/2/", "[s/] `s/…` changes a text -- a rule can only look: =~ /…/");
    refused("IP =~ m{1}", "[m{] a regular expression between other signs -- write /…/");
    refused("IP =~ '^10'", "['^10'] a regular expression stands in slashes -- write /^10/");
    refused(
        "/^10/",
        "[/^10/] a regular expression needs something to look at -- write IP =~ /^10/",
    );
    refused(
        "PORT++",
        "[++] `++` is not part of the language -- a condition changes nothing; put it into `state =`",
    );
    refused(
        "state(a) += 1",
        "[+=] `+=` is not part of the language -- only an update in `state =` assigns",
    );
    refused(
        "IP->foo",
        "[->] `->` is not part of the language -- there are no methods and no modules; state(a,b) has the keys",
    );
    refused("PORT <=> 22", "[<=>] `<=>` is not part of the language -- compare with <, == and >");
    refused("PORT =< 22", "[=<] `=<` is not part of the language -- less or equal is written <=");
    refused(
        "PORT ** 2 == 4",
        "[**] `**` is not part of the language -- write the product out: PORT * PORT",
    );
    refused(
        "FLAG == 1 & 2",
        "[FLAG] unknown name `FLAG` -- a text needs quotes: \"FLAG\"\n[&] `&` is not part of the language -- && joins conditions; FLAG0 % 2 == 1 asks for the lowest bit",
    );
    refused(
        "if (PORT == 22) { 1 }",
        "[if] `if` is not part of the language -- the condition is the expression alone: PORT == 22 && TIME != 255",
    );
    refused("PORT == 22 AND TIME == 1", "[AND] `AND` is written small -- write and");
    refused(
        "state{IP} == 1",
        "[state] the keys of state stand in parentheses -- write state(IP,visits)",
    );
    refused(
        "PORT == 22; TIME == 1",
        "[;] `;` is not part of the language -- one expression each; join conditions by &&",
    );
    refused(
        "\"$x\" eq IP",
        "[$x] a Perl variable inside a text -- join texts and fields by a dot: \"a\" . IP",
    );
}

#[test]
fn grammar_mistakes_have_a_place() {
    refused("", "[] the expression is empty -- leave the line out");
    refused(
        "PORT ==",
        "[==] nothing follows `==` -- a field, a number, a text in quotes or ( stands there",
    );
    refused(
        "PORT == && 1",
        "[&&] something is missing before `&&` -- a field, a number, a text in quotes or ( stands there",
    );
    refused("(PORT == 22", "[(] this `(` is never closed -- add `)`");
    refused("PORT == 22)", "[)] this `)` was never opened -- remove it");
    refused(
        "PORT 22",
        "[22] `22` follows without an operator -- join them: &&, ||, ==, eq, a dot, …",
    );
    refused("PORT eq 'ssh", "['] this text has no end -- close it with '");
    refused("IP =~ /abc", "[/] this regular expression has no end -- close it with /");
    refused("state() == 1", "[state()] state() without a key -- write state(IP,visits)");
    refused(
        "state(a b)",
        "[b] `b` in a key of state -- keys are separated by commas; quote one that is more than a word",
    );
    refused("state(IP", "[(] this `(` is never closed -- add `)`");
    refused("1 < PORT < 9", "[<] comparisons cannot be chained -- write 1 < PORT && PORT < …");
    refused("PORT == 22 ? 1", "[?] this `?` has no `:` -- write a ? b : c");
    refused(
        "PORT == 5m",
        "[5m] `5m` stands alone, as a whole delay -- in an expression of a delay, numbers are minutes: TIME + 5",
    );
    refused(
        "PORT == 22tcp",
        "[22tcp] `22tcp` is neither a number nor a name -- a text needs quotes: \"22tcp\"",
    );
    refused(
        "PORT == 022",
        "[022] the number 022 starts with a zero -- Perl reads it as octal; write 18 or 22",
    );
    refused(
        "PORT == “22”",
        "[“] unexpected character '“' -- write straight quotes: \"…\"\n[”] unexpected character '”' -- write straight quotes: \"…\"",
    );
}

#[test]
fn kinds_are_checked() {
    refused("IP == 10.0.0.1", "[10.0.0.1] an address needs quotes -- write \"10.0.0.1\"");
    refused(
        "IP == 10.0.0.0/8",
        "[10.0.0.0/8] an address needs quotes -- write cidr(IP, \"10.0.0.0/8\")",
    );
    refused(
        "IP == '10.0.0.0/8'",
        "['10.0.0.0/8'] \"10.0.0.0/8\" is a network, not an address -- write cidr(IP, \"10.0.0.0/8\")",
    );
    refused(
        "IP == 'home'",
        "['home'] \"home\" is not an address -- compare with one such as \"192.0.2.7\", or use =~ /…/",
    );
    refused(
        "IP == 10",
        "[10] a number is not an address -- compare with one such as \"192.0.2.7\"",
    );
    refused(
        "IP < 5",
        "[IP] `<` compares numbers, and an address is none -- write cidr(IP, \"10.0.0.0/8\") for a range",
    );
    refused(
        "IP + 1 == 3",
        "[IP] `+` needs a number, and an address is none -- a dot joins texts: IP . \"-a\"",
    );
    refused("PORT == 'ssh'", "['ssh'] `==` compares numbers, and \"ssh\" is none -- texts: use eq");
    refused(
        "cidr(IP, '10.0.0.0/33')",
        "['10.0.0.0/33'] \"10.0.0.0/33\" is neither an address nor a network -- write cidr(IP, \"10.0.0.0/8\")",
    );
    refused(
        "cidr(PORT, '10.0.0.0/8')",
        "[PORT] cidr asks about an address -- write cidr(IP, \"10.0.0.0/8\")",
    );
    refused("cidr(IP)", "[cidr(IP)] cidr needs a network -- write cidr(IP, \"10.0.0.0/8\")");
    refused(
        "defined(5)",
        "[(5)] defined asks about state or a field -- write defined(state(IP,visits))",
    );
}

#[test]
fn what_would_hold_always_is_refused() {
    refused(
        "PORT == 22 || 23",
        "[23] `23` on its own is always true -- write the comparison out: PORT == 22 || PORT == 23",
    );
    refused(
        "\"PORT == 22\"",
        "[\"PORT == 22\"] `\"PORT == 22\"` is always true -- a condition stands without quotes: PORT == 22",
    );
    refused("22", "[22] `22` is always true -- write 1 for a condition that always holds");
    refused(
        "!PORT == 22",
        "[!PORT] `!` belongs to PORT alone, not to the comparison -- write PORT != 22",
    );
    refused(
        "!IP =~ /^10/",
        "[!IP] `!` belongs to the name alone, not to the match -- write IP !~ /^10/",
    );
}

#[test]
fn regular_expressions_that_perl_reads_otherwise_are_refused() {
    refused(
        "IP =~ /(?<=a)b/",
        "[(?<=] look-around is Perl's; it is not available here -- combine two matches with &&, or use !~",
    );
    refused("IP =~ /(a)\\1/", "[\\1] back-references are Perl's; they are not available here");
    refused(
        "IP =~ /a++/",
        "[+] a possessive or doubled quantifier -- drop the last sign; nothing here backtracks anyway",
    );
    refused(
        "IP =~ /\\<a/",
        "[\\<] \\< and \\> are plain signs in Perl, word boundaries here -- write < for the sign, \\b for the boundary",
    );
    refused(
        "IP =~ /[a[b]]/",
        "[[b]] a [ inside [ ] is a plain sign in Perl, a nested class here -- write \\[",
    );
    refused(
        "IP =~ /a$x/",
        "[$] a Perl variable in a regular expression -- nothing is put in here; write \\$ for a dollar sign",
    );
    refused("IP =~ /(a/", "[(] bad regular expression: unclosed group");
    refused(
        "IP =~ /a/gi",
        "[g] unknown flag `g` behind a regular expression -- i, m, s and x are known",
    );
    refused(
        "IP =~ //",
        "[] an empty regular expression -- in Perl it means the last one that matched; write it out",
    );
    let errors = Condition::parse("IP =~ /(a{1000}){1000}/", &names(SHAPE)).unwrap_err();
    assert!(
        errors[0].to_string().starts_with("this regular expression cannot be used"),
        "{errors:?}"
    );
}

#[test]
fn size_is_bounded() {
    let parse = |text: &str| Condition::parse(text, &names(SHAPE));
    for (open, close) in [
        ("(", ")"),
        ("!", ""),
        ("not ", ""),
        ("-(", ")"),
        ("1 ? 1 : ", ""),
        ("1 + (", ")"),
        ("defined ", ""),
    ] {
        let text = format!("{}PORT{}", open.repeat(MAX_DEPTH + 1), close.repeat(MAX_DEPTH + 1));
        let errors = parse(&text).unwrap_err();
        assert!(
            errors.iter().any(|e| e.to_string().contains("nested too deeply")),
            "{open}: {errors:?}"
        );
    }
    assert!(parse(&format!("1{}", " + 1".repeat(MAX_DEPTH))).is_err());
    assert!(parse(&format!("{}1{}", "(".repeat(MAX_DEPTH / 2), ")".repeat(MAX_DEPTH / 2))).is_ok());
    // A long list is not a deep one.
    let list = vec!["PORT == 22"; 1000].join(" || ");
    assert!(parse(&list).is_ok());
    let errors = parse(&" ".repeat(MAX_EXPRESSION + 1)).unwrap_err();
    assert_eq!(errors[0].to_string(), format!("an expression of {} bytes", MAX_EXPRESSION + 1));
    let doubled = "state(a) . ".repeat(20) + "state(a) ne ''";
    let mut full = setting("");
    let value = Some(crate::MemoryValue::Text("x".repeat(crate::MAX_TEXT)));
    full.memory.apply(&crate::MemoryChange { path: vec!["a".to_owned()], value });
    let fault = Err(EvalError::TextTooLong { limit: crate::MAX_COMPUTED });
    assert_eq!(parse(&doubled).unwrap().holds(&full.scope()), fault);
}

/// Tokens that make a sensible expression now and then.
fn soup() -> impl Strategy<Value = String> {
    let token = proptest::sample::select(vec![
        "IP",
        "PORT",
        "TIME",
        "FLAG3",
        "CLIENT",
        "NOW",
        "ssh",
        "state(IP,n)",
        "state(",
        "defined(",
        "defined",
        "cidr(IP,'10.0.0.0/8')",
        "cidr(",
        "(",
        ")",
        "(",
        ")",
        ",",
        "==",
        "!=",
        "<",
        ">",
        "<=",
        ">=",
        "eq",
        "ne",
        "lt",
        "gt",
        "le",
        "ge",
        "=~",
        "!~",
        "/a+/i",
        "/(b/",
        "&&",
        "||",
        "!",
        "and",
        "or",
        "not",
        "+",
        "-",
        "*",
        "/",
        "%",
        ".",
        "?",
        ":",
        "=",
        "++",
        "22",
        "0x1f",
        "1.5",
        "022",
        "5m",
        "\"a\\x41$b\"",
        "'it\\'s'",
        "\"",
        "'",
        "$PORT",
        "@x",
        "%IP%",
        "`id`",
        "x",
        "s/a/b/",
        "->",
        "{",
        "}",
        ";",
        "#",
        "é",
        "\u{a0}",
        "\\",
        "10.0.0.1/8",
        "undef",
    ]);
    proptest::collection::vec((token, proptest::sample::select(vec![" ", "", "\n"])), 0..24)
        .prop_map(|tokens| tokens.into_iter().map(|(token, gap)| format!("{token}{gap}")).collect())
}

/// Expressions that are right by construction.
fn sensible() -> impl Strategy<Value = String> {
    let number = proptest::sample::select(vec![
        "PORT",
        "TIME",
        "1",
        "0",
        "2.5",
        "state(IP,n)",
        "-3",
        "\"7\"",
    ]);
    let number = number.prop_map(str::to_owned).boxed();
    let condition =
        (number.clone(), proptest::sample::select(vec!["==", "<", ">=", "ne", "lt"]), number)
            .prop_map(|(a, op, b)| format!("{a} {op} {b}"));
    condition.prop_recursive(4, 32, 3, |inner| {
        let joined = proptest::sample::select(vec!["&&", "||", "and", "or"]);
        prop_oneof![
            (inner.clone(), joined, inner.clone()).prop_map(|(a, op, b)| format!("{a} {op} {b}")),
            inner.clone().prop_map(|a| format!("({a})")),
            inner.clone().prop_map(|a| format!("not {a}")),
            inner.clone().prop_map(|a| format!("!({a})")),
            (inner.clone(), inner.clone(), inner.clone())
                .prop_map(|(a, b, c)| format!("(({a}) ? ({b}) : ({c}))")),
            inner.prop_map(|a| format!("(({a}) . IP =~ /^1\\/?/i)")),
        ]
    })
}

/// Whatever was read prints so that it reads the same again; whatever was not has its places.
fn read_and_print(text: &str) -> Result<Condition, TestCaseError> {
    match Condition::parse(text, &names(SHAPE)) {
        Ok(condition) => {
            let printed = condition.to_string();
            let again = Condition::parse(&printed, &names(SHAPE));
            prop_assert_eq!(again.as_ref(), Ok(&condition), "{}", printed);
            let _ = condition.holds(&setting("").scope());
            Ok(condition)
        }
        Err(errors) => {
            prop_assert!(!errors.is_empty());
            for error in &errors {
                prop_assert!(text.get(error.at.clone()).is_some(), "{:?} in {:?}", error, text);
            }
            Err(TestCaseError::reject("not an expression"))
        }
    }
}

fn panic_free(result: Result<Condition, TestCaseError>) -> Result<(), TestCaseError> {
    match result {
        Ok(_) | Err(TestCaseError::Reject(_)) => Ok(()),
        Err(failure) => Err(failure),
    }
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 2000, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn token_soup_never_panics(text in soup()) {
        panic_free(read_and_print(&text))?;
    }

    #[test]
    fn any_text_never_panics(text in "[ -~é€\n]{0,40}") {
        panic_free(read_and_print(&text))?;
    }

    #[test]
    fn sensible_expressions_are_read_and_print_the_same(text in sensible()) {
        let read = read_and_print(&text);
        prop_assert!(read.is_ok(), "{}", text);
    }
}
