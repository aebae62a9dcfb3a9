#!/usr/bin/env bash
# Includes point downward only (docs/architecture.md, "Layers"): folders are layers, and this is their order. A file may
# include files of its own folder and of those that come before it here; of folders in one word, only its own.
set -euo pipefail
cd "$(dirname "$0")/.."

library=(base memory protocol observe data control)
command=(common net decode capture bridge/dump/manual/observe/perf/ping/replay)

# The public headers are in folders for their users. These are their layers.
declare -A layer_of=(
  [version]=base [error]=base [fd]=base [config]=base [stats]=base [event_loop]=base
  [detail/this_thread]=base [detail/uncancelled]=base [detail/probes]=base [detail/variant]=base
  [detail/wire]=memory [detail/asymmetric_fence]=memory [pool]=memory [detail/descriptor]=memory [detail/ring]=memory
  [observe]=observe [tap]=observe
  [packet]=data [rx_queue]=data [tx_queue]=data [raw]=data [detail/queue]=data [detail/bell]=data
  [detail/raw_rx]=data [detail/rx_chains]=data [detail/raw_tx]=data [detail/tx_chains]=data
  [context]=control [wait_set]=control [coroutine]=control [memif]=control
)

failures=0
complain() { echo "$1:$2: $3" >&2; failures=$((failures + 1)); }

# Prints "file line kind name" for every include of the project's own headers in files below a folder; kind is < or ".
includes() {
  grep -rHnoE --include='*.[ch]pp' '^[[:space:]]*#[[:space:]]*include[[:space:]]*(<memif/[^>]+>|"[^" ]+")' "$@" |
    sed -E 's/^([^:]+):([0-9]+):[^<"]*(["<])([^">]*).*/\1 \2 \3 \4/'
}

# Whether a file of folder $1 may include one of folder $2, in the order of the others.
may_include() {
  local from=$1 to=$2 folders
  [[ $from == "$to" ]] && return
  for folders in "${@:3}"; do
    [[ /$folders/ == */$from/* ]] && return 1
    [[ /$folders/ == */$to/* ]] && return
  done
  return 1
}

# The folder of an include <memif/...> or "folder/file".
folder() {
  local name=${2#memif/}
  if [[ $1 == '<' ]]; then echo "${layer_of[${name%.hpp}]:-unknown}"; else echo "${2%%/*}"; fi
}

# Each folder has its layer.
has_layer() {
  local path=$1 words
  words=" ${*:2} "
  [[ ${words//\// } == *" ${path##*/} "* ]] || complain "$path" 1 "the folder has no layer in scripts/check-layers.sh"
}
for path in src/*/; do has_layer "${path%/}" "${library[@]}"; done
for path in tools/memif/*/; do has_layer "${path%/}" "${command[@]}"; done

while read -r file line kind included; do
  from=${file#src/} from=${from%%/*}
  [[ $file == include/* ]] && from=$(folder '<' "${file#include/}")
  to=$(folder "$kind" "$included")
  may_include "$from" "$to" "${library[@]}" || complain "$file" "$line" "$from must not include $included ($to)"
done < <(includes src include)

while read -r file line kind included; do
  [[ $kind == '"' && $file == */memif/*/* ]] || continue
  from=${file#tools/memif/} from=${from%%/*}
  may_include "$from" "${included%%/*}" "${command[@]}" || complain "$file" "$line" "$from must not include $included"
done < <(includes tools)

while read -r file line kind included; do
  [[ $kind == '"' ]] || continue # a folder has its own headers, and those of core
  from=${file#capi/} from=${from%%/*}
  for to in "$from" core; do
    [[ ! -f capi/$to/$included ]] || continue 2
  done
  [[ $included == *.h && -f capi/$included ]] || complain "$file" "$line" "$from must not include $included"
done < <(includes capi)

# Programs use what users have: no header of the library's inside.
while read -r file line kind included; do
  if [[ $kind == '<' && ($included == memif/detail/* || ! -f include/$included) ]]; then
    complain "$file" "$line" "<$included> is not a public header"
  elif [[ $kind == '"' && ! -f ${file%/*}/$included && ! -f tools/memif/$included ]] || [[ $included == *..* ]]; then
    complain "$file" "$line" "\"$included\" is neither <memif/...> nor a header of its own"
  fi
done < <(includes tools examples python)

((failures == 0))
