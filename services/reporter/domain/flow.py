"""The flow of images through the stages, laid out as a diagram of bands (pixels of its view box)."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

WIDTH, HEIGHT = 840, 330
TOP = 4
NODE_WIDTH = 10
COLUMNS = (0, 236, 472, 700)
LEAST = 3.0
"""Even one image of a million is a band that can be seen."""
SLOT = 50.0
"""Two lines of text beside each node."""
GAP = 20.0


@dataclass(frozen=True)
class FlowCounts:
    """Images by how far they came. ``library`` maps (verdict or None, is labelled) to images."""

    accepted: int
    repeated: int
    rejected: int
    waiting: int
    library: Mapping[tuple[str | None, bool], int]

    @property
    def uploaded(self) -> int:
        """Every upload that was heard of."""
        return self.accepted + self.repeated + self.rejected + self.waiting

    def of_verdict(self, verdict: str | None) -> int:
        """Accepted images with that verdict."""
        return sum(count for (given, _), count in self.library.items() if given == verdict)

    def of_label(self, labelled: bool) -> int:
        """Accepted images with, or without, a label."""
        return sum(count for (_, given), count in self.library.items() if given is labelled)


@dataclass(frozen=True)
class Node:
    """A stage: a bar with a name and a number to its right."""

    key: str
    name: str
    count: int
    x: float
    y: float
    height: float

    @property
    def caption_y(self) -> float:
        """Base line of the number: inside a tall bar's bands, below the thin ones of a short bar."""
        return self.y + (17.0 if self.height > SLOT / 2 else 22.0)


@dataclass(frozen=True)
class Band:
    """Images on their way from one stage to the next; ``path`` is SVG path data."""

    key: str
    count: int
    path: str


@dataclass(frozen=True)
class Flow:
    """The diagram."""

    nodes: tuple[Node, ...]
    bands: tuple[Band, ...]
    width: int = WIDTH
    height: int = HEIGHT


def lay_out(counts: FlowCounts) -> Flow:
    """Nodes and bands; heights are proportional to images, empty optional stages are left out."""
    columns: list[list[tuple[str, str, int]]] = [
        [("uploaded", "Uploaded", counts.uploaded)],
        _present(
            [
                ("accepted", "Accepted", counts.accepted),
                ("waiting", "In progress", counts.waiting),
                ("repeated", "Exact duplicates", counts.repeated),
                ("rejected", "Rejected", counts.rejected),
            ],
            always={"accepted", "repeated", "rejected"},
        ),
        _present(
            [
                ("unique", "Unique", counts.of_verdict("unique")),
                ("near", "Near duplicates", counts.of_verdict("near")),
                ("burst", "In bursts", counts.of_verdict("burst")),
                ("unseen", "Not compared yet", counts.of_verdict(None)),
            ],
            always={"unique", "near"},
        ),
        [
            ("labelled", "Labelled", counts.of_label(True)),
            ("unlabelled", "Unlabelled", counts.of_label(False)),
        ],
    ]
    scale = _fitting_scale([[count for _, _, count in column] for column in columns])
    placed = zip(COLUMNS, columns, strict=True)
    nodes = {node.key: node for x, column in placed for node in _stack(column, x, scale)}
    return Flow(tuple(nodes.values()), tuple(_bands(_links(counts), nodes, scale)))


def _present(stages: Sequence[tuple[str, str, int]], always: set[str]) -> list[tuple[str, str, int]]:
    return [stage for stage in stages if stage[2] or stage[0] in always]


def _fitting_scale(columns: Sequence[Sequence[int]]) -> float:
    """Pixels per image with which the fullest column, its gaps and captions fit into the box."""
    scale = (HEIGHT - TOP) / max(columns[0][0], 1)
    while any(sum(_room(count, scale) for count in column) > HEIGHT - TOP for column in columns):
        scale *= 0.97
    return scale


def _room(count: int, scale: float) -> float:
    return max(_height(count, scale) + GAP, SLOT)


def _height(count: int, scale: float) -> float:
    return max(count * scale, LEAST)


def _stack(column: Sequence[tuple[str, str, int]], x: float, scale: float) -> list[Node]:
    nodes, y = [], float(TOP)
    for key, name, count in column:
        nodes.append(Node(key, name, count, x, round(y, 1), round(_height(count, scale), 1)))
        y += _room(count, scale)
    return nodes


def _links(counts: FlowCounts) -> list[tuple[str, str, int]]:
    links = [
        ("uploaded", outcome, count)
        for outcome, count in (
            ("accepted", counts.accepted),
            ("waiting", counts.waiting),
            ("repeated", counts.repeated),
            ("rejected", counts.rejected),
        )
    ]
    verdicts: tuple[tuple[str, str | None], ...] = (
        ("unique", "unique"),
        ("near", "near"),
        ("burst", "burst"),
        ("unseen", None),
    )
    links += [("accepted", key, counts.of_verdict(verdict)) for key, verdict in verdicts]
    for key, verdict in verdicts:
        for name, labelled in (("labelled", True), ("unlabelled", False)):
            links.append((key, name, counts.library.get((verdict, labelled), 0)))
    return [link for link in links if link[2]]


def _bands(links: Sequence[tuple[str, str, int]], nodes: Mapping[str, Node], scale: float) -> list[Band]:
    left = {key: node.y for key, node in nodes.items()}
    right = dict(left)
    bands = []
    for source, target, count in links:
        thick = max(count * scale, LEAST / 2)
        x0, x1 = nodes[source].x + NODE_WIDTH, nodes[target].x
        y0, y1 = left[source], right[target]
        left[source] += thick
        right[target] += thick
        bands.append(Band(target, count, _band_path(x0, y0, x1, y1, thick)))
    return bands


def _band_path(x0: float, y0: float, x1: float, y1: float, thick: float) -> str:
    middle = (x0 + x1) / 2
    return (
        f"M{x0:.1f},{y0:.1f} C{middle:.1f},{y0:.1f} {middle:.1f},{y1:.1f} {x1:.1f},{y1:.1f} "
        f"V{y1 + thick:.1f} "
        f"C{middle:.1f},{y1 + thick:.1f} {middle:.1f},{y0 + thick:.1f} {x0:.1f},{y0 + thick:.1f} Z"
    )
