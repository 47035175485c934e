#!/usr/bin/env bash
# Runs every test. A part that cannot run is a failure, never a silent skip.
set -euo pipefail
cd "$(dirname "$0")/.."
# shellcheck source=scripts/lib.sh
. scripts/lib.sh

began=$SECONDS

step '[1/3] packages' 'PostgreSQL 15 or newer, PgBouncer, Node, a C compiler'
mapfile -t missing < <(missing_of postgresql pgbouncer node compiler)
install_missing "${missing[@]}"
mapfile -t missing < <(missing_of postgresql pgbouncer node compiler)
[ ${#missing[@]} -eq 0 ] || stop "still missing: ${missing[*]}"
step_done

step '[2/3] clients' 'npm ci in tests/clients'
(cd tests/clients && npm ci --no-audit --no-fund)
step_done

require_rust
step '[3/3] rust' 'cargo xtask ci'
cargo xtask ci
step_done

printf 'all green in %s s\n' "$((SECONDS - began))"
