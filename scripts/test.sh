#!/usr/bin/env bash
# Builds and tests everything; the last line is "N passed, N failed, N skipped".
#   scripts/test.sh           release, address+undefined and thread sanitizers
#   scripts/test.sh --quick   release only
# MEMIF_WERROR=ON makes warnings errors.
set -euo pipefail
cd "$(dirname "$0")/.."

presets=(release asan tsan)
case ${1:-} in
  "") ;;
  --quick) presets=(release) ;;
  *) echo "usage: $0 [--quick]" >&2; exit 2 ;;
esac

# Which tests each build runs. What only the optimised build can tell (timing) is labelled release-only; ThreadSanitizer
# runs the tests in which threads meet.
declare -A selection=([release]="" [asan]="-LE release-only" [tsan]="-L threads")
# The regression gate is a test of the benchmarks; none of the tests with threads is of the command or of an example.
declare -A parts=([release]="-DMEMIF_BENCH=ON -DMEMIF_PYTHON=ON" [asan]="-DMEMIF_PYTHON=ON" [tsan]="-DMEMIF_TOOLS=OFF -DMEMIF_EXAMPLES=OFF")

scripts/install-deps.sh build test python
if command -v ccache >/dev/null; then
  export CMAKE_C_COMPILER_LAUNCHER=ccache CMAKE_CXX_COMPILER_LAUNCHER=ccache
fi
export ASAN_OPTIONS=${ASAN_OPTIONS:-detect_leaks=1:detect_stack_use_after_return=1}
export UBSAN_OPTIONS=${UBSAN_OPTIONS:-print_stacktrace=1}
export TSAN_OPTIONS=${TSAN_OPTIONS:-halt_on_error=1:second_deadlock_stack=1}

# The sanitizers' fixed shadow addresses collide with strong address-space randomisation.
steady=()
setarch -R true 2>/dev/null && steady=(setarch -R)

mkdir -p build
status=0
for preset in "${presets[@]}"; do
  build=build/$preset
  started=$SECONDS
  # shellcheck disable=SC2086 # several words or none
  cmake --preset "$preset" -DMEMIF_WERROR="${MEMIF_WERROR:-OFF}" ${parts[$preset]} >"$build.log" 2>&1 ||
    { cat "$build.log"; exit 1; }
  cmake --build "$build" >"$build.log" 2>&1 || { cat "$build.log"; exit 1; }
  echo "== $preset: built in $((SECONDS - started)) s"
  started=$SECONDS
  rm -f "$build/results.xml"
  # Most tests wait for most of their time, so that a processor can have two.
  # shellcheck disable=SC2086
  "${steady[@]}" ctest --test-dir "$build" ${selection[$preset]} -j $((2 * $(nproc))) --output-on-failure --no-tests=ignore \
    --output-junit results.xml </dev/null || status=1
  echo "== $preset: tested in $((SECONDS - started)) s"
done

python3 - "$status" "${presets[@]}" <<'PYTHON'
import sys
import xml.etree.ElementTree as ElementTree

passed = failed = skipped = 0
for preset in sys.argv[2:]:
    results = f"build/{preset}/results.xml"
    try:
        cases = ElementTree.parse(results).getroot().findall("testcase")
    except (OSError, ElementTree.ParseError) as error:
        print(f"{results}: {error}")
        cases = []
        failed += 1
    for case in cases:
        outcome = case.get("status")
        if outcome == "run":
            passed += 1
        elif case.find("skipped") is not None:
            skipped += 1
        else:
            failed += 1
            print(f"FAILED ({preset}): {case.get('name')}")
print(f"{passed} passed, {failed} failed, {skipped} skipped")
sys.exit(1 if failed or not passed or sys.argv[1] != "0" else 0)
PYTHON
