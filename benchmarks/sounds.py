"""How often the sound scores are wrong, on clips that nothing was fitted on.

    python benchmarks/sounds.py FOLDER

Prints, for each kind of held-out clip, how many of its seconds each score calls its own and why its
clips are filtered; then misses and false alarms of the filter with 95 % intervals (Wilson), by
clips and by sources; then processor time. FOLDER keeps the rendered clips (`held_out.npz`).
`sounds_material` says what it needs. With `--silero` also the speech seconds of silero-vad.
"""

from __future__ import annotations

import sys
import time
from collections.abc import Sequence
from pathlib import Path

import numpy as np
import numpy.typing as npt
import torch
from sounds_material import (
    APPLAUSE,
    ORCHESTRA,
    RATE_HZ,
    SILENCE,
    SOUNDS,
    SPEECH,
    Clip,
    held_out,
    level,
    saved,
)

from data_collection.recordings.sounds import (
    SoundScorer,
    SoundScores,
    SoundThresholds,
    filter_reason,
)

NINETY_FIVE = 1.96
MOSTLY = 0.8


def main() -> None:
    """Measure and print."""
    clips = saved(held_out(), Path(sys.argv[1]) / "held_out.npz")
    scorer = SoundScorer()
    scores = [scorer.score_clip(clip.samples, RATE_HZ) for clip in clips]
    print_seconds(clips, scores)
    print_clips(clips, scores)
    print_balance(clips, scores)
    print_cost(scorer, clips)
    if "--silero" in sys.argv:
        print_silero(clips)


def wilson(hits: int, trials: int) -> str:
    """A share with its 95 % interval."""
    if not trials:
        return "-"
    share, z2 = hits / trials, NINETY_FIVE**2
    centre = (share + z2 / (2 * trials)) / (1 + z2 / trials)
    half = NINETY_FIVE * np.sqrt(share * (1 - share) / trials + z2 / (4 * trials**2))
    half /= 1 + z2 / trials
    low, high = max(0.0, centre - half), min(1.0, centre + half)
    return f"{hits}/{trials} = {share:.1%} ({low:.1%} to {high:.1%})"


def print_seconds(clips: Sequence[Clip], scores: Sequence[SoundScores]) -> None:
    """Of each kind, the share of labelled seconds that each sound claims."""
    print("| kind | clips | sources | seconds | " + " | ".join(SOUNDS) + " |\n|---|" + "---|" * 7)
    for kind in sorted({clip.kind for clip in clips}):
        chosen = [i for i, clip in enumerate(clips) if clip.kind == kind]
        labels = np.concatenate([clips[i].labels for i in chosen])
        claimed = np.concatenate([scores[i].per_second for i in chosen])[: len(labels)] >= 0.5
        known = ~np.isnan(labels[:, 0])
        cells = []
        for column in range(len(SOUNDS)):
            parts = []
            for truth, word in ((1, "hit"), (0, "false")):
                there = known & (labels[:, column] == truth)
                if there.any():
                    parts.append(f"{word} {claimed[there, column].mean():.1%}")
            cells.append(", ".join(parts))
        sources = len({clips[i].source for i in chosen})
        print(f"| {kind} | {len(chosen)} | {sources} | {known.sum()} | " + " | ".join(cells) + " |")


def print_clips(clips: Sequence[Clip], scores: Sequence[SoundScores]) -> None:
    """What the filter does to clips of one thing, with intervals."""
    print("\n| clips | filtered | sources with one filtered | reasons |\n|---|---|---|---|")
    reasons = [filter_reason(score, SoundThresholds()) for score in scores]
    for kind in sorted({clip.kind for clip in clips}):
        chosen = [i for i, clip in enumerate(clips) if clip.kind == kind]
        print_row(kind, chosen, clips, reasons)
    groups = {
        "all solo piano": lambda clip: clip.kind in ("real piano", "rendered piano"),
        "all with music only": lambda clip: "piano" in clip.kind and mostly(clip, NOT_MUSIC) == 0,
        "mostly applause": lambda clip: mostly(clip, (APPLAUSE,)) >= MOSTLY,
        "mostly speech": lambda clip: mostly(clip, (SPEECH,)) >= MOSTLY,
        "mostly silence": lambda clip: mostly(clip, (SILENCE,)) > MOSTLY,
    }
    for name, belongs in groups.items():
        print_row(name, [i for i, clip in enumerate(clips) if belongs(clip)], clips, reasons)


NOT_MUSIC = (APPLAUSE, SPEECH, SILENCE)


def mostly(clip: Clip, columns: Sequence[int]) -> float:
    """The share of seconds that are labelled as one of these sounds."""
    return float((clip.labels[:, list(columns)] == 1).any(axis=1).mean())


