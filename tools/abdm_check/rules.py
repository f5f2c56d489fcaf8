"""NHA's rules for Scan & Share, each as one question to the facility system.

Sources: `[share]` NHA Scan & Share v3 as observed in the sandbox on 2026-09-16, `[gateway]` ABDM gateway v3,
`[card]` the ABHA profile's documented values. A rule raises Broken with what was seen, or NotAsked.
"""

from __future__ import annotations

import asyncio
import base64
import datetime as dt
import hashlib
import hmac
import json
import re
import time
import uuid
from collections.abc import Awaitable, Callable
from dataclasses import dataclass

from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat

from tools.abdm_check.gateway import Key
from tools.abdm_check.kit import (
    KEY_LEARNT_WITHIN,
    SCREEN_WAITS,
    Broken,
    Kit,
    NotAsked,
    Sent,
    token_of,
)

Question = Callable[[Kit], Awaitable[str | None]]
"""What is to be known beside that it holds, or nothing."""

AT_ONCE = 5.0
"""Seconds within which a share must be answered, whatever is done with it afterwards."""

HALF_AN_HOUR = 1800


@dataclass(frozen=True)
class Rule:
    name: str
    says: str
    source: str
    ask: Question


RULES: list[Rule] = []


def rule(name: str, says: str, source: str) -> Callable[[Question], Question]:
    def kept(ask: Question) -> Question:
        RULES.append(Rule(name, says, source, ask))
        return ask

    return kept


def _expect(holds: object, seen: str) -> None:
    if not holds:
        raise Broken(seen)


def _refused(sent: Sent, what: str) -> None:
    _expect(400 <= sent.status < 500, f"{what} was answered {sent.status or 'not at all'}")


# Who may call


@rule("token-needed", "A share without the gateway's token is refused", "[gateway]")
async def token_needed(kit: Kit) -> None:
    for header in (None, "Bearer nonsense", "Basic bm86Ym9keQ=="):
        _refused(await kit.share(kit.counter(), kit.person(), headers={"Authorization": header}), "such a share")


@rule("token-signed", "A token signed by a key that is not in the key set is refused", "[gateway]")
async def token_signed(kit: Kit) -> None:
    stranger = Key.fresh()
    unknown = kit.gateway.token(key=stranger)
    borrowed = kit.gateway.token(key=Key(stranger.private, kit.gateway.key.kid))
    for token, what in ((unknown, "an unknown key's token"), (borrowed, "a forged token under a known kid")):
        sent = await kit.share(kit.counter(), kit.person(), headers={"Authorization": f"Bearer {token}"})
        _refused(sent, what)


@rule("token-fresh", "An expired token is refused", "[gateway]")
async def token_fresh(kit: Kit) -> None:
    expired = kit.gateway.token(minutes=-10)
    _refused(
        await kit.share(kit.counter(), kit.person(), headers={"Authorization": f"Bearer {expired}"}), "an expired token"
    )


@rule("token-rs256", "Only RS256 is taken: not `none`, not HS256 keyed with the public key", "[gateway]")
async def token_rs256(kit: Kit) -> None:
    def part(value: object) -> str:
        return base64.urlsafe_b64encode(json.dumps(value).encode()).decode().rstrip("=")

    key = kit.gateway.key
    claims = part({"sub": "abdm-gateway", "exp": int(time.time()) + 600})
    bare = f"{part({'alg': 'none', 'kid': key.kid})}.{claims}"
    public = key.private.public_key().public_bytes(Encoding.PEM, PublicFormat.SubjectPublicKeyInfo)
    signed = f"{part({'alg': 'HS256', 'kid': key.kid})}.{claims}"
    mac = base64.urlsafe_b64encode(hmac.new(public, signed.encode(), hashlib.sha256).digest()).decode().rstrip("=")
    for token, what in ((f"{bare}.", "an unsigned token"), (f"{signed}.{mac}", "a token keyed with the public key")):
        sent = await kit.share(kit.counter(), kit.person(), headers={"Authorization": f"Bearer {token}"})
        _refused(sent, what)


