"""Who may ask who somebody is, and put two records together."""

from __future__ import annotations

from libs.common.access import Table, allow

MATCHING_ACCESS: Table = {
    "POST /patients/matches": allow("desk", "records-officer", reads_person=True),
    "GET /reviews": allow("desk", "records-officer", at="facilities"),
    "POST /patients/{id}/review": allow("desk", "records-officer", at="facilities"),
    "POST /patients/{id}/merge/preview": allow("records-officer", at="facilities", reads_person=True),
    "POST /patients/{id}/merge": allow("records-officer", at="facilities"),
    "POST /patients/{id}/unmerge": allow("records-officer", at="facilities"),
    "GET /patients/{id}/decisions": allow("records-officer", at="facilities", reads_person=True),
    "POST /patients/elsewhere": allow("desk", "doctor", reads_person=True),
    "POST /patients/{id}/open": allow("desk", "doctor"),
    "POST /patients/{id}/consents": allow("desk", at="facilities"),
    "POST /patients/{id}/consents/withdraw": allow("desk", at="facilities"),
}
