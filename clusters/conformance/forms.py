"""The functions that a trace may have, and how each is written as a call."""

from typing import Final

from msgspec import Struct

from clusters.conformance.machine import TraceMachine


class Form(Struct, frozen=True):
    """How a function is written as a call: its name, kind, and for each argument (of the probe).

    what it is called and what kind of thing it is; `ret` is the kind of its result.  `optional`
    arguments are not those of every kernel.
    """

    name: str
    kind: str
    args: dict[str, tuple[str, str]]
    ret: str
    optional: tuple[str, ...] = ()


NUMBER: Final = ""
WORD: Final = "word"
DOMAIN_KIND: Final = "type"
DOMAIN_KINDS: Final = {0: "any", 1: "UNMANAGED", 4: "IDENTITY", 16: "SVA", 64: "NESTED"}
"""enum-like values of iommu_domain.type, as a look-up asks for them."""
API: Final = "api"
DRIVER: Final = "driver"
INNER: Final = "core"
TEST: Final = "test"
_DOM: Final = {"dom": ("domain", "domain")}
_DEV: Final = {"dev": ("dev", "dev")}
_GROUP: Final = {"grp": ("group", "group")}
_PASID: Final = {"pasid": ("pasid", NUMBER)}
_HANDLE: Final = {"h": ("handle", "handle")}
IOMMU_FORMS: Final = (
    Form("iommu_attach_device_pasid", API, {**_DOM, **_DEV, **_PASID, **_HANDLE}, "errno"),
    Form("iommu_replace_device_pasid", API, {**_DOM, **_DEV, **_PASID, **_HANDLE}, "errno"),
    Form("iommu_detach_device_pasid", API, {**_DOM, **_DEV, **_PASID}, "nothing"),
    Form(
        "iommu_attach_handle_get",
        API,
        {**_GROUP, **_PASID, "type": ("type", DOMAIN_KIND)},
        "handle",
    ),
    Form("iommu_attach_group_handle", API, {**_DOM, **_GROUP, **_HANDLE}, "errno"),
    Form("iommu_replace_group_handle", API, {**_GROUP, **_DOM, **_HANDLE}, "errno"),
    Form("iommu_detach_group_handle", API, {**_DOM, **_GROUP}, "nothing"),
    Form("iommu_device_claim_dma_owner", API, {**_DEV, "owner": ("owner", "owner")}, "errno"),
    Form("iommu_device_release_dma_owner", API, _DEV, "nothing"),
    Form("iommu_alloc_global_pasid", API, _DEV, "ioasid"),
    Form("iommu_free_global_pasid", API, _PASID, "nothing"),
    Form("iommu_probe_device", INNER, _DEV, "errno"),
    Form("iommu_deinit_device", INNER, _DEV, "nothing"),
)
SET_DEV_PASID: Final = Form(
    "set_dev_pasid",
    DRIVER,
    {**_DOM, **_DEV, **_PASID, "olddom": ("old", "domain")},
    "errno",
    ("olddom",),
)
REMOVE_DEV_PASID: Final = Form("remove_dev_pasid", DRIVER, {**_DEV, **_PASID, **_DOM}, "nothing")
PLUG: Final = Form("device_plug", TEST, {"n": ("n", WORD)}, "errno")
UNPLUG: Final = Form("device_unplug", TEST, {"n": ("n", WORD)}, "nothing")
FORMS: Final = {
    form.name: form
    for form in (
        Form(
            "ioasid_alloc",
            API,
            {
                "set": ("set", "set"),
                "min": ("min", NUMBER),
                "max": ("max", NUMBER),
                "priv": ("private", "private"),
            },
            "ioasid",
        ),
        Form("ioasid_free", API, {"id": ("ioasid", NUMBER)}, "nothing"),
        Form(
            "ioasid_find",
            API,
            {"set": ("set", "set"), "id": ("ioasid", NUMBER), "getter": ("getter", "getter")},
            "private",
        ),
        Form(
            "ioasid_set_data",
            API,
            {"id": ("ioasid", NUMBER), "data": ("private", "private")},
            "errno",
        ),
        Form("ioasid_register_allocator", API, {"ops": ("allocator", "allocator")}, "errno"),
        Form("ioasid_unregister_allocator", API, {"ops": ("allocator", "allocator")}, "nothing"),
        Form(
            "iommu_sva_alloc_pasid",
            API,
            {"mm": ("mm", "private"), "min": ("min", NUMBER), "max": ("max", NUMBER)},
            "errno",
        ),
        Form("iommu_sva_find", API, {"pasid": ("pasid", NUMBER)}, "private"),
        *IOMMU_FORMS,
    )
}


def forms_for(machine: TraceMachine) -> dict[str, Form]:
    """The functions that are known on a machine: its helpers and getters, too."""
    forms = dict(FORMS)
    for helper in machine.helper:
        data = {"data": ("private", "private")}
        ranged = {"min": ("min", NUMBER), "max": ("max", NUMBER), **data}
        forms[helper.alloc] = Form(f"custom_alloc_{helper.name}", DRIVER, ranged, "ioasid")
        freed = {"id": ("ioasid", NUMBER), **data}
        forms[helper.free] = Form(f"custom_free_{helper.name}", DRIVER, freed, "nothing")
    for getter in machine.getter:
        forms[getter] = Form("getter", DRIVER, {"priv": ("private", "private")}, "bool")
    driver = machine.driver
    forms |= dict.fromkeys(driver.set, SET_DEV_PASID)
    forms |= dict.fromkeys(driver.remove, REMOVE_DEV_PASID)
    forms |= dict.fromkeys(driver.plug, PLUG)
    forms |= dict.fromkeys(driver.unplug, UNPLUG)
    return forms


def group_of(machine: TraceMachine) -> dict[str, str]:
    """The group of each device that has one."""
    return {one.name: one.group for one in machine.device if one.group}
