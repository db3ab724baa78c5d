"""conf/hardware/<name>.yaml -> what a device can do; figures that nobody looked up are refused, not guessed."""

from __future__ import annotations

import os
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import torch

from basereward.devices import free_memory, measured_peak
from basereward.errors import ConfigError, near_matches

MEASURED = "measured"
"""In place of a figure: that of this machine's processor, looked at when the plan is made."""
DTYPES = ("bfloat16", "float32")
KEYS = ("name", "bfloat16_tflops", "float32_tflops", "memory_gib", "mfu")


@dataclass(frozen=True)
class Hardware:
    """One device.

    Attributes:
        peaks: dtype of the compute -> floating-point operations a second, dense; None where nobody looked it up.
        memory: bytes. mfu: share of the peak that a run reaches; None takes the plan's assumption.
        measured: what was measured of this machine when the plan was made, and how busy it was; None where nothing was.
    """

    name: str
    peaks: Mapping[str, float | None]
    memory: float | None
    mfu: float | None = None
    measured: str | None = None

    def peak(self, dtype: str) -> float:
        """Floating-point operations a second.

        Raises:
            ConfigError: the figure is null.
        """
        if self.peaks[dtype] is None:
            raise ConfigError(
                f"hardware.{dtype}_tflops: expected the peak of {self.name} in 10^12 operations a second, dense; found null: nobody "
                f"looked it up; add hardware.{dtype}_tflops=... from its data sheet"
            )
        return float(self.peaks[dtype])


def read_hardware(node: Mapping[str, Any]) -> Hardware:
    """A config node as a device.

    Raises:
        ConfigError: an unknown key, or a figure that is none.
    """
    for key in node:
        if key not in KEYS:
            raise ConfigError(f"hardware.{key}: no such key; {near_matches(str(key), KEYS)}")
    figures = {key: _figure(node.get(key), key) for key in KEYS[1:]}
    cpu = torch.device("cpu")
    peaks: dict[str, float | None] = {}
    for dtype in DTYPES:
        value = figures[f"{dtype}_tflops"]
        peaks[dtype] = measured_peak(cpu, getattr(torch, dtype)) if value == MEASURED else value and float(value) * 1e12
    memory = figures["memory_gib"]
    bytes_ = free_memory(cpu) if memory == MEASURED else memory and float(memory) * 2**30
    mfu = figures["mfu"]
    told = {dtype: peaks[dtype] for dtype in DTYPES if figures[f"{dtype}_tflops"] == MEASURED}
    return Hardware(str(node.get("name", "?")), peaks, bytes_, None if mfu is None else float(mfu), in_words(told))


def in_words(peaks: Mapping[str, float]) -> str | None:
    """Measured peaks with the load that they were measured under; None where none was.

    >>> in_words({})
    """
    if not peaks:
        return None
    rates = ", ".join(f"{peak / 1e9:,.0f} GFLOP/s in {dtype}" for dtype, peak in peaks.items())
    load = f" ({os.getloadavg()[0]:.1f} in the last minute, on {os.cpu_count()} cores)" if hasattr(os, "getloadavg") else ""
    return f"peak measured now, {rates}, under the present load{load}: on a machine at rest it can be several times as much"


def _figure(value: Any, key: str) -> Any:
    may_be_measured = key != "mfu" and value == MEASURED
    is_number = isinstance(value, int | float) and not isinstance(value, bool) and value > 0
    if value is None or may_be_measured or (is_number and (key != "mfu" or value <= 1)):
        return value
    expected = "a share above 0, at most 1" if key == "mfu" else "a number above 0, or null where it is not known"
    raise ConfigError(f"hardware.{key}: expected {expected}; found {value!r}; correct it")
