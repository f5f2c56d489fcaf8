"""What `make run` shows after the day: what happened, and where to look."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from rich.console import Console
from rich.table import Table

from deploy.local.stack import Stack
from deploy.local.store import SERVICES
from tools.playing.result import percentile


def show(result: Mapping[str, Any], stack: Stack) -> None:
    console = Console()
    console.print(_day(result))
    console.print(_addresses(stack))
    console.print("Serving until Ctrl-C.")


def _day(result: Mapping[str, Any]) -> Table:
    table = Table(title=f"{result['day']}: {result['lines']} lines in {result['seconds']:.0f} s")
    for name in ("what was done", "lines", "accepted", "refused", "unexpected", "p50 ms", "p99 ms"):
        table.add_column(name, justify="left" if name == "what was done" else "right")
    answers: list[dict[str, Any]] = result["answers"]
    for verb in sorted({answer["verb"] for answer in answers}):
        table.add_row(verb, *_figures([answer for answer in answers if answer["verb"] == verb]))
    table.add_section()
    table.add_row("everything", *_figures(answers), style="bold")
    return table


def _figures(answers: list[dict[str, Any]]) -> list[str]:
    taken = sorted(answer["ms"] for answer in answers)
    accepted = sum(200 <= answer["status"] < 300 for answer in answers)
    refused = sum(400 <= answer["status"] < 500 for answer in answers)
    unexpected = sum(not answer["met"] for answer in answers)
    return [
        str(len(answers)), str(accepted), str(refused), str(unexpected),
        f"{percentile(taken, 50):.1f}", f"{percentile(taken, 99):.1f}",
    ]  # fmt: skip


def _addresses(stack: Stack) -> Table:
    table = Table(title="Where to look")
    table.add_column("what")
    table.add_column("address")
    for service in SERVICES:
        table.add_row(service, f"{stack.url(service)}/")
    table.add_row("what people were told", f"{stack.gateways}/inbox")
    table.add_row("Kafka", stack.kafka_bootstrap)
    table.add_row("store", stack.mongodb_uri)
    table.add_row("logs", str(stack.layout.logs))
    return table
