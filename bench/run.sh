#!/usr/bin/env bash
# Measures Milena beside Apache Kafka on this machine and writes docs/benchmarks.md.
#
#   bench/run.sh             everything: at most about 35 minutes on two cores
#   bench/run.sh --minutes N less or more time: what does not fit is measured less often, but everything once
#   bench/run.sh --quick     a short look at each number: a few minutes
#   bench/run.sh --render    measures nothing, writes the page again from the last results
#   bench/run.sh --no-build  use the binaries that are there
#
# All other arguments go to bench/compare.py, see bench/compare.py --help. Everything listens on loopback, and
# what is fetched or written on the way lands in .cache/ (git-ignored).
set -euo pipefail
cd "$(dirname "$0")/.."

build=yes
arguments=()
for argument in "$@"; do
  case $argument in
    --no-build) build=no ;;
    *) arguments+=("$argument") ;;
  esac
done

# 10,000 partitions need more open files than most shells allow.
ulimit -n 200000 2>/dev/null || ulimit -n "$(ulimit -Hn)"

if [[ $build == yes ]]; then
  cargo build --release -p milena -p milena-floor
fi

libs=$(scripts/fetch-kafka.sh)

venv=$PWD/.cache/venv-bench
packages=(confluent-kafka==2.16.1)
if [[ ! -f $venv/.installed || "$(cat "$venv/.installed")" != "${packages[*]}" ]]; then
  rm -rf "$venv"
  python3 -m venv "$venv"
  "$venv/bin/pip" install --quiet --disable-pip-version-check --no-input "${packages[@]}"
  printf '%s\n' "${packages[*]}" >"$venv/.installed"
fi

exec "$venv/bin/python" bench/compare.py --kafka-libs "$libs" "${arguments[@]}"
