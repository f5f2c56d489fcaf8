"""The comparison of ledgers and referrals sees what it is there to see."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from tests.faults.reservations import ask_for_beds, compared


def ledger(*opened: tuple[str, str], total: int = 2) -> dict[str, Any]:
    return {"_id": "l1", "state": {"total": total, "open": [{"id": id, "referral": of} for id, of in opened]}}


def referral(status: str, *held: str) -> dict[str, Any]:
    return {"state": {"status": status, "reserved": [{"id": id} for id in held]}}


def test_what_agrees_is_no_difference() -> None:
    assert list(compared([ledger(("r", "a"))], {"a": referral("accepted", "r"), "b": referral("closed")})) == []


@pytest.mark.parametrize(
    ("ledgers", "referrals", "what"),
    [
        ([ledger(("r", "a"))], {"a": referral("closed")}, "bed that no live referral holds"),
        ([ledger(("r", "a"))], {"a": referral("closed", "r")}, "bed that no live referral holds"),
        ([ledger(("r", "a"))], {"b": referral("accepted", "r")}, "bed that no live referral holds"),
        ([ledger()], {"a": referral("accepted", "r")}, "held bed that stands in no ledger"),
        ([ledger(("r", "a"), total=0)], {"a": referral("accepted", "r")}, "more beds promised than there are"),
    ],
)
def test_what_does_not_is_named(ledgers: list[Any], referrals: dict[str, Any], what: str) -> None:
    assert what in [difference.what for difference in compared(ledgers, referrals)]


def test_every_acceptance_of_a_day_names_a_bed(tmp_path: Path) -> None:
    day = tmp_path / "day.jsonl"
    day.write_bytes(Path("data/day.jsonl").read_bytes())
    ask_for_beds(day)
    lines = [json.loads(line) for line in day.read_text(encoding="utf-8").splitlines()]
    accepted = [line["body"] for line in lines if line["verb"] == "referral.accept"]
    assert len(accepted) > 20
    assert all(body == {"bed": "general"} for body in accepted)
