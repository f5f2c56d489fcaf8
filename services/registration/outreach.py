"""What the journal needs to know of households, benefit units, screenings, ASHAs and whom they brought."""

from __future__ import annotations

from libs.common.aggregate import AggregateType
from libs.contracts import registration as contract
from services.registration.domain import asha, benefit_unit, household, screening

HOUSEHOLD = AggregateType(
    name="household",
    collection="households",
    state=household.Household,
    topic=contract.HOUSEHOLD,
    events=(
        household.Formed,
        contract.HouseholdMemberJoined,
        contract.HouseholdMemberLeft,
        household.FamilyDescribed,
        household.LeaveGiven,
        contract.EnrolmentRefused,
        contract.EnrolmentRefusalReversed,
        household.HouseholdForgotten,
    ),
    evolve=household.evolve,
    claims=household.claims,
    indexes=(("state.current",), ("state.members.patient",)),
)

BENEFIT_UNIT = AggregateType(
    name="benefit unit",
    collection="benefit_units",
    state=benefit_unit.BenefitUnit,
    topic=contract.BENEFIT_UNIT,
    events=(benefit_unit.Formed, contract.BenefitUnitMemberJoined, contract.BenefitUnitMemberLeft),
    evolve=benefit_unit.evolve,
    claims=benefit_unit.claims,
    indexes=(("state.current",), ("state.household",)),
)

SCREENING = AggregateType(
    name="screening",
    collection="screenings",
    state=screening.Screening,
    topic=contract.SCREENING,
    events=(
        screening.Recorded,
        contract.ScreeningReferred,
        contract.ScreeningSuggestionDeclined,
        contract.ScreeningTreated,
        screening.ScreeningErased,
    ),
    evolve=screening.evolve,
    indexes=(("state.patient",),),
)

ASHA = AggregateType(
    name="asha",
    collection="ashas",
    state=asha.Asha,
    events=(asha.AshaRegistered, asha.AshaChanged, asha.AshaRetired),
    evolve=asha.evolve,
    indexes=(("state.facility", "state.sort_name"), ("state.facilitator",)),
)

BROUGHT = AggregateType(
    name="brought",
    collection="brought",
    state=asha.Brought,
    events=(asha.PersonBrought,),
    evolve=asha.evolve_brought,
    indexes=(("state.asha",),),
)

KINDS = (HOUSEHOLD, BENEFIT_UNIT, SCREENING, ASHA, BROUGHT)
