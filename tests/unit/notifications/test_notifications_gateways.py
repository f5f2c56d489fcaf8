"""Providers beyond the plain gateway: what each is sent, and what its answers mean."""

from __future__ import annotations

import datetime as dt
import hashlib
import json
from urllib.parse import parse_qs

import httpx
import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydantic import TypeAdapter, ValidationError
from standardwebhooks import Webhook as Verifier

from services.notifications import catalogue
from services.notifications.channels import Answer, Never, NotTaken, Outgoing, Stopped, Taken, Unsure
from services.notifications.channels.mobile_seva import MobileSeva, key_of, references
from services.notifications.channels.others import Others
from services.notifications.channels.sms_gateway import SmsGateway
from services.notifications.channels.webhook import Webhook
from services.notifications.channels.whatsapp import WhatsApp
from services.notifications.domain.codes import Codes
from services.notifications.settings import AddressPrefix, Settings

CODES = catalogue.read_codes(Settings.model_fields["codes_file"].default)
HINDI = "आपका टोकन नंबर 7 है।"


def message(text: str = "Your token number is 7.", **more: str) -> Outgoing:
    return Outgoing("ref-1", "+915550000001", text, "", "1107160000000000001", "en", **more)


def answering(status: int, body: str, seen: list[httpx.Request] | None = None) -> httpx.MockTransport:
    def answer(request: httpx.Request) -> httpx.Response:
        if seen is not None:
            seen.append(request)
        return httpx.Response(status, text=body)

    return httpx.MockTransport(answer)


def breaking(error: httpx.HTTPError) -> httpx.MockTransport:
    def answer(request: httpx.Request) -> httpx.Response:
        raise error

    return httpx.MockTransport(answer)


def mobile_seva(transport: httpx.MockTransport) -> MobileSeva:
    return MobileSeva(
        "https://gateway.example/esms/sendsmsrequestDLT",
        username="HEALTH",
        password="secret",
        sender="HILHLT",
        secure_key="key-1",
        connect_seconds=1,
        answer_seconds=1,
        codes=CODES,
        transport=transport,
    )


@pytest.mark.parametrize(("text", "kind"), [("Your token number is 7.", "singlemsg"), (HINDI, "unicodemsg")])
async def test_mobile_seva_gets_hash_and_template_and_every_letter(text: str, kind: str) -> None:
    seen: list[httpx.Request] = []
    gateway = mobile_seva(answering(200, "402,MsgID = 1506201611660039742msdgsms", seen))
    assert await gateway.send(message(text)) == Taken(reference="1506201611660039742msdgsms")
    form = {name: values[0] for name, values in parse_qs(seen[0].content.decode()).items()}
    content = form["content"]
    assert form["smsservicetype"] == kind
    assert form["password"] == hashlib.sha1(b"secret").hexdigest()
    assert form["key"] == hashlib.sha512(f"HEALTHHILHLT{content}key-1".encode()).hexdigest()
    assert form["templateid"] == "1107160000000000001"
    assert form["mobileno"] == "915550000001"
    assert "?" not in content
    if kind == "unicodemsg":
        assert "".join(chr(int(one.strip("&#"))) for one in content.split(";") if one) == text
    else:
        assert content == text


def test_the_hash_ignores_spaces_around_each_part() -> None:
    assert key_of(" a ", "b", " c ", "d\n") == hashlib.sha512(b"abcd").hexdigest()


@given(st.text(alphabet=st.characters(exclude_categories=["Cs"]), max_size=50))
def test_references_keep_every_letter(text: str) -> None:
    units = bytes(b for one in references(text).split(";") if one for b in int(one[2:]).to_bytes(2, "big"))
    assert units.decode("utf-16-be") == text


@pytest.mark.parametrize(
    ("status", "body", "answer"),
    [
        (200, "401,Credentials Error, may be invalid username or password", NotTaken("gateway-refuses-us-401")),
        (200, "416, Hash doesn't match", NotTaken("gateway-refuses-us-416")),
        (200, "406, invalid mobile number", Never("gateway-406", number=True)),
        (200, "414, rejected by the operator", Never("gateway-414")),
        (200, "409, SMSC response timed out", Unsure("gateway-409")),
        (200, "612, PE-TM hash", Stopped("612")),
        (200, "", Unsure("gateway-says-nothing")),
        (502, "bad gateway", Unsure("gateway-502")),
        (404, "not here", NotTaken("gateway-refuses-us-404")),
    ],
)
async def test_what_mobile_seva_says(status: int, body: str, answer: Answer) -> None:
    assert await mobile_seva(answering(status, body)).send(message()) == answer


async def test_a_lost_answer_of_mobile_seva_is_not_a_refusal() -> None:
    assert await mobile_seva(breaking(httpx.ReadTimeout("x"))).send(message()) == Unsure("answer-lost")
    assert await mobile_seva(breaking(httpx.ConnectError("x"))).send(message()) == NotTaken("gateway-away")


@pytest.mark.parametrize(
    ("status", "code", "answer"),
    [
        (400, "DLT-612", Stopped("dlt-612")),
        (400, "600", Stopped("600")),
        (200, 699, Stopped("699")),
        (422, "TEMPLATE-NOT-MATCHED", Stopped("template-not-matched")),
        (400, "ABSENT_SUB", NotTaken("absent-sub")),
        (400, "INVALID-SUB", Never("invalid-sub", number=True)),
        (400, "DND", Never("dnd")),
        (400, "something else", Never("gateway-400")),
        (500, "TEMPLATE-NOT-MATCHED", Unsure("gateway-500", over=True)),
        (202, "", Taken()),
    ],
)
async def test_what_an_operators_code_means(status: int, code: str | int, answer: Answer) -> None:
    for body in ({"code": code}, {"error": {"code": code}}, {"error_code": code}):
        gateway = SmsGateway(
            "http://gateway.example",
            connect_seconds=1,
            answer_seconds=1,
            codes=CODES,
            transport=answering(status, json.dumps(body)),
        )
        assert await gateway.send(message()) == answer


