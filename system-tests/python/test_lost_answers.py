"""Our own producer behind a proxy that loses answers: every record is there once, in the order of sending."""

import json
import random
import socket
import threading

import pytest

from harness import paths
from harness.scripts import run
from harness.server import Server, free_port

pytestmark = pytest.mark.slow

RECORDS = 2000
#: Of a hundred pieces of answers so many are lost, and their connection with them.
LOST_PERCENT = 15


class LossyProxy:
    """Hands requests on; now and then it closes both sides instead of handing an answer back."""

    def __init__(self, port, target):
        self.target = target
        self.random = random.Random(1)
        self.lost = 0
        self.listener = socket.create_server(("127.0.0.1", port))
        threading.Thread(target=self.accept, daemon=True).start()

    def accept(self):
        while True:
            try:
                client, _ = self.listener.accept()
            except OSError:
                return
            server = socket.create_connection(("127.0.0.1", self.target))
            threading.Thread(target=self.copy, args=(client, server, 0), daemon=True).start()
            threading.Thread(target=self.copy, args=(server, client, LOST_PERCENT), daemon=True).start()

    def copy(self, source, sink, lost_percent):
        try:
            while data := source.recv(65536):
                if self.random.randrange(100) < lost_percent:
                    self.lost += 1
                    break
                sink.sendall(data)
        except OSError:
            pass
        for end in (source, sink):
            try:
                end.shutdown(socket.SHUT_RDWR)
            except OSError:
                pass
            end.close()


def test_lost_answers_lead_to_no_duplicates_and_no_disorder(tmp_path):
    port = free_port()
    server = Server(tmp_path, {"advertised.listeners": f"PLAINTEXT://127.0.0.1:{port}"}).start()
    proxy = LossyProxy(port, server.port)
    try:
        properties = tmp_path / "producer.properties"
        properties.write_text("linger.ms=1\nretry.backoff.ms=10\nrequest.timeout.ms=3000\n")
        done = run([paths.MILENA, "kafka-verifiable-producer", "--bootstrap-server", f"127.0.0.1:{port}", "--topic", "lossy",
                    "--max-messages", RECORDS, "--throughput", 1500, "--command-config", properties])
        assert json.loads(done.stdout.splitlines()[-1])["acked"] == RECORDS
        assert proxy.lost > 20, "the proxy must have done something"
        proxy.listener.close()
    finally:
        server.stop()
    # What is in the log is read from its file: the proxy is not in the way there.
    segment, = (tmp_path / "data" / "lossy-0").glob("*.log")
    dump = run([paths.MILENA, "kafka-dump-log", "--files", segment, "--print-data-log"]).stdout
    values = [line.rpartition("payload: ")[2] for line in dump.splitlines() if "payload: " in line]
    assert values == [str(number) for number in range(RECORDS)]
