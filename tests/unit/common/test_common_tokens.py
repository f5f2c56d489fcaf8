"""Bearer tokens: nobody is who a header says, and an issuer that is down locks nobody out."""

from __future__ import annotations

import base64
import datetime as dt
import json
import time
from pathlib import Path
from typing import Any

import jwt
import pytest
from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric import rsa
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

from libs.common import tokens
from libs.common.tokens import KeySet, Unauthenticated, caller_of

ISSUER, AUDIENCE = "https://issuer.test", "hillhealth"


class Signer:
    """One key of an issuer."""

    def __init__(self, kid: str, algorithm: str = "EdDSA") -> None:
        self.kid, self.algorithm = kid, algorithm
        self.key: Any = (
            Ed25519PrivateKey.generate()
            if algorithm == "EdDSA"
            else rsa.generate_private_key(public_exponent=65537, key_size=2048)
        )

    def jwk(self) -> dict[str, Any]:
        kind = jwt.algorithms.OKPAlgorithm if self.algorithm == "EdDSA" else jwt.algorithms.RSAAlgorithm
        return {**kind.to_jwk(self.key.public_key(), as_dict=True), "kid": self.kid, "alg": self.algorithm}

    def token(self, **changes: Any) -> str:
        now = int(time.time())
        claims = {"iss": ISSUER, "aud": AUDIENCE, "sub": "asha", "role": "doctor", "facility": "A1", "exp": now + 60}
        claims = {name: value for name, value in (claims | changes).items() if value is not None}
        return jwt.encode(claims, self.key, self.algorithm, headers={"kid": self.kid})


class Issuer:
    """A key set in a file, which counts how often it is read."""

    def __init__(self, folder: Path, *signers: Signer) -> None:
        self.file = folder / "jwks.json"
        self.publish(*signers)
        self.keys = KeySet(str(self.file))
        self.reads = 0
        document = self.keys._document

        async def counted() -> Any:
            self.reads += 1
            return await document()

        self.keys._document = counted  # type: ignore[method-assign]

    def publish(self, *signers: Signer) -> None:
        self.file.write_text(json.dumps({"keys": [signer.jwk() for signer in signers]}))

    async def verify(self, token: str) -> dict[str, Any]:
        return await self.keys.verify(token, issuer=ISSUER, audience=AUDIENCE)


@pytest.fixture
def signer() -> Signer:
    return Signer("one")


@pytest.fixture
def issuer(tmp_path: Path, signer: Signer) -> Issuer:
    return Issuer(tmp_path, signer)


async def test_a_good_token_says_who_calls(issuer: Issuer, signer: Signer) -> None:
    caller = caller_of(await issuer.verify(signer.token(patient="p1")))
    assert (caller.subject, caller.role, caller.facility, caller.patient) == ("asha", "doctor", "A1", "p1")
    await issuer.verify(signer.token())
    assert issuer.reads == 1, "keys are cached"


@pytest.mark.parametrize(
    ("changes", "why"),
    [
        ({"exp": int(time.time()) - 3600}, "token has expired"),
        ({"exp": None}, "token does not hold"),
        ({"nbf": int(time.time()) + 3600}, "token does not hold"),
        ({"iss": "https://other.test"}, "token does not hold"),
        ({"iss": None}, "token does not hold"),
        ({"aud": "other"}, "token does not hold"),
        ({"aud": None}, "token does not hold"),
    ],
    # Workers that collect a second apart must collect the same.
    ids=["expired", "no-expiry", "not-yet", "another-issuer", "no-issuer", "another-audience", "no-audience"],
)
async def test_a_token_that_does_not_hold(issuer: Issuer, signer: Signer, changes: dict[str, Any], why: str) -> None:
    with pytest.raises(Unauthenticated, match=why):
        await issuer.verify(signer.token(**changes))


async def test_another_key_under_a_known_kid_does_not_hold(issuer: Issuer) -> None:
    with pytest.raises(Unauthenticated, match="does not hold"):
        await issuer.verify(Signer("one").token())


async def test_a_changed_claim_does_not_hold(issuer: Issuer, signer: Signer) -> None:
    head, body, signature = signer.token().split(".")
    claims = json.loads(base64.urlsafe_b64decode(body + "=="))
    changed = base64.urlsafe_b64encode(json.dumps(claims | {"role": "operator"}).encode()).decode().rstrip("=")
    with pytest.raises(Unauthenticated):
        await issuer.verify(f"{head}.{changed}.{signature}")


def _forged(header: dict[str, Any], key: bytes = b"") -> str:
    claims = {"iss": ISSUER, "aud": AUDIENCE, "sub": "x", "role": "operator", "exp": int(time.time()) + 60}
    parts = [base64.urlsafe_b64encode(json.dumps(part).encode()).decode().rstrip("=") for part in (header, claims)]
    signed = ".".join(parts)
    if not key:
        return f"{signed}."
    import hashlib
    import hmac

    signature = hmac.new(key, signed.encode(), hashlib.sha256).digest()
    return f"{signed}.{base64.urlsafe_b64encode(signature).decode().rstrip('=')}"


async def test_no_algorithm_and_a_public_key_taken_for_a_secret_are_refused(tmp_path: Path) -> None:
    signer = Signer("rsa", "RS256")
    issuer = Issuer(tmp_path, signer)
    public = signer.key.public_key().public_bytes(
        serialization.Encoding.PEM, serialization.PublicFormat.SubjectPublicKeyInfo
    )
    for header, key in (({"alg": "none", "kid": "rsa"}, b""), ({"alg": "HS256", "kid": "rsa"}, public)):
        with pytest.raises(Unauthenticated, match="algorithm not allowed"):
            await issuer.verify(_forged(header, key))
    with pytest.raises(Unauthenticated, match="algorithm is not its key's"):
        await issuer.verify(_forged({"alg": "EdDSA", "kid": "rsa"}, b"x"))
    await issuer.verify(signer.token())


