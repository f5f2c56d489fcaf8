"""Shortest travel times between facilities, by networkx: worked out once per state of the roads and place of departure,
and kept until a road, the day or the directory changes."""

from __future__ import annotations

import datetime as dt
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from services.referral.domain.roads import Closed, Passage, Road, Seasons, Way, passage

if TYPE_CHECKING:
    import networkx

BLOCKED = 10_000.0
"""Hours that a closed road counts as when only the reason is looked for: as few closed roads as possible."""

STATES_KEPT = 4


@dataclass
class Roadmap:
    """The roads in one state: of one day, under the same closures."""

    passages: tuple[Passage, ...]
    _ways: dict[str, dict[str, Way]] = field(default_factory=dict)
    _closed: dict[str, dict[str, tuple[str, ...]]] = field(default_factory=dict)
    _graphs: dict[bool, Any] = field(default_factory=dict)

    def ways_from(self, origin: str) -> Mapping[str, Way]:
        """The quickest way to each facility that can be reached, the origin itself left out."""
        if origin not in self._ways:
            self._ways[origin] = self._quickest(origin)
        return self._ways[origin]

    def closed_between(self, origin: str) -> Mapping[str, tuple[str, ...]]:
        """What stands between the origin and each facility that closed roads alone keep out of reach."""
        if origin not in self._closed:
            self._closed[origin] = self._blocked(origin)
        return self._closed[origin]

    def _quickest(self, origin: str) -> dict[str, Way]:
        found = {origin: Way(0.0, False, ())}
        for code, before, stretch, hours in self._tree(origin, closed_too=False):
            so_far = found[before]
            found[code] = Way(
                round(hours, 2),
                so_far.by_air or stretch.by_air,
                tuple(dict.fromkeys((*so_far.says, *stretch.says))),
                (*so_far.roads, stretch.road.id),
            )
        del found[origin]
        return found

    def _blocked(self, origin: str) -> dict[str, tuple[str, ...]]:
        said: dict[str, tuple[str, ...]] = {origin: ()}
        for code, before, stretch, _ in self._tree(origin, closed_too=True):
            here = stretch.says if stretch.hours is None else ()
            said[code] = tuple(dict.fromkeys((*said[before], *here)))
        return {code: why for code, why in said.items() if why}

    def _tree(self, origin: str, *, closed_too: bool) -> Iterable[tuple[str, str, Passage, float]]:
        """Each facility but the origin, nearest first: where one comes from, over which road, hours in all."""
        import networkx

        graph = self._graph(closed_too)
        if origin not in graph:
            return
        # Both in the order in which they were settled: where one comes from first stands before where one gets to.
        before, hours = networkx.dijkstra_predecessor_and_distance(graph, origin, weight="hours")
        for code, so_far in hours.items():
            if code != origin:
                here = before[code][0]
                yield code, here, graph.edges[here, code]["passage"], so_far

    def _graph(self, closed_too: bool) -> networkx.Graph[str]:
        """Of two roads between the same two facilities, the quicker one."""
        import networkx

        graph: networkx.Graph[str] | None = self._graphs.get(closed_too)
        if graph is None:
            graph = self._graphs[closed_too] = networkx.Graph()
            for each in self.passages:
                hours = each.hours if each.hours is not None else (BLOCKED if closed_too else None)
                if hours is None:
                    continue
                one, other = each.road.between
                if not graph.has_edge(one, other) or hours < graph.edges[one, other]["hours"]:
                    graph.add_edge(one, other, hours=hours, passage=each)
        return graph


class Network:
    """Roadmaps by the state of the roads, the newest few."""

    def __init__(self, seasons: Seasons) -> None:
        self._seasons = seasons
        self._maps: dict[tuple[Any, ...], Roadmap] = {}

    def at(
        self, day: dt.date, now: dt.datetime, roads: Sequence[Road], version: object, closures: Iterable[Closed]
    ) -> Roadmap:
        """The roads as they are now. `version` names the `roads`: another one, other roads."""
        holding = tuple(sorted((c for c in closures if c.holds_at(now)), key=lambda c: (c.road, c.since)))
        state = (version, day, holding)
        if state not in self._maps:
            self._maps[state] = self.fresh(day, now, roads, holding)
            while len(self._maps) > STATES_KEPT:
                del self._maps[next(iter(self._maps))]
        return self._maps[state]

    def fresh(self, day: dt.date, now: dt.datetime, roads: Sequence[Road], closures: Iterable[Closed]) -> Roadmap:
        """The same, not kept: to look at what would be."""
        held = tuple(closures)
        return Roadmap(tuple(passage(road, day, now, self._seasons, held) for road in roads))
