"""The player: what it refuses to read, what it sends, in which order, and what it holds against `expect`."""

from __future__ import annotations

import asyncio
import json
from pathlib import Path
from typing import Any

import jwt
import pytest

from deploy.local.issuer import Abdm, Issuer
from deploy.local.layout import REPOSITORY, Layout
from tools.playing.asking import Known, NotSent, Tokens, ask
from tools.playing.day import Line, Refused, journeys, read_day
from tools.playing.judging import Judge
from tools.playing.order import in_order
from tools.playing.result import Result, percentile

TOTALS = {"n": 9, "at": "2026-11-20T16:00:00+05:30", "verb": "totals", "body": {"patients": 1}}


def row(verb: str = "patient.register", **changes: Any) -> dict[str, Any]:
    actor = {"role": "desk", "facility": "HP-KNR-CHC-POOH", "id": "desk@HP-KNR-CHC-POOH"}
    usual = {"n": 1, "at": "2026-11-20T08:40:11+05:30", "actor": actor, "verb": verb, "key": "k1"}
    return {**usual, "body": {}, "expect": "ok", **changes}


def line(verb: str = "patient.register", **changes: Any) -> Line:
    return Line.model_validate(row(verb, **changes))


def citizen(id: str) -> dict[str, str]:
    return {"role": "citizen", "facility": "HP-KNR-CHC-POOH", "id": id}


def day_file(folder: Path, *rows: Any) -> Path:
    path = folder / "day.jsonl"
    path.write_text("".join((r if isinstance(r, str) else json.dumps(r)) + "\n" for r in rows))
    return path


# Reading


@pytest.mark.parametrize(
    ("rows", "told"),
    [
        (['{"n": 1'], ":1: not JSON"),
        (["[1]"], ":1: not a JSON object"),
        ([row(), {**row(), "key": None}], ":2: key: "),
        ([{k: v for k, v in row().items() if k != "actor"}], ":1: actor: field required"),
        ([row(at="2026-11-20T08:40:11")], ":1: at: "),
        ([row("patient.marry")], ":1: verb: 'patient.marry' is none of"),
        ([row("opd.token")], ":1: on: opd.token acts on something"),
        ([row("opd.token", on="P1")], ":1: on: no earlier line is labelled 'P1'"),
        ([row(expect="maybe")], ":1: expect: "),
        ([row(), TOTALS, row()], ":2: the totals stand before the last line"),
    ],
)
def test_a_file_that_is_no_day_is_refused_with_line_and_reason(tmp_path: Path, rows: list[Any], told: str) -> None:
    with pytest.raises(Refused) as refused:
        read_day(day_file(tmp_path, *rows))
    assert str(tmp_path / "day.jsonl") + told in str(refused.value)


def test_a_file_cut_short_is_refused(tmp_path: Path) -> None:
    with pytest.raises(Refused, match=r"day\.jsonl:1: the last line is not the totals"):
        read_day(day_file(tmp_path, row()))
    with pytest.raises(Refused, match="No such file"):
        read_day(tmp_path / "none.jsonl")


def test_the_recorded_day_is_read_whole() -> None:
    day = read_day(REPOSITORY / "data" / "day.jsonl")
    assert len(day.lines) == 609
    assert day.totals["rejected"] == sum(line.expect == "rejected" for line in day.lines)
    assert day.totals["retries"] == sum(line.expect == "same" for line in day.lines)


# Order


def test_lines_about_one_person_are_one_journey_whatever_links_them() -> None:
    lines = (
        line(label="P1", key="a"),
        line(label="P2", key="b"),
        line("referral.request", on="P1", label="R1", key="c"),
        line("referral.accept", on="R1", key="d"),
        line(key="b", expect="rejected"),
        line("grievance.file", key="e", actor=citizen("citizen:P2")),
        line("grievance.file", key="f", actor=citizen("citizen:anonymous")),
    )
    first, second, *_, anonymous = numbers = journeys(lines)
    assert numbers == [first, second, first, first, second, second, anonymous]
    assert len({first, second, anonymous}) == 3


