"""Prometheus, Alertmanager and Grafana: what they name exists, every alarm rings when it must, and says what to do."""

from __future__ import annotations

import json
import re
import shutil
import subprocess
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import yaml
from prometheus_client import CollectorRegistry

from tests.contract.deployment import DEPLOY, ROOT, SERVICES, compose, composed

PROMETHEUS = DEPLOY / "prometheus"
RULES = sorted((PROMETHEUS / "rules").glob("*.yml"))
TESTS = sorted((PROMETHEUS / "tests").glob("*.yml"))
DASHBOARDS = sorted((DEPLOY / "grafana" / "dashboards").glob("*.json"))

WATCHERS = frozenset(
    {"up", "ALERTS", "alertmanager_notifications_failed_total", "prometheus_rule_evaluation_failures_total"}
)
"""What Prometheus and Alertmanager say of themselves."""
ADDED = frozenset({"job", "instance", "service", "le", "alertname", "alertstate"})
"""Labels that a scrape, a histogram or an alert has beside the metric's own."""

METRIC = re.compile(r"\b(?:(?:hillhealth|process|alertmanager|prometheus)_[a-z0-9_]+|up|ALERTS)\b(?!\s*\()")
RECORDED = re.compile(r"\b[a-z_]+:[a-z0-9_]+:[a-z0-9_]+\b")
SELECTOR = re.compile(r"([a-z_]+)\{([^}]*)\}")
LABEL = re.compile(r"([a-z_]+)\s*(?:=~|!~|!=|=)\s*\"")


def rules() -> list[dict[str, Any]]:
    return [rule for path in RULES for group in yaml.safe_load(path.read_text())["groups"] for rule in group["rules"]]


ALERTS = {rule["alert"]: rule for rule in rules() if "alert" in rule}


def panels() -> Iterator[tuple[str, dict[str, Any]]]:
    for path in DASHBOARDS:
        for panel in json.loads(path.read_text())["panels"]:
            if panel["type"] != "row":
                yield path.stem, panel


def expressions() -> list[str]:
    return [rule["expr"] for rule in rules()] + [t["expr"] for _, panel in panels() for t in panel["targets"]]


def without_strings(expression: str) -> str:
    return re.sub(r'"[^"]*"', '""', expression)


@pytest.fixture(scope="module")
def known(tmp_path_factory: pytest.TempPathFactory) -> dict[str, set[str]]:
    """Every sample name that some service can expose, with its labels."""
    found: dict[str, set[str]] = {}
    for service in SERVICES:
        registry: CollectorRegistry = composed(service, tmp_path_factory.mktemp(service)).metrics.registry
        for name, collector in registry._names_to_collectors.items():
            found[name] = set(getattr(collector, "_labelnames", ()))
        # What the process says of itself is not described beforehand.
        found |= {sample.name: set(sample.labels) for family in registry.collect() for sample in family.samples}
    return found


def test_every_metric_that_is_asked_for_exists(known: dict[str, set[str]]) -> None:
    recorded = {rule["record"] for rule in rules() if "record" in rule}
    for expression in expressions():
        bare = without_strings(expression)
        assert set(RECORDED.findall(bare)) <= recorded, expression
        named = set(METRIC.findall(RECORDED.sub("", bare)))
        assert named <= set(known) | WATCHERS, expression


def test_every_label_that_is_selected_exists(known: dict[str, set[str]]) -> None:
    for expression in expressions():
        for metric, selection in SELECTOR.findall(expression):
            if metric in known:
                assert set(LABEL.findall(selection)) <= known[metric] | ADDED, expression


def test_whatever_is_measured_is_looked_at(known: dict[str, set[str]]) -> None:
    """A metric that stands in no rule and on no panel is one that nobody will miss."""
    asked = set(METRIC.findall(" ".join(without_strings(expression) for expression in expressions())))
    asked = {re.sub(r"_(bucket|sum|count)$", "", name) for name in asked}
    ours = (name for name in known if name.startswith("hillhealth_"))
    measured = {re.sub(r"_(bucket|sum|count|created|total)$", "", name) for name in ours}
    assert {name for name in measured if name not in asked and f"{name}_total" not in asked} == set()


@pytest.mark.parametrize("name", sorted(ALERTS))
def test_an_alert_says_who_waits_and_what_to_do(name: str) -> None:
    alert = ALERTS[name]
    assert alert["labels"]["severity"] in ("critical", "warning", "none")
    assert alert["annotations"]["summary"]
    assert alert["annotations"]["description"].endswith(".")
    page, _, anchor = alert["annotations"]["runbook"].partition("#")
    assert f'<a id="{anchor}"></a>' in (ROOT / page).read_text()


