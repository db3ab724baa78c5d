"""What `basereward score` wrote, read back: the rewards of a comparison, met by its id."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path

from basereward.errors import ConfigError, DataError, near_matches
from basereward.records import Comparison

NO_SCORE = "no rewards for its id"
TWO_SCORES = "two rewards for its id"


class RewardFiles:
    """The rewards of a data config's comparisons.

    Args:
        given: an output of `basereward score` for all sources, or source -> output.
        sources: names of the data sources.
        key: dotted key of ``given``, for messages.

    Raises:
        ConfigError: a file for a source that is not there.
        DataError: a file that is no output of ``basereward score``.
    """

    def __init__(self, given: str | Mapping[str, str], sources: Sequence[str], key: str):
        self.file_of = (
            {str(name): file for name, file in given.items()} if isinstance(given, Mapping) else dict.fromkeys(sources, given)
        )
        for name in self.file_of:
            if name not in sources:
                raise ConfigError(f"{key}.{name}: no such source; {near_matches(name, sources)}")
        self.sources = frozenset(sources)
        self._rows = {file: read_rewards(Path(file), key) for file in set(self.file_of.values())}

    def covers(self, source: str) -> bool:
        """Whether there is a file for it."""
        return source in self.file_of

    def of(self, comparison: Comparison) -> tuple[float, ...] | str:
        """One reward for each response; or why there are none: the row was not scored, or two rows have the id.

        A file that holds several sources under their names, as scoring a data config leaves it, is asked for the comparison's own.

        Raises:
            DataError: another number of rewards than responses.
        """
        file = self.file_of.get(comparison.source)
        lines = self._rows[file].get(comparison.id, ()) if file is not None else ()
        own = [rewards for source, rewards in lines if source == comparison.source]
        found = own or [rewards for source, rewards in lines if source not in self.sources]
        if len(found) != 1:
            return TWO_SCORES if found else NO_SCORE
        if len(found[0]) != comparison.num_responses:
            raise DataError(
                f"{comparison.where} ({comparison.id}): expected {comparison.num_responses} rewards, found {len(found[0])} in {file}; "
                "score these rows again: the file is about others"
            )
        return found[0]

    def attach(self, comparison: Comparison) -> Comparison:
        """The comparison with its rewards as `text_rewards`; as it is where there are none: a loss that needs them refuses it."""
        found = self.of(comparison)
        return replace(comparison, text_rewards=found) if isinstance(found, tuple) else comparison


def check_given(given: object, key: str) -> None:
    """Refuses what is neither a file nor files by source.

    Raises:
        ConfigError: with the dotted key.
    """
    if given is not None and not isinstance(given, str | Mapping):
        raise ConfigError(f"{key}: expected an output of basereward score, or {{source: output}}; found {given!r}; name the file")


def check_there(given: str | Mapping[str, str] | None, key: str) -> None:
    """Refuses files that are not there, without reading them.

    Raises:
        DataError: with the dotted key.
    """
    for file in given.values() if isinstance(given, Mapping) else [given] if given is not None else []:
        if not Path(file).is_file():
            raise DataError(f"{key}: expected an output of basereward score, found no file {file}; correct the path")


def read_rewards(file: Path, key: str) -> dict[str, tuple[tuple[str, tuple[float, ...]], ...]]:
    """Id -> (source, rewards) of each line with that id; a row that could not be scored is not there.

    Raises:
        DataError: the file is not there, or a line is none of ``basereward score``.
    """
    found: dict[str, tuple] = {}
    try:
        lines = file.open(encoding="utf-8")
    except OSError as error:
        raise DataError(f"{key}: expected a file, found {file} ({error.strerror}); correct the path") from None
    with lines:
        for number, line in enumerate(lines, 1):
            try:
                row = json.loads(line)
                name, source, rewards = row["id"], row.get("source", ""), row.get("rewards")
            except (ValueError, KeyError, TypeError, AttributeError):
                raise DataError(
                    f"{file}:{number}: expected a line of basereward score, with id and rewards; found {line[:60]!r}; give its output"
                ) from None
            if rewards is not None:
                found[name] = (*found.get(name, ()), (source, tuple(rewards)))
    return found
