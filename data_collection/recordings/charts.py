"""Small plots for asset pages.

What belongs here: counts as a bar chart, small enough to be stored in an event (≤ 100 KB). What
does not: anything a table says better.
"""

import base64
import io
from collections.abc import Mapping

import dagster as dg

MAX_BARS = 30
MAX_BYTES = 100_000


def bar_chart(counts: Mapping[str, float], *, title: str, unit: str) -> dg.MetadataValue:
    """Draw counts as horizontal bars, the largest first.

    Args:
        counts: value by label.
        title: what is shown.
        unit: what is counted, for the axis.

    Returns:
        Markdown with the image inside, for an asset's page.
    """
    from matplotlib.backends.backend_agg import FigureCanvasAgg
    from matplotlib.figure import Figure

    if not counts:
        return dg.MetadataValue.md(f"*{title}: nothing to plot yet.*")
    ordered = sorted(counts.items(), key=lambda item: (-item[1], item[0]))[:MAX_BARS]
    labels, values = [label[:48] for label, _ in ordered], [value for _, value in ordered]
    figure = Figure(figsize=(7.0, 0.9 + 0.3 * len(ordered)), dpi=80, layout="constrained")
    FigureCanvasAgg(figure)
    axes = figure.add_subplot()
    bars = axes.barh(range(len(ordered)), values, color="#4f6d9a", height=0.7)
    axes.bar_label(bars, padding=3, fontsize=8)
    axes.set_yticks(range(len(ordered)), labels, fontsize=9)
    axes.invert_yaxis()
    axes.set_xlabel(unit, fontsize=9)
    axes.set_title(title, fontsize=10, loc="left")
    axes.margins(x=0.08)
    for side in ("top", "right"):
        axes.spines[side].set_visible(False)
    buffer = io.BytesIO()
    figure.savefig(buffer, format="png", metadata={"Software": None})
    image = buffer.getvalue()
    if len(image) > MAX_BYTES:
        return dg.MetadataValue.md(f"*{title}: the plot is too large to store.*")
    encoded = base64.b64encode(image).decode()
    return dg.MetadataValue.md(f"![{title}](data:image/png;base64,{encoded})")
