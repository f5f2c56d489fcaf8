"""Every route that names a facility succeeds where it belongs and is refused elsewhere; no route lacks an example."""

from __future__ import annotations

import importlib.util
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import pytest
from grievance_desk import Desk, serving_office

from deploy.local.testing import Served, TestStack
from services.grievance.access import ACCESS

_spec = importlib.util.spec_from_file_location(
    "grievance_route_examples", Path(__file__).parents[1] / "route_examples" / "grievance.py"
)
assert _spec is not None
assert _spec.loader is not None
_examples = importlib.util.module_from_spec(_spec)
_spec.loader.exec_module(_examples)
EXAMPLES: list[dict[str, Any]] = _examples.EXAMPLES
ELSEWHERE = "HP-KNR-RH-PEO"


@pytest.fixture(scope="module")
async def served(stack: TestStack) -> AsyncIterator[Served]:
    # Without timers: what a service does by itself is no refusal's mark.
    async with serving_office(stack, TIMERS="false") as served:
        yield served


def test_no_route_that_names_a_facility_lacks_an_example() -> None:
    assert {example["route"] for example in EXAMPLES} == {route for route, rule in ACCESS.items() if rule.at}


@pytest.mark.parametrize("facility", [ELSEWHERE, _examples.ABOUT], ids=["elsewhere", "accused"])
@pytest.mark.parametrize("example", EXAMPLES, ids=lambda example: example["route"])
async def test_a_route_belongs_to_its_facility(
    stack: TestStack, served: Served, example: dict[str, Any], facility: str
) -> None:
    desk = Desk(served.client, stack.issuer, served.service.database)
    # Examples are sent over weeks; each begins today.
    served.service.clock._latest = None

    def bearer(role: str, facility: str) -> dict[str, str]:
        return {"Authorization": desk.token(role, facility)}

    id = await example["prepare"](desk.client, bearer)
    collection = served.service.database[example.get("collection", "grievances")]
    before = await collection.find_one({"_id": id})
    there = await example["call"](desk.client, bearer(example["role"], facility), id)
    if "refused" in example:
        assert example["refused"](there), there.text
    else:
        assert there.status_code == 403, there.text
    after = await collection.find_one({"_id": id})
    assert (after["version"], after["state"]) == (before["version"], before["state"])
    here = await example["call"](desk.client, bearer(example["role"], example["facility"]), id)
    assert here.status_code == example.get("accepted", 200), here.text
