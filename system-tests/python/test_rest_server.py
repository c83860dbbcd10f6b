"""The REST Proxy as a server: alone, without its Kafka, behind HTTPS and passwords, for other origins, within limits; and
whatever its OpenAPI document allows, without an error of its own."""

import os
import subprocess

import pytest
import requests
from harness import paths
from harness.certificates import Authority
from harness.librdkafka import create_topic, read
from harness.rest import RestProxy, ServerWithRest
from harness.rest_stream import Stream
from harness.server import Server, free_port
from harness.wait import until

SCHEMATHESIS = paths.CACHE / "venv-schemathesis" / "bin" / "schemathesis"


@pytest.fixture(scope="module")
def kafka(tmp_path_factory):
    server = Server(tmp_path_factory.mktemp("kafka"), {"offsets.topic.num.partitions": 2}).start()
    yield server
    assert server.stop() == 0, server.log_tail()


@pytest.fixture
def new_proxy(tmp_path):
    made = []

    def make(bootstrap, overrides=None, scheme="http", session=None, **options):
        proxy = RestProxy(tmp_path / f"rest{len(made)}", bootstrap, overrides, **options)
        proxy.overrides["listeners"] = f"{scheme}://127.0.0.1:{proxy.port}"
        proxy.url = f"{scheme}://127.0.0.1:{proxy.port}"
        for name, value in (session or {}).items():
            setattr(proxy.session, name, value)
        made.append(proxy)
        return proxy

    yield make
    for proxy in made:
        proxy.kill()
        assert "panicked" not in proxy.log()


def cluster(proxy):
    [found] = proxy.get("/v3/clusters").json()["data"]
    return f"/v3/clusters/{found['cluster_id']}"


def v3_record(proxy, topic, value="x"):
    record = {"value": {"type": "STRING", "data": value}}
    return proxy.post(f"{cluster(proxy)}/topics/{topic}/records", record, content="application/json")


def test_it_runs_alone_and_takes_the_variables_of_the_docker_image(kafka, new_proxy):
    proxy = new_proxy("nowhere:1", env={"KAFKA_REST_BOOTSTRAP_SERVERS": kafka.bootstrap, "KAFKA_REST_HOST_NAME": "me",
                                        "KAFKA_REST_ADVERTISED_LISTENERS": "http://proxy.example:80/"})
    del proxy.overrides["bootstrap.servers"]
    proxy.start()
    assert proxy.get("/brokers").json()["brokers"]
    [found] = proxy.get("/v3/clusters").json()["data"]
    assert found["metadata"]["self"].startswith("http://proxy.example:80/v3/clusters/")
    assert "listening for requests" in proxy.log() and f"REST proxy         {proxy.url}" in proxy.log()
    assert proxy.stop() == 0, proxy.log()


@pytest.mark.parametrize("setting", ["listeners=ftp://a:1", "producer.acks=7", "port=8082", "authentication.method=BASIC"])
def test_a_wrong_setting_ends_the_start_with_one_line(setting):
    command = [paths.MILENA, "rest-proxy", "--override", "bootstrap.servers=localhost:1", "--override", setting]
    done = subprocess.run(command, capture_output=True, text=True, timeout=30, check=False)
    assert done.returncode == 1 and done.stderr.startswith("milena: ") and done.stderr.count("\n") == 1, done.stderr


def test_a_broker_that_is_down_is_told_and_waited_for(tmp_path, new_proxy):
    kafka = Server(tmp_path / "kafka", {"offsets.topic.num.partitions": 2})
    proxy = new_proxy(kafka.bootstrap).start()
    down = proxy.get("/topics")
    assert (down.status_code, down.json()["error_code"]) == (503, 50302), down.text
    kafka.start()
    until(lambda: proxy.get("/topics").status_code == 200, "the proxy has found its Kafka")
    create_topic(kafka, "t")
    assert v3_record(proxy, "t").json()["offset"] == 0
    kafka.kill()
    assert proxy.get("/topics").status_code >= 500
    kafka.start()
    until(lambda: proxy.get("/topics").status_code == 200, "the proxy has found its Kafka again")
    until(lambda: v3_record(proxy, "t").json()["error_code"] == 200, "records are written again")
    assert kafka.stop() == 0


def test_users_need_a_password_and_a_role(kafka, new_proxy, tmp_path):
    users = tmp_path / "users.properties"
    users.write_text("ada: secret,admin\nbob: MD5:5ebe2294ecd0e0f08eab7690d2a6ee69,viewer\n")
    proxy = new_proxy(kafka.bootstrap, {
        "authentication.method": "BASIC", "authentication.roles": "admin", "milena.authentication.file": users},
        session={"auth": ("ada", "secret")}).start()
    assert proxy.get("/topics").status_code == 200
    nobody = requests.get(proxy.url + "/topics", timeout=30)
    assert (nobody.status_code, nobody.json()["error_code"]) == (401, 401)
    assert nobody.headers["WWW-Authenticate"] == 'basic realm="KafkaRest"'
    assert requests.get(proxy.url + "/v3/clusters", auth=("bob", "secret"), timeout=30).status_code == 403


def test_https_with_a_certificate(kafka, new_proxy, tmp_path):
    authority = Authority(tmp_path / "ca")
    authority.issue("rest", "/CN=rest")
    proxy = new_proxy(kafka.bootstrap, {
        "ssl.keystore.location": authority.pkcs12("rest", "changeit"), "ssl.keystore.password": "changeit"},
        scheme="https", session={"verify": str(authority.certificate), "trust_env": False}).start()
    [found] = proxy.get("/v3/clusters").json()["data"]
    assert found["metadata"]["self"].startswith(proxy.url)
    with pytest.raises(requests.exceptions.SSLError):
        requests.get(proxy.url + "/topics", timeout=30)


