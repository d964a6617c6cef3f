#!/usr/bin/env bash
# test.sh [--all] [CTEST ARGUMENTS] - installs what is missing, builds, and runs the tests.
#
# First the sanitizer build of the host code (labels unit and golden), then the whole suite of the
# optimised build; tests that need a GPU skip with a reason where there is none. Left out unless
# --all asks for them are the tests labelled slow: the sweeps of templates over configs and orders
# of warps once more, but over 24 of each instead of a few.
set -euo pipefail
cd "$(dirname "$0")/.."
export PATH="$PATH:$PWD/.deps/bin"

# run PRESET FOLDER [CTEST ARGUMENTS]: the tests of a preset, why some did not run, and CTest's
# count once more as the last line.
run() {
    local preset=$1 report=$PWD/$2/tests.xml log=$PWD/$2/tests.log status=0
    shift 2
    ctest --preset "$preset" -j "$(nproc)" --output-junit "$report" "$@" | tee "$log" || status=$?
    awk -F '"' -v preset="$preset" '
        $1 ~ /^\t(tests|failures|skipped)=/ { count[substr($1, 2, length($1) - 2)] = $2 }
        /<testcase / { name = $2; notrun = /status="notrun"/ }
        notrun && sub(/.*<system-out>/, "") {
            sub(/<\/system-out>.*/, "")
            print name ": " $0
        }
        END {
            printf "%s: %d tests, %d failed, %d did not run\n", preset, count["tests"],
                count["failures"], count["skipped"]
        }' "$report"
    grep -E '^[0-9]+% tests passed, ' "$log" || true
    return "$status"
}

all=
if [ "${1:-}" = --all ]; then
    all=yes
    shift
fi
bash scripts/setup.sh
bash scripts/build.sh debug
run debug build-debug -L 'unit|golden' "$@"
bash scripts/build.sh default
[ -z "$all" ] || run slow build "$@"
run default build "$@"
