"""The control by guessing as an asset: does the teacher know who plays?

What belongs here: choosing the clips, asking through the same plan, caps and ledger as for scores,
and what the UI shows. What does not: the question and the odds (`guess_control`). It is made only
where somebody asks for it.
"""

import json
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence

import dagster as dg

from data_collection.asset_pages import markdown_table
from data_collection.recordings.assets import OWNERS, failure
from data_collection.recordings.resources import StoreResource
from data_collection.recordings.rows import read_rows
from data_collection.recordings.store import Store
from data_collection.recordings.tier import Tier
from data_collection.teacher.assets import POOL, Problem, TaughtTier, closed_because, observe_skip
from data_collection.teacher.guess_control import (
    GUESS_FIELD,
    AboveChance,
    above_chance,
    guess_prompt,
    guess_schema,
)
from data_collection.teacher.packet_stage import PACKETS, GroupOf, read_packets
from data_collection.teacher.packets import Packet
from data_collection.teacher.plans import make_plan
from data_collection.teacher.questions import Prompt, Question
from data_collection.teacher.resources import TeacherResource
from data_collection.teacher.scoring import score

CONTROL = "teacher_guess_control"
SYSTEM_TEXT = "You answer with one name, from measurements of piano playing and nothing else."
VERSION = "guess-1"
LIKELY_KNOWN_P = 0.01
Truths = dict[str, Packet]
"""A packet of each pianist, by name."""


def guess_control_asset(taught: TaughtTier, names: tuple[str, ...]) -> dg.AssetsDefinition:
    """Make a tier's control by guessing.

    Args:
        taught: the tier.
        names: of all tiers that may spend.
    """
    tier = taught.tier

    @dg.asset(
        key=[*tier.key_prefix, CONTROL],
        deps=[[*tier.key_prefix, PACKETS], dg.AssetKey(["teacher", "pilot"])],
        output_required=False,
        pool=POOL,
        group_name=tier.group,
        owners=OWNERS,
        kinds={"anthropic", "json"},
        description=(
            f"**{tier.label}: can the teacher tell who plays?** It is asked to name the pianist of "
            "one clip each, of the round with the most, from the packet alone. Far above chance, "
            "the packets are not blind. Costs as much as so many scores; made only by hand."
        ),
        metadata={"path": f"{tier.folder(CONTROL)}.json"},
    )
    def teacher_guess_control(
        context: dg.AssetExecutionContext, store: StoreResource, teacher: TeacherResource
    ) -> Iterator[dg.MaterializeResult]:  # type: ignore[type-arg]
        opened = store.open()
        try:
            closed = closed_because(opened, taught, teacher, teacher.read_rubric(opened))
            truths = _one_clip_each(opened, tier, taught.groups(opened))
            if len(truths) < 2:
                closed = closed or "fewer than two pianists have a packet"
            if closed:
                observe_skip(context, closed)
                return
            guesses, cost_usd, waiting = _asked(truths, tier, teacher, names)
            if waiting:
                observe_skip(context, f"{waiting} of {len(truths)} answers are waited for")
                return
            found = above_chance([guesses.get(name) for name in truths], list(truths), list(truths))
            opened.write_bytes(
                f"{tier.folder(CONTROL)}.json", _report(found, teacher.model).encode()
            )
        except Problem as error:
            raise failure(error) from None
        yield dg.MaterializeResult(
            metadata={
                "right_share": found.share if found.share is not None else 0.0,
                "chance": found.chance,
                "p": found.p if found.p is not None else 1.0,
                "guesses": found.guesses,
                "likely_known": found.p is not None and found.p < LIKELY_KNOWN_P,
                "cost_usd": cost_usd,
                "named": markdown_table(
                    ("pianist", "times"), [*Counter(guesses.values()).most_common()]
                ),
            }
        )

    return teacher_guess_control


def _one_clip_each(store: Store, tier: Tier, group_of: GroupOf) -> Truths:
    """A packet of each pianist of the largest round, by name; the first of each."""
    packets = {row.segment_id: row for row in read_packets(store, tier)}
    rounds: dict[str, Truths] = {}
    for row in read_rows(store, f"{tier.folder('metadata')}.jsonl", tier.row_model):
        group, found = group_of(row), packets.get(row.segment_id)
        if group is not None and found is not None:
            packet = Packet(row.segment_id, found.text, found.compared_with)
            rounds.setdefault(group.round, {}).setdefault(group.performer, packet)
    return max(rounds.values(), key=len, default={})


def _asked(
    truths: Truths, tier: Tier, teacher: TeacherResource, names: tuple[str, ...]
) -> tuple[Mapping[str, str], float, int]:
    """The guesses by pianist, what they cost, and how many are waited for."""
    candidates = sorted(truths)
    schema = guess_schema(candidates)
    name_of = {packet.segment_id: name for name, packet in truths.items()}
    ledger = teacher.ledger(names)
    client = teacher.client()

    def validate(text: str) -> Mapping[str, object]:
        return _guess(text, candidates)

    plan = make_plan(
        client,
        Prompt(SYSTEM_TEXT, schema, VERSION, VERSION),
        [
            Question(packet.segment_id, guess_prompt(packet, candidates))
            for packet in truths.values()
        ],
        tier=tier.group,
        teacher=teacher.teacher(),
        ledger=ledger,
        prices=teacher.read_prices(),
        validate=validate,
    )
    found = score(
        client, plan, ledger=ledger, validate=validate, wait_s=teacher.wait_s, poll_s=teacher.poll_s
    )
    guesses = {
        name_of[answer.segment_id]: str(answer.content[GUESS_FIELD])
        for answer in found.answers
        if answer.state == "scored" and answer.content is not None
    }
    return guesses, float(found.cost_usd), found.waiting


def _guess(text: str, candidates: Sequence[str]) -> Mapping[str, object]:
    given = json.loads(text)
    if not isinstance(given, dict) or given.get(GUESS_FIELD) not in candidates:
        raise ValueError(f"no {GUESS_FIELD} of the list")
    return given


def _report(found: AboveChance, model: str) -> str:
    content = {
        "model": model,
        "right_share": found.share,
        "chance": found.chance,
        "p": found.p,
        "guesses": found.guesses,
    }
    return f"{json.dumps(content, indent=1)}\n"
