"""Recipes: what a file may say, what is refused, and what is drawn from it."""

from __future__ import annotations

import collections
from pathlib import Path
from typing import Any

import pytest
import yaml
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from data_collection.augmentation.chain import draw
from data_collection.augmentation.draws import Draws
from data_collection.augmentation.parameters import Noise, Parameters, PitchShift, Room
from data_collection.augmentation.recipe import BUNDLED_RECIPE, Recipe, RecipeError, read_recipe
from data_collection.augmentation.rooms import Rooms, made_rooms
from data_collection.recordings.errors import SetupError

DEFAULT = read_recipe()
SEGMENTS = [f"yt_abcdefghijk_seg{index:04d}" for index in range(400)]


def content() -> dict[str, Any]:
    """The bundled recipe as plain values, to be spoilt."""
    loaded: dict[str, Any] = yaml.safe_load(BUNDLED_RECIPE.read_text(encoding="utf-8"))
    return loaded


def place_of(effect: str) -> int:
    return [entry["effect"] for entry in content()["effects"]].index(effect)


@pytest.mark.parametrize(
    ("effect", "field", "value", "named"),
    [
        ("noise", "snr_db", [40, 15], "noise.snr_db"),
        ("noise", "snr_db", 15, "noise.snr_db"),
        ("noise", "kinds", {"babble": 1}, "noise.kinds"),
        ("noise", "kinds", {"pink": 0}, "no kind has a weight"),
        ("pitch_shift", "cents", [-900, 0], "pitch_shift.cents"),
        ("pitch_shift", "probability", 1.5, "pitch_shift.probability"),
        ("pitch_shift", "semitones", [0, 1], "pitch_shift.semitones"),
        ("room", "tail_gain_db", [".nan", 0], "room.tail_gain_db"),
        ("phone", "ratios", [3], "phone.ratios"),
        ("phone", "high_cut_hz", [3000, 13_000], "phone.high_cut_hz"),
        ("equaliser", "bands", [], "equaliser.bands"),
        ("room", "effect", "reverb", "effects[2]"),
    ],
)
def test_a_mistake_is_named_by_file_effect_and_field(
    effect: str, field: str, value: object, named: str, tmp_path: Path
) -> None:
    """A recipe that is silently read otherwise gives a thousand twins of another experiment."""
    spoilt = content()
    spoilt["effects"][place_of(effect)][field] = value
    path = tmp_path / "mine.yaml"
    path.write_text(yaml.safe_dump(spoilt))
    with pytest.raises(RecipeError) as caught:
        read_recipe(path)
    assert "mine.yaml" in str(caught.value)
    assert named in str(caught.value)
    assert f"effects[{place_of(effect) + 1}]" in str(caught.value)


@pytest.mark.parametrize(
    ("text", "named"),
    [
        ("", "expected fields"),
        ("- effects", "expected fields"),
        ("a: [", "not YAML"),
        ("name: x", "effects"),
        ("name: x\nversion: 1\npeak_limit_dbfs: -1\neffects: []\nextra: 1", "extra"),
    ],
)
def test_what_is_no_recipe_is_refused(text: str, named: str, tmp_path: Path) -> None:
    """Half a file, or another kind of file."""
    path = tmp_path / "mine.yaml"
    path.write_text(text)
    with pytest.raises(RecipeError, match=named):
        read_recipe(path)


def test_a_missing_or_unreadable_file_is_named(tmp_path: Path) -> None:
    """The message says where the bundled one is."""
    with pytest.raises(RecipeError, match=r"default\.yaml"):
        read_recipe(tmp_path / "typo.yaml")
    (tmp_path / "latin.yaml").write_bytes(b"name: \xe9")
    with pytest.raises(RecipeError, match="UTF-8"):
        read_recipe(tmp_path / "latin.yaml")


def test_a_recipe_that_applies_nothing_is_refused() -> None:
    """Every twin would equal its clip."""
    silent = content()
    for effect in silent["effects"]:
        effect["probability"] = 0
    with pytest.raises(ValueError, match="every twin would be clean"):
        Recipe.model_validate(silent)


