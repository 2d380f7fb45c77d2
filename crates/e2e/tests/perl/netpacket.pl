#!/usr/bin/perl
# What NetPacket, which the original read packets with, finds in them.
#
#   netpacket.pl packets    Ethernet frames in hexadecimal on standard input, one a line; for each a
#                           line of NAME=VALUE
#   netpacket.pl symbols    every constant of its headers, NAME=VALUE, one a line
use strict;
use warnings;
use NetPacket::Ethernet qw(:types);
use NetPacket::IP;
use NetPacket::IPv6;
use NetPacket::TCP;
use NetPacket::UDP;

if ($ARGV[0] eq 'symbols') {
    no strict 'refs';
    print "$_=" . &{"NetPacket::IP::$_"}() . "\n" for grep { /^[A-Z]/ } @NetPacket::IP::EXPORT_OK;
    print "$_=" . &{"NetPacket::TCP::$_"}() . "\n" for @NetPacket::TCP::EXPORT;
    exit;
}

my %names = (
    ip  => [qw(ver hlen flags foffset tos len id ttl proto cksum src_ip dest_ip)],
    ip6 => [qw(ver len proto src_ip dest_ip)],
    tcp => [qw(src_port dest_port seqnum acknum hlen reserved flags winsize cksum urg)],
    udp => [qw(src_port dest_port len cksum)],
);

sub show {
    my ($header, $packet) = @_;
    return map { "$header.$_=$packet->{$_}" } @{$names{$header}};
}

while (<STDIN>) {
    chomp;
    my $frame = NetPacket::Ethernet->decode(pack 'H*', $_);
    my (@shown, $ip);
    if ($frame->{type} == ETH_TYPE_IPv6) {
        $ip = NetPacket::IPv6->decode($frame->{data});
        @shown = show('ip6', $ip);
        push @shown, "ip6.ttl=$ip->{hop_limit}", "ip6.tos=$ip->{traffic_class}";
    } else {
        $ip = NetPacket::IP->decode($frame->{data});
        @shown = show('ip', $ip);
    }
    push @shown, show('tcp', NetPacket::TCP->decode($ip->{data})) if $ip->{proto} == 6;
    push @shown, show('udp', NetPacket::UDP->decode($ip->{data})) if $ip->{proto} == 17;
    print "@shown\n";
}
