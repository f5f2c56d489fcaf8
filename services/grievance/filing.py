"""From a request to a complaint: who may say what, and what an anonymous one leaves behind."""

from __future__ import annotations

import dataclasses
import uuid
from collections.abc import Mapping

from libs.common.access import ANONYMOUS, Access, Forbidden
from libs.common.cause import Cause
from libs.common.ids import derive
from libs.common.refusal import Refused
from libs.common.tokens import Unauthenticated
from services.grievance.bodies import FileBody
from services.grievance.domain.category import Category
from services.grievance.usecases import Complaint, ContactDetails


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
        about_referral=body.about_referral,
        language=body.language,
        filed_by=None if body.anonymous else caller.subject,
        patient=patient,
        contact=ContactDetails(contact.name, contact.phone, contact.email) if contact else None,
    )


def unlinked(cause: Cause, access: Access) -> tuple[Cause, Access]:
    """The request as anybody's, so that not even a guess at its sender can be tested against the journal.

    The key is then all that keeps others from the answer. Raises Refused unless it is a UUID.
    """
    try:
        key = str(uuid.UUID(cause.key or ""))
    except ValueError:
        raise Refused(
            "key-not-a-uuid", "must be a random UUID when the complaint is anonymous", field="Idempotency-Key"
        ) from None
    caller = f"{ANONYMOUS.role}:{ANONYMOUS.subject}"
    anybody = dataclasses.replace(cause, id=derive("request", caller, access.route, key), actor=ANONYMOUS.actor)
    return anybody, dataclasses.replace(access, caller=ANONYMOUS)
