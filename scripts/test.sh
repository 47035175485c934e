#!/usr/bin/env bash
# Runs every test. A part that cannot run is a failure, never a silent skip.
set -euo pipefail
cd "$(dirname "$0")/.."
# shellcheck source=scripts/lib.sh
. scripts/lib.sh

began=$SECONDS

step '[1/4] packages' 'PostgreSQL 15 or newer, PgBouncer, Node, Chromium, Python, a C compiler, OpenSSL, aiosmtpd, moto'
mapfile -t missing < <(missing_of postgresql pgbouncer node chromium python compiler openssl)
install_missing "${missing[@]}"
mapfile -t missing < <(missing_of postgresql pgbouncer node chromium python compiler openssl)
[ ${#missing[@]} -eq 0 ] || stop "still missing: ${missing[*]}"
require_rust
MEYDAN_TEST_PYTHON=$(python_with_mail)
export MEYDAN_TEST_PYTHON
MEYDAN_TEST_MOTO=$(python_env servers crates/testkit/src/servers/requirements.txt)/moto_server
export MEYDAN_TEST_MOTO
step_done

step '[2/4] rust' 'cargo xtask ci'
cargo xtask ci
step_done

# Stock clients, unmodified, against the binary that was just built.
MEYDAN_BIN="$(target_dir)/debug/meydan"
export MEYDAN_BIN
step '[3/4] clients' 'npm ci, npm test in tests/clients: discord.js, a plain WebSocket, Chromium'
(cd tests/clients && npm ci --no-audit --no-fund && npm test)
step_done

step '[4/4] python' 'pip install, unittest in tests/clients/python: gRPC, the API document'
python=$(python_env clients tests/clients/python/requirements.txt)
cd tests/clients/python
export PYTHONDONTWRITEBYTECODE=1
# One of them waits for a second code most of its time.
"$python/python" -m unittest -v test_auth_service &
service=$!
"$python/python" -m unittest -v test_openapi
wait "$service"
step_done

printf 'all green in %s s\n' "$((SECONDS - began))"
