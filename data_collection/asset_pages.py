"""What an asset's page in the UI shows: column schemas, tables, small plots.

What belongs here: turning rows and counts into Dagster's metadata, with everything that came from
the web made harmless. What does not: deciding what to show.
"""

import base64
import io
from collections.abc import Mapping
from types import UnionType
from typing import Literal, Union, get_args, get_origin

import dagster as dg
from pydantic import BaseModel

SHOWN_ROWS = 25
MAX_BARS = 30
MAX_PLOT_BYTES = 100_000
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
    # A name is text, also one with dollar signs in it.
    axes.set_yticks(range(len(ordered)), labels, fontsize=9, parse_math=False)
    axes.invert_yaxis()
    axes.set_xlabel(unit, fontsize=9)
    axes.set_title(title, fontsize=10, loc="left")
    axes.margins(x=0.08)
    for side in ("top", "right"):
        axes.spines[side].set_visible(False)
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
