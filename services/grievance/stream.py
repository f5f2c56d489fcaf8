"""Events in: only the directory's. Nothing that others publish changes a grievance."""

from __future__ import annotations

from libs.common.service import Service
from libs.contracts.referral import FACILITY
from services.grievance.directory import Directory


def directory(service: Service) -> Directory:
    """The facilities, kept as a replica of the referral service's cards."""
    return Directory(service.replica(FACILITY, "facilities"))
