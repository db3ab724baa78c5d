"""What a diagnostic is given, and what it answers with.

A diagnostic is one class in a file of this room and one node in `conf/diagnose.yaml`; one of the user's own is a node with its
`_target_`.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Any, ClassVar

from basereward.diagnostics.pairs import Pairs, pairs_of
from basereward.records import Comparison
from basereward.samples import Sample
from basereward.scorer import Scorer


@dataclass(frozen=True)
class Subject:
    """Items with their rewards; the items and the model themselves where they are at hand."""

    samples: Sequence[Sample]
    comparisons: Sequence[Comparison] | None = None
    """The same items, in the same order."""
    scorer: Scorer | None = None
    against: Sequence[Sample] | None = None
    """Samples of another model, whose items are found by their ids."""

    @cached_property
    def pairs(self) -> Pairs:
        """All pairs that could be scored."""
        return pairs_of(self.samples)


class Diagnostic:
    """One look at a model.

    Attributes:
        needs_model: it scores responses of its own.
    """

    needs_model: ClassVar[bool] = False

    def measure(self, subject: Subject) -> dict[str, Any] | None:
        """The findings, ready for JSON; None where the subject has not what it takes."""
        raise NotImplementedError

    def told(self, found: Mapping[str, Any]) -> str:
        """The findings in a few lines of text."""
        raise NotImplementedError
