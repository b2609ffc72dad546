"""Break the modules on purpose and see the tests fail: ``make mutants``.

One thing in one function is changed at a time: a sign, a number, a
transpose, an argument, a guard that goes. The tests of the module run on
a copy of the course with that change. A change that they let through has
survived: a test is missing, or the change changes nothing that matters,
and then tests/survivors.toml says why.

    make mutants
    .venv/bin/python -m tools.mutants modules mnist

Only a run of all modules that finds nothing wrong writes the table of
the site.
"""

import ast
import copy
import importlib
import os
import signal
import sys
import tempfile
import tomllib
from multiprocessing import get_context
from pathlib import Path
from typing import NamedTuple

import pytest

from tools.export import chapters
from tools.reproduce import store

SURVIVORS = Path("tests", "survivors.toml")
TABLE = Path("book", "_results", "mutants.csv")
# Not chapter 7: its programs are broken on purpose, a change is one more.
MODULES = [name for name in chapters() if name != "bugs"]
MODULES += ["checks", "datasets"]
# The tests beside a module's own.
DRAWN = "properties", "refusals"
ALSO = {"own_data": DRAWN[1:], "checks": (*DRAWN, "autograd", "own_data")}
ALSO |= {"autograd": ()}
MOST = 300  # seconds; a change after which the tests hang is noticed
SWAPS = {
    **{ast.Add: ast.Sub, ast.Sub: ast.Add, ast.Mult: ast.Div},
    **{ast.Div: ast.Mult, ast.MatMult: ast.Mult, ast.Pow: ast.Mult},
    **{ast.FloorDiv: ast.Div, ast.Lt: ast.LtE, ast.LtE: ast.Lt},
    **{ast.Gt: ast.GtE, ast.GtE: ast.Gt, ast.Eq: ast.NotEq},
    **{ast.NotEq: ast.Eq, ast.Is: ast.IsNot, ast.IsNot: ast.Is},
    **{ast.In: ast.NotIn, ast.NotIn: ast.In, ast.And: ast.Or},
    ast.Or: ast.And,
}


class Change(NamedTuple):
    function: str  # modules.Linear.bwd
    was: str  # the first line of the statement
    now: str


def variants(node):
    """Yield what might stand in a node's place by mistake."""
    match node:
        case ast.operator() | ast.cmpop() | ast.boolop():
            if type(node) in SWAPS:
                yield SWAPS[type(node)]()
        case ast.UnaryOp(operand=value):
            yield value
        case ast.Attribute(value, "T"):
            yield value
        case ast.Constant(bool()):
            yield ast.Constant(not node.value)
        case ast.Constant(int() | float()):
            yield ast.Constant(node.value + 1)
        case ast.Call(args=[ast.expr() as value], keywords=[]) if not (
            isinstance(value, ast.Starred)
        ):
            yield value  # reversed(layers) and np.exp(x), and guards
        case ast.Call():
            for k, keyword in enumerate(node.keywords):
                if keyword.arg != "strict":
                    rest = node.keywords[:k] + node.keywords[k + 1 :]
                    yield ast.Call(node.func, node.args, rest)
        case ast.FunctionDef(decorator_list=[_, *_]):
            bare = copy.copy(node)
            bare.decorator_list = []
            yield bare
        case ast.Expr(ast.Constant()):  # a docstring
            return
        case ast.Expr() | ast.Assign() | ast.AugAssign() | ast.If():
            yield ast.Pass()


def changes(parent, tree, where, line=None):
    """Yield every Change in parent; the tree has it until the next."""
    for field, value in ast.iter_fields(parent):
        if field in ("annotation", "returns"):
            continue
        many = value if isinstance(value, list) else [value]
        for k, node in enumerate(many):
            if not isinstance(node, ast.AST):
                continue
            named = isinstance(node, ast.FunctionDef | ast.ClassDef)
            if parent is tree and not named:
                continue
            inside = f"{where}.{node.name}" if named else where
            at = node if isinstance(node, ast.stmt) else line
            for new in variants(node):
                was = first_line(at)
                put(parent, field, k, new)
                now = first_line(new if at is node else at)
                yield Change(inside, was, now)
                put(parent, field, k, node)
            yield from changes(node, tree, inside, at)


