"""Every bug of the bank: its form, that the default strategies find it, that sound is silent there.

Three seeds of each and a sample of the sound protocol; `pasidlab bank` does twenty, and `pasidlab
bank --sound 100000000` a hundred million deliveries.
"""

from typing import Final

import pytest

from clusters.lineup import defects, revisions
from experiments.harness.banking import BUGS, SUFFIX, bugs
from experiments.harness.trials import Limit, Sought, kept_silent, subject_of, tried
from protocol.properties import BY_NAME

NAMES: Final = sorted(path.stem for path in BUGS.glob(f"*{SUFFIX}"))
SEEDS: Final = (1, 2, 3)
LIMIT: Final = Limit(schedules=5_000, seconds=60.0)
SAMPLE: Final = Limit(schedules=300, seconds=60.0, deliveries=30_000)


def test_there_is_a_bug_for_every_defect() -> None:
    played = {name for one in bugs(()).values() for name in one.defects}
    assert sorted(defects()) == sorted(played)


@pytest.mark.parametrize("name", NAMES)
def test_a_bug_says_what_it_is(name: str) -> None:
    (one,) = bugs([name]).values()
    assert one.source
    assert one.defects or one.revision in revisions()
    assert all(rule in BY_NAME for rule in one.expect.violated)
    assert (one.expect.always, one.expect.eventually) == ((), ()), "all properties are on"
    if len(one.defects) == 1 and one.revision == "sound":
        assert name.startswith(one.defects[0]), "a bug is called like its defect"


@pytest.mark.long
@pytest.mark.parametrize("name", NAMES)
def test_a_bug_is_found_by_what_it_breaks_and_sound_is_silent(name: str) -> None:
    (experiment,) = bugs([name]).values()
    sought = Sought({name: subject_of(experiment, name)}, LIMIT)
    for seed in SEEDS:
        trial = tried(sought, (name, seed))
        assert trial.found in experiment.expect.violated, f"seed {seed}: {trial}"
        assert not trial.broken, f"seed {seed}: {trial}"


@pytest.mark.long
@pytest.mark.parametrize("name", NAMES)
def test_the_sound_protocol_is_silent_on_it(name: str) -> None:
    (experiment,) = bugs([name]).values()
    trial = kept_silent(Sought({name: subject_of(experiment, name)}, SAMPLE), (name, 99))
    assert not trial.broken, trial
    assert trial.deliveries > 0
