"""Providers over real sockets: what travels, to the byte, what each answer means, and that nothing goes out twice."""

from __future__ import annotations

import asyncio
import hashlib
import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import yaml
from standardwebhooks import Webhook as Verifier
from standardwebhooks import WebhookVerificationError

from services.notifications import catalogue
from services.notifications.channels import Answer, Never, NotTaken, Outgoing, Stopped, Taken, Unsure
from services.notifications.channels.fallback import Fallback
from services.notifications.channels.mobile_seva import MobileSeva
from services.notifications.channels.sms_gateway import SmsGateway
from services.notifications.channels.webhook import Webhook
from services.notifications.channels.whatsapp import WhatsApp
from services.notifications.domain import dlt
from services.notifications.domain.circuit import Limits
from services.notifications.domain.template import Template
from services.notifications.settings import Settings
from tests.wire import DROPPED, Got, Reply, on_the_wire

CODES = catalogue.read_codes(Settings.model_fields["codes_file"].default)
ENGLISH = "Your token number is 7 & it is valid till 11:30 + 30 min."
SCRIPTS = {
    "hi": "आपका टोकन नंबर 7 है।",
    "ur": "آپ کا ٹوکن نمبر 7 ہے۔",
    "lbj": "ཁྱེད་རང་གི་ཨང་རྟགས་7ཡིན།",
    "beyond the first plane": "टोकन 7 🙏",
}
SECRET = "whsec_" + "c2VjcmV0IG9mIHRoaXMgdGVzdCwgbm90aGluZyBlbHNl"


def message(text: str = ENGLISH, id: str = "ref-1") -> Outgoing:
    return Outgoing(id, "+915550000001", text, "", "1107160000000000001", "en", name="token-issued", values=("7", "ओ"))


def mobile_seva(url: str, answer_seconds: float = 2) -> MobileSeva:
    return MobileSeva(
        f"{url}/esms/sendsmsrequestDLT",
        username="HEALTH",
        password=" secret ",
        sender="HILHLT",
        secure_key="key-1",
        connect_seconds=1,
        answer_seconds=answer_seconds,
        codes=CODES,
    )


def gateway(url: str, answer_seconds: float = 2) -> SmsGateway:
    return SmsGateway(url, connect_seconds=1, answer_seconds=answer_seconds, codes=CODES)


class Department:
    """C-DAC's side: takes a request only if every field is there, and the key is that of what it holds."""

    fields = frozenset(
        {"username", "password", "senderid", "content", "smsservicetype", "mobileno", "key", "templateid"}
    )

    def __call__(self, got: Got) -> Reply:
        if (got.method, got.path) != ("POST", "/esms/sendsmsrequestDLT"):
            return Reply(404)
        if got.headers["content-type"] != "application/x-www-form-urlencoded" or got.form.keys() != self.fields:
            return Reply(200, "411, something is missing")
        form = got.form
        if form["password"] != hashlib.sha1(b"secret").hexdigest():
            return Reply(200, "401, credentials error")
        together = form["username"] + form["senderid"] + form["content"] + "key-1"
        if form["key"] != hashlib.sha512(together.encode()).hexdigest():
            return Reply(200, "416, hash does not match")
        return Reply(200, "402,MsgID = 1506201611660039742msdgsms")


@pytest.mark.parametrize("text", [ENGLISH, *SCRIPTS.values()], ids=["en", *SCRIPTS])
async def test_mobile_seva_takes_our_form_and_its_key_in_every_script(text: str) -> None:
    async with on_the_wire(Department()) as department:
        seva = mobile_seva(department.url)
        assert await seva.send(message(text)) == Taken("1506201611660039742msdgsms")
        await seva.close()
    (got,) = department.got
    kind, content = got.form["smsservicetype"], got.form["content"]
    assert (got.form["mobileno"], got.form["templateid"]) == ("915550000001", "1107160000000000001")
    if text == ENGLISH:
        assert (kind, content) == ("singlemsg", text)
    else:
        units = b"".join(int(one[2:]).to_bytes(2, "big") for one in content.split(";") if one)
        assert (kind, units.decode("utf-16-be")) == ("unicodemsg", text)


@pytest.mark.parametrize(
    ("said", "answer"),
    [
        ("612, PE-TM hash", Stopped("612")),
        ("699", Stopped("699")),
        ("406, invalid number", Never("gateway-406", number=True)),
        ("401, credentials error", NotTaken("gateway-refuses-us-401")),
        ("<html>welcome</html>", Unsure("gateway-says-nothing")),
    ],
)
async def test_what_mobile_seva_says_over_a_socket(said: str, answer: Answer) -> None:
    async with on_the_wire(lambda got: Reply(200, said)) as department:
        assert await mobile_seva(department.url).send(message()) == answer
        assert len(department.got) == 1


