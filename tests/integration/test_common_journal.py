"""The journal on a real store: a fact is written with its state, and a cause acts once."""

from __future__ import annotations

import asyncio

import pytest

from deploy.local.testing import TestStack
from libs.common.access import SYSTEM, Access, Caller, Forbidden, allow
from libs.common.archive import ABOVE
from libs.common.cause import Cause
from libs.common.clock import machine_now
from libs.common.journal import ClaimTaken, KeyReused, NotFound
from libs.common.refusal import Refused
from libs.common.service import Service
from libs.contracts.event import Event
from libs.contracts.registration import PatientErased, PatientRegistered
from tests.toy.ledger import (
    LEDGER,
    PERSON,
    Asked,
    Claimed,
    Contact,
    Ledger,
    Noted,
    Reached,
    accepted,
    asked,
    card,
    new_id,
    request,
)
from tests.toy.running import clients_closed as clients_closed
from tests.toy.running import toy


@pytest.fixture
async def service(stack: TestStack, prefix: str) -> Service:
    """Not running: only its journal and store."""
    service = toy(stack, prefix, kinds=(LEDGER, PERSON))
    await service.ensure_indexes()
    return service


@pytest.fixture
async def other(stack: TestStack, prefix: str) -> Service:
    """A second replica of it, with a client of its own."""
    return toy(stack, prefix, kinds=(LEDGER, PERSON))


async def test_a_repeated_request_gets_its_first_answer_also_after_later_changes(service: Service) -> None:
    cause = request()
    first = await service.journal.create(
        LEDGER, cause.new_id("referral"), lambda s: [asked(reason="first")], cause, SYSTEM
    )
    for _ in range(3):
        await service.journal.append(LEDGER, first.id, lambda s: [accepted()], request(), SYSTEM)
    again = await service.journal.create(
        LEDGER, cause.new_id("referral"), lambda s: [asked(reason="second")], cause, SYSTEM
    )
    assert (again.id, again.state, again.events, again.repeated) == (first.id, first.state, first.events, True)
    document = await service.journal.load(LEDGER, first.id)
    assert document is not None
    assert len(document["journal"]) == 4
    assert document["sequence"] == 4


async def test_the_same_key_with_another_body_is_refused(service: Service) -> None:
    cause = request("k")
    await service.journal.create(LEDGER, "a", lambda s: [asked()], cause, SYSTEM)
    with pytest.raises(KeyReused):
        await service.journal.append(LEDGER, "a", lambda s: [accepted()], request("k", body="other"), SYSTEM)


async def test_the_same_key_on_another_target_is_refused(service: Service) -> None:
    for id in ("a", "b"):
        await service.journal.create(LEDGER, id, lambda s: [asked()], request(), SYSTEM)
    await service.journal.append(LEDGER, "a", lambda s: [accepted()], request("k"), SYSTEM)
    with pytest.raises(KeyReused):
        await service.journal.append(LEDGER, "b", lambda s: [accepted()], request("k"), SYSTEM)
    assert (await service.journal.read(LEDGER, "b", SYSTEM)).accepted == 0


async def test_another_caller_with_the_same_key_is_another_cause(service: Service) -> None:
    await service.journal.create(LEDGER, "a", lambda s: [asked()], request(), SYSTEM)
    for caller in ("me", "you"):
        await service.journal.append(LEDGER, "a", lambda s: [accepted()], request("k", caller=caller), SYSTEM)
    assert (await service.journal.read(LEDGER, "a", SYSTEM)).accepted == 2


async def test_fifty_identical_requests_at_once_through_two_replicas_act_once(service: Service, other: Service) -> None:
    cause = request()
    id = cause.new_id("referral")
    outcomes = await asyncio.gather(
        *((service, other)[n % 2].journal.create(LEDGER, id, lambda s: [asked()], cause, SYSTEM) for n in range(50))
    )
    assert {outcome.state for outcome in outcomes} == {outcomes[0].state}
    assert sum(not outcome.repeated for outcome in outcomes) == 1
    assert len(await service.journal.history(LEDGER, id)) == 1


