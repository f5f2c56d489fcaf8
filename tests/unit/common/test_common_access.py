"""The same rule where the store is written (`check`) and where it is read (`filter`)."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from libs.common.access import PUBLIC, SYSTEM, Access, Caller, Forbidden, allow

FACILITIES = st.sampled_from(["", "A1", "B1", "C1"])
PLACES = FACILITIES | st.none() | st.lists(FACILITIES, max_size=3)
STATES = st.fixed_dictionaries(
    {},
    optional={
        "origin": PLACES,
        "destination": PLACES,
        "nested": st.fixed_dictionaries({"at": PLACES}),
        "by": FACILITIES,
    },
)
RULES = st.builds(
    lambda at, own: allow("doctor", "citizen", at=tuple(at), own=own),
    st.lists(st.sampled_from(["origin", "destination", "nested.at"]), max_size=2, unique=True),
    st.none() | st.just("by"),
)
CALLERS = st.builds(Caller, FACILITIES, st.sampled_from(["doctor", "citizen"]), FACILITIES)


def _matches(state: dict[str, Any], condition: dict[str, Any]) -> bool:
    """What MongoDB makes of such a filter."""
    if "$or" in condition:
        return any(_matches(state, one) for one in condition["$or"])
    for path, wanted in condition.items():
        if path == "_id":
            assert wanted == {"$in": []}
            return False
        value: Any = {"state": state}
        for part in path.split("."):
            value = value.get(part) if isinstance(value, dict) else None
        if value != wanted and not (isinstance(value, list) and wanted in value):
            return False
    return True


@given(STATES, RULES, CALLERS)
def test_check_and_filter_agree(state: dict[str, Any], rule: Any, caller: Caller) -> None:
    access = Access(caller, rule)
    try:
        access.check(state)
        allowed = True
    except Forbidden:
        allowed = False
    assert _matches(state, access.filter()) == allowed


@given(STATES, CALLERS)
def test_a_caller_without_a_facility_passes_no_rule_that_names_one(state: dict[str, Any], caller: Caller) -> None:
    access = Access(Caller("x", "doctor", ""), allow("doctor", at=("origin", "destination")))
    with pytest.raises(Forbidden):
        access.check(state)
    assert access.filter() == {"_id": {"$in": []}}


def test_a_refusal_names_the_rule_and_nobody() -> None:
    access = Access(Caller("Marked", "doctor", "Z9"), allow("doctor", at="handled_by"))
    with pytest.raises(Forbidden) as caught:
        access.check({"handled_by": "A1", "name": "Marked"})
    assert caught.value.detail == "your facility must be its handled by"


def test_what_services_do_by_themselves_is_bound_to_no_facility() -> None:
    SYSTEM.check({})
    assert SYSTEM.filter() == {}
    assert PUBLIC.public
    assert not allow("doctor").public


@pytest.mark.parametrize(
    ("role", "facility", "actor"),
    [
        ("doctor", "A1", "doctor@A1"),
        ("operator", "", "operator"),
        ("citizen", "A1", "citizen"),
        ("anonymous", "", "citizen"),
    ],
)
def test_an_actor_is_role_and_facility_and_never_a_person(role: str, facility: str, actor: str) -> None:
    assert Caller("Marked", role, facility, "patient").actor == actor
