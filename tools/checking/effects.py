"""Events against their effects: cards in replicas, messages to whom it concerns, on-shares, what was really sent."""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Iterable, Iterator
from dataclasses import dataclass

from tools.checking.against_topics import same
from tools.checking.expected import (
    CHANNELS,
    REPLICAS,
    TELLS_DESK_OF_DESTINATION,
    TELLS_NO_PATIENT,
    TELLS_OFFICERS,
    TELLS_PATIENT,
    TELLS_REPORTER,
    TELLS_ROLE,
)
from tools.checking.world import Aggregate, Difference, Entry, Receipt, World


def differences(world: World) -> Iterator[Difference]:
    yield from _replicas(world)
    yield from _messages(world)
    yield from _receipts(world, world.sms, "sms")
    yield from _receipts(world, world.mails, "email")
    yield from _on_shares(world)
    yield from _queues(world)


def _replicas(world: World) -> Iterator[Difference]:
    for (service, name), source in REPLICAS.items():
        where = f"{service}.{name}"
        copies = world.replicas.get((service, name), {})
        originals = world.of(*source)
        for aggregate in originals.values():
            newest = max((entry.sequence or 0 for entry in aggregate.public), default=0)
            if newest == 0:
                continue
            copy = copies.get(aggregate.id)
            if copy is None:
                yield Difference("lost", "no card in the replica", where, aggregate.id)
            elif copy.grave != aggregate.erased:
                yield Difference("lost", "erasure not followed in the replica", where, aggregate.id)
            elif not copy.grave and copy.sequence < newest:
                yield Difference("lost", "stale card in the replica", where, aggregate.id)
            elif not copy.grave and (copy.sequence > newest or not _same_card(aggregate.card, copy.card)):
                yield Difference("lost", "the replica's card says otherwise", where, aggregate.id)
        for id in copies.keys() - originals.keys():
            yield Difference("ghost", "card in the replica of nobody", where, id)


def _same_card(original: dict[str, object], copy: dict[str, object]) -> bool:
    """Equal where both speak: a reader fills in what an older card did not have yet."""
    shared = original.keys() & copy.keys()
    return bool(shared) and all(same(original[name], copy[name]) for name in shared)


@dataclass(frozen=True)
class Telling:
    """Who is to be told, and by which channels: those that must be, and those that may."""

    recipient: str
    must: frozenset[str]
    may: frozenset[str]


def _messages(world: World) -> Iterator[Difference]:
    there: dict[tuple[str, str], Counter[str]] = defaultdict(Counter)
    on_their_way: set[tuple[str, str, str]] = set()
    for message in world.of("notifications", "messages").values():
        state = message.state
        if state.get("channel") in CHANNELS:
            told = (str(state.get("event")), str(state.get("recipient")))
            there[told][str(state["channel"])] += 1
            if state.get("status") not in ("failed", "lapsed"):
                on_their_way.add((*told, str(state["channel"])))
    wanted: set[tuple[str, str]] = set()
    for entry in world.entries():
        for telling in tellings(world, entry):
            wanted.add((entry.id, telling.recipient))
            found = there.get((entry.id, telling.recipient), Counter())
            where = f"{entry.name} to {telling.recipient.split(':')[0].split('@')[0]}"
            for channel in sorted(telling.must - set(found)):
                yield Difference("lost", f"no {channel} message", where, entry.id)
            for channel in sorted(set(found) - telling.may):
                if (entry.id, telling.recipient, channel) in on_their_way:
                    yield Difference("ghost", f"{channel} message without an address", where, entry.id)
    for (event, recipient), channels in there.items():
        if (event, recipient) not in wanted:
            yield Difference("ghost", "message that no event asks for", "/".join(sorted(channels)), event)
        for channel, count in channels.items():
            for _ in range(count - 1):
                yield Difference("doubled", f"{channel} message", recipient.split(":")[0], event)


def tellings(world: World, entry: Entry) -> Iterator[Telling]:
    """The routing table, for one event. Nobody is told of what is private to a journal."""
    if entry.sequence is None:
        return
    dead = any(entry.name == name and entry.data.get(field) == value for name, field, value in TELLS_NO_PATIENT)
    if entry.name in TELLS_PATIENT and not dead:
        patient = entry.aggregate if entry.place[1] == "patients" else str(entry.data.get("patient"))
        yield from _to_person(f"patient:{patient}", world.of("registration", "patients").get(patient))
    if entry.name in TELLS_REPORTER:
        reporter = entry.data.get("reporter") or {}
        id = str(reporter.get("id"))
        if reporter.get("kind") == "patient":
            yield from _to_person(f"patient:{id}", world.of("registration", "patients").get(id))
        elif reporter.get("kind") == "contact":
            yield from _to_person(f"contact:{id}", world.of("grievance", "contacts").get(id), email=True)
    if entry.name in TELLS_DESK_OF_DESTINATION:
        yield from _to_role(world, "desk", str(entry.data.get("destination")), "desk_email")
    if entry.name in TELLS_ROLE and (facility := entry.data.get(TELLS_ROLE[entry.name][0])):
        role = TELLS_ROLE[entry.name][1]
        yield from _to_role(world, role, str(facility), f"{role}_email")
    if entry.name == "OutcomeRecorded" and entry.data.get("outcome") == "died":
        yield from _to_role(world, "desk", str(entry.data.get("origin")), "desk_email")
    if entry.name in TELLS_OFFICERS:
        called = entry.data.get("at") or entry.data.get("handled_by")
        yield from _to_role(world, "officer", str(called), "officer_email")


