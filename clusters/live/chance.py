"""Where a live host's chance comes from: the run's seed, and the faults that the experiment wants.

An answer depends on the seed, the actor, the number of its input and how many answers that input
had before, and on nothing else: not on the epoch, the clock or the host.  It is journalled all the
same, because whether a `fail` is still on does depend on the time.
"""

from collections.abc import Mapping, Sequence
from hashlib import blake2b

from clusters.host import Answers
from clusters.nemesis import Nemesis, passes
from protocol.names import Name


class LiveChance:
    """Draws, and failures of fallible steps, for all actors of a host.

    Passages of a site are counted per actor, over all its epochs: recovery counts them again.
    """

    def __init__(self, seed: int, fails: Sequence[Nemesis], roles: Mapping[Name, str]) -> None:
        self.seed = seed
        self.calm = False  # The faulty phase is over: nothing fails any more.
        self.faults = fails
        self.roles = roles
        self.answers = Answers()
        self.replaying = False
        self.passages: dict[tuple[Name, str], int] = {}
        self.failed = [0] * len(fails)
        self.armed: dict[tuple[int, Name], int] = {}
        self._n = 0
        self._k = 0

    def arm(self, index: int, actor: Name) -> None:
        """The actor's next passage of the site of fault number `index` fails."""
        self.armed[index, actor] = 1

    def begin(self, n: int) -> None:
        """The next input, number `n` of its actor."""
        self._n, self._k = n, 0

    def replay(self, answers: Sequence[int]) -> None:
        """The next input was answered before: so it is again."""
        self.replaying = True
        self.answers.load(answers)

    def finish(self) -> None:
        """Back to chance, when all answers were asked for."""
        self.answers.finish()
        self.replaying = False

    def draw(self, actor: Name, bound: int) -> int:
        if self.replaying:
            return self.answers.draw(actor, bound)
        return self._number(actor) % bound

    def fails(self, actor: Name, site: str) -> bool:
        passage = self.passages.get((actor, site), 0) + 1
        self.passages[actor, site] = passage
        if self.replaying:
            failed = self.answers.fails(actor, site)
            if failed:
                self._count(actor, site)
            return failed
        return not self.calm and any(
            self._strikes(index, actor, site, passage) for index in range(len(self.faults))
        )

    def _strikes(self, index: int, actor: Name, site: str, passage: int) -> bool:
        fault = self.faults[index]
        if fault.site != site or not passes(fault, self.roles, actor):
            return False
        if fault.times and self.failed[index] >= fault.times:
            return False
        if fault.nth:
            strikes = passage == fault.nth
        elif fault.probability:
            strikes = self._number(actor) < fault.probability * (1 << 64)
        else:
            strikes = self.armed.pop((index, actor), 0) > 0
        self.failed[index] += strikes
        return strikes

    def _count(self, actor: Name, site: str) -> None:
        for index, fault in enumerate(self.faults):
            if fault.site == site and passes(fault, self.roles, actor):
                self.failed[index] += 1
                return

    def _number(self, actor: Name) -> int:
        """64 bits that are the same whenever this is asked again."""
        self._k += 1
        asked = f"{self.seed}/{actor}/{self._n}/{self._k}".encode()
        return int.from_bytes(blake2b(asked, digest_size=8).digest())
