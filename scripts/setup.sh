#!/usr/bin/env bash
# setup.sh - installs what building and running moetune needs, and says what it installs.
#
# System packages come from apt (Debian, Ubuntu). Where no CUDA toolkit is found, NVIDIA's headers
# and libraries for compiling (NVRTC) and timing (CUPTI) come from its PyPI wheels into .deps/; no
# GPU or driver is needed. Running it again changes nothing.
set -euo pipefail
cd "$(dirname "$0")/.."

say() { printf 'setup: %s\n' "$*"; }
die() { printf 'setup: %s\n' "$*" >&2; exit 3; }

packages=(gcc libc6-dev make ninja-build pkg-config git ca-certificates python3
    liblua5.4-dev libsqlite3-dev libjansson-dev libxxhash-dev libcmocka-dev)

missing_packages() {
    for package in "$@"; do
        dpkg-query -W -f='${Status}' "$package" 2>/dev/null | grep -q 'ok installed' ||
            echo "$package"
    done
}

install_packages() {
    mapfile -t missing < <(missing_packages "$@")
    ((${#missing[@]})) || { say "system packages: all present"; return; }
    command -v apt-get >/dev/null ||
        die "this system has no apt-get; install the equivalents of: ${missing[*]}"
    local sudo=()
    if ((EUID != 0)); then
        command -v sudo >/dev/null ||
            die "not root and no sudo; ask for: apt-get install ${missing[*]}"
        sudo=(sudo)
    fi
    say "installing system packages: ${missing[*]}"
    "${sudo[@]}" apt-get update -qq
    "${sudo[@]}" env DEBIAN_FRONTEND=noninteractive apt-get install -y -qq --no-install-recommends \
        "${missing[@]}" >/dev/null
}

cmake_is_new_enough() {
    command -v cmake >/dev/null &&
        [ "$(printf '%s\n' 3.25 "$(cmake --version | sed -n '1s/[^0-9]*\([0-9.]*\).*/\1/p')" |
            sort -V | head -n 1)" = 3.25 ]
}

has_toolkit() {
    local folder
    for folder in "${MOETUNE_CUDA:-}" "${CUDA_HOME:-}" /usr/local/cuda .deps/nvidia/cu*; do
        [ -n "$folder" ] && [ -f "$folder/include/cuda.h" ] && [ -f "$folder/include/nvrtc.h" ] &&
            compgen -G "$folder/lib*/libnvrtc.so*" >/dev/null && { toolkit=$folder; return 0; }
    done
    return 1
}

# Installs wheels into .deps without touching the system's Python.
install_wheels() {
    say "installing into .deps: $*"
    PIP_DISABLE_PIP_VERSION_CHECK=1 PIP_ROOT_USER_ACTION=ignore \
        python3 -m pip install -q --no-deps --upgrade --target .deps "$@"
}

install_cmake() {
    cmake_is_new_enough || [ -x .deps/bin/cmake ] || {
        install_packages python3 python3-pip # the system's cmake is too old
        install_wheels 'cmake>=3.25,<4'
    }
    say "cmake: $(PATH="$PATH:.deps/bin" command -v cmake)"
}

# A driver loads only code of a toolkit that is not newer than itself.
driver_major() {
    local major=
    command -v nvidia-smi >/dev/null &&
        major=$(nvidia-smi 2>/dev/null | sed -n 's/.*CUDA Version: \([0-9]*\).*/\1/p' | head -n 1)
    echo "${major:-13}"
}

# cuBLAS is bench's yardstick: half a gigabyte that only a machine with a GPU can use.
install_toolkit() {
    has_toolkit && { say "CUDA toolkit: $toolkit"; return; }
    local gpu=
    command -v nvidia-smi >/dev/null && gpu=yes
    if (($(driver_major) >= 13)); then
        install_wheels 'nvidia-cuda-nvrtc==13.0.*' 'nvidia-cuda-runtime==13.0.*' \
            'nvidia-cuda-cupti==13.0.*' ${gpu:+'nvidia-cublas==13.*'}
    else
        # The wheels for CUDA 12 lie in one folder a library: bring them to the toolkit's layout.
        install_wheels 'nvidia-cuda-nvrtc-cu12==12.9.*' 'nvidia-cuda-runtime-cu12==12.9.*' \
            'nvidia-cuda-cupti-cu12==12.9.*' ${gpu:+'nvidia-cublas-cu12==12.9.*'}
        mkdir -p .deps/nvidia/cu12
        for part in cuda_nvrtc cuda_runtime cuda_cupti ${gpu:+cublas}; do
            cp -r .deps/nvidia/$part/{include,lib} .deps/nvidia/cu12/
        done
    fi
    has_toolkit || die "the wheels hold no NVRTC; install the CUDA toolkit and set CUDA_HOME"
}

cmake_is_new_enough || packages+=(cmake)
has_toolkit || packages+=(python3 python3-pip)
install_packages "${packages[@]}"
install_cmake
install_toolkit
say "done"
