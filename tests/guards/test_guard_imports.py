"""The driver is imported in one file, Kafka is read in one way, topic names are spelt in one place."""

from __future__ import annotations

import ast
import subprocess
import sys
from collections.abc import Iterator

from libs.common.topics import public_topics
from tests.guards.tree import ROOT, modules

DRIVERS = {"pymongo", "bson", "gridfs"}
ONLY_DRIVER_MODULE = "libs/common/mongo.py"
ONLY_LISTENER = "libs/common/listen.py"
READS_BACK = {"libs/common/reconciliation.py"}
"""Reads topics from the beginning, outside any consumer group, to compare them with journals."""


def imported(tree: ast.AST) -> Iterator[str]:
    for node in ast.walk(tree):
        if isinstance(node, ast.Import):
            yield from (alias.name.split(".")[0] for alias in node.names)
        elif isinstance(node, ast.ImportFrom) and node.module and not node.level:
            yield node.module.split(".")[0]


def subscriptions(tree: ast.AST) -> Iterator[tuple[str, int]]:
    """Every spelling of reading from Kafka: a decorator or call `.subscriber(`, a router, a consumer of one's own."""
    for node in ast.walk(tree):
        if isinstance(node, ast.Attribute) and node.attr in ("subscriber", "AIOKafkaConsumer", "KafkaRouter"):
            yield node.attr, node.lineno
        elif isinstance(node, ast.Name) and node.id in ("AIOKafkaConsumer", "KafkaRouter", "KafkaBroker"):
            yield node.id, node.lineno
        elif (
            isinstance(node, ast.ImportFrom) and node.module and node.module.split(".")[0] in ("faststream", "aiokafka")
        ):
            yield from (
                (alias.name, node.lineno)
                for alias in node.names
                if alias.name in ("AIOKafkaConsumer", "KafkaRouter", "KafkaBroker")
            )


def test_the_driver_is_imported_in_one_file() -> None:
    importers = {path for path, tree in modules("libs", "services") if DRIVERS & set(imported(tree))}
    assert importers == {ONLY_DRIVER_MODULE}


def test_nothing_outside_the_foundation_reads_from_kafka() -> None:
    found = [
        f"{path}:{line} {what}"
        for path, tree in modules("libs", "services")
        if not path.startswith("libs/common/")
        for what, line in subscriptions(tree)
    ]
    assert found == [], "use Service.react or Service.replica"


def test_within_the_foundation_only_listen_subscribes() -> None:
    readers = {path for path, tree in modules("libs/common") if list(subscriptions(tree))}
    assert ONLY_LISTENER in readers
    assert readers <= {ONLY_LISTENER} | READS_BACK


def test_who_reads_back_does_so_outside_any_group() -> None:
    for path, tree in modules("libs/common"):
        if path in READS_BACK:
            groups = [
                node.lineno for node in ast.walk(tree) if isinstance(node, ast.keyword) and node.arg == "group_id"
            ]
            assert groups == [], path


def test_the_rule_sees_each_spelling_of_a_subscription() -> None:
    for spelling in (
        "@broker.subscriber('t')\nasync def f(m): ...",
        "from faststream.kafka import KafkaRouter",
        "from faststream.kafka.fastapi import KafkaRouter as R",
        "import aiokafka\nc = aiokafka.AIOKafkaConsumer('t')",
        "from aiokafka import AIOKafkaConsumer",
    ):
        assert list(subscriptions(ast.parse(spelling))), spelling
    assert not list(subscriptions(ast.parse("service.react(TOPIC, handler)")))


def test_topic_names_are_spelt_in_the_contracts_only() -> None:
    names = {topic.name for topic in public_topics()}
    assert names
    found = [
        f"{path}:{node.lineno} {node.value}"
        for path, tree in modules("libs", "services")
        if not path.startswith("libs/contracts/")
        for node in ast.walk(tree)
        if isinstance(node, ast.Constant) and node.value in names
    ]
    assert found == []


def test_import_contracts_are_kept() -> None:
    """The rooms and their one-way imports, as pyproject.toml has them."""
    run = subprocess.run(
        [sys.executable, "-c", "from importlinter.cli import lint_imports_command as c; c()", "--no-cache"],
        cwd=ROOT, capture_output=True, text=True, check=False,
    )  # fmt: skip
    assert run.returncode == 0, run.stdout[-4000:] + run.stderr[-2000:]


def test_the_checker_imports_nothing_of_what_it_checks() -> None:
    ours = {
        path: {"libs", "services", "deploy"} & set(imported(tree))
        for path, tree in modules("tools")
        if path.startswith("tools/checking/") or path == "tools/check_day.py"
    }
    assert ours
    assert not any(ours.values()), ours
