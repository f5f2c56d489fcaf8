"""From a request to a complaint: who may say what, and what an anonymous one leaves behind."""

from __future__ import annotations

import dataclasses
import datetime as dt
import uuid
from collections.abc import Mapping

from libs.common.access import ANONYMOUS, Access, Forbidden
from libs.common.cause import Cause
from libs.common.ids import derive
from libs.common.refusal import Refused
from libs.common.tokens import Unauthenticated
from libs.common.web import AHEAD
from services.grievance.bodies import ComplaintBody, ContactBody, FileBody, IntakeBody
from services.grievance.domain.category import Category
from services.grievance.usecases import Complaint, ContactDetails

EARLIEST = dt.timedelta(days=366)
"""How far back a complaint on paper may have been received."""


def complaint_of(body: FileBody, access: Access, categories: Mapping[str, Category]) -> Complaint:
    """Raises Refused naming the field, Unauthenticated, Forbidden."""
    caller = access.caller
    category = categories.get(body.category)
    if category is None or category.retired:
        raise Refused("category-unknown", "must be a code of GET /categories", field="category")
    if body.anonymous:
        for field in ("patient", "contact"):
            if getattr(body, field) is not None:
                raise Refused("not-anonymous", "an anonymous complaint says nobody's name", field=field)
    elif caller.role == ANONYMOUS.role:
        raise Unauthenticated("a bearer token is needed, or file it with anonymous true")
    if body.sealed:
        _seal(body)
    if body.patient is not None and body.patient != caller.patient:
        raise Forbidden("your token does not say that you are this patient")
    if body.patient is not None and body.contact is not None:
        raise Refused("contact-not-needed", "a patient is reached as they are registered", field="contact")
    if body.contact is not None and body.contact.phone is None and body.contact.email is None:
        raise Refused("contact-unreachable", "needs a phone or an email", field="contact")
    patient = body.patient
    if not body.anonymous and body.contact is None:
        patient = caller.patient
        if patient is None:
            raise Refused("contact-missing", "who is not a patient says how to be reached", field="contact")
    contact = body.contact
    return Complaint(
        category=category,
        text=body.text,
        about_facility=body.about_facility,
        also_about=tuple(dict.fromkeys(code for code in body.also_about if code != body.about_facility)),
        about_person=body.about_person,
        about_referral=body.about_referral,
        language=body.language,
        filed_by=None if body.anonymous or body.sealed else caller.subject,
        patient=patient,
        contact=_details(contact, body.sealed),
        sealed=body.sealed,
    )


def intake_of(body: IntakeBody, categories: Mapping[str, Category], now: dt.datetime) -> Complaint:
    """A complaint entered for somebody else. Raises Refused naming the field."""
    category = categories.get(body.category)
    if category is None or category.retired:
        raise Refused("category-unknown", "must be a code of GET /categories", field="category")
    if not now - EARLIEST <= body.received_at <= now + AHEAD:
        raise Refused("date-out-of-range", "must not lie ahead, nor more than a year back", field="received_at")
    if body.sealed:
        _seal(body)
    reached = [name for name in ("patient", "contact") if getattr(body, name) is not None]
    if body.anonymous and reached:
        raise Refused("not-anonymous", "an anonymous complaint says nobody's name", field=reached[0])
    if not body.anonymous and len(reached) != 1:
        raise Refused("contact-missing", "say how they are reached, or that it is anonymous", field="contact")
    if body.contact is not None and body.contact.phone is None and body.contact.email is None:
        raise Refused("contact-unreachable", "needs a phone or an email", field="contact")
    return Complaint(
        category=category,
        text=body.text,
        about_facility=body.about_facility,
        also_about=tuple(dict.fromkeys(code for code in body.also_about if code != body.about_facility)),
        about_person=body.about_person,
        about_referral=body.about_referral,
        language=body.language,
        filed_by=None,
        patient=body.patient,
        contact=_details(body.contact, body.sealed),
        sealed=body.sealed,
        door=body.door,
        received_at=min(body.received_at, now),
    )


def _seal(body: ComplaintBody) -> None:
    """Raises Refused where sealing it would promise more than it keeps."""
    if body.anonymous:
        raise Refused("sealed-or-anonymous", "who is anonymous has nothing to seal", field="sealed")
    if body.patient is not None:
        raise Refused("sealed-names-nobody", "leave it out: a sealed complaint names no patient", field="patient")
    if body.contact is None:
        raise Refused("contact-missing", "a phone or an email, to which the status is sent", field="contact")


def _details(contact: ContactBody | None, sealed: bool) -> ContactDetails | None:
    """A sealed contact is a number or an address, without a name."""
    if contact is None:
        return None
    return ContactDetails(None if sealed else contact.name, contact.phone, contact.email)


def unlinked(cause: Cause, access: Access) -> tuple[Cause, Access]:
    """The request as anybody's, so that not even a guess at its sender can be tested against the journal.

    The key is then all that keeps others from the answer. Raises Refused unless it is a UUID.
    """
    try:
        key = str(uuid.UUID(cause.key or ""))
    except ValueError:
        raise Refused(
            "key-not-a-uuid", "must be a random UUID when the complaint is anonymous or sealed", field="Idempotency-Key"
        ) from None
    caller = f"{ANONYMOUS.role}:{ANONYMOUS.subject}"
    anybody = dataclasses.replace(cause, id=derive("request", caller, access.route, key), actor=ANONYMOUS.actor)
    return anybody, dataclasses.replace(access, caller=ANONYMOUS)
