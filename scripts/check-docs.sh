#!/usr/bin/env bash
# The C++ programs in the documents compile without warnings, and relative links lead somewhere.
set -euo pipefail
cd "$(dirname "$0")/.."
dir=$(mktemp -d)
trap 'rm -rf "$dir"' EXIT

mapfile -t documents < <(git ls-files '*.md')
awk -v dir="$dir" '
  /^```cpp$/ { program = dir "/" ++count ".cpp"; printf "#line %d \"%s\"\n", FNR + 1, FILENAME > program; next }
  /^```/     { program = "" }
  program    { print > program }
' "${documents[@]}"

read -ra glib < <(pkg-config --cflags glib-2.0)
status=0
for program in "$dir"/*.cpp; do
  grep -q '^int main' "$program" || continue
  g++ -std=c++20 -Wall -Wextra -Wpedantic -Werror -fsyntax-only -Iinclude "${glib[@]/#-I/-isystem}" "$program" || status=1
done

while IFS=: read -r document link; do
  target=${link%%#*}
  [[ -z $target || -e $(dirname "$document")/$target ]] || { echo "$document: no file $target" >&2; status=1; }
done < <(grep -HoE '\]\([A-Za-z0-9_./#-]+\)' "${documents[@]}" | sed -E 's/\]\((.*)\)$/\1/')
exit "$status"
