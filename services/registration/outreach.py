"""What the journal needs to know of households and benefit units."""

from __future__ import annotations

from libs.common.aggregate import AggregateType
from libs.contracts import registration as contract
from services.registration.domain import benefit_unit, household

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
    ),
    evolve=household.evolve,
    claims=household.claims,
    indexes=(("state.current",),),
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

KINDS = (HOUSEHOLD, BENEFIT_UNIT)