async def test_an_event_and_a_timer_act_once_too(service: Service) -> None:
    cause = Cause(new_id(), "doctor@A1", machine_now())
    for _ in range(3):
        await service.journal.append(LEDGER, "a", lambda s: [asked()], cause, SYSTEM)
    assert (await service.journal.read(LEDGER, "a", SYSTEM)).asked == 1


async def test_two_writers_lose_no_update(service: Service, other: Service) -> None:
    await service.journal.create(LEDGER, "a", lambda s: [asked()], request(), SYSTEM)

    async def writer(journal: object, count: int) -> None:
        for _ in range(count):
            await journal.append(LEDGER, "a", lambda s: [accepted()], request(), SYSTEM)  # type: ignore[attr-defined]

    await asyncio.gather(*(writer(s.journal, 10) for s in (service, other, service, other)))
    document = await service.journal.load(LEDGER, "a")
    assert document is not None
    assert document["state"]["accepted"] == 40
    assert [entry["sequence"] for entry in document["journal"]] == list(range(1, 42))
    assert LEDGER.fold(document["journal"]) == LEDGER.state.model_validate(document["state"])


async def test_commands_that_wait_together_cost_few_writes(service: Service) -> None:
    outcomes = await asyncio.gather(
        *(service.journal.append(LEDGER, "hot", lambda s: [asked()], request(), SYSTEM) for _ in range(200))
    )
    document = await service.journal.load(LEDGER, "hot")
    assert document is not None
    assert document["state"]["asked"] == 200
    assert document["version"] <= 20
    assert sorted(outcome.state.asked for outcome in outcomes) == list(range(1, 201))


async def test_a_claim_belongs_to_one_and_the_refusal_names_the_holder(service: Service) -> None:
    await service.journal.create(LEDGER, "a", lambda s: [asked(), Claimed(claim="00")], request(), SYSTEM)
    with pytest.raises(ClaimTaken) as creating:
        await service.journal.create(LEDGER, "b", lambda s: [asked(), Claimed(claim="00")], request(), SYSTEM)
    assert (creating.value.holder, creating.value.kind) == ("a", "card")
    assert await service.journal.load(LEDGER, "b") is None
    await service.journal.create(LEDGER, "c", lambda s: [asked()], request(), SYSTEM)
    with pytest.raises(ClaimTaken):
        await service.journal.append(LEDGER, "c", lambda s: [Claimed(claim="00")], request(), SYSTEM)
    # Given up, it is free; and many may hold none.
    await service.journal.append(LEDGER, "a", lambda s: [Claimed(claim=None)], request(), SYSTEM)
    await service.journal.append(LEDGER, "c", lambda s: [Claimed(claim="00")], request(), SYSTEM)
    document = await service.journal.load(LEDGER, "a")
    assert document is not None
    assert "claims" not in document


async def test_one_command_whose_claim_is_taken_does_not_refuse_those_of_its_turn(service: Service) -> None:
    await service.journal.create(LEDGER, "holder", lambda s: [asked(), Claimed(claim="00")], request(), SYSTEM)
    await service.journal.create(LEDGER, "a", lambda s: [asked()], request(), SYSTEM)
    first, second, third = await asyncio.gather(
        service.journal.append(LEDGER, "a", lambda s: [accepted()], request(), SYSTEM),
        service.journal.append(LEDGER, "a", lambda s: [Claimed(claim="00")], request(), SYSTEM),
        service.journal.append(LEDGER, "a", lambda s: [accepted()], request(), SYSTEM),
        return_exceptions=True,
    )
    assert isinstance(second, ClaimTaken)
    assert not isinstance(first, BaseException)
    assert not isinstance(third, BaseException)
    assert (await service.journal.read(LEDGER, "a", SYSTEM)).accepted == 2


