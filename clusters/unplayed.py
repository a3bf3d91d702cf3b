"""The actors of roles that no machine has: `conform` steps them alone.

They are imported where they are asked for, so that no run waits for them.
"""

from typing import Final

from actors.iommu_core import IommuCore
from actors.iommufd import Iommufd
from actors.sva import Sva
from clusters.cluster import UNPLAYED, ActorClass, Role

CLASSES: Final[dict[Role, ActorClass]] = {
    "iommu_core": IommuCore,
    "sva": Sva,
    "iommufd": Iommufd,
}
assert tuple(CLASSES) == UNPLAYED
