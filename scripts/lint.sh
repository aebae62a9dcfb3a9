#!/usr/bin/env bash
# Everything that is checked without running the program: formatting, shell scripts, layering, documents, clang-tidy.
#   scripts/lint.sh [BUILD_DIR]      a Clang build's directory, for its compile commands; default: build/asan
set -euo pipefail
cd "$(dirname "$0")/.."
build=${1:-build/asan}
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
[[ -f $build/compile_commands.json ]] || cmake --preset asan -B "$build" >/dev/null
log=$build/clang-tidy.log
if ! run-clang-tidy -quiet -j "$(nproc)" -p "$build" "^$PWD/(src|tools)/.*\.cpp\$" >"$log" 2>&1; then
  sed 's/\x1b\[[0-9;]*m//g' "$log" | grep -E '(warning|error|note): |^ ' || cat "$log"
  exit 1
fi
