"""The pitch shift: the right pitch, notes where they were and as sharp as they were."""

from __future__ import annotations

import numpy as np
import pytest

from data_collection.augmentation.levels import SAMPLE_RATE_HZ, Samples, power
from data_collection.augmentation.pitch import onsets, pitch_shift
from data_collection_tests.augmentation.signals import piano_tone, rises

SHIFTS_CENTS = (-200.0, -60.0, 35.0, 120.0)


def strongest_hz(samples: Samples, near_hz: float) -> float:
    """Frequency of a tone's fundamental, to a fraction of a bin."""
    size = 1 << 18
    spectrum = np.abs(np.fft.rfft(samples * np.hanning(samples.size), size))
    bin_hz = SAMPLE_RATE_HZ / size
    low, high = (round(near_hz * factor / bin_hz) for factor in (0.9, 1.1))
    return float((low + np.argmax(spectrum[low:high])) * bin_hz)


@pytest.mark.parametrize("cents", SHIFTS_CENTS)
@pytest.mark.parametrize("frequency_hz", [65.4, 220.0, 880.0, 2_093.0])
def test_a_struck_string_moves_by_the_interval(cents: float, frequency_hz: float) -> None:
    """Steady sines are no test: what counts is a tone that begins and decays."""
    tone = piano_tone(frequency_hz, 0.2, 1.6, 2.0)
    shifted = pitch_shift(tone, cents)
    sounding = slice(round(0.4 * SAMPLE_RATE_HZ), round(1.6 * SAMPLE_RATE_HZ))
    before = strongest_hz(tone[sounding], frequency_hz)
    after = strongest_hz(shifted[sounding], frequency_hz * 2 ** (cents / 1200))
    assert 1200 * np.log2(after / before) == pytest.approx(cents, abs=3)
    assert power(shifted) == pytest.approx(power(tone), rel=0.15)


def note_lags_ms(twin: Samples, clip: Samples) -> list[int]:
    """Lag of each note's beginning, by cross-correlation of how the highs rise around it."""
    lags = []
    for onset in onsets(clip):
        around = slice(max(0, onset - 2_400), onset + 2_400)
        one, other = rises(twin[around]), rises(clip[around])
        lags.append(int(np.argmax(np.correlate(one, other, "full"))) - other.size + 1)
    return lags


@pytest.mark.parametrize("cents", [*SHIFTS_CENTS, 10.0, 200.0])
def test_notes_begin_where_they_began(cents: float, piano: Samples) -> None:
    """Real piano: an early or late attack is another moment of the music in frame k.

    Single soft notes of a legato are found to 10 ms only, so the middle half of all counts.
    """
    lags_ms = note_lags_ms(pitch_shift(piano, cents), piano)
    assert len(lags_ms) > 30
    low, middle, high = np.percentile(lags_ms, [25, 50, 75])
    assert abs(middle) <= 1
    assert low >= -3
    assert high <= 3


@pytest.mark.parametrize("cents", [*SHIFTS_CENTS, 200.0])
def test_detached_notes_begin_to_the_millisecond(cents: float) -> None:
    """The delay does not grow along the clip: the last note is in its place as the first is.

    An onset is found to 10 ms, which is off by that times the change of the ratio.
    """
    at_s = [0.25 + 0.4 * note for note in range(20)]
    notes = [piano_tone(262.0 * 2 ** (n % 5 / 6), s, 0.25, 8.5) for n, s in enumerate(at_s)]
    clip = np.asarray(sum(notes), dtype=np.float32)
    assert np.abs(note_lags_ms(pitch_shift(clip, cents), clip)).max() <= (
        1 if abs(cents) <= 120 else 2
    )


@pytest.mark.parametrize("cents", SHIFTS_CENTS)
def test_an_attack_out_of_silence_stays_sharp(cents: float) -> None:
    """A vocoder without a care for attacks rings for 40 ms before each note.

    Without it, 5 to 40 ms before the note lie 30 to 40 dB below its first 20 ms.
    """
    onset_s = 0.5
    tone = piano_tone(330.0, onset_s, 0.8, 1.5)
    shifted = pitch_shift(tone, cents)
    at = round(onset_s * SAMPLE_RATE_HZ)
    before = power(shifted[at - 960 : at - 120])
    assert 10 * np.log10(before / power(shifted[at : at + 480])) < -55


def test_a_sounding_note_is_not_disturbed_by_the_next() -> None:
    """The attack's phases are for the bins that it brings, not for what was sounding."""
    low = piano_tone(110.0, 0.1, 2.8, 3.0)
    both = low + piano_tone(1_245.0, 1.5, 1.0, 3.0)
    alone, together = pitch_shift(low, 60), pitch_shift(both, 60)
    window = slice(round(1.6 * SAMPLE_RATE_HZ), round(2.6 * SAMPLE_RATE_HZ))

    def bass(samples: Samples) -> Samples:
        spectrum = np.fft.rfft(samples[window].astype(np.float64))
        spectrum[round(700 * spectrum.size / 12_000) :] = 0
        return np.asarray(np.abs(spectrum), dtype=np.float32)

    difference = bass(together) - bass(alone)
    assert power(difference) < 0.02 * power(bass(alone))


def test_no_shift_is_the_clip_itself(piano: Samples) -> None:
    """Nothing is rounded where nothing is asked for."""
    assert np.array_equal(pitch_shift(piano, 0.0), piano)


def test_up_and_down_again_is_the_clip(piano: Samples) -> None:
    """What is lost on the way there and back is little: the vocoder invents no sound."""
    back = pitch_shift(pitch_shift(piano, 50), -50)
    frames = [np.lib.stride_tricks.sliding_window_view(x, 2048)[::512] for x in (piano, back)]
    wanted, found = (np.abs(np.fft.rfft(frame * np.hanning(2048))) for frame in frames)
    assert np.sqrt(np.square(found - wanted).sum() / np.square(wanted).sum()) < 0.25


def test_the_end_is_not_silent() -> None:
    """A stretch that stops early leaves silence where the last frames of a clip had music."""
    tone = piano_tone(440.0, 0.0, 5.0, 2.0)
    for cents in SHIFTS_CENTS:
        end = pitch_shift(tone, cents)[-240:]
        assert power(end) > 0.2 * power(tone[-240:])


def test_onsets_are_found_where_notes_begin() -> None:
    """An onset off by a window puts the attack of one note to the place of another."""
    at_s = (0.3, 0.8, 1.0, 1.9)
    notes = [
        piano_tone(f_hz, s, 0.6, 2.6) for f_hz, s in zip((98, 330, 494, 880), at_s, strict=True)
    ]
    found = np.array(onsets(np.asarray(sum(notes), dtype=np.float32))) / SAMPLE_RATE_HZ
    assert len(found) == len(at_s)
    assert np.abs(found - at_s).max() < 0.015


def test_silence_has_no_onsets() -> None:
    """Nothing begins in silence, nor in the rounding noise of 24 bits."""
    assert onsets(np.zeros(24_000, dtype=np.float32)) == []
    dither = np.random.default_rng(1).uniform(-1e-7, 1e-7, 24_000).astype(np.float32)
    assert onsets(dither) == []
