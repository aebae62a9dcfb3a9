#!/usr/bin/env bash
# The binary interface of the C libraries, as abigail sees it, against packaging/abi: any change is an error.
#   packaging/abi.sh LIBRARY_DIR [NAME...]            compares; names: libmemif libmemif3 libmemif21 libmemif2
#   packaging/abi.sh --update LIBRARY_DIR [NAME...]   makes the present state the reference: for a change that is meant
set -euo pipefail
update=0
[[ ${1:-} == --update ]] && { update=1; shift; }
libraries=${1:?the directory with the libraries}
shift
reference=${ABI_REFERENCE:-$(dirname "$0")/abi}
(($#)) || set -- libmemif libmemif3 libmemif21 libmemif2

status=0
for name; do
  library=$(readlink -f "$libraries/$name.so")
  if ((update)); then
    abidw --exported-interfaces-only --no-corpus-path --no-show-locs --no-comp-dir-path "$library" |
      sed -E "s/ (path|language)='[^']*'//g" >"$reference/$name.abi"
  elif ! abidiff --exported-interfaces-only "$reference/$name.abi" "$library"; then
    status=1
  fi
done
exit "$status"
