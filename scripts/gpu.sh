#!/usr/bin/env bash
# gpu.sh - everything that wants a real GPU, in slices: facts, tests, sanitizer, tuning, checks,
# benchmark, profile.
#
#   bash scripts/gpu.sh --out DIR [--device cuda:0] [--slice 540] [options]
#
# Needs a driver, Python with PyTorch for the benchmark, NVRTC (and CUPTI, cuBLAS if there: a CUDA
# toolkit or NVIDIA's wheels), and a build: build/ here, or what scripts/carry.sh packed. Builds
# where there is none. Each step's output is a file in DIR, finished steps are lines of DIR/state,
# and a call starts nothing after --slice seconds: call it again until it says that all is done.
# A step that failed, or was skipped for want of a tool, runs again where its line in DIR/state is
# deleted.
# DIR/bundle.tar.gz holds it all, for machines that keep nothing: --from FILE unpacks one first.
#
#   --device D     cuda:N or sim:CHIP          --configs LIST  of the headline (default: headline)
#   --out DIR      where everything goes       --presets LIST  layers checked untuned
#   --slice N      seconds a call (540)        --budget MM:SS  of tuning a layer (2:00) 
#   --stages LIST  of info,tests,goldens,sanitize,tune,check,presets,headline,profile,ranking,
#                  records
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
stages=info,tests,goldens,sanitize,tune,check,presets,headline,profile,ranking,records
presets=granite-3.0-1b-a400m,qwen3-30b-a3b,olmoe-1b-7b,gpt-oss-20b,mixtral-8x7b,switch-base-128
check_tokens=1,129
sanitize_layer='d=256 f=192 e=16 k=4' sanitize_tokens=48 sanitize_templates='*'
tune_limit=() ranking=()

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
        --tiny) tiny=--tiny presets='d=64 f=32 e=8 k=2' budget=3:00 tune_limit=(--limit 1)
            sanitize_layer='d=64 f=32 e=4 k=2' sanitize_tokens=4 sanitize_templates='comb*'
            ranking=(--only combine --limit 2); shift ;;
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
    loads=$build${LD_LIBRARY_PATH:+:$LD_LIBRARY_PATH} # of tests; the driver may be there too
}

finish() {
    local fresh
    fresh=$(mktemp)
    tar -czf "$fresh" -C "$out" --exclude bundle.tar.gz . && mv "$fresh" "$out/bundle.tar.gz"
    exit "$1"
}

# step NAME COMMAND...: runs a step once, its output in DIR/NAME.txt. A step that the end of the
# slice cuts short, or that answers 4, is taken up by the next call. One that answers 77 lacks
# something, and its last line says what.
step() {
    local name=$1 status
    shift
    if grep -q "^$name " "$out/state"; then
        grep -q "^$name failed" "$out/state" && failed=1
        return
    fi
    (($(left) > 5)) || { say "the slice is over before $name; call again"; finish 4; }
    say "$name"
    timeout -k 20 "$(left)" "$@" >>"$out/$name.txt" 2>&1
    status=$?
    case $status in
        0) echo "$name good" >>"$out/state" ;;
        77) echo "$name skipped: $(tail -n 1 "$out/$name.txt")" >>"$out/state" ;;
        4 | 124 | 137) say "$name goes on in the next call"; finish 4 ;;
        *) echo "$name failed($status)" >>"$out/state"
            say "$name failed with $status: $out/$name.txt"
            cause "$out/$name.txt"
            failed=1 ;;
    esac
}

# What a step's output gives as the reason of its failure: lines that speak of one, else the last.
cause() {
    local word='^(moetune|headline|ranking|report): |error|FAILED|failed:|wrong|fault|no kernel'
    { grep -E "$word|cannot|[Nn]o such|exit [1-9]" "$1" || cat "$1"; } | tail -n 4 |
        cut -c 1-300 | sed 's/^/    /'
}

wanted() { [[ ,$stages, == *,$1,* ]]; }

facts() {
    date -u
    command -v nvidia-smi >/dev/null && nvidia-smi -q
    "$command" info
    python3 --version
    python3 -m pip list 2>/dev/null |
        grep -iE '^(torch|triton|transformers|jax|liger|scattermoe|vllm|nvidia)'
    return 0
}

