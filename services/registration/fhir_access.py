"""Who may read patients as FHIR resources."""

from __future__ import annotations

from libs.common.access import PUBLIC, Table, allow

FHIR_ACCESS: Table = {
    # Says what can be asked, of nobody.
    "GET /fhir/metadata": PUBLIC,
    "GET /fhir/Patient/{id}": allow("desk", "doctor", at="facilities", reads_person=True),
    "GET /fhir/Patient": allow("desk", "doctor", at="facilities", reads_person=True),
    "POST /fhir/Patient/_search": allow("desk", "doctor", at="facilities", reads_person=True),
    "POST /fhir/Patient/$match": allow("desk", "doctor", reads_person=True),
}
