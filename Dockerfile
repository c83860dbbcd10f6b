# The broker, the schema registry and the kafka-* tools in one small image.
#
#   docker build -t milena .
#   docker run -p 127.0.0.1:9092:9092 -p 127.0.0.1:8081:8081 -p 127.0.0.1:8082:8082 -p 127.0.0.1:8083:8083 -p 127.0.0.1:8088:8088 -v milena-data:/var/lib/milena milena
#
# Settings are the environment names of the usual Kafka images: KAFKA_LISTENERS, KAFKA_ADVERTISED_LISTENERS,
# KAFKA_LOG_RETENTION_HOURS, SCHEMA_REGISTRY_LISTENERS, ... (docs/configuration.md).

FROM rust:1.95-bookworm AS build
WORKDIR /src
COPY . .
RUN cargo build --release --locked -p milena

FROM debian:bookworm-slim
# Time zones by name, for SQL and for Connect: the newest there are, so no version is pinned.
# hadolint ignore=DL3008
RUN apt-get update && apt-get install --yes --no-install-recommends tzdata && rm -rf /var/lib/apt/lists/*
RUN useradd --system --uid 1001 --home-dir /var/lib/milena --create-home milena
COPY --from=build /src/target/release/milena /usr/local/bin/milena
RUN ["/usr/local/bin/milena", "install-tools", "/usr/local/bin"]

# A container's loopback is not reachable from outside, so the image listens on every interface of the container;
# which addresses of the host reach it is what -p says.
ENV KAFKA_LISTENERS=PLAINTEXT://0.0.0.0:9092 \
    KAFKA_ADVERTISED_LISTENERS=PLAINTEXT://localhost:9092 \
    KAFKA_LOG_DIRS=/var/lib/milena/data \
    SCHEMA_REGISTRY_LISTENERS=http://0.0.0.0:8081 \
    KAFKA_REST_LISTENERS=http://0.0.0.0:8082 \
    CONNECT_LISTENERS=http://0.0.0.0:8083 \
    KSQL_LISTENERS=http://0.0.0.0:8088

USER 1001
WORKDIR /var/lib/milena
VOLUME /var/lib/milena
EXPOSE 9092 8081 8082 8083 8088
STOPSIGNAL SIGTERM
HEALTHCHECK --interval=5s --timeout=5s --start-period=5s --retries=5 \
    CMD ["kafka-broker-api-versions", "--bootstrap-server", "localhost:9092"]
ENTRYPOINT ["milena"]
CMD ["server"]
