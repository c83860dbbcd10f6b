#!/usr/bin/env bash
# Puts what bench/ksql.py compares with into .cache/streams: Kafka Streams and Avro with what they need, and
# bench/streams/StreamsBench.java compiled against them.
#
#   bench/fetch-streams.sh        a second run only compiles what has changed
#
# Needs: a JDK 17 or later, Maven.
set -euo pipefail
cd "$(dirname "$0")/.."

kafka=${KAFKA_VERSION:-4.3.1} avro=1.12.1
home=$PWD/.cache/streams
wanted="$kafka $avro"
if [[ ! -f $home/version || "$(cat "$home/version")" != "$wanted" ]]; then
  rm -rf "$home"
  mkdir -p "$home"
  cat >"$home/pom.xml" <<POM
<project xmlns="http://maven.apache.org/POM/4.0.0">
  <modelVersion>4.0.0</modelVersion>
  <groupId>bench</groupId>
  <artifactId>streams</artifactId>
  <version>1</version>
  <dependencies>
    <dependency><groupId>org.apache.kafka</groupId><artifactId>kafka-streams</artifactId><version>$kafka</version></dependency>
    <dependency><groupId>org.apache.avro</groupId><artifactId>avro</artifactId><version>$avro</version></dependency>
    <dependency><groupId>com.fasterxml.jackson.core</groupId><artifactId>jackson-core</artifactId><version>2.21.2</version></dependency>
    <dependency><groupId>org.slf4j</groupId><artifactId>slf4j-nop</artifactId><version>1.7.36</version></dependency>
  </dependencies>
</project>
POM
  mvn --batch-mode --quiet -f "$home/pom.xml" org.apache.maven.plugins:maven-dependency-plugin:3.8.1:copy-dependencies \
    "-DoutputDirectory=$home/libs"
  printf '%s\n' "$wanted" >"$home/version"
fi
source=bench/streams/StreamsBench.java
if [[ ! -f $home/classes/StreamsBench.class || $source -nt $home/classes/StreamsBench.class ]]; then
  javac -cp "$home/libs/*" -d "$home/classes" "$source"
fi
