"""Find a MuQ checkpoint and say exactly which one it is.

What belongs here: a hub id or a folder, resolved to a local folder and to a revision that names the
weights for ever. What does not: loading them (`encoder`). Neither torch nor the hub's client is
imported before it is needed.
"""

from __future__ import annotations

import hashlib
import re
from dataclasses import dataclass
from pathlib import Path

from data_collection.recordings.errors import SetupError

HUB_ID = re.compile(r"[\w.-]+/[\w.-]+")
CONFIG_NAME = "config.json"
WEIGHT_NAMES = ("model.safetensors", "pytorch_model.bin")
READ_BLOCK_BYTES = 1 << 22


@dataclass(frozen=True, slots=True)
class Checkpoint:
    """A checkpoint on this machine.

    Attributes:
        name: as it was asked for: a hub id, or the folder's name.
        revision: the hub's commit, or `sha256:` and a hash over a folder's configuration and
            weights.
        folder: where the files lie.
    """

    name: str
    revision: str
    folder: Path

    @property
    def weights(self) -> Path:
        """The file of weights."""
        return next(path for name in WEIGHT_NAMES if (path := self.folder / name).is_file())


def find_checkpoint(name: str, revision: str | None = None) -> Checkpoint:
    """Resolve a checkpoint.

    Args:
        name: a folder, or an id on the Hugging Face hub such as `OpenMuQ/MuQ-large-msd-iter`.
        revision: branch, tag or commit on the hub; ignored for a folder.

    Raises:
        SetupError: `checkpoint_missing`, saying what was looked for and what to do.
    """
    folder = Path(name).expanduser()
    if folder.is_dir():
        return Checkpoint(folder.name, _hash_of_folder(folder), folder.resolve())
    if folder.is_absolute() or name.startswith((".", "~")) or not HUB_ID.fullmatch(name):
        raise SetupError(
            "checkpoint_missing",
            f"MUQ_CHECKPOINT={name}: no such folder, and no hub id of the form owner/name",
        )
    from huggingface_hub import snapshot_download
    from huggingface_hub.errors import HfHubHTTPError, HFValidationError, LocalEntryNotFoundError

    try:
        snapshot = snapshot_download(
            name, revision=revision, allow_patterns=[CONFIG_NAME, *WEIGHT_NAMES]
        )
    except (HfHubHTTPError, HFValidationError, LocalEntryNotFoundError, OSError) as error:
        raise SetupError(
            "checkpoint_missing",
            f"MUQ_CHECKPOINT={name} (revision {revision or 'default'}): not in the local cache and "
            f"not to be had from the hub ({error}); check the network and the name, or set "
            "MUQ_CHECKPOINT to a local folder",
        ) from error
    return Checkpoint(name, Path(snapshot).name, Path(snapshot))


def _hash_of_folder(folder: Path) -> str:
    weights = next((folder / name for name in WEIGHT_NAMES if (folder / name).is_file()), None)
    config = folder / CONFIG_NAME
    if weights is None or not config.is_file():
        raise SetupError(
            "checkpoint_missing",
            f"MUQ_CHECKPOINT={folder}: expected {CONFIG_NAME} and one of "
            f"{', '.join(WEIGHT_NAMES)} in that folder",
        )
    digest = hashlib.sha256()
    for path in (config, weights):
        with path.open("rb") as file:
            while block := file.read(READ_BLOCK_BYTES):
                digest.update(block)
    return f"sha256:{digest.hexdigest()[:32]}"
