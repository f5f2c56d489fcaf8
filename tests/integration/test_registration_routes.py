"""Every route that names a facility succeeds where it belongs and is refused elsewhere; no route lacks an example."""

from __future__ import annotations

import importlib.util
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import pytest
from registration_desk import ELSEWHERE, Desk, serving_desk

from deploy.local.testing import TestStack
from services.registration.access import ACCESS

_spec = importlib.util.spec_from_file_location(
    "registration_route_examples", Path(__file__).parents[1] / "route_examples" / "registration.py"
)
assert _spec is not None
assert _spec.loader is not None
_examples = importlib.util.module_from_spec(_spec)
_spec.loader.exec_module(_examples)
EXAMPLES: list[dict[str, Any]] = _examples.EXAMPLES


@pytest.fixture(scope="module")
async def desk(stack: TestStack) -> AsyncIterator[Desk]:
    async with serving_desk(stack) as desk:
        yield desk


def test_no_route_that_names_a_facility_lacks_an_example() -> None:
    assert {example["route"] for example in EXAMPLES} == {route for route, rule in ACCESS.items() if rule.at}


@pytest.mark.parametrize("example", EXAMPLES, ids=lambda example: example["route"])
async def test_a_route_belongs_to_its_facility(desk: Desk, example: dict[str, Any]) -> None:
    client = desk.served.client

    def bearer(role: str, facility: str) -> dict[str, str]:
        return {"Authorization": f"Bearer {desk.stack.issuer.token(role=role, facility=facility)}"}

    async def versions() -> list[tuple[str, int]]:
        found = []
        for kind in ("patients", "visits", "opds", "camp_uploads"):
            found += await desk.database[kind].find({}, {"version": 1}).to_list(None)
        return sorted((document["_id"], document["version"]) for document in found)

    id = await example["prepare"](client, bearer)
    before = await versions()
    elsewhere = await example["call"](client, bearer(example["role"], ELSEWHERE), id)
    if "refused" in example:
        assert example["refused"](elsewhere), elsewhere.text
    else:
        assert elsewhere.status_code == 403, elsewhere.text
        assert "Rigzin" not in elsewhere.text
    assert await versions() == before
    here = await example["call"](client, bearer(example["role"], example["facility"]), id)
    assert here.is_success, here.text
