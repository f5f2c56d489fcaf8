"""A facility's counters: set up, changed, opened and closed; how long the tokens of each are valid."""

from __future__ import annotations

import datetime as dt

import pytest

from libs.common.refusal import Refused
from services.registration.domain.opd import (
    CloseCounter,
    Command,
    Opd,
    OpenCounter,
    SetUpCounter,
    SetUpOpd,
    decide,
    evolve,
)

HERE, HIP = "LA-X", "IN9900000101"


def counter(name: str, minutes: int | None = None, label: str = "Medicine") -> SetUpCounter:
    return SetUpCounter(HERE, name, label, minutes, HIP)


def after(*commands: Command) -> Opd:
    state: Opd | None = None
    for command in commands:
        for event in decide(state, command):
            state = evolve(state, type(event).model_validate(event.model_dump(mode="json")))
    assert state
    return state


def test_the_counters_own_validity_comes_before_the_facilitys() -> None:
    state = after(SetUpOpd(HERE, 45, ("hi", "en")), counter("OPD1", 720), counter("OPD2"))
    assert state.validity("OPD1") == dt.timedelta(hours=12)
    assert state.validity("OPD2") == state.validity("NOWHERE") == dt.timedelta(minutes=45)
    assert after(counter("OPD1")).validity("OPD1") is None


def test_a_label_may_change_and_a_closed_counter_stays_closed() -> None:
    state = after(counter("OPD1"), CloseCounter("OPD1"), counter("OPD1", label="Eyes"))
    assert (state.counters["OPD1"].label, state.closed("OPD1"), state.open_counters()) == ("Eyes", True, ())
    assert not after(counter("OPD1"), CloseCounter("OPD1"), OpenCounter("OPD1")).closed("OPD1")


@pytest.mark.parametrize(
    ("before", "command", "code"),
    [
        ((), counter(HIP), "counter-is-facility"),
        ((), counter(HIP.lower()), "counter-is-facility"),
        ((counter("OPD1"),), counter("opd1"), "counter-alike"),
        ((), OpenCounter("OPD1"), "unknown-counter"),
        ((counter("OPD1"),), CloseCounter("OPD2"), "unknown-counter"),
        ((counter("OPD1"),), OpenCounter("OPD1"), "counter-is-so"),
        ((counter("OPD1"), CloseCounter("OPD1")), CloseCounter("OPD1"), "counter-is-so"),
    ],
)
def test_what_makes_no_sense_is_refused(before: tuple[Command, ...], command: Command, code: str) -> None:
    state = after(*before) if before else None
    with pytest.raises(Refused) as refused:
        decide(state, command)
    assert refused.value.code == code
