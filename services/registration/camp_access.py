"""Who may do what with a camp's devices. A device speaks with its facility's token, and sees what that may see; once it
is enrolled, only with its own key besides; and it takes people along only then."""

from __future__ import annotations

from libs.common.access import PUBLIC, Rule, allow

_AT = allow("desk", at="facility")

CAMP_ACCESS: dict[str, Rule] = {
    # Always a device of the caller's own facility: its id follows from both.
    # Other districts than the facility's are an officer's to give.
    "POST /camp-devices": allow("desk", "officer"),
    "GET /camp-devices": allow("desk", "officer", at="facility"),
    "GET /camp-devices/{device}": allow("desk"),
    # A desk gives the first key; then the device's own is asked for, or an officer gives the next.
    "POST /camp-devices/{device}/enrol": allow("desk", "officer"),
    "POST /camp-devices/{device}/revoke": allow("desk", "officer"),
    "POST /camp-devices/{device}/blocks": allow("desk"),
    "OPTIONS /camp-uploads": PUBLIC,
    "POST /camp-uploads": allow("desk"),
    "GET /camp-devices/{device}/people": allow("desk", at="facilities", reads_person=True),
    "HEAD /camp-uploads/{id}": _AT,
    "GET /camp-uploads/{id}": _AT,
    "PATCH /camp-uploads/{id}": _AT,
    "GET /camp-uploads/{id}/answers": _AT,
}
