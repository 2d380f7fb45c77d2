#!/usr/bin/perl
# Makes perl.txt: random expressions of the common language with the value that Perl gives them.
# Run: perl perl.pl > perl.txt
use strict;
no warnings;
use constant { IP => '10.1.2.3', PORT => 22, TIME => 15, FLAG0 => 0, FLAG1 => 5 };
srand(2002);

my %memory = ('IP,visits' => 3, 'IP,kind' => '6x', 'IP,zero' => '0.0', 'IP,name' => 'tcp');
sub state { $memory{join ',', 'IP', $_[1]} }

sub pick { $_[rand @_] }

sub number {
    my $depth = shift;
    my $leaf = pick(qw(PORT TIME FLAG0 FLAG1 0 1 2 7 2.5 .5 0x10 1_000 1e2 '12' "3.5x"),
        "state(IP,visits)", "state(IP,kind)", "state(IP,zero)", "state(IP,nothing)");
    return $leaf if $depth <= 0 || rand() < .3;
    my $pair = number($depth - 1) . pick(' + ', ' - ', ' * ', ' / ', ' % ', '+', ' *') . number($depth - 1);
    return pick($pair, $pair, "($pair)", "-($pair)", "(" . number(0) . " < " . number(0) . " ? " . number(0) . " : " . number(0) . ")",
        "(" . number(0) . pick(' || ', ' && ') . number(0) . ")");
}

sub text {
    my $depth = shift;
    my $leaf = pick('IP', 'PORT', "'a'", '"a\tb"', "'1.50'", "''", 'state(IP,kind)', 'state(IP,name)', "state(IP,nothing)", "'it\\'s'", '"\x41\$"');
    return $leaf if $depth <= 0 || rand() < .4;
    return text($depth - 1) . pick(' . ', ' . ', '.') . pick(text($depth - 1), "(" . number(1) . ")");
}

sub condition {
    my $depth = shift;
    my $leaf = pick(
        sub { number(2) . ' ' . pick(qw(== != < > <= >=)) . ' ' . number(2) },
        sub { number(1) . pick(qw(== != < > <= >=)) . number(1) },
        sub { text(1) . ' ' . pick(qw(eq ne lt gt le ge)) . ' ' . text(2) },
        sub { text(0) . pick(' =~ ', ' !~ ') . pick('/^1/', '/[a-c]+/i', '/\d\.\d/', 'm/A$/i', '/^$/', '/t.p|x/') },
        sub { 'state(IP,' . pick(qw(visits kind zero name nothing)) . ')' },
        sub { pick('PORT', 'FLAG0', 'FLAG1', 'IP', '1', '0') },
    )->();
    return $leaf if $depth <= 0 || rand() < .2;
    my ($a, $b, $c) = map { condition($depth - 1) } 1 .. 3;
    return pick("$a && $b", "$a || $b", "$a and $b", "$a or $b", "($a)", "!($a)", "not $a", "($a) ? ($b) : ($c)",
        "$a && $b || $c", "$a or $b and $c", "not $a && $b", "!FLAG0 || $a", "! state(IP,visits) && $b");
}

my %seen;
my $made = 0;
while ($made < 1500) {
    my $expression = condition(2);
    next if $seen{$expression}++ || length $expression > 120;
    my $code = $expression;
    $code =~ s/state\(IP,(\w+)\)/state(IP,'$1')/g;
    my $value = eval $code;
    my $result = $@ =~ /division by zero|modulus zero/ ? 'zero' : $@ ? undef : "=$value";
    unless (defined $result) { print STDERR "not Perl: $expression: $@"; next }
    next if $result =~ /[\n\\]/;
    $made++;
    $result =~ s/\t/\\t/g;
    print "$expression\t$result\n";
}
