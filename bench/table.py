"""Rows of the one table that every case prints into."""

from __future__ import annotations

from dataclasses import dataclass

from bench.measure import Side, difference

COLUMNS = (
    "case", "shape", "against", "measured", "target", "floor", "of the floor", "rounds", "seconds ours", "seconds theirs",
    "reward difference",
)  # fmt: skip


@dataclass(frozen=True)
class Row:
    """A figure and what it must be.

    Attributes:
        case, against: what was measured, and beside what. value: the figure; a ratio unless ``unit`` says otherwise.
        target: the least value, or the most where ``at_most``. floor: the ratio that the work alone gives.
        claim: least share of the floor; none is claimed when ``None``. spread: lowest and highest value of the rounds.
        note: stands behind the figure. ours: the side whose profile is shown where the figure falls short.
    """

    case: str
    against: str
    value: float | None
    target: float | None = None
    at_most: bool = False
    floor: float | None = None
    claim: float | None = None
    spread: tuple[float, float] | None = None
    seconds: tuple[float | None, float | None] = (None, None)
    difference: float | None = None
    unit: str = "x"
    note: str = ""
    ours: Side | None = None

    @property
    def is_met(self) -> bool:
        """Both the target and the claim, as far as there are any."""
        return self._meets_target() is not False and self._meets_claim() is not False

    def _meets_target(self) -> bool | None:
        if self.target is None or self.value is None:
            return None
        return self.value <= self.target if self.at_most else self.value >= self.target

    def _meets_claim(self) -> bool | None:
        return None if self.claim is None else self.value >= self.claim * self.floor

    def line(self, shape: str) -> str:
        """As a row of a Markdown table."""
        sign = "<=" if self.at_most else ">="
        target = "" if self.target is None else f"{sign} {self.target:g}{_verdict(self._meets_target())}"
        share = "" if self.floor is None else f"{self.value / self.floor:.2f}"
        if self.claim is not None:
            share += f" (>= {self.claim:g}){_verdict(self._meets_claim())}"
        digits = 3 if self.unit == "x" else 4
        measured = self.note if self.value is None else f"{self.value:.{digits}g}{self.unit} {self.note}".strip()
        spread = "" if self.spread is None else "{:.3g} to {:.3g}".format(*self.spread)
        cells = [self.case, shape, self.against, measured, target, _number(self.floor), share, spread]
        cells += [*map(_number, self.seconds), "" if self.difference is None else f"{self.difference:.1e}"]
        return f"| {' | '.join(cells)} |"


def header() -> str:
    """The first two lines of the table."""
    return f"| {' | '.join(COLUMNS)} |\n" + "|---" * len(COLUMNS) + "|"


def compared(
    case: str, against: str, ours: Side, other: Side, *, target: float | None = None, floor: float | None = None,
    claim: float | None = None, note: str = "",
) -> Row:  # fmt: skip
    """How many times longer another side took: medians of the rounds, and the range over them."""
    by_round = [b / a for a, b in zip(ours.seconds, other.seconds)]
    return Row(
        case, against, other.median / ours.median, target, floor=floor, claim=claim, spread=(min(by_round), max(by_round)),
        seconds=(ours.median, other.median), difference=difference(ours, other), note=note, ours=ours,
    )  # fmt: skip


def skipped(case: str, reason: str) -> Row:
    """A case that this machine cannot measure, with the reason."""
    return Row(case, "", None, note=f"not measured: {reason}")


def _verdict(met: bool | None) -> str:
    return "" if met is None else " met" if met else " MISSED"


def _number(value: float | None) -> str:
    return "" if value is None else f"{value:.3g}"