def test_pages_of_allowed_origins_may_read_the_answers(kafka, new_proxy):
    proxy = new_proxy(kafka.bootstrap, {"access.control.allow.origin": "https://ui.example"}).start()
    asked = lambda origin: proxy.session.get(proxy.url + "/topics", headers={"Origin": origin}, timeout=30).headers
    assert asked("https://ui.example")["Access-Control-Allow-Origin"] == "https://ui.example"
    assert "Access-Control-Allow-Origin" not in asked("https://evil.example")
    preflight = proxy.session.options(proxy.url + "/v3/clusters", timeout=30, headers={
        "Origin": "https://ui.example", "Access-Control-Request-Method": "PATCH"})
    assert preflight.status_code == 200 and "PATCH" in preflight.headers["Access-Control-Allow-Methods"]


def test_bodies_rates_and_endpoints_are_limited(kafka, new_proxy):
    create_topic(kafka, "limited")
    proxy = new_proxy(kafka.bootstrap, {
        "milena.request.max.bytes": 10_000, "api.endpoints.blocklist": "api.v3.acls.*,api.v2.brokers.list",
        "api.v3.produce.rate.limit.enabled": "true", "api.v3.produce.rate.limit.max.requests.per.sec": 2}).start()
    large = proxy.produce("limited", [{"value": "x" * 20_000}])
    assert (large.status_code, large.json()["error_code"]) == (413, 413)
    assert v3_record(proxy, "limited", "x" * 20_000).status_code == 413
    assert proxy.get("/brokers").status_code == 404 and proxy.get(f"{cluster(proxy)}/acls").status_code == 404
    codes = [v3_record(proxy, "limited").json()["error_code"] for _ in range(6)]
    assert codes[0] == 200 and 429 in codes, codes
    assert len(read(kafka, "limited")) == codes.count(200)


def test_requests_beyond_the_rate_are_refused(kafka, new_proxy):
    proxy = new_proxy(kafka.bootstrap, {"rate.limit.enable": "true", "rate.limit.permits.per.sec": 5}).start()
    codes = {proxy.get("/topics").status_code for _ in range(20)}
    assert codes == {200, 429}


def test_a_stream_ends_when_its_time_is_over(kafka, new_proxy):
    create_topic(kafka, "ending")
    proxy = new_proxy(kafka.bootstrap, {"streaming.connection.max.duration.ms": 1000}).start()
    stream = Stream(proxy.port, f"{cluster(proxy)}/topics/ending/records")
    stream.send({"value": {"type": "STRING", "data": "x"}})
    assert [answer["error_code"] for answer in stream.rest()] == [200, 408]


def test_switched_off_versions_are_not_there(kafka, new_proxy):
    proxy = new_proxy(kafka.bootstrap, {"api.v2.enable": "false"}).start()
    assert proxy.get("/topics").status_code == 404 and cluster(proxy)
    assert "/topics" not in proxy.get("/openapi.json").json()["paths"]


def test_nothing_that_the_openapi_document_allows_is_an_error_of_the_server(tmp_path):
    server = ServerWithRest(tmp_path / "kafka", {
        "offsets.topic.num.partitions": 2, "milena.rest.proxy.consumer.request.timeout.ms": 50}).start()
    document = server.rest.get("/openapi.json").json()
    # Requests that hit the one cluster and a topic that is there go further than invented names.
    cluster_id = cluster(server.rest).rsplit("/", 1)[1]
    create_topic(server, "fuzz", partitions=2)
    known = {"cluster_id": cluster_id, "topic_name": "fuzz", "topic": "fuzz", "broker_id": "1", "group": "g"}
    config = tmp_path / "schemathesis.toml"
    config.write_text("[parameters]\n" + "".join(f'"path.{name}" = "{value}"\n' for name, value in known.items()))
    assert document["paths"]
    done = subprocess.run(
        [SCHEMATHESIS, "--config-file", config, "run", f"{server.rest.url}/openapi.json", "--checks", "not_a_server_error",
         "--phases", "fuzzing", "--max-examples", "3", "--seed", "1", "--workers", "4", "--request-timeout", "20",
         "--exclude-path", f"/v3/clusters/{cluster_id}/topics/fuzz"],
        capture_output=True, text=True, timeout=300, check=False, cwd=tmp_path,
        env={**os.environ, "NO_COLOR": "1"})
    assert done.returncode == 0, done.stdout[-6000:] + done.stderr[-2000:]
    assert server.rest.get("/topics").status_code == 200
    assert server.stop() == 0, server.log_tail()
    assert "panicked" not in server.log()


def test_the_default_port_is_given_up_when_it_is_taken_and_a_chosen_one_is_not(tmp_path):
    port = free_port()
    first = ServerWithRest(tmp_path / "first", {"milena.rest.proxy.listeners": f"http://127.0.0.1:{port}"})
    first.rest.url = f"http://127.0.0.1:{port}"
    first.start()
    second = Server(tmp_path / "second", {"milena.rest.proxy.listeners": f"http://127.0.0.1:{port}"})
    second.spawn()
    assert second.process.wait(timeout=30) == 1
    assert "REST proxy: cannot listen on" in second.log()
    assert first.stop() == 0
