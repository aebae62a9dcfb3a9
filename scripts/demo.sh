#!/usr/bin/env bash
# Two processes, one piece of shared memory, five pings.
#   scripts/demo.sh                   memif ping against memif respond
#   scripts/demo.sh --peer testpmd    memif ping against DPDK's testpmd, in both roles
set -euo pipefail
cd "$(dirname "$0")/.."

peer=memif
case "${1:-} ${2:-}" in
  " ") ;;
  "--peer testpmd" | "--peer memif") peer=$2 ;;
  *) echo "usage: $0 [--peer memif|testpmd]" >&2; exit 2 ;;
esac

dependencies=(build)
[[ $peer == testpmd ]] && dependencies+=(dpdk)
scripts/install-deps.sh "${dependencies[@]}"
echo "Building, which takes a minute or two the first time (it is told to build/demo.log) ..."
mkdir -p build
{ cmake --preset demo && cmake --build build/demo --target memif; } >build/demo.log 2>&1 ||
  { cat build/demo.log; exit 1; }
memif=build/demo/tools/memif

dir=$(mktemp -d)
socket=$dir/demo.sock
children=()
stop_children() {
  ((${#children[@]})) || return 0
  kill "${children[@]}" 2>/dev/null || true
  wait "${children[@]}" 2>/dev/null || true
  children=()
}
trap 'stop_children; rm -rf "$dir" {/var/run,"${XDG_RUNTIME_DIR:-/tmp}"}/dpdk/demo-$$' EXIT

# start NAME COMMAND...: in the background, its output in a file.
start() {
  local name=$1
  shift
  "$@" >"$dir/$name.log" 2>&1 </dev/null &
  children+=($!)
}

# Waits until somebody listens, at most 20 s.
await_socket() {
  for _ in {1..200}; do
    [[ -S $socket ]] && return
    kill -0 "${children[-1]}" 2>/dev/null || break
    sleep 0.1
  done
  echo "Nobody made the socket $socket:" >&2
  cat "$dir"/*.log >&2
  exit 1
}

ping=("$memif" ping --socket "$socket" --id 0 --source 192.168.7.1/24 -c 5 -i 0.2 --wait 20s 192.168.7.2)
testpmd() {
  start testpmd dpdk-testpmd --lcores '0@0,2@0' --no-huge -m 128 --no-pci --file-prefix="demo-$$" \
    --vdev="net_memif0,role=$1,socket=$socket,socket-abstract=no,id=0" -- \
    --forward-mode=icmpecho --stats-period 2 --no-mlockall --total-num-mbufs=4096 -a
}
fail() {
  echo "The pings failed. What the other side said:" >&2
  tail -n 30 "$dir"/*.log >&2
  exit 1
}

if [[ $peer == memif ]]; then
  echo "A responder listens on $socket as 192.168.7.2, and a client pings it through shared memory:"
  start respond "$memif" respond --socket "$socket" --role server --id 0 192.168.7.2/24
  await_socket
  "${ping[@]}" --role client || fail
else
  echo "testpmd is the server and echoes; memif ping is the client:"
  testpmd server
  await_socket
  "${ping[@]}" --role client || fail
  stop_children
  rm -f "$socket"

  echo
  echo "The other way round: memif ping is the server, testpmd the client:"
  start ping "${ping[@]}" --role server
  pinger=${children[0]}
  await_socket
  testpmd client
  wait "$pinger" || fail
  cat "$dir/ping.log"
fi
echo
echo "It works: every packet went from process to process without a copy by the kernel."
