"""Kafka frames by hand: what a client library would never send, and answers no library would let through.

Only non-flexible versions are spoken here (Metadata 1, Produce 7, Fetch 4, ListOffsets 1, ApiVersions 0).
"""

import socket
import struct
import time

import crc32c

PRODUCE, FETCH, LIST_OFFSETS, METADATA, API_VERSIONS = 0, 1, 2, 3, 18

NONE = 0
OFFSET_OUT_OF_RANGE = 1
CORRUPT_MESSAGE = 2
UNKNOWN_TOPIC_OR_PARTITION = 3
MESSAGE_TOO_LARGE = 10
INVALID_REQUIRED_ACKS = 21
UNSUPPORTED_VERSION = 35
INVALID_RECORD = 87


def string(text):
    raw = text.encode()
    return struct.pack(">h", len(raw)) + raw


def request(key, version, body, correlation_id=1, client_id="raw"):
    """One frame: length, request header v1, body."""
    payload = struct.pack(">hhi", key, version, correlation_id) + string(client_id) + body
    return struct.pack(">i", len(payload)) + payload


def varint(number):
    """A zigzag varint, as record fields use it."""
    number = (number << 1) ^ (number >> 63)
    out = bytearray()
    while number & ~0x7F:
        out.append((number & 0x7F) | 0x80)
        number >>= 7
    out.append(number)
    return bytes(out)


def record(value, delta=0, key=None):
    key_part = varint(-1) if key is None else varint(len(key)) + key
    body = b"\0" + varint(0) + varint(delta) + key_part + varint(len(value)) + value + varint(0)
    return varint(len(body)) + body


def batch(values, *, count=None, last_offset_delta=None, crc=None, attributes=0, base_offset=0, length=None, magic=2,
          producer=(-1, -1, -1), timestamp=None, payload=None):
    """A record batch v2 over `values`; each keyword makes one field lie."""
    now = int(time.time() * 1000) if timestamp is None else timestamp
    if payload is None:
        payload = b"".join(record(value, index) for index, value in enumerate(values))
    delta = len(values) - 1 if last_offset_delta is None else last_offset_delta
    producer_id, producer_epoch, base_sequence = producer
    checked = struct.pack(">hiqqqhii", attributes, delta, now, now, producer_id, producer_epoch, base_sequence,
                          len(values) if count is None else count) + payload
    checksum = crc32c.crc32c(checked) if crc is None else crc
    size = 9 + len(checked) if length is None else length
    return struct.pack(">qiibI", base_offset, size, -1, magic, checksum & 0xFFFFFFFF) + checked


def produce(topic, records, partition=0, acks=-1, timeout=30000, correlation_id=1):
    body = struct.pack(">hhi", -1, acks, timeout) + struct.pack(">i", 1) + string(topic)
    body += struct.pack(">iii", 1, partition, len(records)) + records
    return request(PRODUCE, 7, body, correlation_id)


def fetch(topic, offset, partition=0, max_wait=500, min_bytes=1, max_bytes=50 << 20, correlation_id=1):
    body = struct.pack(">iiiib", -1, max_wait, min_bytes, max_bytes, 0) + struct.pack(">i", 1) + string(topic)
    body += struct.pack(">iiqi", 1, partition, offset, max_bytes)
    return request(FETCH, 4, body, correlation_id)


def metadata(topics, correlation_id=1):
    body = struct.pack(">i", len(topics)) + b"".join(string(topic) for topic in topics)
    return request(METADATA, 1, body, correlation_id)


class Connection:
    """A socket to the broker with a deadline on everything."""

    def __init__(self, port, timeout=10.0, receive_buffer=None):
        self.socket = socket.socket()
        if receive_buffer:
            self.socket.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, receive_buffer)
        self.socket.settimeout(timeout)
        self.socket.connect(("127.0.0.1", port))

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.socket.close()

    def send(self, data):
        self.socket.sendall(data)

    def _exactly(self, count):
        out = bytearray()
        while len(out) < count:
            part = self.socket.recv(count - len(out))
            if not part:
                raise ConnectionError(f"closed after {len(out)} of {count} bytes")
            out += part
        return bytes(out)

    def response(self):
        """(correlation id, body) of the next answer."""
        (length,) = struct.unpack(">i", self._exactly(4))
        payload = self._exactly(length)
        return struct.unpack_from(">i", payload)[0], payload[4:]

    def ask(self, frame):
        self.send(frame)
        return self.response()[1]

    def closed_by_peer(self, timeout=10.0):
        """True when the server ends the connection within `timeout` seconds."""
        self.socket.settimeout(timeout)
        try:
            return self.socket.recv(1) == b""
        except (ConnectionResetError, BrokenPipeError):
            return True
        except TimeoutError:
            return False


def produce_result(body):
    """(error code, base offset) of a Produce v7 answer for one partition."""
    (name_length,) = struct.unpack_from(">h", body, 4)
    return struct.unpack_from(">hq", body, 4 + 2 + name_length + 4 + 4)


def fetch_result(body):
    """(error code, high watermark, record bytes) of a Fetch v4 answer for one partition."""
    at = 4 + 4
    (name_length,) = struct.unpack_from(">h", body, at)
    at += 2 + name_length + 4 + 4
    error, high_watermark, _stable, aborted = struct.unpack_from(">hqqi", body, at)
    at += 2 + 8 + 8 + 4 + max(aborted, 0) * 16
    (size,) = struct.unpack_from(">i", body, at)
    return error, high_watermark, body[at + 4 : at + 4 + max(size, 0)]


def batches(data):
    """(position, size, base offset, last offset) of each whole batch v2 in `data`; stops at the first hole."""
    position = 0
    while position + 61 <= len(data):
        base, length, _epoch, magic = struct.unpack_from(">qiib", data, position)
        size = length + 12
        if magic != 2 or length < 49 or position + size > len(data):
            return
        (delta,) = struct.unpack_from(">i", data, position + 23)
        yield position, size, base, base + delta
        position += size
