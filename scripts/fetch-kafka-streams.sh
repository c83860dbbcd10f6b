#!/usr/bin/env bash
# Puts Kafka Streams and its state store into .cache/kafka/streams and prints that directory, the only line on
# standard output. A second run only checks. What else it needs is among Kafka's own jars (scripts/fetch-kafka.sh).
#
# Usage:   scripts/fetch-kafka-streams.sh
# Needs:   Maven, which scripts/fetch-kafka.sh installs
# Setting: KAFKA_VERSION, the release of Apache Kafka
set -euo pipefail
cd "$(dirname "$0")/.."

version=${KAFKA_VERSION:-4.3.1}
home=$PWD/.cache/kafka
libs=$home/streams
stamp=$libs/.installed

mkdir -p "$home"
# One installer at a time.
exec 7>"$home/.streams.lock"
flock 7
if [[ -f $stamp && "$(cat "$stamp")" == "$version" ]]; then
  printf '%s\n' "$libs"
  exit 0
fi
printf 'fetch-kafka-streams: Kafka Streams %s\n' "$version" >&2

rm -rf "$libs"
mkdir -p "$libs"
cat >"$libs/pom.xml" <<POM
<project xmlns="http://maven.apache.org/POM/4.0.0">
  <modelVersion>4.0.0</modelVersion>
  <groupId>milena</groupId>
  <artifactId>kafka-streams-libs</artifactId>
  <version>1</version>
  <dependencies>
    <dependency><groupId>org.apache.kafka</groupId><artifactId>kafka-streams</artifactId><version>$version</version></dependency>
  </dependencies>
</project>
POM
mvn --batch-mode --quiet --file "$libs/pom.xml" \
  org.apache.maven.plugins:maven-dependency-plugin:3.8.1:copy-dependencies \
  -DincludeScope=runtime -DincludeArtifactIds=kafka-streams,rocksdbjni -DoutputDirectory="$libs" >&2

printf '%s\n' "$version" >"$stamp"
printf '%s\n' "$libs"
