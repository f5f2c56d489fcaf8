"""The secret that goes with a ticket: what the one who filed it shows instead of a name."""

from __future__ import annotations

import hashlib
import hmac


class TrackingKey:
    """Derives a ticket's secret from the grievance's id, so that it is stored nowhere and a retry gets the same one."""

    def __init__(self, key: bytes) -> None:
        if len(key) < 16:
            raise ValueError("the tracking key must have 16 bytes or more")
        self._key = key

    def secret(self, id: str) -> str:
        """HMAC-SHA256 of the id, the first 128 bits in hexadecimal: short enough to be written down."""
        return hmac.new(self._key, f"tracking:{id}".encode(), hashlib.sha256).hexdigest()[:32]

    def holds(self, id: str | None, shown: str) -> bool:
        """Whether this is the secret of that grievance, in the same time whether there is one (None) or not."""
        right = hmac.compare_digest(self.secret(id or "").encode(), shown.strip().lower().encode())
        return right and id is not None
