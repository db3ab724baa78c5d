"""Sets whose pictures are not in their table of rows: from the Hub they come without any, and every row would be dropped."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import ClassVar

from basereward.errors import DataError
from basereward.problems import Problem
from basereward.recipes import Recipe


class PicturesApart(Recipe):
    """Refuses to read rows from the Hub when nothing says where their pictures are."""

    pictures_elsewhere: ClassVar[str] = ""
    """Where the pictures are when they are not in the repository either."""

    def rows(self) -> Iterator[tuple[str, Mapping | Problem]]:
        """As in `Recipe`.

        Raises:
            DataError: the rows would come from the Hub, and there is no `image_root`.
        """
        if self.data.is_hub and self.image_root is None:
            command = self.card.fetch_command()
            copy = f"fetch its repository where there is a network: {command}; then give path={command.rpartition(' ')[2]}"
            raise DataError(
                f"expected the pictures of {self.path}, which the Hub does not give with its rows; found neither a copy nor an "
                f"image_root; {self.pictures_elsewhere or copy}"
            )
        return super().rows()
