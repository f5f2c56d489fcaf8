"""Who may do what with a grievance: nobody at the facility complained about, for it is never one of its offices."""

from __future__ import annotations

from libs.common.access import PUBLIC, Rule, Table, allow

_OFFICERS = ("officer", "nodal-officer")


def _reads() -> Rule:
    """Who sees the whole of a case."""
    return allow(*_OFFICERS, "citizen", at="offices", own="filed_by", never="about_person", reads_person=True)


def _leads() -> Rule:
    return allow("nodal-officer", at="offices", never="about_person")


ACCESS: Table = {
    "GET /categories": PUBLIC,
    "GET /jurisdictions": PUBLIC,
    "GET /calendars/{code}": PUBLIC,
    "POST /calendars/{code}/days": allow("operator"),
    "POST /grievances": allow("citizen", "anonymous"),
    "GET /grievances": allow(*_OFFICERS, "citizen", at="offices", own="filed_by", never="about_person"),
    "GET /grievances/{id}": _reads(),
    "GET /grievances/{id}/history": _reads(),
    "POST /grievances/{id}/attachments": _reads(),
    "GET /grievances/{id}/attachments/{attachment}": _reads(),
    "POST /grievances/{id}/assign": allow("officer", at="offices", never="about_person"),
    "POST /grievances/{id}/transfer": allow("officer", at="offices", never="about_person"),
    "POST /grievances/{id}/interim": _leads(),
    "POST /grievances/{id}/pause": _leads(),
    "POST /grievances/{id}/resume": _leads(),
    "POST /grievances/{id}/resolve": _leads(),
    "POST /grievances/{id}/screen": _leads(),
    "POST /grievances/{id}/consult": _leads(),
    "GET /grievances/{id}/consultation": allow(*_OFFICERS, at="consulted", never="about_person", reads_person=True),
    "POST /grievances/{id}/contribute": allow(*_OFFICERS, at="consulted", never="about_person"),
    "POST /grievances/{id}/verify": allow("officer", at="offices", never="about_person"),
    "POST /grievances/{id}/attempt": _leads(),
    "POST /grievances/{id}/close-unreachable": _leads(),
    "POST /grievances/{id}/confirm": allow("citizen", own="filed_by"),
    "POST /grievances/{id}/reopen": allow("citizen", own="filed_by"),
    "POST /grievances/{id}/appeal": allow("citizen", own="filed_by"),
    "POST /intake": allow("desk", "call-centre", *_OFFICERS),
    "GET /screening-reasons": PUBLIC,
    "GET /figures": PUBLIC,
    "GET /clusters": allow(*_OFFICERS, at="offices"),
    "GET /clusters/similar": allow(*_OFFICERS, at="offices", never="about_person"),
    "POST /clusters": allow("nodal-officer", at="offices"),
    "POST /clusters/{id}/revise": allow("nodal-officer", at="offices"),
    "POST /clusters/{id}/fix": allow("nodal-officer", at="offices"),
    "GET /open311/v2/discovery.{format}": PUBLIC,
    "GET /open311/v2/services.{format}": PUBLIC,
    "GET /open311/v2/services/{service_code}.{format}": PUBLIC,
    "POST /open311/v2/requests.{format}": PUBLIC,
    "GET /open311/v2/requests.{format}": PUBLIC,
    "GET /open311/v2/requests/{service_request_id}.{format}": PUBLIC,
    "GET /open311/v2/tokens/{token}.{format}": PUBLIC,
    "GET /tracking/{ticket}": PUBLIC,
    "POST /tracking/{ticket}/attachments": PUBLIC,
    "POST /tracking/{ticket}/confirm": PUBLIC,
    "POST /tracking/{ticket}/reopen": PUBLIC,
    "POST /tracking/{ticket}/appeal": PUBLIC,
}