# Answer and acknowledgement


@rule("answered-at-once", "A share is answered 200 or 202 at once", "[share]")
async def answered_at_once(kit: Kit) -> None:
    sent = await kit.share(kit.counter(), kit.person())
    _expect(sent.accepted, f"answered {sent.status or 'not at all'}: {sent.text[:120]}")
    _expect(sent.seconds <= AT_ONCE, f"answered after {sent.seconds:.1f} s")


@rule("on-share-in-time", "on-share arrives within the 30 s that the citizen's screen waits", "[share]")
async def on_share_in_time(kit: Kit) -> None:
    sent = await kit.share(kit.counter(), kit.person())
    call = await kit.acknowledged(sent)
    _expect(call.at - sent.at <= SCREEN_WAITS, f"it came after {call.at - sent.at:.1f} s")


@rule(
    "on-share-shape", "on-share says SUCCESS, whose, at which counter, the number and its seconds, as text", "[share]"
)
async def on_share_shape(kit: Kit) -> None:
    person, counter = kit.person(number=True), kit.counter()
    body = (await kit.acknowledged(await kit.share(counter, person))).body
    token = token_of(body)
    said = body["acknowledgement"]
    _expect(said.get("status") == "SUCCESS", f"status is {said.get('status')!r}")
    _expect(str(said.get("abhaAddress", "")).casefold() == person.address, "abhaAddress is not the one that shared")
    _expect(token.get("context") == counter, f"profile.context is {token.get('context')!r}, not the counter's id")
    for name in ("tokenNumber", "expiry"):
        value = token.get(name)
        _expect(isinstance(value, str) and value.isdecimal(), f"profile.{name} is no number written as text: {value!r}")
    _expect(int(token["expiry"]) >= HALF_AN_HOUR, f"expiry is {token['expiry']} s: less than 30 minutes")


@rule("token-or-error", "on-share carries a token or an error, never both, and names the request once", "[share]")
async def token_or_error(kit: Kit) -> None:
    body = (await kit.acknowledged(await kit.share(kit.counter(), kit.person()))).body
    _expect(not (body.get("error") and body.get("acknowledgement")), "it carries both")
    _expect(set(body) <= {"acknowledgement", "error", "response"}, f"unknown members: {sorted(set(body))}")


