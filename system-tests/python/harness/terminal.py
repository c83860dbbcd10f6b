"""Programs that want a terminal: started on a pseudo-terminal, typed to, and read as a person would."""

import fcntl
import os
import pty
import re
import select
import signal
import struct
import subprocess
import termios
import time

# Colours, cursor movements, modes: everything that a terminal obeys and does not show.
_SEQUENCES = re.compile(r"\x1b\[[0-9;?<>=]*[A-Za-z]|\x1b[=>]|\x07")


class Terminal:
    """A program on a terminal of its own; what it has shown so far is in `shown`."""

    def __init__(self, command, columns=100, lines=40, env=None, cwd=None):
        self._master, slave = pty.openpty()
        fcntl.ioctl(slave, termios.TIOCSWINSZ, struct.pack("HHHH", lines, columns, 0, 0))
        environment = {**os.environ, "TERM": "xterm", **(env or {})}
        self.process = subprocess.Popen([str(part) for part in command], stdin=slave, stdout=slave, stderr=slave, cwd=cwd,
                                        env=environment, start_new_session=True, preexec_fn=self._control(slave))
        os.close(slave)
        self._raw, self._seen = "", 0

    @staticmethod
    def _control(slave):
        return lambda: fcntl.ioctl(slave, termios.TIOCSCTTY, 0)

    @property
    def shown(self):
        return _SEQUENCES.sub("", self._raw).replace("\r\n", "\n").replace("\r", "")

    def _read(self, timeout):
        if not select.select([self._master], [], [], timeout)[0]:
            return True
        try:
            part = os.read(self._master, 65536)
        except OSError:
            return False
        self._raw += part.decode(errors="replace")
        return bool(part)

    def expect(self, pattern, timeout=30):
        """Waits until the pattern is shown behind everything expected before; the match."""
        deadline = time.monotonic() + timeout
        alive = True
        while True:
            match = re.compile(pattern, re.S).search(self.shown, self._seen)
            if match:
                self._seen = match.end()
                return match
            assert alive and time.monotonic() < deadline, f"not shown: {pattern}\n--- shown since\n{self.shown[self._seen:]}"
            alive = self._read(0.1)

    def type(self, text):
        """Types text as it is; `\\r` is the Enter key."""
        os.write(self._master, text.encode())

    def line(self, text):
        self.type(text + "\r")

    def interrupt(self):
        self.type("\x03")

    def end(self):
        self.type("\x04")

    def wait(self, timeout=20):
        """The exit code, after everything has been read."""
        deadline = time.monotonic() + timeout
        while self._read(0.1):
            if self.process.poll() is not None and not select.select([self._master], [], [], 0)[0]:
                break
            assert time.monotonic() < deadline, f"still running:\n{self.shown}"
        return self.process.wait(timeout)

    def close(self):
        if self.process.poll() is None:
            self.process.send_signal(signal.SIGKILL)
            self.process.wait(20)
        os.close(self._master)
