#!/bin/sh
# Is the recorder what it says it is? Static, small, and working in a chroot that holds nothing but itself.
# Usage: check-recorder.sh PATH. The chroot needs root; without it that part is SKIPPED, visibly.
set -eu

osd=$1
limit=6000000

fail() {
    echo "error: $*" >&2
    exit 1
}

size=$(stat -c %s "$osd")
[ "$size" -le "$limit" ] || fail "$osd has $size bytes, more than $limit"
! ldd "$osd" >/dev/null 2>&1 || ldd "$osd" 2>&1 | grep -q 'statically linked' || fail "$osd is not static"
echo "$osd: $size bytes, static"

if [ "$(id -u)" -ne 0 ]; then
    echo "SKIPPED: the chroot needs root: sudo $0 $osd" >&2
    exit 0
fi
root=$(mktemp -d)
clean() {
    umount "$root/proc" "$root/sys" 2>/dev/null || true
    rm -rf --one-file-system "$root"
}
trap clean EXIT
cp "$osd" "$root/osd"

# Nothing there at all: it says what it needs, and ends with 2.
says() { # wanted-status wanted-text command...
    wanted=$1 text=$2
    shift 2
    status=0
    out=$(chroot "$root" "$@" 2>&1) || status=$?
    [ "$status" -eq "$wanted" ] || fail "$*: status $status instead of $wanted: $out"
    case $out in *"$text"*) ;; *) fail "$*: no '$text' in: $out" ;; esac
}
says 0 'osd ' /osd --version
says 2 'mount -t proc proc /proc' /osd doctor
says 2 'error: /proc is not mounted' /osd record -o /r.parquet -- /osd --version

# A forged page, under sums that fit: refused. A panic would end this binary with a signal.
cp -r "$(dirname "$0")/../tests/data/lying" "$root/lying.parquet.partial"
says 2 'says what cannot be' /osd info /lying.parquet
says 2 'says what cannot be' /osd recover /lying.parquet

# With the kernel's own file systems it records. The only program there is to record is itself.
mkdir "$root/proc" "$root/sys"
mount -t proc proc "$root/proc"
mount -t sysfs -o ro sysfs "$root/sys"
says 0 'syscalls by ' /osd doctor
says 0 'recorded ' /osd record -o /r.parquet -- /osd completions bash
says 0 'syscall ' /osd info /r.parquet
says 0 'recorded ' /osd record --backend proc -o /p.parquet --duration 300ms -p 1
says 0 'usage by /proc' /osd info /p.parquet
echo "$osd: records in an empty chroot with /proc and /sys"
