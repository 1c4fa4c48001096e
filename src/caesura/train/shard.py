"""A rank's part of a batch."""

from __future__ import annotations

from typing import NamedTuple


class Shard(NamedTuple):
    """A rank's samples of a step: every `ranks`-th of the whole batch, beginning with number `rank`."""

    rank: int = 0
    ranks: int = 1

    @property
    def rows(self) -> slice:
        """Of anything whose first axis is the whole batch."""
        return slice(self.rank, None, self.ranks)


WHOLE = Shard()
