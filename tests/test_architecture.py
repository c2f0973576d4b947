"""The rules of the house, checked: one direction of imports, one home per outside package, no cycles, sizes.

The program is read as text (``ast``), never imported, so that a broken module fails its own test and not this one.
"""

import ast
from functools import cache
from itertools import chain
from pathlib import Path

import lizard
import pytest

ROOT = Path(__file__).resolve().parent.parent
LAYERS = ("directory", "federation", "sync", "web")  # each may import itself and those before it
HOMES = {
    "flask": ("web/",),
    "flask_sqlalchemy": ("web/",),
    "flask_smorest": ("web/",),
    "flask_login": ("web/",),
    "flask_wtf": ("web/",),
    "flask_migrate": ("web/",),
    "jwt": ("federation/signing.py",),
    "requests": ("sync/client.py",),
    "urllib3": ("sync/",),
    "apscheduler": ("sync/timetable.py",),
    "marshmallow": ("directory/record_schemas.py", "directory/fields.py", "web/api/", "web/"),
    "click": ("web/cli/",),
    "granian": ("web/serving.py",),
    "rich": ("web/cli/",),
    "prometheus_client": ("web/",),
    "argon2": ("web/accounts.py", "web/passwords.py"),
    "cryptography": ("federation/",),
    "holidays": ("directory/hours.py", "directory/public_holidays.py"),
    "anyascii": ("directory/folding.py",),
    "rapidfuzz": ("directory/search.py",),
    "phonenumbers": ("directory/",),
    "email_validator": ("directory/",),
    "mnemonic": ("federation/words.py",),
}
BANNED = {"pymerkle", "ldap3", "flask_talisman", "pywebpush", "pickle", "marshal", "shelve"}
BANNED_NAMES = ("util", "helper", "manager", "base", "common", "misc")
MAX_COMPLEXITY, MEAN_COMPLEXITY = 8, 3.0  # lizard counts comprehensions and `or` too
MAX_FUNCTION_LINES, MEAN_FUNCTION_LINES = 40, 9.0
MAX_FILE_LINES, MEDIAN_FILE_LINES = 400, 150
BLANKET_EXCEPT_ALLOWED = {"sync/timetable.py": 1}


def _sources() -> list[Path]:
    files = chain.from_iterable((ROOT / layer).rglob("*.py") for layer in LAYERS)
    return sorted([*(path for path in files if "migrations" not in path.parts), ROOT / "wsgi.py"])


@cache
def _tree(path: Path) -> ast.Module:
    return ast.parse(path.read_text(encoding="utf-8"))


def _name(path: Path) -> str:
    return path.relative_to(ROOT).as_posix()


def _imported(node: ast.AST) -> list[str]:
    if isinstance(node, ast.Import):
        return [alias.name for alias in node.names]
    if isinstance(node, ast.ImportFrom):
        assert node.level == 0, "relative imports are not used"
        return [node.module or ""]
    return []


def _imports(path: Path) -> set[str]:
    return {name for node in ast.walk(_tree(path)) for name in _imported(node)}


SOURCES = _sources()
by_name = pytest.mark.parametrize("path", SOURCES, ids=_name)


@by_name
def test_imports_point_one_way(path: Path) -> None:
    if path.name == "wsgi.py":
        return
    layer = LAYERS.index(path.relative_to(ROOT).parts[0])
    upward = {name for name in _imports(path) if name.split(".")[0] in LAYERS[layer + 1 :]}
    assert not upward, f"{_name(path)} reaches up to {sorted(upward)}"


@by_name
def test_outside_packages_stay_in_their_homes(path: Path) -> None:
    for imported in _imports(path):
        package = imported.split(".")[0]
        assert package not in BANNED, f"{_name(path)} imports {package}, which this project does not use"
        homes = HOMES.get(package)
        at_home = homes is None or any(_name(path).startswith(home) for home in homes)
        assert at_home, f"{_name(path)} imports {package}; its home is {homes}"


@by_name
def test_imports_stand_at_the_top(path: Path) -> None:
    top = {id(node) for node in _tree(path).body}
    late = [n for n in ast.walk(_tree(path)) if isinstance(n, ast.Import | ast.ImportFrom) and id(n) not in top]
    assert not late, f"{_name(path)} imports inside a function or block at line {late[0].lineno}"


