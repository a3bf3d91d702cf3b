"""What `bench --json` prints, and `bench --against`: two of those side by side.

A ratio leaves the machine out of it as far as that goes, so it is ratios that are compared.  A
figure got worse if its ratio did by more than the noise that is stated for it.
"""

from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Annotated, Final

import msgspec
from msgspec import Meta, Struct

from experiments.harness.measuring import Figure
from experiments.harness.reading import explain, read_file
from protocol.errors import ExperimentError

BENCH_FORMAT: Final = 1
BENCH_BYTES_MAX: Final = 1 << 20
WORSE: Final = "worse"
BETTER: Final = "better"


class Pair(Struct, frozen=True):
    """The ratios of one figure then and now; `change` is now by then, `word` what that means."""

    name: str
    then: float
    now: float
    change: float
    noise: float
    word: str


class Comparison(Struct, frozen=True):
    """`gone` figures are only in the file, `new` ones only here; `remarks`: what else differs."""

    file: str
    pairs: tuple[Pair, ...]
    gone: tuple[str, ...]
    new: tuple[str, ...]
    remarks: tuple[str, ...]

    @property
    def worse(self) -> int:
        """How many got worse by more than the noise."""
        return [pair.word for pair in self.pairs].count(WORSE)


class Bench(Struct, frozen=True, kw_only=True):
    """The one object of --json."""

    verb: str
    format: int = BENCH_FORMAT
    python: Annotated[str, Meta(max_length=80)]
    cores: int | None
    quick: bool
    interrupted: bool = False
    figures: tuple[Figure, ...]
    against: Comparison | None = None


def read_bench(path: Path) -> Bench:
    """An earlier output; what is none is refused with its place."""
    data = read_file(path, BENCH_BYTES_MAX)
    try:
        table = msgspec.json.decode(data)
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError) as error:
        raise _refused(path, f"not JSON: {error}") from error
    if not isinstance(table, dict) or table.get("verb") != "bench":
        raise _refused(path, "$.verb: wants 'bench'")
    written = table.get("format", BENCH_FORMAT)
    if written != BENCH_FORMAT:
        raise _refused(path, f"$.format: this version reads {BENCH_FORMAT}")
    try:
        bench = msgspec.convert({**table, "against": None}, Bench)
    except msgspec.ValidationError as error:
        raise _refused(path, explain(str(error), table, Bench)[1]) from error
    names: list[str] = []
    for index, figure in enumerate(bench.figures):
        if figure.name in names:
            raise _refused(path, f"$.figures[{index}].name: '{figure.name}' is there twice")
        names.append(figure.name)
    return bench


def _refused(path: Path, what: str) -> ExperimentError:
    return ExperimentError(f"{path}: {what}; this is not what 'pasidlab bench --json' prints")


def compare(path: Path, then: Bench, now: Bench, asked: Sequence[str]) -> Comparison:
    """Two benches; of the old one what was `asked` for (words of names), or all."""
    old = {
        figure.name: figure
        for figure in then.figures
        if not asked or any(word.casefold() in figure.name.casefold() for word in asked)
    }
    new = {figure.name: figure for figure in now.figures}
    both = [name for name in new if name in old and old[name].unit == new[name].unit]
    return Comparison(
        file=str(path),
        pairs=tuple(
            _pair(old[name], new[name], comparable=then.quick == now.quick) for name in both
        ),
        gone=tuple(name for name in old if name not in both),
        new=tuple(name for name in new if name not in both),
        remarks=tuple(_remarks(then, now)),
    )


def _pair(then: Figure, now: Figure, *, comparable: bool) -> Pair:
    change, noise = now.ratio / then.ratio, max(then.noise, now.noise)
    gain = change if now.unit.endswith("/s") else 1 / change
    word = ""
    if comparable and not 1 - noise <= gain <= 1 / (1 - noise):
        word = WORSE if gain < 1 else BETTER
    return Pair(now.name, then.ratio, now.ratio, change, noise, word)


def _remarks(then: Bench, now: Bench) -> Iterator[str]:
    """What makes the two less comparable."""
    if then.quick and now.quick:
        yield "both are of --quick: the figures say little"
    elif then.quick or now.quick:
        which = "the file" if then.quick else "this"
        yield f"only {which} is of --quick: what is better or worse cannot be told"
    if then.python != now.python:
        yield f"the file is of Python {then.python}, this is {now.python}"
    if then.cores != now.cores:
        yield f"the file is of {then.cores} cores, here are {now.cores}"
    if then.interrupted:
        yield "the file is of a bench that was interrupted"
