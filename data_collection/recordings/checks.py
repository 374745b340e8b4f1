"""Checks that hold for every tier, on its `metadata`.

What belongs here: one factory a check. What does not: the embeddings (`embedding.checks`) and a
tier's own truths (`competition.checks`).
Checks sit on unpartitioned aggregates, with float metadata so that the UI plots their history.
https://docs.dagster.io/guides/test/asset-checks
"""

import dagster as dg
from pydantic import ValidationError

from data_collection.asset_pages import markdown_table
from data_collection.recordings.resources import StoreResource
from data_collection.recordings.tier import Tier


def schema_check(tier: Tier) -> dg.AssetChecksDefinition:
    """Make the check that a tier's `metadata.jsonl` has the form of its model."""

    @dg.asset_check(
        asset=[*tier.key_prefix, "metadata"],
        name="rows_have_the_schema",
        description="Every line of metadata.jsonl has the form of its model, and no segment twice.",
    )
    def rows_have_the_schema(store: StoreResource) -> dg.AssetCheckResult:
        path = store.open().path(f"{tier.folder('metadata')}.jsonl")
        problems: list[tuple[object, ...]] = []
        seen: dict[str, int] = {}
        try:
            text = path.read_text(encoding="utf-8")
            lines = text.removesuffix("\n").split("\n") if text else []
        except FileNotFoundError:
            return dg.AssetCheckResult(passed=False, description=f"{path} is not there")
        for number, line in enumerate(lines, start=1):
            try:
                row = tier.row_model.model_validate_json(line, strict=True)
            except ValidationError as error:
                first = error.errors()[0]
                where = ".".join(str(part) for part in first["loc"])
                problems.append((number, where, first["msg"]))
                continue
            if seen.setdefault(row.segment_id, number) != number:
                problems.append((number, "segment_id", f"stands in line {seen[row.segment_id]}"))
            if row.segment_end <= row.segment_start:
                problems.append((number, "segment_end", "not after segment_start"))
        return dg.AssetCheckResult(
            passed=not problems,
            description=f"{len(problems)} of {len(lines)} lines are wrong" if problems else None,
            metadata={
                "rows": len(lines),
                "wrong_rows": float(len(problems)),
                "problems": markdown_table(("line", "field", "problem"), problems),
            },
        )

    return rows_have_the_schema
