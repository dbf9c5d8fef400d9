# list.pl ROOT SINCE: one line a path whose inode changed after SINCE (seconds): kind, mode, owner, content, path. For a
# folder the content is what it holds: what was deleted shows there.
use strict;
use warnings;
use Digest::SHA;
use Fcntl ':mode';

my ($root, $since) = @ARGV;
my %other = map { $_ => 1 } qw(/proc /sys /dev /etc/ssh/lab);
my $escape = sub { my ($text) = @_; $text =~ s/([\\\s\/])/sprintf "\\x%02x", ord $1/ge; $text };

# find looks at a file in a tenth of perl's time.
my @skipped = map { ('-path', "$root$_", '-prune', ($since ? () : '-print0'), '-o') } sort keys %other;
my @places = map { "$root$_" } '/', ($since ? ('/run', '/tmp') : ());
open my $find, '-|', 'find', @places, '-xdev', '-mindepth', 1, @skipped, ($since ? ('-newerct', "\@$since") : ()), '-print0' or die "find: $!";
$/ = "\0";
my %seen;
while (my $file = <$find>) {
    chomp $file;
    my ($mode, $uid, $gid) = (lstat $file)[2, 4, 5] or next;
    my $path = substr $file, length $root;
    $path =~ s{^/+}{/};
    show($path, $mode, "$uid:$gid") unless $seen{$path}++;
}

sub show {
    my ($path, $mode, $owner) = @_;
    my ($kind, $content) = ('other', '');
    if (S_ISDIR($mode)) {
        $kind = 'directory';
        if (!$other{$path} && opendir my $handle, "$root$path") {
            $content = join '/', map { $escape->($_) } sort grep { $_ ne '.' && $_ ne '..' } readdir $handle;
        }
    } elsif (S_ISLNK($mode)) {
        ($kind, $content) = ('link', $escape->(readlink("$root$path") // ''));
    } elsif (S_ISREG($mode)) {
        $kind = 'file';
        $content = eval { Digest::SHA->new(256)->addfile("$root$path", 'b')->hexdigest } // 'unreadable';
    }
    printf "%s %o %s %s %s\n", $kind, $mode & 07777, $owner, $content eq '' ? '-' : $content, join '/', map { $escape->($_) } split m{/}, $path;
}
