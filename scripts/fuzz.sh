#!/usr/bin/env bash
# fuzz.sh [--seconds N | --runs N] [TARGET...] - searches for inputs that crash what reads files.
#
# Builds with clang, libFuzzer, ASan and UBSan into build-fuzz/ and runs each target (default: all
# of tests/fuzz/targets.c) for N seconds (60) or N executions. What is found on the way is kept in
# build-fuzz/corpus/TARGET and goes on from there; tests/fuzz/corpus is only read. A crasher is left
# in build-fuzz/crash/: mend it, and copy it to tests/fuzz/corpus/TARGET, where a test replays it.
# Exit status: 0 nothing found, 1 a crash, 2 misuse, 3 something is missing.
set -uo pipefail
cd "$(dirname "$0")/.." || exit 3

say() { printf 'fuzz: %s\n' "$*"; }
die() { local status=$1; shift; printf 'fuzz: %s\n' "$*" >&2; exit "$status"; }

limit=(-max_total_time=60) targets=()
while (($#)); do
    case $1 in
        --seconds | --runs)
            [[ ${2:-} =~ ^[0-9]+$ ]] || die 2 "$1 needs a number"
            if [ "$1" = --runs ]; then limit=("-runs=$2"); else limit=("-max_total_time=$2"); fi
            shift 2 ;;
        --help) sed -n '2,/^# Exit/s/^# \{0,1\}//p' "$0"; exit 0 ;;
        -*) die 2 "no option $1; see --help" ;;
        *) targets+=("$1"); shift ;;
    esac
done

command -v clang >/dev/null || die 3 "clang is missing; on Debian: apt-get install clang libomp-dev"
bash scripts/build.sh fuzz fuzz || die 3 "the build failed"
((${#targets[@]})) || read -ra targets <<<"$(build-fuzz/fuzz 2>&1 | sed -n 's/.*one of: //p')"

found=0
mkdir -p build-fuzz/crash
for target in "${targets[@]}"; do
    corpus=build-fuzz/corpus/$target log=build-fuzz/$target.log
    mkdir -p "$corpus" "tests/fuzz/corpus/$target"
    MOE_FUZZ=$target build-fuzz/fuzz --make "$corpus/made" || die 2 "no target '$target'"
    MOE_FUZZ=$target build-fuzz/fuzz "$corpus" "tests/fuzz/corpus/$target" "${limit[@]}" \
        -print_final_stats=1 -timeout=25 -rss_limit_mb=4096 -max_len=262144 \
        -artifact_prefix="build-fuzz/crash/$target-" >"$log" 2>&1
    status=$?
    runs=$(sed -n 's/^stat::number_of_executed_units: *//p' "$log")
    edges=$(grep -o ' cov: [0-9]*' "$log" | tail -n 1)
    kept=$(find "$corpus" -type f | wc -l)
    say "$target: ${runs:-0} runs,${edges:- no coverage}, $kept inputs kept"
    if ((status)); then
        found=1
        say "$target: failed, see $log: $(grep -m 1 -E 'ERROR|runtime error|fuzz:' "$log")"
    fi
done
exit $found
