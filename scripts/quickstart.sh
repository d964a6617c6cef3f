#!/usr/bin/env bash
# quickstart.sh - from a fresh clone to tuned, checked and timed kernels of a small MoE layer.
#
# With a GPU it tunes that GPU; without one, a simulated H100 that runs the same PTX. On two cores
# that takes two or three minutes after the build: the layer is Mixtral's in miniature.
# DEVICE, LAYER, TOKENS, BUDGET and DB may be set in the environment.
set -euo pipefail
cd "$(dirname "$0")/.."

device=${DEVICE:-auto}
layer=${LAYER:-d=512 f=512 e=8 k=2 act=swiglu router=softmax>topk>renorm}
tokens=${TOKENS:-1,64}
db=${DB:-build/quickstart.db}
budget=2:00
[ -f "$db" ] && budget=0:20 # a second run keeps what was measured and tries a little more

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

printf '\nThe tuning database is %s\n' "$(realpath "$db")"
