"""A conversation with a registry, byte by byte: every request of `golden/registry.http` and the body that answers it."""

import pathlib
import re

from harness.registry import ServerWithRegistry

GOLDEN = pathlib.Path(__file__).parent / "golden" / "registry.http"


def exchanges():
    """Line number, method, path, body, status, body of the answer; `*` in it stands for any value."""
    lines = [(number, line) for number, line in enumerate(GOLDEN.read_text().splitlines(), 1)
             if line and not line.startswith("#")]
    assert len(lines) % 2 == 0
    for (number, request), (_, answer) in zip(lines[::2], lines[1::2]):
        method, path, *body = request.split(" ", 2)
        status, _, expected = answer.partition(" ")
        yield number, method, path, body[0].encode() if body else None, int(status), expected


def matches(expected, found):
    found = re.sub(r'"ts":\d+', '"ts":0', found)
    pattern = re.sub(r'(^|[:,])\\\*(?=$|,|\\[}\]])', r'\1.+', re.escape(expected))
    return re.fullmatch(pattern, found, re.DOTALL) is not None


def test_bodies_are_those_of_the_conversation(tmp_path):
    server = ServerWithRegistry(tmp_path / "bodies").start()
    wrong = []
    try:
        for number, method, path, body, status, expected in exchanges():
            answer = server.registry.send(method, path, body)
            text = answer.body.decode()
            if answer.status != status or not matches(expected, text):
                wrong.append(f"line {number}: {method} {path} {body}\n  expected {status} {expected}\n"
                             f"  found    {answer.status} {text}")
        assert not wrong, "\n".join(wrong)
    finally:
        server.kill()
