#!/usr/bin/env bash
# Checks the models in models/ exhaustively, with spin.   scripts/check-model.sh [MODEL]      default: all
# What the library does must hold; each variant that leaves something out must fail, or the model shows nothing.
set -euo pipefail
cd "$(dirname "$0")/.."
models=$PWD/models
only=${1:-}
[[ -z $only || -f $models/$only.pml ]] || { echo "$0: no model '$only'" >&2; exit 2; }
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
cd "$work"

# Prints the number of errors and of states of a complete search. One that is to find an error finds it soon: compiling
# takes most of its time.
search() {
  local expected=$1 model=$2 optimised=-O2
  shift 2
  [[ $expected == holds ]] || optimised=-O0
  rm -f pan pan.*
  spin -a "$@" "$models/$model.pml" >spin.log 2>&1 || { cat spin.log >&2; return 1; }
  cc $optimised -w -DSAFETY -DCOLLAPSE -DMEMLIM=2048 -o pan pan.c
  timeout 900 ./pan -m1000000 >pan.log 2>&1 || { cat pan.log >&2; return 1; }
  if grep -qE 'search depth too small|pan: reached|aborted|out of memory' pan.log; then
    cat pan.log >&2
    return 1
  fi
  sed -nE 's/.*errors: ([0-9]+).*/\1/p; s/^ *([0-9]+) states, stored.*/\1/p' pan.log | tr '\n' ' '
}

failures=0
check() {
  local expected=$1 model=$2 errors states
  shift 2
  [[ -z $only || $model == "$only" ]] || return 0
  local found
  found=$(search "$expected" "$model" "$@") || { echo "$model $*: the search did not finish"; failures=$((failures + 1)); return; }
  read -r errors states <<<"$found"
  # States and errors come in the report's order: the errors' line is the first.
  if [[ $expected == holds && $errors == 0 ]]; then
    printf '%-10s %-34s holds, %s states\n' "$model" "$*" "$states"
  elif [[ $expected == fails && $errors != 0 ]]; then
    printf '%-10s %-34s fails, as it must: %s\n' "$model" "$*" "$(sed -nE 's/^pan:1: (.*) \(at depth.*/\1/p' pan.log)"
  else
    printf '%-10s %-34s WRONG: %s errors where it should be that it %s\n' "$model" "$*" "$errors" "$expected"
    grep -E '^pan:' pan.log || true
    failures=$((failures + 1))
  fi
}

check holds awake
check holds awake -DNO_PROMISES
check holds awake -DNO_PROMISES -DPACKETS=6
for missing in -DINDEX_RELEASE -DFLAGS_RELAXED -DFLAGS_ACQUIRE -DUNMASK_RELEASE -DLOOK_ACQUIRE -DNO_RECHECK; do
  check fails awake "$missing"
  check fails awake -DNO_PROMISES "$missing"
done
for missing in -DNO_ASYMMETRIC_FENCE -DLOOK_FIRST -DFORGET -DFENCE_EARLY; do check fails awake "$missing"; done

for shape in "-DINDICES=4" "-DINDICES=8"; do
  # shellcheck disable=SC2086 # several words
  for kind in "" -DPOSTED; do check holds ring $shape $kind; done
done
for kind in "" -DPOSTED; do
  for missing in -DNO_SENDER_RELEASE -DNO_ACQUIRE -DNO_RECEIVER_RELEASE -DNO_SENDER_ACQUIRE -DIGNORE_FULL -DINDICES=2; do
    # shellcheck disable=SC2086
    check fails ring $missing $kind
  done
done

check holds adoption
for missing in -DNO_REFERENCE -DTAKE_OVER_LATE -DCLEAR_EARLY -DUNLOCK_RELAXED -DLOCK_RELAXED; do
  check fails adoption "$missing"
done
check holds adoption -DCLEAR_RELAXED -DLOOK_RELAXED

check holds queue_lock
check holds queue_lock -DNAMES
check holds queue_lock -DNO_FENCES
for missing in -DNO_ASYMMETRIC_FENCE -DNO_WAIT -DNO_LOOK -DLOOK_FIRST -DNO_BACK_OFF -DONE_PLACE -DTAKE_RELAXED -DGIVE_RELAXED \
               -DUNMARK_RELAXED -DAWAIT_RELAXED; do check fails queue_lock "$missing"; done
for names in "" -DNAMES; do
  # shellcheck disable=SC2086
  check holds queue_lock -DLOOK_RELAXED -DBACK_OFF_RELAXED -DEND_RELAXED $names
done
for missing in -DNAME_RELAXED -DKNOW_RELAXED; do check fails queue_lock -DNAMES "$missing"; done

((failures == 0)) && echo "${only:-all models}: as it must be"
