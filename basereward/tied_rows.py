"""Rows whose responses are all tied: left out for most losses, and what to type where the loss would learn from them."""

from __future__ import annotations

import logging
from typing import Any

from basereward.errors import DataError
from basereward.losses.base import Loss
from basereward.mixture import DataBundle, load_data
from basereward.problems import BadRows, counted
from basereward.screening import ALL_TIED

logger = logging.getLogger(__name__)


def load_for(loss: Loss, data: dict[str, Any], *, seed: int) -> DataBundle:
    """The data of a run; where tied rows are refused or left out, and the loss reads ties or scores, it is said how to keep them.

    Raises:
        DataError: as `load_data`.
    """
    try:
        bundle = load_data(data, seed=seed)
    except BadRows as error:
        if loss.reads_ties and any(problem.kind == ALL_TIED for problem in error.problems):
            raise DataError(f"{error}\n{loss.name} learns from rows whose responses are all tied: {_keep(data)}") from error
        raise
    for name, account in bundle.manifest["sources"].items():
        if loss.reads_ties and (count := account["dropped"].get(ALL_TIED)):
            rows, keep = counted(count, "row"), _keep(data, name)
            logger.warning("%s: %s left out, all responses tied; %s learns from such rows: %s", name, rows, loss.name, keep)
    return bundle


def _keep(data: dict[str, Any], name: str = "<name>") -> str:
    if data.get("path") is not None:
        return "keep them with data.keep_ties=true"
    return f"keep them with data.sources.{name}.keep_ties=true (with a plus before it where the YAML leaves the key out)"
