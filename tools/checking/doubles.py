"""What one cause did twice: aggregates created twice by one key, moves made twice, escalations fired twice."""

from __future__ import annotations

import itertools
from collections import defaultdict
from collections.abc import Iterator

from tools.checking.world import Aggregate, Difference, World


def differences(world: World) -> Iterator[Difference]:
    twice = _created_twice(world) | _same_person_twice(world)
    for place, id in sorted(twice):
        yield Difference("doubled", "created twice", ".".join(place), id)
    yield from _moved_twice(world)
    yield from _escalated_twice(world)
    yield from _facility_twice(world)


Found = set[tuple[tuple[str, str], str]]


def _created_twice(world: World) -> Found:
    """Two aggregates of one collection whose first entries name one key and type: a retry that was taken for new."""
    first: dict[tuple[tuple[str, str], str, str], list[str]] = defaultdict(list)
    for aggregate in world.every():
        for entry in aggregate.entries[:1]:
            if entry.key is not None:
                first[(aggregate.place, entry.type, entry.key)].append(aggregate.id)
    return {(place, id) for (place, _, _), ids in first.items() for id in sorted(ids)[1:]}


def _same_person_twice(world: World) -> Found:
    """Two records under one ABHA address; two live tokens of one person in one queue, by Scan & Share."""
    by_address: dict[str, list[str]] = defaultdict(list)
    for patient in world.of("registration", "patients").values():
        address = patient.card.get("abha_address")
        if address and not patient.voided and not patient.erased:
            by_address[str(address).casefold()].append(patient.id)
    found: Found = {(("registration", "patients"), id) for ids in by_address.values() for id in sorted(ids)[1:]}
    visits: dict[tuple[str, ...], list[Aggregate]] = defaultdict(list)
    for visit in world.of("registration", "visits").values():
        state = visit.state
        if state.get("door") == "scan-and-share" and visit.entries and visit.entries[0].occurred_at:
            queue = tuple(str(state.get(name)) for name in ("patient", "facility", "counter", "date"))
            visits[queue].append(visit)
    for same in visits.values():
        same.sort(key=lambda visit: int(visit.state.get("number", 0)))
        for before, after in itertools.pairwise(same):
            issued = after.entries[0].occurred_at
            if issued is not None and issued.isoformat() < str(before.state.get("expires_at")).replace("Z", "+00:00"):
                found.add((("registration", "visits"), after.id))
    return found


def _moved_twice(world: World) -> Iterator[Difference]:
    """One key that made the same public move twice on one aggregate."""
    for aggregate in world.every():
        made: dict[tuple[str, str], set[str]] = defaultdict(set)
        for entry in aggregate.entries:
            # A number taken twice by one key shows as two visits, or as a number without one.
            if entry.key is not None and entry.sequence is not None:
                made[(entry.type, entry.key)].add(entry.id)
        for (type_, _), ids in made.items():
            for id in sorted(ids)[1:]:
                yield Difference("doubled", f"{type_} by one key", ".".join(aggregate.place), id)


def _escalated_twice(world: World) -> Iterator[Difference]:
    """One breached due date escalates once."""
    for grievance in world.of("grievance", "grievances").values():
        seen: set[tuple[str, str]] = set()
        for entry in grievance.entries:
            if entry.name == "GrievanceEscalated":
                step = (str(entry.data.get("step")), str(entry.data.get("due_at")))
                if step in seen:
                    yield Difference("doubled", "escalation step", "grievance.grievances", entry.id)
                seen.add(step)


def _facility_twice(world: World) -> Iterator[Difference]:
    by_hip: dict[str, list[str]] = defaultdict(list)
    for facility in world.of("referral", "facilities").values():
        if hip_id := facility.card.get("hip_id"):
            by_hip[str(hip_id)].append(facility.id)
    for ids in by_hip.values():
        for id in sorted(ids)[1:]:
            yield Difference("doubled", "facility", "referral.facilities", id)
