# agent.pl PORT: carries out commands that arrive on a virtio-serial port. Each message is a line "ID TYPE LENGTH" and LENGTH
# bytes. To us: x (arguments, NUL after each; those with = before the first "--" are environment), i (input), e (end of
# input), k (signal). From us: h (ready, with the boot's id), o (output), r (errors), x (exit code, as a shell tells it).
use strict;
use warnings;
use Fcntl;
use POSIX ();

my $limit = 1 << 18;
$SIG{PIPE} = 'IGNORE';
# Its number depends on what other devices there are.
my ($file) = glob $ARGV[0] or die "there is no $ARGV[0]";
sysopen my $port, $file, O_RDWR | O_NONBLOCK or die "$file: $!";
pipe my $wake, my $waker;
nonblocking($_) for $wake, $waker;
$SIG{CHLD} = sub { syswrite $waker, '.' };

my ($in, $out, %jobs, %ids) = ('', '');
open my $boot, '<', '/proc/sys/kernel/random/boot_id';
say_to_host(0, 'h', scalar <$boot>);

for (;;) {
    my ($readable, $writable) = ('', '');
    watch($readable, $port, $wake);
    watch($writable, $port) if length $out;
    for my $job (values %jobs) {
        # Who isn't listened to waits: a fast command must not fill our memory.
        watch($readable, grep { $_ } @$job{qw(out err)}) if length $out < $limit;
        watch($writable, $job->{in}) if $job->{in} && length $job->{pending};
    }
    my $leaving = grep { defined $_->{left} } values %jobs;
    next if select(my $r = $readable, my $w = $writable, undef, $leaving ? 0.05 : undef) < 0;
    from_host() if ready($r, $port);
    if (ready($r, $wake)) { sysread $wake, my $ignored, 4096; reap(); }
    for my $job (values %jobs) {
        feed($job) if $job->{in} && ready($w, $job->{in});
        drain($job, 'out', 'o') if $job->{out} && ready($r, $job->{out});
        drain($job, 'err', 'r') if $job->{err} && ready($r, $job->{err});
        finish($job) if defined $job->{code};
    }
    to_host() if length $out;
}

sub nonblocking { my ($handle) = @_; fcntl $handle, F_SETFL, fcntl($handle, F_GETFL, 0) | O_NONBLOCK; fcntl $handle, F_SETFD, FD_CLOEXEC; }
sub watch { for my $i (1 .. $#_) { vec($_[0], fileno $_[$i], 1) = 1 } }
sub ready { vec($_[0], fileno $_[1], 1) }
sub say_to_host { my ($id, $type, $data) = @_; $out .= "$id $type " . length($data) . "\n$data"; }

sub to_host {
    my $count = syswrite $port, $out, 1 << 15;
    substr $out, 0, $count, '' if $count;
}

sub from_host {
    my $count = sysread $port, $in, 1 << 16, length $in;
    # Nobody is connected: asking again at once would take all of the processor.
    select undef, undef, undef, 0.05 unless $count;
    while ($in =~ /^(\d+) (\w) (\d+)\n/ && length $in >= $+[0] + $3) {
        my ($id, $type, $length, $head) = ($1, $2, $3, $+[0]);
        my $data = substr $in, $head, $length;
        substr $in, 0, $head + $length, '';
        if ($type eq 'x') { start($id, split /\0/, $data, -1); next }
        my $job = $jobs{$id} or next;
        if ($type eq 'i') { $job->{pending} .= $data }
        elsif ($type eq 'e') { $job->{ended} = 1 }
        elsif ($type eq 'k') { kill $data, -$job->{pid} or kill $data, $job->{pid} }
        feed($job) if $job->{in};
    }
}

sub start {
    my ($id, @words) = @_;
    pop @words;
    my %env;
    while (@words && (my $word = shift @words) ne '--') { my ($name, $value) = split /=/, $word, 2; $env{$name} = $value; }
    pipe my $in_r, my $in_w;
    pipe my $out_r, my $out_w;
    pipe my $err_r, my $err_w;
    my $pid = fork // return say_to_host($id, 'x', 126);
    if (!$pid) {
        POSIX::setsid();
        POSIX::dup2(fileno $in_r, 0);
        POSIX::dup2(fileno $out_w, 1);
        POSIX::dup2(fileno $err_w, 2);
        POSIX::close($_) for 3 .. 255;
        $SIG{$_} = 'DEFAULT' for qw(PIPE CHLD);
        %ENV = %env;
        chdir '/';
        { no warnings; exec { $words[0] } @words; }
        my $why = "$words[0]: $!\n";
        POSIX::write(2, $why, length $why);
        POSIX::_exit(127);
    }
    nonblocking($_) for $in_w, $out_r, $err_r;
    $jobs{$id} = { id => $id, pid => $pid, in => $in_w, out => $out_r, err => $err_r, pending => '' };
    $ids{$pid} = $id;
}

sub feed {
    my ($job) = @_;
    if (length $job->{pending}) {
        my $count = syswrite $job->{in}, $job->{pending}, 1 << 16;
        if (defined $count) { substr $job->{pending}, 0, $count, '' }
        elsif (!$!{EAGAIN}) { $job->{pending} = ''; $job->{ended} = 1 }
    }
    if ($job->{ended} && !length $job->{pending}) { close delete $job->{in} }
}

sub drain {
    my ($job, $name, $type) = @_;
    my $count = sysread $job->{$name}, my $data, 1 << 15;
    if ($count) { say_to_host($job->{id}, $type, $data) }
    elsif (defined $count || !$!{EAGAIN}) { close delete $job->{$name} }
}

sub reap {
    while ((my $pid = waitpid -1, POSIX::WNOHANG()) > 0) {
        my $job = $jobs{delete $ids{$pid} // ''} or next;
        $job->{code} = $? & 127 ? 128 + ($? & 127) : $? >> 8;
        $job->{left} = 5;
    }
}

# A daemon that was left behind may hold the pipes for ever: after the exit wait for the rest of the output only briefly.
sub finish {
    my ($job) = @_;
    return if ($job->{out} || $job->{err}) && $job->{left}-- > 0;
    close $_ for grep { $_ } @$job{qw(in out err)};
    say_to_host($job->{id}, 'x', $job->{code});
    delete $jobs{$job->{id}};
}
