#!/usr/bin/env bash
# Licences, bans and sources of every dependency, as deny.toml says. Advisories
# need a database from outside, so they are asked for only where it is reachable:
#   scripts/deny.sh advisories
set -euo pipefail

if ! command -v cargo-deny >/dev/null 2>&1; then
    echo "cargo-deny is missing: scripts/install.sh check builds it" >&2
    exit 1
fi
if [ "${1:-}" = advisories ]; then
    exec cargo deny check advisories
fi
# also what other systems alone need, which no build here has fetched
cargo fetch --locked --quiet
exec cargo deny --offline check licenses bans sources
