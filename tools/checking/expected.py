"""What must be where, by the checker's own account: collections, topics, replicas, and who is told of what."""

from __future__ import annotations

from collections.abc import Mapping

AGGREGATES: Mapping[str, Mapping[str, str | None]] = {
    "registration": {
        "patients": "registration.patient.v1",
        "visits": "registration.visit.v1",
        "queues": None,
        "shares": None,
    },
    "referral": {"facilities": "referral.facility.v1", "referrals": "referral.referral.v1"},
    "grievance": {"grievances": "grievance.grievance.v1", "contacts": "grievance.contact.v1"},
    "notifications": {"messages": "notifications.message.v1"},
}
"""Service -> collection of aggregates -> the topic its public events go to."""

COMPACTED = frozenset({"registration.patient.v1", "referral.facility.v1", "grievance.contact.v1"})

TOPICS = tuple(
    sorted(topic for collections in AGGREGATES.values() for topic in collections.values() if topic is not None)
)

REPLICAS: Mapping[tuple[str, str], tuple[str, str]] = {
    ("referral", "patients"): ("registration", "patients"),
    ("notifications", "patients"): ("registration", "patients"),
    ("notifications", "contacts"): ("grievance", "contacts"),
    ("registration", "facilities"): ("referral", "facilities"),
    ("grievance", "facilities"): ("referral", "facilities"),
    ("notifications", "facilities"): ("referral", "facilities"),
}
"""(service, replica) -> (service, collection) whose newest cards it must hold."""

GROUPS: Mapping[str, frozenset[str]] = {
    "registration": frozenset({"referral.facility.v1"}),
    "referral": frozenset({"registration.patient.v1"}),
    "grievance": frozenset({"referral.facility.v1"}),
    "notifications": frozenset(
        {
            "registration.patient.v1",
            "registration.visit.v1",
            "referral.referral.v1",
            "referral.facility.v1",
            "grievance.grievance.v1",
            "grievance.contact.v1",
        }
    ),
}
"""Subscriptions that must exist, at the least, and be at the end. The group is `hillhealth.<service>.<topic>`, with
`.replica` behind it where the subscription keeps a copy."""

TELLS_PATIENT = frozenset(
    {
        "PatientRegistered",
        "TokenIssued",
        "ReferralRequested",
        "ReferralAccepted",
        "ReferralDeclined",
        "ReferralCancelled",
        "PatientNoShow",
        "TransportHeld",
        "PatientArrived",
        "PatientBackReferred",
        "ReferralClosed",
        "AppointmentScheduled",
        "AppointmentCancelled",
        "ReferralRedirected",
        "ReferralVoided",
    }
)
TELLS_NO_PATIENT: tuple[tuple[str, str, object], ...] = (
    ("ReferralCancelled", "reason", "patient-died"),
    ("PatientBackReferred", "deceased", True),
    ("ReferralClosed", "deceased", True),
    ("ReferralVoided", "reason", "duplicate"),
)
"""Event, field and value: who has died is written to no more."""

TELLS_REPORTER = frozenset(
    {
        "GrievanceAcknowledged",
        "GrievanceResolved",
        "GrievanceConfirmed",
        "GrievanceReopened",
        "GrievanceEscalated",
    }
)

TELLS_DESK_OF_DESTINATION = frozenset(
    {
        "ReferralRequested",
        "CancellationRequested",
        "ReferralRedirected",
        "TravelRefused",
        "PatientDeceased",
        "ReferralVoided",
    }
)
TELLS_ROLE: Mapping[str, tuple[str, str]] = {
    "ReferralRedirected": ("origin", "desk"),
    "PatientDeceased": ("origin", "desk"),
    "StepOwed": ("facility", "desk"),
    "ReferralBreached": ("facility", "officer"),
}
"""Event -> the field that names the facility, and whose mailbox there stands in where nobody has the duty."""
TELLS_OFFICERS = frozenset({"GrievanceFiled", "GrievanceEscalated", "GrievancePaged"})

CHANNELS = frozenset({"sms", "email", "in-app"})
UNFINISHED_MESSAGE = ("waiting", "queued", "sending")
FINISHED_SHARE = frozenset({"acknowledged", "failed"})
CLOSED_DEAD_LETTER = frozenset({"redriven", "discarded"})
