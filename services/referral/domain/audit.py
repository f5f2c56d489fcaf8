"""The monthly referral audit (J&K orders one from every district): figures of the referrals that were asked for in a
month, each with its definition. Worked out from states alone; the tests work them out again from journals.

A month is that of India. Times are by the service's own clock, in minutes; a median of nothing is absent.
"""

from __future__ import annotations

import datetime as dt
from collections import Counter, defaultdict
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from statistics import median
from typing import TYPE_CHECKING, Any

from services.referral.domain.today import INDIA

if TYPE_CHECKING:
    from services.referral.domain.referral import Referral

ADVICE = frozenset({"advice-asked", "advice-lapsed", "advice-given", "treated-at-origin", "withdrawn"})
"""Statuses of a question that has not become a referral: not sent, and not counted as such."""

DEFINITIONS: Mapping[str, str] = {
    "sent": "referrals asked for in the month, each hop of a chain for itself; questions for advice are not referrals",
    "chains": "of these, first hops",
    "answered": "accepted, declined or redirected since it was asked for, the last time",
    "answered_in_time": "answered, the first time, before the promise to answer was broken",
    "median_minutes_to_answer": "from asking to the first answer after it",
    "accepted": "ever accepted",
    "arrived": "the patient stood at the destination's desk",
    "treated": "an outcome was recorded",
    "back_referred": "handed back to the origin with advice",
    "closed": "the origin acknowledged the advice: the loop is closed",
    "closed_loop_percent": "closed of sent, rounded down",
    "avoidable": "outcome manageable-at-origin, or treated and discharged on the day of arrival without a procedure",
    "avoidable_not_known": "treated and discharged on the day of arrival, and nobody said if with a procedure",
    "declined": "ended declined, by reason",
    "cancelled": "ended cancelled, by reason",
    "redirected": "asked of another facility instead",
    "redirect_depth": "of those that a redirection opened, the place in its chain of the deepest, the first being 0",
    "no_show": "the patient did not come at least once",
    "lapsed": "nobody answered in time",
    "emergencies": "asked for as an emergency",
    "median_minutes_by_leg": "answer to departure, departure to arrival, arrival to outcome, outcome to handing back, "
    "handing back to acknowledgement",
    "held": "held on the way at least once",
    "minutes_lost_by_cause": "on the way, from each hold to what ended it; holds that are not over are not in it",
    "journeys_avoided": "questions for advice of the month that ended treated at the origin",
    "load": "patients who arrived, by facility, against its beds as the directory has them",
}

LEGS = (
    ("answer-to-departure", ("ReferralAccepted",), ("departed",)),
    ("departure-to-arrival", ("departed",), ("PatientArrived",)),
    ("arrival-to-outcome", ("PatientArrived",), ("OutcomeRecorded",)),
    ("outcome-to-back-referral", ("OutcomeRecorded",), ("PatientBackReferred",)),
    ("back-referral-to-acknowledgement", ("PatientBackReferred",), ("ReferralClosed",)),
)


@dataclass(frozen=True)
class Figures:
    """Of one group of referrals. What is not named by DEFINITIONS is not there."""

    sent: int
    chains: int
    answered: int
    answered_in_time: int
    median_minutes_to_answer: float | None
    accepted: int
    arrived: int
    treated: int
    back_referred: int
    closed: int
    closed_loop_percent: int | None
    avoidable: int
    avoidable_not_known: int
    declined: Mapping[str, int]
    cancelled: Mapping[str, int]
    redirected: int
    redirect_depth: int
    no_show: int
    lapsed: int
    emergencies: int
    median_minutes_by_leg: Mapping[str, float]
    held: int
    minutes_lost_by_cause: Mapping[str, int]
    journeys_avoided: int


def month_of(moment: dt.datetime) -> str:
    """`2026-11`, in India."""
    return moment.astimezone(INDIA).strftime("%Y-%m")


def bounds(month: str) -> tuple[dt.datetime, dt.datetime]:
    """The first instant of the month in India, and that of the next. Raises ValueError."""
    first = dt.datetime.strptime(month, "%Y-%m").replace(tzinfo=INDIA)
    following = (first.replace(day=28) + dt.timedelta(days=4)).replace(day=1)
    return first.astimezone(dt.UTC), following.astimezone(dt.UTC)


