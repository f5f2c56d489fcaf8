"""Under `/fhir` refusals are said in FHIR's own words: OperationOutcomes (R4) instead of problems."""

from __future__ import annotations

from collections.abc import Callable, Coroutine, Sequence
from typing import Any

from fastapi import Request
from fastapi.exceptions import RequestValidationError
from fastapi.responses import JSONResponse, Response
from fastapi.routing import APIRoute
from starlette.exceptions import HTTPException

from libs.common.access import Forbidden
from libs.common.journal import KeyReused, NotFound
from libs.common.problem import field_errors
from libs.common.refusal import Refused
from libs.common.tokens import Unauthenticated

REFUSAL = "urn:hillhealth:refusal"
JSON = frozenset({"json", "application/json", "application/fhir+json", "application/fhir json"})
"""What `_format` may ask for. A plus that nobody escaped arrives as a space."""


class Fhir(JSONResponse):
    media_type = "application/fhir+json"


def operation_outcome(code: str, detail: str, where: str | None = None, allowed: Sequence[str] = ()) -> dict[str, Any]:
    """A refusal, in FHIR's own words."""
    issue: dict[str, Any] = {
        "severity": "error",
        "code": "business-rule" if where is None else "invalid",
        "details": {"coding": [{"system": REFUSAL, "code": code}]},
        "diagnostics": f"{detail}; allowed now: {', '.join(allowed)}" if allowed else detail,
    }
    if where is not None:
        issue["expression"] = [where]
    return {"resourceType": "OperationOutcome", "issue": [issue]}


class FhirRoute(APIRoute):
    """Says in FHIR's own words what is refused, who is not let in, and what is not there."""

    def get_route_handler(self) -> Callable[[Request], Coroutine[Any, Any, Response]]:
        handle = super().get_route_handler()

        async def answered(request: Request) -> Response:
            try:
                return await handle(request)
            except Refused as refused:
                return _refused(refused)
            except KeyReused:
                return _refused(Refused("idempotency-key-reused", "came before with other content", field="identifier"))
            except RequestValidationError as error:
                first = field_errors(error)[0]
                return _refused(Refused("field-invalid", first["detail"], field=first["field"]))
            except NotFound:
                return _not_let_in(404, "not-found", "There is no such record.")
            except Forbidden as refused:
                return _not_let_in(403, "forbidden", refused.detail)
            except Unauthenticated as refused:
                return _not_let_in(401, "login", str(refused), **{"WWW-Authenticate": "Bearer"})

        return answered


_ISSUES = {400: "structure", 404: "not-found", 405: "not-supported", 413: "too-long"}


def is_fhir(path: str) -> bool:
    return path == "/fhir" or path.startswith("/fhir/")


def http_error(error: HTTPException) -> Fhir:
    """What the web framework refuses before any route is reached: no such path, no such method, a body too large."""
    code = _ISSUES.get(error.status_code, "processing")
    return _not_let_in(error.status_code, code, str(error.detail), **dict(error.headers or {}))


def _refused(refused: Refused) -> Fhir:
    found = operation_outcome(refused.code, refused.detail, refused.field, refused.allowed)
    return Fhir(found, 409 if refused.field is None else 422)


def _not_let_in(status: int, code: str, detail: str, **headers: str) -> Fhir:
    found = operation_outcome(code, detail)
    found["issue"][0]["code"] = code
    return Fhir(found, status, headers)
