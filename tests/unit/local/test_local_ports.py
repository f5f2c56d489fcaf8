"""Ports: the environment's, else last time's, else the usual, else any that is free."""

from __future__ import annotations

import json
import socket
from collections.abc import Iterator
from pathlib import Path

import pytest

from deploy.local import ports
from deploy.local.layout import Trouble


@pytest.fixture
def taken() -> Iterator[int]:
    with socket.socket() as holder:
        holder.bind(("127.0.0.1", 0))
        holder.listen()
        yield holder.getsockname()[1]


@pytest.fixture(autouse=True)
def _nothing_in_the_environment(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ports.USUAL:
        monkeypatch.delenv(f"{name.upper()}_PORT", raising=False)


def test_a_usual_port_that_is_taken_is_replaced_and_the_choice_is_kept(
    tmp_path: Path, taken: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(ports.USUAL, "referral", taken)
    chosen = ports.choose(tmp_path / "ports.json")
    assert chosen["referral"] != taken
    assert json.loads((tmp_path / "ports.json").read_text()) == chosen
    assert ports.choose(tmp_path / "ports.json") == chosen


def test_a_part_of_ours_that_runs_keeps_its_port_though_it_is_taken(tmp_path: Path, taken: int) -> None:
    (tmp_path / "ports.json").write_text(json.dumps({"store": taken}))
    assert ports.choose(tmp_path / "ports.json", ours={"store"})["store"] == taken
    assert ports.choose(tmp_path / "ports.json")["store"] != taken


def test_a_port_asked_for_that_is_taken_is_refused_by_name(
    tmp_path: Path, taken: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("GRIEVANCE_PORT", str(taken))
    with pytest.raises(Trouble, match=f"GRIEVANCE_PORT={taken}"):
        ports.choose(tmp_path / "ports.json")


def test_no_two_parts_share_a_port(tmp_path: Path) -> None:
    chosen = ports.choose(tmp_path / "ports.json", usual=False)
    assert len(set(chosen.values())) == len(ports.USUAL)
