"""Each effect alone: in its place, within full scale, and what it says it is."""

from __future__ import annotations

from typing import get_args

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from data_collection.augmentation.chain import apply_effect
from data_collection.augmentation.filters import GRID, band_magnitudes
from data_collection.augmentation.levels import SAMPLE_RATE_HZ, Samples, power
from data_collection.augmentation.noise import noise
from data_collection.augmentation.parameters import (
    Band,
    EffectParameters,
    Equaliser,
    Noise,
    NoiseKind,
    Phone,
    PitchShift,
    Room,
)
from data_collection.augmentation.rooms import Rooms
from data_collection.recordings.errors import ItemError
from data_collection_tests.augmentation.signals import arrival_samples, lag_samples, power_db

KINDS: tuple[NoiseKind, ...] = get_args(NoiseKind)
BANDS = (
    Band(shape="low_shelf", frequency_hz=120, gain_db=-6, q=0.7),
    Band(shape="peak", frequency_hz=700, gain_db=5, q=2),
    Band(shape="high_shelf", frequency_hz=5_000, gain_db=-9, q=0.7),
)
PHONE = Phone(
    low_cut_hz=300, high_cut_hz=3_400, threshold_db=-12, ratio=4, attack_ms=5, release_ms=120
)
EFFECTS: tuple[EffectParameters, ...] = (
    PitchShift(cents=47),
    PitchShift(cents=-200),
    Equaliser(bands=BANDS),
    Room(response="made:1:003", tail_gain_db=-2),
    PHONE,
    *(Noise(kind=kind, snr_db=12, noise_seed=5) for kind in KINDS),
)
IN_PLACE = tuple(effect for effect in EFFECTS if effect.effect != "pitch_shift")


def name(effect: EffectParameters) -> str:
    return f"{effect.effect}-{getattr(effect, 'kind', getattr(effect, 'cents', ''))}"


