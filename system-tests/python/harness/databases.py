"""Databases of the tests' own: MariaDB and PostgreSQL on free ports over a directory in /tmp, and files of SQLite.

A server knows `start`, `stop`, `kill`, `freeze`, `thaw`; `database(name)` makes an empty database on it, which knows its
`jdbc:` URL, the settings of a connector, and `sql`. Nothing of the machine's own database services is used or changed.
What they have committed survives `kill`, but not the machine: nothing is forced to the disk.
"""

import contextlib
import os
import pathlib
import pwd
import shutil
import signal
import sqlite3
import subprocess
import tempfile

from .server import free_port
from .wait import until

#: The password of the tutorials; root of MariaDB and postgres of PostgreSQL have it over TCP.
PASSWORD = "test1357"


class _Process:
    """A database server over a directory of its own, in a process group of its own."""

    kind = user = None

    def __init__(self, port=None, tls=None, password=PASSWORD, options=()):
        """`tls` is an Authority of harness.certificates: the server gets a certificate of it. `options` go to the server."""
        self.port, self.password, self.options = port or free_port(), password, list(options)
        self.directory = pathlib.Path(tempfile.mkdtemp(prefix=f"milena-{self.kind}-"))
        self.data, self.log_path = self.directory / "data", self.directory / "server.log"
        self.process = None
        self.tls = None
        if tls:
            tls.issue(self.kind, "/CN=localhost")
            self.tls = {}
            for part, file in (("ca", tls.certificate), ("key", tls.directory / f"{self.kind}.key"),
                               ("certificate", tls.directory / f"{self.kind}.crt")):
                self.tls[part] = shutil.copy(file, self.directory / f"{part}.pem")
            os.chmod(self.tls["key"], 0o600)

    def command(self):
        raise NotImplementedError

    def prepare(self):
        raise NotImplementedError

    def connect(self, database=None):
        """A connection of the Python driver, each statement a transaction of its own."""
        raise NotImplementedError

    def _run(self, command, **options):
        # MariaDB deletes what it finds of temporary tables as it starts, be they another server's.
        environment = {**os.environ, "TMPDIR": str(self.directory)}
        return subprocess.Popen([str(part) for part in command], cwd=self.directory, start_new_session=True, env=environment,
                                stdin=subprocess.DEVNULL, **options)

    def _finish(self, command):
        done = self._run(command, stdout=subprocess.PIPE, stderr=subprocess.STDOUT)
        output = done.communicate(timeout=120)[0].decode(errors="replace")
        assert done.returncode == 0, f"{command}\n{output}"

    def start(self, timeout=60.0):
        """Starts the server, on the data that it has, and returns when it answers SQL."""
        if not self.data.exists():
            self.prepare()
        assert self.process is None or self.process.poll() is not None, "already running"
        with open(self.log_path, "ab") as log:
            self.process = self._run(self.command(), stdout=log, stderr=log)
        until(self._answers, lambda: f"{self.kind} answers:\n{self.log_tail()}", timeout, poll=0.1)
        return self

    def _answers(self):
        code = self.process.poll()
        assert code is None, f"{self.kind} ended with {code}:\n{self.log_tail()}"
        try:
            self.connect().close()
            return True
        except self.driver_error():
            return False

    def stop(self):
        """An orderly stop; connections are closed."""
        if self.process and self.process.poll() is None:
            self.thaw()
            self.process.send_signal(self.stop_signal)
            try:
                self.process.wait(timeout=60)
            except subprocess.TimeoutExpired:
                self.kill()

    def kill(self):
        """kill -9 of the whole server."""
        if self.process and self.process.poll() is None:
            self._signal(signal.SIGKILL)
            self.process.wait(timeout=30)

    def freeze(self):
        """The server is there and says nothing any more, as over a network that has gone away."""
        self._signal(signal.SIGSTOP)

    def thaw(self):
        self._signal(signal.SIGCONT)

    def _signal(self, number):
        # PostgreSQL has a process for each connection, each in a group of its own.
        children = pathlib.Path(f"/proc/{self.process.pid}/task/{self.process.pid}/children").read_text().split()
        for process in (self.process.pid, *map(int, children)):
            with contextlib.suppress(ProcessLookupError):
                os.kill(process, number)

    def remove(self):
        """Ends the server and deletes its directory."""
        if self.process and self.process.poll() is None:
            self.kill()
        shutil.rmtree(self.directory, ignore_errors=True)

    def database(self, name):
        """An empty database of this name."""
        with contextlib.closing(self.connect()) as connection, connection.cursor() as cursor:
            cursor.execute(f"DROP DATABASE IF EXISTS {name}")
            cursor.execute(f"CREATE DATABASE {name}" + self.of_new_databases)
        return Database(self, name)

    def log_tail(self, lines=40):
        return "\n".join(self.log_path.read_text(errors="replace").splitlines()[-lines:]) if self.log_path.exists() else ""


