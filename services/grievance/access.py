"""Who may do what with a grievance: nobody at the facility complained about, for it is never one of its offices."""

from __future__ import annotations

from libs.common.access import PUBLIC, Table, allow

_OFFICERS = ("officer", "nodal-officer")

ACCESS: Table = {
    "GET /categories": PUBLIC,
    "GET /jurisdictions": PUBLIC,
    "GET /calendars/{code}": PUBLIC,
    "POST /calendars/{code}/days": allow("operator"),
    "POST /grievances": allow("citizen", "anonymous"),
    "GET /grievances": allow(*_OFFICERS, "citizen", at="offices", own="filed_by"),
    "GET /grievances/{id}": allow(*_OFFICERS, "citizen", at="offices", own="filed_by", reads_person=True),
    "GET /grievances/{id}/history": allow(*_OFFICERS, "citizen", at="offices", own="filed_by", reads_person=True),
    "POST /grievances/{id}/assign": allow("officer", at="offices"),
    "POST /grievances/{id}/transfer": allow("officer", at="offices"),
    "POST /grievances/{id}/interim": allow("nodal-officer", at="offices"),
    "POST /grievances/{id}/pause": allow("nodal-officer", at="offices"),
    "POST /grievances/{id}/resume": allow("nodal-officer", at="offices"),
    "POST /grievances/{id}/resolve": allow("nodal-officer", at="offices"),
    "POST /grievances/{id}/attempt": allow("nodal-officer", at="offices"),
    "POST /grievances/{id}/close-unreachable": allow("nodal-officer", at="offices"),
    "POST /grievances/{id}/confirm": allow("citizen", own="filed_by"),
    "POST /grievances/{id}/reopen": allow("citizen", own="filed_by"),
    "POST /grievances/{id}/appeal": allow("citizen", own="filed_by"),
    "GET /tracking/{ticket}": PUBLIC,
    "POST /tracking/{ticket}/confirm": PUBLIC,
    "POST /tracking/{ticket}/reopen": PUBLIC,
    "POST /tracking/{ticket}/appeal": PUBLIC,
}
