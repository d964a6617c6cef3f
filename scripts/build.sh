#!/usr/bin/env bash
# build.sh [PRESET [TARGET...]] - configures and builds a preset (default: default), all of it or
# some targets.
set -euo pipefail
cd "$(dirname "$0")/.."
export PATH="$PATH:$PWD/.deps/bin" PYTHONPATH="$PWD/.deps${PYTHONPATH:+:$PYTHONPATH}"

preset=${1:-default}
shift || true
cmake --preset "$preset" >/dev/null
cmake --build --preset "$preset" -j "$(nproc)" ${1:+--target "$@"} >&2