def test_codes_are_data_and_ranges_have_ends() -> None:
    assert [CODES.meaning(code) for code in ("599", "600", "dlt-699", "700", "MOB-OFF", "barred")] == [
        None,
        "stop",
        "stop",
        None,
        "later",
        "never",
    ]
    assert Codes(later=("700-710",)).meaning("705") == "later"


def whatsapp(transport: httpx.MockTransport) -> WhatsApp:
    return WhatsApp("https://graph.example/v21.0", "1000", "token-1", seconds=1, transport=transport)


async def test_whatsapp_gets_a_template_and_its_values() -> None:
    seen: list[httpx.Request] = []
    sent = message(name="token-issued", values=("7", "OPD1"))
    api = whatsapp(answering(200, json.dumps({"messages": [{"id": "wamid.1"}]}), seen))
    assert await api.send(sent) == Taken(reference="wamid.1")
    body = json.loads(seen[0].content)
    assert seen[0].url.path == "/v21.0/1000/messages"
    assert seen[0].headers["authorization"] == "Bearer token-1"
    assert (body["to"], body["biz_opaque_callback_data"]) == ("915550000001", "ref-1")
    assert body["template"]["name"] == "token_issued"
    assert [one["text"] for one in body["template"]["components"][0]["parameters"]] == ["7", "OPD1"]


@pytest.mark.parametrize(
    ("status", "code", "answer"),
    [
        (400, 132001, Stopped("whatsapp-132001")),
        (400, 131026, Never("whatsapp-131026", number=True)),
        (429, 130429, NotTaken("whatsapp-130429")),
        (401, 190, NotTaken("whatsapp-refuses-us-190")),
        (400, 131009, Never("whatsapp-131009")),
        (503, 131000, Unsure("whatsapp-503")),
    ],
)
async def test_what_whatsapp_says(status: int, code: int, answer: Answer) -> None:
    body = json.dumps({"error": {"code": code, "message": "x"}})
    assert await whatsapp(answering(status, body)).send(message()) == answer


async def test_whatsapp_has_no_tibetan() -> None:
    seen: list[httpx.Request] = []
    tibetan = Outgoing("ref-1", "+915550000001", "x", "", "t", "bo")
    assert isinstance(await whatsapp(answering(200, "{}", seen)).send(tibetan), Never)
    assert seen == []


SECRET = "whsec_" + "c2VjcmV0IG9mIHRoaXMgdGVzdCwgbm90aGluZyBlbHNl"


async def secret_of(recipient: str) -> str:
    return SECRET


async def test_a_callback_is_signed_by_the_standard() -> None:
    seen: list[httpx.Request] = []
    hook = Webhook(secret_of, seconds=1, transport=answering(204, "", seen))
    body = '{"type":"message.sent","data":{"text":"' + HINDI + '"}}'
    assert await hook.send(Outgoing("ref-1", "https://caller.example/x", body, "", "callback", "und")) == Taken()
    told = Verifier(SECRET).verify(seen[0].content, dict(seen[0].headers))
    assert told["data"]["text"] == HINDI
    assert seen[0].headers["webhook-id"] == "ref-1"
    assert abs(int(seen[0].headers["webhook-timestamp"]) - dt.datetime.now(dt.UTC).timestamp()) < 60


@pytest.mark.parametrize(
    ("status", "answer"),
    [(410, Never("receiver-gone")), (500, NotTaken("receiver-500")), (302, NotTaken("receiver-302"))],
)
async def test_a_callback_that_is_not_taken_comes_again(status: int, answer: Answer) -> None:
    hook = Webhook(secret_of, seconds=1, transport=answering(status, ""))
    assert await hook.send(Outgoing("r", "https://caller.example/x", "{}", "", "callback", "und")) == answer


async def test_other_channels_go_through_apprise(monkeypatch: pytest.MonkeyPatch) -> None:
    import apprise

    told: list[tuple[str, str]] = []

    def notify(self: object, body: str, title: str) -> bool:
        told.append((title, body))
        return len(told) == 1

    monkeypatch.setattr(apprise.Apprise, "notify", notify)
    channel = Others(seconds=5, prefixes=("json://caller.example/", "nonsense"))
    sent = Outgoing("r", "json://caller.example/x", HINDI, "Subject", "t", "hi")
    assert await channel.send(sent) == Taken()
    assert told == [("Subject", HINDI)]
    assert await channel.send(sent) == Unsure("apprise-failed")
    nonsense = Outgoing("r", "nonsense", "x", "", "t", "hi")
    assert await channel.send(nonsense) == Never("address-not-understood")


@pytest.mark.parametrize(
    "address", ["json://127.0.0.1/", "json://caller.example.evil.example/x", "jsons://caller.example/"]
)
async def test_an_address_that_the_deployment_does_not_allow_is_not_called(address: str) -> None:
    channel = Others(seconds=5, prefixes=("json://caller.example/",))
    assert await channel.send(Outgoing("r", address, "x", "", "t", "hi")) == Never("address-not-allowed")
    assert await Others(seconds=5, prefixes=()).send(Outgoing("r", address, "x", "", "t", "hi")) == Never(
        "address-not-allowed"
    )


@pytest.mark.parametrize("prefix", ["json://caller.example", "caller.example/", "json", "json://*/"])
def test_a_prefix_ends_where_a_host_ends(prefix: str) -> None:
    with pytest.raises(ValidationError, match="pattern"):
        TypeAdapter(AddressPrefix).validate_python(prefix)
