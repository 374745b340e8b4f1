"""What an asset's page in the UI shows: column schemas, tables, small plots.

What belongs here: turning rows and counts into Dagster's metadata, with everything that came from
the web made harmless. What does not: deciding what to show.
"""

import base64
import io
from collections.abc import Mapping, Sequence
from datetime import datetime
from types import UnionType
from typing import TYPE_CHECKING, Literal, Union, get_args, get_origin

import dagster as dg
from pydantic import BaseModel

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

SHOWN_ROWS = 25
MAX_BARS = 30
MAX_PLOT_BYTES = 100_000
BAR_COLOURS = ("#4f6d9a", "#d9a25f", "#8fb08c", "#a06a8c", "#8c8c8c")
"""Of the series of a plot, in their order; they differ in lightness too."""
MARKUP = str.maketrans({character: f"&#{ord(character)};" for character in "&<>|[]*`\\"})


def cell(text: str, limit: int = 200) -> str:
    """Make text from the web safe for a cell of a Markdown table.

    No markup, no links or images, no line breaks, and not too long.
    """
    short = text if len(text) <= limit else text[: limit - 1] + "…"
    return " ".join(short.translate(MARKUP).split())


def markdown_table(columns: tuple[str, ...], rows: list[tuple[object, ...]]) -> dg.MetadataValue:
    """A table for an asset's page, its cells made safe, the first rows only."""
    if not rows:
        return dg.MetadataValue.md("*none*")
    head = f"| {' | '.join(columns)} |\n|{'---|' * len(columns)}\n"
    body = "".join(
        f"| {' | '.join(cell('' if value is None else str(value)) for value in row)} |\n"
        for row in rows[:SHOWN_ROWS]
    )
    rest = f"\n… and {len(rows) - SHOWN_ROWS} more" if len(rows) > SHOWN_ROWS else ""
    return dg.MetadataValue.md(head + body + rest)


def column_schema(model: type[BaseModel]) -> dg.TableSchema:
    """A model's fields as Dagster's column schema."""
    return dg.TableSchema(
        columns=[
            dg.TableColumn(
                name,
                type=_type_name(field.annotation),
                description=field.description,
                constraints=dg.TableColumnConstraints(
                    nullable=type(None) in get_args(field.annotation)
                ),
            )
            for name, field in model.model_fields.items()
        ]
    )


def table_schema(schema: Mapping[str, object], descriptions: Mapping[str, str]) -> dg.TableSchema:
    """A Parquet table's columns as Dagster's column schema, from Polars' types by name."""
    return dg.TableSchema(
        columns=[
            dg.TableColumn(name, type=str(dtype), description=descriptions[name])
            for name, dtype in schema.items()
        ]
    )


def bar_chart(counts: Mapping[str, float], *, title: str, unit: str) -> dg.MetadataValue:
    """Draw counts as horizontal bars, the largest first.

    Args:
        counts: value by label.
        title: what is shown.
        unit: what is counted, for the axis.

    Returns:
        Markdown with the image inside, for an asset's page.
    """
    if not counts:
        return _nothing_to_plot(title)
    ordered = sorted(counts.items(), key=lambda item: (-item[1], item[0]))[:MAX_BARS]
    labels, values = [label[:48] for label, _ in ordered], [value for _, value in ordered]
    figure, axes = _axes(title, height=0.9 + 0.3 * len(ordered))
    bars = axes.barh(range(len(ordered)), values, color=BAR_COLOURS[0], height=0.7)
    axes.bar_label(bars, padding=3, fontsize=8)
    # A name is text, also one with dollar signs in it.
    axes.set_yticks(range(len(ordered)), labels, fontsize=9, parse_math=False)
    axes.invert_yaxis()
    axes.set_xlabel(unit, fontsize=9)
    axes.margins(x=0.08)
    return _image(figure, title)


def histogram(
    counts: Mapping[str, Mapping[float, int]],
    *,
    title: str,
    of: str,
    unit: str,
    width: float = 1.0,
    align: Literal["center", "edge"] = "center",
) -> dg.MetadataValue:
    """Draw counts over numbers in their order, one series on top of the other.

    Args:
        counts: by series, the first at the bottom, then by the number that a column stands for.
        title: what is shown.
        of: what the numbers are, with their unit.
        unit: what is counted, for the axis.
        width: of a column, in the numbers' unit.
        align: whether a column stands around its number, or from it to the next.

    Returns:
        Markdown with the image inside, for an asset's page.
    """
    from matplotlib.ticker import MaxNLocator

    columns = sorted({number for series in counts.values() for number in series})
    if not columns:
        return _nothing_to_plot(title)
    figure, axes = _axes(title, height=2.8)
    below = [0] * len(columns)
    for at, (name, series) in enumerate(counts.items()):
        heights = [series.get(number, 0) for number in columns]
        bars = axes.bar(
            columns,
            heights,
            bottom=below,
            width=0.9 * width,
            align=align,
            color=BAR_COLOURS[at % len(BAR_COLOURS)],
            label=name,
        )
        below = [under + height for under, height in zip(below, heights, strict=True)]
    if len(columns) <= MAX_BARS:
        axes.bar_label(bars, labels=[str(total) for total in below], padding=2, fontsize=7)
    for axis in (axes.xaxis, axes.yaxis):
        axis.set_major_locator(MaxNLocator(integer=True))
    axes.tick_params(labelsize=9)
    axes.set_xlabel(of, fontsize=9)
    axes.set_ylabel(unit, fontsize=9)
    if len(counts) > 1:
        axes.legend(fontsize=8, frameon=False)
    return _image(figure, title)


