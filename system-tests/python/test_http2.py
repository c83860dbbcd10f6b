"""HTTP/2 at the registry, the REST Proxy and the SQL server: without TLS by prior knowledge, with TLS by agreement (ALPN). HTTP/1.1 stays."""

import json
import subprocess

import pytest

from harness import paths
from harness.certificates import Authority
from harness.registry import Registry
from harness.rest import RestProxy, ServerWithRest
from harness.scripts import run
from harness.server import free_port
from harness.sql import Sql

pytestmark = pytest.mark.timeout(120)

SCHEMA = {"schema": '{"type": "string"}'}


@pytest.fixture(scope="module")
def server(tmp_path_factory):
    server = ServerWithRest(tmp_path_factory.mktemp("kafka"), {"offsets.topic.num.partitions": 2}).start()
    yield server
    assert server.stop() == 0, server.log_tail()
    assert "panicked" not in server.log()


def curl(*arguments, stdin=None):
    """The version of HTTP, the status and the body."""
    done = run(["curl", "--silent", "--show-error", "--max-time", "60", "--write-out", "\n%{http_version} %{http_code}", *arguments],
               stdin=stdin)
    body, _, last = done.stdout.rpartition("\n")
    version, status = last.split()
    return version, int(status), body


PRIOR = "--http2-prior-knowledge"


def test_prior_knowledge_without_tls(server):
    registry = f"http://127.0.0.1:{server.registry.port}"
    version, status, body = curl(PRIOR, "--json", json.dumps(SCHEMA), f"{registry}/subjects/h2-value/versions")
    assert (version, status) == ("2", 200) and json.loads(body)["id"] >= 1
    assert curl(PRIOR, f"{registry}/subjects/nothing/versions")[:2] == ("2", 404)
    assert curl("--http1.1", f"{registry}/subjects")[:2] == ("1.1", 200)
    # Asking for an upgrade is answered in HTTP/1.1, which the protocol allows.
    assert curl("--http2", f"{registry}/subjects")[:2] == ("1.1", 200)
    version, status, body = curl(PRIOR, f"{server.rest.url}/v3/clusters")
    [cluster] = json.loads(body)["data"]
    assert (version, status) == ("2", 200)
    # What a client called the server stands in its links, though HTTP/2 has no Host.
    assert cluster["metadata"]["self"] == f"{server.rest.url}/v3/clusters/{cluster['cluster_id']}"


def test_a_stream_of_records_and_many_requests_on_one_connection(server):
    [cluster] = server.rest.get("/v3/clusters").json()["data"]
    url = f"{server.rest.url}/v3/clusters/{cluster['cluster_id']}/topics/over-h2/records"
    lines = "".join(json.dumps({"value": {"type": "JSON", "data": number}}) + "\n" for number in range(5000))
    version, status, body = curl(PRIOR, "--header", "Content-Type: application/json", "--upload-file", "-", "--request", "POST", url,
                                 stdin=lines)
    answers = [json.loads(line) for line in body.splitlines() if line]
    assert (version, status, len(answers)) == ("2", 200, 5000)
    assert {answer["error_code"] for answer in answers} == {200}
    done = run(["node", paths.CLIENTS / "http2_many.js", server.rest.url, url.removeprefix(server.rest.url)])
    assert "passed" in done.stdout


def test_tls_clients_choose_their_version(server, tmp_path):
    authority = Authority(tmp_path / "ca")
    authority.issue("both", "/CN=both")
    store = {"ssl.keystore.location": authority.pkcs12("both", "changeit"), "ssl.keystore.password": "changeit"}
    registry = Registry(tmp_path / "registry", server.bootstrap, {
        **store, "kafkastore.topic": "_schemas-h2", "schema.registry.group.id": "h2"}, scheme="https")
    proxy = RestProxy(tmp_path / "rest", server.bootstrap, store)
    proxy.url = proxy.overrides["listeners"] = f"https://127.0.0.1:{proxy.port}"
    proxy.session.verify = str(authority.certificate)
    proxy.session.trust_env = False
    try:
        registry.start()
        proxy.start()
        trusting = ["--cacert", authority.certificate]
        for url in (f"https://127.0.0.1:{registry.port}/subjects", f"{proxy.url}/v3/clusters"):
            assert curl(*trusting, "--http2", url)[:2] == ("2", 200)
            assert curl(*trusting, "--http1.1", url)[:2] == ("1.1", 200)
            # Without ALPN it is HTTP/1.1, as for clients that know nothing else.
            assert curl(*trusting, "--no-alpn", url)[:2] == ("1.1", 200)
        links = json.loads(curl(*trusting, "--http2", f"{proxy.url}/v3/clusters")[2])["data"][0]["metadata"]
        assert links["self"].startswith(proxy.url)
    finally:
        registry.kill()
        proxy.kill()


def test_every_endpoint_of_the_sql_server_with_and_without_tls(server, tmp_path):
    authority = Authority(tmp_path / "ca")
    authority.issue("sql", "/CN=sql")
    sql = Sql(tmp_path / "sql", server.bootstrap, {"ssl.keystore.location": authority.pkcs12("sql", "changeit"),
                                                   "ssl.keystore.password": "changeit", "ksql.service.id": "h2_"})
    plain, secure = sql.url, f"https://127.0.0.1:{free_port()}"
    sql.overrides["listeners"] = f"{plain},{secure}"
    select = "SELECT n FROM over_h2 EMIT CHANGES LIMIT 1;"
    requests = [
        ("/ksql", {"ksql": "CREATE STREAM IF NOT EXISTS over_h2 (n INT) "
                           "WITH (kafka_topic='over-h2-sql', partitions=1, value_format='JSON');"}),
        ("/inserts-stream", {"target": "over_h2"}),
        ("/query", {"ksql": select, "streamsProperties": {"auto.offset.reset": "earliest"}}),
        ("/query-stream", {"sql": select, "properties": {"auto.offset.reset": "earliest"}}),
    ]
    try:
        sql.start()
        for version, url, options in [("2", plain, [PRIOR]), ("2", secure, ["--cacert", authority.certificate, "--http2"]),
                                      ("1.1", secure, ["--cacert", authority.certificate, "--http1.1"])]:
            for path, request in requests:
                body = json.dumps(request) + ('\n{"n": 7}' if path == "/inserts-stream" else "")
                found, status, answer = curl(*options, "--data-binary", body, url + path)
                assert (found, status) == (version, 200), answer
                if path.startswith("/query"):
                    assert "[7]" in answer
            assert curl(*options, f"{url}/info")[:2] == (version, 200)
            assert curl(*options, "--data-binary", '{"queryId": "none"}', f"{url}/close-query")[:2] == (version, 400)
    finally:
        sql.stop()


def test_what_is_neither_version_does_no_harm(server):
    for first in (b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n" + b"\xff" * 4000, b"PRI * HTTP/2.0\r\n\r\nXX", b"\x00" * 100):
        done = subprocess.run(["timeout", "2", "curl", "--silent", "--max-time", "1", f"telnet://127.0.0.1:{server.rest.port}"],
                              input=first, capture_output=True, check=False)
        assert b"panicked" not in done.stdout
    assert curl(PRIOR, f"{server.rest.url}/topics")[:2] == ("2", 200)
