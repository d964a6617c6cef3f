#!/usr/bin/env bash
# gpu.sh - everything that wants a real GPU, in slices: facts, tests, tuning, checks, benchmark.
#
#   bash scripts/gpu.sh --out DIR [--device cuda:0] [--slice 540] [options]
#
# Needs a driver, Python with PyTorch for the benchmark, NVRTC (and CUPTI, cuBLAS if there: a CUDA
# toolkit or NVIDIA's wheels), and a build: build/ here, or what scripts/carry.sh packed. Builds
# where there is none. Each step's output is a file in DIR, finished steps are lines of DIR/state,
# and a call starts nothing after --slice seconds: call it again until it says that all is done.
# A step that failed runs again where its line in DIR/state is deleted.
# DIR/bundle.tar.gz holds it all, for machines that keep nothing: --from FILE unpacks one first.
#
#   --device D     cuda:N or sim:CHIP          --configs LIST  of the headline (default: headline)
#   --out DIR      where everything goes       --presets LIST  layers checked untuned
#   --slice N      seconds a call (540)        --budget MM:SS  of tuning a layer (2:00) 
#   --stages LIST  of info,tests,goldens,tune,check,presets,headline,records
#   --systems LIST of the headline (all)       --from FILE     a bundle of an earlier call
#   --build DIR    the build (build)           --tiny          small shapes, for a simulated GPU
#
# Exit status: 0 all done and good, 1 all done and a step failed, 2 misuse, 3 something is missing,
# 4 there is more to do.
# shellcheck disable=SC2317 # steps are functions that a bash of their own calls
set -uo pipefail
origin=$PWD
cd "$(dirname "$0")/.." || exit 3

device=cuda:0 out='' slice=540 build=build configs=headline budget=2:00 systems='' from='' tiny=''
stages=info,tests,goldens,tune,check,presets,headline,records
presets=granite-3.0-1b-a400m,qwen3-30b-a3b,olmoe-1b-7b,gpt-oss-20b,mixtral-8x7b,switch-base-128
check_tokens=1,129
tune_limit=()

say() { printf 'gpu: %s\n' "$*"; }
die() { local status=$1; shift; printf 'gpu: %s\n' "$*" >&2; exit "$status"; }
usage() { sed -n '2,/^# 4 there/s/^# \{0,1\}//p' "$0"; }

while (($#)); do
    case $1 in
        --device | --out | --slice | --stages | --configs | --presets | --budget | --systems | \
            --from | --build)
            (($# > 1)) || die 2 "$1 needs a value"
            declare "${1#--}=$2"
            shift 2 ;;
        --tiny) tiny=--tiny presets='d=64 f=32 e=8 k=2' budget=0:30 tune_limit=(--limit 1); shift ;;
        --help) usage; exit 0 ;;
        *) die 2 "no option $1; see --help" ;;
    esac
done
[ -n "$out" ] || die 2 "--out DIR is missing: where results and state go"
[[ $slice =~ ^[0-9]+$ ]] || die 2 "--slice takes seconds, not $slice"