@by_name
def test_names_say_what_a_module_holds(path: Path) -> None:
    assert not any(path.stem == banned or path.stem == f"{banned}s" for banned in BANNED_NAMES), _name(path)


def test_no_import_cycles() -> None:
    modules = {_name(path).removesuffix(".py").removesuffix("/__init__").replace("/", "."): path for path in SOURCES}
    arrows = {name: {target for target in _targets(path, modules) if target != name} for name, path in modules.items()}
    done: set[str] = set()

    def visit(name: str, trail: tuple[str, ...]) -> None:
        assert name not in trail, " → ".join([*trail[trail.index(name) :], name])
        if name not in done:
            for target in arrows[name]:
                visit(target, (*trail, name))
            done.add(name)

    for name in modules:
        visit(name, ())


def _targets(path: Path, modules: dict[str, Path]) -> set[str]:
    found: set[str] = set()
    for node in ast.walk(_tree(path)):
        if isinstance(node, ast.ImportFrom):
            submodules = {f"{node.module}.{alias.name}" for alias in node.names} & modules.keys()
            found |= submodules or ({str(node.module)} & modules.keys())
        elif isinstance(node, ast.Import):
            found |= {alias.name for alias in node.names} & modules.keys()
    return found


def _passes_on(handler: ast.ExceptHandler) -> bool:
    """Whether a handler only tidies up: its last statement raises the same error again."""
    last = handler.body[-1]
    return isinstance(last, ast.Raise) and last.exc is None


@by_name
def test_errors_are_caught_by_name(path: Path) -> None:
    blanket = [
        node
        for node in ast.walk(_tree(path))
        if isinstance(node, ast.ExceptHandler)
        and (node.type is None or (isinstance(node.type, ast.Name) and node.type.id in {"Exception", "BaseException"}))
        and not _passes_on(node)
    ]
    allowed = BLANKET_EXCEPT_ALLOWED.get(_name(path), 0)
    assert len(blanket) <= allowed, f"{_name(path)} catches everything at line {blanket[0].lineno}"


@by_name
def test_directory_functions_never_commit(path: Path) -> None:
    if _name(path).split("/")[0] not in {"directory", "federation"} or path.name == "database.py":
        return
    calls = [n for n in ast.walk(_tree(path)) if isinstance(n, ast.Call) and isinstance(n.func, ast.Attribute)]
    committing = [call.lineno for call in calls if isinstance(call.func, ast.Attribute) and call.func.attr == "commit"]
    assert not committing, f"{_name(path)} commits at line {committing[0]}; the caller owns the transaction"


def _analysis() -> list[lizard.FileInformation]:
    return list(lizard.analyze_files([str(path) for path in SOURCES]))


def test_sizes_stay_readable() -> None:
    files = _analysis()
    functions = [(file, function) for file in files for function in file.function_list]
    too_large = [
        f"{_name(Path(file.filename))}:{each.start_line} {each.name}: {each.cyclomatic_complexity} branches, "
        f"{each.nloc} lines"
        for file, each in functions
        if each.cyclomatic_complexity > MAX_COMPLEXITY or each.nloc > MAX_FUNCTION_LINES
    ]
    assert not too_large
    for file in files:
        assert file.nloc <= MAX_FILE_LINES, f"{_name(Path(file.filename))} has {file.nloc} lines"
    lines = sorted(file.nloc for file in files)
    assert lines[len(lines) // 2] <= MEDIAN_FILE_LINES
    assert sum(f.nloc for _, f in functions) / len(functions) <= MEAN_FUNCTION_LINES
    assert sum(f.cyclomatic_complexity for _, f in functions) / len(functions) <= MEAN_COMPLEXITY


def _public(node: ast.AST) -> bool:
    return isinstance(node, ast.FunctionDef | ast.ClassDef) and not node.name.startswith("_")


def test_public_things_are_explained() -> None:
    public, bare = 0, []
    for path in SOURCES:
        tree = _tree(path)
        inner = chain.from_iterable(c.body for c in tree.body if isinstance(c, ast.ClassDef) and _public(c))
        for node in filter(_public, chain(tree.body, inner)):
            assert isinstance(node, ast.FunctionDef | ast.ClassDef)
            public += 1
            if not ast.get_docstring(node):
                bare.append(f"{_name(path)}:{node.lineno} {node.name}")
    assert len(bare) <= public * 0.02, bare
