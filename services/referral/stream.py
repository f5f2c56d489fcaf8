"""What comes in: registration's patient cards, kept as a copy of our own."""

from __future__ import annotations

from libs.common.service import Service
from libs.contracts import registration
from services.referral.patients import Patients


def patients(service: Service) -> Patients:
    """Keeps the replica `patients`: corrected, voided and erased records follow by themselves."""
    return Patients(service.replica(registration.PATIENT, "patients"))
