"""What an operator does by command, on a real broker and store."""

from __future__ import annotations

import asyncio
import contextlib
import datetime as dt
import importlib
import io
import json
import sys
from collections.abc import Iterator
from types import ModuleType, SimpleNamespace
from typing import Any

import pytest

from deploy.local.testing import TestStack
from libs.common import operate
from libs.common.access import SYSTEM
from libs.common.clock import machine_now
from libs.common.reconciliation import reconcile, republish
from libs.common.records import Received
from libs.common.refusal import Refused
from libs.common.service import Service
from libs.contracts.referral import REFERRAL
from libs.contracts.registration import PATIENT, PatientCorrected, PatientRegistered
from tests.toy.ledger import LEDGER, PERSON, Noted, accepted, asked, card, new_id, request
from tests.toy.running import clients_closed as clients_closed
from tests.toy.running import header, on_topic, produce, running, toy
from tests.toy.stream import card_event, event, listening, subscriber
from tests.waiting import eventually


async def _published(service: Service, kind: Any, *ids: str) -> None:
    for id in ids:
        await eventually(lambda id=id: _settled(service, kind, id))


async def _settled(service: Service, kind: Any, id: str) -> bool:
    document = await service.journal.load(kind, id)
    return document is not None and "pending_since" not in document


async def _three(service: Service, id: str) -> None:
    for decided in (asked(), accepted(), accepted()):
        await service.journal.append(LEDGER, id, lambda s, e=decided: [e], request(), SYSTEM)


async def _cards(service: Service, id: str) -> None:
    first = PatientRegistered(card=card(id, "one"))
    await service.journal.append(PERSON, id, lambda s: [first], request(), SYSTEM)
    second = PatientCorrected(card=card(id, "two"))
    await service.journal.append(PERSON, id, lambda s: [second], request(), SYSTEM)


def _ids(records: Any) -> list[str | None]:
    return [header(record, "ce_id") for record in records]


async def test_republish_sends_the_same_events_again_and_of_cards_only_the_newest(
    stack: TestStack, prefix: str
) -> None:
    service = toy(stack, prefix, kinds=(LEDGER, PERSON))
    one, two, person = new_id(), new_id(), new_id()
    async with running(service):
        await _three(service, one)
        await _three(service, two)
        await _cards(service, person)
        await _published(service, LEDGER, one, two)
        await _published(service, PERSON, person)
    before = await on_topic(stack, REFERRAL, [one])
    cards = await on_topic(stack, PATIENT, [person])
    assert await republish(service, REFERRAL.name, one) == {REFERRAL.name: 3}
    assert _ids(await on_topic(stack, REFERRAL, [one])) == _ids(before) * 2
    assert len(await on_topic(stack, REFERRAL, [two])) == 3
    assert await republish(service, PATIENT.name) == {PATIENT.name: 1}
    again = await on_topic(stack, PATIENT, [person])
    assert _ids(again) == [*_ids(cards), _ids(cards)[-1]]
    assert again[-1].value == cards[-1].value
    assert await republish(service, since=machine_now() + dt.timedelta(hours=1)) == {}
    assert await republish(service, REFERRAL.name, until=machine_now() + dt.timedelta(hours=1)) == {REFERRAL.name: 6}


async def test_reconcile_reports_what_the_topic_lacks_and_repairs_it(stack: TestStack, prefix: str) -> None:
    service = toy(stack, prefix, kinds=(LEDGER, PERSON))
    await service.ensure_indexes()
    whole, lost, person = new_id(), new_id(), new_id()
    async with running(service):
        await _three(service, whole)
        await _published(service, LEDGER, whole)
    # Marked as published, and on no topic.
    await _three(service, lost)
    await _cards(service, person)
    for kind, id in ((LEDGER, lost), (PERSON, person)):
        document = await service.journal.load(kind, id)
        assert document is not None
        await service.database[kind.collection].update_one(
            {"_id": id}, {"$set": {"published": document["sequence"]}, "$unset": {"pending_since": ""}}
        )
    expected = [entry["id"] for entry in await service.journal.history(LEDGER, lost)]
    report = await reconcile(service)
    assert report["failed"]
    assert report[REFERRAL.name] == {"journaled": 6, "missing": expected, "repaired": False}
    assert len(report[PATIENT.name]["missing"]) == 1
    assert await on_topic(stack, REFERRAL, [lost]) == []
    repaired = await reconcile(service, repair=True)
    assert not repaired["failed"]
    assert _ids(await on_topic(stack, REFERRAL, [lost])) == expected
    assert b'"two"' in (await on_topic(stack, PATIENT, [person]))[-1].value
    clean = await reconcile(service)
    assert not clean["failed"]
    assert clean[REFERRAL.name]["missing"] == clean[PATIENT.name]["missing"] == []
    # A stale card put last, as a restored broker may have it, is not the newest.
    key, value, headers = card_event(person, 1, "one")
    headers["ce_id"] = (await service.journal.history(PERSON, person))[0]["id"]
    await produce(stack, PATIENT, (key, value, headers))
    assert len((await reconcile(service))[PATIENT.name]["missing"]) == 1
    await reconcile(service, repair=True)
    assert b'"two"' in (await on_topic(stack, PATIENT, [person]))[-1].value


async def test_what_is_published_meanwhile_is_not_reported(stack: TestStack, prefix: str) -> None:
    service = toy(stack, prefix)
    async with running(service):
        loading = True

        async def load() -> None:
            while loading:
                await service.journal.create(LEDGER, new_id(), lambda s: [asked()], request(), SYSTEM)

        callers = [asyncio.create_task(load()) for _ in range(4)]
        reports = [await reconcile(service) for _ in range(2)]
        loading = False
        await asyncio.gather(*callers)
    assert [report[REFERRAL.name]["missing"] for report in reports] == [[], []]


