"""A second provider helps where the first surely has not taken it, and never where it may have."""

from __future__ import annotations

from itertools import pairwise
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydantic import ValidationError

from libs.common.metrics import Metrics
from libs.contracts.notifications import Channel
from services.notifications import providers
from services.notifications.channels import Answer, Never, NotTaken, Outgoing, Standing, Taken, Unsure
from services.notifications.channels.fallback import Fallback
from services.notifications.domain.circuit import Circuit, Limits
from services.notifications.domain.codes import Codes
from services.notifications.domain.dlt import Registration
from services.notifications.metrics import MessageMetrics
from services.notifications.settings import Settings

MESSAGE = Outgoing("id", "+915550000001", "text", "", "registered", "en")
LIMITS = Limits(window=60, errors=3, share=0.5, slow=5, rest=10, longest_rest=40)


class Scripted:
    """Answers as told, and counts how often it was called."""

    channel: Channel = "sms"
    seconds = 11.0
    can_be_asked = True

    def __init__(self, answer: Answer, standing: Standing = "not-known") -> None:
        self.answer = answer
        self.says: Standing = standing
        self.calls = 0

    async def send(self, message: Outgoing) -> Answer:
        self.calls += 1
        return self.answer

    async def standing(self, reference: str) -> Standing:
        return self.says

    async def close(self) -> None:
        return None


class Time:
    now = 0.0

    def __call__(self) -> float:
        return self.now


def both(first: Scripted, second: Scripted, time: Time | None = None) -> Fallback:
    return Fallback("sms", {"first": first, "second": second}, limits=LIMITS, clock=time or Time())


@pytest.mark.parametrize(
    ("answer", "expected", "seconds_calls"),
    [
        (Taken(), Taken(), 0),
        (Never("gateway-400"), Never("gateway-400"), 0),
        (Unsure("answer-lost"), Unsure("answer-lost"), 0),
        (NotTaken("gateway-away"), Taken(), 1),
    ],
)
async def test_when_the_second_is_asked(answer: Answer, expected: Answer, seconds_calls: int) -> None:
    first, second = Scripted(answer), Scripted(Taken())
    assert await both(first, second).send(MESSAGE) == expected
    assert (first.calls, second.calls) == (1, seconds_calls)


async def test_a_bad_one_rests_and_is_probed_by_one_call() -> None:
    time = Time()
    first, second = Scripted(NotTaken("gateway-away")), Scripted(Taken())
    fallback = both(first, second, time)
    for _ in range(10):
        assert await fallback.send(MESSAGE) == Taken()
    assert first.calls == LIMITS.errors
    time.now = 11
    await fallback.send(MESSAGE)
    await fallback.send(MESSAGE)
    assert first.calls == LIMITS.errors + 1
    first.answer = Taken()
    time.now = 35
    calls = second.calls
    await fallback.send(MESSAGE)
    await fallback.send(MESSAGE)
    assert (first.calls, second.calls) == (LIMITS.errors + 3, calls)


async def test_one_that_stands_alone_rests_too_and_one_call_tries_it_again() -> None:
    time, only = Time(), Scripted(NotTaken("gateway-away"))
    alone = Fallback("sms", {"first": only}, limits=LIMITS, clock=time)
    said = [await alone.send(MESSAGE) for _ in range(10)]
    assert (only.calls, said[-1]) == (LIMITS.errors, NotTaken("all-resting"))
    for when, calls in ((11, 1), (12, 1), (32, 2), (33, 2)):
        time.now = when
        assert isinstance(await alone.send(MESSAGE), NotTaken)
        assert only.calls == LIMITS.errors + calls
    only.answer, time.now = Taken(), 80
    assert [await alone.send(MESSAGE) for _ in range(2)] == [Taken(), Taken()]
    assert only.calls == LIMITS.errors + 4


