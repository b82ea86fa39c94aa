"""The rules of the house: floors, lint, types, names, sizes, and that nothing public goes without a word in the documents."""

from __future__ import annotations

import argparse
import ast
import importlib
import os
import re
import subprocess
import sys
import tomllib
from importlib.metadata import packages_distributions
from itertools import pairwise
from pathlib import Path

import pytest
from packaging.requirements import Requirement
from packaging.utils import canonicalize_name

import mlwright
from mlwright.cli.main import parser
from mlwright.core import kinds
from mlwright.lifecycle.project import KEYS, Project
from mlwright.serving.endpoint import ROUTES

ROOT = Path(__file__).parent.parent
SOURCE = ROOT / "src"
MODULES = sorted(SOURCE.rglob("*.py"))
IDS = [str(path.relative_to(SOURCE / "mlwright")) for path in MODULES]
PYPROJECT = tomllib.loads((ROOT / "pyproject.toml").read_text())
NOT_OURS = {".git", ".venv", "venv", "build", "dist", "node_modules"}  # what .gitignore names, and caches
CACHES = re.compile(r"__pycache__|\..*_cache|\.hypothesis|\.mlwright|.*\.egg-info|\.coverage.*")


def document(name: str) -> str:
    return (ROOT / name).read_text(encoding="utf-8")


def words_in_code(name: str) -> set[str]:
    """Return what stands in `code` in a document, whole."""
    return set(re.findall(r"`([^`\n]+)`", document(name)))


# Tools


@pytest.mark.parametrize(
    "command",
    [
        pytest.param(["lint-imports", "--no-cache"], id="floors"),
        pytest.param(["ruff", "check", "--no-cache"], id="lint"),
        pytest.param(["ruff", "format", "--check", "--no-cache"], id="format"),
        pytest.param(["pyrefly", "check"], id="types"),
        pytest.param(["deptry", "src", "--no-ansi"], id="dependencies"),
    ],
)
def test_tool_is_content(command):
    program = Path(sys.executable).parent / command[0]
    done = subprocess.run(
        [program, *command[1:]],
        cwd=ROOT,
        capture_output=True,
        text=True,
        timeout=280,
        check=False,
        env=os.environ | {"COLUMNS": "160"},
    )
    assert done.returncode == 0, (done.stdout + done.stderr)[-6000:]


# Names and sizes


def public_names(tree: ast.Module) -> set[str]:
    """Return the names that a module defines at its top and does not hide."""
    found = set()
    for node in tree.body:
        if isinstance(node, (ast.FunctionDef, ast.AsyncFunctionDef, ast.ClassDef)):
            found.add(node.name)
        elif isinstance(node, (ast.Assign, ast.AnnAssign)):
            targets = node.targets if isinstance(node, ast.Assign) else [node.target]
            found |= {
                name.id for target in targets for name in ast.walk(target) if isinstance(name, ast.Name)
            }
    return {name for name in found if not name.startswith("_")}


def listed_names(tree: ast.Module) -> list[str] | None:
    for node in tree.body:
        if isinstance(node, ast.Assign) and any(getattr(t, "id", None) == "__all__" for t in node.targets):
            return ast.literal_eval(node.value)
    return None


def place(name: str) -> tuple[int, str]:
    """Constants, then classes, then the rest, each by the alphabet: the order that ruff keeps too."""
    constant = len(name) > 1 and name.isupper()
    return 0 if constant else 1 if name[0].isupper() else 2, name


@pytest.mark.parametrize("path", MODULES, ids=IDS)
def test_all_is_complete_and_sorted(path):
    tree = ast.parse(path.read_text(encoding="utf-8"))
    defined, listed = public_names(tree), listed_names(tree)
    if listed is None:
        assert defined == set()
        return
    assert defined - set(listed) == set()
    assert listed == sorted(listed, key=place)
    assert len(listed) == len(set(listed))


@pytest.mark.parametrize("path", MODULES, ids=IDS)
def test_everything_in_all_is_there(path):
    listed = listed_names(ast.parse(path.read_text(encoding="utf-8"))) or []
    name = ".".join(path.relative_to(SOURCE).with_suffix("").parts).removesuffix(".__init__")
    if listed:
        module = importlib.import_module(name)
        assert [each for each in listed if not hasattr(module, each)] == []


@pytest.mark.parametrize("path", MODULES, ids=IDS)
def test_file_is_short_and_says_what_it_knows(path):
    text = path.read_text(encoding="utf-8")
    assert len(text.splitlines()) <= 500
    assert ast.get_docstring(ast.parse(text))
    assert not re.search(r"util|helper|common|manager|misc|_part\d", path.stem)


def test_no_two_test_files_have_one_name():
    names = sorted(path.name for path in (ROOT / "tests").rglob("test_*.py"))
    assert [name for name, after in pairwise(names) if name == after] == []


