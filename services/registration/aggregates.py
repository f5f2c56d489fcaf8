"""What the journal needs to know of registration's kinds."""

from __future__ import annotations

from libs.common.aggregate import AggregateType
from libs.contracts import registration as contract
from services.registration import outreach
from services.registration.domain import care, opd, patient, queue, review, share, visit

PATIENT = AggregateType(
    name="patient",
    collection="patients",
    state=patient.Patient,
    topic=contract.PATIENT,
    events=(
        contract.PatientRegistered,
        contract.PatientCorrected,
        contract.PatientVoided,
        contract.PatientMerged,
        contract.PatientUnmerged,
        contract.RecordOpened,
        care.ConsentGiven,
        care.ConsentWithdrawn,
        care.OpenedForCare,
        contract.PatientErased,
        review.MatchesNoted,
        review.ReviewResolved,
        patient.SeenAtFacility,
        patient.AbhaAddressAdded,
    ),
    evolve=patient.evolve,
    claims=patient.claims,
    indexes=(
        ("state.search.words",),
        ("state.search.name",),
        ("state.card.phone",),
        ("state.search.keys",),
        ("state.review.status",),
        ("state.card.merged_into",),
    ),
)

QUEUE = AggregateType(
    name="queue",
    collection="queues",
    state=queue.Queue,
    events=(queue.TokenTaken, queue.TokenRepeated, queue.PromisesChecked),
    evolve=queue.evolve,
    retry_at=lambda state: state.check_at,
)

VISIT = AggregateType(
    name="visit",
    collection="visits",
    state=visit.Visit,
    topic=contract.VISIT,
    events=(
        visit.TokenIssued,
        contract.TokenCalled,
        contract.TokenServed,
        contract.TokenSkipped,
        contract.TokenNoShow,
        contract.TokenTransferred,
        contract.TokenVoided,
        visit.TokenPutFirst,
    ),
    evolve=visit.evolve,
    indexes=(
        ("state.facility", "state.counter", "state.date", "state.number"),
        ("state.facility", "state.date"),
        ("state.patient",),
    ),
)

OPD = AggregateType(
    name="opd",
    collection="opds",
    state=opd.Opd,
    events=(opd.OpdSetUp, opd.CounterSetUp, opd.CounterOpened, opd.CounterClosed),
    evolve=opd.evolve,
)

SHARE = AggregateType(
    name="share",
    collection="shares",
    state=share.Share,
    events=(
        share.ShareReceived,
        share.Attempted,
        share.AttemptFailed,
        share.Acknowledged,
        share.AcknowledgementFailed,
        share.ShareErased,
    ),
    evolve=share.evolve,
    retry_at=lambda state: state.next_at,
    indexes=(("state.patient",), ("state.facility", "state.status", "state.received_at")),
)

KINDS = (PATIENT, QUEUE, VISIT, SHARE, OPD, *outreach.KINDS)
