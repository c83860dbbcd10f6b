"""Cases for a SQL server: statements, records that go in, answers that come back. Each case gets a Kafka, a registry and a
SQL server of its own.

A file is `{"tests": [case, ...]}`. A case has `name`, `statements` (queries last), and optionally `format` (the case is
repeated for each, in the place of `{FORMAT}`), `topics`, `inputs`, `outputs` (records), `properties` of the session,
`responses` (`{"admin": entity}`, `{"query": [line, ...]}`, `{"queryProto": [line, ...]}`), `expectedError` (`type`,
`message`, `status`), `inputConditions.waitForActivePushQuery`, `outputConditions.verifyOrder`. Of an answer only the
members that the case names are compared; `name|starts_with` compares the beginning; `{STATEMENT}` is the statement.
"""

import base64
import json
import re
import struct
import threading
import time

import requests
from confluent_kafka import Consumer, Producer, TopicPartition

from .librdkafka import admin, create_topic
from .registry import ServerWithRegistry
from .sql import Sql
from .sql_records import Side, message_text

PROTOBUF = "application/vnd.ksql.v1+protobuf"
#: The server that cases are written for.
SERVER = {
    "ksql.query.pull.table.scan.enabled": "true",
    "ksql.query.push.v2.enabled": "true",
    "ksql.headers.columns.enabled": "true",
    "ksql.streams.auto.offset.reset": "earliest",
    "ksql.streams.processing.guarantee": "exactly_once_v2",
    "ksql.streams.cache.max.bytes.buffering": "0",
    "ksql.streams.commit.interval.ms": "50",
}
DEFAULT_PARTITIONS = 4
#: How long an answer may take to become what a case expects: queries work beside the requests.
PATIENCE = 10
TYPES = {"KsqlStatementErrorMessage": ("statement_error",), "KsqlErrorMessage": ("generic_error", "statement_error")}


class Mismatch(Exception):
    """An answer that is not as the case says."""


class Unchanging(Mismatch):
    """An answer that will not become as the case says."""


def without_comments(text):
    """JSON without `//` and `/* */` between its tokens."""
    return re.sub(r'("(?:[^"\\]|\\.)*")|//[^\n]*|/\*.*?\*/', lambda found: found.group(1) or "", text, flags=re.S)


def read_cases(path):
    """The cases of a file, one for each format."""
    for case in json.loads(without_comments(path.read_text()))["tests"]:
        if case.get("enabled") is False:
            continue
        for form in case.get("format") or [None]:
            text = json.dumps({key: value for key, value in case.items() if key != "format"})
            expanded = json.loads(text.replace("{FORMAT}", form) if form else text)
            expanded["name"] += f" - {form}" if form else ""
            yield expanded


def is_query(statement):
    return statement.lstrip().upper().startswith(("SELECT", "PRINT"))


def is_push(statement):
    return re.search(r"\bEMIT\s+(CHANGES|FINAL)\b", statement, re.I) is not None