def test_operations_describes_no_alert_that_is_not_there() -> None:
    described = set(re.findall(r'<a id="([a-z]+)"></a>', (ROOT / "docs" / "operations.md").read_text()))
    assert described == {name.lower() for name in ALERTS}


@pytest.mark.parametrize("name", sorted(ALERTS))
def test_an_alert_is_tested_ringing_and_silent(name: str) -> None:
    checks = [
        check
        for path in TESTS
        for case in yaml.safe_load(path.read_text())["tests"]
        for check in case["alert_rule_test"]
        if check["alertname"] == name
    ]
    assert any(check["exp_alerts"] for check in checks), "never seen to ring"
    assert name == "Watchdog" or any(not check["exp_alerts"] for check in checks), "never seen to be silent"


def installed(program: str, package: str) -> str:
    found = shutil.which(program)
    if found is None:
        pytest.skip(f"install Debian package {package}")
    return found


def passes(*command: str | Path) -> None:
    done = subprocess.run(command, cwd=PROMETHEUS / "tests", capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout + done.stderr


def test_promtool_takes_configuration_and_rules() -> None:
    promtool = installed("promtool", "prometheus")
    passes(promtool, "check", "config", PROMETHEUS / "prometheus.yml")
    passes(promtool, "check", "rules", *RULES)


@pytest.mark.parametrize("path", TESTS, ids=lambda path: path.stem)
def test_promtool_sees_the_alerts_ring(path: Path) -> None:
    passes(installed("promtool", "prometheus"), "test", "rules", path.name)


def test_amtool_takes_the_routes() -> None:
    amtool = installed("amtool", "prometheus-alertmanager")
    configuration = DEPLOY / "alertmanager" / "alertmanager.yml"
    passes(amtool, "check-config", configuration)
    routes = (amtool, "config", "routes", "test", f"--config.file={configuration}")
    for receiver, *labels in (
        ("on-call", "severity=critical", "service=referral"),
        ("office", "severity=warning", "service=referral"),
        ("nobody", "severity=none", "alertname=Watchdog"),
    ):
        passes(*routes, f"--verify.receivers={receiver}", *labels)


def test_the_routes_name_alerts_that_exist() -> None:
    text = (DEPLOY / "alertmanager" / "alertmanager.yml").read_text()
    named = {name for found in re.findall(r"alertname !?=~? \"?([A-Za-z|]+)", text) for name in found.split("|")}
    assert named
    assert named <= set(ALERTS)


def test_every_service_is_scraped_where_it_listens() -> None:
    jobs = yaml.safe_load((PROMETHEUS / "prometheus.yml").read_text())["scrape_configs"]
    found = next(job for job in jobs if job["job_name"] == "hillhealth")["dns_sd_configs"][0]
    assert set(found["names"]) == set(SERVICES)
    assert all(part in ALERTS["ServiceDown"]["expr"] for part in (f'service="{service}"' for service in SERVICES))
    parts = compose()["services"]
    assert {str(found["port"])} == {parts[service]["environment"]["PORT"] for service in SERVICES}


def test_the_memory_alarm_knows_the_limit() -> None:
    limits = {compose()["services"][service]["mem_limit"] for service in SERVICES}
    assert limits == {"384m"}
    assert "384 * 1024 * 1024" in ALERTS["ServiceMemoryHigh"]["expr"]


def test_dashboards_are_found_and_ask_the_provisioned_source() -> None:
    provisioned = DEPLOY / "grafana" / "provisioning"
    sources = yaml.safe_load((provisioned / "datasources" / "prometheus.yml").read_text())["datasources"]
    uids = {source["uid"] for source in sources}
    dashboards = [json.loads(path.read_text()) for path in DASHBOARDS]
    assert len({dashboard["uid"] for dashboard in dashboards}) == len(DASHBOARDS)
    assert {target["datasource"]["uid"] for _, panel in panels() for target in panel["targets"]} == uids
    home = compose()["services"]["grafana"]["environment"]["GF_DASHBOARDS_DEFAULT_HOME_DASHBOARD_PATH"]
    assert Path(home).name in {path.name for path in DASHBOARDS}
    for dashboard in dashboards:
        ids = [panel["id"] for panel in dashboard["panels"]]
        assert len(set(ids)) == len(ids)


@pytest.mark.parametrize(("board", "panel"), [pytest.param(b, p, id=f"{b}: {p['title']}") for b, p in panels()])
def test_a_panel_explains_itself(board: str, panel: dict[str, Any]) -> None:
    assert panel["title"]
    assert panel["description"].endswith("."), f"{board}: {panel['title']}"