@pytest.mark.parametrize("lost", [DROPPED, Reply(after=1.0), Reply(504)], ids=["dropped", "too late", "proxy"])
@pytest.mark.parametrize("adapter", [mobile_seva, gateway])
async def test_an_answer_lost_on_the_wire_is_neither_taken_nor_refused(
    adapter: Callable[[str, float], MobileSeva | SmsGateway], lost: Reply
) -> None:
    async with on_the_wire(lambda got: lost) as there:
        assert isinstance(await adapter(there.url, 0.3).send(message()), Unsure)
        assert len(there.got) == 1, "an adapter never repeats"


@pytest.mark.parametrize("url", ["", "gateway.example", "http://", "http://127.0.0.1:1"])
@pytest.mark.parametrize("adapter", [mobile_seva, gateway])
async def test_where_no_gateway_is_set_or_nobody_is_there_it_surely_has_not_taken_it(
    adapter: Callable[[str], MobileSeva | SmsGateway], url: str
) -> None:
    """It waits for one as long as it is of use, and lapses: neither lost without a word nor in doubt."""
    assert await adapter(url).send(message()) == NotTaken("gateway-away")


async def test_whatsapp_gets_what_the_cloud_api_documents() -> None:
    async with on_the_wire(lambda got: Reply(200, '{"messages":[{"id":"wamid.1"}]}')) as meta:
        api = WhatsApp(f"{meta.url}/v21.0", "1000", "token-1", seconds=2)
        assert await api.send(message()) == Taken("wamid.1")
        await api.close()
    (got,) = meta.got
    assert (got.method, got.path, got.headers["authorization"]) == ("POST", "/v21.0/1000/messages", "Bearer token-1")
    assert got.headers["content-type"] == "application/json"
    assert got.json == {
        "messaging_product": "whatsapp",
        "recipient_type": "individual",
        "to": "915550000001",
        "type": "template",
        "biz_opaque_callback_data": "ref-1",
        "template": {
            "name": "token_issued",
            "language": {"code": "en"},
            "components": [
                {"type": "body", "parameters": [{"type": "text", "text": "7"}, {"type": "text", "text": "ओ"}]}
            ],
        },
    }


@pytest.mark.parametrize(
    ("reply", "answer"),
    [
        (Reply(400, '{"error":{"code":132001}}'), Stopped("whatsapp-132001")),
        (Reply(400, '{"error":{"code":131026}}'), Never("whatsapp-131026", number=True)),
        (Reply(429, '{"error":{"code":130429}}'), NotTaken("whatsapp-130429")),
        (Reply(200, "[]"), Taken()),
        (Reply(200, '{"messages":[]}'), Taken()),
        (Reply(200, '{"messages":["x"]}'), Taken()),
        (Reply(400, '{"error":"x"}'), Never("whatsapp-400")),
        (DROPPED, Unsure("answer-lost")),
    ],
)
async def test_what_the_cloud_api_says_and_what_nobody_would_say(reply: Reply, answer: Answer) -> None:
    async with on_the_wire(lambda got: reply) as meta:
        assert await WhatsApp(meta.url, "1000", "token-1", seconds=2).send(message()) == answer


async def test_a_receiver_verifies_a_callback_with_the_library_and_a_repeat_has_the_same_id() -> None:
    async def secret_of(recipient: str) -> str:
        return SECRET

    told: list[str] = []

    def receiver(got: Got) -> Reply:
        verified = Verifier(SECRET).verify(got.body, got.headers)
        assert verified["data"]["text"] == SCRIPTS["lbj"]
        with pytest.raises(WebhookVerificationError):
            Verifier(SECRET).verify(got.body + b" ", got.headers)
        told.append(got.headers["webhook-id"])
        return DROPPED if len(told) == 1 else Reply(204)

    body = json.dumps({"type": "message.sent", "data": {"text": SCRIPTS["lbj"]}}, ensure_ascii=False)
    async with on_the_wire(receiver) as there:
        hook = Webhook(secret_of, seconds=2)
        outgoing = Outgoing("ref-1", f"{there.url}/told", body, "", "callback", "und")
        assert [await hook.send(outgoing) for _ in range(2)] == [NotTaken("receiver-away"), Taken()]
        await hook.close()
    assert told == ["ref-1", "ref-1"]


# Two gateways


def both(first: str, second: str, answer_seconds: float = 9) -> Fallback:
    return Fallback("sms", {"first": gateway(first, answer_seconds), "second": gateway(second, answer_seconds)})


