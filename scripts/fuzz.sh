#!/bin/sh
# Runs the fuzz targets, each for some seconds: scripts/fuzz.sh [SECONDS] [TARGET...]
# Without targets all of fuzz/targets. A crash ends the run; its input is kept in fuzz/artifacts/TARGET.
#
# cargo-fuzz wants a nightly compiler for two flags only; with RUSTC_BOOTSTRAP the pinned one takes them.
set -eu
cd "$(dirname "$0")/.."
seconds=${1:-60}
[ $# -gt 0 ] && shift
cargo fuzz --version >/dev/null 2>&1 || cargo install cargo-fuzz --locked
export RUSTC_BOOTSTRAP=1
[ $# -gt 0 ] || set -- $(ls fuzz/targets | sed -n 's/\.rs$//p')
cargo fuzz build
for target; do
    echo "== $target, $seconds s"
    mkdir -p "fuzz/corpus/$target"
    seeds=
    [ -d "fuzz/seeds/$target" ] && seeds="fuzz/seeds/$target"
    # shellcheck disable=SC2086  # no seeds is no argument
    cargo fuzz run "$target" "fuzz/corpus/$target" $seeds -- \
        -max_total_time="$seconds" -timeout=10 -rss_limit_mb=2048 -print_final_stats=1
done
