"""What telling needs, put together by the composition root."""

from __future__ import annotations

import datetime as dt
import random
from collections.abc import Callable
from dataclasses import dataclass, field

from libs.common.clock import Clock
from libs.common.journal import Journal
from libs.common.mongo import Database
from services.notifications.domain import dlt
from services.notifications.domain.codes import Codes
from services.notifications.domain.routing import Routing
from services.notifications.domain.template import Wording
from services.notifications.metrics import MessageMetrics
from services.notifications.people import People
from services.notifications.sending import Sending
from services.notifications.settings import Settings
from services.notifications.standing import Numbers, Stops
from services.notifications.store import Recipients, Slots


@dataclass(frozen=True)
class Post:
    journal: Journal
    database: Database
    clock: Clock
    settings: Settings
    routing: Routing
    wording: Wording
    registration: dlt.Registration
    codes: Codes
    recipients: Recipients
    people: People
    stops: Stops
    numbers: Numbers
    sending: Sending
    metrics: MessageMetrics
    slots: Slots = field(default_factory=Slots)
    chance: Callable[[], float] = random.random

    def domain_now(self) -> dt.datetime:
        """The domain's clock as promises are measured by it: before a played day has begun, nothing is too late."""
        return self.clock.due_before()
