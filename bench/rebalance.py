"""How long a group takes to agree: 100 members over 1,000 partitions, with the classic protocol and with KIP-848's.

Members speak the protocol themselves, one socket each, so that the broker is measured and no client library. They beat every
100 ms, and at once when they have given something up. A group *agrees* when its members hold every partition exactly once, in
equal shares, and all are in one generation or epoch.
"""

from __future__ import annotations

import asyncio
import contextlib
import struct
import time
from collections.abc import Iterator

MEMBERS = 100
PARTITIONS = 1000
BEAT_SECONDS = 0.1
AGREE_SECONDS_MAX = 120
FIND_COORDINATOR, JOIN, HEARTBEAT, LEAVE, SYNC, CONSUMER_HEARTBEAT = 10, 11, 12, 13, 14, 68
# The coordinator is being made, loaded or moved.
COORDINATOR_LATER = (14, 15, 16)
MEMBER_ID_REQUIRED, REBALANCE_IN_PROGRESS = 79, 27


def string(text: str) -> bytes:
    return struct.pack(">h", len(text)) + text.encode()


def data(raw: bytes) -> bytes:
    return struct.pack(">i", len(raw)) + raw


def varint(number: int) -> bytes:
    out = bytearray()
    while number > 0x7F:
        out.append(number & 0x7F | 0x80)
        number >>= 7
    return bytes([*out, number])


def compact(text: str) -> bytes:
    return varint(len(text) + 1) + text.encode()


class Reader:
    """Fields of a response, one after the other."""

    def __init__(self, raw: bytes) -> None:
        self.raw, self.at = raw, 0

    def number(self, form: str) -> int:
        (value,) = struct.unpack_from(">" + form, self.raw, self.at)
        self.at += struct.calcsize(form)
        return value

    def take(self, length: int) -> bytes:
        self.at += max(length, 0)
        return self.raw[self.at - max(length, 0) : self.at]

    def string(self) -> str:
        return self.take(self.number("h")).decode()

    def data(self) -> bytes:
        return self.take(self.number("i"))

    def varint(self) -> int:
        value = shift = 0
        while True:
            byte = self.number("B")
            value |= (byte & 0x7F) << shift
            shift += 7
            if byte < 0x80:
                return value

    def compact(self) -> str:
        return self.take(self.varint() - 1).decode()


class Member:
    """A member's connection and what it holds."""

    def __init__(self, group: Group) -> None:
        self.group = group
        self.member_id = ""
        self.epoch = 0
        self.owned: frozenset[int] = frozenset()
        self.task: asyncio.Task[None] | None = None

    async def ask(self, key: int, version: int, body: bytes, flexible: bool = False) -> Reader:
        header = struct.pack(">hhih", key, version, 1, 5) + b"bench" + (b"\0" if flexible else b"")
        self.writer.write(data(header + body))
        size = struct.unpack(">i", await self.reader.readexactly(4))[0]
        answer = Reader(await self.reader.readexactly(size))
        answer.at = 5 if flexible else 4
        return answer

    async def run(self) -> None:
        host, _, port = self.group.bootstrap.partition(":")
        self.reader, self.writer = await asyncio.open_connection(host, int(port))
        # This makes the topic of offsets if there is none.
        while (await self.ask(FIND_COORDINATOR, 0, string(self.group.name))).number("h"):
            await asyncio.sleep(BEAT_SECONDS)
        await self.take_part()

    async def take_part(self) -> None:
        raise NotImplementedError

    async def leave(self) -> None:
        raise NotImplementedError

    async def stop(self) -> None:
        """Ends the member's own loop, then leaves over a connection of its own."""
        assert self.task
        self.task.cancel()
        with contextlib.suppress(asyncio.CancelledError):
            await self.task
        self.writer.close()
        host, _, port = self.group.bootstrap.partition(":")
        self.reader, self.writer = await asyncio.open_connection(host, int(port))
        await self.leave()
        self.writer.close()


class ClassicMember(Member):
    """JoinGroup v4, SyncGroup v2, Heartbeat v2; whoever leads deals the partitions out in turn."""

    async def take_part(self) -> None:
        while True:
            leads, members = await self.join()
            await self.synchronize(members if leads else [])
            while not self.must_join:
                await asyncio.sleep(BEAT_SECONDS)
                answer = await self.ask(HEARTBEAT, 2, string(self.group.name) + struct.pack(">i", self.epoch) + string(self.member_id))
                answer.number("i")
                self.must_join = answer.number("h") == REBALANCE_IN_PROGRESS

    async def join(self) -> tuple[bool, list[str]]:
        self.must_join = False
        subscription = struct.pack(">hi", 0, 1) + string(self.group.topic) + struct.pack(">i", -1)
        while True:
            body = string(self.group.name) + struct.pack(">ii", 45_000, 60_000) + string(self.member_id) + string("consumer")
            answer = await self.ask(JOIN, 4, body + struct.pack(">i", 1) + string("range") + data(subscription))
            answer.number("i")
            error, generation = answer.number("h"), answer.number("i")
            answer.string()
            leader, self.member_id = answer.string(), answer.string()
            if error == MEMBER_ID_REQUIRED:
                continue
            if error in COORDINATOR_LATER:
                await asyncio.sleep(BEAT_SECONDS)
                continue
            if error:
                raise RuntimeError(f"JoinGroup: error {error}")
            members = []
            for _ in range(answer.number("i")):
                members.append(answer.string())
                answer.data()
            self.epoch = generation
            return leader == self.member_id, members

    async def synchronize(self, members: list[str]) -> None:
        assignments = b""
        for index, member in enumerate(members):
            dealt = range(index, PARTITIONS, len(members))
            topic = string(self.group.topic) + struct.pack(f">i{len(dealt)}i", len(dealt), *dealt)
            assignments += string(member) + data(struct.pack(">hi", 0, 1) + topic + struct.pack(">i", -1))
        body = string(self.group.name) + struct.pack(">i", self.epoch) + string(self.member_id)
        answer = await self.ask(SYNC, 2, body + struct.pack(">i", len(members)) + assignments)
        answer.number("i")
        error = answer.number("h")
        if error == REBALANCE_IN_PROGRESS:
            self.must_join = True
            return
        if error:
            raise RuntimeError(f"SyncGroup: error {error}")
        assignment = Reader(answer.data())
        assignment.number("h")
        owned: list[int] = []
        for _ in range(assignment.number("i")):
            assignment.string()
            owned += [assignment.number("i") for _ in range(assignment.number("i"))]
        self.owned = frozenset(owned)

    async def leave(self) -> None:
        await self.ask(LEAVE, 1, string(self.group.name) + string(self.member_id))


