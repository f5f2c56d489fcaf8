"""The day's totals as the stores hold them, and the one JSON object of the last line."""

from __future__ import annotations

import datetime as dt
import json
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from tools.checking import against_topics, doubles, effects
from tools.checking.world import Aggregate, Difference, World, tally

ZERO = ("lost", "doubled", "reordered", "dead_letters")


@dataclass(frozen=True)
class Day:
    """A day file: its keys, and what its totals line promises. `refused` are keys of lines that must change nothing."""

    keys: frozenset[str]
    refused: frozenset[str]
    shares: frozenset[str]
    totals: dict[str, int]
    lines: int


def read_day(path: Path) -> Day:
    """Raises ValueError if the file has no totals line."""
    lines = [json.loads(text) for text in path.read_text(encoding="utf-8").splitlines() if text.strip()]
    promised = [line["body"] for line in lines if line["verb"] == "totals"]
    if not promised:
        raise ValueError(f"{path} has no totals line")
    played = [line for line in lines if line["verb"] != "totals"]
    accepted = {line["key"] for line in played if line["expect"] != "rejected"}
    return Day(
        keys=frozenset(line["key"] for line in played),
        refused=frozenset(line["key"] for line in played if line["key"] not in accepted),
        shares=frozenset(line["key"] for line in played if line["verb"] == "opd.share" and line["key"] in accepted),
        totals={name: int(value) for name, value in promised[-1].items()},
        lines=len(played),
    )


def totals(world: World, keys: frozenset[str]) -> dict[str, int]:
    """What these keys created directly, by the names of the totals line (without what only the player can count)."""

    def having(service: str, collection: str, name: str, status: str | None = None) -> list[Aggregate]:
        return [
            aggregate
            for aggregate in world.of(service, collection).values()
            if any(entry.name == name and entry.key in keys for entry in aggregate.entries)
            and (status is None or aggregate.state.get("status") == status)
        ]

    return {
        "patients": len(having("registration", "patients", "PatientRegistered")),
        "tokens": len(having("registration", "visits", "TokenIssued")),
        "referrals": len(having("referral", "referrals", "ReferralRequested")),
        "referrals_closed": len(having("referral", "referrals", "ReferralClosed", "closed")),
        "referrals_declined": len(having("referral", "referrals", "ReferralDeclined", "declined")),
        "referrals_cancelled": len(having("referral", "referrals", "ReferralCancelled", "cancelled")),
        "referrals_no_show": len(having("referral", "referrals", "PatientNoShow", "no-show")),
        "grievances": len(having("grievance", "grievances", "GrievanceFiled")),
        "grievances_closed": len(having("grievance", "grievances", "GrievanceConfirmed", "closed")),
        "grievances_reopened": sum(
            1
            for grievance in world.of("grievance", "grievances").values()
            for entry in grievance.entries
            if entry.name == "GrievanceReopened" and entry.key in keys
        ),
    }


def all_differences(world: World) -> list[Difference]:
    """Everything that is lost, doubled, reordered, dead or out of nowhere, over all that the stores and topics hold."""
    found = [*against_topics.differences(world), *effects.differences(world), *doubles.differences(world)]
    found += [Difference("dead_letters", "dead letter", service, id) for service, id in world.dead_letters]
    return sorted(found)


def of_the_day(world: World, day: Day, counted: Mapping[str, int]) -> Iterator[Difference]:
    """What is not as this day's file says: totals, refused lines that left a mark, shares never answered."""
    for name, promised in day.totals.items():
        if counted.get(name) != promised:
            yield Difference("totals", f"{counted.get(name)} instead of {promised}", "totals", name)
    for entry in world.entries():
        if entry.key in day.refused:
            yield Difference("unexpected", f"refused, yet journaled {entry.name}", ".".join(entry.place), entry.id)
    stored = {entry.key for share in world.of("registration", "shares").values() for entry in share.entries[:1]} | {
        receipt.reference for receipt in world.on_shares
    }
    for request in sorted(day.shares - stored):
        yield Difference("lost", "share without its on-share", "inbox", request)


def figures(world: World, day: Day, result: Mapping[str, Any]) -> tuple[dict[str, Any], list[Difference]]:
    """The last line, and every difference behind it."""
    counted = totals(world, day.keys) | {name: int(result[name]) for name in ("rejected", "retries")}
    found = [*all_differences(world), *of_the_day(world, day, counted)]
    answer: dict[str, Any] = {
        "lines": int(result["lines"]),
        "unexpected": int(result["unexpected"]) + tally(found, "unexpected"),
        **{name: counted[name] for name in day.totals if name in counted},
        "events_journaled": sum(1 for entry in world.entries() if entry.sequence is not None),
        "events_on_topics": len({record.id for record in world.every_record()}),
        "messages": sum(
            1
            for message in world.of("notifications", "messages").values()
            if message.state.get("channel") in ("sms", "email", "in-app")
        ),
        "sms_received": len(world.sms),
        "mails_received": len(world.mails),
        **{name: tally(found, name) for name in ("dead_letters", "lost", "doubled", "reordered")},
        "seconds": seconds(world, result),
        "p50_ms": result["p50_ms"],
        "p99_ms": result["p99_ms"],
    }
    if answer["lines"] != day.lines:
        found.append(Difference("totals", f"{answer['lines']} instead of {day.lines}", "player", "lines"))
    return answer, found


def holds(answer: Mapping[str, Any], found: list[Difference]) -> bool:
    return not found and answer["unexpected"] == 0 and all(answer[name] == 0 for name in ZERO)


def seconds(world: World, result: Mapping[str, Any]) -> float:
    """From the player's start to the last event handled: the newest trace of one, in a topic or an inbox.

    Where nothing new came of it (a day played again), to the player's end.
    """
    started = dt.datetime.fromisoformat(str(result["started_at"]))
    ended = dt.datetime.fromisoformat(str(result["finished_at"]))
    newest = max((record.timestamp for record in world.every_record()), default=0)
    moments = [ended, dt.datetime.fromtimestamp(newest / 1000, dt.UTC)]
    moments += [
        receipt.received_at
        for receipt in (*world.sms, *world.mails, *world.on_shares)
        if receipt.received_at is not None and receipt.received_at.tzinfo is not None
    ]
    return round((max(moments) - started).total_seconds(), 3)
