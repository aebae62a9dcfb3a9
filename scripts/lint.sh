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
echo "includes"
twice=$(git ls-files 'src/*.[ch]pp' 'include/*.hpp' 'tools/*.[ch]pp' | while read -r file; do
  grep -oE '^ *#include *[<"][^>"]+' "$file" | sort | uniq -d | sed "s|^|$file: twice: |"
done)
[[ -z $twice ]] || { echo "$twice"; exit 1; }
echo "clang-tidy"
# Looks at batches of files (MEMIF_FAST), since most of its time goes to what they include; it takes functions for ours
# only in the file that it is given, so each batch becomes one file.
build=build/lint
cmake --preset clang -B "$build" -DMEMIF_FAST=ON -DMEMIF_INSTALL=OFF -DMEMIF_CAPI=OFF -DMEMIF_TESTS=OFF \
  -DMEMIF_EXAMPLES=OFF >/dev/null
for batch in "$build"/*/CMakeFiles/*/Unity/*.cxx; do
  sed -nE 's|^#include "(/.*)"$|\1|p' "$batch" | while read -r file; do
    echo "#line 1 \"$file\""
    cat "$file"
  done >"$batch.whole"
  mv "$batch.whole" "$batch"
done
log=$build/clang-tidy.log
# The analyzer does not go into the standard library's own functions, and gives up one of ours after a third of the
# paths that it takes by itself, which found as much in a third of the time.
analyzer=(-Xclang -analyzer-config -Xclang "max-nodes=75000,c++-stdlib-inlining=false")
if ! run-clang-tidy -quiet -j "$(nproc)" -p "$build" -checks=-readability-duplicate-include \
  "${analyzer[@]/#/-extra-arg=}" >"$log" 2>&1; then
  sed 's/\x1b\[[0-9;]*m//g' "$log" | grep -E '(warning|error|note): |^ ' || cat "$log"
  exit 1
fi
