//! Perl that is not part of the language, as people wrote it when conditions went to Perl's own eval:
//! each construct is named where it stands, with the nearest thing that works, and nothing else is
//! complained about. What the language does with what it knows is tested beside it.

use knock_rules::{Condition, Names};
use knock_wire::Shape;

/// The condition, the text that is pointed at, and a piece of the way out.
const REFUSED: [(&str, &str, &str); 92] = [
    ("$x == 1", "$x", "state(x) remembers"),
    ("$IP eq '192.0.2.7'", "$IP", "write IP"),
    ("@list", "@list", "fields stand alone"),
    ("%hash", "%hash", "fields stand alone"),
    ("$_ == 22", "$_", "fields stand alone"),
    ("$1 == 22", "$1", "IP =~ /…/ && PORT == 22"),
    ("$& eq 'x'", "$&", "fields stand alone"),
    ("$0", "$0", "fields stand alone"),
    ("$ENV{HOME} eq 'x'", "$ENV", "a `system =` sees the environment"),
    ("@ARGV", "@ARGV", "fields stand alone"),
    ("$state{IP}{visits} > 3", "$state", "write state(IP,visits)"),
    ("$state->{IP}->{visits} > 3", "$state", "write state(IP,visits)"),
    ("state{IP}{visits} > 3", "state", "write state(IP,visits)"),
    ("state(IP)(visits) > 3", "(", "keys of state stand in one pair"),
    ("State(IP,visits) > 3", "State", "write state(…)"),
    ("&allowed", "&allowed", "there are state(…), defined(…) and cidr(…)"),
    ("allowed(IP)", "allowed", "there are state(…), defined(…) and cidr(…)"),
    ("Net::IP->new(IP)", "Net", "a text needs quotes"),
    ("IP->foo", "->", "no methods and no modules"),
    ("sprintf('%d', PORT) == 22", "sprintf", "join texts by a dot"),
    ("sprintf '%d', PORT", "sprintf", "join texts by a dot"),
    ("join(',', IP, PORT) eq 'x'", "join", "join texts by a dot"),
    ("system('ls')", "system", "`system =`"),
    ("system 'ls'", "system", "`system =`"),
    ("exec('ls')", "exec", "`system =`"),
    ("`ls` eq 'x'", "`ls`", "`system =`"),
    ("qx{ls} eq 'x'", "qx{ls}", "`system =`"),
    ("open(F, '/x')", "open", "`system =`"),
    ("unlink '/x'", "unlink", "`system =`"),
    ("print PORT", "print", "prints nothing"),
    ("die 'x'", "die", "prints nothing"),
    ("exit", "exit", "prints nothing"),
    ("split(/,/, IP)", "split", "=~ /…/"),
    ("substr(IP, 0, 3) eq '10.'", "substr", "=~ /…/"),
    ("index(IP, '10.') == 0", "index", "=~ /…/"),
    ("length IP > 3", "length", "=~ /…/"),
    ("lc IP eq 'x'", "lc", "/…/i ignores case"),
    ("uc(IP) eq 'x'", "uc", "/…/i ignores case"),
    ("int(PORT / 2) == 11", "int", "(a - a % b) / b"),
    ("int PORT", "int", "(a - a % b) / b"),
    ("abs(PORT) == 1", "abs", "+ - * / %"),
    ("sqrt(PORT) == 1", "sqrt", "+ - * / %"),
    ("hex('16') == PORT", "hex", "+ - * / %"),
    ("rand(2) < 1", "rand", "nothing is drawn by lot"),
    ("time - 60 > 0", "time", "NOW"),
    ("time() > 0", "time", "NOW"),
    ("localtime =~ /Mon/", "localtime", "THISWEEKDAY"),
    ("exists state(IP,visits)", "exists", "defined(state(…))"),
    ("delete state(IP,visits)", "delete", "= undef in `state =`"),
    ("defined $x", "$x", "fields stand alone"),
    ("grep { $_ == PORT } (22, 80)", "grep", "PORT == 22 || PORT == 80"),
    ("grep(/x/, IP)", "grep", "PORT == 22 || PORT == 80"),
    ("map { $_ } 1", "map", "PORT == 22 || PORT == 80"),
    ("keys(state)", "keys", "PORT == 22 || PORT == 80"),
    ("PORT ~~ [22, 80]", "~~", "PORT == 22 || PORT == 80"),
    ("PORT in (22, 80)", "in", "PORT == 22 || PORT == 80"),
    ("PORT == (22, 80)", ",", "join conditions by && or ||"),
    ("PORT between 20", "between", "PORT >= 20 && PORT <= 30"),
    ("22 .. 80", "..", "PORT >= 20 && PORT <= 30"),
    ("PORT <=> 22", "<=>", "compare with"),
    ("IP cmp 'x'", "cmp", "compare with eq, lt, gt"),
    ("'a' x 3 eq 'aaa'", "x", "write the text out"),
    ("PORT ** 2 > 100", "**", "PORT * PORT"),
    ("PORT << 1 == 44", "<<", "multiply or divide"),
    ("PORT & 1", "&", "FLAG0 % 2 == 1"),
    ("PORT | 1", "|", "|| joins conditions"),
    ("PORT ^ 1", "^", "(a || b) && !(a && b)"),
    ("PORT xor TIME", "xor", "(a || b) && !(a && b)"),
    ("~PORT", "~", "a field, a number, a text"),
    ("\\PORT", "\\", "a field, a number, a text"),
    ("PORT // 22", "//", "defined(a) ? a : b"),
    ("PORT++ > 3", "++", "put it into `state =`"),
    ("++state(IP,visits) > 3", "++", "`state =`"),
    ("state(IP,visits) += 1", "+=", "only an update in `state =` assigns"),
    ("PORT == 22; TIME == 1", ";", "join conditions by &&"),
    ("PORT == 22 if TIME", "if", "write (PORT == 22) && TIME"),
    ("PORT == 22 unless TIME == 255", "unless", "write (PORT == 22) && !(TIME == 255)"),
    ("if (PORT == 22) { 1 }", "if", "the condition is the expression alone"),
    ("unless (TIME) { 1 }", "unless", "the condition is the expression alone"),
    ("1 while PORT", "while", "the expression alone"),
    ("return PORT == 22", "return", "the condition is the expression alone"),
    ("eval { 1 }", "eval", "conditions compare"),
    ("my x = PORT", "my", "conditions compare"),
    ("<<EOT", "<<", "write the text in quotes"),
    ("IP eq q{192.0.2.7}", "q{192.0.2.7}", "write the text in quotes"),
    ("qw(a b)", "qw(a b)", "compare one by one"),
    ("-e '/tmp/open'", "-e", "test -e /path"),
    ("IP =~ s/1/2/", "s/", "a rule can only look"),
    ("IP =~ tr/1/2/", "tr/", "a rule can only look"),
    ("IP =~ m{^10}", "m{", "write /…/"),
    ("IP =~ /^10/g", "g", "i, m, s and x"),
    ("PORT isa Foo", "isa", "write == for numbers"),
];

#[test]
fn each_construct_is_named_once_with_the_nearest_thing_that_works() {
    let names = Names::new(&Shape::parse("IP,PORT,TIME,FLAG0,CHECKSUM").unwrap());
    let mut wrong = Vec::new();
    for (condition, construct, way_out) in REFUSED {
        let Err(errors) = Condition::parse(condition, &names) else {
            wrong.push(format!("{condition}: taken"));
            continue;
        };
        let first = &errors[0];
        let pointed_at = condition.get(first.at.clone()).unwrap_or_default();
        let help = first.help().unwrap_or_default();
        let message = first.to_string();
        let at = pointed_at == construct;
        if !at || !help.contains(way_out) {
            wrong.push(format!("{condition}: [{pointed_at}] {message} -- {help}"));
        }
        // What follows from the first is not a mistake of its own.
        if errors.len() > 1 && condition != "Net::IP->new(IP)" {
            wrong.push(format!("{condition}: and then {:?}", &errors[1..]));
        }
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}
