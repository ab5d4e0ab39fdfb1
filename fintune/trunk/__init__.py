"""The frozen lower blocks of a model: read once for each text, kept in a file, left out of every epoch.

finding (what is frozen) -> store (the file) -> cache (filled, then batches of states)
"""

from fintune.trunk.cache import TrunkCache
from fintune.trunk.finding import Trunk, find_trunk

__all__ = ["Trunk", "TrunkCache", "find_trunk"]