@rule("on-share-headers", "on-share has a session token, a REQUEST-ID, TIMESTAMP in UTC with Z, X-CM-ID", "[gateway]")
async def on_share_headers(kit: Kit) -> None:
    call = await kit.acknowledged(await kit.share(kit.counter(), kit.person()))
    _expect(re.fullmatch(r"[0-9a-fA-F\-]{36}", call.headers.get("request-id", "")), "REQUEST-ID is no UUID")
    stamp = call.headers.get("timestamp", "")
    _expect(re.fullmatch(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{3}Z", stamp), f"TIMESTAMP is {stamp!r} (ABDM-1016)")
    off = abs(dt.datetime.fromisoformat(stamp).timestamp() - call.wall)
    _expect(off < 120, f"TIMESTAMP is {off:.0f} s off")
    _expect(call.headers.get("x-cm-id") in ("sbx", "abdm"), f"X-CM-ID is {call.headers.get('x-cm-id')!r}")


@rule("session-asked", "The session token is asked for with clientId, clientSecret and grantType", "[gateway]")
async def session_asked(kit: Kit) -> None:
    await kit.acknowledged(await kit.share(kit.counter(), kit.person()))
    asked = kit.gateway.asked_sessions
    _expect(asked, "no session was asked for")
    _expect(set(asked[-1]) >= {"clientId", "clientSecret", "grantType"}, f"it was asked with {sorted(asked[-1])}")
    _expect(asked[-1]["grantType"] == "client_credentials", "grantType is not client_credentials")


@rule("session-renewed", "A session that the gateway no longer takes (401) is asked for anew", "[gateway]")
async def session_renewed(kit: Kit) -> None:
    await kit.acknowledged(await kit.share(kit.counter(), kit.person()))
    kit.gateway.sessions.clear()
    await kit.acknowledged(await kit.share(kit.counter(), kit.person()))


@rule("on-share-retried", "on-share is sent again when the gateway is not able, and still in time", "[share]")
async def on_share_retried(kit: Kit) -> None:
    kit.gateway.refuse_next = 2
    try:
        sent = await kit.share(kit.counter(), kit.person())
        await kit.acknowledged(sent)
    finally:
        kit.gateway.refuse_next = 0
    bodies = [call.body for call in kit.gateway.answers(sent.request_id)]
    _expect(all(body == bodies[0] for body in bodies), "the attempts say different things")
    taken = [call for call in kit.gateway.answers(sent.request_id) if call.answered == 202]
    _expect(len(taken) == 1, f"it was taken {len(taken)} times")


# Numbers


@rule("numbers-from-one", "A counter's numbers of a day are 1, 2, 3", "[share]")
async def numbers_from_one(kit: Kit) -> None:
    counter = kit.counter()
    numbers = [await kit.take(counter, kit.person()) for _ in range(3)]
    _expect(numbers == [1, 2, 3], f"they are {numbers}")


@rule("numbers-per-counter", "Each counter has numbers of its own, and a person may stand at two", "[share]")
async def numbers_per_counter(kit: Kit) -> None:
    one, other, person = kit.counter(), kit.counter(), kit.person()
    numbers = [await kit.take(one, kit.person()), await kit.take(one, person), await kit.take(other, person)]
    _expect(numbers == [1, 2, 1], f"first, second, and first of another counter are {numbers}")


@rule("rescan-same", "Scanning again while the token is valid gives the same number, and takes none", "[share]")
async def rescan_same(kit: Kit) -> None:
    counter, person = kit.counter(), kit.person()
    numbers = [await kit.take(counter, who) for who in (person, person, kit.person(), person)]
    _expect(numbers == [1, 1, 2, 1], f"scan, again, somebody else, again: {numbers}")


@rule("request-repeated", "A REQUEST-ID that comes again gives the same number, and takes none", "[gateway]")
async def request_repeated(kit: Kit) -> None:
    counter, person, request_id = kit.counter(), kit.person(), str(uuid.uuid4())
    at = dt.datetime.now(dt.UTC)
    first = await kit.take(counter, person, request_id=request_id, at=at)
    again = await kit.share(counter, person, request_id=request_id, at=at)
    _expect(again.accepted or again.status == 409, f"the repeat was answered {again.status}")
    following = await kit.take(counter, kit.person())
    _expect((first, following) == (1, 2), f"the first got {first}, the next after a repeat {following}")
    said = {int(token_of(c.body)["tokenNumber"]) for c in kit.gateway.answers(request_id) if c.answered == 202}
    _expect(said == {1}, f"this request was acknowledged with {sorted(said)}")


@rule("many-at-once", "Twenty at once, some of them twice, get 1 to 20, none twice and none missing", "[share]")
async def many_at_once(kit: Kit) -> None:
    counter, people = kit.counter(), [kit.person() for _ in range(20)]
    sent = await asyncio.gather(*(kit.share(counter, people[index % 20]) for index in range(27)))
    numbers = await kit.take_all(sent)
    _expect(sorted(numbers[:20]) == list(range(1, 21)), f"they got {sorted(numbers[:20])}")
    _expect(numbers[20:] == numbers[:7], "who scanned twice got two numbers")


@rule("valid-half-an-hour", "A rescan after 29 minutes gives the same number", "[share]")
async def valid_half_an_hour(kit: Kit) -> None:
    counter, person = kit.counter(), kit.person()
    start = kit.travelling(days=2)
    numbers = [await kit.take(counter, person, at=start + dt.timedelta(minutes=minute)) for minute in (0, 15, 29)]
    _expect(numbers == [1, 1, 1], f"after 0, 15 and 29 minutes: {numbers}")


@rule("fresh-after-expiry", "A scan after the token has expired gives the next number", "[share]")
async def fresh_after_expiry(kit: Kit) -> None:
    counter, person = kit.counter(), kit.person()
    if kit.by_header:
        start = kit.travelling(days=2)
    elif kit.wait:
        start = dt.datetime.now(dt.UTC)
    else:
        raise NotAsked("the system goes by its own clock: --wait waits for the token to expire")
    call = await kit.acknowledged(await kit.share(counter, person, at=start))
    token = token_of(call.body)
    valid = dt.timedelta(seconds=int(token["expiry"]))
    _expect(valid < dt.timedelta(hours=14), f"expiry is {token['expiry']} s: longer than an OPD day")
    if not kit.by_header:
        await asyncio.sleep(valid.total_seconds() + 5)
    again = await kit.take(counter, person, at=start + valid + dt.timedelta(seconds=5))
    _expect((int(token["tokenNumber"]), again) == (1, 2), f"before {token['tokenNumber']}, after {again}")


@rule(
    "retry-after-expiry", "A scan that is itself sent again after the token has expired keeps its number", "[gateway]"
)
async def retry_after_expiry(kit: Kit) -> None:
    counter, person, request_id = kit.counter(), kit.person(), str(uuid.uuid4())
    start = kit.travelling(days=2)
    first = await kit.take(counter, person, at=start, request_id=request_id)
    again = await kit.share(counter, person, at=start + dt.timedelta(hours=13), request_id=request_id)
    _expect(again.accepted or again.status == 409, f"the repeat was answered {again.status}")
    following = await kit.take(counter, kit.person(), at=start + dt.timedelta(hours=13, minutes=1))
    _expect((first, following) == (1, 2), f"the first got {first}, the next after the retry {following}")


@rule("next-day-fresh", "The next day begins at 1, and the day is India's, not UTC's", "[share]")
async def next_day_fresh(kit: Kit) -> None:
    counter = kit.counter()
    # 18:30 UTC is midnight in India.
    moments = [kit.travelling(3, hour=18, minute=m) for m in (10, 20)] + [kit.travelling(3, hour=18, minute=40)]
    moments.append(kit.travelling(2, hour=5))
    numbers = [await kit.take(counter, kit.person(), at=moment) for moment in moments]
    _expect(numbers == [1, 2, 1, 2], f"23:40, 23:50, 00:10 and 10:30 Indian time: {numbers}")


# What a profile may look like


@rule("nulls", "Every null that the gateway sends is taken: number, birth, place, doctor, phone", "[share]")
async def nulls(kit: Kit) -> None:
    nothing = {"line": None, "district": None, "state": None, "pincode": None}
    for what, said in (
        ("day and month null", {"dayOfBirth": None, "monthOfBirth": None}),
        ("month null", {"monthOfBirth": None}),
        ("address of nulls", {"address": nothing}),
        ("no address", {"address": None}),
        ("no phone", {"phoneNumber": None}),
        ("no place, no doctor", {"meta": {"latitude": None, "longitude": None, "hprId": None}}),
        ("a doctor", {"meta": {"hprId": "71000000000000"}}),
    ):
        sent = await kit.share(kit.counter(), kit.person(), **said)
        _expect(sent.accepted, f"{what}: answered {sent.status}")
        await kit.number(sent)


@rule("genders", "The genders M, F, O, D, T and U are all taken", "[card]")
async def genders(kit: Kit) -> None:
    counter = kit.counter()
    for index, gender in enumerate("MFODTU", 1):
        sent = await kit.share(counter, kit.person(), gender=gender)
        _expect(sent.accepted, f"{gender}: answered {sent.status}")
        _expect(await kit.number(sent) == index, f"{gender} got no number of its own")


@rule("numbers-as-text", "Birth day, month and year are taken as text and as numbers", "[share]")
async def numbers_as_text(kit: Kit) -> None:
    for said in (
        {"dayOfBirth": "06", "yearOfBirth": "2000"},
        {"dayOfBirth": 6, "monthOfBirth": 2, "yearOfBirth": 2000},
    ):
        sent = await kit.share(kit.counter(), kit.person(), **said)
        _expect(sent.accepted, f"{said}: answered {sent.status}")
        await kit.number(sent)


@rule("abha-number", "An ABHA number is taken with and without dashes, and is the same person", "[card]")
async def abha_number(kit: Kit) -> None:
    counter, person = kit.counter(), kit.person(number=True)
    digits = person.number or ""
    dashed = f"{digits[:2]}-{digits[2:6]}-{digits[6:10]}-{digits[10:]}"
    numbers = [await kit.take(counter, person), await kit.take(counter, person, abhaNumber=dashed)]
    _expect(numbers == [1, 1], f"without and with dashes: {numbers}")


@rule(
    "unasked-refused",
    "A profile of null, or an intent other than PROFILE_SHARE, is refused or answered by error",
    "[share]",
)
async def unasked_refused(kit: Kit) -> None:
    for what, member, value in (
        ("no profile (ABDM-1102)", "profile", None),
        ("intent PAYMENT (1149)", "intent", "PAYMENT"),
    ):
        body = {"intent": "PROFILE_SHARE", "metaData": {"hipId": kit.hip, "context": kit.counter()}, "profile": None}
        sent = await kit.share(kit.counter(), kit.person(), body=body | {member: value})
        if sent.accepted:
            call = await kit.acknowledged(sent)
            _expect("error" in call.body and "acknowledgement" not in call.body, f"{what} was given a token")
        else:
            _refused(sent, what)


@rule("own-facility", "A share for another facility's id is refused or answered by error", "[gateway]")
async def own_facility(kit: Kit) -> None:
    other = "IN9999999999" if kit.hip != "IN9999999999" else "IN9999999998"
    meta = {"hipId": other}
    sent = await kit.share(kit.counter(), kit.person(), headers={"X-HIP-ID": other}, meta=meta)
    if sent.accepted:
        call = await kit.acknowledged(sent)
        _expect("error" in call.body and "acknowledgement" not in call.body, "it was given a token")
    else:
        _refused(sent, "it")


# The key set


@rule("keys-stale", "While the key set cannot be had, a known key is still good", "[gateway]")
async def keys_stale(kit: Kit) -> str:
    """Asked right after a refetch that failed, and once more when the key set has been away for `keys_away` seconds:
    whoever forgets keys after a while is found out only by a longer one."""
    await kit.number(await kit.share(kit.counter(), kit.person()))
    with kit.certs_away():
        began = time.monotonic()
        unknown = kit.gateway.token(key=Key.fresh())
        _refused(
            await kit.share(kit.counter(), kit.person(), headers={"Authorization": f"Bearer {unknown}"}),
            "an unknown key's token",
        )
        sent = await kit.share(kit.counter(), kit.person())
        _expect(sent.accepted, f"answered {sent.status} after a refetch that failed")
        await asyncio.sleep(max(0.0, kit.keys_away - (time.monotonic() - began)))
        sent = await kit.share(kit.counter(), kit.person())
        _expect(sent.accepted, f"answered {sent.status} after {kit.keys_away:.0f} s without a key set")
    return f"the key set was away for {kit.keys_away:.0f} s; whoever forgets keys later is found by --keys-away SECONDS"


@rule("keys-rotated", "A key by a new kid is learnt when it first signs, wherever it stands in the set", "[gateway]")
async def keys_rotated(kit: Kit) -> None:
    kit.gateway.rotate()
    deadline = time.monotonic() + KEY_LEARNT_WITHIN
    while not (sent := await kit.share(kit.counter(), kit.person())).accepted:
        if time.monotonic() > deadline:
            raise Broken(f"still answered {sent.status} after {KEY_LEARNT_WITHIN:.0f} s")
        await asyncio.sleep(1.0)


@rule("keys-by-session", "The key set is asked for with a session token", "[gateway]")
async def keys_by_session(kit: Kit) -> None:
    _expect(kit.gateway.asked_certs, "the key set was never asked for")
    _expect(kit.gateway.asked_certs[-1], "it was asked for without the session's token")
