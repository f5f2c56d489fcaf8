"""Who may call what. Texts are shown only to the person they are for, or to who is to pass them on."""

from __future__ import annotations

from libs.common.access import PUBLIC, Table, allow

STAFF = ("desk", "doctor", "nodal-officer", "officer")
KEEPERS = allow("desk", "operator")
"""Of their own facility's people and rosters: checked against the record."""
TEXTS = allow("operator", *STAFF)
SENDERS = allow("operator", *STAFF)
CAMPAIGNERS = allow("nodal-officer", "officer", "operator")

ACCESS: Table = {
    "GET /feed": allow("citizen", "asha", "panchayat", *STAFF, reads_person=True),
    "GET /preferences": allow("citizen", "asha", "panchayat", *STAFF),
    "POST /preferences": allow("citizen", "asha", "panchayat", *STAFF),
    "POST /preferences/languages": allow("citizen", "asha", "panchayat", *STAFF),
    "POST /preferences/digest": allow("citizen", "asha", "panchayat", *STAFF),
    "GET /recipients/{recipient}/preferences": allow("operator"),
    "POST /recipients/{recipient}/preferences": allow("operator"),
    "POST /recipients/{recipient}/preferences/languages": allow("operator"),
    "POST /recipients/{recipient}/preferences/digest": allow("operator"),
    "POST /recipients/{recipient}/lives": allow("operator"),
    "GET /messages": allow("operator"),
    "GET /messages/{id}": allow("operator"),
    "POST /messages/{id}/resolve": allow("operator"),
    "GET /templates": TEXTS,
    "GET /templates/{name}": TEXTS,
    "POST /templates/lint": TEXTS,
    "POST /templates/preview": TEXTS,
    "POST /templates/{template}/{language}/resume": allow("operator"),
    # Signed by the gateway, or with an operator's token: the route itself checks.
    "POST /receipts/{channel}": PUBLIC,
    "GET /receipts/whatsapp": PUBLIC,
    "GET /receipt-secrets": allow("operator"),
    "GET /relay": allow("asha", "panchayat", reads_person=True),
    "POST /relay/{id}/passed-on": allow("asha", "panchayat", "operator"),
    "POST /people": KEEPERS,
    "GET /people": KEEPERS,
    "GET /people/{id}": KEEPERS,
    "POST /people/{id}/change": KEEPERS,
    "POST /people/{id}/retire": KEEPERS,
    "GET /rosters/{duty}": KEEPERS,
    "POST /rosters/{duty}/shifts": KEEPERS,
    "POST /rosters/{duty}/shifts/cancel": KEEPERS,
    "POST /sends": SENDERS,
    "POST /sends/batch": SENDERS,
    "GET /sends/{id}": SENDERS,
    "GET /callback-secret": SENDERS,
    "POST /campaigns": CAMPAIGNERS,
    "GET /campaigns": CAMPAIGNERS,
    "GET /campaigns/{id}": CAMPAIGNERS,
    "GET /campaigns/{id}/figures": CAMPAIGNERS,
    "POST /campaigns/{id}/preview": CAMPAIGNERS,
    "POST /campaigns/{id}/approve": CAMPAIGNERS,
    "POST /campaigns/{id}/pause": CAMPAIGNERS,
    "POST /campaigns/{id}/resume": CAMPAIGNERS,
    "POST /campaigns/{id}/stop": CAMPAIGNERS,
}
