"""The conformance kit finds nothing wrong in a system that keeps the rules, and the right rule in one that does not."""

from __future__ import annotations

import json
import subprocess
import sys

import pytest
from share_toy import HIP, toy_at

from deploy.local.ports import free_port
from tests.guards.tree import ROOT
from tools.abdm_check import kit
from tools.abdm_check.__main__ import check, tell
from tools.abdm_check.kit import Unreachable
from tools.abdm_check.rules import RULES

CONTROL = {"session-asked", "own-facility"}
"""Rules that no planted bug is about."""


TIMED = {"valid-half-an-hour", "fresh-after-expiry", "retry-after-expiry", "next-day-fresh"}
WITHOUT_TIME = [rule.name for rule in RULES if rule.name not in TIMED | CONTROL]


async def judged(*bugs: str, only: set[str] | None = None, keys_away: float = 0) -> dict[str, str]:
    """Verdict by rule, on the toy with these bugs."""
    port = free_port()
    without = [rule.name for rule in RULES if only and rule.name not in only]
    async with toy_at(f"http://127.0.0.1:{port}", *bugs) as url:
        found = await check(url, hip=HIP, listen=("127.0.0.1", port), without=without, keys_away=keys_away)
    return {rule.name: verdict for rule, verdict, _ in found}


async def test_a_system_that_keeps_the_rules_is_told_so() -> None:
    verdicts = await judged()
    assert {name for name, verdict in verdicts.items() if verdict != "holds"} == set()
    assert set(verdicts) == {rule.name for rule in RULES}
    assert len(RULES) >= 25


@pytest.mark.parametrize(
    ("bug", "broken"),
    [
        ("one-sequence", {"numbers-per-counter", "next-day-fresh"}),
        ("nulls-refused", {"nulls"}),
        ("rescan-failed", {"rescan-same", "valid-half-an-hour"}),
        ("repeats-counted", {"retry-after-expiry"}),
        ("utc-day", {"next-day-fresh"}),
        ("sent-once", {"on-share-retried"}),
        ("local-time", {"on-share-headers"}),
        ("anybody", {"token-needed", "token-signed", "token-fresh", "token-rs256"}),
        ("keys-every-time", {"keys-stale"}),
    ],
)
async def test_each_planted_bug_breaks_the_rule_it_is_about(
    bug: str, broken: set[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(kit, "SCREEN_WAITS", 3.0)
    verdicts = await judged(bug, only=broken | CONTROL)
    assert {name for name, verdict in verdicts.items() if verdict == "broken"} == broken


async def test_keys_that_are_forgotten_after_a_while_are_found_out_by_waiting_that_long() -> None:
    only = {"keys-stale"} | CONTROL
    assert (await judged("keys-forgotten", only=only))["keys-stale"] == "holds", "at once it cannot be seen"
    assert (await judged("keys-forgotten", only=only, keys_away=2.0))["keys-stale"] == "broken"
    assert (await judged(only=only, keys_away=2.0))["keys-stale"] == "holds"


async def test_a_system_that_goes_by_its_own_clock_is_not_accused(capsys: pytest.CaptureFixture[str]) -> None:
    port = free_port()
    async with toy_at(f"http://127.0.0.1:{port}") as url:
        found = await check(url, hip=HIP, listen=("127.0.0.1", port), by_header=False, without=WITHOUT_TIME)
    not_asked = {rule.name for rule, verdict, _ in found if verdict == "not asked"}
    assert not_asked == TIMED
    assert tell(found) == {"rules": len(TIMED | CONTROL), "held": len(CONTROL)}
    assert "--wait" in capsys.readouterr().out


async def test_a_facility_that_the_system_does_not_know_is_said() -> None:
    port = free_port()
    async with toy_at(f"http://127.0.0.1:{port}") as url:
        with pytest.raises(Unreachable, match="IN9900000099"):
            await check(url, hip="IN9900000099", listen=("127.0.0.1", port))
        with pytest.raises(Unreachable, match="answers, but not at POST"):
            await check(f"{url}/elsewhere", hip=HIP, listen=("127.0.0.1", port))


@pytest.mark.parametrize(
    ("options", "says"),
    [
        ([f"http://127.0.0.1:{free_port()}"], "does not answer"),
        (["nonsense"], "say which system"),
        (["http://127.0.0.1:1", "--without", "no-such-rule"], "no-such-rule"),
        (["http://127.0.0.1:1", "--listen", "nowhere"], "host:port"),
    ],
)
def test_a_wrong_address_is_said_in_a_line(options: list[str], says: str) -> None:
    command = [sys.executable, "-m", "tools.abdm_check", "--listen", f"127.0.0.1:{free_port()}", *options]
    ran = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=False, timeout=60)
    assert ran.returncode == 2
    assert says in ran.stderr
    assert "Traceback" not in ran.stderr
    last = json.loads(ran.stdout.splitlines()[-1])
    assert last["held"] == 0
    assert last["rules"] > 20