def ours() -> list[Path]:
    found = []
    for folder, folders, files in os.walk(ROOT):
        inside = Path(folder).relative_to(ROOT).parts
        folders[:] = [f for f in folders if f not in NOT_OURS and not CACHES.fullmatch(f)]
        if inside[:1] == ("examples",):
            folders[:] = [f for f in folders if f != "data"]
        found += [Path(folder) / f for f in files if f not in NOT_OURS and not CACHES.fullmatch(f)]
    return found


def test_no_file_names_a_machine_or_a_package_index():
    machine = re.compile(r"(?<![\w.:/~*-])/(?:work|opt|root|home|mnt|srv|Users)/\w")
    index = re.compile("|".join(["--(?:extra-)?index" + "-url ", "--find" + "-links ", "/simp" + "le/"]))
    paths = ours()
    assert ROOT / "README.md" in paths
    assert Path(__file__) in paths
    found = []
    for path in paths:
        try:
            text = path.read_text(encoding="utf-8")
        except UnicodeDecodeError:
            continue  # a stored binary example
        for number, line in enumerate(text.splitlines(), 1):
            if machine.search(line) or index.search(line):
                found.append(f"{path.relative_to(ROOT)}:{number}: {line.strip()[:120]}")
    assert found == []


# Documents


def commands() -> dict[str, argparse.ArgumentParser]:
    for action in parser()._actions:
        if isinstance(action, argparse._SubParsersAction):
            return dict(action.choices)
    raise AssertionError("the command line has no commands")


def sections(name: str) -> dict[str, str]:
    """Return a document's parts by their second headings."""
    parts = re.split(r"^## +(.+)$", document(name), flags=re.MULTILINE)
    return dict(zip(parts[1::2], parts[2::2], strict=True))


def test_every_command_and_flag_is_documented():
    told = {
        command: text
        for heading, text in sections("docs/cli.md").items()
        for command in heading.split(" and ")
    }
    everywhere = document("docs/cli.md").partition("\n## ")[0]
    assert commands().keys() <= told.keys()
    missing = []
    for name, command in commands().items():
        for action in command._actions:
            for flag in action.option_strings:
                text = told[name] + everywhere
                if flag not in ("-h", "--help") and not re.search(rf"`{flag}(?: [A-Z]+)?`", text):
                    missing.append(f"{name} {flag}")
    assert missing == []


def test_no_flag_is_documented_that_is_not_there():
    flags = {flag for command in commands().values() for a in command._actions for flag in a.option_strings}
    named = {re.match(r"-[-\w]*", word)[0] for word in words_in_code("docs/cli.md") if word.startswith("--")}
    assert named - flags - {"--version"} == set()


def test_every_exit_code_is_documented():
    for name in ("README.md", "docs/cli.md"):
        codes = set(re.findall(r"^\| (\d+) \|", document(name), flags=re.MULTILINE))
        assert codes == {"0", "1", "2", "3", "130"}


def test_every_field_of_a_run_is_documented():
    from mlwright.lifecycle.result import RunResult

    assert set(RunResult.__slots__) <= words_in_code("docs/cli.md")


def test_every_project_key_is_documented_with_its_default():
    lines = re.findall(
        r"^\| `([\w.]+)` \| [^|]+ \| ([^|]+) \|", document("docs/project.md"), flags=re.MULTILINE
    )
    told = dict(lines)
    assert list(told) == list(KEYS)
    assert len(KEYS) <= 40
    unsaid = {"must be said", "the folder's name", "none", "inferred", "the only table"}
    project = Project()
    for key, default in told.items():
        if default not in unsaid:
            value = tomllib.loads(f"x = {default.strip('`')}")["x"]
            ours = getattr(project, key.replace(".", "_"))
            assert (list(ours) if isinstance(ours, tuple) else ours) == value, key
        else:
            assert getattr(project, key.replace(".", "_")) in (None, ""), key


def test_every_example_of_a_project_key_is_allowed():
    lines = re.findall(
        r"^\| `([\w.]+)` \|.*\| `([^|]+)` \|$", document("docs/project.md"), flags=re.MULTILINE
    )
    assert len(lines) == len(KEYS)
    for key, example in lines:
        assert KEYS[key].allows(tomllib.loads(f"x = {example}")["x"]), key


def test_every_project_key_does_something():
    readers = [path for path in MODULES if path.name != "project.py"]
    text = "\n".join(path.read_text(encoding="utf-8") for path in readers)
    # Properties of the project.
    through = {
        "task_budget": "budget",
        "task_latency": "latency",
        "data_source": "source",
        "costs_capacity": "capacity",
    }
    names = [through.get(name, name) for name in (key.replace(".", "_") for key in KEYS)]
    assert [name for name in names if not re.search(rf"\w\.{name}\b(?!=)", text)] == []


def test_every_route_is_documented():
    told = dict(re.findall(r"^\| `(/\S*)` \| (\w+) \|", document("docs/serving.md"), flags=re.MULTILINE))
    assert told == {pattern: route.method for pattern, route in ROUTES.items()}


