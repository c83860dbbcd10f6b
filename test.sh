#!/usr/bin/env bash
# Installs what the tests need and runs all of them. Exit code 0 means that everything passed.
#
# Usage: ./test.sh            everything: what a change must pass
#        ./test.sh --quick    unit tests, and the system tests that take seconds, with a development build
#
# Settings: MILENA_BIN   a binary to test instead of building one
#           PYTEST_ARGS  more arguments for the system tests, for example "-k tutorials"
set -uo pipefail
cd "$(dirname "$0")" || exit 1

quick=no
case "${1:-}" in
  "") ;;
  --quick) quick=yes ;;
  *) sed -n '2,9s/^# \{0,1\}//p' "$0"; exit 2 ;;
esac

failed=()
# step NAME COMMAND...: runs it, remembers a failure, goes on: one run shows everything that is wrong.
step() {
  local name=$1 started=$SECONDS
  shift
  printf '\n=== %s\n' "$name"
  if "$@"; then
    printf '=== %s: passed in %d s\n' "$name" $((SECONDS - started))
  else
    printf '=== %s: FAILED after %d s\n' "$name" $((SECONDS - started))
    failed+=("$name")
  fi
}

build() {
  if [[ -n "${MILENA_BIN:-}" ]]; then return; fi
  if [[ $quick == yes ]]; then
    cargo build -p milena -p milena-example-connector && export MILENA_BIN=$PWD/target/debug/milena
  else
    cargo build --release -p milena -p milena-example-connector && export MILENA_BIN=$PWD/target/release/milena
  fi
}

system_tests() {
  local selection=()
  if [[ $quick == yes ]]; then selection=(-m "not slow"); fi
  # shellcheck disable=SC2086 # PYTEST_ARGS is meant to be split
  .cache/venv/bin/python -m pytest -n 4 "${selection[@]}" ${PYTEST_ARGS:-} system-tests/python
}

step "install what the tests need" scripts/install-test-deps.sh </dev/null
step "format" cargo fmt --all --check
if [[ $quick == no ]]; then
  step "clippy" cargo clippy --workspace --all-targets --quiet -- -D warnings
  if command -v cargo-deny >/dev/null; then step "licences and duplicates" cargo deny --log-level error check; fi
fi
step "build" build
step "unit tests and the Rust client" cargo test --workspace --no-fail-fast --quiet
step "system tests" system_tests

echo
if [[ ${#failed[@]} -gt 0 ]]; then
  printf 'failed: %s\n' "${failed[@]}"
  exit 1
fi
printf 'everything passed in %d s\n' "$SECONDS"
