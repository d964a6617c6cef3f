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

all=
if [ "${1:-}" = --all ]; then
    all=yes
    shift
fi
bash scripts/setup.sh
bash scripts/build.sh debug
ctest --preset debug -j "$(nproc)" -L 'unit|golden' "$@"
bash scripts/build.sh default
[ -z "$all" ] || ctest --preset slow -j "$(nproc)" "$@"
exec ctest --preset default -j "$(nproc)" "$@"
