"""What the journal needs to know of registration's kinds."""

from __future__ import annotations

from libs.common.aggregate import AggregateType
from libs.contracts import registration as contract
from services.registration import outreach
from services.registration.domain import (
    caller,
    camp,
    care,
    home_card,
    identity,
    opd,
    patient,
    queue,
    review,
    share,
    visit,
)

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
        review.RecordExplained,
        patient.SeenAtFacility,
        patient.AbhaAddressAdded,
    ),
    evolve=patient.evolve,
    claims=patient.claims,
    # The second: keys of matching, by sound and by date (domain/who.py). The third: pairs of a name's
    # words, and the sex in keys of matching, which no longer stand on what a great part of a people is called.
    # The fourth: the years in keys of a village's namesakes, and of a family only what a person has for themselves.
    # The fifth: whoever's age is not known has keys of their own. The sixth: a year stands in them by itself.
    shape=6,
    derive=patient.searchable,
    indexes=(
        ("state.search.words",),
        ("state.search.pairs",),
        ("state.search.name",),
        ("state.card.phone",),
        ("state.search.keys",),
        ("state.review.status",),
        ("state.card.merged_into",),
    ),
)

IDENTITY = AggregateType(
    name="identity",
    collection="identities",
    state=identity.Identity,
    topic=contract.IDENTITY,
    events=(identity.ChangeBegun, contract.RecordsJoined, contract.RecordsParted, identity.NothingChanged),
    evolve=identity.evolve,
    retry_at=lambda state: state.settle_at,
)
"""Its id is the patient's."""

QUEUE = AggregateType(
    name="queue",
    collection="queues",
    state=queue.Queue,
    events=(queue.TokenTaken, queue.TokenRepeated, queue.HoldEnded, queue.PromisesChecked),
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

CALLER = AggregateType(
    name="caller",
    collection="callers",
    state=caller.Caller,
    topic=contract.CALLER,
    events=(contract.CodeRequested, contract.CallerErased, caller.CodeMissed, caller.CodeAccepted),
    evolve=caller.evolve,
)

HOME_CARD = AggregateType(
    name="home-card",
    collection="home_cards",
    state=home_card.HomeCard,
    events=(
        home_card.HomeCardIssued,
        home_card.DayChosen,
        home_card.CardArrived,
        home_card.CardVerified,
        home_card.CardWithdrawn,
        home_card.CardErased,
    ),
    evolve=home_card.evolve,
    claims=home_card.claims,
    indexes=(("state.caller",), ("state.patient",)),
)

CAMP_DEVICE = AggregateType(
    name="camp-device",
    collection="camp_devices",
    state=camp.Device,
    events=(
        camp.DeviceSetUp,
        camp.BlockGiven,
        camp.NumberUsed,
        camp.NumbersUsed,
        camp.DeviceEnrolled,
        camp.DeviceRevoked,
    ),
    evolve=camp.evolve_device,
    claims=lambda state: [f"card-prefix:{state.prefix}"],
    indexes=(("state.facility",),),
)

CAMP_ROW = AggregateType(
    name="camp-row",
    collection="camp_rows",
    state=camp.Row,
    events=(camp.RowTaken, camp.CardReserved, camp.CardReleased),
    evolve=camp.evolve_row,
    claims=lambda state: [f"card:{state.card}"] if state.card else [],
    indexes=(("state.patient",),),
)

CAMP_UPLOAD = AggregateType(
    name="camp-upload",
    collection="camp_uploads",
    state=camp.Upload,
    events=(camp.UploadBegun, camp.ChunkReceived, camp.RowsAnswered, camp.UploadRefused, camp.BytesForgotten),
    evolve=camp.evolve_upload,
    retry_at=lambda state: state.next_at,
)

KINDS = (
    PATIENT,
    IDENTITY,
    QUEUE,
    VISIT,
    SHARE,
    OPD,
    CALLER,
    HOME_CARD,
    CAMP_DEVICE,
    CAMP_ROW,
    CAMP_UPLOAD,
    *outreach.KINDS,
)
