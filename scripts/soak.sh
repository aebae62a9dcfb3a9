#!/usr/bin/env bash
# Two processes exchange packets in random bursts and chains on a hundred links, one after the other, and verify each;
# then they reconnect as often as asked. Ends with 1 if a packet is lost, doubled, moved or changed, or if either process
# has more descriptors, mappings or heap in the end than on its fourth link.
#   scripts/soak.sh [--packets N] [--reconnects N] [--build DIR]    default: a billion packets, 100,000 reconnects
# Builds build/release unless told where stress_peer has been built.
set -euo pipefail
cd "$(dirname "$0")/.."

packets=1000000000
reconnects=100000
build=
while (($# >= 2)); do
  case $1 in
    --packets) packets=$2 ;;
    --reconnects) reconnects=$2 ;;
    --build) build=$2 ;;
    *) break ;;
  esac
  shift 2
done
(($# == 0)) || { sed -n '5s/^# *//p' "$0" >&2; exit 2; }

if [[ -z $build ]]; then
  build=build/release
  mkdir -p build
  { cmake --preset release && cmake --build "$build" --target stress_peer; } >"$build.log" 2>&1 ||
    { cat "$build.log"; exit 1; }
fi

peers=()
# shellcheck disable=SC2317 # called by the trap
stop() { ((${#peers[@]} == 0)) || kill "${peers[@]}" 2>/dev/null || true; }
trap stop EXIT

# meet LINKS PACKETS: as many on each link for each of two queues each way.
meet() {
  local common=(--socket "@memifpp-soak-$$" --legs "$1" --packets "$2" --seconds 86400)
  echo "$1 links with $((4 * $2)) packets each:"
  "$build/tests/stress/stress_peer" --role server --seed 1 --progress 1 "${common[@]}" &
  peers=($!)
  "$build/tests/stress/stress_peer" --role client --seed 77 "${common[@]}" &
  peers+=($!)
  # Whoever fails first ends the other, by the trap.
  wait -n "${peers[@]}"
  wait "${peers[0]}"
  wait "${peers[1]}"
  peers=()
}

meet 100 $(((packets + 399) / 400))
meet $((reconnects + 4)) 16
echo "passed: $packets packets, $reconnects reconnects"
