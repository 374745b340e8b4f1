"""One embedding, from its file to a tensor.

What belongs here: reading, and saying which file is not what it should be. What does not: which
embeddings (`datasets`). Nothing is unpickled but tensors.
"""

from __future__ import annotations

import pickle
from functools import lru_cache

import torch
from upath import UPath

from data_collection.recordings.errors import SetupError

OPEN_FILES = 4
"""Files of many embeddings that a process keeps mapped."""


def load_embedding(location: str, key: str | None = None, *, mmap: bool = True) -> torch.Tensor:
    """Read an embedding, `[frames, width]`, in the type that it is stored in (float16 for ours).

    Args:
        location: path or URL of a `.pt`.
        key: of the embedding in a file of many, which is memory-mapped where it is local; None for
            a file of its own.
        mmap: map a local file rather than read it: values come from the page cache when they are
            looked at, and a conversion saves a copy. Who keeps tens of thousands of tensors passes
            False, or copies them: a process may hold 65,530 mappings.

    Raises:
        SetupError: `embedding_missing`, or `embedding_unreadable` where it is cut short, or not of
            that shape.
    """
    if key is None:
        loaded = _read(location, mmap=mmap)
    else:
        many = _many(location)
        if not isinstance(many, dict) or key not in many:
            raise _unreadable(location, f"it holds no embedding of {key}")
        loaded = many[key]
    if not isinstance(loaded, torch.Tensor):
        raise _unreadable(location, f"it holds a {type(loaded).__name__}, expected a tensor")
    if loaded.ndim == 3 and loaded.shape[0] == 1:  # some extractors leave the batch's dimension
        loaded = loaded[0]
    if loaded.ndim != 2:
        raise _unreadable(location, f"shape {tuple(loaded.shape)}, expected [frames, width]")
    return loaded


@lru_cache(maxsize=OPEN_FILES)
def _many(location: str) -> object:
    return _read(location, mmap=True)


def _read(location: str, *, mmap: bool) -> object:
    try:
        if "://" not in location:
            return torch.load(location, weights_only=True, map_location="cpu", mmap=mmap)
        with UPath(location).open("rb") as file:
            return torch.load(file, weights_only=True, map_location="cpu")
    except FileNotFoundError:
        raise SetupError(
            "embedding_missing",
            f"{location} is not there; materialize its muq_embeddings, or is EMBEDDINGS_ROOT "
            "(embeddings_root) another one?",
        ) from None
    except (RuntimeError, EOFError, pickle.UnpicklingError, ValueError, OSError) as error:
        raise _unreadable(location, str(error).splitlines()[0] if str(error) else "") from error


def _unreadable(location: str, problem: str) -> SetupError:
    return SetupError(
        "embedding_unreadable",
        f"{location}: {problem}; delete it and materialize its muq_embeddings again",
    )
