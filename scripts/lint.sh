#!/usr/bin/env bash
# Everything that is checked without running the program: formatting, shell scripts, layering, documents, clang-tidy.
set -euo pipefail
cd "$(dirname "$0")/.."
scripts/install-deps.sh build lint

echo "format"
scripts/format.sh --check
echo "shellcheck"
git ls-files -z 'scripts/*.sh' .ci/run | xargs -0 --no-run-if-empty shellcheck
echo "layers"
scripts/check-layers.sh
echo "documents"
scripts/check-docs.sh
echo "clang-tidy"
# A build that has the sources of the library and of the command once, one by one: clang-tidy looks at a file as often as
# it is compiled, and a file that lacks an include fails here though a batch of files hides it (MEMIF_FAST).
build=build/lint
cmake --preset asan -B "$build" -DMEMIF_FAST=OFF -DMEMIF_CAPI=OFF -DMEMIF_TESTS=OFF -DMEMIF_EXAMPLES=OFF >/dev/null
log=$build/clang-tidy.log
if ! run-clang-tidy -quiet -j "$(nproc)" -p "$build" >"$log" 2>&1; then
  sed 's/\x1b\[[0-9;]*m//g' "$log" | grep -E '(warning|error|note): |^ ' || cat "$log"
  exit 1
fi
