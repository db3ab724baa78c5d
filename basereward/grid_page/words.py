"""Numbers of a grid -> the sentences that say which setting wins and whether that is noise."""

from __future__ import annotations

from collections.abc import Iterator

from basereward.grid_results import GridResults
from basereward.grid_statistics.comparison import BETTER, BEYOND_ITEMS, WORSE, Compared, Difference
from basereward.grids.state import DONE
from basereward.problems import counted

MINUS = "\N{MINUS SIGN}"
# How many names a sentence lists.
SHOWN_NAMES = 4


def points(share: float, digits: int = 1) -> str:
    """A difference in percentage points, with its sign.

    >>> points(0.0534), points(-0.01), points(-0.0001)
    ('+5.3', '−1.0', '0.0')
    """
    text = f"{100 * share:+.{digits}f}"
    return text.replace("-", MINUS) if float(text) else text[1:]


def span(interval: tuple[float, float]) -> str:
    """The two ends of a difference."""
    return f"{points(interval[0])} to {points(interval[1])}"


def chance(share: float | None) -> str:
    """A probability in percent; near its ends, which side of which limit it is on.

    >>> chance(0.984), chance(0.99994), chance(0.0001)
    ('98%', 'above 99%', 'below 1%')
    """
    if share is None:
        return "\N{EN DASH}"
    return "above 99%" if share > 0.99 else "below 1%" if share < 0.01 else f"{100 * share:.0f}%"


def p_value(p: float) -> str:
    """A p for a table.

    >>> p_value(0.03126), p_value(0.00001), p_value(1.0)
    ('0.031', '<0.001', '1.000')
    """
    return "<0.001" if p < 0.001 else f"{p:.3f}"


def mark(difference: Difference | None) -> str:
    """What stands behind a difference."""
    return {BETTER: "*", WORSE: "*", BEYOND_ITEMS: "\N{DAGGER}"}.get(difference.verdict, "") if difference else ""


def verdict(found: Compared) -> str:
    """One or two sentences: who wins, by how much, and how sure one can be."""
    name, of = found.winner, found.settings[found.winner]
    share = f"{100 * of.mean:.1f}%"
    if len(found.settings) == 1:
        return f"{name} reaches {share}; there is no other setting to compare it with."
    running = [other for other, each in found.settings.items() if each.could_be_best and other != name]
    ahead = f"{share}{_over_baseline(found)}"
    sure = f"the probability that it truly is the best is {chance(of.chance_best)}"
    if not found.knows_seeds:
        return (
            f"{name} is ahead with {ahead}, but every setting has one seed: whether a second seed would say the same is not known. "
            f"By the noise of the items alone, {sure}."
        )
    if len(running) == len(found.settings) - 1:
        return (
            f"No setting can be told to be the best of {len(found.settings)}: {name} is ahead with {ahead}, which seeds and items "
            f"explain; {sure}."
        )
    if running:
        return f"{name} is ahead with {ahead}, but its lead over {_listed(running)} may be noise; {sure}."
    return f"{name} is the best of {len(found.settings)} settings: {ahead}; {sure}, and no other can still be it."


def _over_baseline(found: Compared) -> str:
    difference = found.settings[found.winner].difference
    if found.winner == found.baseline:
        return ", the baseline"
    if difference is None:
        return ""
    return f", {points(difference.value)} points on {found.baseline} (95%: {span(difference.interval_all)})"


def _listed(names: list[str]) -> str:
    shown = ", ".join(names[:SHOWN_NAMES])
    return f"{shown} and {len(names) - SHOWN_NAMES} more" if len(names) > SHOWN_NAMES else shown


def unjudged(grid: GridResults) -> str:
    """Why there is nothing to compare, and what to do about it."""
    if grid.benchmarks:
        return f"Nothing can be compared: {', '.join(grid.benchmarks)} has items of a single prompt. Judge on more."
    if grid.folder is None:
        return (
            "None of these runs was judged. Judge each with basereward evaluate, model=... and benchmark=..., and report again."
        )
    if not grid.expected:
        return (
            "This grid names no benchmark, so none of its runs was judged. Start it again with the same words and "
            "ablation.evaluate=[demo], or another benchmark: of runs that are done, only the evaluations are done."
        )
    done = sum(run.state == DONE for run in grid.runs)
    return f"No run of this grid was judged on {', '.join(grid.expected)} yet: {done} of {counted(len(grid.runs), 'run')} done."


def legend(grid: GridResults) -> Iterator[str]:
    """What stands under a table: what the numbers are, and what every mark means."""
    tables = grid.tables()
    for name, found in tables.items():
        yield f"{name}: {counted(found.n, 'pair')} of {counted(found.num_groups, 'prompt')}{scatter(found)}."
    several = f" and {len(tables)} benchmarks" if len(tables) > 1 else ""
    if any(found.knows_seeds for found in tables.values()):
        yield "Accuracy: mean over seeds and, where there are several, their standard deviation, in percent."
        yield (
            f"Difference to {grid.baseline} in points, with an interval in which seeds and prompts both vary; all intervals of the table "
            f"hold together in 95% of grids (corrected for {counted(len(grid.settings) - 1, 'comparison')}{several})."
        )
        yield "* the interval leaves 0 out: better or worse than the baseline, and p < 0.05 after the correction."
    if any(not found.knows_seeds for found in tables.values()):
        yield (
            "One seed for each setting: intervals hold the noise of the items alone. \N{DAGGER} beyond that noise; whether another seed "
            "would say the same is not known."
        )
    odd = {name: [s for s, each in found.settings.items() if each.is_odd] for name, found in tables.items()}
    for name, settings in odd.items():
        if settings:
            yield f"{name}: seeds of {', '.join(settings)} scatter far more than the others', so its interval rests on its own seeds alone."


def scatter(found: Compared) -> str:
    """By how much seeds scatter beyond what their items explain."""
    if not found.knows_seeds:
        return ""
    if found.seed_deviation < 0.0005:
        return "; seeds scatter by no more than their items explain"
    return f"; beyond what items explain, one seed's accuracy scatters by {100 * found.seed_deviation:.1f} points"


def missing(grid: GridResults) -> list[str]:
    """A line for each run without results; runs that lack several benchmarks for one reason are told once."""
    found: dict[tuple[str, str], list[str]] = {}
    for run, benchmark, why in grid.missing():
        found.setdefault((run.name, why), []).append(benchmark)
    return [f"{name} ({', '.join(benchmarks)}): {why}" for (name, why), benchmarks in found.items()]