async def test_nobody_is_answered_from_a_state_that_was_never_written(service: Service) -> None:
    await service.journal.create(LEDGER, "holder", lambda s: [asked(), Claimed(claim="00")], request(), SYSTEM)
    await service.journal.create(LEDGER, "a", lambda s: [asked()], request(), SYSTEM)

    def unless_claimed(state: Ledger | None) -> list[Event]:
        if state and state.claim:
            raise Refused("claimed", "claimed")
        return []

    taken, decided = await asyncio.gather(
        service.journal.append(LEDGER, "a", lambda s: [Claimed(claim="00")], request(), SYSTEM),
        service.journal.append(LEDGER, "a", unless_claimed, request(), SYSTEM),
        return_exceptions=True,
    )
    assert isinstance(taken, ClaimTaken)
    assert not isinstance(decided, BaseException)
    assert decided.state.claim is None


async def test_the_rule_is_asked_of_the_state_as_the_turn_has_left_it(service: Service) -> None:
    await service.journal.create(LEDGER, "a", lambda s: [asked(destination="B1")], request(), SYSTEM)
    receiver = Access(Caller("x", "doctor", "B1"), allow("doctor", at="destination"))
    _, second = await asyncio.gather(
        service.journal.append(LEDGER, "a", lambda s: [asked(destination="C1")], request(), SYSTEM),
        service.journal.append(LEDGER, "a", lambda s: [accepted()], request(), receiver),
        return_exceptions=True,
    )
    assert isinstance(second, Forbidden)
    assert (await service.journal.read(LEDGER, "a", SYSTEM)).accepted == 0


async def test_what_is_refused_or_forbidden_writes_nothing(service: Service) -> None:
    await service.journal.create(LEDGER, "a", lambda s: [asked()], request(), SYSTEM)
    before = await service.journal.load(LEDGER, "a")

    def refuse(state: object) -> list[Asked]:
        raise Refused("not-now", "not now")

    stranger = Access(Caller("x", "doctor", "Z9"), allow("doctor", at="destination"))
    with pytest.raises(Refused):
        await service.journal.append(LEDGER, "a", refuse, request(), SYSTEM)
    with pytest.raises(Forbidden):
        await service.journal.append(LEDGER, "a", lambda s: [accepted()], request(), stranger)
    with pytest.raises(Forbidden):
        await service.journal.create(LEDGER, "b", lambda s: [asked()], request(), stranger)
    with pytest.raises(Forbidden):
        await service.journal.read(LEDGER, "a", stranger)
    with pytest.raises(NotFound):
        await service.journal.append(LEDGER, "nobody", lambda s: [], request(), SYSTEM)
    assert await service.journal.load(LEDGER, "a") == before
    assert await service.journal.load(LEDGER, "b") is None


async def test_a_replayed_answer_is_authorised_anew(service: Service) -> None:
    cause = request()
    await service.journal.create(LEDGER, "a", lambda s: [asked()], cause, SYSTEM)
    stranger = Access(Caller("x", "doctor", "Z9"), allow("doctor", at="origin"))
    with pytest.raises(Forbidden):
        await service.journal.append(LEDGER, "a", lambda s: [asked()], cause, stranger)


async def test_a_decision_to_do_nothing_writes_nothing(service: Service) -> None:
    await service.journal.create(LEDGER, "a", lambda s: [asked()], request(), SYSTEM)
    outcome = await service.journal.append(LEDGER, "a", lambda s: [], request(), SYSTEM)
    assert (outcome.events, outcome.version) == ((), 1)
    document = await service.journal.load(LEDGER, "a")
    assert document is not None
    assert (document["version"], len(document["journal"])) == (1, 1)