@pytest.mark.parametrize("lost", [DROPPED, Reply(after=1.0), Reply(502), Reply(500)])
async def test_what_the_first_may_have_taken_is_not_given_to_the_second(lost: Reply) -> None:
    async with on_the_wire(lambda got: lost) as first, on_the_wire() as second:
        assert isinstance(await both(first.url, second.url, 0.3).send(message()), Unsure)
        assert (first.count("POST"), second.count("POST")) == (1, 0)


@pytest.mark.parametrize("surely", [Reply(429), Reply(401), Reply(400, '{"code":"NET-ERR"}')])
async def test_what_the_first_surely_has_not_taken_goes_to_the_second_once(surely: Reply) -> None:
    async with on_the_wire(lambda got: surely) as first, on_the_wire(lambda got: Reply(202)) as second:
        assert await both(first.url, second.url).send(message()) == Taken()
        assert (first.count("POST"), second.count("POST")) == (1, 1)


async def test_of_a_lost_answer_every_gateway_is_asked_and_one_that_is_silent_leaves_it_open() -> None:
    def says(status: int) -> Callable[[Got], Reply]:
        return lambda got: Reply(status) if got.method == "GET" else DROPPED

    for first_says, second_says, standing in ((404, 404, "not-known"), (503, 404, "no-answer"), (200, 404, "accepted")):
        async with on_the_wire(says(first_says)) as first, on_the_wire(says(second_says)) as second:
            assert await both(first.url, second.url).standing("ref-1") == standing
            assert [one.path for one in first.got] == ["/sms/ref-1"]


class Clock:
    now = 0.0

    def __call__(self) -> float:
        return self.now


LIMITS = Limits(window=60, errors=3, share=0.5, slow=5, rest=10, longest_rest=40)


@pytest.mark.parametrize(("bad", "took"), [(Reply(429), 0), (Reply(202), 6)], ids=["errors", "slowness"])
async def test_a_circuit_opens_half_opens_by_one_probe_and_closes(bad: Reply, took: float) -> None:
    """The clock is the test's own: the first gateway moves it on by the seconds it takes."""
    clock, well = Clock(), False

    def says(got: Got) -> Reply:
        if well:
            return Reply(202)
        clock.now += took
        return bad

    async with on_the_wire(says) as first, on_the_wire(lambda got: Reply(202)) as second:
        fallback = Fallback(
            "sms", {"first": gateway(first.url, 9), "second": gateway(second.url, 9)}, limits=LIMITS, clock=clock
        )
        for _ in range(6):
            assert await fallback.send(message()) == Taken()
        assert first.count("POST") == LIMITS.errors, "it rests"
        clock.now += 11
        await asyncio.gather(*(fallback.send(message()) for _ in range(5)))
        assert first.count("POST") == LIMITS.errors + 1, "one of them probes"
        clock.now += 11
        await fallback.send(message())
        assert first.count("POST") == LIMITS.errors + 1, "a probe that failed doubles the rest"
        clock.now += 11
        well, before = True, second.count("POST")
        for _ in range(4):
            assert await fallback.send(message()) == Taken()
        assert (first.count("POST"), second.count("POST")) == (LIMITS.errors + 5, before)


async def test_the_channel_in_the_docs_is_one() -> None:
    """Who adds one from the docs alone copies this."""
    page = Path(catalogue.__file__).parents[2] / "docs" / "notifications.md"
    written = page.read_text(encoding="utf-8").split("```python\n")[1].split("```")[0]
    found: dict[str, Any] = {}
    exec(compile(written, "voice.py", "exec"), found)
    answers = iter([Reply(202), Reply(429), Reply(400), Reply(500), DROPPED])
    async with on_the_wire(lambda got: next(answers)) as there:
        voice = found["Voice"](there.url, seconds=2)
        said = [await voice.send(message()) for _ in range(5)]
        assert there.got[0].json["say"] == ENGLISH
        await voice.close()
    assert said == [Taken(), NotTaken("voice-429"), Never("voice-400"), Unsure("voice-500"), Unsure("answer-lost")]
    assert await found["Voice"]("", seconds=1).send(message()) == NotTaken("voice-away")


def test_the_template_in_the_docs_passes_the_linter() -> None:
    page = Path(catalogue.__file__).parents[2] / "docs" / "notifications.md"
    written = yaml.safe_load(page.read_text(encoding="utf-8").split("```yaml\n")[1].split("```")[0])
    registration = catalogue.read_registration(Settings.model_fields["dlt_file"].default)
    for name, template in written.items():
        assert list(dlt.lint(name, "en", Template(**template).text, registration)) == []
