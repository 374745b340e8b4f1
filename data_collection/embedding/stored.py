"""An embedding as the file that training reads.

What belongs here: the bytes of a `.pt`. What does not: where it lies (`stage`), the model.
"""

from __future__ import annotations

import io
import pickle

import numpy as np
import numpy.typing as npt

from data_collection.recordings.errors import ItemError


def embedding_file(hidden: npt.NDArray[np.float32]) -> bytes:
    """Serialise an embedding as the training code reads it.

    Args:
        hidden: `[frames, width]`, float32.

    Returns:
        A `torch.save`d float16 tensor of that shape, for `torch.load(..., weights_only=True)`.

    Raises:
        ItemError: `embedding_overflow`, where float16 (largest 65,504) cannot hold a value.
    """
    import torch

    if hidden.size and not float(np.abs(hidden).max()) <= float(np.finfo(np.float16).max):
        raise ItemError("embedding_overflow", "a value is no number, or too large for float16")
    buffer = io.BytesIO()
    torch.save(torch.from_numpy(hidden).to(torch.float16).contiguous(), buffer)
    return buffer.getvalue()


def read_embedding_file(content: bytes) -> npt.NDArray[np.float16]:
    """Read an embedding back, `[frames, width]`, float16, without unpickling code.

    Raises:
        ValueError: it is not a tensor file, or not of that kind.
    """
    import torch

    try:
        tensor = torch.load(io.BytesIO(content), weights_only=True, map_location="cpu")
    except (RuntimeError, EOFError, pickle.UnpicklingError, ValueError) as error:
        raise ValueError(f"not a readable tensor file ({error})") from error
    if not isinstance(tensor, torch.Tensor) or tensor.dtype != torch.float16 or tensor.ndim != 2:
        raise ValueError("expected a float16 tensor of shape [frames, width]")
    array: npt.NDArray[np.float16] = tensor.numpy()
    return array