class Run:
    """One case on servers of its own in `directory`."""

    def __init__(self, case, directory):
        self.case, self.directory = case, directory
        self.properties = case.get("properties", {})
        self.admin = [statement for statement in case["statements"] if not is_query(statement)]
        self.queries = [statement for statement in case["statements"] if is_query(statement)]

    def run(self):
        """Raises Mismatch when something is not as the case says."""
        self.kafka = ServerWithRegistry(self.directory / "kafka", {"offsets.topic.num.partitions": 1,
                                                                   "transaction.state.log.num.partitions": 1})
        self.sql = None
        try:
            self.kafka.start(timeout=60)
            overrides = {**SERVER, "ksql.schema.registry.url": self.kafka.registry.url}
            self.sql = Sql(self.directory / "sql", self.kafka.bootstrap, overrides)
            self.sql.start()
            self._topics()
            self._statements()
        finally:
            if self.sql:
                self.sql.stop()
                if "panicked" in self.sql.log():
                    raise Mismatch("the server panicked:\n" + self.sql.log()[-2000:])
            self.kafka.kill()

    def _topics(self):
        partitions = {}
        for statement in self.admin:
            found = re.search(r"""kafka_topic\s*=\s*'([^']+)'""", statement, re.I)
            if found and " AS SELECT " not in " ".join(statement.upper().split()):
                stated = re.search(r"\bpartitions\s*=\s*(\d+)", statement, re.I)
                partitions.setdefault(found.group(1), int(stated.group(1)) if stated else DEFAULT_PARTITIONS)
        for topic in self.case.get("topics", []):
            topic = {"name": topic} if isinstance(topic, str) else topic
            count = topic.get("partitions") or topic.get("numPartitions")
            partitions[topic["name"]] = count or partitions.get(topic["name"], DEFAULT_PARTITIONS)
            self._schemas(topic)
        for name, count in partitions.items():
            create_topic(self.kafka, name, count)

    def _schemas(self, topic):
        for side in ("key", "value"):
            schema = topic.get(f"{side}Schema")
            if schema is None:
                continue
            subject = f"{topic['name']}-{side}"
            kind = topic.get(f"{side}Format", "AVRO").replace("JSON_SR", "JSON")
            body = {"schema": schema if isinstance(schema, str) else json.dumps(schema), "schemaType": kind}
            references = []
            for reference in topic.get(f"{side}SchemaReferences", []):
                text = reference["schema"] if isinstance(reference["schema"], str) else json.dumps(reference["schema"])
                self.kafka.registry.register(reference["name"], text, schemaType=kind).ok()
                references.append({"name": reference["name"], "subject": reference["name"], "version": 1})
            if references:
                body["references"] = references
            stated = topic.get(f"{side}SchemaId")
            if stated is not None:
                self.kafka.registry.put(f"/mode/{subject}", {"mode": "IMPORT"}).ok()
                body.update(id=stated, version=1)
            self.kafka.registry.post(f"/subjects/{subject}/versions", body).ok()
            if stated is not None:
                self.kafka.registry.put(f"/mode/{subject}", {"mode": "READWRITE"}).ok()

    def _statements(self):
        entities, expected_error = [], self.case.get("expectedError")
        for statement in self.admin:
            answer = self.sql.post("/ksql", {"ksql": statement, "streamsProperties": self.properties})
            if answer.status_code != 200:
                if expected_error is None or statement is not self.case["statements"][-1]:
                    raise Mismatch(f"{statement}\n  {answer.status_code} {answer.text}")
                return self._check_error(expected_error, statement, answer)
            entities += [(statement, entity) for entity in answer.json()]
        self._sources()
        responses = self.case.get("responses", [])
        admin_answers = [response["admin"] for response in responses if "admin" in response]
        for (statement, entity), wanted in zip(entities, admin_answers):
            compare(_macros(wanted, statement), entity, "admin")
        if len(admin_answers) > len(entities):
            raise Mismatch(f"{len(admin_answers)} answers to statements expected, {len(entities)} came: {entities}")
        wanted = [response["query"] for response in responses if "query" in response]
        if expected_error:
            self._produce()
            return self._expect_refusal(expected_error)
        if (self.case.get("inputConditions") or {}).get("waitForActivePushQuery"):
            self._push_before_inputs(wanted)
        else:
            self._produce()
            self._ask(self.queries, wanted)
        wanted = [response["queryProto"] for response in responses if "queryProto" in response]
        self._ask(self.queries, wanted, PROTOBUF)
        self._check_outputs()

    def _check_error(self, expected, statement, answer):
        body = answer.json()
        wanted = expected.get("message", "").replace("{STATEMENT}", statement)
        if wanted not in body.get("message", ""):
            raise Mismatch(f"{statement}\n  expected the error {wanted!r}\n  got                {body.get('message')!r}")
        if answer.status_code != expected.get("status", answer.status_code):
            raise Mismatch(f"{statement}\n  expected status {expected['status']}, got {answer.status_code}")
        kinds = TYPES.get(expected.get("type", "").rsplit(".", 1)[-1])
        if kinds and body["@type"] not in kinds:
            raise Mismatch(f"{statement}\n  expected {kinds}, got {body}")

    def _expect_refusal(self, expected):
        for statement in self.queries:
            answer = self._post_query(statement)
            if answer.status_code == 200 and statement is self.queries[-1]:
                for line in _lines(answer, timeout=5):
                    if "errorMessage" in line:
                        answer.json = lambda line=line: line["errorMessage"]
                        return self._check_error({**expected, "status": answer.status_code}, statement, answer)
                raise Mismatch(f"{statement}\n  expected the error {expected}, but it was answered")
            if answer.status_code != 200:
                return self._check_error(expected, statement, answer)
        raise Mismatch(f"expected the error {expected}")

    def _post_query(self, statement, accept=None):
        body = {"ksql": statement, "streamsProperties": self.properties}
        headers = {"Accept": accept} if accept else {}
        return requests.post(f"{self.sql.url}/query", json=body, headers=headers, stream=True, timeout=60)

    def _ask(self, queries, wanted, accept=None):
        for statement, lines in zip(queries, wanted):
            deadline = time.monotonic() + PATIENCE
            while True:
                try:
                    self._check_lines(statement, lines, self._answer(statement, lines, accept))
                    break
                except Mismatch as mismatch:
                    # Queries that write tables may be behind what was produced.
                    if is_push(statement) or isinstance(mismatch, Unchanging) or time.monotonic() > deadline:
                        raise Mismatch(f"{statement}\n  {mismatch}") from None
                    time.sleep(0.1)

    def _answer(self, statement, wanted, accept=None):
        """The lines of an answer: of a push query that does not end as many as are wanted."""
        answer = self._post_query(statement, accept)
        if answer.status_code != 200:
            kind = Unchanging if answer.status_code < 500 else Mismatch
            raise kind(f"{answer.status_code} {answer.text}")
        if not is_push(statement):
            return list(_protobuf(answer.json()))
        ends = "finalMessage" in wanted[-1]
        found = []
        for line in _lines(answer, timeout=PATIENCE):
            found.append(line)
            if not ends and len(found) >= len(wanted):
                break
        answer.close()
        return found

    def _push_before_inputs(self, wanted):
        found = [[] for _ in self.queries]
        failures = []

        def read(statement, lines, number, started):
            try:
                answer = self._post_query(statement)
                if answer.status_code != 200:
                    raise Mismatch(f"{statement}\n  {answer.status_code} {answer.text}")
                for line in _lines(answer, timeout=PATIENCE):
                    found[number].append(line)
                    started.set()
                    if "finalMessage" not in lines[-1] and len(found[number]) >= len(lines):
                        break
            except Exception as failure:  # noqa: BLE001: told by the thread that waits
                failures.append(failure)
            started.set()

        threads = []
        for number, (statement, lines) in enumerate(zip(self.queries, wanted)):
            started = threading.Event()
            thread = threading.Thread(target=read, args=(statement, lines, number, started), daemon=True)
            thread.start()
            started.wait(PATIENCE)
            threads.append(thread)
        if not failures:
            self._produce()
        for thread in threads:
            thread.join(PATIENCE + 5)
        if failures:
            raise Mismatch(str(failures[0]))
        for statement, lines, answer in zip(self.queries, wanted, found):
            self._check_lines(statement, lines, answer)

    def _check_lines(self, statement, wanted, found):
        def row_or_other(lines):
            rows = [line for line in lines if "row" in line]
            return rows, [line for line in lines if "row" not in line]

        shown = "\n    ".join(json.dumps(line) for line in found)
        try:
            compare(_macros(wanted[:1], statement), found[:1], "answer")
        except Mismatch as mismatch:
            raise Unchanging(str(mismatch)) from None
        if len(wanted) != len(found):
            raise Mismatch(f"expected {len(wanted)} lines, got {len(found)}:\n    {shown}")
        rows, others = row_or_other(wanted)
        found_rows, found_others = row_or_other(found)
        if not (self.case.get("outputConditions") or {}).get("verifyOrder"):
            rows, found_rows = sorted(rows, key=_order), sorted(found_rows, key=_order)
        try:
            compare(_macros(others, statement), found_others, "answer")
            compare(rows, found_rows, "rows")
        except Mismatch as mismatch:
            raise Mismatch(f"{mismatch}\n    {shown}") from None

    def _sources(self):
        """The descriptions of sources by their topics."""
        self.sources = {}
        for statement, member in (("SHOW STREAMS;", "streams"), ("SHOW TABLES;", "tables")):
            for source in self.sql.ksql(statement)[0][member]:
                [described] = self.sql.ksql(f"DESCRIBE `{source['name']}`;")
                self.sources.setdefault(source["topic"], described["sourceDescription"])

    def _sides(self, topic):
        description = self.sources.get(topic, {"fields": [], "keyFormat": "KAFKA", "valueFormat": "JSON"})
        keys = [field for field in description["fields"] if field.get("type") == "KEY"]
        values = [field for field in description["fields"] if "type" not in field]
        registry = self.kafka.registry
        return (Side(registry, topic, "key", description["keyFormat"], keys),
                Side(registry, topic, "value", description["valueFormat"], values))

    def _produce(self):
        producer = Producer({"bootstrap.servers": self.kafka.bootstrap, "linger.ms": 0,
                             "partitioner": "murmur2_random", "max.in.flight.requests.per.connection": 1})
        for record in self.case.get("inputs", []):
            key_side, value_side = self._sides(record["topic"])
            key = key_side.bytes(record.get("key"))
            window = record.get("window")
            if key is not None and window:
                key += struct.pack(">q", window["end"]) if window["type"].lower() == "session" else b""
                key += struct.pack(">q", window["start"])
            headers = [(header["KEY"], header["VALUE"] and base64.b64decode(header["VALUE"]))
                       for header in record.get("headers") or []]
            # librdkafka takes 0 for the present: records of the first millisecond go by themselves.
            timestamp = record.get("timestamp") or 0
            if timestamp == 0:
                producer.flush(30)
                produce_at_zero(self.kafka, record["topic"], key, value_side.bytes(record.get("value")), headers)
            else:
                producer.produce(record["topic"], value_side.bytes(record.get("value")), key, timestamp=timestamp,
                                 headers=headers)
                producer.flush(30)

    def _check_outputs(self):
        outputs = self.case.get("outputs") or []
        for topic in dict.fromkeys(record["topic"] for record in outputs):
            wanted = [record for record in outputs if record["topic"] == topic]
            found = self._consume(topic, len(wanted))
            if len(found) != len(wanted):
                raise Mismatch(f"{topic}: expected {len(wanted)} records, got {found}")
            key_side, value_side = self._sides(topic)
            for expected, message in zip(wanted, found):
                actual = {"key": key_side.json(message.key()), "value": value_side.json(message.value())}
                if expected.get("timestamp"):
                    actual["timestamp"] = message.timestamp()[1]
                compare({name: expected.get(name) for name in actual}, actual, topic)

    def _consume(self, topic, count):
        consumer = Consumer({"bootstrap.servers": self.kafka.bootstrap, "group.id": "outputs",
                             "auto.offset.reset": "earliest", "isolation.level": "read_committed"})
        partitions = admin(self.kafka).list_topics(topic, timeout=20).topics[topic].partitions
        consumer.assign([TopicPartition(topic, partition, 0) for partition in partitions])
        found, deadline = [], time.monotonic() + PATIENCE
        while len(found) < count and time.monotonic() < deadline:
            message = consumer.poll(0.2)
            if message is not None and message.error() is None:
                found.append(message)
        consumer.close()
        return found


