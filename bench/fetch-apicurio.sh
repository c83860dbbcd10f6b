#!/usr/bin/env bash
# Puts Apicurio Registry from Maven Central into .cache/apicurio, for bench/registry.py to compare with.
#
#   bench/fetch-apicurio.sh        a second run only checks
#
# Needs: a JDK 17 or later, Maven. .cache/apicurio/start runs it in the foreground.
set -euo pipefail
cd "$(dirname "$0")/.."

version=${APICURIO_VERSION:-2.6.13.Final}
home=$PWD/.cache/apicurio
if [[ -f $home/version && "$(cat "$home/version")" == "$version" ]]; then exit 0; fi

rm -rf "$home"
mkdir -p "$home/app"
plugin=org.apache.maven.plugins:maven-dependency-plugin:3.8.1
artifact=io.apicurio:apicurio-registry-app:$version:tar.gz:all
mvn --batch-mode --quiet "$plugin:get" -Dtransitive=false "-Dartifact=$artifact"
mvn --batch-mode --quiet "$plugin:copy" "-Dartifact=$artifact" "-DoutputDirectory=$home"
tar -xzf "$home/apicurio-registry-app-$version-all.tar.gz" -C "$home/app"
rm "$home/apicurio-registry-app-$version-all.tar.gz"
printf '#!/bin/sh\nexec java -jar %q\n' "$(echo "$home"/app/*run*.jar)" >"$home/start"
chmod +x "$home/start"
printf '%s\n' "$version" >"$home/version"
