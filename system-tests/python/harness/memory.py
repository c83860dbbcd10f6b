"""How much memory a process takes."""

import pathlib


def peak_memory(process):
    """The most bytes that were resident at once."""
    status = pathlib.Path(f"/proc/{process.pid}/status").read_text()
    return int(next(line for line in status.splitlines() if line.startswith("VmHWM")).split()[1]) * 1024
