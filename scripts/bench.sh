#!/usr/bin/env bash
# Measures everything, in under 10 minutes, and writes report.md, results.json and pictures. What is measured:
# docs/performance.md. Leave the machine alone meanwhile.
#   scripts/bench.sh [DIRECTORY] [--quick] [--docs] [--only STEP]... [--libmemif FILE]
# DIRECTORY: where to, default build/bench. --libmemif: the C API's cases also with that libmemif.so of release 4.
# --quick: the main cases, a minute. --docs: the figures go into docs/performance.md too.
set -euo pipefail
cd "$(dirname "$0")/.."

if command -v ccache >/dev/null; then
  export CMAKE_C_COMPILER_LAUNCHER=ccache CMAKE_CXX_COMPILER_LAUNCHER=ccache
fi
scripts/install-deps.sh build bench
cmake --preset release -DMEMIF_BENCH=ON >/dev/null
cmake --build build/release --target memif bench_all | tail -1
exec python3 scripts/bench.py build/release "$@"
