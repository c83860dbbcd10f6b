"""Client programs that run in a process of their own: another Python environment, Node, or the installed tools."""

import subprocess


def run(command, stdin=None, timeout=90, check=True, **options):
    """Runs a program to its end with text in and out; asserts exit code 0 unless told otherwise."""
    done = subprocess.run([str(part) for part in command], input=stdin, capture_output=True, text=True, timeout=timeout,
                          check=False, **({} if stdin is not None else {"stdin": subprocess.DEVNULL}), **options)
    if check:
        assert done.returncode == 0, f"exit {done.returncode} of {command}\n--- stdout\n{done.stdout}\n--- stderr\n{done.stderr}"
    return done
