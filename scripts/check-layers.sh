#!/usr/bin/env bash
# Includes point downward only (docs/architecture.md). Every file of the library belongs to a part, every part to a
# layer. A file may include files of its own part and of lower layers, and of its own layer where `siblings` lists it.
set -euo pipefail
cd "$(dirname "$0")/.."
shopt -s globstar nullglob extglob

# A part is a pattern of file names without their extensions.
layers=(
  "error fd shared_fd deferred signals_blocked shortage usdt uncancelled this_thread"
  "wire config stats published sigbus message address packet layout remote_fence"
  "ring private_directory"
  "handshake* channel listen_socket region @(event|epoll)_loop interrupt foreign_memory"
  "link?(_*) port?(_*) ?([rt]x_)queue?(_*) publication reactor"
  "connection probe observe context?(_*) interface?(_*) listener?(_*)"
  "memif"
)
siblings=" 0 1 4 5 "

# Prints "layer part" for a file name's stem.
place() {
  local i part parts
  for i in "${!layers[@]}"; do
    read -ra parts <<<"${layers[i]}"
    for part in "${parts[@]}"; do
      # shellcheck disable=SC2053 # a pattern
      [[ $1 == $part ]] && { echo "$i $part"; return; }
    done
  done
  return 1
}

failures=0
complain() { echo "$1:$2: $3" >&2; failures=$((failures + 1)); }

# Prints "file line kind name" for every include of the project's own headers; kind is < or ".
includes() {
  (($#)) || return 0
  grep -HnoE '^[[:space:]]*#[[:space:]]*include[[:space:]]*(<memif/[^>]+>|"[^"]+")' "$@" |
    sed -E 's/^([^:]+):([0-9]+):[^<"]*(["<])([^">]*).*/\1 \2 \3 \4/' || true
}
stem() { local name=${1##*/}; echo "${name%.*}"; }

while read -r file line _ included; do
  from=$(stem "$file") to=$(stem "$included")
  read -r low low_part < <(place "$to") || { complain "$file" "$line" "'$to' has no layer in $0"; continue; }
  read -r high high_part < <(place "$from") || { complain "$file" "$line" "'$from' has no layer in $0"; continue; }
  ((low < high)) && continue
  [[ $low_part == "$high_part" || $low == "$high" && $siblings == *" $low "* ]] && continue
  complain "$file" "$line" "'$from' must not include '$to'"
done < <(includes src/**/*.cpp src/**/*.hpp include/memif/**/*.hpp)

# Programs use the public headers and their own.
while read -r file line kind included; do
  if [[ $kind == '"' && ! -f ${file%/*}/$included ]] || [[ $included == *..* ]]; then
    complain "$file" "$line" "\"$included\" is neither <memif/...> nor a header of its own"
  elif [[ $kind == '<' && ! -f include/$included ]]; then
    complain "$file" "$line" "<$included> is not a public header"
  fi
done < <(includes tools/**/*.[ch]pp examples/**/*.[ch]pp)

((failures == 0))
