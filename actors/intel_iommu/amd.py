"""The AMD driver, where it is another than VT-d's: only SVA has PASIDs.

A PASID's entry is one pointer in the device's GCR3 table: it is set when nothing was there, and it
is gone with one write and one flush.  When an mm goes its records and entries go at once, and the
detach that comes later finds nothing but requests.  Page faults are the device's: it is on the
fault core's queue for good.  Here a detach drains, as VT-d's; Linux 7.3 leaves that to the driver
of the device.  The unit is that of VT-d, whose several commands stand for AMD's one.

Kernel: drivers/iommu/amd/pasid.c, iommu.c of Linux 7.3.  §8.
"""

from typing import ClassVar

from actors.intel_iommu import IntelIommu, callbacks
from actors.intel_iommu.state import NOMEM_DOMAIN, NOMEM_RECORD, Do, DomainState, Task, What
from actors.intel_iommu.tasks import NOWHERE, ask, new_task, run
from protocol.domains import NULL, SVA
from protocol.effects import Out, Site
from protocol.errors import Errno
from protocol.machine import Device
from protocol.messages import ZeroEntry
from protocol.messages.address_spaces import AddIopfDevice
from protocol.names import IOPF, Name


class AmdIommu(IntelIommu):
    """No domain has a reference on page faults, and no entry is replaced."""

    __slots__ = ()
    SITES: ClassVar[tuple[Site, ...]] = (NOMEM_DOMAIN, NOMEM_RECORD)

    def on_start(self, out: Out) -> None:
        """Devices with PRI go on the queue when their own domain is attached, at boot."""
        able = [one.name for one in self.devices.values() if one.pri]
        if able:
            task = new_task(self, "probe", NULL, 0, NOWHERE)
            task.todo = [Do(What.IOPF_GET, name) for name in able]
            run(self, task, out)

    def iopf_get(self, task: Task, name: Name, out: Out) -> bool:
        """Of a device, not of a domain."""
        return ask(task, IOPF, AddIopfDevice(task.number, name), out)

    def iopf_got(self, task: Task, _out: Out) -> None:
        """The one reference is the device's own."""
        assert task.doing is not None, "somebody has been put on the queue"
        self.iopf[task.doing.domain] = 1

    def counts_faults(self, _name: Name, _device: Name, _out: Out) -> bool:
        """A domain that is detached takes no page faults away."""
        return False

    # --- Who is refused ---------------------------------------------------------------------------

    def sva_refusal(self, _device: Device) -> Errno | None:
        """A domain can be had for any device; whether it can be attached is another question."""
        return None

    def set_refusal(self, device: Device, domain: DomainState) -> Errno | None:
        """EOPNOTSUPP not an mm's; EINVAL the PASID capability is off."""
        if domain.kind != SVA:
            return Errno.EOPNOTSUPP
        return Errno.EINVAL if self.is_without(device.name, "pasid-off") else None

    def incompatible(self, task: Task, out: Out) -> Errno | None:
        """EOPNOTSUPP something is there; EINVAL a number that the device does not have."""
        if task.old != NULL:
            return Errno.EOPNOTSUPP
        device = self.devices.get(task.place.device)
        if device is None or not 0 < task.place.pasid < device.pasids:
            return Errno.EINVAL
        return self.set_refusal(device, self.domain(task.domain, out))

    def finish(self, task: Task, out: Out) -> None:
        """No memory for the record is EINVAL, as whatever else set_dev_pasid began with."""
        if task.name == "attach" and task.errno is Errno.ENOMEM:
            task.errno = Errno.EINVAL
        super().finish(task, out)

    # --- Steps ------------------------------------------------------------------------------------

    def attach_steps(self, task: Task, _out: Out) -> list[Do]:
        """The record, then the entry."""
        return [Do(What.TAG, task.domain), Do(What.LINK, task.domain), Do(What.WRITE, task.domain)]

    def detach_steps(self, task: Task, out: Out) -> list[Do]:
        """What is recorded; of what a release has taken apart, the page requests."""
        old = self.recorded(self.domain_of(task), out)
        if not old:
            return [Do(What.FETCH), Do(What.DRAIN), Do(What.TORN_DOWN)]
        return [Do(What.TEAR_DOWN), Do(What.UNLINK, old), Do(What.UNTAG, old)]

    def next_place(self, task: Task, out: Out) -> bool:
        """With its record, under the same lock."""
        going = callbacks.next_place(self, task, out)
        if task.todo[:1] == [Do(What.TEAR_DOWN)]:
            task.todo[1:1] = [Do(What.UNLINK, task.domain), Do(What.UNTAG, task.domain)]
        return going

    def zero_entry(self, task: Task, out: Out) -> bool:
        """All of it, also in a release: there is no FPD to be kept."""
        place, unit = task.place, self.devices[task.place.device].unit
        self.table.pop((place.device, place.pasid), None)
        return ask(
            task, unit, ZeroEntry(task.number, place.device, place.pasid, place.incarnation), out
        )
