"""Where somebody is in the month at hand: in the months of a second place there, else at home."""

from __future__ import annotations

import datetime as dt

from libs.contracts.registration import PatientCard, SecondPlace
from services.registration.domain.places import FIELDS


def there(card: PatientCard, on: dt.date) -> PatientCard | SecondPlace:
    """`on` is a day at the desks, Asia/Kolkata. A second place that names no code lies near the home: its codes are the
    home's."""
    away = card.second_place
    if away is None or on.month not in away.months:
        return card
    codes = tuple(FIELDS.values())
    if any(getattr(away, field) for field in codes):
        return away
    return away.model_copy(update={field: getattr(card, field) for field in codes})