def test_every_direct_dependency_has_its_reason():
    told = dict(
        re.findall(
            r"^\| (?:`\w+` \| )?`([\w-]+)` \| \d* ?\| (.+) \|$",
            document("docs/dependencies.md"),
            re.MULTILINE,
        )
    )
    project = PYPROJECT["project"]
    extras = project["optional-dependencies"]
    direct = [*project["dependencies"], *(line for lines in extras.values() for line in lines)]
    assert {Requirement(line).name for line in direct} == told.keys()
    assert all(len(reason) > 10 for reason in told.values())


def test_every_direct_dependency_is_pinned_by_hash():
    pins = re.findall(
        r"^([\w.-]+)==(\S+)(?: ;[^\\]*)? \\\n    --hash=sha256:", document("constraints.txt"), re.MULTILINE
    )
    pinned = {canonicalize_name(name): version for name, version in pins}
    assert len(pins) == len(re.findall(r"^[\w.-]+==", document("constraints.txt"), re.MULTILINE))
    project = PYPROJECT["project"]
    extras = project["optional-dependencies"]
    for line in [*project["dependencies"], *(line for lines in extras.values() for line in lines)]:
        needed = Requirement(line)
        if canonicalize_name(needed.name) != "mlwright":
            version = pinned.get(canonicalize_name(needed.name))
            assert version is not None, f"{needed.name} is not pinned: make constraints"
            assert needed.specifier.contains(version), f"{needed} is pinned at {version}: make constraints"


def test_what_tests_import_is_pinned():
    pinned = {
        canonicalize_name(n) for n in re.findall(r"^([\w.-]+)==", document("constraints.txt"), re.MULTILINE)
    }
    homes = packages_distributions()
    wanted = set()
    for path in (ROOT / "tests").rglob("*.py"):
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
            if isinstance(node, ast.Import):
                wanted |= {alias.name.partition(".")[0] for alias in node.names}
            elif isinstance(node, ast.ImportFrom):
                wanted.add((node.module or "").partition(".")[0])
    beside = {path.stem for path in (ROOT / "tests").rglob("*.py")}
    foreign = wanted - sys.stdlib_module_names - beside - {"mlwright"}
    assert "numpy" in foreign
    missing = {n for n in foreign if not {canonicalize_name(d) for d in homes.get(n, [n])} & pinned}
    assert missing == set()


def test_every_public_name_is_documented():
    text = document("docs/python.md")
    missing = [name for name in mlwright.__all__ if not re.search(rf"`{name}\b|\.{name}\b", text)]
    assert set(missing) <= {"Predictor", "RunResult", "__version__"} - set(re.findall(r"`(\w+)`", text))
    assert len(mlwright.__all__) <= 20


def test_every_check_is_documented():
    assert kinds.CHECKS.keys() <= words_in_code("docs/data.md")


def test_every_metric_is_documented():
    assert kinds.METRICS.keys() <= words_in_code("docs/project.md")


def test_the_version_is_one():
    assert PYPROJECT["project"]["version"] == mlwright.__version__


def test_links_between_documents_lead_somewhere():
    for path in [*ROOT.glob("*.md"), *ROOT.glob("docs/*.md")]:
        for target in re.findall(r"\]\((?!https?:)([^)#]+)(?:#[^)]*)?\)", path.read_text(encoding="utf-8")):
            assert (path.parent / target).exists(), f"{path.name} links to {target}"


def test_the_first_screen_of_the_readme_has_the_two_commands():
    top = document("README.md").splitlines()[:12]
    assert "pip install '.[examples]' && mlwright run examples/churn" in top
    assert "pip install -e '.[test]' && pytest" in top
    script = document(".ci/run")
    assert re.search(r"^pip install (?:--quiet )?-e '\.\[test\]'$", script, re.MULTILINE)
    assert re.search(r"^pytest\b", script, re.MULTILINE)
    assert os.access(ROOT / ".ci" / "run", os.X_OK)


def test_examples_are_small():
    examples = [path.parent for path in ROOT.glob("examples/*/mlwright.toml")]
    assert {path.name for path in examples} >= {"churn", "house_price"}
    for folder in examples:
        assert len((folder / "prepare.py").read_text().splitlines()) <= 120
        assert (folder / "README.md").is_file()


# Kinds


@pytest.mark.parametrize(
    ("family", "kind"),
    [
        (family, kind)
        for family in ("TRANSFORMS", "MODELS", "METRICS", "CHECKS")
        for kind in getattr(kinds, family)
    ],
)
def test_every_kind_loads(family, kind):
    found = kinds.load(getattr(kinds, family), kind, family=family)
    assert (found.name if family == "METRICS" else found.kind) == kind


def test_tables_of_kinds_are_sorted_and_closed():
    for family in ("TRANSFORMS", "MODELS", "METRICS", "CHECKS"):
        table = getattr(kinds, family)
        assert list(table) == sorted(table)
        with pytest.raises(TypeError):
            table["new"] = "os:system"
