"""Who may do what: role × facility. `facilities` are those where the person was registered or got a token."""

from __future__ import annotations

from libs.common.access import PUBLIC, Table, allow
from services.registration.camp_access import CAMP_ACCESS
from services.registration.fhir_access import FHIR_ACCESS
from services.registration.home_access import HOME_ACCESS
from services.registration.matching_access import MATCHING_ACCESS
from services.registration.opd_access import OPD_ACCESS

SHARE = "/api/v3/hip/patient/share"
OLDER_SHARES = ("/v3/hip/patient/profile/share", "/api/v3/hip/patient/profile/share")

ACCESS: Table = {
    "POST /patients": allow("desk"),
    "GET /patients/{id}": allow("desk", "doctor", at="facilities", reads_person=True),
    "POST /patients/search": allow("desk", "doctor", at="facilities", reads_person=True),
    "POST /patients/{id}/correct": allow("desk", at="facilities"),
    "POST /patients/{id}/void": allow("desk", at="card.registered_at"),
    "POST /patients/{id}/erase": allow("privacy-officer"),
    "POST /visits": allow("desk"),
    "GET /visits/{id}": allow("desk", "doctor", at="facility"),
    "GET /queues/{facility}/{counter}/{date}": allow("desk", "doctor", at="facility"),
    "POST /households": allow("desk"),
    "GET /households/{id}": allow("desk", "doctor", at="facility"),
    "POST /households/{id}/members": allow("desk", at="facility"),
    "POST /households/{id}/members/leave": allow("desk", at="facility"),
    "POST /households/{id}/describe": allow("desk", at="facility"),
    # Which office may do so on which day, the scheme's own rules say.
    "POST /households/{id}/overrides": allow("principal", "medical-superintendent", "officer"),
    "POST /households/{id}/refusals": allow("desk", at="facility"),
    "POST /households/{id}/refusals/reverse": allow("principal", "medical-superintendent", "officer"),
    "POST /households/{id}/eligibility": allow("desk", "doctor", at="facility", reads_person=True),
    "POST /benefit-units": allow("desk"),
    "GET /benefit-units/{id}": allow("desk", "doctor", at="facility"),
    "POST /benefit-units/{id}/members": allow("desk", at="facility"),
    "POST /benefit-units/{id}/members/leave": allow("desk", at="facility"),
    "GET /patients/{id}/units": allow("desk", "doctor", at="facilities", reads_person=True),
    "GET /patients/{id}/where": allow("desk", "doctor", at="facilities", reads_person=True),
    "GET /places/{key}/patients": allow("desk", "doctor", at="facilities", reads_person=True),
    "POST /screenings": allow("doctor", "desk", "nurse", "asha"),
    "GET /screenings/{id}": allow("doctor", "nurse", at="facility", reads_person=True),
    "POST /screenings/{id}/accept": allow("doctor", "nurse", at="facility"),
    "POST /screenings/{id}/decline": allow("doctor", "nurse", at="facility"),
    "GET /patients/{id}/screenings": allow("doctor", "nurse", at="facilities", reads_person=True),
    "POST /ashas": allow("desk", "officer"),
    "GET /ashas": allow("desk", "officer", "doctor", at="facility"),
    "GET /ashas/{id}": allow("desk", "officer", "doctor", at="facility"),
    "POST /ashas/{id}/change": allow("desk", "officer", at="facility"),
    "POST /ashas/{id}/retire": allow("desk", "officer", at="facility"),
    "POST /ashas/{id}/brought": allow("desk", "doctor", "nurse", at="facility"),
    "GET /ashas/{id}/credits": allow("desk", "officer", "doctor", at="facility"),
    "GET /ashas/{id}/certificate.pdf": allow("desk", "officer", at="facility"),
    # A question about schemes names nobody, and nothing of it is kept.
    "POST /eligibility": PUBLIC,
    "GET /schemes": PUBLIC,
    "GET /programmes": PUBLIC,
    "GET /programmes/{programme}": PUBLIC,
    "POST /programmes/{programme}/assess": PUBLIC,
    "GET /places": PUBLIC,
    "GET /places/{key}": PUBLIC,
    # Public to our issuer only: the door itself lets nobody in but the ABDM gateway, by the gateway's own keys.
    f"POST {SHARE}": PUBLIC,
    **{f"POST {path}": PUBLIC for path in OLDER_SHARES},
    **OPD_ACCESS,
    **MATCHING_ACCESS,
    **FHIR_ACCESS,
    **HOME_ACCESS,
    **CAMP_ACCESS,
}
