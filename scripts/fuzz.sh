#!/usr/bin/env bash
# Builds the fuzzers and runs them, one after the other; ends with 1 if one has found something.
#   scripts/fuzz.sh [--runs N | --time SECONDS] [--keep] [TARGET...]      default: a minute each
# What they learn stays in build/fuzz/corpus/TARGET, so that the next run goes on from there. --keep adds the fewest of
# these inputs that reach all the code that they all reach to fuzz/corpus/TARGET.
set -euo pipefail
cd "$(dirname "$0")/.."

limit=(-max_total_time=60)
keep=
targets=()
usage() { sed -n '2,3s/^# *//p' "$0" >&2; exit 2; }
while (($#)); do
  case $1 in
    --runs) limit=("-runs=${2:?}"); shift ;;
    --time) limit=("-max_total_time=${2:?}"); shift ;;
    --keep) keep=1 ;;
    -*) usage ;;
    *) targets+=("$1") ;;
  esac
  shift
done
((${#targets[@]})) || mapfile -t targets < <(cd fuzz/corpus && printf '%s\n' *)

build=build/fuzz
mkdir -p build
scripts/install-deps.sh build test
{ cmake --preset fuzz && cmake --build "$build" --target "${targets[@]/#/fuzz_}"; } >"$build.log" 2>&1 ||
  { cat "$build.log"; exit 1; }

# "#123 DONE cov: 45 ft: 67 corp: 8/9b ...", whatever became of it.
summary() {
  awk -v target="$1" -v seconds="$2" '
    /cov: / { runs = substr($1, 2); for (i = 1; i < NF; ++i) if ($i == "cov:") edges = $(i + 1); }
    /^#.*corp: / { for (i = 1; i < NF; ++i) if ($i == "corp:") { split($(i + 1), inputs, "/"); } }
    END { printf "%-10s %11d executions in %5d s, %6d a second; %5d edges, %5d inputs\n", target, runs, seconds,
                 runs / (seconds ? seconds : 1), edges, inputs[1] }' "$3"
}

# Less of freed memory held back, and shorter lists of callers: what is freed lives long enough for inputs this small.
export ASAN_OPTIONS=quarantine_size_mb=8:malloc_context_size=5${ASAN_OPTIONS:+:$ASAN_OPTIONS}

status=0
for target in "${targets[@]}"; do
  seeds=fuzz/corpus/$target found=$build/corpus/$target log=$build/fuzz-$target.log
  mkdir -p "$found"
  started=$SECONDS
  if ! "$build/fuzz/fuzz_$target" "${limit[@]}" -max_len=256 -timeout=10 -print_final_stats=1 \
    -artifact_prefix="$build/$target-" "$found" "$seeds" >"$log" 2>&1 </dev/null; then
    status=1
    grep -E 'invariant broken|ERROR|runtime error|Test unit written' "$log" || tail -20 "$log"
    echo "$target: FOUND SOMETHING; see $log" >&2
  fi
  summary "$target" $((SECONDS - started)) "$log"
  [[ -z $keep ]] || "$build/fuzz/fuzz_$target" -set_cover_merge=1 -use_counters=0 "$seeds" "$found" >>"$log" 2>&1
done
exit "$status"
