"""The course of a training, as a table and as a picture."""

from __future__ import annotations

import csv
import math
from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Final

from cellseg_app.atomic import atomic_path, write_text_atomic

_WIDTH: Final = 640
_PANEL: Final = 200
_LEFT: Final = 60
_RIGHT: Final = 90
_GAP: Final = 50
_LINE_HEIGHT: Final = 15
# Told apart by people with any colour vision: Okabe and Ito.
_BLUE, _ORANGE, _GREEN = "#0072B2", "#D55E00", "#009E73"


Place = Callable[[float, float], tuple[float, float]]


@dataclass(frozen=True)
class LogRow:
    """One judgement; `loss` is NaN before the first update."""

    step: int
    loss: float
    score: float
    dice: float
    f1: float
    learning_rate: float

    def __str__(self) -> str:
        """What is known, for the log."""
        known = (("loss", self.loss), ("Dice", self.dice), ("F1", self.f1))
        shown = known if math.isfinite(self.dice) else (known[0], ("score", self.score))
        parts = [f"{name} {value:.4f}" for name, value in shown if math.isfinite(value)]
        return ", ".join(parts) or "nothing to judge by"


@dataclass(frozen=True)
class _Line:
    name: str
    color: str
    values: Sequence[float]


def write_log(path: Path, log: Sequence[LogRow]) -> None:
    """Write the judgements as CSV."""
    with atomic_path(path) as partial, partial.open("w", newline="") as file:
        writer = csv.DictWriter(file, list(LogRow.__dataclass_fields__))
        writer.writeheader()
        writer.writerows(asdict(row) for row in log)


def write_curves(path: Path, log: Sequence[LogRow], title: str) -> None:
    """Draw loss and accuracy over the updates as SVG; without judgements nothing is written."""
    if not log:
        return
    steps = [row.step for row in log]
    loss = [_Line("loss", _BLUE, [row.loss for row in log])]
    labelled = any(math.isfinite(row.dice) for row in log)
    accuracy = [
        _Line("Dice", _ORANGE, [row.dice for row in log]),
        _Line("F1 at IoU 0.5", _GREEN, [row.f1 for row in log]),
    ]
    score = [_Line("score", _ORANGE, [row.score for row in log])]
    height = 2 * _PANEL + 3 * _GAP
    parts = [
        f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {_WIDTH} {height}" '
        f'width="{_WIDTH}" height="{height}" font-family="sans-serif" font-size="12">',
        f'<rect width="{_WIDTH}" height="{height}" fill="white"/>',
        _text(_LEFT, 24, title, size=15),
        *_panel(_GAP, "Loss while learning", steps, loss, ends=_from_zero(loss)),
        *_panel(
            2 * _GAP + _PANEL,
            "On volumes not learned from",
            steps,
            accuracy if labelled else score,
            ends=(0.0, 1.0) if labelled else None,
        ),
        _text(_LEFT, height - 14, "updates"),
        "</svg>",
    ]
    write_text_atomic(path, "\n".join(parts) + "\n")


def _panel(
    top: float,
    title: str,
    steps: Sequence[int],
    lines: Sequence[_Line],
    ends: tuple[float, float] | None = None,
) -> list[str]:
    seen = [value for line in lines for value in line.values if math.isfinite(value)]
    low, high = ends or (min(seen, default=0.0), max(seen, default=1.0))
    if high <= low:
        low, high = low - 0.5, high + 0.5
    right, last = _WIDTH - _RIGHT, max(steps[-1], 1)

    def at(step: float, value: float) -> tuple[float, float]:
        x = _LEFT + (right - _LEFT) * step / last
        return x, top + 20 + (_PANEL - 20) * (high - value) / (high - low)

    parts = [_text(_LEFT, top + 8, title, color="#333333")]
    for value in (low, (low + high) / 2, high):
        _, y = at(0, value)
        parts.append(f'<path d="M{_LEFT} {y:.1f}H{right}" stroke="#dddddd"/>')
        parts.append(_text(_LEFT - 8, y + 4, f"{value:.3g}", anchor="end"))
    for step in (0, last):
        parts.append(_text(at(step, 0)[0], top + _PANEL + 16, f"{step}", anchor="middle"))
    taken: list[float] = []
    for line in lines:
        parts += _drawn(line, steps, at, taken)
    return parts


def _from_zero(lines: Sequence[_Line]) -> tuple[float, float] | None:
    """The ends of an axis of positive values; None where some are not."""
    seen = [value for line in lines for value in line.values if math.isfinite(value)]
    return (0.0, max(seen)) if seen and min(seen) > 0 else None


def _drawn(line: _Line, steps: Sequence[int], at: Place, taken: list[float]) -> list[str]:
    """A line with its name at its end; `taken` are the heights of names written before."""
    pairs = [(s, v) for s, v in zip(steps, line.values, strict=True) if math.isfinite(v)]
    if not pairs:
        return []
    points = [at(step, value) for step, value in pairs]
    path = " ".join(f"{x:.1f},{y:.1f}" for x, y in points)
    dots = [f'<circle cx="{x:.1f}" cy="{y:.1f}" r="2.5" fill="{line.color}"/>' for x, y in points]
    x, y = points[-1]
    if any(abs(y - other) < _LINE_HEIGHT for other in taken):
        y = max(taken) + _LINE_HEIGHT
    taken.append(y)
    return [
        f'<polyline points="{path}" fill="none" stroke="{line.color}" stroke-width="2"/>',
        *dots,
        _text(x + 8, y + 4, line.name, color=line.color),
    ]


def _text(
    x: float, y: float, text: str, *, size: int = 12, color: str = "#333333", anchor: str = "start"
) -> str:
    safe = text.replace("&", "&amp;").replace("<", "&lt;").replace(">", "&gt;")
    return (
        f'<text x="{x:.1f}" y="{y:.1f}" font-size="{size}" fill="{color}" '
        f'text-anchor="{anchor}">{safe}</text>'
    )
