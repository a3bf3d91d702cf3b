"""A tear-down zeroes the entry while it is present: 64 bytes, and hardware fetches them in parts.

What is fetched meanwhile has P of the old entry and tables of nobody.
"""

from typing import Final

from actors.intel_iommu import IntelIommu
from actors.intel_iommu.state import Do, Task, What

SOURCE: Final = "75ed00055c05, CVE-2026-45894, 2026"


class ZeroesBeforeItClears(IntelIommu):
    """The words behind P go first."""

    __slots__ = ()

    def teardown_steps(self, task: Task) -> list[Do]:
        """The rest as it is."""
        steps = super().teardown_steps(task)
        return [Do(What.ZERO), *(do for do in steps if do.what is not What.ZERO)]


CLASSES: Final[dict[str, type]] = {"intel_iommu": ZeroesBeforeItClears}
