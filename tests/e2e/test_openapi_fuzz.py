"""Whatever fits, or nearly fits, a service's OpenAPI is sent to it; nothing makes it fail on its own account."""

from __future__ import annotations

import importlib
import uuid
from collections.abc import Callable, Iterator, Mapping
from typing import Any

import httpx
import pytest
import schemathesis
from hypothesis import HealthCheck, Phase, given, settings
from hypothesis.errors import Unsatisfiable
from schemathesis.core.result import Ok
from schemathesis.generation import GenerationMode

from deploy.local.store import SERVICES
from libs.common.access import Rule
from tests.e2e.conftest import House, built

HERE = "LA-LEH-CHC-KHALTSI"
EXAMPLES = 8
"""For each operation, in each way of making them up."""


def headers_for(house: House, rule: Rule | None, path: str) -> dict[str, str]:
    """A caller whom the route's rule lets in, and what every write carries."""
    headers = {"Idempotency-Key": str(uuid.uuid4())}
    if path.endswith("/patient/share"):
        headers |= {
            "Authorization": f"Bearer {house.stack.abdm.token()}",
            "REQUEST-ID": str(uuid.uuid4()),
            "TIMESTAMP": "2026-11-20T05:00:00.000Z",
        }
    elif rule is not None and (roles := sorted(rule.roles - {"anonymous"})):
        token = house.stack.issuer.token(role=roles[0], facility=HERE, patient=str(uuid.uuid4()))
        headers["Authorization"] = f"Bearer {token}"
    return headers


def throw_at(client: httpx.Client, operation: Any, mode: GenerationMode, headers: Callable[[], dict[str, str]]) -> None:
    """Raises AssertionError at the first answer that is the service's own fault."""

    @settings(
        max_examples=EXAMPLES,
        deadline=None,
        database=None,
        derandomize=True,
        phases=[Phase.generate],
        suppress_health_check=list(HealthCheck),
    )
    @given(case=operation.as_strategy(generation_mode=mode))
    def send(case: schemathesis.Case) -> None:
        sent = case.as_transport_kwargs(base_url=str(client.base_url), headers=headers())
        answer = client.request(**{name: value for name, value in sent.items() if name in KNOWN})
        assert answer.status_code < 500, (case.method, case.path, answer.status_code, answer.text)

    try:
        send()
    except Unsatisfiable:
        # A route that takes nothing has nothing that could be wrong.
        assert mode is GenerationMode.NEGATIVE, operation.label


@pytest.fixture(scope="module")
def house(tmp_path_factory: pytest.TempPathFactory) -> Iterator[House]:
    """Of its own: what nonsense leaves waiting, for a card that never comes, say, is nobody else's to wait for."""
    with built(tmp_path_factory.mktemp("nonsense")) as house:
        yield house


@pytest.mark.parametrize("service", SERVICES)
def test_no_request_makes_a_service_fail(house: House, service: str) -> None:
    url = house.stack.url(service)
    rules: Mapping[str, Rule] = importlib.import_module(f"services.{service}.access").ACCESS
    schema = schemathesis.openapi.from_dict(httpx.get(f"{url}/openapi.json", timeout=30).json())
    asked = 0
    with httpx.Client(base_url=url, timeout=30) as client:
        for found in schema.get_all_operations():
            assert isinstance(found, Ok), found
            operation = found.ok()
            rule = rules.get(f"{operation.method.upper()} {operation.path}")
            for mode in (GenerationMode.POSITIVE, GenerationMode.NEGATIVE):
                throw_at(client, operation, mode, lambda rule=rule, path=operation.path: headers_for(house, rule, path))
                asked += 1
    assert asked >= 10


KNOWN = {"method", "url", "headers", "params", "json", "data", "content"}