async def test_a_journey_keeps_its_order_and_others_run_beside_it() -> None:
    going: set[str] = set()
    most, begun, ended = 0, [], []
    others_wait = asyncio.Event()

    async def act(item: str) -> None:
        nonlocal most
        begun.append(item)
        going.add(item)
        most = max(most, len(going))
        if item == "a1":
            await others_wait.wait()
        if item == "c1":
            others_wait.set()
        await asyncio.sleep(0)
        going.discard(item)
        ended.append(item)

    items = [("a", "a1"), ("b", "b1"), ("c", "c1"), ("a", "a2"), ("b", "b2"), ("d", "d1")]
    await asyncio.wait_for(in_order(items, act, 3), 5)
    assert begun == [item for _, item in items]
    assert ended.index("a1") < begun.index("a2")
    assert 1 < most <= 3


async def test_an_error_ends_the_play() -> None:
    async def act(item: int) -> None:
        if item == 2:
            raise OSError("disk full")

    with pytest.raises(ExceptionGroup) as raised:
        await asyncio.wait_for(in_order(enumerate(range(50)), act, 4), 5)
    assert raised.group_contains(OSError, match="disk full")


# Asking


@pytest.fixture
def issuer(tmp_path: Path) -> Issuer:
    return Issuer(Layout(tmp_path), "http://issuer.localhost")


@pytest.fixture
def tokens(issuer: Issuer) -> Tokens:
    return Tokens(issuer, Abdm(issuer.layout))


def claims(headers: dict[str, str]) -> dict[str, Any]:
    told: dict[str, Any] = jwt.decode(headers["Authorization"].split()[1], options={"verify_signature": False})
    return told


def test_the_line_s_time_is_the_time_of_sending_and_occurred_at_goes_into_the_body(tokens: Tokens) -> None:
    asked = ask(line(occurred_at="2026-11-20T05:40:11+05:30", body={"name": "Jigmet"}), Known(), tokens)
    assert (asked.service, asked.path) == ("registration", "/patients")
    assert asked.headers["Date"] == "Fri, 20 Nov 2026 03:10:11 GMT"
    assert asked.headers["Idempotency-Key"] == "k1"
    assert asked.body == {"name": "Jigmet", "occurred_at": "2026-11-20T05:40:11+05:30"}
    assert claims(asked.headers)["sub"] == "desk@HP-KNR-CHC-POOH"
    assert claims(asked.headers)["facility"] == "HP-KNR-CHC-POOH"


def test_a_share_goes_exactly_as_the_gateway_sends_it(tokens: Tokens) -> None:
    body = {"intent": "PROFILE_SHARE", "metaData": {"hipId": "IN9900000002", "context": "OPD1"}}
    asked = ask(line("opd.share", body=body, occurred_at="2026-11-20T08:30:00+05:30"), Known(), tokens)
    assert asked.body == body
    assert asked.headers["TIMESTAMP"] == "2026-11-20T03:10:11.000Z"
    assert asked.headers["REQUEST-ID"] == "k1"
    assert asked.headers["X-HIP-ID"] == "IN9900000002"
    assert "Idempotency-Key" not in asked.headers


def test_a_move_names_what_the_earlier_answer_called_it(tokens: Tokens) -> None:
    known = Known({"R1": {"id": "r-1"}})
    asked = ask(line("referral.no-show", on="R1"), known, tokens)
    assert (asked.service, asked.path) == ("referral", "/referrals/r-1/no-show")
    with pytest.raises(NotSent, match="R2 was not created"):
        ask(line("referral.no-show", on="R2"), known, tokens)


def test_whoever_complains_by_name_carries_a_token_and_whoever_does_not_a_secret(tokens: Tokens) -> None:
    known = Known({"P1": {"id": "p-1"}, "G1": {"id": "g-1", "ticket": "T-9", "secret": "s"}})
    named = ask(line("grievance.file", on="P1", actor=citizen("citizen:P1"), body={"text": "x"}), known, tokens)
    assert named.body == {"text": "x", "patient": "p-1"}
    assert claims(named.headers)["patient"] == "p-1"
    nobody = ask(line("grievance.file", actor=citizen("citizen:anonymous"), body={"text": "x"}), known, tokens)
    assert "Authorization" not in nobody.headers
    confirmed = ask(line("grievance.confirm", on="G1", actor=citizen("citizen:anonymous")), known, tokens)
    assert confirmed.path == "/tracking/T-9/confirm"
    assert confirmed.headers["X-Tracking-Secret"] == "s"
    assert "Authorization" not in confirmed.headers
    other = ask(line("grievance.confirm", on="G1", actor=citizen("citizen:somebody-else")), known, tokens)
    assert other.path == "/grievances/g-1/confirm"
    assert "patient" not in claims(other.headers)