def put(parent, field, k, node):
    value = getattr(parent, field)
    if isinstance(value, list):
        value[k] = node
    else:
        setattr(parent, field, node)


def first_line(node):
    node = ast.fix_missing_locations(copy.deepcopy(node))
    return ast.unparse(node).splitlines()[0]


def module_tree(name):
    return ast.parse(Path("lessons", f"{name}.py").read_text("utf-8"))


def mutants(name):
    """Yield (module, Change, text) for each, in functions and classes."""
    tree = module_tree(name)
    for change in changes(tree, tree, name):
        yield name, change, ast.unparse(tree)


def noticed(mutant):
    """Whether a test of the module fails, in a copy with the change."""
    name, _, text = mutant
    with tempfile.TemporaryDirectory() as folder:
        for path in Path.cwd().iterdir():
            if path.name not in ("lessons", ".git"):
                Path(folder, path.name).symlink_to(path)
        for path in Path("lessons").resolve().iterdir():
            Path(folder, "lessons").mkdir(exist_ok=True)
            if path.stem != name:
                Path(folder, "lessons", path.name).symlink_to(path)
        Path(folder, "lessons", f"{name}.py").write_text(text, "utf-8")
        os.chdir(folder)
        sys.path.insert(0, folder)
        sys.dont_write_bytecode = True
        # None of its plugins is needed, and each takes its time.
        os.environ["PYTEST_DISABLE_PLUGIN_AUTOLOAD"] = "1"
        tests = [
            f"tests/test_{k}.py" for k in (name, *ALSO.get(name, DRAWN))
        ]
        tests = [test for test in tests if Path(test).exists()]
        os.dup2(os.open(os.devnull, os.O_WRONLY), 1)
        signal.alarm(MOST)
        signal.signal(signal.SIGALRM, too_long)
        options = "-x -q --tb=no -p no:cacheprovider --rootdir=."
        for test in tests:  # its own first, which most do not survive
            if code := pytest.main([*options.split(), test]):
                break
        signal.alarm(0)
        os.chdir("/")
    # 1: a test fails; 2: the module can no longer be imported.
    if code not in (0, 1, 2):
        raise RuntimeError(f"pytest ended with {code} in {tests}")
    return code != 0


def too_long(*_):
    raise TimeoutError("the tests take too long")


def read_survivors(names):
    """The Changes that may survive."""
    listed = []
    for entry in tomllib.loads(SURVIVORS.read_text("utf-8"))["survivor"]:
        for now in entry["now"]:
            listed.append(Change(entry["function"], entry["was"], now))
    return [c for c in listed if c.function.split(".")[0] in names]


def judge(name, pool):
    """Return the changes of a module, and those that no test notices."""
    text = Path("lessons", f"{name}.py").read_text("utf-8")
    if pool.apply(noticed, [(name, None, text)]):
        sys.exit(f"{name}: its tests must pass before it is broken")
    every = [*mutants(name)]
    found = pool.map(noticed, every, chunksize=1)
    left = [
        change
        for (_, change, _), ok in zip(every, found, strict=True)
        if not ok
    ]
    print(
        f"{name}: {len(every)} changes, {len(left)} survived", flush=True
    )
    return every, left


def main(names, heavy=("numpy", "torch", "sklearn")):
    for package in heavy:  # once, and not for each mutant
        importlib.import_module(package)
    table, wrong = [], []
    listed = read_survivors(names or MODULES)
    with get_context("fork").Pool(
        os.cpu_count(), maxtasksperchild=1
    ) as pool:
        for name in names or MODULES:
            every, left = judge(name, pool)
            table.append(
                [name, len(every), len(every) - len(left), len(left)]
            )
            wrong += [("survived", c) for c in left if c not in listed]
            listed = [c for c in listed if c not in left]
    wrong += [("listed, but noticed or gone", c) for c in listed]
    for what, c in wrong:
        print(f"{c.function}: {what}\n  - {c.was}\n  + {c.now}")
    if wrong:
        print(
            f"Write a test for what survived, or say in {SURVIVORS} why "
            "none can notice it; take what is gone off that list."
        )
        return 1
    if not names:
        sums = [sum(column) for column in [*zip(*table, strict=True)][1:]]
        head = ["module", "changes", "noticed", "survived"]
        store(TABLE, [head, *table, ["all", *sums]])
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