deadline=$((SECONDS + slice))
absolute() { case $1 in /*) echo "$1" ;; *) echo "$origin/$1" ;; esac; }
out=$(absolute "$out")
mkdir -p "$out" || exit 3
[ -z "$from" ] || [ -f "$out/state" ] || tar -xzf "$(absolute "$from")" -C "$out" || exit 3
touch "$out/state"
db=$out/tuning.db
failed=0

left() { echo $((deadline - SECONDS)); }

# The build, from an absolute path; made here where there is none and a compiler is.
find_build() {
    [ "$build" = build ] || build=$(absolute "$build")
    [ -x "$build/moetune" ] || bash scripts/build.sh default >"$out/build.txt" 2>&1 ||
        die 3 "no $build/moetune and no build ($out/build.txt); pack one with scripts/carry.sh"
    build=$(cd "$build" && pwd)
    command=$build/moetune
}

finish() {
    local fresh
    fresh=$(mktemp)
    tar -czf "$fresh" -C "$out" --exclude bundle.tar.gz . && mv "$fresh" "$out/bundle.tar.gz"
    exit "$1"
}

# step NAME COMMAND...: runs a step once, its output in DIR/NAME.txt. A step that the end of the
# slice cuts short, or that answers 4, is taken up by the next call.
step() {
    local name=$1 status
    shift
    if grep -q "^$name " "$out/state"; then
        grep -q "^$name good$" "$out/state" || failed=1
        return
    fi
    (($(left) > 5)) || { say "the slice is over before $name; call again"; finish 4; }
    say "$name"
    timeout -k 20 "$(left)" "$@" >>"$out/$name.txt" 2>&1
    status=$?
    case $status in
        0) echo "$name good" >>"$out/state" ;;
        4 | 124 | 137) say "$name goes on in the next call"; finish 4 ;;
        *) echo "$name failed($status)" >>"$out/state"
            say "$name failed with $status: $out/$name.txt"
            tail -n 4 "$out/$name.txt" | sed 's/^/    /'
            failed=1 ;;
    esac
}

wanted() { [[ ,$stages, == *,$1,* ]]; }

facts() {
    date -u
    command -v nvidia-smi >/dev/null && nvidia-smi -q
    "$command" info
    python3 --version
    python3 -m pip list 2>/dev/null | grep -iE '^(torch|triton|transformers|jax|liger|scattermoe|vllm|nvidia)'
    return 0
}

# Tests that ask for a GPU by their label; 77 means that the test found none.
gpu_tests() {
    local source test status bad=0
    while read -r source; do
        test=test_$(basename "$(dirname "$source")")_$(basename "$source" .c | sed 's/^test_//')
        LD_LIBRARY_PATH=$build MOETUNE_BINARY=$command "$build/$test"
        status=$?
        echo "$test: exit $status"
        ((status == 0 || status == 77)) || bad=1
    done < <(grep -l 'label: gpu' tests/*/test_*.c)
    return "$bad"
}

# What this GPU makes of each instruction, for tests/gpu/golden/.
goldens() {
    LD_LIBRARY_PATH=$build MOE_GOLDEN_UPDATE=1 "$build/test_gpu_instructions"
    local status=$?
    mkdir -p "$out/golden"
    cp -r tests/gpu/golden/*/ "$out/golden" 2>/dev/null
    ((status == 77)) && status=0
    return "$status"
}

# Runs until all cases are there or the slice ends; a rival that takes the GPU down costs one start.
# It is a process of its own, in which SECONDS starts anew.
headline() {
    local status=4 deadline=$1
    while ((status == 4)) && (($(left) > 30)); do
        python3 bench/headline/run.py --device "$device" --configs "$configs" --build "$build" \
            --db "$db" --out "$out/headline" --resume --slice-seconds "$(($(left) - 25))" \
            ${systems:+--systems "$systems"} ${tiny:+$tiny}
        status=$?
    done
    return "$status"
}

# A line for each layer of the headline: name, tokens, layer.
layers() { python3 bench/headline/run.py --list --configs "$configs" ${tiny:+$tiny}; }

export -f facts gpu_tests goldens headline left
export command build device configs db out systems tiny

find_build
wanted info && step info bash -c facts
wanted tests && step tests bash -c gpu_tests
wanted goldens && step goldens bash -c goldens
layer_list=$(layers) || die 3 "bench/headline/run.py --list: $layer_list"
while IFS=$'\t' read -r name tokens layer; do
    goal=(--device "$device" --layer "$layer" --tokens "$tokens" --db "$db")
    wanted tune && step "tune-$name" "$command" tune "${goal[@]}" --budget "$budget" --quiet \
        ${tune_limit[@]+"${tune_limit[@]}"}
    wanted check && step "check-$name" "$command" check "${goal[@]}" --junit "$out/check-$name.xml"
done <<<"$layer_list"
if wanted presets; then
    IFS=, read -ra preset_list <<<"$presets"
    for preset in "${preset_list[@]}"; do
        step "preset-${preset//[ =]/_}" "$command" check --device "$device" --layer "$preset" \
            --tokens "$check_tokens" --db "$db"
    done
fi
wanted headline && step headline bash -c "headline $(left)"
wanted records && step records "$command" db export "$db" "$out/records"

say "all done; state:"
cat "$out/state"
[ -f "$out/headline.txt" ] && cat "$out/headline.txt"
finish "$failed"
