#!/usr/bin/env bash
# Puts what bench/connect.py compares with into .cache/jdbc: Debezium's JDBC sink (an open connector on Maven Central) for
# Apache Kafka's Connect, and the JDBC drivers of MariaDB and PostgreSQL.
#
#   bench/fetch-jdbc.sh        a second run only checks
#
# Needs: a JDK 17 or later, Maven.
set -euo pipefail
cd "$(dirname "$0")/.."

debezium=${DEBEZIUM_VERSION:-3.3.1.Final} mariadb=3.5.6 postgresql=42.7.8
home=$PWD/.cache/jdbc
wanted="$debezium $mariadb $postgresql"
if [[ -f $home/version && "$(cat "$home/version")" == "$wanted" ]]; then exit 0; fi

rm -rf "$home"
mkdir -p "$home/plugins" "$home/drivers"
plugin=org.apache.maven.plugins:maven-dependency-plugin:3.8.1
# fetch ARTIFACT DIRECTORY
fetch() {
  mvn --batch-mode --quiet "$plugin:get" -Dtransitive=false "-Dartifact=$1"
  mvn --batch-mode --quiet "$plugin:copy" "-Dartifact=$1" "-DoutputDirectory=$2"
}
fetch "io.debezium:debezium-connector-jdbc:$debezium:tar.gz:plugin" "$home"
tar -xzf "$home/debezium-connector-jdbc-$debezium-plugin.tar.gz" -C "$home/plugins"
rm "$home/debezium-connector-jdbc-$debezium-plugin.tar.gz"
fetch "org.mariadb.jdbc:mariadb-java-client:$mariadb" "$home/drivers"
fetch "org.postgresql:postgresql:$postgresql" "$home/drivers"
printf '%s\n' "$wanted" >"$home/version"