class MariaDb(_Process):
    kind, scheme, user, stop_signal = "mariadb", "mysql", "root", signal.SIGTERM
    of_new_databases = " CHARACTER SET utf8mb4"

    def prepare(self):
        install = ["mariadb-install-db", "--no-defaults", "--auth-root-authentication-method=normal", "--skip-test-db",
                   f"--datadir={self.data}", "--innodb-log-file-size=16M"]
        self._finish([*install, *self._as_root()])
        # Names are not resolved, so root of localhost is not root of 127.0.0.1; which of them a new server has varies.
        (self.directory / "init.sql").write_text(
            f"CREATE OR REPLACE USER root@'%' IDENTIFIED BY '{self.password}';\n"
            "GRANT ALL ON *.* TO root@'%' WITH GRANT OPTION;\n"
            + "".join(f"ALTER USER IF EXISTS root@'{host}' IDENTIFIED BY '{self.password}';\n"
                      for host in ("localhost", "127.0.0.1", "::1")))

    def command(self):
        tls = self.tls and [f"--ssl-ca={self.tls['ca']}", f"--ssl-cert={self.tls['certificate']}", f"--ssl-key={self.tls['key']}"]
        return ["/usr/sbin/mariadbd", "--no-defaults", f"--datadir={self.data}", "--bind-address=127.0.0.1", f"--port={self.port}",
                f"--socket={self.directory / 'socket'}", f"--pid-file={self.directory / 'pid'}", "--skip-name-resolve",
                f"--init-file={self.directory / 'init.sql'}", "--innodb-log-file-size=16M", "--innodb-flush-log-at-trx-commit=2",
                "--innodb-buffer-pool-size=64M", "--performance-schema=OFF", *self._as_root(), *(tls or []), *self.options]

    def connect(self, database=None):
        import pymysql
        tls = {"ssl": {"ca": self.tls["ca"]}} if self.tls else {}
        return pymysql.connect(host="127.0.0.1", port=self.port, user=self.user, password=self.password, database=database,
                               charset="utf8mb4", autocommit=True, connect_timeout=5, **tls)

    @staticmethod
    def driver_error():
        import pymysql
        return pymysql.err.Error

    @staticmethod
    def _as_root():
        return ["--user=root"] if os.geteuid() == 0 else []


class Postgres(_Process):
    # SIGINT: the fast shutdown, which does not wait for clients to go.
    kind, scheme, user, stop_signal = "postgresql", "postgresql", "postgres", signal.SIGINT
    of_new_databases = ""

    def _run(self, command, **options):
        # PostgreSQL refuses to run as root.
        if os.geteuid() == 0:
            owner = pwd.getpwnam("postgres")
            for path in (self.directory, *self.directory.glob("*.pem")):
                os.chown(path, owner.pw_uid, owner.pw_gid)
            options |= {"user": owner.pw_uid, "group": owner.pw_gid, "extra_groups": []}
        return super()._run(command, **options)

    @staticmethod
    def _program(name):
        places = sorted(pathlib.Path("/usr/lib/postgresql").glob(f"*/bin/{name}"), key=lambda path: int(path.parts[-3]))
        found = str(places[-1]) if places else shutil.which(name)
        assert found, f"{name} is missing: scripts/install-test-deps.sh"
        return found

    def prepare(self):
        secret = self.directory / "password"
        secret.write_text(self.password)
        os.chmod(secret, 0o644)
        self._finish([self._program("initdb"), "-D", self.data, "-U", self.user, "-E", "UTF8", "--locale=C.UTF-8", "--no-sync",
                      "--auth=scram-sha-256", f"--pwfile={secret}"])

    def command(self):
        settings = {"listen_addresses": "127.0.0.1", "port": self.port, "unix_socket_directories": self.directory,
                    "fsync": "off", "shared_buffers": "64MB", "max_connections": 200}
        if self.tls:
            settings |= {"ssl": "on", "ssl_ca_file": self.tls["ca"], "ssl_cert_file": self.tls["certificate"],
                         "ssl_key_file": self.tls["key"]}
        return [self._program("postgres"), "-D", self.data, *(word for key, value in settings.items() for word in ("-c", f"{key}={value}")),
                *self.options]

    def connect(self, database=None):
        import psycopg
        return psycopg.connect(host="127.0.0.1", port=self.port, user=self.user, password=self.password,
                               dbname=database or "postgres", autocommit=True, connect_timeout=5)

    @staticmethod
    def driver_error():
        import psycopg
        return psycopg.Error


class Database:
    """A database on a server."""

    def __init__(self, server, name):
        self.server, self.name, self.kind = server, name, server.kind

    @property
    def url(self):
        return f"jdbc:{self.server.scheme}://localhost:{self.server.port}/{self.name}"

    def settings(self, parameters=""):
        """The settings of a connector that lead here; `parameters` go behind the `?` of the URL."""
        return {"connection.url": self.url + (f"?{parameters}" if parameters else ""), "connection.user": self.server.user,
                "connection.password": self.server.password}

    def sql(self, text, *parameters):
        """Runs a statement and returns its rows. Parameters stand as %s."""
        with contextlib.closing(self.server.connect(self.name)) as connection, connection.cursor() as cursor:
            cursor.execute(text, parameters or None)
            return [tuple(row) for row in cursor.fetchall()] if cursor.description else []

    def tables(self):
        schema = "DATABASE()" if self.kind == "mariadb" else "current_schema()"
        return {row[0] for row in self.sql(f"SELECT table_name FROM information_schema.tables WHERE table_schema = {schema}")}


class Sqlite:
    """A file of SQLite that is used as a database."""

    kind = "sqlite"

    def __init__(self, path):
        self.path = pathlib.Path(path)
        with contextlib.closing(sqlite3.connect(self.path)) as connection:
            connection.execute("PRAGMA journal_mode=WAL")

    @property
    def url(self):
        return f"jdbc:sqlite:{self.path}"

    def settings(self, parameters=""):
        return {"connection.url": self.url + (f"?{parameters}" if parameters else "")}

    def sql(self, text, *parameters):
        """Runs a statement and returns its rows. Parameters stand as %s, as for the others."""
        with contextlib.closing(sqlite3.connect(self.path, timeout=20, isolation_level=None)) as connection:
            return connection.execute(text.replace("%s", "?"), parameters).fetchall()

    def tables(self):
        return {row[0] for row in self.sql("SELECT name FROM sqlite_master WHERE type = 'table'")}
