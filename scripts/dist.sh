#!/usr/bin/env bash
# Makes what is given to others: of osd and of the small recorder each a tarball and a Debian package, with manual pages, completions, the
# systemd unit and the licences of all that is compiled in. The same commit gives the same archives: no time and no user of this machine is in them.
# Usage: dist.sh OSD RECORDER OUTPUT-FOLDER. Called by `make dist`, which builds the two.
set -euo pipefail
cd "$(dirname "$0")/.."
. scripts/packages.sh
need dpkg-deb dpkg
need dpkg-shlibdeps dpkg-dev
install_missing

osd=$1 recorder=$2 out=$3
version=$("$osd" --version | sed 's/^osd //; s/ .*//')
deb_arch=$(dpkg --print-architecture) arch=$(uname -m)
export SOURCE_DATE_EPOCH=${SOURCE_DATE_EPOCH:-$(git log -1 --format=%ct 2>/dev/null || date +%s)}
umask 022
mkdir -p "$out"
stage=$(mktemp -d)
trap 'rm -rf "$stage"' EXIT

# A tool of the build, kept beside what it built.
tools=$PWD/${CARGO_TARGET_DIR:-target}/tools
case ${CARGO_TARGET_DIR:-} in /*) tools=$CARGO_TARGET_DIR/tools ;; esac
about=$(command -v cargo-about || echo "$tools/bin/cargo-about")
[ -x "$about" ] || cargo install --quiet --locked --root "$tools" --features cli cargo-about@0.9.3

# Licences of the crates that a set of features brings: licences FEATURES... . It fails at one that about.toml does not accept.
licences() {
    "$about" generate --offline --locked --manifest-path Cargo.toml --fail "$@" contrib/dist/licences.hbs
}

# All that is installed under a prefix, for the package $name: tree BINARY PREFIX FEATURES... .
tree() {
    binary=$1 prefix=$2
    shift 2
    install -D -m 755 "$binary" "$prefix/bin/osd"
    install -d "$prefix/share/man/man1"
    "$binary" man --force "$prefix/share/man/man1"
    gzip -9n "$prefix"/share/man/man1/*.1
    for shell in bash:bash-completion/completions/osd zsh:zsh/vendor-completions/_osd fish:fish/vendor_completions.d/osd.fish; do
        install -d "$prefix/share/$(dirname "${shell#*:}")"
        "$binary" completions "${shell%%:*}" >"$prefix/share/${shell#*:}"
    done
    install -D -m 644 contrib/osd-record@.service "$prefix/lib/systemd/system/osd-record@.service"
    doc=$prefix/share/doc/$name
    install -D -m 644 -t "$doc" README.md CHANGELOG.md LICENSE LICENSE-APACHE LICENSE-MIT
    licences "$@" >"$doc/LICENCES-OF-CRATES"
}

# package NAME BINARY FIELDS FEATURES...
package() {
    name=$1 binary=$2 fields=$3
    shift 3
    # The Debian package: /usr, where a tarball has its own folder.
    root=$stage/$name.deb
    tree "$binary" "$root/usr" "$@"
    {
        echo "osd, version $version. Its own code is licensed under Apache-2.0 or MIT, as you choose; the programs that run in the kernel (bpf/c)"
        echo "under GPL-2.0 or BSD-2-Clause. The licences of the crates compiled in are in LICENCES-OF-CRATES."
        echo "libbpf (BSD-2-Clause) and Zstandard (BSD-3-Clause) are compiled in."
        ldd "$binary" >/dev/null 2>&1 ||
            echo "libelf of elfutils (LGPL-3.0+ or GPL-2.0+), zlib (Zlib) and the GNU C library (LGPL-2.1+) are linked in statically: 'make recorder' links anew."
        echo
        cat LICENSE
        # The letters of the report's pictures, which the recorder does not draw.
        [ "$name" = osd-recorder ] || {
            printf '\nThe fonts DejaVu:\n\n'
            cat report/assets/DejaVu-LICENSE.txt
        }
    } >"$root/usr/share/doc/$name/copyright"
    install -d "$root/DEBIAN"
    {
        printf 'Package: %s\nVersion: %s\nArchitecture: %s\n' "$name" "$version" "$deb_arch"
        printf 'Maintainer: %s\n' "${DEB_MAINTAINER:-osd developers <osd@localhost>}"
        printf 'Section: admin\nPriority: optional\nInstalled-Size: %s\n' "$(du -sk "$root/usr" | cut -f1)"
        depends "$binary"
        printf '%b' "$fields"
    } >"$root/DEBIAN/control"
    (cd "$root" && find usr -type f -print0 | sort -z | xargs -0 md5sum >DEBIAN/md5sums)
    find "$root" -print0 | xargs -0 touch -h -d "@$SOURCE_DATE_EPOCH"
    dpkg-deb --root-owner-group -Zxz -z3 --build "$root" "$out/${name}_${version}_$deb_arch.deb" >/dev/null

    folder=$name-$version-$arch
    mv "$root/usr" "$stage/$folder"
    find "$stage/$folder" -print0 | xargs -0 touch -h -d "@$SOURCE_DATE_EPOCH"
    tar -C "$stage" --sort=name --owner=0 --group=0 --numeric-owner --mtime="@$SOURCE_DATE_EPOCH" -c "$folder" | xz -3 -T0 >"$out/$folder.tar.xz"
    rm -rf "$root" "${stage:?}/$folder"
}

# Packages of the libraries that a binary is linked to; none for a static one.
depends() {
    if ldd "$1" 2>&1 | grep -q 'statically linked\|not a dynamic'; then return; fi
    install -d "$stage/shlibs/debian"
    printf 'Source: osd\n\nPackage: osd\nArchitecture: any\n' >"$stage/shlibs/debian/control"
    (cd "$stage/shlibs" && dpkg-shlibdeps -O -e"$(realpath "$1")" 2>/dev/null) | sed -n 's/^shlibs:Depends=/Depends: /p'
}

package osd "$osd" 'Suggests: libvulkan1, mesa-vulkan-drivers\nProvides: osd-recorder\nConflicts: osd-recorder\nReplaces: osd-recorder
Description: record-and-replay forensics for Linux
 A flight recorder by eBPF that writes Parquet, SQL over recordings, anomaly
 detection that explains itself, and a page that shows an incident.\n'
package osd-recorder "$recorder" 'Conflicts: osd\nReplaces: osd
Description: flight recorder by eBPF, one small static binary
 The recorder of osd alone, for production hosts: it needs no library. What it
 records is read by osd and by anything that reads Parquet.\n' \
    --no-default-features --features record,static
(cd "$out" && sha256sum ./*"$version"*.deb ./*"$version"*.tar.xz >SHA256SUMS)
ls -l "$out"
