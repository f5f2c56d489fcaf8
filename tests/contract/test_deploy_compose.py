"""The compose file: valid, without a finding that is not named and justified, and what the issue says it must be."""

from __future__ import annotations

import re
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
import yaml

from libs.common import listen
from libs.common.settings import ServiceSettings
from tests.contract.deployment import DEPLOY, ROOT, SERVICES, compose

COMPOSE = compose()
STORES = tuple(f"mongo-{service}" for service in SERVICES)
PARTS: dict[str, dict[str, Any]] = COMPOSE["services"]


def run(*command: str | Path) -> subprocess.CompletedProcess[str]:
    program = Path(sys.executable).with_name(str(command[0]))
    return subprocess.run([program, *command[1:]], cwd=ROOT, capture_output=True, text=True, check=False)


def test_it_fits_the_compose_specification() -> None:
    checked = run("check-jsonschema", "--builtin-schema", "vendor.compose-spec", "deploy/compose.yaml")
    assert checked.returncode == 0, checked.stdout + checked.stderr


def test_the_linter_finds_nothing_that_is_not_justified() -> None:
    checked = run(
        "compose-lint", "check", "--quiet", "--strict-config", "--config", "deploy/.compose-lint.yml",
        "--fail-on", "low", "deploy/compose.yaml",
    )  # fmt: skip
    assert checked.returncode == 0, checked.stdout + checked.stderr
    rules = yaml.safe_load((DEPLOY / ".compose-lint.yml").read_text())["rules"]
    assert all(rule.get("reason") or all(rule.get("exclude_services", {}).values()) for rule in rules.values())


@pytest.mark.parametrize("name", sorted(PARTS))
def test_every_part_is_confined_and_bounded(name: str) -> None:
    part = PARTS[name]
    assert part["read_only"] is True
    assert part["cap_drop"] == ["ALL"]
    assert "no-new-privileges:true" in part["security_opt"]
    assert part["mem_limit"]
    assert part["cpus"]
    assert part["pids_limit"]
    assert not {"privileged", "cap_add", "devices", "network_mode", "pid"} & set(part)


@pytest.mark.parametrize("name", sorted(PARTS))
def test_nothing_runs_as_root(name: str) -> None:
    user = PARTS[name].get("user")
    if "build" in PARTS[name]:
        # Ours: the image itself says who. Each stage that is a target ends as somebody else than root.
        stages = (DEPLOY / "Dockerfile").read_text().split("\nFROM ")
        target = next(stage for stage in stages if f"AS {PARTS[name]['build']['target']}\n" in stage)
        user = re.findall(r"^USER (.+)$", target, re.MULTILINE)[-1]
    assert user is not None
    assert user.split(":")[0] not in ("0", "root")


@pytest.mark.parametrize("name", sorted(PARTS))
def test_every_image_is_exact_and_can_be_replaced(name: str) -> None:
    ours, official = r":\$\{VERSION:-\d+\.\d+\.\d+\}$", r"^\$\{[A-Z]+_IMAGE:-[^:]+:v?\d+\.\d+\.\d+\}$"
    assert re.search(f"{ours}|{official}", PARTS[name]["image"])


def test_only_what_people_open_is_published_and_on_this_machine_only() -> None:
    published = {name for name, part in PARTS.items() if part.get("ports")}
    assert published == {*SERVICES, "prometheus", "alertmanager", "grafana", "mail", "standins"}
    assert all(port.startswith("${PUBLISH:-127.0.0.1}:") for name in published for port in PARTS[name]["ports"])


def test_each_store_is_on_a_network_that_only_its_service_shares() -> None:
    for service in SERVICES:
        network = f"store-{service}"
        members = {name for name, part in PARTS.items() if network in part["networks"]}
        assert members == {service, f"mongo-{service}", "day"}
        assert PARTS[f"mongo-{service}"]["networks"] == [network]
        assert COMPOSE["networks"][network] == {"internal": True}


def test_only_the_edge_leads_outside() -> None:
    outside = {name for name, network in COMPOSE["networks"].items() if not network.get("internal")}
    assert outside == {"edge"}
    assert not {name for name in (*STORES, "kafka") if "edge" in PARTS[name]["networks"]}


def test_what_the_day_brings_is_only_in_its_profile() -> None:
    assert {name for name, part in PARTS.items() if part.get("profiles")} == {"standins", "kafka-access-day", "day"}
    ordinary = [part for part in PARTS.values() if not part.get("profiles")]
    assert not any("kafka_checker" in part.get("secrets", ()) for part in ordinary)
    assert not any("standins" in part.get("depends_on", ()) for part in ordinary)


@pytest.mark.parametrize("service", SERVICES)
def test_a_service_holds_its_own_secrets_and_nobody_elses(service: str) -> None:
    held = {s if isinstance(s, str) else s["source"] for s in PARTS[service]["secrets"]}
    own = {f"kafka_{service}", f"mongodb_uri_{service}", f"seal_key_{service}"}
    extra = {
        "registration": {"abdm_client_secret"},
        "referral": {"slip_key"},
        "grievance": {"tracking_key", "open311_keys", "s3_secret"},
    }
    assert held == own | extra.get(service, set())
    assert PARTS[service]["environment"]["KAFKA_USERNAME"] == service


