#!/usr/bin/env bash
# Runs the cargo command that it is given, and says how far it is: on a terminal by cargo's own bar; in a log by a line every half minute
# (OSD_BUILD_EVERY: seconds) instead of one a crate. Warnings and errors pass as they are; so does cargo's exit status.
set -euo pipefail

[ -e "${CARGO_TARGET_DIR:-target}/release/osd" ] || echo 'First build: 20 to 25 minutes on two cores. SQL (DataFusion) and training (Burn, wgpu) are most of it.' >&2
[ ! -t 2 ] || exec "$@"

every=${OSD_BUILD_EVERY:-30}
escape=$'\e'
exec 3>&1
CARGO_TERM_PROGRESS_WHEN=always CARGO_TERM_PROGRESS_WIDTH=100 CARGO_TERM_COLOR=never "$@" 2>&1 >&3 | {
    next=$every
    # Cargo draws its bar again and again over one line.
    stdbuf -oL tr '\r' '\n' | while IFS= read -r line; do
        line=${line//"$escape[K"/}
        case $line in
        '' | *' Compiling '* | *' Checking '* | *' Downloaded '* | *' Downloading '* | *' Fresh '*) ;;
        *' Building ['*)
            [ "$SECONDS" -ge "$next" ] || continue
            next=$((SECONDS + every))
            now=${line#*] }
            now=${now%"${now##*[! ]}"}
            printf 'building, %d min: %s\n' $((SECONDS / 60)) "${now/\// of }" >&2
            ;;
        *) printf '%s\n' "$line" >&2 ;;
        esac
    done
}