async def test_private_events_have_no_sequence_and_nothing_to_publish(service: Service) -> None:
    await service.journal.create(LEDGER, "a", lambda s: [Noted(text="x")], request(), SYSTEM)
    document = await service.journal.load(LEDGER, "a")
    assert document is not None
    assert "sequence" not in document["journal"][0]
    assert "pending_since" not in document
    await service.journal.append(LEDGER, "a", lambda s: [asked(), Noted(text="y"), accepted()], request(), SYSTEM)
    document = await service.journal.load(LEDGER, "a")
    assert document is not None
    assert [entry.get("sequence") for entry in document["journal"]] == [None, 1, None, 2]
    assert document["sequence"] == 2
    assert "pending_since" in document


async def test_what_happened_earlier_keeps_its_time_beside_the_time_of_recording(service: Service) -> None:
    desk = machine_now().replace(year=2020)
    await service.journal.create(LEDGER, "a", lambda s: [asked()], request(at=desk), SYSTEM)
    (entry,) = await service.journal.history(LEDGER, "a")
    assert entry["occurred_at"] == desk
    assert entry["recorded_at"].year != 2020


async def _published(service: Service, id: str) -> None:
    """As the relay would."""
    document = await service.journal.load(LEDGER, id)
    assert document is not None
    await service.database["referrals"].update_one(
        {"_id": id}, {"$set": {"published": document["sequence"]}, "$unset": {"pending_since": ""}}
    )


async def _long(service: Service, id: str, first: Cause) -> int:
    """An aggregate whose oldest entries, `first`'s among them, have gone to the archive."""
    await service.journal.append(LEDGER, id, lambda s: [asked(reason="first"), accepted()], first, SYSTEM)
    count = 2
    while count <= ABOVE + 20:
        await asyncio.gather(
            *(service.journal.append(LEDGER, id, lambda s: [accepted()], request(), SYSTEM) for _ in range(40))
        )
        count += 40
        await _published(service, id)
    await service.journal.append(LEDGER, id, lambda s: [Noted(text="last")], request(), SYSTEM)
    return count + 1


async def test_a_long_journal_moves_its_past_to_the_archive_and_forgets_nothing(service: Service) -> None:
    cause = request("k")
    count = await _long(service, "a", cause)
    document = await service.journal.load(LEDGER, "a")
    assert document is not None
    assert len(document["journal"]) <= ABOVE // 2
    assert document["archived"] + len(document["journal"]) == count
    history = await service.journal.history(LEDGER, "a")
    assert LEDGER.fold(history) == LEDGER.state.model_validate(document["state"])
    assert [e["sequence"] for e in history if "sequence" in e] == list(range(1, count))
    again = await service.journal.append(LEDGER, "a", lambda s: [accepted()], cause, SYSTEM)
    assert again.repeated
    assert (again.state.reason, again.state.accepted) == ("first", 1)
    assert len(again.events) == 2
    with pytest.raises(KeyReused):
        await service.journal.append(LEDGER, "a", lambda s: [accepted()], request("k", body="other"), SYSTEM)
    after = await service.journal.append(LEDGER, "a", lambda s: [accepted()], request(), SYSTEM)
    document = await service.journal.load(LEDGER, "a")
    assert document is not None
    assert document["sequence"] == count
    assert after.state.accepted == count - 1


async def test_a_repeat_whose_cause_stands_in_the_document_of_an_archived_past_gets_its_first_answer(
    service: Service,
) -> None:
    await _long(service, "a", request())
    cause = request()
    first = await service.journal.append(LEDGER, "a", lambda s: [accepted()], cause, SYSTEM)
    await service.journal.append(LEDGER, "a", lambda s: [accepted()], request(), SYSTEM)
    again = await service.journal.append(LEDGER, "a", lambda s: [accepted()], cause, SYSTEM)
    assert (again.repeated, again.state) == (True, first.state)


async def test_unpublished_entries_never_leave_the_document(service: Service) -> None:
    for _ in range(6):
        await asyncio.gather(
            *(service.journal.append(LEDGER, "a", lambda s: [accepted()], request(), SYSTEM) for _ in range(40))
        )
    document = await service.journal.load(LEDGER, "a")
    assert document is not None
    assert "archived" not in document
    assert len(document["journal"]) == 240


