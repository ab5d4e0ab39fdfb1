"""What need not be computed: the frozen lower blocks' states kept in a file, the head's rows, the last block's positions.

finding (what is frozen) -> store (the file) -> cache (filled, then batches of states)
"""

from fintune.models.shortcuts.trunk import Trunk, find_trunk
from fintune.models.shortcuts.trunk_cache import TrunkCache

__all__ = ["Trunk", "TrunkCache", "find_trunk"]
