#!/usr/bin/env bash
# Puts Apache Kafka's own jars (broker, clients, tools and what they need) into .cache/kafka/libs and prints
# that directory, the only line on standard output. A second run only checks.
#
# Usage:   scripts/fetch-kafka.sh
# Needs:   a JDK 17 or later to run the jars, Maven to fetch them
# Setting: KAFKA_VERSION, the release of Apache Kafka
#
# Example: java -cp "$(scripts/fetch-kafka.sh)/*" org.apache.kafka.tools.TopicCommand --bootstrap-server localhost:9092 --list
set -euo pipefail
cd "$(dirname "$0")/.."

# The newest 4.x whose broker and tools are both published.
version=${KAFKA_VERSION:-4.3.1}
home=$PWD/.cache/kafka
libs=$home/libs
stamp=$home/.installed
wanted="kafka $version, layout 1"

mkdir -p "$home"
# One installer at a time; tests and benchmarks may call this side by side.
exec 8>"$home/.lock"
flock 8
if [[ -f $stamp && "$(cat "$stamp")" == "$wanted" ]]; then
  printf '%s\n' "$libs"
  exit 0
fi

if ! command -v mvn >/dev/null; then
  printf 'fetch-kafka: installing Maven\n' >&2
  apt-get update -qq >&2
  DEBIAN_FRONTEND=noninteractive apt-get install -y -qq --no-install-recommends maven >/dev/null
fi
printf 'fetch-kafka: Apache Kafka %s\n' "$version" >&2

cat >"$home/pom.xml" <<POM
<project xmlns="http://maven.apache.org/POM/4.0.0">
  <modelVersion>4.0.0</modelVersion>
  <groupId>milena</groupId>
  <artifactId>kafka-libs</artifactId>
  <version>1</version>
  <dependencies>
    <dependency><groupId>org.apache.kafka</groupId><artifactId>kafka_2.13</artifactId><version>$version</version></dependency>
    <dependency><groupId>org.apache.kafka</groupId><artifactId>kafka-tools</artifactId><version>$version</version></dependency>
    <dependency><groupId>org.apache.logging.log4j</groupId><artifactId>log4j-core</artifactId><version>2.24.3</version></dependency>
    <dependency><groupId>org.apache.logging.log4j</groupId><artifactId>log4j-slf4j-impl</artifactId><version>2.24.3</version></dependency>
  </dependencies>
</project>
POM

rm -rf "$libs"
mvn --batch-mode --quiet --file "$home/pom.xml" \
  org.apache.maven.plugins:maven-dependency-plugin:3.8.1:copy-dependencies \
  -DincludeScope=runtime -DoutputDirectory="$libs" >&2

# Warnings and errors to standard error; the scripts of a Kafka release log to files, which nobody reads here.
cat >"$home/log4j2.properties" <<'LOG4J'
status = error
appender.console.type = Console
appender.console.name = console
appender.console.target = SYSTEM_ERR
appender.console.layout.type = PatternLayout
appender.console.layout.pattern = [%d] %p %m (%c)%n
rootLogger.level = warn
rootLogger.appenderRef.console.ref = console
LOG4J

printf '%s\n' "$wanted" >"$stamp"
printf '%s\n' "$libs"
