"""The limits of the project's style, for every Python file of the tree.

One file is one test; a failure names each place as `file:line: what is wrong`.
"""

import ast
import re
import shutil
import subprocess
from collections.abc import Callable, Iterator
from pathlib import Path, PurePosixPath
from typing import Final, TypeAlias

import pytest

from tests.set_order import SetOrder, last_name

ROOT: Final = Path(__file__).resolve().parent.parent

FUNCTION_LINES: Final = 70
FILE_LINES: Final = 400
ACTOR_LINES: Final = 200
DIFFERENCE_LINES: Final = 80
"""Of a revision or a defect, which says only what differs."""
LINE_LENGTH: Final = 100
PARAMETERS: Final = 5

PACKAGES: Final = ("protocol", "actors", "clusters", "experiments")
PURE: Final = ("protocol", "actors")
SKIPPED: Final = (".git", ".venv", "build", "runs")

FORBIDDEN_MODULES: Final = ("datetime", "random", "time")
FORBIDDEN_CALLS: Final = {
    "id": "an address is another one in every process",
    "hash": "strings hash differently in every process",
    "open": "no files below clusters",
    "input": "nobody is there to answer",
    "eval": "what comes from outside is never run",
    "exec": "what comes from outside is never run",
}
NOTE: Final = re.compile(r"\bTOD[O]\b(?!.*#\d)")

Function: TypeAlias = ast.FunctionDef | ast.AsyncFunctionDef
Breach: TypeAlias = tuple[int, str]
Rule: TypeAlias = Callable[[PurePosixPath, str, ast.Module], Iterator[Breach]]


def python_files() -> list[str]:
    """What git has or would take; without git, what lies here."""
    git = shutil.which("git")
    if git is not None and (ROOT / ".git").exists():
        command = [git, "ls-files", "--cached", "--others", "--exclude-standard", "*.py"]
        listed = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=False)
        if listed.returncode == 0:
            names = sorted(set(listed.stdout.splitlines()))
            return [name for name in names if (ROOT / name).is_file()]

    found = (path.relative_to(ROOT) for path in ROOT.rglob("*.py"))
    return sorted(path.as_posix() for path in found if path.parts[0] not in SKIPPED)


def functions(tree: ast.Module) -> Iterator[Function]:
    """All functions and methods, however deep."""
    for node in ast.walk(tree):
        if isinstance(node, Function):
            yield node


def calls(tree: ast.Module) -> Iterator[tuple[int, str]]:
    """Line and name of every call of a plain name."""
    for node in ast.walk(tree):
        if isinstance(node, ast.Call) and isinstance(node.func, ast.Name):
            yield node.lineno, node.func.id


# --- Sizes ----------------------------------------------------------------------------------------


def short_files(path: PurePosixPath, source: str, _tree: ast.Module) -> Iterator[Breach]:
    """A file fits in one head, an actor on a few screens."""
    limit = ACTOR_LINES if path.parts[0] == "actors" else FILE_LINES
    if path.parts[:2] in (("actors", "revisions"), ("actors", "defects")):
        limit = DIFFERENCE_LINES
    length = len(source.splitlines())
    if length > limit:
        yield limit + 1, f"the file has {length} lines, at most {limit}"


def short_lines(_path: PurePosixPath, source: str, _tree: ast.Module) -> Iterator[Breach]:
    """A line fits in a window beside another."""
    for number, line in enumerate(source.splitlines(), start=1):
        if len(line) > LINE_LENGTH:
            yield number, f"the line has {len(line)} characters, at most {LINE_LENGTH}"


def short_functions(_path: PurePosixPath, _source: str, tree: ast.Module) -> Iterator[Breach]:
    """A function fits on a screen."""
    for function in functions(tree):
        length = (function.end_lineno or function.lineno) - function.lineno + 1
        if length > FUNCTION_LINES:
            yield (
                function.lineno,
                f"{function.name} has {length} lines, at most {FUNCTION_LINES}",
            )


