"""Cut a part out of a stored original, to the sample.

What belongs here: copying samples from FLAC to FLAC. What does not: where to cut, which a tier's
catalogue says.
"""

from __future__ import annotations

from pathlib import Path

from data_collection.recordings.decode import (
    BLOCK_S,
    COMPLETE_SHARE,
    ROUNDING_S,
    SAMPLE_RATE_HZ,
    STORED_SUBTYPE,
)
from data_collection.recordings.errors import ItemError


def cut_flac(original: Path, part: Path, *, start_s: float, end_s: float | None) -> int:
    """Copy the samples of `[start_s, end_s)` as they are, ten seconds at a time.

    Args:
        original: mono 24 kHz FLAC.
        part: the FLAC file to write.
        start_s: first second of the part, in the original.
        end_s: end of the part; None for the original's end. An end that the listing rounded up,
            or 1 % beyond what was decoded, is the original's end.

    Returns:
        Samples written.

    Raises:
        ItemError: `cut_beyond_end`: the part does not lie in the original.
    """
    import soundfile

    with soundfile.SoundFile(original) as whole:
        first = round(start_s * SAMPLE_RATE_HZ)
        end: int = whole.frames if end_s is None else round(end_s * SAMPLE_RATE_HZ)
        length_s = whole.frames / SAMPLE_RATE_HZ
        reaches = whole.frames >= COMPLETE_SHARE * end - ROUNDING_S * SAMPLE_RATE_HZ
        end = min(end, whole.frames)
        if not reaches or not 0 <= first < end:
            wanted = f"{start_s:.3f} s to {'the end' if end_s is None else f'{end_s:.3f} s'}"
            raise ItemError(
                "cut_beyond_end",
                f"{part.stem}: {wanted} of an original of {length_s:.3f} s; check the time stamps "
                "of its description",
            )
        block = round(BLOCK_S * SAMPLE_RATE_HZ)
        whole.seek(first)
        with soundfile.SoundFile(
            part, "w", SAMPLE_RATE_HZ, 1, subtype=STORED_SUBTYPE, format="FLAC"
        ) as out:
            for at in range(first, end, block):
                # Integers, so that not one bit goes through a float.
                out.write(whole.read(min(block, end - at), dtype="int32"))
    return end - first
