"""Plots of the data card, as images that stand in the page itself.

What belongs here: drawing distributions, the same bytes for the same figures. What does not: which
are shown (`card_pages`).
"""

from __future__ import annotations

import base64
import io
from collections.abc import Sequence
from typing import TYPE_CHECKING

from data_collection.training_set.card_rows import Distribution

if TYPE_CHECKING:
    from matplotlib.axes import Axes

INK = "#010203"
"""Stands for the page's own colour of text, whichever that is; in no other use."""
BAR_COLOUR = "#5b8bc9"
STYLE = (
    "<style>svg{color:#1b1b1b;font-family:sans-serif}"
    "@media(prefers-color-scheme:dark){svg{color:#e6e6e6}}</style>"
)
WHOLE = frozenset({"placement", "performers_per_piece"})
"""Measures that are counts: a column stands around its number."""
WIDTH_IN = 6.4
PANEL_IN = 1.25
BELOW_IN = 0.55
"""Room for the last axis and its name; a layout that is searched for takes ten times as long."""


def plot_uri(spreads: Sequence[Distribution], *, of: str) -> str:
    """Draw one measure, a panel a tier over one axis, as a `data:` URI of an SVG.

    The image follows the reader's light or dark colours by itself and loads nothing.

    Args:
        spreads: of one measure, one at least.
        of: what the values are, with their unit.
    """
    encoded = base64.b64encode(_svg(spreads, of).encode()).decode()
    return f"data:image/svg+xml;base64,{encoded}"


def _svg(spreads: Sequence[Distribution], of: str) -> str:
    import matplotlib as mpl
    from matplotlib.backends.backend_svg import FigureCanvasSVG
    from matplotlib.figure import Figure

    buffer = io.StringIO()
    with mpl.rc_context(
        {
            "svg.fonttype": "none",
            "svg.hashsalt": "data card",
            "font.size": 9,
            "text.color": INK,
            "axes.labelcolor": INK,
            "axes.edgecolor": INK,
            "xtick.color": INK,
            "ytick.color": INK,
        }
    ):
        height = BELOW_IN + PANEL_IN * len(spreads)
        figure = Figure(figsize=(WIDTH_IN, height))
        FigureCanvasSVG(figure)
        figure.subplots_adjust(
            left=0.1, right=0.98, top=1 - 0.3 / height, bottom=BELOW_IN / height, hspace=0.65
        )
        panels = figure.subplots(len(spreads), 1, sharex=True, squeeze=False)[:, 0]
        for axes, spread in zip(panels, spreads, strict=True):
            _panel(axes, spread)
        panels[-1].set_xlabel(of)
        nothing = dict.fromkeys(("Date", "Creator", "Format", "Type"))
        figure.savefig(buffer, format="svg", metadata=nothing, transparent=True)
    drawn = buffer.getvalue()
    start = drawn.index("<svg")
    end = drawn.index(">", start) + 1
    return drawn[start:end] + STYLE + drawn[end:].replace(INK, "currentColor")


def _panel(axes: Axes, spread: Distribution) -> None:
    from matplotlib.ticker import MaxNLocator

    is_whole = spread.measure in WHOLE
    axes.bar(
        [one.start for one in spread.bins],
        [one.count for one in spread.bins],
        width=0.92 * spread.bin_width,
        align="center" if is_whole else "edge",
        color=BAR_COLOUR,
    )
    axes.xaxis.set_major_locator(MaxNLocator(8, integer=is_whole))
    axes.axvline(spread.median, color=INK, linewidth=1, linestyle="--")
    axes.set_title(f"{spread.tier.upper()}, {spread.count:,} values", loc="left", fontsize=9)
    axes.yaxis.set_major_locator(MaxNLocator(3, integer=True))
    for side in ("top", "right"):
        axes.spines[side].set_visible(False)