@given(segment=st.text(min_size=1), seed=st.integers(-(2**70), 2**70))
@settings(max_examples=60, suppress_health_check=[HealthCheck.function_scoped_fixture])
def test_parameters_survive_json_to_the_bit(segment: str, seed: int, rooms: Rooms) -> None:
    """What `pairs.jsonl` stores is what makes the twin again."""
    drawn = draw(DEFAULT, segment, seed, rooms)
    assert Parameters.model_validate_json(drawn.model_dump_json()) == drawn


def test_draws_stay_in_their_ranges_and_fill_them(rooms: Rooms) -> None:
    """A range that is never left, and of which both ends are reached."""
    ratios, cents = [], []
    for segment in SEGMENTS:
        drawn = draw(DEFAULT, segment, 1, rooms)
        assert drawn.effects, "a twin without an effect"
        for effect in drawn.effects:
            if isinstance(effect, Noise):
                ratios.append(effect.snr_db)
            if isinstance(effect, PitchShift):
                cents.append(effect.cents)
    assert 15 <= min(ratios) < 17
    assert 43 < max(ratios) <= 45
    assert -60 <= min(cents) < -54
    assert 54 < max(cents) <= 60


def test_effects_come_as_often_as_stated(rooms: Rooms) -> None:
    """Probabilities of 400 segments, within four standard deviations."""
    counts = collections.Counter(
        effect.effect for segment in SEGMENTS for effect in draw(DEFAULT, segment, 2, rooms).effects
    )
    for effect in DEFAULT.effects:
        share = counts[effect.effect] / len(SEGMENTS)
        assert share == pytest.approx(effect.probability, abs=0.11), effect.effect


@given(st.lists(st.sampled_from([0.0, 0.001, 0.01]), min_size=5, max_size=5), st.integers())
def test_there_is_always_an_effect_and_never_one_of_probability_0(
    probabilities: list[float], seed: int
) -> None:
    """Rare effects leave most twins bare: one is applied then, of those that may be."""
    if not any(probabilities):
        return
    effects = tuple(
        effect.model_copy(update={"probability": probability})
        for effect, probability in zip(DEFAULT.effects, probabilities, strict=True)
    )
    applied = DEFAULT.model_copy(update={"effects": effects}).applied(Draws(seed))
    assert applied
    assert all(probabilities[place] > 0 for place in applied)


def test_a_new_room_takes_its_share_and_moves_no_other(rooms: Rooms) -> None:
    """One more response in the folder must not make 50,000 twins anew."""

    def drawn_rooms(count: int) -> list[str]:
        drawn = [draw(DEFAULT, segment, 3, made_rooms(count)) for segment in SEGMENTS]
        return [e.response for twin in drawn for e in twin.effects if isinstance(e, Room)]

    before, after = drawn_rooms(9), drawn_rooms(10)
    moved = [new for old, new in zip(before, after, strict=True) if old != new]
    assert set(moved) == {"made:1:009"}
    assert 0.04 < len(moved) / len(before) < 0.18


def test_version_seed_and_segment_each_change_the_draw(rooms: Rooms) -> None:
    """Two twins of one clip differ; so do twins of two versions of a recipe."""
    other = DEFAULT.model_copy(update={"version": 2})
    drawn = [
        draw(DEFAULT, "a", 1, rooms),
        draw(DEFAULT, "a", 2, rooms),
        draw(DEFAULT, "b", 1, rooms),
        draw(other, "a", 1, rooms),
    ]
    assert len({twin.effects for twin in drawn}) == 4
    assert drawn[0].recipe_sha256 != drawn[3].recipe_sha256


def test_a_room_without_rooms_is_our_fault() -> None:
    """Left out, it would be another recipe under the same name."""
    only_room = DEFAULT.model_copy(
        update={"effects": tuple(e for e in DEFAULT.effects if e.effect == "room")}
    )
    with pytest.raises(SetupError, match="no_rooms"):
        draw(only_room, "a", 1, Rooms({}))
