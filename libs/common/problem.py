"""Errors as RFC 9457 problem details: a stable `type`, the field at fault, the moves that are allowed instead."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from fastapi import FastAPI, Request
from fastapi.exceptions import RequestValidationError
from fastapi.responses import JSONResponse
from starlette.exceptions import HTTPException

from libs.common.aadhaar import contains_aadhaar
from libs.common.access import Forbidden
from libs.common.journal import ClaimTaken, Contended, KeyReused, NotFound
from libs.common.logs import logger
from libs.common.mongo import STORE_AWAY
from libs.common.rates import TooMany
from libs.common.refusal import Refused
from libs.common.tokens import Unauthenticated

log = logger("web")

MEDIA_TYPE = "application/problem+json"


def problem(
    status: int,
    code: str,
    detail: str,
    *,
    errors: Sequence[dict[str, str]] = (),
    headers: dict[str, str] | None = None,
    **extra: Any,
) -> JSONResponse:
    """`code` is the stable end of `type`; `errors` name each field and what is wrong with it."""
    body: dict[str, Any] = {
        "type": f"urn:hillhealth:problem:{code}",
        "title": code.replace("-", " ").capitalize(),
        "status": status,
        "detail": detail,
    }
    if errors:
        body["errors"] = list(errors)
    return JSONResponse(body | extra, status_code=status, media_type=MEDIA_TYPE, headers=headers)


def field_errors(error: RequestValidationError) -> list[dict[str, str]]:
    """Field and reason of each; never the input, which may be anybody's number."""
    found = []
    items = error.errors()
    for item in items:
        own = tuple(item["loc"])
        if item["type"] == "too_short" and any(len(one["loc"]) > len(own) == _shared(one["loc"], own) for one in items):
            # A list whose only member is wrong is not empty for that.
            continue
        place = [_named(part) for part in item["loc"] if part not in ("body", "query", "path", "header")]
        if item["type"] == "json_invalid":
            place = []
        message = str(item["msg"]) if item["type"] != "value_error" else str(item["msg"]).removeprefix("Value error, ")
        found.append({"field": ".".join(place) or "body", "detail": message})
    return found


def _shared(one: Sequence[Any], other: Sequence[Any]) -> int:
    """How far two places have the same way."""
    return next((at for at, (a, b) in enumerate(zip(one, other, strict=False)) if a != b), min(len(one), len(other)))


def _named(part: Any) -> str:
    """A field's name; what an unknown field was called may be anybody's name, too."""
    text = str(part)
    named = text.replace("-", "_").isidentifier() or text.isdecimal()
    return text if named and not contains_aadhaar(text) else "(unknown)"


def install(app: FastAPI) -> None:
    """Every error that a handler may let through, as a problem."""

    @app.exception_handler(RequestValidationError)
    async def invalid(request: Request, error: RequestValidationError) -> JSONResponse:
        errors = field_errors(error)
        malformed = any(item["type"] == "json_invalid" for item in error.errors())
        names = ", ".join(dict.fromkeys(item["field"] for item in errors))
        return problem(
            400 if malformed else 422,
            "body-not-json" if malformed else "field-invalid",
            f"Check {names}.",
            errors=errors,
        )

    @app.exception_handler(Refused)
    async def refused(request: Request, error: Refused) -> JSONResponse:
        if error.field is not None:
            errors = [{"field": error.field, "detail": error.detail}]
            return problem(422, error.code, error.detail, errors=errors, **error.more)
        return problem(409, error.code, error.detail, allowed=list(error.allowed), **error.more)

    @app.exception_handler(Forbidden)
    async def forbidden(request: Request, error: Forbidden) -> JSONResponse:
        return problem(403, "forbidden", error.detail)

    @app.exception_handler(Unauthenticated)
    async def unauthenticated(request: Request, error: Unauthenticated) -> JSONResponse:
        return problem(401, "unauthenticated", str(error), headers={"WWW-Authenticate": "Bearer"})

    @app.exception_handler(NotFound)
    async def not_found(request: Request, error: NotFound) -> JSONResponse:
        return problem(404, "not-found", "There is no such record.")

    @app.exception_handler(KeyReused)
    async def key_reused(request: Request, error: KeyReused) -> JSONResponse:
        return problem(
            422,
            "idempotency-key-reused",
            "This Idempotency-Key came before with another target or body.",
            errors=[{"field": "Idempotency-Key", "detail": "use a new key for another request"}],
        )

    @app.exception_handler(ClaimTaken)
    async def claim_taken(request: Request, error: ClaimTaken) -> JSONResponse:
        field = error.kind.replace("-", "_")
        return problem(
            409,
            "identifier-taken",
            f"This {error.kind} belongs to another record.",
            errors=[{"field": field, "detail": "belongs to another record"}],
            holder=error.holder,
        )

    @app.exception_handler(Contended)
    async def contended(request: Request, error: Contended) -> JSONResponse:
        return problem(503, "busy", "Too many write this record at once; try again.", headers={"Retry-After": "1"})

    @app.exception_handler(TooMany)
    async def too_many(request: Request, error: TooMany) -> JSONResponse:
        return problem(429, "too-many-requests", "Wait a second.", headers={"Retry-After": "1"})

    async def store_away(request: Request, error: Exception) -> JSONResponse:
        return problem(503, "store-away", "Nothing was lost; send it again.", headers={"Retry-After": "2"})

    for kind in STORE_AWAY:
        app.exception_handler(kind)(store_away)

    @app.exception_handler(HTTPException)
    async def http_error(request: Request, error: HTTPException) -> JSONResponse:
        from libs.common import fhir

        if fhir.is_fhir(request.url.path):
            return fhir.http_error(error)
        codes = {400: "body-not-json", 404: "not-found", 405: "method-not-allowed", 413: "body-too-large"}
        of_body = [{"field": "body", "detail": str(error.detail)}] if error.status_code in (400, 413) else []
        return problem(
            error.status_code,
            codes.get(error.status_code, "http-error"),
            str(error.detail),
            errors=of_body,
            headers=dict(error.headers or {}),
        )

    @app.exception_handler(Exception)
    async def unexpected(request: Request, error: Exception) -> JSONResponse:
        log.error("unexpected error", exc_info=error)
        return problem(500, "unexpected", "This is our fault; it has been logged.")