def span_chart(
    spans: Mapping[str, tuple[float, float, float]], *, title: str, of: str
) -> dg.MetadataValue:
    """Draw where most values of each kind lie: a bar from low to high, a mark at the middle.

    Args:
        spans: low, middle and high by label, in the order of the rows.
        title: what is shown, and what low and high are.
        of: what the values are, with their unit.

    Returns:
        Markdown with the image inside, for an asset's page.
    """
    if not spans:
        return _nothing_to_plot(title)
    figure, axes = _axes(title, height=0.9 + 0.3 * len(spans))
    for row, (low, middle, high) in enumerate(spans.values()):
        axes.barh(row, high - low, left=low, height=0.5, color=BAR_COLOURS[0], alpha=0.5)
        axes.plot([middle, middle], [row - 0.32, row + 0.32], color=BAR_COLOURS[0], linewidth=2)
        axes.annotate(f"{middle:.3g}", (high, row), (4, -3), textcoords="offset points", fontsize=8)
    axes.set_yticks(range(len(spans)), list(spans), fontsize=9, parse_math=False)
    axes.invert_yaxis()
    axes.tick_params(axis="x", labelsize=9)
    axes.set_xlabel(of, fontsize=9)
    axes.margins(x=0.1)
    return _image(figure, title)


def timeline(
    spans: Sequence[tuple[str, datetime, datetime]], colours: Mapping[str, str], *, title: str
) -> dg.MetadataValue:
    """Draw phases as bars over time, a row a phase.

    Args:
        spans: phase, start and end of each bar.
        colours: by phase, in the order of the rows.
        title: what is shown, and in which time zone.

    Returns:
        Markdown with the image inside, for an asset's page.
    """
    figure, axes = _axes(title, height=0.9 + 0.3 * len(colours))
    for row, (phase, colour) in enumerate(colours.items()):
        for name, start, end in spans:
            if name == phase:
                axes.fill_between([start, end], row - 0.35, row + 0.35, color=colour)  # type: ignore[arg-type]
    axes.set_yticks(range(len(colours)), list(colours), fontsize=9)
    axes.invert_yaxis()
    axes.tick_params(axis="x", labelsize=8)
    return _image(figure, title)


def _nothing_to_plot(title: str) -> dg.MetadataValue:
    return dg.MetadataValue.md(f"*{title}: nothing to plot yet.*")


def _axes(title: str, *, height: float) -> "tuple[Figure, Axes]":
    """An empty plot in the look of all of them, its height in inches."""
    from matplotlib.backends.backend_agg import FigureCanvasAgg
    from matplotlib.figure import Figure

    figure = Figure(figsize=(7.0, height), dpi=80, layout="constrained")
    FigureCanvasAgg(figure)
    axes = figure.add_subplot()
    axes.set_title(title, fontsize=10, loc="left")
    for side in ("top", "right"):
        axes.spines[side].set_visible(False)
    return figure, axes


def _image(figure: "Figure", title: str) -> dg.MetadataValue:
    buffer = io.BytesIO()
    figure.savefig(buffer, format="png", metadata={"Software": None})
    image = buffer.getvalue()
    if len(image) > MAX_PLOT_BYTES:
        return dg.MetadataValue.md(f"*{title}: the plot is too large to store.*")
    encoded = base64.b64encode(image).decode()
    return dg.MetadataValue.md(f"![{title}](data:image/png;base64,{encoded})")


def _type_name(annotation: object) -> str:
    """`str` for `str | None`, whose None is the column's `nullable`; a tuple is a list in JSON."""
    inner = [kind for kind in get_args(annotation) if kind not in (type(None), Ellipsis)]
    if get_origin(annotation) is Literal:
        return "str"
    if get_origin(annotation) is tuple:
        return f"list[{_type_name(inner[0])}]"
    if inner and get_origin(annotation) in (Union, UnionType):
        return " | ".join(_type_name(kind) for kind in inner)
    return getattr(annotation, "__name__", str(annotation))
