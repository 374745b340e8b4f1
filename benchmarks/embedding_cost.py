"""What a forward pass costs and what the machine could do: counted operations, measured peak.

What belongs here: floating-point operations, the rate of matrix products, the machine's name, the
memory of this process. What does not: what is run (`embedding_sides`) and when (`embedding`).
"""

from __future__ import annotations

import ctypes
import importlib.metadata
import os
import re
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import torch
from torch.utils.flop_counter import FlopCounterMode, sdpa_flop_count

MATMUL_SIZE = {"cpu": 2048, "mps": 4096, "cuda": 8192}
MATMUL_S = 3.0
"""Products are repeated so long; the best of them is the peak."""
RESET_PEAK = "5"
NARROW = ("avx2", "avx512_f", "avx512_bf16", "amx_bf16")


def _attention_flop(query: Any, key: Any, value: Any, *_: Any, **__: Any) -> int:
    return int(sdpa_flop_count(query, key, value))


ATTENTION = {
    torch.ops.aten._scaled_dot_product_flash_attention_for_cpu: _attention_flop,
    torch.ops.aten._scaled_dot_product_attention_math_for_mps: _attention_flop,
}
"""Attention that torch's counter does not know."""


def counted_flop(run: Callable[[], object]) -> int:
    """Floating-point operations of matrix products, convolutions and attention.

    A multiplication and its addition are two. Transforms that are matrix products count; FFTs and
    what goes value by value do not.
    """
    counter = FlopCounterMode(display=False, custom_mapping=ATTENTION)
    with counter:
        run()
    return int(counter.get_total_flops())


def matmul_gflops(device: str, dtype: torch.dtype) -> float:
    """The best rate of a large square matrix product, in GFLOP/s."""
    size = MATMUL_SIZE[device.split(":")[0]]
    drawn = torch.Generator().manual_seed(0)
    a, b = (torch.randn(size, size, generator=drawn).to(device, dtype) for _ in range(2))
    out = a @ b
    best_s, until = float("inf"), time.monotonic() + MATMUL_S
    while time.monotonic() < until:
        synchronise(device)
        started = time.perf_counter()
        torch.mm(a, b, out=out)
        synchronise(device)
        best_s = min(best_s, time.perf_counter() - started)
    return 2 * size**3 / best_s / 1e9


def synchronise(device: str) -> None:
    """Wait for what a device has still to do."""
    if device.startswith("cuda"):
        torch.cuda.synchronize(device)
    elif device == "mps":
        torch.mps.synchronize()


def machine(device: str) -> dict[str, object]:
    """What this ran on."""
    able = torch.cpu.get_capabilities()
    name = str(able.get("cpu_name") or "processor")
    if device.startswith("cuda"):
        name = f"{torch.cuda.get_device_name(device)}, {name}"
    return {
        "name": name,
        "cores": os.cpu_count(),
        "threads": torch.get_num_threads(),
        "capabilities": [what for what in NARROW if able.get(what)],
        **{package: importlib.metadata.version(package) for package in ("torch", "muq")},
    }


def rss_mb() -> float:
    """Memory that this process holds, in MB; what it has freed is given back first."""
    ctypes.CDLL(None).malloc_trim(0)
    return _status_mb("VmRSS")


def peak_rss_mb() -> float:
    """The most that it has held since `reset_peak`."""
    return _status_mb("VmHWM")


def reset_peak() -> None:
    """Forget the peak so far, as Linux allows a process."""
    Path("/proc/self/clear_refs").write_text(RESET_PEAK)


def _status_mb(name: str) -> float:
    status = Path("/proc/self/status").read_text()
    return int(re.findall(rf"{name}:\s+(\d+) kB", status)[0]) / 1024
