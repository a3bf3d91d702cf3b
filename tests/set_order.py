"""Where a set decides an order, as far as one file shows it (for test_tidy.py)."""

import ast
from typing import Final

SETS: Final = ("set", "frozenset", "Set", "AbstractSet", "MutableSet")
ALGEBRA: Final = ("union", "intersection", "difference", "symmetric_difference", "copy")
ORDERED: Final = ("list", "tuple", "enumerate", "iter", "zip", "map", "filter", "fromkeys", "join")
UNORDERED: Final = ("any", "all", "sum", "len", "sorted", "set", "frozenset")


def last_name(node: ast.expr) -> str:
    """`group.command(...)` is `command`, `set[int]` is `set`, `x` is `x`."""
    match node:
        case ast.Call(func=inner) | ast.Subscript(value=inner):
            return last_name(inner)
        case ast.Attribute(attr=name) | ast.Name(id=name):
            return name
        case _:
            return ""


def is_set_type(annotation: ast.expr) -> bool:
    """`set[int]`, `frozenset[Name]`, `Final[set[int]]`, but not `dict[str, set[int]]`."""
    if isinstance(annotation, ast.Subscript) and last_name(annotation) in {"Final", "ClassVar"}:
        return is_set_type(annotation.slice)
    return last_name(annotation) in SETS


class SetOrder(ast.NodeVisitor):
    """Finds where a set decides an order, as far as one file shows it.

    `known` holds what is a set by its annotation or by what it was given: names of the module and
    of the function that is looked at, and `self.x` of the class.
    """

    def __init__(self) -> None:
        self.known: set[str] = set()
        self.breaches: list[tuple[int, str]] = []

    def visit_Module(self, node: ast.Module) -> None:
        """A module brings its constants."""
        for statement in node.body:
            if isinstance(statement, ast.Assign | ast.AnnAssign):
                self.learn(statement)
        self.generic_visit(node)

    def is_set(self, node: ast.expr) -> bool:
        """Whether the expression is certainly a set."""
        match node:
            case ast.Set() | ast.SetComp():
                return True
            case ast.Call(func=ast.Name(id=name)):
                return name in {"set", "frozenset"}
            case ast.Call(func=ast.Attribute(value=value, attr=attribute)):
                return attribute in ALGEBRA and self.is_set(value)
            case ast.BinOp(left=left, op=ast.BitOr() | ast.BitAnd() | ast.Sub() | ast.BitXor()):
                return self.is_set(left)
            case ast.Name() | ast.Attribute():
                return ast.unparse(node) in self.known
            case _:
                return False

    def learn(self, scope: ast.AST, prefix: str = "") -> None:
        """Note the sets that this scope names; a name that is also something else is not one."""
        others: set[str] = set()
        for node in ast.walk(scope):
            match node:
                case ast.AnnAssign(
                    target=target, annotation=ast.Name("Final"), value=ast.expr() as value
                ):
                    is_set = self.is_set(value)
                case ast.AnnAssign(target=target, annotation=annotation):
                    is_set = is_set_type(annotation)
                case ast.arg(annotation=ast.expr() as annotation):
                    target, is_set = ast.Name(node.arg), is_set_type(annotation)
                case ast.Assign(targets=[target], value=value):
                    is_set = self.is_set(value)
                case _:
                    continue
            name = ast.unparse(target)
            if is_set:
                self.known.add(name if "." in name else prefix + name)
            elif "." not in name:
                others.add(name)
        self.known -= others

    def visit_ClassDef(self, node: ast.ClassDef) -> None:
        """A class brings its fields."""
        before = set(self.known)
        for statement in node.body:
            if isinstance(statement, ast.AnnAssign):
                self.learn(statement, prefix="self.")
            elif isinstance(statement, ast.FunctionDef) and statement.name == "__init__":
                self.learn(statement)
                self.known = before | {name for name in self.known if "." in name}
        self.generic_visit(node)
        self.known = before

    def visit_FunctionDef(self, node: ast.FunctionDef) -> None:
        """A function brings its parameters and its own names."""
        before = set(self.known)
        self.learn(node)
        self.generic_visit(node)
        self.known = before

    def visit_For(self, node: ast.For) -> None:
        """`for x in {...}`: the plainest case."""
        self.refuse(node.iter)
        self.generic_visit(node)

    def visit_Starred(self, node: ast.Starred) -> None:
        """`[*{...}]`: an order, too."""
        self.refuse(node.value)
        self.generic_visit(node)

    def visit_Call(self, node: ast.Call) -> None:
        """`list(s)`, `min(s, key=...)`, `s.pop()` choose; `any(... for x in s)` does not."""
        name = last_name(node.func)
        keyed = name in {"min", "max"} and any(keyword.arg == "key" for keyword in node.keywords)
        if name in ORDERED or keyed:
            for argument in node.args:
                self.refuse(argument)
        if name == "pop" and isinstance(node.func, ast.Attribute) and not node.args:
            self.refuse(node.func.value)
        self.visit(node.func)
        for argument in [*node.args, *(keyword.value for keyword in node.keywords)]:
            if name in UNORDERED and isinstance(argument, ast.GeneratorExp):
                super().generic_visit(argument)
            else:
                self.visit(argument)

    def visit_ListComp(self, node: ast.ListComp) -> None:
        """A list has the order of what it is made from."""
        self.comprehend(node)

    def visit_DictComp(self, node: ast.DictComp) -> None:
        """So has a dict."""
        self.comprehend(node)

    def visit_GeneratorExp(self, node: ast.GeneratorExp) -> None:
        """And so has whatever eats a generator, unless `visit_Call` knows better."""
        self.comprehend(node)

    def comprehend(self, node: ast.ListComp | ast.DictComp | ast.GeneratorExp) -> None:
        """Look at each `for` of a comprehension."""
        for generator in node.generators:
            self.refuse(generator.iter)
        self.generic_visit(node)

    def refuse(self, node: ast.expr) -> None:
        """Report the expression if it is a set."""
        if self.is_set(node):
            self.breaches.append((node.lineno, f"the set `{ast.unparse(node)}` decides an order"))
