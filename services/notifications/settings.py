"""What notifications is told from outside, beside what every service is told."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Self

from pydantic import Field, StringConstraints, model_validator

from libs.common.settings import ServiceSettings

HERE = Path(__file__).parent
AddressPrefix = Annotated[str, StringConstraints(pattern=r"^[a-z0-9+.-]+://([A-Za-z0-9.:-]+/)?$")]
"""How an Apprise address begins: its scheme, and its host up to the end."""


class Settings(ServiceSettings):
    sms_gateway_url: str = Field("", description="Base address of the HTTP gateway that takes SMS")
    sms_gateway_url_second: str = Field("", description="Takes SMS while the first gateway rests; none if empty")
    smtp_host: str = Field("", description="Host that takes our e-mail")
    smtp_port: int = Field(25, ge=1, le=65535)
    mail_from: str = Field("no-reply@hillhealth.example", description="Envelope sender and From of every e-mail")
    routing_file: Path = Field(HERE / "routing.yaml", description="Whom to tell of which event, and how")
    templates_dir: Path = Field(HERE / "templates", description="One file per language")
    dlt_file: Path = Field(HERE / "dlt.yaml", description="What is registered with the operators (DLT)")
    codes_file: Path = Field(HERE / "codes.yaml", description="What operators' codes mean")
    sms_per_person_and_day: int = Field(25, ge=1, description="A hard ceiling by channel that no storm passes")
    sends_at_once: int = Field(32, ge=1, description="Calls to providers under way at the same time")
    lease_attempt_seconds: float = Field(30.0, gt=0, description="How long an attempt is its claimant's alone")
    ask_after_seconds: float = Field(5.0, ge=0, description="Rest before a provider is asked what became of a send")
    sms_connect_seconds: float = Field(3.0, gt=0)
    sms_answer_seconds: float = Field(8.0, gt=0, description="How long the gateway may take to answer")
    smtp_seconds: float = Field(20.0, gt=0, description="How long handing over one e-mail may take")
    mobile_seva_url: str = Field("", description="C-DAC Mobile Seva's sendsmsrequestDLT; SMS goes there first if set")
    mobile_seva_username: str = Field("", description="The department's user; password and key are secrets by file")
    whatsapp_url: str = Field("", description="Base of the WhatsApp Cloud API with its version; none if empty")
    whatsapp_phone_number_id: str = Field("", description="The sender's id at Meta; the token is a secret by file")
    callback_hosts: tuple[str, ...] = Field((), description="Hosts that callers may ask to be called back at")
    webhook_seconds: float = Field(10.0, gt=0, description="How long a caller's own address may take to answer")
    address_prefixes: tuple[AddressPrefix, ...] = Field(
        (), description="What a person's Apprise address may begin with: ntfys://ntfy.example/, or all of tgram://"
    )
    others_seconds: float = Field(20.0, gt=0, description="How long a channel through Apprise may take")
    catch_up_after_hours: float = Field(36.0, gt=0, description="Older news waits for newer news of its case first")
    catch_up_seconds: float = Field(10.0, ge=0, description="How long it waits, and over how much longer it is spread")
    retry_base_seconds: float = Field(1.0, gt=0, description="First back-off; doubles, with full jitter")
    retry_cap_seconds: float = Field(900.0, gt=0)

    @property
    def addresses(self) -> tuple[str, ...]:
        """What a person's address may begin with; on a developer's machine anything."""
        return ("",) if self.development else self.address_prefixes

    @model_validator(mode="after")
    def _a_lease_outlasts_a_call(self) -> Self:
        first = max(1, bool(self.mobile_seva_url) + bool(self.sms_gateway_url))
        gateways = first + bool(self.sms_gateway_url_second)
        sms_seconds = gateways * (self.sms_connect_seconds + self.sms_answer_seconds)
        if self.lease_attempt_seconds <= max(sms_seconds, self.smtp_seconds):
            raise ValueError("LEASE_ATTEMPT_SECONDS must be longer than a call to a provider may take")
        return self