def test_one_that_stands_alone_may_be_slow_and_where_another_stands_in_it_rests() -> None:
    alone, replaced = Circuit(providers.ALONE), Circuit(Limits())
    for second in range(providers.ALONE.errors):
        for circuit in (alone, replaced):
            circuit.note(second * 6, took=6.0, ok=True)
    assert (alone.standing(55), replaced.standing(55)) == ("closed", "open")


async def test_every_provider_outside_that_is_one_server_has_a_circuit(tmp_path: Path) -> None:
    (tmp_path / "whatsapp_token").write_text("t" * 32)
    settings = Settings(development=True, secrets_dir=tmp_path, whatsapp_url="http://127.0.0.1:9", smtp_host="")
    metrics = MessageMetrics(Metrics())
    built = providers.build(settings, Codes(), Registration(header="HILHLT"), metrics, secret_of)
    assert {channel for channel, one in built.items() if isinstance(one, Fallback)} == {"sms", "email", "whatsapp"}
    for _ in range(Limits().errors):
        assert await built["whatsapp"].send(MESSAGE) == NotTaken("whatsapp-away")
    assert await built["whatsapp"].send(MESSAGE) == NotTaken("all-resting")
    resting = {"channel": "whatsapp", "provider": "whatsapp"}
    assert metrics.resting.labels(**resting)._value.get() == 1
    await built["whatsapp"].close()


async def secret_of(recipient: str) -> str:
    return ""


async def test_when_all_rest_nothing_is_called() -> None:
    first, second = Scripted(NotTaken("x")), Scripted(NotTaken("y"))
    fallback = both(first, second)
    for _ in range(3):
        assert await fallback.send(MESSAGE) == NotTaken("y")
    assert await fallback.send(MESSAGE) == NotTaken("all-resting")
    assert (first.calls, second.calls) == (3, 3)


@pytest.mark.parametrize(
    ("one", "other", "together"),
    [
        ("accepted", "no-answer", "accepted"),
        ("no-answer", "accepted", "accepted"),
        ("not-known", "not-known", "not-known"),
        ("not-known", "no-answer", "no-answer"),
        ("no-answer", "not-known", "no-answer"),
    ],
)
async def test_only_all_together_can_say_that_nobody_has_it(one: Standing, other: Standing, together: Standing) -> None:
    assert await both(Scripted(Taken(), one), Scripted(Taken(), other)).standing("id") == together


def test_slowness_opens_it_too() -> None:
    circuit = Circuit(LIMITS)
    for second in range(3):
        circuit.note(second, took=6, ok=True)
    assert circuit.standing(3) == "open"


def test_a_few_errors_among_many_good_calls_do_not() -> None:
    circuit = Circuit(LIMITS)
    for call in range(100):
        circuit.note(call * 0.1, took=0.1, ok=call % 10 != 0)
    assert circuit.standing(10) == "closed"


def test_old_errors_are_forgotten() -> None:
    circuit = Circuit(LIMITS)
    for second in (0, 30, 61, 91, 122):
        circuit.note(second, took=0.1, ok=False)
    assert circuit.standing(122) == "closed"


@given(st.lists(st.tuples(st.floats(0.1, 20), st.booleans(), st.floats(0, 12)), max_size=200))
def test_an_open_circuit_lets_nothing_through_until_its_rest_is_over(calls: list[tuple[float, bool, float]]) -> None:
    circuit, now, opened = Circuit(LIMITS), 0.0, []
    for wait, ok, took in calls:
        now += wait
        before = circuit.standing(now)
        let = circuit.lets_through(now, 11)
        assert let == (before == "closed") or before == "half-open"
        if let:
            now += took
            circuit.note(now, took, ok)
            if circuit.standing(now) == "open":
                opened.append(now)
    assert all(later - earlier >= LIMITS.rest for earlier, later in pairwise(opened))


def test_a_lease_must_outlast_both() -> None:
    with pytest.raises(ValidationError, match="LEASE_ATTEMPT_SECONDS"):
        Settings(sms_gateway_url_second="http://second.example", lease_attempt_seconds=21)
    assert Settings(lease_attempt_seconds=21).lease_attempt_seconds == 21
