"""Root causes: similar complaints found, one matter opened of them, and its fix told to each of its cases."""

from __future__ import annotations

import contextlib
import dataclasses
from collections import Counter
from collections.abc import AsyncIterator

from libs.common.access import SYSTEM, Access, Forbidden
from libs.common.aggregate import AggregateType
from libs.common.cause import Cause, timer_cause
from libs.common.clock import LONG_AGO
from libs.common.ids import derive
from libs.common.journal import NotFound, Outcome
from libs.common.logs import logger
from libs.common.mongo import Database, Document
from libs.common.refusal import Refused
from services.grievance import usecases
from services.grievance.domain import cluster
from services.grievance.domain.cluster import Cluster
from services.grievance.domain.commands import JoinCluster, Resolve
from services.grievance.domain.state import Grievance
from services.grievance.store import filed_between
from services.grievance.usecases import Office

log = logger("clustering")

CLUSTER = AggregateType(
    name="cluster",
    collection="clusters",
    state=Cluster,
    events=cluster.EVENTS,
    evolve=cluster.evolve,
    due=lambda state: state.fix_by if state.status == "open" and not state.overdue else None,
    # What was said of it and every case has not been told yet.
    retry_at=lambda state: LONG_AGO if state.told < state.asks else None,
    indexes=(("state.offices", "state.month"),),
)


async def similar(database: Database, access: Access, about_facility: str, month: str) -> Counter[str]:
    """How many complaints about a facility were filed in a month, by category, as far as the caller may see them.

    Raises Refused naming `month`.
    """
    first, following = cluster.bounds(month)
    counts: Counter[str] = Counter()
    async for document in filed_between(database, about_facility, first, following):
        with contextlib.suppress(Forbidden):
            access.check(document["state"])
            counts[document["state"]["category"]] += 1
    return counts


async def open_cluster(
    office: Office, about_facility: str, command: cluster.Open, cause: Cause, access: Access
) -> Outcome[Cluster]:
    """Raises Refused naming the field."""
    about = await office.directory.facility(about_facility)
    if about is None:
        raise Refused("facility-unknown", "is not a facility of the directory", field="about_facility")
    if command.category not in office.categories:
        raise Refused("category-unknown", "must be a code of GET /categories", field="category")
    cluster.bounds(command.month)
    above = [code for code in await office.directory.above(about_facility) if code != about_facility]
    filled = dataclasses.replace(command, offices=(*above, office.cells.of(about.state_lgd)))
    id = derive("cluster", about_facility, command.category, command.month)
    return await office.journal.append(
        CLUSTER, id, lambda state: cluster.decide(state, filled, office.clock.now()), cause, access
    )


async def move(office: Office, id: str, command: cluster.Command, cause: Cause, access: Access) -> Outcome[Cluster]:
    """Raises NotFound, Refused, Forbidden."""
    return await office.journal.append(
        CLUSTER, id, lambda state: cluster.decide(state, command, office.clock.now()), cause, access
    )


async def on_timer(office: Office, id: str, document: Document) -> None:
    """Tells its cases what was said of it; else notes that the date of its fix passed."""
    state = Cluster.model_validate(document["state"])
    now = office.clock.now()
    if state.told < state.asks:
        await _tell_cases(office, id, state)
        cause = timer_cause("cases", state.asks, 0, aggregate=id, service="grievance", now=now)
        await move(office, id, cluster.NoteTold(state.asks), cause, SYSTEM)
        return
    cause = timer_cause(f"fix {state.fix_by.isoformat()}", 1, 0, aggregate=id, service="grievance", now=now)
    await move(office, id, cluster.NoteOverdue(), cause, SYSTEM)


async def cases(database: Database, state: Cluster) -> AsyncIterator[tuple[str, Grievance]]:
    """The complaints that belong to it; appeals and what was never filed by anybody too."""
    first, following = cluster.bounds(state.month)
    async for document in filed_between(database, state.about_facility, first, following):
        case = Grievance.model_validate(document["state"])
        if case.category == state.category:
            yield document["_id"], case


async def _tell_cases(office: Office, id: str, state: Cluster) -> None:
    now = office.clock.now()
    async for case_id, case in cases(office.database, state):
        if case.cluster != id:
            joins = Cause(derive("cluster", id, "joins", case_id), "grievance", now)
            await usecases.move(office, case_id, JoinCluster(id), joins, SYSTEM)
        if state.status != "fixed" or state.outcome is None or not case.open:
            continue
        if cluster.may_answer(state, case.accused, case.about_person):
            fixed = Cause(derive("cluster", id, "fixes", state.asks, case_id), "grievance", now)
            answer = Resolve(state.outcome, state.what_was_done, state.fixer)
            try:
                await usecases.move(office, case_id, answer, fixed, SYSTEM)
            except (Refused, NotFound):
                # Resolved meanwhile, or other bodies still owe their part: it stays with its officer.
                log.info("case not answered by its cluster", extra={"aggregate": "cluster", "id": id})
