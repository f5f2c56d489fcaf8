"""CPython, set for a server whose loop shares the interpreter with a few threads (papers, files)."""

from __future__ import annotations

import gc
import sys

SWITCH_SECONDS = 0.0005
"""A thread that could go on waits this long for a busy loop at most; CPython's own is ten times that."""

COLLECT_AFTER = (50_000, 20, 100)
"""Net new objects before a collection, and how many of the younger ones before an older one. A request leaves few
cycles behind, and a full collection at CPython's own 700 stops every request under way for 100 ms."""


def prepare() -> None:
    """To be called once everything is imported and built: what stands now is never looked through again."""
    sys.setswitchinterval(SWITCH_SECONDS)
    gc.collect()
    gc.freeze()
    gc.set_threshold(*COLLECT_AFTER)
