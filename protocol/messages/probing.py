"""What is asked when a driver takes a device, and when it lets it go (§8).

The driver core's use of the default domain, which counts as an owner without a name; the PASID
capability of a PCI function; and what an iommufd context tells of a device.

Source: drivers/iommu/iommu.c, drivers/pci/ats.c, drivers/iommu/iommufd/device.c of Linux 7.3.
"""

from protocol.messages.common import Message
from protocol.names import Call, Name


class UseDefaultDomain(Message, frozen=True, tag=True):
    """iommu_device_use_default_domain, of the driver core before a probe.  Done without a group.

    EPROBE_DEFER the group has no default domain yet; EBUSY somebody counts, and it is an owner, or
    the RID is elsewhere, or a PASID is attached.
    """

    call: Call
    device: Name


class UnuseDefaultDomain(Message, frozen=True, tag=True):
    """iommu_device_unuse_default_domain, after a remove: one less, unless something is attached.

    Always Done.
    """

    call: Call
    device: Name


class GetHwInfo(Message, frozen=True, tag=True):
    """IOMMU_GET_HW_INFO: -> HwInfoGot.  ENOENT no such device."""

    call: Call
    device: int


class HwInfo(Message, frozen=True, tag=True):
    """iommufd -> driver, hw_info: -> HwInfoGot."""

    call: Call
    device: Name


class HwInfoGot(Message, frozen=True, tag=True):
    """out_max_pasid_log2: how wide PASIDs may be, 0 if there are none."""

    call: Call
    width: int


class PciEnablePasid(Message, frozen=True, tag=True):
    """pci_enable_pasid, of a function: with `features`, EXEC and PRIV.  A VF has what its PF has.

    EBUSY it is enabled; EINVAL a VF whose PF is not, no path for TLP prefixes, no capability, no
    ACS on the way up, or no such feature.
    """

    call: Call
    features: tuple[str, ...] = ()


class PciDisablePasid(Message, frozen=True, tag=True):
    """pci_disable_pasid: always Done; of a VF nothing."""

    call: Call


class PfPasidStatus(Message, frozen=True, tag=True):
    """VF -> PF: Done if its PASID capability is enabled, else EINVAL; the answer is `whose`."""

    call: Call
    whose: Name


class AttachDev(Message, frozen=True, tag=True):
    """core -> driver, attach_dev, under the group's lock: the domain of DMA without PASID.

    Done, or Refused, which has changed nothing.  Call 0 is a domain of the core's own, which no
    driver refuses: not answered.
    """

    call: Call
    device: Name
    domain: Name


ProbingMessage = (
    UseDefaultDomain
    | UnuseDefaultDomain
    | GetHwInfo
    | HwInfo
    | HwInfoGot
    | PciEnablePasid
    | PciDisablePasid
    | PfPasidStatus
    | AttachDev
)
"""All of them."""
