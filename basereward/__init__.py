"""basereward: train, judge and serve scalar reward models for image + text preferences.

>>> import basereward
>>> rm = basereward.load("runs/demo")                                               # doctest: +SKIP
>>> rm.score("What colour is the car?", ["Red.", "Blue."], images=["car.jpg"])      # doctest: +SKIP
[2.31, -0.87]
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from basereward.scorer import load as load

__version__ = "0.1.0"
__all__ = ["load"]


def __getattr__(name: str) -> Any:
    # Loaded when asked for: torch and transformers take seconds to import, and ``basereward --help`` must not.
    if name == "load":
        from basereward.scorer import load

        return load
    raise AttributeError(f"module 'basereward' has no attribute {name!r}")
