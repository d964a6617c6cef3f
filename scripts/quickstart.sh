#!/usr/bin/env bash
# quickstart.sh - from a fresh clone to tuned, checked and timed kernels of a small MoE layer.
#
# With a GPU it tunes that GPU; without one, a simulated H100 that runs the same PTX.
# DEVICE, LAYER, TOKENS, BUDGET and DB may be set in the environment.
set -euo pipefail
cd "$(dirname "$0")/.."

device=${DEVICE:-auto}
layer=${LAYER:-granite-3.0-1b-a400m}
tokens=${TOKENS:-1,16,64}
db=${DB:-build/quickstart.db}
budget=3:30
[ -f "$db" ] && budget=0:40 # a second run keeps what was measured and tries a little more

step() { printf '\n== %s\n' "$*"; }

step "1/5 install what is missing, build"
bash scripts/setup.sh
bash scripts/build.sh default moetune

step "2/5 what is here"
build/moetune info

step "3/5 tune $layer at T=$tokens, capacity none and 1.25, on $device"
build/moetune tune --device "$device" --layer "$layer" --tokens "$tokens" --capacity none,1.25 \
    --budget "${BUDGET:-$budget}" --db "$db"

step "4/5 check every tuned kernel and plan against the reference"
build/moetune check --device "$device" --layer "$layer" --tokens "$tokens" --capacity none,1.25 \
    --db "$db"

step "5/5 time the tuned layer"
build/moetune bench --device "$device" --layer "$layer" --tokens "$tokens" --capacity none,1.25 \
    --db "$db"

printf '\nThe tuning database is %s\n' "$PWD/$db"
