"""Who may call what. Texts are shown only to the person they are for."""

from __future__ import annotations

from libs.common.access import Table, allow

ACCESS: Table = {
    "GET /feed": allow("citizen", reads_person=True),
    "GET /preferences": allow("citizen"),
    "POST /preferences": allow("citizen"),
    "GET /recipients/{recipient}/preferences": allow("operator"),
    "POST /recipients/{recipient}/preferences": allow("operator"),
    "GET /messages": allow("operator"),
    "GET /messages/{id}": allow("operator"),
    "POST /messages/{id}/resolve": allow("operator"),
}