def produce_at_zero(kafka, topic, key, value, headers):
    """A record with the timestamp 0, which librdkafka cannot write."""
    from kafka import KafkaProducer

    producer = KafkaProducer(bootstrap_servers=kafka.bootstrap)
    try:
        producer.send(topic, value=value, key=key, headers=headers, timestamp_ms=0).get(timeout=30)
    finally:
        producer.close()


def _lines(answer, timeout):
    """The elements of a JSON array as its lines come, for at most `timeout` seconds."""
    deadline = time.monotonic() + timeout
    closing = threading.Timer(timeout, answer.raw.shutdown if hasattr(answer.raw, "shutdown") else answer.close)
    closing.daemon = True
    closing.start()
    try:
        for line in answer.iter_lines(chunk_size=1):
            text = line.decode().strip().strip(",")
            text = text[1:] if text.startswith("[") else text
            text = text.rstrip()
            if text.endswith("]") and not _is_json(text):
                text = text[:-1].rstrip()
            if text:
                yield json.loads(text)
    except (requests.RequestException, OSError, AttributeError, ValueError):
        if time.monotonic() < deadline:
            raise
    finally:
        closing.cancel()


def _is_json(text):
    try:
        json.loads(text)
        return True
    except ValueError:
        return False


def _protobuf(lines):
    """Rows that are Protobuf messages as their text, by the schema of the head."""
    schema = lines[0].get("header", {}).get("protoSchema") if lines else None
    for line in lines:
        if schema and "row" in line and "protobufBytes" in line["row"]:
            yield {"row": message_text(schema, base64.b64decode(line["row"]["protobufBytes"]))}
        else:
            yield line


