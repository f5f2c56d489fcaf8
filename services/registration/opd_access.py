"""Who may do what at the OPD. The board and the printed codes hang in the hall: numbers and ids that anybody sees."""

from __future__ import annotations

from libs.common.access import PUBLIC, Rule, allow

_AT = allow("desk", at="facility")
_CALLS = allow("desk", "doctor", at="facility")

OPD_ACCESS: dict[str, Rule] = {
    # Always the caller's own facility.
    "POST /opd": allow("desk"),
    "POST /opd/counters": allow("desk"),
    "GET /opd/{facility}": _CALLS,
    "POST /opd/{facility}/counters/{counter}/open": _AT,
    "POST /opd/{facility}/counters/{counter}/close": _AT,
    "POST /opd/{facility}/counters/{counter}/call-next": _CALLS,
    "POST /visits/{id}/recall": _CALLS,
    "POST /visits/{id}/serve": _CALLS,
    "POST /visits/{id}/skip": _CALLS,
    "POST /visits/{id}/no-show": _CALLS,
    "POST /visits/{id}/void": _AT,
    "POST /visits/{id}/urgent": _CALLS,
    "POST /visits/{id}/transfer": _CALLS,
    "GET /visits/{id}/slip.pdf": _AT,
    "GET /opd/{facility}/register/{date}": allow("desk", at="facility", reads_person=True),
    "GET /shares": _AT,
    "POST /abha-cards/read": allow("desk"),
    "POST /abha-cards": allow("desk"),
    "GET /opd/{facility}/counters/{counter}/qr.svg": PUBLIC,
    "GET /opd/{facility}/counters/{counter}/qr.png": PUBLIC,
    "GET /opd/{facility}/counters/{counter}/poster.pdf": PUBLIC,
    "GET /boards/{facility}": PUBLIC,
    "GET /boards/{facility}/now": PUBLIC,
    "GET /boards/{facility}/events": PUBLIC,
    "GET /boards/files/{name}": PUBLIC,
}
