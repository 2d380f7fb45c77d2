#!/usr/bin/perl
# Enciphers and deciphers with Crypt::CBC and the ciphers that Debian packages for it.
#
# Reads a line for each text and answers each with the result in hex:
#   encrypt|decrypt CIPHER IV DERIVATION PADDING TEXT
# IV and DERIVATION are the values of our keys `iv` and `keyderivation`; TEXT is hex. The key, the fixed
# IV and the salt that both sides know are KEY, FIXEDIV and FIXEDSALT of the environment.
use strict;
use warnings;
use Crypt::CBC;

# These five have no Perl module of their own in Debian; CryptX has them, in pieces that Crypt::CBC takes.
my %from_cryptx = (
    IDEA => 'Cipher::IDEA', Serpent => 'Cipher::Serpent', Camellia => 'Cipher::Camellia',
    Twofish256 => 'Cipher::Twofish',
);

my ($key, $fixediv, $fixedsalt) = @ENV{qw(KEY FIXEDIV FIXEDSALT)};
$| = 1;
while (my $line = <STDIN>) {
    chomp $line;
    my ($do, $name, $iv, $derivation, $padding, $hex) = split ' ', $line;
    my $text = pack 'H*', $hex;
    my $cipher = $from_cryptx{$name} || $name;
    my $block = do { my $probe = probe($cipher); $probe->blocksize };
    my %options = (-cipher => $cipher, -padding => $padding, -nodeprecate => 1);
    if ($derivation eq 'literal') {
        my $length = probe($cipher)->keysize;
        %options = (%options, -literal_key => 1, -key => substr $key x 56, 0, $length);
    } else {
        my $pbkdf = $derivation eq 'md5chain' ? 'randomiv' : $derivation;
        %options = (%options, -pass => $key, -pbkdf => $pbkdf);
    }
    $options{-salt} = $fixedsalt if $derivation =~ /openssl|pbkdf2/ && $iv ne 'salt';
    my ($before, $out) = ('', '');
    if ($iv eq 'no') {
        %options = (%options, -header => 'none', -iv => substr $fixediv . "\0" x $block, 0, $block);
    } elsif ($iv eq 'salt') {
        $options{-header} = 'salt';
    } elsif ($iv eq 'yes' && $do eq 'encrypt') {
        $options{-header} = 'randomiv';
    } else {
        # Crypt::CBC 3.04 writes the RandomIV header and does not read it, and knows no bare IV.
        $before = $do eq 'encrypt' ? Crypt::CBC->random_bytes($block)
            : substr $text, 0, $block + ($iv eq 'yes' ? 8 : 0), '';
        die "no RandomIV\n" if $iv eq 'yes' && $before !~ /^RandomIV/;
        %options = (%options, -header => 'none', -iv => substr $before, -$block);
        $before = '' if $do eq 'decrypt';
    }
    my $cbc = Crypt::CBC->new(%options);
    print unpack('H*', $before . ($do eq 'encrypt' ? $cbc->encrypt($text) : $cbc->decrypt($text))), "\n";
}

# A Crypt::CBC that is only asked for sizes.
sub probe {
    return Crypt::CBC->new(-pass => 'x', -cipher => $_[0], -pbkdf => 'pbkdf2');
}