@pytest.mark.parametrize("text", ["", "Marked", "a.b.c", "e30.e30.e30", "\u0967.\u0967.\u0967"])
async def test_nonsense_is_refused_and_not_repeated(issuer: Issuer, text: str) -> None:
    with pytest.raises(Unauthenticated) as caught:
        await issuer.verify(text)
    assert not text or text not in str(caught.value)


async def test_an_unknown_key_is_asked_for_once_and_not_again_for_a_while(
    issuer: Issuer, signer: Signer, monkeypatch: pytest.MonkeyPatch
) -> None:
    await issuer.verify(signer.token())
    rotated = Signer("two")
    issuer.publish(signer, rotated)
    for _ in range(5):
        with pytest.raises(Unauthenticated, match="unknown key"):
            await issuer.verify(Signer("made-up").token())
    assert issuer.reads == 1, "the last answer is too fresh to ask again"
    _later(issuer, monkeypatch, tokens.REFETCH_AT_MOST_EVERY_SECONDS + 1)
    await issuer.verify(rotated.token())
    for _ in range(5):
        with pytest.raises(Unauthenticated):
            await issuer.verify(Signer("made-up").token())
    assert issuer.reads == 2


def _later(issuer: Issuer, monkeypatch: pytest.MonkeyPatch, seconds: float) -> None:
    now = time.monotonic() + seconds

    class Time:
        monotonic = staticmethod(lambda: now)

    monkeypatch.setattr(tokens, "time", Time)


@pytest.mark.parametrize("answer", [None, "", "[]", "{}", '{"keys": []}', '{"keys": 7}', '{"keys": [{"kty": "oct"}]}'])
async def test_while_the_issuer_is_down_or_talks_nonsense_known_keys_hold(
    issuer: Issuer, signer: Signer, monkeypatch: pytest.MonkeyPatch, answer: str | None
) -> None:
    await issuer.verify(signer.token())
    issuer.file.unlink() if answer is None else issuer.file.write_text(answer)
    _later(issuer, monkeypatch, tokens.FRESH_SECONDS + 1)
    await issuer.verify(signer.token())
    assert issuer.reads == 2, "it was asked, and its old answer still stands"


async def test_a_revoked_key_stops_holding_when_the_set_is_read_again(
    issuer: Issuer, signer: Signer, monkeypatch: pytest.MonkeyPatch
) -> None:
    await issuer.verify(signer.token())
    issuer.publish(Signer("two"))
    _later(issuer, monkeypatch, tokens.FRESH_SECONDS + 1)
    with pytest.raises(Unauthenticated, match="unknown key"):
        await issuer.verify(signer.token())


async def test_a_service_that_starts_before_its_issuer_asks_again_soon_but_not_every_time(
    tmp_path: Path, signer: Signer, monkeypatch: pytest.MonkeyPatch
) -> None:
    issuer = Issuer(tmp_path, signer)
    issuer.file.unlink()
    for _ in range(5):
        with pytest.raises(Unauthenticated):
            await issuer.verify(signer.token())
    assert issuer.reads == 1
    issuer.publish(signer)
    _later(issuer, monkeypatch, 1.5)
    await issuer.verify(signer.token())


@pytest.mark.parametrize(
    "claims",
    [
        {},
        {"sub": "x"},
        {"sub": "", "role": "doctor"},
        {"sub": "x", "role": ""},
        {"sub": 7, "role": "doctor"},
        {"sub": "x", "role": ["doctor"]},
        {"sub": "x", "role": "anonymous"},
        {"sub": "x", "role": "system"},
        {"sub": "x", "role": "doctor", "facility": ["A1"]},
        {"sub": "x", "role": "citizen", "patient": 7},
    ],
    ids=str,
)
def test_a_token_must_say_who_and_in_which_role_that_tokens_may_give(claims: dict[str, Any]) -> None:
    with pytest.raises(Unauthenticated):
        caller_of(claims)


async def test_a_token_that_held_is_not_checked_again_for_a_minute_and_never_past_its_expiry(
    issuer: Issuer, signer: Signer, monkeypatch: pytest.MonkeyPatch
) -> None:
    checked: list[str] = []
    decode = jwt.decode

    def counted(token: str, **arguments: Any) -> Any:
        checked.append(token)
        return decode(token, **arguments)

    monkeypatch.setattr(tokens.jwt, "decode", counted)
    now = time.time()
    monkeypatch.setattr(tokens, "machine_now", lambda: dt.datetime.fromtimestamp(now, dt.UTC))
    token, short = signer.token(exp=int(now) + 3600), signer.token(exp=int(now) + 5)
    for _ in range(3):
        assert (await issuer.verify(token))["sub"] == "asha"
        await issuer.verify(short)
    assert checked == [token, short]
    with pytest.raises(Unauthenticated):
        await issuer.keys.verify(token, issuer=ISSUER, audience="another")
    now += 6
    await issuer.verify(short)
    assert checked[3:] == [short], "past its expiry it is checked, and the leeway decides"
    now += tokens.REMEMBERED_SECONDS
    await issuer.verify(token)
    assert checked[4:] == [token]


async def test_a_withdrawn_key_takes_the_tokens_that_held_with_it(issuer: Issuer, signer: Signer) -> None:
    token = signer.token()
    await issuer.verify(token)
    issuer.publish(Signer("two"))
    issuer.keys._fetched = issuer.keys._tried = float("-inf")
    with pytest.raises(Unauthenticated, match="unknown key"):
        await issuer.verify(token)
