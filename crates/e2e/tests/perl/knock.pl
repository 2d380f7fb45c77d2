#!/usr/bin/perl
# The other end of a knock, made of the parts that the original was made of.
#
#   knock.pl encrypt KEY IP PORT TIME        ports of a knock, comma separated
#   knock.pl log     KEY IP PORT TIME FILE   the same as firewall log lines, appended to FILE
#   knock.pl decrypt KEY FILE                follows FILE, prints the fields of each knock in it
#   knock.pl replay  KEY FILE                reads FILE once, prints how many knocks are in it
use strict;
use warnings;
use Crypt::CBC;
use Crypt::Blowfish;
use File::Tail;

my ($do, $key, @rest) = @ARGV;
my ($first, $slots) = (745, 8);

# The options of the published scripts; `pbkdf` and `header` say to today's Crypt::CBC what its
# releases of that time did without being asked.
my $cipher = Crypt::CBC->new(
    -key => $key, -cipher => 'Blowfish', -iv => '01234567',
    -header => 'none', -pbkdf => 'randomiv', -nodeprecate => 1,
);

sub ports {
    my ($ip, $port, $time) = @_;
    my @plain = (split(/\./, $ip), $port, $time);
    my $sum = 0;
    $sum += $_ for @plain;
    return map { $first + $_ } unpack 'C*', $cipher->encrypt(pack 'C*', @plain, $sum % 255);
}

if ($do eq 'encrypt') {
    print join(',', ports(@rest)), "\n";
} elsif ($do eq 'log') {
    my $file = pop @rest;
    my $from = $rest[0];
    open my $log, '>>', $file or die "$file: $!";
    my $source = 40000;
    for my $port (ports(@rest)) {
        $source++;
        print $log "Feb 12 00:13:26 gate kernel: portknock IN=eth0 OUT= "
            . "MAC=1e:42:60:96:4a:1f:8a:92:9e:a6:fb:e3:08:00 SRC=$from DST=192.0.2.1 LEN=60 TOS=0x00 "
            . "PREC=0x00 TTL=64 ID=1 DF PROTO=TCP SPT=$source DPT=$port WINDOW=64240 RES=0x00 SYN URGP=0 \n";
    }
} elsif ($do eq 'decrypt') {
    my $tail = File::Tail->new(name => $rest[0], tail => -1, interval => 0.1, maxinterval => 0.2);
    $| = 1;
    print "ready\n";
    knocks(sub { $tail->read }, sub { print "knock from=$_[0] ip=$_[1] port=$_[2] time=$_[3]\n" });
} elsif ($do eq 'replay') {
    open my $log, '<', $rest[0] or die "$rest[0]: $!";
    my $knocks = 0;
    knocks(sub { scalar <$log> }, sub { $knocks++ });
    print "$knocks\n";
} else {
    die "encrypt, log, decrypt or replay?\n";
}

# Lines from `next` to knocks for `told`.
sub knocks {
    my ($next, $told) = @_;
    my %queue;
    while (defined(my $line = $next->())) {
        next unless $line =~ /portknock/;
        next unless $line =~ /SRC=([\d.]+) .*PROTO=TCP .*DPT=(\d+) /;
        my ($from, $port) = ($1, $2);
        next if $port < $first || $port > $first + 255;
        my $queue = $queue{$from} ||= [];
        push @$queue, $port - $first;
        shift @$queue if @$queue > $slots;
        next if @$queue < $slots;
        my @plain = unpack 'C*', $cipher->decrypt(pack 'C*', @$queue);
        next unless @plain == 7;
        my $sum = pop @plain;
        my $is = 0;
        $is += $_ for @plain;
        next unless $is % 255 == $sum;
        my $ip = join '.', splice @plain, 0, 4;
        next unless $ip eq $from;
        $told->($from, $ip, @plain[0, 1]);
        @$queue = ();
    }
}
