"""What notifications is told from outside, beside what every service is told."""

from __future__ import annotations

from pathlib import Path
from typing import Self

from pydantic import Field, model_validator

from libs.common.settings import ServiceSettings

HERE = Path(__file__).parent


class Settings(ServiceSettings):
    sms_gateway_url: str = Field("", description="Base address of the HTTP gateway that takes SMS")
    sms_gateway_url_second: str = Field("", description="Takes SMS while the first gateway rests; none if empty")
    smtp_host: str = Field("", description="Host that takes our e-mail")
    smtp_port: int = Field(25, ge=1, le=65535)
    mail_from: str = Field("no-reply@hillhealth.example", description="Envelope sender and From of every e-mail")
    routing_file: Path = Field(HERE / "routing.yaml", description="Whom to tell of which event, and how")
    templates_dir: Path = Field(HERE / "templates", description="One file per language")
    dlt_file: Path = Field(HERE / "dlt.yaml", description="What is registered with the operators (DLT)")
    sms_per_person_and_day: int = Field(25, ge=1, description="A hard ceiling that no storm of events passes")
    sends_at_once: int = Field(32, ge=1, description="Calls to providers under way at the same time")
    lease_attempt_seconds: float = Field(30.0, gt=0, description="How long an attempt is its claimant's alone")
    ask_after_seconds: float = Field(5.0, ge=0, description="Rest before a provider is asked what became of a send")
    sms_connect_seconds: float = Field(3.0, gt=0)
    sms_answer_seconds: float = Field(8.0, gt=0, description="How long the gateway may take to answer")
    smtp_seconds: float = Field(20.0, gt=0, description="How long handing over one e-mail may take")
    retry_base_seconds: float = Field(1.0, gt=0, description="First back-off; doubles, with full jitter")
    retry_cap_seconds: float = Field(900.0, gt=0)

    @model_validator(mode="after")
    def _a_lease_outlasts_a_call(self) -> Self:
        gateways = 2 if self.sms_gateway_url_second else 1
        sms_seconds = gateways * (self.sms_connect_seconds + self.sms_answer_seconds)
        if self.lease_attempt_seconds <= max(sms_seconds, self.smtp_seconds):
            raise ValueError("LEASE_ATTEMPT_SECONDS must be longer than a call to a provider may take")
        return self
