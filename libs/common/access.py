"""Who may do what: role × facility, one table per service, enforced where the store is read and written."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any


class Forbidden(Exception):
    """The caller's role or facility may not do this. Says which rule refused, never whose record it was."""

    def __init__(self, detail: str) -> None:
        super().__init__(detail)
        self.detail = detail


@dataclass(frozen=True)
class Caller:
    """Who a verified token says is calling; never who a header says.

    `facility` is one facility code; a citizen's and an operator's may be empty. `patient` is the patient a citizen is.
    """

    subject: str
    role: str
    facility: str = ""
    patient: str | None = None

    @property
    def actor(self) -> str:
        """As it stands in journals and on topics: `role@facility`; a citizen is only `citizen`."""
        if self.role in ("citizen", "anonymous"):
            return "citizen"
        return f"{self.role}@{self.facility}" if self.facility else self.role

    @property
    def names(self) -> tuple[str, ...]:
        """What a state may name the caller by: a subject also in lower case, as an id that was typed is kept."""
        return tuple(dict.fromkeys((self.subject, self.subject.lower(), self.actor)))


ANONYMOUS = Caller(subject="anonymous", role="anonymous")


@dataclass(frozen=True)
class Rule:
    """One row of a service's table.

    `roles` may call; empty means public. `at` names the state's fields one of which must be the caller's facility
    (dots lead into nested fields; a field may hold a list of facilities). `own` names the state's field that must be
    the caller's subject, asked only of citizens. `never` names the state's field that must not be the caller, said as
    a subject or as `role@facility`: nobody acts on what is about themselves. `reads_person` marks a route whose
    reading is logged for a year.
    """

    roles: frozenset[str] = frozenset()
    at: tuple[str, ...] = ()
    own: str | None = None
    reads_person: bool = False
    never: str | None = None

    @property
    def public(self) -> bool:
        return not self.roles


def allow(
    *roles: str,
    at: str | tuple[str, ...] = (),
    own: str | None = None,
    reads_person: bool = False,
    never: str | None = None,
) -> Rule:
    return Rule(frozenset(roles), (at,) if isinstance(at, str) else tuple(at), own, reads_person, never)


PUBLIC = Rule()

Table = Mapping[str, Rule]
"""Rules by route, written as `"POST /referrals/{id}/accept"`."""


def _field(state: Mapping[str, Any], path: str) -> Any:
    value: Any = state
    for part in path.split("."):
        value = value.get(part) if isinstance(value, Mapping) else None
    return value


@dataclass(frozen=True)
class Access:
    """A caller under the rule of the route that was called. Every read and write of the store asks for one."""

    caller: Caller
    rule: Rule = field(default_factory=Rule)
    route: str = ""
    purpose: str = "CAREMGT"

    def check(self, state: Mapping[str, Any]) -> None:
        """Raises Forbidden unless the rule lets this caller touch an aggregate with this state (as stored)."""
        rule, caller = self.rule, self.caller
        if rule.own and caller.role == "citizen" and _field(state, rule.own) != caller.subject:
            raise Forbidden("only the one who filed it may do this")
        if not rule.at or (caller.role == "citizen" and rule.own):
            return
        refusal = Forbidden(f"your facility must be its {' or '.join(p.replace('_', ' ') for p in rule.at)}")
        # In the same words as a stranger: who is complained about does not learn of it here.
        if rule.never is not None and _field(state, rule.never) in caller.names:
            raise refusal
        for path in rule.at:
            value = _field(state, path)
            if caller.facility and (value == caller.facility or (isinstance(value, list) and caller.facility in value)):
                return
        raise refusal

    def filter(self) -> dict[str, Any]:
        """The same rule as a MongoDB filter over `state`, for lists and searches."""
        rule, caller = self.rule, self.caller
        if rule.own and caller.role == "citizen":
            return {f"state.{rule.own}": caller.subject}
        if not rule.at:
            return {}
        if not caller.facility:
            return {"_id": {"$in": []}}
        paths = [{f"state.{path}": caller.facility} for path in rule.at]
        found: dict[str, Any] = paths[0] if len(paths) == 1 else {"$or": paths}
        if rule.never is not None:
            found = found | {f"state.{rule.never}": {"$nin": list(caller.names)}}
        return found


SYSTEM = Access(Caller(subject="system", role="system"))
"""For what services do by themselves: reactions to events, and timers."""