def _to_person(recipient: str, person: Aggregate | None, email: bool = False) -> Iterator[Telling]:
    """Addresses may have changed since: a channel must be used if every card had it, and may be if any had."""
    if person is None:
        return
    cards = person.cards
    kinds = [("sms", "phone")] + ([("email", "email")] if email else [])
    must = {"in-app"} | {channel for channel, name in kinds if cards and all(card.get(name) for card in cards)}
    may = {"in-app"} | {channel for channel, name in kinds if any(card.get(name) for card in cards)}
    if person.erased or person.voided:
        must, may = set(), set(CHANNELS)
    yield Telling(recipient, frozenset(must), frozenset(may))


def _to_role(world: World, role: str, facility: str, address: str) -> Iterator[Telling]:
    found = world.of("referral", "facilities").get(facility)
    cards = found.cards if found else []
    must = {"email"} if cards and all(card.get(address) for card in cards) else set()
    may = {"email", "in-app"} if any(card.get(address) for card in cards) else {"in-app"}
    yield Telling(f"{role}@{facility}", frozenset(must), frozenset(may))


def _receipts(world: World, received: Iterable[Receipt], channel: str) -> Iterator[Difference]:
    """Each message marked as sent was received exactly once; what may or may not have been sent, at most once."""
    counts = Counter(receipt.reference for receipt in received)
    messages = {
        id: str(message.state.get("status"))
        for id, message in world.of("notifications", "messages").items()
        if message.state.get("channel") == channel
    }
    for id, status in messages.items():
        if status == "sent" and not counts[id]:
            yield Difference("lost", f"{channel} marked as sent, never received", "inbox", id)
        elif status not in ("sent", "outcome-unknown", "failed") and counts[id]:
            yield Difference("ghost", f"{channel} received, though {status}", "inbox", id)
    for id, count in counts.items():
        if id not in messages:
            yield Difference("ghost", f"{channel} received that no message asks for", "inbox", id)
        for _ in range(count - 1):
            yield Difference("doubled", f"{channel} received", "inbox", id)


def _on_shares(world: World) -> Iterator[Difference]:
    """One answer per share request. Sent again after a lost answer, it repeats its own request id and is no double."""
    requests = {
        entry.key
        for share in world.of("registration", "shares").values()
        for entry in share.entries[:1]
        if entry.key is not None and all(other.name != "ShareErased" for other in share.entries)
    }
    known = {entry.key for share in world.of("registration", "shares").values() for entry in share.entries[:1]}
    answers: dict[str, set[tuple[str, str]]] = defaultdict(set)
    for receipt in world.on_shares:
        answers[receipt.reference].add((receipt.id, receipt.number))
    for request in sorted(requests - answers.keys()):
        yield Difference("lost", "share without its on-share", "inbox", request)
    for request, different in answers.items():
        if request not in known:
            yield Difference("ghost", "on-share that no share asks for", "inbox", request)
        for _ in range(len(different) - 1):
            yield Difference("doubled", "on-share received", "inbox", request)


def _queues(world: World) -> Iterator[Difference]:
    """Numbers run from 1 without a gap in each queue, each taken once and each with its visit."""
    visits: dict[tuple[str, str, str], Counter[int]] = defaultdict(Counter)
    taken: dict[tuple[str, str, str], Counter[int]] = defaultdict(Counter)
    for visit in world.of("registration", "visits").values():
        visits[_queue_of(visit)][int(visit.state.get("number", 0))] += 1
    for queue in world.of("registration", "queues").values():
        numbers = [int(e.data.get("number", 0)) for e in queue.entries if e.name == "TokenTaken"]
        taken[_queue_of(queue)].update(numbers)
    for queue_id in visits.keys() | taken.keys():
        where = "/".join(queue_id)
        there, given = visits[queue_id], taken[queue_id]
        for number in range(1, max([0, *there, *given]) + 1):
            if not there[number]:
                yield Difference("lost", "token without its visit", where, str(number))
            elif not given[number]:
                yield Difference("lost", "visit whose number no queue gave", where, str(number))
            for _ in range(max(there[number], given[number]) - 1):
                yield Difference("doubled", "token number", where, str(number))


def _queue_of(aggregate: Aggregate) -> tuple[str, str, str]:
    state = aggregate.state
    return str(state.get("facility")), str(state.get("counter")), str(state.get("date"))