class ConsumerMember(Member):
    """ConsumerGroupHeartbeat v0: the coordinator deals out."""

    topic_id = b""

    async def take_part(self) -> None:
        while True:
            before = self.owned
            await self.beat(self.epoch)
            if self.owned == before:
                await asyncio.sleep(BEAT_SECONDS)

    async def beat(self, epoch: int) -> None:
        owned = sorted(self.owned)
        topics = varint(1)
        if owned:
            numbers = varint(len(owned) + 1) + struct.pack(f">{len(owned)}i", *owned)
            topics = varint(2) + self.topic_id + numbers + b"\0"
        body = compact(self.group.name) + compact(self.member_id) + struct.pack(">i", epoch) + b"\0\0"
        body += struct.pack(">i", 60_000) + varint(2) + compact(self.group.topic) + b"\0" + topics + b"\0"
        answer = await self.ask(CONSUMER_HEARTBEAT, 0, body, flexible=True)
        answer.number("i")
        error, message = answer.number("h"), answer.compact()
        if error in COORDINATOR_LATER:
            return
        if error:
            raise RuntimeError(f"ConsumerGroupHeartbeat: error {error}: {message}")
        self.member_id, self.epoch = answer.compact(), answer.number("i")
        answer.number("i")
        if answer.number("b") < 0:
            return
        owned = []
        for _ in range(answer.varint() - 1):
            self.topic_id = answer.take(16)
            owned += [answer.number("i") for _ in range(answer.varint() - 1)]
            answer.varint()
        self.owned = frozenset(owned)

    async def leave(self) -> None:
        await self.beat(-1)


class Group:
    """All members of one group."""

    def __init__(self, bootstrap: str, topic: str, name: str, kind: type[Member]) -> None:
        self.bootstrap, self.topic, self.name, self.kind = bootstrap, topic, name, kind
        self.members: list[Member] = []

    def add(self, count: int) -> None:
        for _ in range(count):
            member = self.kind(self)
            member.task = asyncio.create_task(member.run())
            self.members.append(member)

    async def agreement(self) -> float:
        """Seconds until the members agree."""
        began = time.perf_counter()
        while not self.agrees():
            if time.perf_counter() - began > AGREE_SECONDS_MAX:
                raise RuntimeError(f"{self.name} does not agree")
            for member in self.members:
                if member.task and member.task.done():
                    member.task.result()
            await asyncio.sleep(0.002)
        return time.perf_counter() - began

    def agrees(self) -> bool:
        held = [partition for member in self.members for partition in member.owned]
        once = len(held) == PARTITIONS == len(set(held))
        # The first of many members may have been given everything in the same epoch.
        shares = [len(member.owned) for member in self.members]
        return once and max(shares) - min(shares) <= 2 and len({member.epoch for member in self.members}) == 1


async def one_group(bootstrap: str, topic: str, name: str, kind: type[Member]) -> list[tuple[str, float]]:
    group = Group(bootstrap, topic, name, kind)
    group.add(MEMBERS)
    found = [("to agree at first", await group.agreement())]
    leaving = group.members.pop()
    stopped = asyncio.create_task(leaving.stop())
    found.append(("after one has left", await group.agreement()))
    await stopped
    group.add(1)
    found.append(("after one has joined", await group.agreement()))
    await asyncio.gather(*(member.stop() for member in group.members))
    return found


def rebalances(bootstrap: str, create_topic, rounds: int) -> Iterator[tuple[str, float]]:
    """Milliseconds of each kind of agreement with each protocol; the last of `rounds` counts, the others warm up."""
    for protocol, kind in (("classic", ClassicMember), ("consumer (KIP-848)", ConsumerMember)):
        found: list[tuple[str, float]] = []
        for _ in range(rounds):
            topic = f"rebalance-{time.time_ns()}"
            create_topic(topic, PARTITIONS)
            found = asyncio.run(one_group(bootstrap, topic, f"group-{topic}", kind))
        for what, seconds in found:
            yield f"rebalance ms | {protocol}, {MEMBERS} members and {PARTITIONS:,} partitions {what}", seconds * 1000
