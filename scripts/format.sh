#!/usr/bin/env bash
# Formats every tracked C and C++ file.   scripts/format.sh [--check]
set -euo pipefail
cd "$(dirname "$0")/.."
options=(-i)
[[ ${1:-} == --check ]] && options=(--dry-run -Werror)
git ls-files -z '*.cpp' '*.hpp' | xargs -0 --no-run-if-empty clang-format "${options[@]}"
# The layout of the public C headers is what build systems that search them rely on: theirs is kept by hand.
git ls-files -z '*.c' '*.h' ':!capi/memif.h' ':!capi/*/libmemif.h' |
  xargs -0 --no-run-if-empty clang-format --style=file:.clang-format-c "${options[@]}"