def few_parameters(_path: PurePosixPath, _source: str, tree: ast.Module) -> Iterator[Breach]:
    """Five at most; `self` is not one, and the options of a click command are the user's."""
    for function in functions(tree):
        decorators = {last_name(decorator) for decorator in function.decorator_list}
        if decorators & {"command", "option", "argument"}:
            continue
        arguments = function.args
        every = [*arguments.posonlyargs, *arguments.args, *arguments.kwonlyargs]
        every += [one for one in (arguments.vararg, arguments.kwarg) if one is not None]
        count = len([one for one in every if one.arg not in {"self", "cls"}])
        if count > PARAMETERS:
            yield function.lineno, f"{function.name} has {count} parameters, at most {PARAMETERS}"


# --- Words ----------------------------------------------------------------------------------------


def documented_modules(path: PurePosixPath, source: str, tree: ast.Module) -> Iterator[Breach]:
    """A module says what it is; an empty `__init__.py` is nothing."""
    if path.parts[0] in PACKAGES and source.strip() and ast.get_docstring(tree) is None:
        yield 1, "the module has no docstring"


def numbered_notes(_path: PurePosixPath, source: str, _tree: ast.Module) -> Iterator[Breach]:
    """What is left to do is in an issue, and the note says which."""
    for number, line in enumerate(source.splitlines(), start=1):
        if NOTE.search(line):
            yield number, "a note of work to do names no issue (#123)"


def silent(path: PurePosixPath, _source: str, tree: ast.Module) -> Iterator[Breach]:
    """Only the harness talks to the user."""
    if path.parts[:2] == ("experiments", "harness"):
        return
    for line, name in calls(tree):
        if name == "print":
            yield line, "only experiments/harness may print"


# --- Determinism ----------------------------------------------------------------------------------


def pure_imports(path: PurePosixPath, _source: str, tree: ast.Module) -> Iterator[Breach]:
    """Chance and time are inputs (import-linter says the same, of more modules)."""
    if path.parts[0] not in PURE:
        return
    for node in ast.walk(tree):
        match node:
            case ast.Import(lineno=line, names=aliases):
                names = [alias.name for alias in aliases]
            case ast.ImportFrom(lineno=line, module=str(module)):
                names = [module]
            case _:
                continue
        for name in names:
            if name.partition(".")[0] in FORBIDDEN_MODULES:
                yield line, f"{name}: chance and time are inputs here"


def pure_calls(path: PurePosixPath, _source: str, tree: ast.Module) -> Iterator[Breach]:
    """Nothing that differs from process to process, nothing that reaches outside."""
    if path.parts[0] not in PURE:
        return
    for line, name in calls(tree):
        if name in FORBIDDEN_CALLS:
            yield line, f"{name}(): {FORBIDDEN_CALLS[name]}"


def no_set_order(path: PurePosixPath, _source: str, tree: ast.Module) -> Iterator[Breach]:
    """A set lists in another order under another hash seed."""
    if path.parts[0] in PURE:
        finder = SetOrder()
        finder.visit(tree)
        yield from finder.breaches


RULES: Final[tuple[Rule, ...]] = (
    short_files,
    short_lines,
    short_functions,
    few_parameters,
    documented_modules,
    numbered_notes,
    silent,
    pure_imports,
    pure_calls,
    no_set_order,
)


def breaches(path: PurePosixPath, source: str) -> list[Breach]:
    """All that is wrong with one file, in the order of its lines."""
    tree = ast.parse(source, filename=str(path))
    return sorted(breach for rule in RULES for breach in rule(path, source, tree))


def by_folder() -> dict[str, list[str]]:
    """All files, by the folder that they lie in."""
    found: dict[str, list[str]] = {}
    for name in python_files():
        found.setdefault(str(PurePosixPath(name).parent), []).append(name)
    return found


FOLDERS: Final = by_folder()


