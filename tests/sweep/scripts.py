"""The scripts that the sweep breaks at every place: between them they exercise every kind of host.

Small on purpose: each is run some thousand times.
"""

from typing import Final

NORMAL: Final = """
title = "Normal life: a shared WQ with a page request, a dedicated WQ with IMS, a number used again"

[pool]
pasids = 2

[[machine.device]]
name = "dsa0"
unit = "dmar0"

[[machine.device]]
name = "dsa1"
unit = "dmar0"
wq   = "dedicated"

[[process]]
name  = "vm1.guest"
steps = [
    "p = alloc -> ok",
    "bind p dsa0 -> ok",
    "enable dsa0 -> ok",
    "dma p dsa0 x2 -> ok",
    "fault p dsa0 -> ok",
    "unbind p dsa0 -> ok",
    "free p -> ok",
    "q = alloc -> ok",
    "bind q dsa1 -> ok",
    "enable q dsa1 -> ok",
    "ims q dsa1 -> ok",
    "dma q dsa1 -> ok",
    "fault q dsa1 -> ok",
    "disable dsa1 -> ok",
    "unims dsa1 -> ok",
    "unbind q dsa1 -> ok",
    "free q -> ok",
    "exit",
]
"""

FREED: Final = """
title = "Two guests free before they unbind, with descriptors and page requests in the devices"

[pool]
pasids = 2

[[machine.unit]]
name = "dmar0"
prq  = 1

[[machine.device]]
name = "dsa0"
unit = "dmar0"

[[machine.device]]
name = "dsa1"
unit = "dmar0"
wq   = "dedicated"

[guests]
count  = 2
groups = [["dsa0", "dsa1"]]

[[process]]
name  = "vm1.guest"
steps = [
    "p = alloc -> ok",
    "bind p dsa0 -> ok",
    "enable p dsa1 -> ok",
    "ims p dsa1 -> ok",
    "async fault p dsa0",
    "async fault p dsa1",
    "free p -> ok",
    "unbind p dsa0 -> ok",
    "free p -> ok",
]

[[process]]
name  = "vm2.guest"
steps = [
    "p = alloc -> ok",
    "bind p dsa0 -> ok",
    "async dma p dsa0 x2",
    "free p -> ok",
    "q = alloc -> any(ok, ENOSPC)",
    "bind q dsa0 -> any(ok, EPERM, ENOENT, EBUSY, EINVAL)",
]
"""

ROLLED_BACK: Final = """
title = "Binds that fail: on the second device of a group, and where the device is bound already"

[pool]
pasids = 2

[[machine.unit]]
name = "dmar0"

[[machine.unit]]
name = "dmar1"

[[machine.device]]
name = "dsa0"
unit = "dmar0"

[[machine.device]]
name   = "old0"
unit   = "dmar1"
pasids = 1024

[[machine.device]]
name = "dsa1"
unit = "dmar1"
pri  = false

[guests]
groups = [["dsa0", "old0"], ["dsa1"]]

[[process]]
name  = "vm1.guest"
steps = [
    "p = alloc -> ok",
    "bind p dsa0 -> EINVAL",
    "bind p dsa1 -> ok",
    "bind p dsa0 -> EINVAL",
    "bind p dsa1 -> EBUSY",
    "dma p dsa1 -> ok",
    "fault p dsa1 -> fault",
    "free p -> ok",
    "q = alloc -> ok",
    "bind q dsa1 -> any(ok, EINVAL)",
]
"""

KILLED: Final = """
title = "QEMU ends in the middle of everything, beside another VM on the same devices"

[pool]
pasids = 2

[[machine.unit]]
name = "dmar0"
prq  = 1

[[machine.device]]
name = "dsa0"
unit = "dmar0"

[[machine.device]]
name = "dsa1"
unit = "dmar0"
wq   = "dedicated"

[guests]
count  = 2
groups = [["dsa0", "dsa1"]]

[[process]]
name  = "vm1.guest"
steps = [
    "p = alloc -> ok",
    "bind p dsa0 -> ok",
    "enable p dsa1 -> ok",
    "ims p dsa1 -> ok",
    "async fault p dsa0",
    "async fault p dsa1",
    "async dma p dsa0 x2",
    "exit",
]

[[process]]
name  = "vm2.guest"
steps = [
    "p = alloc -> ok",
    "bind p dsa0 -> ok",
    "dma p dsa0 -> ok",
    "unbind p dsa0 -> ok",
    "free p -> ok",
]
"""

SCRIPTS: Final = {
    "normal": NORMAL,
    "freed": FREED,
    "rolled-back": ROLLED_BACK,
    "killed": KILLED,
}

CROWD: Final = """
title = "Three guests do everything several times: every fallible step is passed three times"

[pool]
pasids = 9

[[machine.device]]
name = "dsa0"
unit = "dmar0"

[[machine.device]]
name = "dsa1"
unit = "dmar0"
wq   = "dedicated"

[guests]
count  = 3
groups = [["dsa0", "dsa1"]]

[[process]]
name  = "vm1.guest"
steps = [
    "p = alloc",
    "bind p dsa0",
    "q = alloc",
    "bind q dsa0",
    "r = alloc",
    "bind r dsa0",
    "enable p dsa1",
    "async fault p dsa1",
    "async dma q dsa0 x2",
    "ims r dsa1",
    "free p",
    "free q",
    "free r",
    "exit",
]

[[process]]
name  = "vm2.guest"
steps = [
    "p = alloc",
    "bind p dsa0",
    "async fault p dsa0",
    "free p",
    "q = alloc",
    "bind q dsa0",
    "enable q dsa1",
    "unbind q dsa0",
    "free q",
]

[[process]]
name  = "vm3.guest"
steps = [
    "p = alloc",
    "bind p dsa0",
    "ims p dsa1",
    "dma p dsa0",
    "unims dsa1",
    "unbind p dsa0",
    "free p",
]
"""
