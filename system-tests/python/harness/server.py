"""A Milena process of the test's own: started on free ports, killed, stopped, restarted on the same directory."""

import itertools
import os
import pathlib
import resource
import signal
import socket
import subprocess

from . import paths
from .wait import until

# Below the kernel's ephemeral range, so that no outgoing connection takes a port between two runs of one server.
_WORKER = int(os.environ.get("PYTEST_XDIST_WORKER", "gw0").removeprefix("gw"))
_ports = itertools.cycle(range(20000 + _WORKER * 1000, 20000 + (_WORKER + 1) * 1000))


def free_port():
    """A port of 127.0.0.1 that nobody listens on; each worker draws from a range of its own."""
    for port in itertools.islice(_ports, 1000):
        with socket.socket() as probe:
            probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            try:
                probe.bind(("127.0.0.1", port))
            except OSError:
                continue
            return port
    raise RuntimeError("no free port")


class Server:
    """One broker over one data directory. `start` and `kill` may alternate as often as a test likes."""

    def __init__(self, directory, overrides=None, port=None, env=None):
        self.directory = pathlib.Path(directory)
        self.data = self.directory / "data"
        self.port = port or free_port()
        self.overrides = {
            # Tests wait for groups all the time; the three seconds of grace are tested where they matter.
            "group.initial.rebalance.delay.ms": "0",
            "listeners": f"PLAINTEXT://127.0.0.1:{self.port}",
            # Tests of the upper systems choose ports for them; the others run beside each other and need none.
            "milena.connect.listeners": "",
            "milena.schema.registry.listeners": "",
            "milena.rest.proxy.listeners": "",
            "milena.ksql.server.listeners": "",
            **{key: str(value) for key, value in (overrides or {}).items()},
        }
        self.env = env or {}
        self.process = None
        self.log_path = self.directory / "server.log"

    @property
    def bootstrap(self):
        return f"127.0.0.1:{self.port}"

    def command(self):
        arguments = [str(paths.MILENA), "server", "--data-dir", str(self.data)]
        for key, value in self.overrides.items():
            arguments += ["--override", f"{key}={value}"]
        return arguments

    def spawn(self):
        """Starts the process without waiting for it to listen."""
        assert self.process is None or self.process.poll() is not None, "already running"
        self.directory.mkdir(parents=True, exist_ok=True)
        with open(self.log_path, "ab") as log:
            self.process = subprocess.Popen(
                self.command(),
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=subprocess.STDOUT,
                cwd=self.directory,
                env={**os.environ, **self.env},
                preexec_fn=_many_files,
            )
        return self

    def start(self, timeout=30.0):
        """Starts the process and returns when it accepts connections."""
        self.spawn()
        until(self._listening, f"server listens on {self.bootstrap}", timeout, poll=0.02)
        return self

    def _listening(self):
        code = self.process.poll()
        if code is not None:
            raise AssertionError(f"server ended with {code} instead of starting:\n{self.log_tail()}")
        try:
            socket.create_connection(("127.0.0.1", self.port), timeout=1).close()
            return True
        except OSError:
            return False

    def kill(self):
        """kill -9: no byte is flushed, no lock is released by the process itself."""
        self.process.kill()
        self.process.wait(timeout=30)

    def stop(self, number=signal.SIGTERM, timeout=30.0):
        """Asks the process to stop and returns its exit code."""
        if self.process is None:
            return None
        if self.process.poll() is None:
            self.process.send_signal(number)
        try:
            return self.process.wait(timeout)
        except subprocess.TimeoutExpired:
            self.kill()
            raise AssertionError(f"no exit within {timeout} s of signal {number}:\n{self.log_tail()}") from None

    def restart(self):
        assert self.stop() == 0, self.log_tail()
        return self.start()

    def alive(self):
        return self.process is not None and self.process.poll() is None

    def log(self):
        return self.log_path.read_text(errors="replace") if self.log_path.exists() else ""

    def log_tail(self, lines=40):
        return "\n".join(self.log().splitlines()[-lines:])

    def resident_bytes(self):
        with open(f"/proc/{self.process.pid}/status", encoding="ascii") as status:
            for line in status:
                if line.startswith("VmRSS:"):
                    return int(line.split()[1]) * 1024
        raise AssertionError("no VmRSS")

    def threads(self):
        return len(os.listdir(f"/proc/{self.process.pid}/task"))

    def open_files(self):
        return len(os.listdir(f"/proc/{self.process.pid}/fd"))

    def partition_directory(self, topic, partition=0):
        found = [path for path in self.data.rglob(f"{topic}-{partition}") if path.is_dir()]
        assert len(found) == 1, f"{topic}-{partition} under {self.data}: {found}"
        return found[0]

    def segments(self, topic, partition=0):
        """The segment files of a partition, oldest first."""
        return sorted(self.partition_directory(topic, partition).glob("*.log"))


def _many_files():
    _, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (hard, hard))