@pytest.mark.parametrize("folder", FOLDERS)
def test_the_files_are_tidy(folder: str) -> None:
    found = [
        f"{name}:{line}: {what}"
        for name in FOLDERS[folder]
        for line, what in breaches(PurePosixPath(name), (ROOT / name).read_text(encoding="utf-8"))
    ]
    if found:
        pytest.fail("\n".join(found), pytrace=False)


# --- The rules themselves: each is seen to refuse, and to let pass --------------------------------

DOC: Final = '"""What it is."""\n'
NUMBERED: Final = "x = 1  # TODO: see issue #12.\n"
LONG: Final = "def f() -> None:\n" + "    x = 1\n" * FUNCTION_LINES
MANY: Final = "def f(self, a, b, c, d, *, e, f) -> None: ...\n"


@pytest.mark.parametrize(
    ("path", "source", "what"),
    [
        ("tests/a.py", "x = 1\n" * 401, "the file has 401 lines"),
        ("actors/a.py", "x = 1\n" * 201, "the file has 201 lines"),
        ("tests/a.py", "x = '" + "y" * 100 + "'\n", "the line has 106 characters"),
        ("tests/a.py", LONG, "f has 71 lines"),
        ("tests/a.py", MANY, "f has 6 parameters"),
        ("clusters/a.py", "x = 1\n", "no docstring"),
        ("tests/a.py", NUMBERED.replace("#12", ""), "names no issue"),
        ("clusters/a.py", "print(1)\n", "may print"),
        ("actors/a.py", "from random import choice\n", "random: chance"),
        ("protocol/a.py", "import time as clock\n", "time: chance"),
        ("actors/a.py", "x = hash('a')\n", "hash(): strings"),
        ("actors/a.py", "x = id(y)\n", "id(): an address"),
        ("actors/a.py", "for x in {1, 2}: ...\n", "`{1, 2}` decides"),
        ("actors/a.py", "for x in set(y): ...\n", "`set(y)` decides"),
        ("actors/a.py", "x = [y for y in {1} | z]\n", "`{1} | z` decides"),
        ("actors/a.py", "x = list(frozenset(y))\n", "`frozenset(y)` decides"),
        ("actors/a.py", "x = min({1, 2}, key=f)\n", "`{1, 2}` decides"),
        ("actors/a.py", "X: Final = {1}\ndef f(): g(*X)\n", "`X` decides"),
        ("actors/a.py", "def f(x: set[int]): return x.pop()\n", "`x` decides"),
        ("actors/a.py", "class A:\n x: set[int]\n def f(self): g(*self.x)\n", "`self.x` decides"),
    ],
)
def test_err_a_rule_refuses(path: str, source: str, what: str) -> None:
    assert any(what in said for _, said in breaches(PurePosixPath(path), source))


@pytest.mark.parametrize(
    ("path", "source"),
    [
        ("tests/a.py", LONG.removesuffix("    x = 1\n")),
        ("tests/a.py", MANY.replace(", f)", ")")),
        ("experiments/harness/a.py", DOC + "@group.command()\n" + MANY),
        ("experiments/harness/a.py", DOC + "print(1)\n"),
        ("clusters/__init__.py", ""),
        ("clusters/a.py", DOC + "import time\nfor x in {1, 2}: ...\n"),
        ("tests/a.py", NUMBERED),
        ("actors/a.py", DOC + "for x in sorted({1, 2}): ...\n"),
        ("actors/a.py", DOC + "x = any(y for y in {1, 2})\nz = {y for y in {1, 2}}\n"),
        ("actors/a.py", DOC + "x = 1 in {1, 2}\ny = max({1, 2})\n"),
        ("actors/a.py", DOC + "X = {1}\ndef f(X: list[int]): return X.pop()\n"),
        ("actors/a.py", DOC + "def f(x: dict[str, set[int]]): return list(x)\n"),
    ],
)
def test_a_rule_lets_pass(path: str, source: str) -> None:
    assert breaches(PurePosixPath(path), source) == []