# Tests that ask for a GPU by their label; 77 means that the test found none.
gpu_tests() {
    local source test status bad=0
    while read -r source; do
        test=test_$(basename "$(dirname "$source")")_$(basename "$source" .c | sed 's/^test_//')
        LD_LIBRARY_PATH=$loads MOETUNE_BINARY=$command "$build/$test"
        status=$?
        echo "$test: exit $status"
        ((status == 0 || status == 77)) || bad=1
    done < <(grep -l 'label: gpu' tests/*/test_*.c)
    return "$bad"
}

# What this GPU makes of each instruction, for tests/gpu/golden/.
goldens() {
    LD_LIBRARY_PATH=$loads MOE_GOLDEN_UPDATE=1 "$build/test_gpu_instructions"
    local status=$?
    mkdir -p "$out/golden"
    cp -r tests/gpu/golden/*/ "$out/golden" 2>/dev/null
    ((status == 77)) && status=0
    return "$status"
}

# The ops that a template makes kernels for.
ops_of() { sed -n 's/^ *op = //p' "$1" | grep -o '"[a-z_]*"' | tr -d '"'; }

# sanitize TOOL: the default config of each template under compute-sanitizer. Only what ran under
# it counts: a template that does not serve this GPU is passed over.
sanitize() {
    local lua op status bad=0 ran=0 log=$out/sanitize-$1.last
    command -v compute-sanitizer >/dev/null || {
        echo "no compute-sanitizer in PATH; it comes with the CUDA toolkit (cuda-sanitizer)"
        return 77
    }
    for lua in templates/$sanitize_templates.lua; do
        for op in $(ops_of "$lua"); do
            rm -f "$out/sanitize.db"
            compute-sanitizer --tool "$1" --target-processes all --error-exitcode 99 "$command" \
                tune --device "$device" --layer "$sanitize_layer" --tokens "$sanitize_tokens" \
                --op "$op" --template "$(basename "$lua" .lua)" --limit 1 --any-order --quiet \
                --budget 1:00 --db "$out/sanitize.db" >"$log" 2>&1
            status=$?
            grep -q 'no template serves' "$log" && continue
            ran=$((ran + 1))
            echo "$(basename "$lua" .lua) $op: exit $status"
            ((status == 0)) || { bad=1; cat "$log"; }
        done
    done
    rm -f "$log" "$out"/sanitize.db*
    ((ran)) || { echo "error: no template ran"; return 1; }
    return "$bad"
}

# Nsight Compute on the layer of the headline that is farthest from the roofline.
profile() {
    local file row layer tokens rest status
    command -v ncu >/dev/null ||
        { echo "no ncu in PATH; it comes with the CUDA toolkit"; return 77; }
    file=$(find "$out/headline" -name '*.json' 2>/dev/null | sort | tail -n 1)
    [ -n "$file" ] || { echo "no results of the headline to choose a row from"; return 77; }
    row=$(python3 bench/headline/report.py --worst "$file") ||
        { echo "no row of the headline was timed on a GPU"; return 77; }
    IFS=$'\t' read -r layer tokens rest <<<"$row"
    echo "worst row: $rest, tokens $tokens, layer $layer"
    ncu --set full --kernel-name regex:moe_ --launch-count 20 --target-processes all -f \
        -o "$out/worst" "$command" check --device "$device" --layer "$layer" --tokens "$tokens" \
        --db "$db" >"$out/profile.last" 2>&1
    status=$?
    cat "$out/profile.last"
    grep -q ERR_NVGPUCTRPERM "$out/profile.last" && {
        echo "the driver keeps its counters from users (ERR_NVGPUCTRPERM)"
        return 77
    }
    rm -f "$out/profile.last"
    ((status == 0)) || return "$status"
    ncu --import "$out/worst.ncu-rep" --page details
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

# A line for each layer of the headline: name, tokens, routing, layer.
layers() { python3 bench/headline/run.py --list --configs "$configs" ${tiny:+$tiny}; }

export -f facts gpu_tests goldens ops_of sanitize profile headline left
export command build loads device configs db out systems tiny
export sanitize_layer sanitize_tokens sanitize_templates

find_build
wanted info && step info bash -c facts
wanted tests && step tests bash -c gpu_tests
wanted goldens && step goldens bash -c goldens
for tool in memcheck racecheck; do
    wanted sanitize && step "sanitize-$tool" bash -c "sanitize $tool"
done
layer_list=$(layers) || die 3 "bench/headline/run.py --list: $layer_list"
while IFS=$'\t' read -r name tokens routing layer; do
    goal=(--device "$device" --layer "$layer" --tokens "$tokens" --routing "$routing" --db "$db")
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
wanted profile && step profile bash -c profile
wanted ranking && step ranking python3 bench/ranking.py --device "$device" --build "$build" \
    --db "$out/ranking.db" ${ranking[@]+"${ranking[@]}"}
wanted records && step records "$command" db export "$db" "$out/records"

say "all done; state:"
cat "$out/state"
[ -f "$out/headline.txt" ] && cat "$out/headline.txt"
finish "$failed"
