"""The container files and scripts, checked as far as they can be without a container engine."""

import subprocess
import tomllib

import pytest
import yaml

from harness import paths
from harness.scripts import run

VENV = paths.CACHE / "venv" / "bin"


def test_the_dockerfile_has_no_findings():
    run([VENV / "hadolint", paths.ROOT / "Dockerfile"])


def test_the_image_is_built_from_every_member_of_the_workspace():
    manifest = tomllib.loads((paths.ROOT / "Cargo.toml").read_text())
    ignored = [line for line in (paths.ROOT / ".dockerignore").read_text().splitlines() if line and not line.startswith("#")]
    for member in manifest["workspace"]["members"]:
        kept = f"!{member}" in ignored
        assert kept or not {member.split("/")[0], f"{member.split('/')[0]}/*"} & set(ignored), f"{member} is not in the image's context"


def test_the_compose_file_names_only_what_exists():
    compose = yaml.safe_load((paths.ROOT / "docker-compose.yml").read_text())
    (service,) = compose["services"].values()
    assert service["build"] == "."
    assert "9092:9092" in [str(port).removeprefix("127.0.0.1:") for port in service["ports"]]
    environment = service["environment"]
    assert {"KAFKA_LISTENERS", "KAFKA_ADVERTISED_LISTENERS"} <= set(environment)
    volumes = [volume.split(":")[0] for volume in service["volumes"]]
    assert set(volumes) <= set(compose["volumes"])
    run([VENV / "yamllint", "-d", "{extends: default, rules: {line-length: {max: 120}, document-start: disable}}",
         paths.ROOT / "docker-compose.yml"])


def test_the_composes_environment_starts_the_server(new_server):
    """The environment of docker-compose.yml, with its ports and directory moved to ours."""
    from harness import librdkafka

    (service,) = yaml.safe_load((paths.ROOT / "docker-compose.yml").read_text())["services"].values()
    server = new_server()
    moved = {"KAFKA_LOG_DIRS": str(server.data)}
    for key in ("KAFKA_LISTENERS", "KAFKA_ADVERTISED_LISTENERS"):
        moved[key] = ",".join(
            f"{listener.split('://')[0]}://127.0.0.1:{server.port + index}" for index, listener in enumerate(service["environment"][key].split(",")))
    server.env = {**{key: str(value) for key, value in service["environment"].items()}, **moved}
    server.command = lambda: [str(paths.MILENA), "server"]
    server.start()
    assert librdkafka.produce(server, "from-compose", [b"x"]) == [0]


@pytest.mark.parametrize("script", sorted(
    str(path.relative_to(paths.ROOT)) for pattern in ("*.sh", "scripts/*.sh", "bench/*.sh", ".ci/run") for path in paths.ROOT.glob(pattern)))
def test_shell_scripts_have_no_findings(script):
    checked = subprocess.run(["shellcheck", "--shell=bash", "--severity=style", script], cwd=paths.ROOT, capture_output=True, text=True,
                             check=False)
    assert checked.returncode == 0, checked.stdout
