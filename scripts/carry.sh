#!/usr/bin/env bash
# carry.sh [FOLDER] - packs what scripts/gpu.sh needs on a machine without compiler, Lua or SQLite
# into one folder (default: build/carry): the portable build, templates, Python, GPU tests.
#
# BUILD names another build to pack instead of making the portable one. The folder is a small
# repository: start FOLDER/scripts/gpu.sh there. It stays below 64 MiB.
set -euo pipefail
cd "$(dirname "$0")/.."

folder=${1:-build/carry}
most=$((64 << 20))

# The tests that want a GPU say so in their first line.
mapfile -t sources < <(grep -l 'label: gpu' tests/*/test_*.c)
mapfile -t tests < <(printf '%s\n' "${sources[@]}" |
    sed -E 's,tests/([^/]*)/test_([^/]*)\.c,test_\1_\2,')
if [ -z "${BUILD:-}" ]; then
    BUILD=build-portable
    bash scripts/build.sh portable moetune moetune_shared "${tests[@]}"
fi

rm -rf "$folder"
mkdir -p "$folder/build" "$folder/bench" "$folder/scripts" "$folder/tests"
for program in moetune "${tests[@]}"; do
    strip -o "$folder/build/$program" "$BUILD/$program"
done
for library in libmoetune.so libmoetune_sim.so; do
    strip -o "$folder/build/$library" "$BUILD/$library"
done
cp -r templates tuning_db python "$folder"
cp -r bench/headline bench/ranking.py "$folder/bench"
cp scripts/gpu.sh "$folder/scripts"
printf '%s\n' "${sources[@]%/*}" | sort -u | xargs cp -r --parents -t "$folder"
# The tests' own library has no archive everywhere.
ldd "${tests[@]/#/$BUILD/}" | sed -n 's/.*=> \(.*libcmocka[^ ]*\).*/\1/p' | sort -u |
    xargs -r cp -Lt "$folder/build"
git rev-parse --short=12 HEAD >"$folder/COMMIT"
find "$folder" -name __pycache__ -prune -exec rm -r {} +

size=$(du -sb "$folder" | cut -f1)
newest=$(objdump -T "$folder"/build/* | grep -oE 'GLIBC_[0-9.]+' | sort -Vu | tail -n 1)
foreign=$(objdump -p "$folder"/build/* | sed -n 's/ *NEEDED *//p' |
    sed -E '/^(libc|libm|libcmocka|libdl|libpthread|librt|ld-linux.*)\.so/d' |
    sort -u | paste -sd' ')
echo "carry: $folder, $((size >> 20)) MiB, ${#tests[@]} GPU tests, needs ${newest/_/ } or newer"
[ -z "$foreign" ] ||
    { echo "carry: it also needs $foreign, which the machine may lack" >&2; exit 1; }
((size < most)) || { echo "carry: that is over $((most >> 20)) MiB" >&2; exit 1; }