def clip_of(shape: str, size: int) -> Samples:
    """Inputs that break filters: nothing, everything, one sample, a constant, tiny numbers."""
    made = np.zeros(size, dtype=np.float32)
    if shape == "square":
        made[:] = np.where(np.arange(size) // 40 % 2, 1, -1)
    elif shape == "noise":
        made[:] = np.random.default_rng(size).uniform(-1, 1, size)
    elif shape == "impulse":
        made[size // 2] = 1
    elif shape == "constant":
        made[:] = 1
    elif shape == "denormal":
        made[:] = np.random.default_rng(size).uniform(-1e-38, 1e-38, size)
    return made


@pytest.mark.parametrize("effect", EFFECTS, ids=name)
@settings(max_examples=12, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(
    shape=st.sampled_from(["silence", "square", "noise", "impulse", "constant", "denormal"]),
    size=st.one_of(st.sampled_from([1_025, 1_026, 2_047, 2_049]), st.integers(1_025, 60_000)),
)
def test_any_clip_comes_back_as_long_finite_and_within_full_scale(
    effect: EffectParameters, rooms: Rooms, shape: str, size: int
) -> None:
    """One NaN or clipped sample in a twin reaches the model as a label of its own."""
    clip = clip_of(shape, size)
    kept = clip.copy()
    twin = apply_effect(clip, effect, rooms)
    assert twin.dtype == np.float32
    assert twin.shape == clip.shape
    assert np.isfinite(twin).all()
    assert np.abs(twin).max() <= 1
    assert np.array_equal(clip, kept), "the clip itself was changed"


@pytest.mark.parametrize("effect", EFFECTS, ids=name)
@pytest.mark.parametrize("bad", ["short", "nan", "infinite"])
def test_a_clip_that_cannot_be_embedded_is_the_items_fault(
    effect: EffectParameters, rooms: Rooms, bad: str
) -> None:
    """A clip of NaN would be spread over 30 s by any filter and embedded as if it were music."""
    clip = np.zeros(1_024 if bad == "short" else 4_000, dtype=np.float32)
    clip[7] = {"short": 0, "nan": np.nan, "infinite": np.inf}[bad]
    with pytest.raises(ItemError):
        apply_effect(clip, effect, rooms)


@pytest.mark.parametrize("effect", IN_PLACE, ids=name)
def test_an_effect_leaves_the_music_at_its_sample(
    effect: EffectParameters, rooms: Rooms, piano: Samples
) -> None:
    """A delay of 1 ms makes frame k of the twin another moment than frame k of the clip."""
    twin = apply_effect(piano, effect, rooms)
    measured = arrival_samples if effect.effect == "room" else lag_samples
    assert abs(measured(twin, piano)) < 0.05


def test_every_made_room_leaves_the_music_at_its_sample(rooms: Rooms, piano: Samples) -> None:
    """A strong reflection must not be taken for the direct sound."""
    clip = piano[: 6 * SAMPLE_RATE_HZ].copy()
    clip[3 * SAMPLE_RATE_HZ :] = 0  # the tail dies away within the clip
    for response in rooms.names:
        twin = apply_effect(clip, Room(response=response, tail_gain_db=-12), rooms)
        assert abs(arrival_samples(twin, clip)) < 0.5, response


@pytest.mark.parametrize("effect", IN_PLACE[:3], ids=name)
def test_colour_and_room_keep_the_power(
    effect: EffectParameters, rooms: Rooms, piano: Samples
) -> None:
    """Loudness is part of what is learnt: a twin is not to be the quieter one of the two."""
    twin = apply_effect(piano, effect, rooms)
    assert power(twin) == pytest.approx(power(piano), rel=1e-3)


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("snr_db", [-3.0, 10.0, 40.0])
def test_noise_has_the_stated_ratio(
    kind: NoiseKind, snr_db: float, rooms: Rooms, piano: Samples
) -> None:
    """A ratio that depends on the colour makes the kinds impossible to compare."""
    quiet = piano * np.float32(0.3)
    added = (
        apply_effect(quiet, Noise(kind=kind, snr_db=snr_db, noise_seed=3), rooms).astype(np.float64)
        - quiet
    )
    found = 10 * np.log10(power(quiet) / np.mean(np.square(added)))
    assert found == pytest.approx(snr_db, abs=0.02)


def test_noise_on_silence_is_faint(rooms: Rooms) -> None:
    """A ratio to nothing would be no noise at all, or a division by zero."""
    silence = np.zeros(24_000, dtype=np.float32)
    twin = apply_effect(silence, Noise(kind="pink", snr_db=10, noise_seed=1), rooms)
    assert -92 < 10 * np.log10(power(twin)) < -88


def slope_db_per_octave(kind: NoiseKind, low_hz: float, octaves: int) -> float:
    made = noise(kind, 20 * SAMPLE_RATE_HZ, 1)
    powers = [power_db(made, low_hz * 2**o, low_hz * 2 ** (o + 1)) for o in range(octaves)]
    return float(np.polyfit(np.arange(octaves), powers, 1)[0]) - 3.0103


@pytest.mark.parametrize(
    ("kind", "low_hz", "octaves", "slope_db"),
    [
        ("white", 50, 7, 0),
        ("pink", 20, 9, -3.01),
        ("room_tone", 400, 4, -8.5),
        ("hiss", 1500, 3, 4.5),
    ],
)
def test_noise_has_its_colour(
    kind: NoiseKind, low_hz: float, octaves: int, slope_db: float
) -> None:
    """White noise under every name would teach one condition five times."""
    tolerance_db = 0.3 if kind in ("white", "pink") else 1.5
    assert slope_db_per_octave(kind, low_hz, octaves) == pytest.approx(slope_db, abs=tolerance_db)


@pytest.mark.parametrize("kind", KINDS)
def test_noises_of_two_seeds_are_strangers(kind: NoiseKind) -> None:
    """The same noise on every clip is a watermark, which a model finds sooner than the music."""
    one, other = (noise(kind, SAMPLE_RATE_HZ, seed) for seed in (1, 2))
    assert power(one) == pytest.approx(1, rel=1e-4)
    limit = 0.95 if kind == "hum" else 0.3  # the same frequencies, other phases
    assert abs(float(np.mean(one * other))) < limit


@pytest.mark.parametrize("mains_hz", [50, 60])
def test_hum_holds_the_mains_and_its_harmonics_only(mains_hz: int) -> None:
    """A hum beside its frequency is a tone that no recording has."""
    hum = noise("hum", SAMPLE_RATE_HZ, 1, mains_hz)
    spectrum = np.abs(np.fft.rfft(hum.astype(np.float64)))
    assert set(np.flatnonzero(spectrum > 1e-3 * spectrum.max()) % mains_hz) == {0}


def test_phone_cuts_steeply(rooms: Rooms, piano: Samples) -> None:
    """First-order filters leave the bass of a piano audible: no phone sounds like that."""
    clip = noise("white", 4 * SAMPLE_RATE_HZ, 1) * np.float32(0.1)
    twin = apply_effect(clip, PHONE.model_copy(update={"threshold_db": 0.0}), rooms)

    def gain_db(low_hz: float, high_hz: float) -> float:
        return power_db(twin, low_hz, high_hz) - power_db(clip, low_hz, high_hz)

    assert gain_db(20, 150) < gain_db(500, 3_000) - 50
    assert gain_db(3_700, 11_000) < gain_db(500, 3_000) - 50
    assert gain_db(400, 3_200) == pytest.approx(gain_db(1_000, 2_000), abs=0.5)


@pytest.mark.parametrize("ratio", [2, 4])
def test_compressor_reduces_a_step_by_its_ratio(ratio: int, rooms: Rooms) -> None:
    """A ratio that is not kept makes the stored parameters untrue."""
    times_s = np.arange(6 * SAMPLE_RATE_HZ) / SAMPLE_RATE_HZ
    tone = 0.3 * np.sin(2 * np.pi * 1_000 * times_s)
    tone[: tone.size // 2] *= 10 ** (-20 / 20)
    phone = PHONE.model_copy(update={"ratio": ratio, "threshold_db": -30.0, "attack_ms": 2.0})
    twin = apply_effect(tone.astype(np.float32), phone, rooms)
    quiet, loud = (power(twin[round(at * 24_000) : round((at + 1) * 24_000)]) for at in (1.5, 4.5))
    assert 10 * np.log10(loud / quiet) == pytest.approx(20 / ratio, abs=0.3)


@pytest.mark.parametrize("band", BANDS, ids=lambda band: band.shape)
def test_equaliser_has_the_magnitude_it_states(band: Band, rooms: Rooms) -> None:
    """A filter too short for its band does half of what its parameters say."""
    impulse = np.zeros(GRID, dtype=np.float32)
    impulse[GRID // 2] = 0.5
    twin = apply_effect(impulse, Equaliser(bands=(band,)), rooms)
    found = 20 * np.log10(np.abs(np.fft.rfft(twin.astype(np.float64))) + 1e-12)
    wanted = 20 * np.log10(band_magnitudes(band))
    audible = slice(round(40 * GRID / SAMPLE_RATE_HZ), GRID // 2)
    difference = (found - wanted)[audible]
    assert np.ptp(difference) < 0.4  # its power is matched, so only the shape counts


def test_bands_have_their_gains() -> None:
    """Shelves reach their gain at their end of the spectrum, a peak at its centre."""
    grid_hz = np.arange(GRID // 2 + 1) * SAMPLE_RATE_HZ / GRID
    for band, at_hz, far_hz in zip(BANDS, (0, 700, 11_990), (11_990, 11_990, 20), strict=True):
        gains_db = 20 * np.log10(band_magnitudes(band))
        assert np.interp(at_hz, grid_hz, gains_db) == pytest.approx(band.gain_db, abs=0.15)
        assert np.interp(far_hz, grid_hz, gains_db) == pytest.approx(0, abs=0.1)


def test_tail_gain_leaves_the_direct_sound(rooms: Rooms) -> None:
    """A drier room is the same room: only what follows the direct sound gets quieter."""
    impulse = np.zeros(30_000, dtype=np.float32)
    impulse[100] = 0.5
    whole, dry = (
        apply_effect(impulse, Room(response="made:1:005", tail_gain_db=gain_db), rooms)
        for gain_db in (0.0, -12.0)
    )
    whole, dry = whole / whole[100], dry / dry[100]
    after = slice(100 + 240, None)
    assert power(dry[after]) / power(whole[after]) == pytest.approx(10**-1.2, rel=0.01)
    assert np.allclose(dry[:150], whole[:150], atol=1e-5)
