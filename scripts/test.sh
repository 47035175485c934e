#!/usr/bin/env bash
# Runs every test. A part that cannot run is a failure, never a silent skip.
set -euo pipefail
cd "$(dirname "$0")/.."
# shellcheck source=scripts/lib.sh
. scripts/lib.sh

began=$SECONDS

step '[1/3] packages' 'PostgreSQL 15 or newer, PgBouncer, Node, a C compiler, OpenSSL, aiosmtpd'
mapfile -t missing < <(missing_of postgresql pgbouncer node compiler openssl)
install_missing "${missing[@]}"
mapfile -t missing < <(missing_of postgresql pgbouncer node compiler openssl)
[ ${#missing[@]} -eq 0 ] || stop "still missing: ${missing[*]}"
require_rust
MEYDAN_TEST_PYTHON=$(python_with_mail)
export MEYDAN_TEST_PYTHON
step_done

step '[2/3] rust' 'cargo xtask ci'
cargo xtask ci
step_done

# Stock clients, unmodified, against the binary that was just built.
step '[3/3] clients' 'npm ci, npm test in tests/clients: discord.js and a plain WebSocket'
(cd tests/clients && npm ci --no-audit --no-fund && MEYDAN_BIN="$(target_dir)/debug/meydan" npm test)
step_done

printf 'all green in %s s\n' "$((SECONDS - began))"
