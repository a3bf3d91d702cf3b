"""A bind stops at the first device that refuses, and leaves the earlier ones bound.

The loop over a group's devices breaks off with the error, as __iommu_set_group_pasid did in 2023; a
device that cannot take the PASID is enough.  The caller believes that nothing is bound.
"""

from typing import Final

from actors.vfio import Vfio
from actors.vfio.state import Bind
from protocol.names import Name

SOURCE: Final = "S37 in the form of 2020; B. Lu and K. Tian on __iommu_set_group_pasid, 8 Mar 2023"


class StopsAtTheFirstRefusal(Vfio):
    """An error is an error, not a reason to look back."""

    __slots__ = ()

    def devices_to_roll_back(self, task: Bind) -> list[Name]:
        """None."""
        return []


CLASSES: Final[dict[str, type]] = {"vfio": StopsAtTheFirstRefusal}