async def test_copies_that_a_crash_left_before_the_trimming_are_not_counted_twice(service: Service) -> None:
    await _long(service, "a", request())
    document = await service.journal.load(LEDGER, "a")
    assert document is not None
    left = document["journal"][0]
    await service.database["referrals_archive"].insert_one(
        {
            "_id": left["id"],
            "aggregate": "a",
            "position": document["archived"],
            "cause": left["cause"],
            "entry": left,
        }
    )
    history = await service.journal.history(LEDGER, "a")
    assert len({entry["id"] for entry in history}) == len(history)
    assert LEDGER.fold(history) == LEDGER.state.model_validate(document["state"])


async def test_an_erasure_redacts_state_journal_and_archive_and_keeps_the_fold(service: Service) -> None:
    await _long(service, "a", request())
    marked = "Marked Name"
    reached = Reached(one=Contact(phone=marked, language="ur"), more=(Contact(phone=marked),))
    await service.journal.append(
        LEDGER, "a", lambda s: [asked(reason=marked), Noted(text=marked), reached], request(), SYSTEM
    )
    archive = service.database["referrals_archive"]
    (oldest,) = await archive.find({"aggregate": "a", "position": 0}).to_list(1)
    assert oldest["entry"]["data"]["reason"] == "first"
    cause = request()
    before = await service.journal.load(LEDGER, "a")
    outcome = await service.journal.erase(LEDGER, "a", Noted(by="officer"), cause, SYSTEM)
    document = await service.journal.load(LEDGER, "a")
    assert document is not None
    assert before is not None
    assert marked not in str(document)
    assert "first" not in str(await archive.find({"aggregate": "a"}).to_list(None))
    history = await service.journal.history(LEDGER, "a")
    assert LEDGER.fold(history) == LEDGER.state.model_validate(document["state"]) == outcome.state
    kept = ("id", "cause", "sequence", "actor", "type")
    assert [{n: e.get(n) for n in kept} for e in document["journal"][:-1]] == [
        {n: e.get(n) for n in kept} for e in before["journal"]
    ]
    (contact,) = [entry["data"] for entry in document["journal"] if entry["type"] == "Reached"]
    assert contact["one"] == {"phone": None, "language": "ur"}
    assert document["sequence"] == before["sequence"]  # a private erasing event takes none
    assert (await service.journal.erase(LEDGER, "a", Noted(by="officer"), cause, SYSTEM)).repeated


async def test_an_erasure_gives_up_claims_and_has_a_tombstone_to_publish(service: Service) -> None:
    id = new_id()
    await service.journal.create(
        PERSON,
        id,
        lambda s: [PatientRegistered(card=card(id, "Marked Name", phone="+915550000001", abha_address="x@sbx"))],
        request(),
        SYSTEM,
    )
    await service.journal.erase(PERSON, id, PatientErased(), request(), SYSTEM)
    document = await service.journal.load(PERSON, id)
    assert document is not None
    assert "Marked" not in str(document)
    assert "+91555" not in str(document)
    assert "claims" not in document
    assert [entry["sequence"] for entry in document["journal"]] == [1, 2]
    assert "pending_since" in document
    other = new_id()
    await service.journal.create(
        PERSON, other, lambda s: [PatientRegistered(card=card(other, abha_address="x@sbx"))], request(), SYSTEM
    )


async def test_a_caller_who_goes_away_takes_nobody_elses_turn_along(service: Service) -> None:
    calls = [
        asyncio.create_task(service.journal.append(LEDGER, "a", lambda s: [asked()], request(), SYSTEM))
        for _ in range(10)
    ]
    await asyncio.sleep(0)
    for call in calls[::2]:
        call.cancel()
    results = await asyncio.gather(*calls, return_exceptions=True)
    kept = [result for result in results if not isinstance(result, BaseException)]
    assert len(kept) >= 5
    assert (await service.journal.read(LEDGER, "a", SYSTEM)).asked >= len(kept)
