# SPDX-License-Identifier: MIT
"""The ground: grass or paving, pavements, the road and what is painted on it."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from itertools import pairwise

import numpy as np

from intern25.data.scenes.classes import PAVEMENT, ROAD, TREE
from intern25.data.scenes.geometry import Paint, Piece, Shape
from intern25.data.scenes.scene import Road, Scene

Corners = Sequence[tuple[float, float]]

# Slices grow with distance, so that haze can be one colour in each.
_SLICES = (-12.0, -4.0, 2.0, 6.0, 10.0, 14.0, 19.0, 25.0, 32.0, 41.0, 53.0, 68.0, 88.0, 114.0, 150.0, 220.0)
_FAR = 700.0
_WIDE = 260.0
_MARKED = 75.0
"""Distance up to which broken lines are drawn."""


def ground_pieces(scene: Scene) -> list[Piece]:
    """Pieces of the ground, in painting order."""
    road = scene.road
    colors = _colors(scene)
    right, left = road.edges
    paved = road.kind in ("street", "junction") and scene.seed % 3 > 0
    end = road.tunnel if road.tunnel is not None else _SLICES[-1]
    slices = [x for x in _SLICES if x < end] + [end]
    base = list(_strip(road, [*slices[:-1], _FAR], -_WIDE, _WIDE))
    pieces = [
        _piece(
            base, colors["paving" if paved else "grass"], PAVEMENT if paved else TREE, 0.05 if paved else 0.10
        )
    ]
    if road.pavement:
        paths = list(_strip(road, slices, right - road.pavement, left + road.pavement))
        pieces.append(_piece(paths, colors["pavement"], PAVEMENT, 0.04))
        kerbs = [*_strip(road, slices, right - 0.18, right), *_strip(road, slices, left, left + 0.18)]
        pieces.append(_piece(kerbs, colors["kerb"], PAVEMENT, 0.02))
    surface = list(_strip(road, slices, right, left))
    if road.junction is not None:
        x0, x1 = road.junction, road.junction + road.cross_width
        if road.pavement:
            w = road.pavement
            pieces.append(
                _piece(list(_rows(x0 - w, x1 + w, right, left)), colors["pavement"], PAVEMENT, 0.04)
            )
        surface += list(_rows(x0, x1, right, left, across=True))
        surface += list(_strip(road, [x for x in slices if x >= x0 - 30], right, left))
    pieces.append(_piece(surface, colors["road"], ROAD, 0.035))
    pieces += _marks(road, slices, colors)
    return pieces


def _colors(scene: Scene) -> dict[str, Paint]:
    """Paints of the ground in the weather of a scene."""
    tone = 0.85 + 0.3 * (scene.seed % 101) / 100
    if scene.weather == "snow":
        return {
            "grass": (226, 231, 238, 0),
            "paving": (212, 217, 224, 0),
            "pavement": (204, 208, 214, 0),
            "kerb": (222, 226, 232, 0),
            "road": (132 * tone, 136 * tone, 142 * tone, 0),
            "white": (226, 228, 230, 0),
            "yellow": (206, 190, 120, 0),
        }
    wet = 0.68 if scene.weather == "rain" else 1.0
    green = scene.seed // 7 % 3
    return {
        "grass": ((98 - 8 * green) * wet, (122 + 4 * green) * wet, 62 * wet, 0),
        "paving": (158 * wet * tone, 152 * wet * tone, 144 * wet * tone, 0),
        "pavement": (150 * wet * tone, 144 * wet * tone, 138 * wet * tone, 0),
        "kerb": (186 * wet, 184 * wet, 178 * wet, 0),
        "road": (84 * wet * tone, 85 * wet * tone, 90 * wet * tone, 0),
        "white": (226 * max(wet, 0.85), 226 * max(wet, 0.85), 222 * max(wet, 0.85), 0),
        "yellow": (226, 176, 44, 0),
    }


def _strip(road: Road, xs: Sequence[float], d0: float, d1: float) -> Iterator[Corners]:
    """Quads of a strip along the road between two distances from its middle."""
    for x0, x1 in pairwise(xs):
        bend0, bend1 = road.y(x0, 0.0), road.y(min(x1, 260.0), 0.0)
        yield (x0, bend0 + d0), (x1, bend1 + d0), (x1, bend1 + d1), (x0, bend0 + d1)


def _rows(x0: float, x1: float, right: float, left: float, *, across: bool = False) -> Iterator[Corners]:
    """Quads of a strip across the road, in parts beside and, with ``across``, on it."""
    outer = 120.0
    cuts = [right - outer, right - 25.0, right - 8.0, left + 8.0, left + 25.0, left + outer]
    if not across:
        cuts = [*cuts[:2], right - 8.0, left + 8.0, *cuts[4:]]
    for y0, y1 in pairwise(cuts):
        yield (x0, y0), (x1, y0), (x1, y1), (x0, y1)


def _marks(road: Road, slices: list[float], colors: dict[str, Paint]) -> list[Piece]:
    """Lines, stop line and zebra crossing."""
    right, left = road.edges
    white, middle = list[Corners](), list[Corners]()
    for x0, x1 in _stretches(road, slices):
        xs = [x0, *(x for x in slices if x0 < x < x1), x1]
        if road.kind == "highway":
            white += [
                *_strip(road, xs, right + 0.35, right + 0.5),
                *_strip(road, xs, left - 0.5, left - 0.35),
            ]
        for d in _lane_lines(road):
            white += list(_dashes(road, x0, min(x1, _MARKED), d))
        if road.lanes_backward:
            if road.yellow_line or road.kind == "highway":
                middle += [*_strip(road, xs, -0.22, -0.08), *_strip(road, xs, 0.08, 0.22)]
            else:
                middle += list(_dashes(road, x0, min(x1, _MARKED), 0.0))
    if road.crossing is not None:
        white += _zebra(road, road.crossing)
    yellow = road.yellow_line or road.kind == "highway"
    pieces = [_piece(white, colors["white"], ROAD, 0.03)] if white else []
    if middle:
        pieces.append(_piece(middle, colors["yellow" if yellow else "white"], ROAD, 0.03))
    return pieces


def _stretches(road: Road, slices: list[float]) -> Iterator[tuple[float, float]]:
    """Parts of the road with lines: not on crossings and junctions."""
    first = min(x for x in (road.junction, road.crossing, slices[-1]) if x is not None)
    if first < slices[-1]:
        yield slices[0], first - 2.4
        past = road.crossing + 3.4 if road.crossing is not None else first
        if road.junction is not None:
            past = max(past, road.junction + road.cross_width + 1.0)
        yield past, slices[-1]
    else:
        yield slices[0], slices[-1]


def _lane_lines(road: Road) -> list[float]:
    """Distances from the middle of the lines between lanes of one direction."""
    side = 1.0 if road.left_hand else -1.0
    forward = [side * k * road.lane_width for k in range(1, road.lanes_forward)]
    return forward + [-side * k * road.lane_width for k in range(1, road.lanes_backward)]


def _dashes(road: Road, x0: float, x1: float, d: float) -> Iterator[Corners]:
    x = x0 + (road.lane_width * 7) % 5
    while x + 3.0 < x1:
        yield from _strip(road, (x, x + 3.0), d - 0.08, d + 0.08)
        x += 3.0 + 4.5


def _zebra(road: Road, x: float) -> list[Corners]:
    """Bars of a zebra crossing and the stop line before it."""
    right, left = road.edges
    count = int((left - right - 0.4) / 0.95)
    bars: list[Corners] = []
    for k in range(count):
        d = right + 0.35 + 0.95 * k
        bars += list(_strip(road, (x, x + 3.0), d, d + 0.5))
    stop = (0.2, left - 0.3) if road.left_hand else (right + 0.3, -0.2)
    return bars + list(_strip(road, (x - 1.6, x - 1.25), *stop))


def _piece(quads: Sequence[Corners], paint: Paint, ident: int, roughness: float) -> Piece:
    """A piece of level quads; a quad turns counter-clockwise seen from above."""
    corners = np.zeros((4 * len(quads), 3))
    corners[:, :2] = np.array(quads).reshape(-1, 2)
    count = len(quads)
    shape = Shape(
        slots=("ground",),
        points=corners,
        counts=np.full(count, 4),
        normals=np.tile(np.array([0.0, 0.0, 1.0]), (count, 1)),
        slot_of=np.zeros(count, np.int64),
    )
    return Piece(shape=shape, position=(0.0, 0.0, 0.0), paints=(paint,), ident=ident, roughness=roughness)