def test_no_password_stands_in_an_environment() -> None:
    told = {key: value for part in PARTS.values() for key, value in part.get("environment", {}).items()}
    named = {key: str(value) for key, value in told.items() if re.search(r"PASSWORD|SECRET", key)}
    assert all(value.startswith("/run/secrets/") for value in named.values())
    assert not [value for value in told.values() if re.search(r"://[^/]*:[^/]*@", str(value))]


def test_every_secret_is_made_by_the_script(tmp_path: Path) -> None:
    folder = tmp_path / "secrets"
    folder.mkdir()
    script = folder / "make.sh"
    script.write_bytes((DEPLOY / "secrets" / "make.sh").read_bytes())
    for _ in range(2):
        subprocess.run(["sh", script], check=True, capture_output=True)
        made = {path.name: path.read_text() for path in (folder / "made").iterdir()}
    assert set(made) == set(COMPOSE["secrets"])
    assert all(made.values())
    assert (folder / "made").stat().st_mode & 0o777 == 0o700
    for service in SERVICES:
        assert f"//{service}:{made[f'mongo_{service}']}@mongo-{service}:" in made[f"mongodb_uri_{service}"]
    again = subprocess.run(["sh", script], check=True, capture_output=True, text=True)
    assert again.stdout == ""


@pytest.mark.parametrize("service", SERVICES)
def test_a_service_is_told_only_what_its_settings_know(service: str) -> None:
    import importlib

    known = set(importlib.import_module(f"services.{service}.settings").Settings.model_fields)
    assert {key.lower() for key in PARTS[service]["environment"]} <= known


@pytest.mark.parametrize("service", SERVICES)
def test_a_service_is_given_time_to_drain(service: str) -> None:
    """uvicorn ends requests, then a batch is finished, then consumers and producer leave: one after the other."""
    requests, leaving = 10, 15
    grace = int(PARTS[service]["stop_grace_period"].removesuffix("s"))
    assert grace >= requests + listen.DRAIN_SECONDS + leaving + 5


def test_no_outside_address_is_a_default() -> None:
    told = {k: str(v) for s in SERVICES for k, v in PARTS[s]["environment"].items()}
    for name in ("OIDC_ISSUER", "OIDC_JWKS", "SMS_GATEWAY_URL"):
        assert told[name].startswith(f"${{{name}:?"), "unset must stop the start, and say so"
    assert not [value for value in told.values() if "http" in value.split("?")[0]]


def test_the_day_marks_development_and_a_site_cannot_have_its_clock() -> None:
    day = _env(DEPLOY / "env" / "day.env")
    site = _env(DEPLOY / "env" / "site.env.example")
    assert day["DEVELOPMENT"] == "true"
    assert day["CLOCK"] == "day"
    assert day["COMPOSE_PROFILES"] == "day"
    assert not {"DEVELOPMENT", "CLOCK", "COMPOSE_PROFILES"} & set(site)
    assert PARTS["registration"]["environment"]["DEVELOPMENT"] == "${DEVELOPMENT:-false}"
    with pytest.raises(ValueError, match="DEVELOPMENT"):
        ServiceSettings(clock="day", development=False)


def test_every_name_of_the_env_files_is_used() -> None:
    used = set(re.findall(r"\$\{([A-Z_]+)", (DEPLOY / "compose.yaml").read_text())) | {"COMPOSE_PROFILES"}
    assert set(_env(DEPLOY / "env" / "day.env")) <= used
    named = set(re.findall(r"^#?([A-Z_]+)=", (DEPLOY / "env" / "site.env.example").read_text(), re.MULTILINE))
    assert named <= used


def test_everything_that_is_mounted_is_there() -> None:
    mounted = [v.split(":")[0] for part in PARTS.values() for v in part.get("volumes", ()) if v.startswith("./")]
    assert mounted
    assert all((DEPLOY / path).exists() for path in mounted)


def test_the_image_s_context_lets_in_what_it_copies_and_no_secret() -> None:
    allowed = [line[1:] for line in (ROOT / ".dockerignore").read_text().splitlines() if line.startswith("!")]
    copied = re.findall(r"^COPY (?!--from)(\S+) ", (DEPLOY / "Dockerfile").read_text(), re.MULTILINE)
    for source in copied:
        path = source.replace("${SERVICE}", "registration")
        assert (ROOT / path).exists()
        assert any(path == a or path.startswith(a + "/") or a.startswith(path + "/") for a in allowed), path
    assert not any("secrets" in path or path.startswith(".") for path in allowed)


def _env(path: Path) -> dict[str, str]:
    lines = [line for line in path.read_text().splitlines() if line and not line.startswith("#")]
    return dict(line.split("=", 1) for line in lines)
