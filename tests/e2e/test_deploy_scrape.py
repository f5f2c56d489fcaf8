"""After a day: every metric that a rule or a panel names is there, and a real Prometheus answers every question."""

from __future__ import annotations

import json
import re
import shutil
import subprocess
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import httpx
import pytest
import yaml
from prometheus_client.parser import text_string_to_metric_families

from deploy.local.ports import free_port
from tests.contract.deployment import DEPLOY, SERVICES
from tests.contract.test_deploy_watching import METRIC, RECORDED, WATCHERS, expressions, rules, without_strings
from tests.e2e.conftest import House, make_day

ONLY_IN_TROUBLE = frozenset(
    {
        "hillhealth_consumer_store_retries_total",
        "hillhealth_dead_letters_total",
        "hillhealth_events_skipped_total",
        "hillhealth_http_rate_limited_total",
        "hillhealth_provider_resting",
        "hillhealth_referral_beds_over",
        "hillhealth_states_rederived_total",
        "hillhealth_journal_conflicts_total",
        "hillhealth_timer_failures_total",
    }
)
"""Declared, and without a series on a day on which nothing goes wrong."""


@pytest.fixture(scope="module")
def played(house: House) -> House:
    day = make_day(house.folder / "scraped.jsonl", seed=23, patients=20)
    assert house.play(day)["unexpected"] == 0
    house.settle()
    return house


def test_every_metric_that_is_asked_for_is_in_a_scrape(played: House) -> None:
    declared: set[str] = set()
    seen: set[str] = set()
    for service in SERVICES:
        text = httpx.get(f"{played.stack.url(service)}/metrics", timeout=30).text
        for family in text_string_to_metric_families(text):
            samples = {sample.name for sample in family.samples}
            seen |= samples
            declared |= samples | {family.name, f"{family.name}_total" if family.type == "counter" else family.name}
    named = {
        name for expression in expressions() for name in METRIC.findall(RECORDED.sub("", without_strings(expression)))
    }
    named -= WATCHERS
    assert {name for name in named if re.sub("_bucket$", "", name) not in declared and name not in declared} == set()
    assert named - seen <= ONLY_IN_TROUBLE


@pytest.fixture
def prometheus(played: House, tmp_path: Path) -> Iterator[httpx.Client]:
    """A real one, with the deployment's rules, that scrapes the services every second."""
    program = shutil.which("prometheus")
    if program is None:
        pytest.skip("install Debian package prometheus")
    configuration: dict[str, Any] = yaml.safe_load((DEPLOY / "prometheus" / "prometheus.yml").read_text())
    configuration["global"] = {"scrape_interval": "1s", "evaluation_interval": "1s"}
    configuration["rule_files"] = [str(DEPLOY / "prometheus" / "rules" / "*.yml")]
    del configuration["alerting"]
    # By address instead of by a compose network's names; everything else as it is deployed.
    targets = [
        {"targets": [f"127.0.0.1:{played.stack.port[service]}"], "labels": {"service": service}} for service in SERVICES
    ]
    configuration["scrape_configs"] = [{"job_name": "hillhealth", "static_configs": targets}]
    path = tmp_path / "prometheus.yml"
    path.write_text(yaml.safe_dump(configuration))
    port = free_port()
    with (tmp_path / "log").open("w") as log:
        process = subprocess.Popen(
            [program, f"--config.file={path}", f"--storage.tsdb.path={tmp_path / 'data'}",
             f"--web.listen-address=127.0.0.1:{port}"],
            stdout=log, stderr=log,
        )  # fmt: skip
    try:
        with httpx.Client(base_url=f"http://127.0.0.1:{port}", timeout=30) as client:
            _until(lambda: _scraped(client) == set(SERVICES), 60)
            yield client
    finally:
        process.terminate()
        process.wait(20)


def test_a_real_prometheus_answers_every_rule_and_panel(prometheus: httpx.Client) -> None:
    recorded = {rule["record"] for rule in rules() if "record" in rule}
    always = {name for name in recorded if "oldest_pending" in name or "consumer_lag" in name or "oldest_due" in name}
    _until(lambda: all(_ask(prometheus, name)["result"] for name in always), 60)
    for expression in expressions():
        _ask(prometheus, expression.replace("$service", ".*"))
    ringing = {
        alert["labels"]["alertname"]
        for alert in _get(prometheus, "/api/v1/alerts")["alerts"]
        if alert["state"] == "firing"
    }
    assert "Watchdog" in ringing
    assert not ringing & {"ServiceDown", "ServiceNotReady", "RelayWithoutLeader", "DeadLettersMany", "RulesFailing"}
    groups = _get(prometheus, "/api/v1/rules")["groups"]
    assert {rule["name"] for group in groups for rule in group["rules"] if rule["health"] == "err"} == set()


def _get(prometheus: httpx.Client, path: str, **query: str) -> Any:
    answer = prometheus.get(path, params=query)
    assert answer.status_code == 200, f"{query}: {answer.text}"
    return json.loads(answer.text)["data"]


def _ask(prometheus: httpx.Client, expression: str) -> Any:
    """Fails, with what Prometheus said, on an expression that it cannot evaluate."""
    return _get(prometheus, "/api/v1/query", query=expression)


def _scraped(prometheus: httpx.Client) -> set[str]:
    try:
        return {found["metric"]["service"] for found in _ask(prometheus, 'up{job="hillhealth"} == 1')["result"]}
    except (httpx.HTTPError, AssertionError):
        return set()


def _until(holds: Any, seconds: float) -> None:
    deadline = time.monotonic() + seconds
    while not holds():
        assert time.monotonic() < deadline, "not within the time"
        time.sleep(0.2)