def _macros(value, statement):
    return json.loads(json.dumps(value).replace("{STATEMENT}", json.dumps(statement)[1:-1]))


def _order(line):
    return json.dumps(line.get("row", {}).get("columns") if isinstance(line.get("row"), dict) else line)


def compare(expected, actual, where):
    """Raises Mismatch unless `actual` has everything that `expected` names."""
    if isinstance(expected, dict):
        if not isinstance(actual, dict):
            raise Mismatch(f"{where}: expected {expected}, got {actual}")
        for name, value in expected.items():
            name, _, how = name.partition("|")
            found = next((key for key in (name, name.upper()) if key in actual), None)
            if found is None:
                raise Mismatch(f"{where}: {name} is missing in {actual}")
            if how == "starts_with":
                if not str(actual[found]).startswith(value):
                    raise Mismatch(f"{where}.{name}: expected {value}..., got {actual[found]}")
            else:
                compare(value, actual[found], f"{where}.{name}")
    elif isinstance(expected, list):
        if not isinstance(actual, list) or len(expected) != len(actual):
            raise Mismatch(f"{where}: expected {expected}, got {actual}")
        for position, (one, other) in enumerate(zip(expected, actual)):
            compare(one, other, f"{where}[{position}]")
    elif isinstance(expected, bool) or isinstance(actual, bool) or expected is None or isinstance(expected, str):
        if expected is not actual and expected != actual or isinstance(expected, bool) != isinstance(actual, bool):
            raise Mismatch(f"{where}: expected {expected!r}, got {actual!r}")
    elif not isinstance(actual, (int, float)) or abs(expected - actual) > 1e-9 * max(1, abs(expected)):
        raise Mismatch(f"{where}: expected {expected!r}, got {actual!r}")


def run_case(case, directory):
    """What is wrong, in words; None for a case that passes."""
    try:
        Run(case, directory).run()
        return None
    except Mismatch as mismatch:
        return str(mismatch)
    except Exception as failure:  # noqa: BLE001: one case must not end the others
        return f"{type(failure).__name__}: {failure}"
