"""Who answers a complaint: the facility to which the accused one refers, and on up; never an accused one."""

from __future__ import annotations

from collections.abc import Sequence

ANSWERING = ("officer", "nodal-officer")


def office_of(about_person: str | None) -> str | None:
    """The office of the person complained about, where that is one who answers complaints there (`role@facility`)."""
    role, _, facility = (about_person or "").partition("@")
    return facility if facility and role in ANSWERING else None


def next_office(accused: Sequence[str], offices: Sequence[str], refers_up: Sequence[str], state_cell: str) -> str:
    """The next level: the first of `refers_up` (the chain of referrals above, nearest first) that is neither accused
    nor has had the case before; the state's cell when there is none."""
    return next((code for code in refers_up if code not in accused and code not in offices), state_cell)
