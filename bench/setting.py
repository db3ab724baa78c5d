"""What all cases share: the spec, the device, the clock, and the models of a shape."""

from __future__ import annotations

import argparse
import functools
import gc
import os
import platform
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import torch
import transformers
import yaml

from basereward.flops import Sizes
from bench.models import SETTINGS, Models, build_models, model_config

CASES = Path(__file__).with_name("cases.yaml")


@dataclass
class Setting:
    """Where and how a case is measured.

    Attributes:
        spec: cases.yaml. shape_name: of its shapes. rounds: how often each side is measured. clock: wall or CPU seconds.
    """

    spec: dict
    shape_name: str
    device: torch.device
    dtype: torch.dtype
    rounds: int
    clock: Callable[[], float]

    @property
    def shape(self) -> dict:
        """The shape's part of the spec."""
        return self.spec["shapes"][self.shape_name]

    def limit(self, case: dict) -> int:
        """Tokens of one forward of any side: what fits in memory, by the shape or, where it keeps more for a token, the case."""
        return min(node["tokens_per_forward"] for node in (self.shape, case) if "tokens_per_forward" in node)

    def models(self, *, sees: bool = True, head: str = "mlp.MLPHead") -> Models:
        """Ours and stock transformers'; those of the last call are kept, larger ones would not fit beside them."""
        key = (self.shape_name, self.device, self.dtype, sees, head)
        if _kept.get("key") != key:
            _kept.clear()
            gc.collect()
            _kept.update(key=key, models=build_models(self.shape, self.device, self.dtype, sees=sees, head=head))
        return _kept["models"]

    def sizes(self, *, sees: bool = True) -> Sizes:
        """What of the shape decides its work."""
        return _sizes(self.shape_name, sees)

    def pixels(self, case: dict) -> list[tuple[int, int]]:
        """(width, height) of pictures that give a case's image tokens without being resized."""
        side = SETTINGS.patch_size
        return [(columns * side, rows * side) for rows, columns in self.spec["grids"][case["image_tokens"]]]

    def target(self, targets: dict) -> float | None:
        """The one of this kind of device."""
        return targets.get(self.device.type)


_kept: dict = {}


@functools.cache
def _sizes(name: str, sees: bool) -> Sizes:
    return Sizes.of(model_config(read_spec()["shapes"][name], sees=sees))


@functools.cache
def read_spec() -> dict:
    """cases.yaml."""
    return yaml.safe_load(CASES.read_text(encoding="utf-8"))


def settings_of(args: argparse.Namespace) -> list[Setting]:
    """One for each shape asked for."""
    spec, device = read_spec(), torch.device(args.device)
    here = spec["devices"][device.type]
    clock = time.process_time if args.cpu_time else time.perf_counter
    dtype = getattr(torch, here["dtype"])
    return [Setting(spec, name, device, dtype, args.rounds, clock) for name in args.shape or here["shapes"]]


def where(args: argparse.Namespace) -> str:
    """What a number needs beside it."""
    cpu = f"{platform.machine()} CPU, {torch.get_num_threads()} threads"
    name = torch.cuda.get_device_name(args.device) if args.device.startswith("cuda") else cpu
    load = f", load {os.getloadavg()[0]:.1f}" if hasattr(os, "getloadavg") else ""
    versions = f"torch {torch.__version__}, transformers {transformers.__version__}, python {platform.python_version()}"
    return f"{time.strftime('%Y-%m-%d')}: {name}{load}; {versions}; {'CPU' if args.cpu_time else 'wall'} time"