@pytest.fixture
def root(monkeypatch: pytest.MonkeyPatch) -> Iterator[SimpleNamespace]:
    """A composition root `services.toy.main`, whose service the test sets."""
    made = SimpleNamespace(service=None)
    module = ModuleType("services.toy.main")

    def create_app() -> Any:
        if isinstance(made.service, Exception):
            raise made.service
        return made.service().app

    module.create_app = create_app  # type: ignore[attr-defined]
    real = importlib.import_module
    monkeypatch.setattr(
        operate.importlib, "import_module", lambda name: module if name == "services.toy.main" else real(name)
    )
    yield made
    sys.modules.pop("services.toy.main", None)


def _command(*arguments: str) -> tuple[int, Any, str]:
    """Exit code, what it printed as JSON, and what it said on standard error."""
    out, err = io.StringIO(), io.StringIO()
    with contextlib.redirect_stdout(out), contextlib.redirect_stderr(err):
        code = operate.main("toy", arguments)
    return code, json.loads(out.getvalue()) if out.getvalue() else None, err.getvalue()


async def _run(*arguments: str) -> tuple[int, Any, str]:
    """In a thread, since a command has an event loop of its own."""
    return await asyncio.to_thread(_command, *arguments)


async def test_dead_letters_by_command(stack: TestStack, prefix: str, root: SimpleNamespace) -> None:
    refusing, key, other = True, new_id(), new_id()

    async def refuse(received: Received) -> None:
        if refusing:
            raise Refused("not-wanted", "not wanted")

    service = subscriber(stack, prefix, refuse)
    async with listening(stack, service):
        await produce(stack, REFERRAL, event(key, 1), event(key, 2), event(other, 1))
        await eventually(lambda: _waiting(service, 3))
    root.service = lambda: subscriber(stack, prefix, refuse)
    code, letters, _ = await _run("dead-letters", "show")
    assert code == 0
    assert {letter["reason"] for letter in letters} == {"refused:not-wanted", "behind"}
    assert all("sealed" not in letter for letter in letters)
    first = next(letter["_id"] for letter in letters if letter["key"] == key and letter["reason"] != "behind")
    third = next(letter["_id"] for letter in letters if letter["key"] == other)
    code, answer, _ = await _run("dead-letters", "redrive", first, "--by", "asha")
    assert (code, answer["failed"]) == (1, first)
    refusing = False
    code, answer, _ = await _run("dead-letters", "redrive", first, "--by", "asha")
    assert (code, len(answer["redriven"])) == (0, 2)
    code, answer, _ = await _run("dead-letters", "discard", third, "--by", "asha", "--note", "sent twice")
    assert (code, answer) == (0, {"discarded": third})
    code, _, said = await _run("dead-letters", "discard", third, "--by", "asha", "--note", "sent twice")
    assert (code, said) == (1, "toy: it was settled before\n")
    code, _, said = await _run("dead-letters", "redrive", "nobody", "--by", "asha")
    assert (code, said) == (1, "toy: there is no such record\n")
    code, letters, _ = await _run("dead-letters", "show", "--status", "redriven")
    assert [entry["by"] for letter in letters for entry in letter["history"]] == ["asha", "asha", "asha"]


async def _waiting(service: Service, count: int) -> bool:
    return await service.letters.waiting() == count


async def test_republish_and_reconcile_by_command(stack: TestStack, prefix: str, root: SimpleNamespace) -> None:
    service, id = toy(stack, prefix), new_id()
    async with running(service):
        await _three(service, id)
        await service.journal.append(LEDGER, id, lambda s: [Noted(text="private")], request(), SYSTEM)
        await _published(service, LEDGER, id)
    root.service = lambda: toy(stack, prefix)
    code, sent, _ = await _run("republish", "--aggregate", id, "--since", "2020-01-01T00:00:00")
    assert (code, sent) == (0, {REFERRAL.name: 3})
    code, report, _ = await _run("reconcile")
    assert (code, report["failed"]) == (0, False)
    await service.database["referrals"].update_one(
        {"_id": id}, {"$set": {"published": 4}, "$push": {"journal": await _lost(service, id)}}
    )
    code, report, _ = await _run("reconcile")
    assert code == 1
    code, report, _ = await _run("reconcile", "--repair")
    assert (code, report[REFERRAL.name]["repaired"]) == (0, True)
    assert len(await on_topic(stack, REFERRAL, [id])) == 7
    code, _, said = await _run("republish", "--topic", "nobodys.topic.v1")
    assert code == 2
    assert "does not publish" in said


async def _lost(service: Service, id: str) -> dict[str, Any]:
    entries = await service.journal.history(LEDGER, id)
    return entries[0] | {"id": new_id(), "sequence": 4}


def test_settings_that_do_not_hold_are_one_line_naming_the_variable(
    root: SimpleNamespace, monkeypatch: pytest.MonkeyPatch
) -> None:
    from libs.common.settings import ServiceSettings

    for given, named in (({"CLOCK": "day"}, "DEVELOPMENT"), ({"CE_EPOCH": "Marked"}, "CE_EPOCH")):
        with monkeypatch.context() as patched:
            for name, value in given.items():
                patched.setenv(name, value)
            with pytest.raises(ValueError, match="validation error") as caught:
                ServiceSettings()
        root.service = caught.value
        code, _, said = _command("reconcile")
        assert code == 2
        assert named in said
        assert "Marked" not in said
        assert said.count("\n") == 1
    root.service = FileNotFoundError(2, "No such file or directory", "seal_key")
    code, _, said = _command("serve")
    assert code == 2
    assert "seal_key" in said
