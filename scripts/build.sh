#!/usr/bin/env bash
# build.sh [PRESET] - configures and builds a preset (default: default) and prints its folder last.
set -euo pipefail
cd "$(dirname "$0")/.."
export PATH="$PATH:$PWD/.deps/bin" PYTHONPATH="$PWD/.deps${PYTHONPATH:+:$PYTHONPATH}"

preset=${1:-default}
cmake --preset "$preset" >/dev/null
cmake --build --preset "$preset" -j "$(nproc)" >&2
