"""Calls per route of the notifications service whose rule names a facility: there is none.

A feed is its patient's own, by the token's claim; the rest is for operators, who have no facility.
"""

from __future__ import annotations

from typing import Any

EXAMPLES: list[dict[str, Any]] = []
