"""A bar chart as SVG text, without a plotting library."""

from __future__ import annotations

from collections.abc import Sequence
from html import escape

_ROW, _LABEL, _WIDTH, _RIGHT = 26, 330, 420, 70


def bars(values: Sequence[tuple[str, float]], *, title: str, below: str) -> str:
    """Horizontal bars, one per (name, value), readable on light and dark pages."""
    most = max((value for _, value in values), default=1.0)
    height = _ROW * (len(values) + 3)
    parts = [
        f'<svg xmlns="http://www.w3.org/2000/svg" width="{_LABEL + _WIDTH + _RIGHT}" '
        f'height="{height}" font-family="sans-serif" font-size="13" fill="#808080">',
        f'<text x="8" y="{_ROW - 8}" font-weight="bold">{escape(title)}</text>',
    ]
    for number, (name, value) in enumerate(values, start=1):
        y, length = number * _ROW + 6, _WIDTH * value / most
        middle = y + 13
        parts.append(f'<text x="{_LABEL - 8}" y="{middle}" text-anchor="end">{escape(name)}</text>')
        parts.append(
            f'<rect x="{_LABEL}" y="{y}" width="{length:.1f}" height="18" rx="3" fill="#3b82c4"/>'
        )
        parts.append(f'<text x="{_LABEL + length + 6:.1f}" y="{middle}">{value:.1f}×</text>')
    parts.append(f'<text x="8" y="{height - 10}" font-size="11">{escape(below)}</text>')
    return "\n".join([*parts, "</svg>", ""])
