"""Python files of the user: a revision or a defect that is not in the tree (`--defect ./mine.py`).

Such a file is run, so it is read only when the command line names it; that an experiment or a run
folder names it is not enough.
"""

from pathlib import Path
from typing import Final

from clusters.lineup import SUFFIX, Lineup, Own, admit
from experiments.harness.reading import read_file
from protocol.errors import ExperimentError

BYTES_MAX: Final = 1 << 18
_PATHS: Final[dict[str, str]] = {}


def read_own(path: str) -> str:
    """Read it; the name by which experiments and results know it, which is its file's."""
    try:
        text = read_file(Path(path), BYTES_MAX).decode("utf-8-sig")
    except UnicodeDecodeError as error:
        raise ExperimentError(f"{path}: byte {error.start} is not UTF-8 text") from error
    own = Own(Path(path).name, text)
    admit(own)
    _PATHS[own.name] = path
    return own.name


def said(name: str) -> str:
    """A revision or defect as the command line says it: of a file, its path."""
    return _PATHS.get(name, name)


def as_named(name: str, where: str) -> str:
    """A revision or defect as an experiment in the file `where` says it: `./mine.py` is mine.py.

    Only where the command line has named that very file; a path is from here, or from beside it.
    """
    path = Path(name)
    if not name.endswith(SUFFIX) or path.name not in _PATHS:
        return name
    named = Path(_PATHS[path.name]).resolve()
    return path.name if named in (path.resolve(), (Path(where).parent / path).resolve()) else name


def own_words(lineup: Lineup) -> tuple[str, ...]:
    """The options that name the files of a lineup, for a command that is to run them again."""
    words: list[str] = []
    if lineup.revision.endswith(SUFFIX):
        words += ["--revision", said(lineup.revision)]
    for defect in lineup.defects:
        if defect.endswith(SUFFIX):
            words += ["--defect", said(defect)]
    return tuple(words)


def only_own(revision: str | None, defects: tuple[str, ...]) -> bool:
    """Whether the options only name files, which a run that is stored was of."""
    return all(name.endswith(SUFFIX) for name in (revision or SUFFIX, *defects))
