"""Where grievances and contacts stand, and what is asked of the store."""

from __future__ import annotations

from libs.common.access import Access
from libs.common.aggregate import AggregateType
from libs.common.mongo import Database, Document
from libs.common.paging import page
from libs.contracts.grievance import CONTACT as CONTACT_TOPIC
from libs.contracts.grievance import GRIEVANCE as GRIEVANCE_TOPIC
from libs.contracts.grievance import ContactErased, ContactRecorded
from services.grievance.domain import contact, grievance
from services.grievance.domain.contact import Contact
from services.grievance.domain.grievance import Grievance

GRIEVANCE = AggregateType(
    name="grievance",
    collection="grievances",
    state=Grievance,
    events=(
        grievance.Filed,
        grievance.Acknowledged,
        grievance.Assigned,
        grievance.Resolved,
        grievance.Confirmed,
        grievance.Reopened,
        grievance.Escalated,
    ),
    evolve=grievance.evolve,
    topic=GRIEVANCE_TOPIC,
    claims=lambda state: [f"ticket:{state.ticket}"],
    due=lambda state: state.next_due_at if state.open else None,
    indexes=(
        ("state.offices", "state.open", "state.due_at"),
        ("state.offices", "state.status", "state.due_at"),
        ("state.filed_by", "state.due_at"),
    ),
)

CONTACT = AggregateType(
    name="contact",
    collection="contacts",
    state=Contact,
    events=(ContactRecorded, ContactErased),
    evolve=contact.evolve,
    topic=CONTACT_TOPIC,
)


async def holder_of(database: Database, ticket: str) -> str | None:
    """The id of the grievance with this ticket; one index look-up of the id alone, whether it exists or not."""
    found = await database[GRIEVANCE.collection].find_one({"claims": f"ticket:{ticket}"}, {"_id": 1})
    return found["_id"] if found else None


async def worklist(
    database: Database, access: Access, status: str | None, limit: int, cursor: str | None
) -> tuple[list[Document], str | None]:
    """What this caller may see, oldest promise first: what is open, or what has this status."""
    wanted: Document = {"state.status": status} if status else {"state.open": True}
    if access.caller.role == "citizen" and not status:
        wanted = {}
    return await page(
        database[GRIEVANCE.collection], access.filter() | wanted, sort="state.due_at", limit=limit, cursor=cursor
    )
