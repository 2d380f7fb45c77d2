#!/usr/bin/perl
# What the original's own reader makes of a configuration: its tree as JSON, keys sorted.
#
#   config.pl FILE
use strict;
use warnings;
use Config::General;
use JSON::PP;

# Bytes, as the original had them; read as UTF-8 where they are.
my %tree = Config::General->new(-ConfigFile => $ARGV[0])->getall;
my $json = JSON::PP->new->canonical->latin1->encode(\%tree);
print "$json\n";