def print_row(
    name: str, chosen: Sequence[int], clips: Sequence[Clip], reasons: Sequence[str | None]
) -> None:
    """One group's row."""
    filtered = [i for i in chosen if reasons[i]]
    counts = {why: sum(reasons[i] == why for i in chosen) for why in {reasons[i] for i in filtered}}
    hit, there = ({clips[i].source for i in group} for group in (filtered, chosen))
    print(f"| {name} | {wilson(len(filtered), len(chosen))} | {len(hit)}/{len(there)} | {counts} |")


def print_balance(clips: Sequence[Clip], scores: Sequence[SoundScores]) -> None:
    """How high the orchestra's share is, in clips all of it and in clips without it."""
    print("\n| clips | orchestra's share: 5 %, median, 95 % | share >= 0.5 |\n|---|---|---|")
    for kind in sorted({clip.kind for clip in clips}):
        shares = np.array(
            [s.orchestra for c, s in zip(clips, scores, strict=True) if c.kind == kind]
        )
        quantiles = ", ".join(f"{q:.2f}" for q in np.quantile(shares, (0.05, 0.5, 0.95)))
        print(f"| {kind} | {quantiles} | {wilson(int((shares >= 0.5).sum()), shares.size)} |")
    truth = np.concatenate([clip.labels[:, ORCHESTRA] for clip in clips])
    score = np.concatenate([s.per_second[:, ORCHESTRA] for s in scores])
    music = np.isin(
        np.concatenate([[c.kind.split(" ")[0]] * len(c.labels) for c in clips]),
        ("real", "rendered", "produced", "orchestra"),
    )
    known = ~np.isnan(truth) & music
    print(f"\narea under the curve, orchestra by second: {area(score[known], truth[known]):.4f}")


def area(scores: npt.NDArray[np.float32], truth: npt.NDArray[np.float32]) -> float:
    """Area under the receiver's curve."""
    ranks = np.argsort(np.argsort(scores)) + 1
    there = truth == 1
    count = there.sum()
    return float((ranks[there].sum() - count * (count + 1) / 2) / (count * (~there).sum()))


def print_cost(scorer: SoundScorer, clips: Sequence[Clip]) -> None:
    """Processor time, threads, levels."""
    chosen = [clip.samples for clip in clips if clip.samples.size == 30 * RATE_HZ][::40]
    threads = torch.get_num_threads()
    try:
        torch.set_num_threads(1)
        times = []
        for samples in chosen:
            start = time.process_time()
            scorer.score_clip(samples, RATE_HZ)
            times.append(time.process_time() - start)
        alone = [scorer.score_clip(samples, RATE_HZ).per_second for samples in chosen]
    finally:
        torch.set_num_threads(threads)
    several = [scorer.score_clip(samples, RATE_HZ).per_second for samples in chosen]
    far = max(float(np.abs(a - b).max()) for a, b in zip(alone, several, strict=True))
    print(f"\nprocessor time a 30 s clip, one thread: median {np.median(times):.3f} s")
    print(f"one thread against {threads}: at most {far:.1e}")
    for change_db in (-20, 20):
        other = [
            scorer.score_clip(level(s) * np.float32(10 ** (change_db / 20)), RATE_HZ).per_second
            for s in chosen
        ]
        far = max(float(np.abs(a - b).max()) for a, b in zip(alone, other, strict=True))
        print(f"level {change_db:+d} dB: at most {far:.1e}")


def print_silero(clips: Sequence[Clip]) -> None:
    """The same seconds by silero-vad: hit where half a second or more is speech."""
    import soxr
    from silero_vad import get_speech_timestamps, load_silero_vad

    model = load_silero_vad()
    print("\n| kind | silero-vad: seconds called speech |\n|---|---|")
    for kind in sorted({clip.kind for clip in clips}):
        called = []
        for clip in [clip for clip in clips if clip.kind == kind][:20]:
            audio = torch.from_numpy(soxr.resample(clip.samples, RATE_HZ, 16_000))
            mask = np.zeros(audio.shape[0])
            for span in get_speech_timestamps(audio, model):
                mask[span["start"] : span["end"]] = 1
            seconds = len(clip.labels)
            spoken = mask[: seconds * 16_000].reshape(seconds, -1).mean(axis=1) >= 0.5
            called.append(spoken[clip.labels[:, SPEECH] == clip.labels[0, SPEECH]])
        flat = np.concatenate(called)
        print(f"| {kind} | {flat.mean():.1%} of {flat.size} |")


if __name__ == "__main__":
    main()
