#!/usr/bin/env bash
# Formats every tracked C and C++ file.   scripts/format.sh [--check]
set -euo pipefail
cd "$(dirname "$0")/.."
options=(-i)
[[ ${1:-} == --check ]] && options=(--dry-run -Werror)
git ls-files -z '*.c' '*.h' '*.cpp' '*.hpp' | xargs -0 --no-run-if-empty clang-format "${options[@]}"
