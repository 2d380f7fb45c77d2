#!/usr/bin/perl
# What Perl's Config::General, by which the original read its files, makes of a file: its tree as JSON.
#
#   config_general.pl FILE
use strict;
use warnings;
use Config::General;
use JSON::PP;

# The defaults, as the original had them.
my %config = Config::General->new(-ConfigFile => $ARGV[0])->getall;
print JSON::PP->new->latin1->canonical->allow_nonref->encode(strings(\%config)), "\n";

# Numbers as the texts they were read as.
sub strings {
    my ($node) = @_;
    return undef unless defined $node;
    return { map { $_ => strings($node->{$_}) } keys %$node } if ref $node eq 'HASH';
    return [ map { strings($_) } @$node ] if ref $node eq 'ARRAY';
    return "$node";
}