def figures(states: Iterable[Referral]) -> Figures:
    """Of these referrals and questions, whichever they are."""
    everything = list(states)
    sent = [state for state in everything if state.status not in ADVICE]
    answers = [(state, at) for state in sent if (at := state.answered_at) is not None]
    legs: dict[str, list[float]] = defaultdict(list)
    lost: Counter[str] = Counter()
    for state in sent:
        for name, minutes in _legs(state):
            legs[name].append(minutes)
        if state.leg is not None:
            for cause, seconds in state.leg.lost_seconds.items():
                lost[cause] += seconds
    closed = _having(sent, "ReferralClosed")
    return Figures(
        sent=len(sent),
        chains=sum(state.hop == 1 for state in sent),
        answered=len(answers),
        answered_in_time=sum(state.answer_due is None or at <= state.answer_due for state, at in answers),
        median_minutes_to_answer=_median([_minutes(state.requested_at, at) for state, at in answers]),
        accepted=_having(sent, "ReferralAccepted"),
        arrived=_having(sent, "PatientArrived"),
        treated=_having(sent, "OutcomeRecorded"),
        back_referred=_having(sent, "PatientBackReferred"),
        closed=closed,
        closed_loop_percent=100 * closed // len(sent) if sent else None,
        avoidable=sum(state.avoidable is True for state in sent),
        avoidable_not_known=sum(state.outcome is not None and state.avoidable is None for state in sent),
        declined=_codes(state.declined_for for state in sent if state.status == "declined"),
        cancelled=_codes(state.cancelled_for for state in sent if state.status == "cancelled"),
        redirected=_having(sent, "ReferralRedirected"),
        redirect_depth=max((state.hop - 1 for state in sent if state.hop_why == "redirected"), default=0),
        no_show=_having(sent, "PatientNoShow"),
        lapsed=_having(sent, "ReferralLapsed"),
        emergencies=sum(state.urgency == "emergency" for state in sent),
        median_minutes_by_leg={name: _median(minutes) or 0.0 for name, minutes in sorted(legs.items())},
        held=_having(sent, "TransportHeld"),
        minutes_lost_by_cause={cause: seconds // 60 for cause, seconds in sorted(lost.items())},
        journeys_avoided=sum(state.status == "treated-at-origin" for state in everything),
    )


def grouped(states: Iterable[Referral], by: Sequence[str]) -> dict[tuple[str, ...], list[Referral]]:
    """The referrals by month, origin, destination or service, in the order of the groups' names."""
    groups: dict[tuple[str, ...], list[Referral]] = defaultdict(list)
    for state in states:
        groups[tuple(_key(state, name) for name in by)].append(state)
    return dict(sorted(groups.items()))


def load(states: Iterable[Referral]) -> dict[str, int]:
    """How many patients arrived, by destination."""
    arrived = Counter(
        state.destination for state in states if state.status not in ADVICE and "PatientArrived" in state.milestones
    )
    return dict(sorted(arrived.items()))


def _key(state: Referral, name: str) -> str:
    return month_of(state.requested_at) if name == "month" else str(getattr(state, name))


def _legs(state: Referral) -> Iterable[tuple[str, float]]:
    at: dict[str, dt.datetime] = dict(state.milestones)
    if state.leg is not None and state.leg.departed_at is not None:
        at["departed"] = state.leg.departed_at
    for name, (since,), (until,) in LEGS:
        if since in at and until in at and at[until] >= at[since]:
            yield name, _minutes(at[since], at[until])


def _having(states: Iterable[Referral], event: str) -> int:
    return sum(event in state.milestones for state in states)


def _codes(reasons: Iterable[str | None]) -> dict[str, int]:
    return dict(sorted(Counter(reason or "other" for reason in reasons).items()))


def _minutes(since: dt.datetime, until: dt.datetime) -> float:
    return (until - since).total_seconds() / 60


def _median(minutes: list[float]) -> float | None:
    return round(float(median(minutes)), 1) if minutes else None


def flat(found: Figures) -> dict[str, Any]:
    """One line of a table: what has parts becomes a column for each, `declined.no-bed`."""
    line: dict[str, Any] = {}
    for name, value in vars(found).items():
        if isinstance(value, Mapping):
            line |= {f"{name}.{part}": count for part, count in value.items()}
        else:
            line[name] = value
    return line