# Judging


def share(patient: str, number: str) -> dict[str, str]:
    return {"patient": patient, "visit": "v", "tokenNumber": number}


def shared(expect: str, key: str, counter: str = "OPD1", **on: str) -> Line:
    return line("opd.share", expect=expect, key=key, body={"metaData": {"hipId": "IN99", "context": counter}}, **on)


def test_a_retry_must_get_the_first_answer_again() -> None:
    judge = Judge(Known())
    assert judge.judge(line(label="P1"), 201, {"id": "p-1", "name": "Jigmet"}) is None
    assert judge.known.id("P1") == "p-1"
    assert judge.judge(line(label="P1", expect="same"), 200, {"id": "p-1", "name": "Jigmet"}) is None
    what = judge.judge(line(label="P1", expect="same"), 201, {"id": "p-2", "name": "Jigmet"})
    assert what == "differs from the first answer of this key: id: p-2, not p-1"


def test_a_rescan_gets_the_same_person_and_the_same_token_and_another_counter_the_same_person() -> None:
    judge = Judge(Known())
    assert judge.judge(shared("ok", "a", label="P1"), 202, share("p-1", "4")) is None
    assert judge.judge(shared("same", "b", on="P1"), 202, share("p-1", "4")) is None
    assert judge.judge(shared("ok", "c", "OPD2", on="P1"), 202, share("p-1", "9")) is None
    assert judge.judge(shared("same", "d", on="P1"), 202, share("p-1", "5")) == "another token: 5, not 4"
    assert (
        judge.judge(shared("ok", "e", on="P1"), 202, share("p-2", "4")) == "another patient than P1 was: p-2, not p-1"
    )


@pytest.mark.parametrize("status", [401, 404, 500, 200, 0])
def test_only_a_reasoned_refusal_is_a_refusal(status: int) -> None:
    judge = Judge(Known())
    assert judge.judge(line(expect="rejected"), 422, {}) is None
    assert judge.judge(line(expect="rejected"), status, {}) == f"should have been refused, was answered {status}"


def test_a_line_that_should_be_accepted_and_is_not_is_told_with_the_answer() -> None:
    what = Judge(Known()).judge(line(), 409, {"detail": "already arrived"})
    assert what == 'answered 409: {"detail": "already arrived"}'


def test_the_next_play_on_the_same_state_must_be_answered_alike(tmp_path: Path) -> None:
    path = day_file(tmp_path, row(label="P1"), TOTALS)
    day = read_day(path)
    first = Result(tmp_path / "play", day)
    first.add(day.lines[0], "desk", 201, 0.004, {"id": "p-1"}, None)
    first.finish({"P1": "p-1"}, 0)
    with (tmp_path / "play" / "answers.jsonl").open("a") as kept:
        kept.write('{"n": 2, "ans')
    judge = Judge(Known(), Result(tmp_path / "play", day).last_play())
    assert judge.judge(day.lines[0], 201, {"id": "p-1"}) is None
    assert judge.compared == 1
    what = Judge(Known(), Result(tmp_path / "play", day).last_play()).judge(day.lines[0], 201, {"id": "p-2"})
    assert what == "differs from the answer of the last play: id: p-2, not p-1"


def test_the_figures_count_what_was_seen(tmp_path: Path) -> None:
    day = read_day(day_file(tmp_path, row(label="P1"), row(expect="rejected", key="z"), TOTALS))
    result = Result(tmp_path / "play", day)
    result.add(day.lines[0], "desk", 500, 0.010, "oh", "answered 500: oh")
    result.add(day.lines[1], "desk", 422, 0.002, {}, None)
    told = result.finish({}, 0)
    assert (told["lines"], told["unexpected"], told["rejected"], told["retries"]) == (2, 1, 1, 0)
    assert told["differences"] == [
        {"n": 1, "verb": "patient.register", "expect": "ok", "status": 500, "what": "answered 500: oh"}
    ]
    assert (told["p50_ms"], told["p99_ms"]) == (2.0, 10.0)


def test_percentiles_are_of_the_nearest_rank() -> None:
    assert percentile([], 99) == 0
    assert percentile([float(n) for n in range(1, 101)], 99) == 99
    assert percentile([1.0, 2.0, 3.0], 50) == 2
