#!/usr/bin/env bash
# test.sh [CTEST ARGUMENTS] - installs what is missing, builds, and runs every test.
#
# First the sanitizer build of the host code (labels unit and golden), then the whole suite of the
# optimised build; tests that need a GPU skip with a reason where there is none.
set -euo pipefail
cd "$(dirname "$0")/.."
export PATH="$PATH:$PWD/.deps/bin"

bash scripts/setup.sh
bash scripts/build.sh debug
ctest --preset debug -j "$(nproc)" -L 'unit|golden' "$@"
bash scripts/build.sh default
exec ctest --preset default -j "$(nproc)" "$@"
