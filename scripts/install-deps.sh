#!/usr/bin/env bash
# Installs the Debian packages that a group of tasks needs and that are missing; does nothing when all are there.
#   scripts/install-deps.sh [build] [test] [dpdk] [lint] [bench] [python]      default: build
set -euo pipefail

declare -A groups=(
  [build]="cmake ninja-build g++ pkg-config libcli11-dev libfmt-dev nlohmann-json3-dev libpcap-dev libmicrohttpd-dev zlib1g-dev libzstd-dev libxdp-dev
           libbpf-dev libgtest-dev libgmock-dev systemtap-sdt-dev"
  [test]="clang libclang-rt-14-dev python3 python3-cffi dpdk-dev openvswitch-switch-dpdk tcpdump tshark valgrind strace iproute2 iputils-ping iperf3 curl
          spin abigail-tools lintian procps util-linux man-db mandoc groff-base musl-tools zsh ethtool bpftrace
          python3-prometheus-client libbenchmark-dev
           libasio-dev libboost-dev libuv1-dev libevent-dev libglib2.0-dev libsystemd-dev qt6-base-dev"
  [dpdk]="dpdk-dev"
  [lint]="clang clang-format clang-tidy libclang-rt-14-dev shellcheck git libasio-dev libglib2.0-dev"
  [python]="pybind11-dev python3-dev python3-setuptools python3-wheel python3-pip python3-scapy python3-numpy python3-pytest"
  [bench]="python3 valgrind dpdk-dev libbenchmark-dev"
)

installed=$(dpkg-query -W -f '${Status} ${Package}\n' | sed -n 's/^install ok installed //p')
missing=()
for group in "${@:-build}"; do
  [[ -n ${groups[$group]:-} ]] || { echo "$0: no group '$group' (there are: ${!groups[*]})" >&2; exit 2; }
  for package in ${groups[$group]}; do
    grep -qxF "$package" <<<"$installed" || missing+=("$package")
  done
done
((${#missing[@]})) || exit 0

root=()
((EUID == 0)) || root=(sudo)
# The question that tshark's package asks has a default; noninteractive takes it.
install() { "${root[@]}" env DEBIAN_FRONTEND=noninteractive apt-get install -y --no-install-recommends "${missing[@]}" </dev/null; }

echo "installing: ${missing[*]}"
if ! apt-cache show "${missing[@]}" >/dev/null 2>&1 || ! install; then
  "${root[@]}" apt-get update </dev/null
  install
fi
