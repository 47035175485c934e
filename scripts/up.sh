#!/usr/bin/env bash
# Builds Meydan and runs it on this computer, with demo data while nobody has an account. Data is in
# ./meydan-data; a second run keeps it.
set -euo pipefail
cd "$(dirname "$0")/.."
# shellcheck source=scripts/lib.sh
. scripts/lib.sh

step '[1/3] packages' 'PostgreSQL 15 or newer, a C compiler'
mapfile -t missing < <(missing_of postgresql compiler)
install_missing "${missing[@]}"
[ -n "$(postgres_major)" ] || stop 'PostgreSQL 15 or newer is still missing'
step_done

require_rust
step '[2/3] meydan' 'cargo build --release (first time: several minutes)'
cargo build --release --locked --package meydan
step_done

binary=$(target_dir)/release/meydan
step '[3/3] run' "$binary up --demo --data ./meydan-data"
if [ -t 0 ]; then
    # A process group of its own, in the foreground: Ctrl+C reaches the server alone, which drains
    # and ends with 0. In make's group it would also end make, with an error.
    set -m
    "$binary" up --demo --data ./meydan-data
else
    # Without a terminal signals are sent to one process: be that process.
    exec "$binary" up --demo --data ./meydan-data
fi
