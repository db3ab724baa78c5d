"""A grid's table as CSV (numbers), Markdown and LaTeX (text to paste)."""

from __future__ import annotations

import csv
import io
from collections.abc import Sequence
from pathlib import Path

from basereward.grid_page.columns import Columns, columns, rows
from basereward.grid_page.words import legend, missing, verdict
from basereward.grid_results import GridResults
from basereward.runtime import write_bytes

CSV, MARKDOWN, LATEX = "table.csv", "table.md", "table.tex"
# More columns than this are made to fit the width of the text.
WIDE = 7
LATEX_OF = {
    "\\": r"\textbackslash{}", "&": r"\&", "%": r"\%", "$": r"\$", "#": r"\#", "_": r"\_", "{": r"\{", "}": r"\}",
    "~": r"\textasciitilde{}", "^": r"\textasciicircum{}", "<": r"\textless{}", ">": r"\textgreater{}", "|": r"\textbar{}",
    "\N{PLUS-MINUS SIGN}": r"$\pm$", "\N{MINUS SIGN}": "$-$", "\N{EN DASH}": "--", "\N{DAGGER}": r"$^{\dagger}$", "*": r"$^{*}$",
}  # fmt: skip


def write_tables(grid: GridResults, folder: Path, *, categories: bool = False) -> list[Path]:
    """Writes table.csv, table.md and table.tex; returns their paths. Without a benchmark there is nothing to write.

    Args:
        categories: whether Markdown and LaTeX have columns for categories; the CSV always has rows for them.
    """
    if not grid.names:
        return []
    shown = columns(grid, categories=categories)
    contents = {CSV: as_csv(grid), MARKDOWN: as_markdown(grid, shown), LATEX: as_latex(grid, shown)}
    for name, text in contents.items():
        write_bytes(folder / name, text.encode("utf-8"))
    return [folder / name for name in contents]


def as_csv(grid: GridResults) -> str:
    """A line for each setting, benchmark and category."""
    found = rows(grid)
    stream = io.StringIO()
    writer = csv.DictWriter(stream, fieldnames=list(found[0]), lineterminator="\n")
    writer.writeheader()
    writer.writerows(found)
    return stream.getvalue()


def as_markdown(grid: GridResults, shown: Columns) -> str:
    """Who wins, the table, what its marks mean, and what is missing."""
    verdicts = [f"{name}: {verdict(found)}" for name, found in grid.tables().items()]
    lines = [as_markdown_row(shown.head), as_markdown_row(["---"] * shown.names + ["--:"] * (len(shown.head) - shown.names))]
    for row in shown.rows:
        lines.append(
            as_markdown_row([f"**{escaped(cell.text)}**" if cell.is_strong else escaped(cell.text) for cell in row], raw=True)
        )
    notes = [*legend(grid), *(f"Missing: {line}" for line in missing(grid))]
    return "\n".join([*map(escaped, verdicts), "", *lines, "", *(f"- {escaped(note)}" for note in notes), ""])


def as_markdown_row(cells: Sequence[str], *, raw: bool = False) -> str:
    """A line of a table; `raw` cells are Markdown already."""
    return "| " + " | ".join(cells if raw else map(escaped, cells)) + " |"


def escaped(text: str) -> str:
    """Text in which nothing is a mark of Markdown or ends a cell."""
    for char in "\\`*_[]<>|":
        text = text.replace(char, f"\\{char}")
    return " ".join(text.split())


def as_latex(grid: GridResults, shown: Columns) -> str:
    r"""A ``table*`` that needs ``\usepackage{booktabs}``, and where it is wide ``\usepackage{graphicx}``."""
    is_wide = len(shown.head) > WIDE
    lines = [
        f"% basereward report; needs \\usepackage{{booktabs{',graphicx' if is_wide else ''}}}",
        "\\begin{table*}",
        "\\centering",
        *(["\\resizebox{\\textwidth}{!}{%"] if is_wide else []),
        f"\\begin{{tabular}}{{{'l' * shown.names}{'r' * (len(shown.head) - shown.names)}}}",
        "\\toprule",
        _latex_row(map(latex, shown.head)),
        "\\midrule",
    ]
    for row in shown.rows:
        lines.append(_latex_row(f"\\textbf{{{latex(cell.text)}}}" if cell.is_strong else latex(cell.text) for cell in row))
    notes = " ".join([*legend(grid), *(f"Missing: {line}." for line in missing(grid))])
    lines += ["\\bottomrule", f"\\end{{tabular}}{'}' if is_wide else ''}", f"\\caption{{{latex(notes)}}}", "\\end{table*}", ""]
    return "\n".join(lines)


def _latex_row(cells: Sequence[str]) -> str:
    return " & ".join(cells) + r" \\"


def latex(text: str) -> str:
    r"""Text in which nothing is a command.

    >>> print(latex("mlp_2 & 50% ± 1"))
    mlp\_2 \& 50\% $\pm$ 1
    """
    return "".join(LATEX_OF.get(char, char) for char in " ".join(text.split()))
