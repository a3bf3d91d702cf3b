"""The ids of svms: what the core keeps as private data, each the smallest that is free.

`ids` has, in order, those that are free below the highest that is taken.  So none is looked for
among the svms, of which there can be as many as PASIDs.

Kernel: drivers/iommu/intel/svm.c, where the pointer to the svm stands in their place.  §1.6.
"""

from __future__ import annotations

from bisect import insort
from typing import TYPE_CHECKING

from actors.iommu_driver.order import insert
from actors.iommu_driver.state import Svm
from protocol.names import Pasid

if TYPE_CHECKING:
    from actors.iommu_driver import IommuDriver


def free_id(driver: IommuDriver) -> int:
    """One that came back, or the next."""
    return driver.ids[0] if driver.ids else len(driver.svms) + 1


def keep(driver: IommuDriver, svm: Svm) -> None:
    """A new svm, with the id that was free."""
    assert svm.id == free_id(driver), f"{svm.object()} has not the smallest id"
    former = driver.svms.get(svm.pasid)
    if driver.ids:
        driver.ids.pop(0)
    insert(driver.svms, svm.pasid, svm)
    if former is not None:
        give_back(driver, former.id)  # Two binds at once, where no mutex keeps them apart.


def forget(driver: IommuDriver, pasid: Pasid) -> Svm:
    """The svm is gone, and its id is free."""
    svm = driver.svms.pop(pasid)
    give_back(driver, svm.id)
    return svm


def give_back(driver: IommuDriver, one: int) -> None:
    """It is free; free ones at the end leave nothing behind."""
    insort(driver.ids, one)
    while driver.ids and driver.ids[-1] == len(driver.svms) + len(driver.ids):
        driver.ids.pop()
