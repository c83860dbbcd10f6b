"""The brokers under test as processes: start, stop, kill, and what /proc says about them."""

from __future__ import annotations

import shutil
import signal
import socket
import subprocess
import time
from pathlib import Path

PORT = 19392
CONTROLLER_PORT = 19393
BOOTSTRAP = f"127.0.0.1:{PORT}"
START_SECONDS_MAX = 600
STOP_SECONDS_MAX = 300


class Broker:
    """One broker on its own data directory. Subclasses say how it is formatted and started."""

    name = ""

    def __init__(self, workspace: Path) -> None:
        self.directory = workspace / self.name
        self.data = self.directory / "data"
        self.log = self.directory / "output.log"
        self.process: subprocess.Popen[bytes] | None = None

    def command(self) -> list[str]:
        raise NotImplementedError

    def format(self) -> None:
        """Prepares an empty data directory; not part of any measured time."""

    def reset(self) -> None:
        """Throws the data away."""
        shutil.rmtree(self.directory, ignore_errors=True)
        self.data.mkdir(parents=True)
        self.format()

    def start(self) -> float:
        """Starts the process, waits until the port answers, and returns the monotonic time of the start."""
        if port_answers():
            raise RuntimeError(f"port {PORT} is taken by another process")
        started = time.monotonic()
        with self.log.open("ab") as log:
            self.process = subprocess.Popen(self.command(), stdout=log, stderr=log, stdin=subprocess.DEVNULL)
        while not port_answers():
            if self.process.poll() is not None:
                raise RuntimeError(f"{self.name} ended at once, see {self.log}:\n{self.log.read_text()[-2000:]}")
            if time.monotonic() - started > START_SECONDS_MAX:
                self.kill()
                raise RuntimeError(f"{self.name} does not answer, see {self.log}")
            time.sleep(0.002)
        return started

    def stop(self) -> float:
        """Asks for an orderly stop and returns the seconds it took."""
        assert self.process
        begin = time.monotonic()
        self.process.send_signal(signal.SIGTERM)
        try:
            self.process.wait(STOP_SECONDS_MAX)
        except subprocess.TimeoutExpired:
            self.kill()
            raise RuntimeError(f"{self.name} does not stop") from None
        self.process = None
        return time.monotonic() - begin

    def kill(self) -> None:
        """kill -9."""
        if self.process:
            self.process.kill()
            self.process.wait()
            self.process = None

    def cpu_seconds(self) -> float:
        """User and system time of the process so far, to the nanosecond: /proc counts in hundredths of a second."""
        assert self.process
        # The CPU-time clock of another process, as clock_getcpuclockid(3) makes it.
        return time.clock_gettime((~self.process.pid << 3) | 2)

    def memory_mb(self) -> tuple[float, float]:
        """Resident memory now and at its highest, in MB (10^6 bytes)."""
        assert self.process
        status = Path(f"/proc/{self.process.pid}/status").read_text()
        kib = {line.split(":")[0]: line.split()[1] for line in status.splitlines() if line.startswith(("VmRSS", "VmHWM"))}
        return int(kib["VmRSS"]) * 1024 / 1e6, int(kib["VmHWM"]) * 1024 / 1e6


class Kafka(Broker):
    """Apache Kafka, one KRaft node, with the JVM options and the settings that its release ships."""

    name = "kafka"

    def __init__(self, workspace: Path, libs: Path) -> None:
        super().__init__(workspace)
        self.libs = libs

    def properties(self) -> Path:
        return self.directory / "server.properties"

    def java(self, *arguments: str) -> list[str]:
        logging = f"-Dlog4j2.configurationFile={self.libs.parent / 'log4j2.properties'}"
        return ["java", logging, "-cp", f"{self.libs}/*", *arguments]

    def format(self) -> None:
        self.properties().write_text(
            f"""\
process.roles=broker,controller
node.id=1
controller.quorum.voters=1@127.0.0.1:{CONTROLLER_PORT}
listeners=PLAINTEXT://127.0.0.1:{PORT},CONTROLLER://127.0.0.1:{CONTROLLER_PORT}
advertised.listeners=PLAINTEXT://127.0.0.1:{PORT}
inter.broker.listener.name=PLAINTEXT
controller.listener.names=CONTROLLER
listener.security.protocol.map=CONTROLLER:PLAINTEXT,PLAINTEXT:PLAINTEXT
num.network.threads=3
num.io.threads=8
socket.send.buffer.bytes=102400
socket.receive.buffer.bytes=102400
log.dirs={self.data}
num.partitions=1
num.recovery.threads.per.data.dir=2
offsets.topic.replication.factor=1
group.initial.rebalance.delay.ms=0
transaction.state.log.replication.factor=1
transaction.state.log.min.isr=1
share.coordinator.state.topic.replication.factor=1
share.coordinator.state.topic.min.isr=1
"""
        )
        cluster_id = "bWlsZW5hLWJlbmNobWFyaw"
        tool = self.java("kafka.tools.StorageTool", "format", "-t", cluster_id, "-c", str(self.properties()))
        subprocess.run(tool, check=True, capture_output=True)

    def command(self) -> list[str]:
        server, *rest = self.java("kafka.Kafka", str(self.properties()))
        options = (
            "-Xmx1G -Xms1G -server -XX:+UseG1GC -XX:MaxGCPauseMillis=20 -XX:InitiatingHeapOccupancyPercent=35 "
            "-XX:+ExplicitGCInvokesConcurrent -Djava.awt.headless=true"
        )
        return [server, *options.split(), *rest]


class Milena(Broker):
    """Milena with Kafka's promise: acknowledged when it is in the page cache."""

    name = "milena"
    overrides: tuple[str, ...] = ("milena.acks.all.fsync=false",)

    def __init__(self, workspace: Path, binary: Path) -> None:
        super().__init__(workspace)
        self.binary = binary

    def command(self) -> list[str]:
        overrides = [f"listeners=PLAINTEXT://127.0.0.1:{PORT}", "group.initial.rebalance.delay.ms=0", *self.overrides]
        flags = [word for override in overrides for word in ("--override", override)]
        return [str(self.binary), "server", "--data-dir", str(self.data), *flags]


class DurableMilena(Milena):
    """Milena as it ships: acks=all is answered after fsync."""

    name = "milena-fsync"
    overrides = ()


def port_answers() -> bool:
    try:
        socket.create_connection(("127.0.0.1", PORT), timeout=1).close()
    except OSError:
        return False
    return True
