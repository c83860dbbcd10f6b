"""kafka-streams-groups: ours beside Apache Kafka's, against the same broker and the same group."""

import pytest

from harness import apache, librdkafka, paths
from harness.scripts import run
from harness.server import Server
from harness.wait import until
from test_streams_groups import OVERRIDES, Instance, create, state, streams_jars, wait_for_count, write  # noqa: F401

pytestmark = [pytest.mark.slow, pytest.mark.timeout(400)]

TOPIC = "words"
GROUP = f"count-{TOPIC}"
CHANGELOG = f"{GROUP}-counts-changelog"


@pytest.fixture(scope="module")
def application(tmp_path_factory, streams_jars):  # noqa: F811
    """A broker and a word count that has counted, and still runs."""
    directory = tmp_path_factory.mktemp("streams")
    server = Server(directory / "server", OVERRIDES).start()
    create(server, TOPIC)
    write(server, TOPIC, 40)
    instance = Instance(server, TOPIC, directory / "instance", streams_jars, "at_least_once")
    wait_for_count(server, TOPIC, 40)
    (directory / "plan.csv").write_text("".join(f"{TOPIC},{partition},{partition + 1}\n" for partition in range(4)))
    server.files = directory
    yield server, instance
    instance.kill()
    server.stop()


@pytest.fixture(scope="module")
def running(application):
    """The broker while the group has a member, and nothing changes any more."""
    server, _ = application
    until(lambda: state(server, TOPIC) == ["Stable", "1"], "the group is stable", timeout=60, poll=0.5)
    return server


@pytest.fixture(scope="module")
def stopped(application):
    """The broker when the group is empty."""
    server, instance = application
    instance.stop()
    until(lambda: state(server, TOPIC) == ["Empty", "0"], "the group is empty", timeout=60, poll=0.5)
    return server


def both(server, line):
    words = ["--bootstrap-server", server.bootstrap, *line.format(files=server.files).split()]
    mine = run([paths.MILENA, "kafka-streams-groups", *words], check=False)
    return mine, apache.tool("kafka-streams-groups", *words, check=False)


def lines(text):
    """Without stack traces, and in an order: the original goes through hash maps."""
    return sorted(line.rstrip() for line in text.splitlines() if line.strip() and not line.lstrip().startswith("at "))


def compare(server, line):
    mine, original = both(server, line)
    assert lines(mine.stdout) == lines(original.stdout), mine.stderr + original.stderr
    assert mine.returncode == original.returncode, mine.stderr + original.stderr
    return lines(mine.stdout)


@pytest.mark.parametrize("line", [
    "--list",
    "--list --state",
    "--list --state stable",
    "--list --state empty",
    f"--describe --group {GROUP} --members",
    f"--describe --group {GROUP} --members --verbose",
    f"--describe --group {GROUP} --state",
    f"--describe --group {GROUP} --state --verbose",
    f"--describe --group {GROUP}",
    f"--describe --group {GROUP} --verbose",
    f"--reset-offsets --group {GROUP} --all-input-topics --to-earliest --dry-run",
    f"--delete --group {GROUP}",
])
def test_a_running_group_is_shown_as_by_the_original(running, line):
    assert compare(running, line) or "empty" in line


@pytest.mark.parametrize("line", [
    "--list --state empty",
    f"--describe --group {GROUP} --members",
    f"--describe --group {GROUP} --state",
    *(f"--reset-offsets --group {GROUP} --dry-run {scope_and_target}" for scope_and_target in [
        "--all-input-topics --to-earliest",
        "--all-input-topics --to-latest",
        "--all-input-topics --to-current",
        "--all-input-topics --to-offset 3",
        "--all-input-topics --to-offset 99",
        "--all-input-topics --shift-by -2",
        "--all-input-topics --by-duration PT1H",
        "--all-input-topics --by-duration PT0S",
        "--all-input-topics --to-datetime 2020-01-01T00:00:00.000",
        f"--input-topic {TOPIC}:0,2 --to-offset 1",
        f"--input-topic {TOPIC} --to-earliest --export",
        f"--input-topic {TOPIC}-counts --to-earliest",
        "--from-file {files}/plan.csv",
        "--from-file {files}/plan.csv --export",
    ]),
    "--reset-offsets --all-groups --all-input-topics --to-earliest --dry-run",
])
def test_resets_are_planned_as_by_the_original(stopped, line):
    assert compare(stopped, line) or "--members" in line


@pytest.mark.parametrize("line", [
    f"--reset-offsets --group {GROUP} --all-input-topics --to-earliest",
    f"--reset-offsets --group {GROUP} --all-input-topics --to-earliest --dry-run --execute",
    f"--reset-offsets --group {GROUP} --all-input-topics --to-earliest --to-latest --dry-run",
    "--reset-offsets --all-input-topics --to-earliest --dry-run",
    f"--reset-offsets --group {GROUP} --all-input-topics --to-earliest --dry-run --delete-all-internal-topics",
    f"--reset-offsets --group {GROUP} --all-input-topics --to-earliest --dry-run --delete-internal-topic {CHANGELOG}",
    f"--delete-offsets --group {GROUP}",
    "--delete",
    "--describe",
])
def test_options_that_do_not_fit_are_refused_as_by_the_original(stopped, line):
    mine, original = both(stopped, line)
    assert (mine.returncode, original.returncode) == (1, 1)
    assert mine.stderr.splitlines()[0] == original.stderr.splitlines()[0]


def test_resets_deletions_of_offsets_and_of_the_group_are_done(stopped):
    topics = lambda: set(librdkafka.admin(stopped).list_topics(timeout=10).topics)  # noqa: E731
    compare(stopped, f"--reset-offsets --group {GROUP} --all-input-topics --to-offset 4 --execute")
    # The original shows no offsets of a group without members.
    mine, original = both(stopped, f"--describe --group {GROUP}")
    assert [line.split()[-1] for line in lines(mine.stdout) if f" {TOPIC} " in line] == ["6"] * 4 and not original.stdout
    assert CHANGELOG in topics()
    mine, _ = both(stopped, f"--reset-offsets --group {GROUP} --all-input-topics --to-earliest --execute --delete-internal-topic {CHANGELOG}")
    assert mine.returncode == 0 and CHANGELOG not in topics()
    compare(stopped, f"--reset-offsets --group {GROUP} --all-input-topics --to-earliest --execute --delete-internal-topic {CHANGELOG}")
    compare(stopped, f"--delete-offsets --group {GROUP} --input-topic {TOPIC}:3")
    mine, again = both(stopped, f"--delete --group {GROUP} --delete-all-internal-topics")
    assert f"Deletion of requested streams groups ('{GROUP}') was successful." in mine.stdout
    assert not [topic for topic in topics() if topic.startswith(GROUP)]
    assert "does not exist or is not a streams group" in again.stdout
    compare(stopped, f"--delete --group {GROUP}")
