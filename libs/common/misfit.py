"""What a model's own check finds wrong in a data file. Pure, so that the domain may raise it."""

from __future__ import annotations


class Misfit(ValueError):
    """Why, and where below the model that raises it: `Misfit("ends before it begins", "versions", 2, "valid_to")`."""

    def __init__(self, why: str, *place: str | int) -> None:
        super().__init__(why)
        self.place = place
