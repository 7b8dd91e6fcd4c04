#!/usr/bin/env bash
# Are the packages of `make dist` what they say they are? Each is installed by dpkg into an empty root; the small recorder records there.
# Usage: check-dist.sh FOLDER. Needs root, for the chroot.
set -euo pipefail

fail() {
    echo "error: $*" >&2
    exit 1
}
[ "$(id -u)" -eq 0 ] || {
    echo "SKIPPED: the empty root needs root: sudo $0 $1" >&2
    exit 0
}
dist=$(realpath "$1")
(cd "$dist" && sha256sum --quiet -c SHA256SUMS) || fail "$dist: sums"
root=
clean() {
    [ -z "$root" ] || {
        umount "$root/proc" "$root/sys" 2>/dev/null || true
        rm -rf --one-file-system "$root"
    }
}
trap clean EXIT

empty() {
    clean
    root=$(mktemp -d)
    mkdir -p "$root"/var/lib/dpkg/{info,updates} "$root/proc" "$root/sys" "$root/tmp"
    touch "$root/var/lib/dpkg/status"
}
# Only what dpkg complains of is shown.
install_in_root() {
    dpkg --root="$root" --log=/dev/null "$@" >"$root/tmp/dpkg.log" 2>&1 || fail "dpkg $*: $(cat "$root/tmp/dpkg.log")"
}
# Everything of a package is where people and tools look.
complete() { # name
    for path in bin/osd share/man/man1/osd.1.gz share/man/man1/osd-record.1.gz share/bash-completion/completions/osd \
        share/zsh/vendor-completions/_osd share/fish/vendor_completions.d/osd.fish lib/systemd/system/osd-record@.service \
        "share/doc/$1/copyright" "share/doc/$1/LICENCES-OF-CRATES"; do
        [ -s "$root/usr/$path" ] || fail "$1 lacks /usr/$path"
    done
    gzip -dc "$root/usr/share/man/man1/osd-record.1.gz" | grep -q '^\.TH osd-record 1' || fail "$1: its manual page is none"
    bash -n "$root/usr/share/bash-completion/completions/osd" || fail "$1: its completion does not parse"
    grep -q "^  parquet [0-9]" "$root/usr/share/doc/$1/LICENCES-OF-CRATES" || fail "$1: licences lack parquet"
    # It also complains of what an empty root lacks, such as the service that is recorded.
    if command -v systemd-analyze >/dev/null; then
        said=$(systemd-analyze --root="$root" verify osd-record@x.service 2>&1 || true)
        case $said in *Unknown* | *'Failed to parse'*) fail "$1: its unit: $said" ;; esac
    fi
}

# Every crate that cargo compiles in has a licence in the file, and the page of licences names no more features than the binary has.
crates() { # file cargo-tree-arguments...
    file=$1
    shift
    cargo tree --offline --locked -p osd -e normal --prefix none --format '{p}' "$@" | sed -n 's/^\([^ ]*\) v\([^ ]*\).*/  \1 \2/p' |
        sort -u | while IFS= read -r crate; do grep -qxF -- "$crate" "$file" || echo "$crate"; done
}
cd "$(dirname "$0")/.."

# The recorder depends on nothing: an empty root is enough, dependencies included.
empty
install_in_root --install "$dist"/osd-recorder_*.deb
complete osd-recorder
missing=$(crates "$root/usr/share/doc/osd-recorder/LICENCES-OF-CRATES" --no-default-features --features record,static)
[ -z "$missing" ] || fail "no licence of: $missing"
[ "$(dpkg --root="$root" -s osd-recorder | grep '^Status')" = 'Status: install ok installed' ] || fail 'osd-recorder is not configured'
mount -t proc proc "$root/proc"
mount -t sysfs -o ro sysfs "$root/sys"
chroot "$root" /usr/bin/osd record -q -o /r.parquet -- /usr/bin/osd completions bash >/dev/null || fail 'it does not record'
chroot "$root" /usr/bin/osd info /r.parquet | grep -q syscall || fail 'nothing was recorded'
umount "$root/proc" "$root/sys"
install_in_root --purge osd-recorder
[ ! -e "$root/usr/bin/osd" ] || fail 'something is left after --purge'
echo 'osd-recorder: installed by dpkg in an empty root, recorded there, purged'

# osd depends on libraries that an empty root lacks; it runs from there with this machine's.
empty
install_in_root --force-depends --install "$dist"/osd_*.deb
complete osd
missing=$(crates "$root/usr/share/doc/osd/LICENCES-OF-CRATES")
[ -z "$missing" ] || fail "no licence of: $missing"
"$root/usr/bin/osd" --version >/dev/null || fail 'osd does not run'
dpkg-deb -f "$dist"/osd_*.deb Depends | grep -q 'libc6' || fail 'osd does not say what it depends on'
echo 'osd: installed by dpkg, complete'

for tarball in "$dist"/*.tar.xz; do
    empty
    tar -C "$root" --strip-components=1 -xf "$tarball"
    "$root/bin/osd" --version >/dev/null || fail "$tarball does not run"
    for file in "$root"/share/doc/*/{LICENCES-OF-CRATES,copyright,LICENSE-MIT}; do [ -s "$file" ] || fail "$tarball lacks $file"; done
    echo "$(basename "$tarball"): runs"
done
