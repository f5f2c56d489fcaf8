"""Ours keeps NHA's rules: the kit, through the stand-in that steps aside for it, finds every one to hold."""

from __future__ import annotations

import pytest
from registration_desk import HIP, serving_desk

from deploy.local.testing import TestStack
from libs.common import tokens
from tools.abdm_check.__main__ import check


async def test_every_rule_of_scan_and_share_holds_of_ours(stack: TestStack, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(tokens, "REFETCH_AT_MOST_EVERY_SECONDS", 0.5)
    # So that the key set is away for longer than keys are taken as fresh.
    monkeypatch.setattr(tokens, "FRESH_SECONDS", 1.0)
    async with serving_desk(stack) as desk:
        found = await check(desk.served.url, hip=HIP, listen=("127.0.0.1", 0), stand_in=stack.gateways, keys_away=2.0)
        assert {rule.name: seen for rule, verdict, seen in found if verdict != "holds"} == {}
        # The stand-in is itself again afterwards.
        assert (await desk.share(counter="AFTER", abhaAddress="after@sbx")).status_code == 202
