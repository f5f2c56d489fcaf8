"""Events in: the directory's cards, and what opens a case before anybody complains."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Mapping, Sequence

from libs.common.records import Received
from libs.common.service import Service
from libs.contracts.notifications import MESSAGE
from libs.contracts.referral import FACILITY, REFERRAL
from libs.contracts.registration import HOUSEHOLD, IDENTITY, VISIT, TokenIssued
from services.grievance import usecases
from services.grievance.directory import Directory
from services.grievance.domain import proactive
from services.grievance.usecases import Office


def directory(service: Service) -> Directory:
    """The facilities, kept as a replica of the referral service's cards."""
    return Directory(service.replica(FACILITY, "facilities"))


def reactions(service: Service, office: Office, rules: Mapping[str, Sequence[proactive.Rule]]) -> None:
    react = reaction(office, rules)
    for topic in (REFERRAL, VISIT, HOUSEHOLD, IDENTITY, MESSAGE):
        service.react(topic, react)


def reaction(office: Office, rules: Mapping[str, Sequence[proactive.Rule]]) -> Callable[[Received], Awaitable[None]]:
    """Remembers who was where, and opens a case where a rule says so."""

    async def react(received: Received) -> None:
        await office.sightings.saw(received)
        await _watch(office, rules.get(proactive.NEVER_CALLED, ()), received)
        if received.type not in rules:
            return
        data = received.event.model_dump(mode="json")
        if found := proactive.found(rules[received.type], received.key, data, received.occurred_at):
            await usecases.open_by_itself(office, found, received.id, received.occurred_at)

    return react


async def _watch(office: Office, rules: Sequence[proactive.Rule], received: Received) -> None:
    """What no event says: that a token was never called."""
    if not rules or not isinstance(received.event, TokenIssued):
        return
    for token in await office.sightings.never_called(received.event):
        data = {"facility": token.facility}
        if found := proactive.found(rules, token.visit, data, received.occurred_at):
            await usecases.open_by_itself(office, found, received.id, received.occurred_at)
