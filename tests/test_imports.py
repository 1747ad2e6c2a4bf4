"""Who may import whom in the package, and what its imports must not load."""

import ast
import re
import subprocess
import sys
from functools import cache
from graphlib import CycleError, TopologicalSorter
from importlib.util import resolve_name
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]
WINGS = {  # what each may import, beside itself
    "theory": set(),
    "translation": {"lab"},
    "scaling": {"lab"},
    "bert": {"lab"},
    "clip": {"bert", "lab"},
    "practice": {"translation", "clip"},
    "runs": {"theory", "translation", "scaling", "bert", "clip", "lab"},
    "lab": set(),
}
DOORS = {("a3.clip.__main__", "a3.runs.clip")}  # the only imports against the rule
FIVE_NAMES = [
    "compute_optimal", "diagnose", "find_optimal_params", "fit_isoflop", "fit_parametric",
]  # fmt: skip


def name_of(file):
    """The dotted name of a module of the package."""
    parts = file.relative_to(ROOT).with_suffix("").parts
    return ".".join(parts[:-1] if parts[-1] == "__init__" else parts)


FILES = {name_of(file): file for file in sorted((ROOT / "a3").rglob("*.py"))}


def body(module):
    """The statements of a module after its docstring, and whether it has one."""
    tree = ast.parse(FILES[module].read_text(encoding="utf-8"))
    documented = ast.get_docstring(tree) is not None
    return tree.body[documented:], documented


@cache
def imports():
    """Each module of the package to those of the package that it imports, wherever it does so."""
    found = {}
    for module, file in FILES.items():
        package = module if file.stem == "__init__" else module.rpartition(".")[0]
        found[module] = set()
        for node in ast.walk(ast.parse(file.read_text(encoding="utf-8"))):
            if isinstance(node, ast.Import):
                names = [alias.name for alias in node.names]
            elif isinstance(node, ast.ImportFrom):
                origin = resolve_name("." * node.level + (node.module or ""), package)
                whole = [f"{origin}.{alias.name}" for alias in node.names]
                names = [name if name in FILES else origin for name in whole]
            else:
                continue
            found[module] |= {name for name in names if name.split(".")[0] == "a3"}
    return found


def wing(module):
    return module.split(".")[1]


def test_every_import_of_ours_is_of_a_module_that_is_there():
    missing = {(module, name) for module, those in imports().items() for name in those - {*FILES}}
    assert not missing
    assert sum(map(len, imports().values())) > 150  # the walk has seen them


def test_the_package_has_its_eight_wings_and_no_more_entries():
    entries = {path.name for path in (ROOT / "a3").iterdir()} - {"__init__.py", "__pycache__"}
    assert {*WINGS} == entries and len(entries) == 8


@pytest.mark.parametrize("own", WINGS)
def test_a_wing_imports_those_below_it_and_no_other(own):
    breaches = {
        (module, imported)
        for module in FILES
        if module.startswith(f"a3.{own}.") or module == f"a3.{own}"
        for imported in imports()[module]
        if imported == "a3" or wing(imported) not in WINGS[own] | {own}
    }
    assert not breaches - DOORS


def test_the_closed_forms_stand_by_themselves():
    theirs = {each for name in FILES if name.startswith("a3.theory.") for each in imports()[name]}
    assert not {name for name in theirs if not name.startswith("a3.theory.")}


def test_nobody_imports_a_door():
    through = {name for those in imports().values() for name in those if name.endswith("__main__")}
    assert not through
    assert {name for name in FILES if name.endswith("__main__")} == {
        "a3.clip.__main__", "a3.practice.__main__", "a3.runs.__main__", "a3.scaling.__main__",
    }  # fmt: skip


def test_no_modules_import_each_other_in_a_circle():
    try:
        TopologicalSorter(imports()).prepare()
    except CycleError as error:
        pytest.fail(" imports ".join(reversed(error.args[1])))


@pytest.mark.parametrize("package", [name for name in FILES if FILES[name].stem == "__init__"])
def test_a_package_holds_a_docstring_and_no_code(package):
    statements, documented = body(package)
    assert documented
    if package == "a3":
        assert [ast.unparse(each.targets[0]) for each in statements] == ["__version__"]
    elif package == "a3.scaling":
        *handed_on, listed = statements
        assert all(isinstance(each, ast.ImportFrom) for each in handed_on)
        assert sorted(alias.name for each in handed_on for alias in each.names) == FIVE_NAMES
        assert ast.unparse(listed) == f"__all__ = {FIVE_NAMES}"
    else:
        assert not statements


# -- What is loaded --------------------------------------------------------------------------------
PLOTS, MODELS = ("matplotlib",), ("open_clip", "transformers", "huggingface_hub")
LIGHT = {
    (*PLOTS, *MODELS, "torch"): (
        "a3.lab.environment", "a3.lab.keys", "a3.scaling", "a3.scaling.isoflop",
        "a3.scaling.parametric", "a3.scaling.allocation", "a3.scaling.diagnosis",
        "a3.scaling.loss_law", "a3.scaling.read_runs", "a3.translation.pig_latin",
        "a3.bert.verbal_arithmetic", "a3.bert.scores", "a3.bert.pretrained",
        "a3.practice.questions",
    ),
    (*MODELS, "torch"): ("a3.lab.figures", "a3.scaling.figures", "a3.scaling.__main__"),
    (*PLOTS, *MODELS): ("a3.lab.sweeps", "a3.lab.experiments", "a3.runs.scaling"),
}  # fmt: skip
LOADED = """
import importlib, sys
heavy, modules = (argument.split() for argument in sys.argv[1:])
for module in modules:
    importlib.import_module(module)
    loaded = [name for name in heavy if name in sys.modules]
    if loaded:
        sys.exit(f"{module} loads {', '.join(loaded)}")
"""


def check_loaded(modules, heavy):
    """Import modules one by one in a new process, and fail at the first that loads others."""
    done = subprocess.run(
        [sys.executable, "-c", LOADED, " ".join(heavy), " ".join(modules)],
        capture_output=True, text=True, cwd=ROOT,
    )  # fmt: skip
    assert done.returncode == 0, done.stderr


@pytest.mark.parametrize("heavy", LIGHT, ids="-".join)
def test_importing_does_not_wait_for_libraries_that_are_not_needed(heavy):
    check_loaded(LIGHT[heavy], heavy)


def test_what_loads_a_library_is_found():
    with pytest.raises(AssertionError, match="a3.lab.saved_runs loads torch"):
        check_loaded(["a3.lab.keys", "a3.lab.saved_runs"], ["matplotlib", "torch"])


def code_of(chapter):
    """The code cells of a chapter, without their options."""
    cells = re.findall(r"^```\{code-cell\}.*?\n(.*?)^```", chapter.read_text(), re.M | re.S)
    return re.sub(r"^:.*", "", "\n".join(cells), flags=re.M)


def test_chapters_without_a_language_model_do_not_wait_for_one():
    """Those of Parts I to III; they load torch, whose tensors they are written in."""
    modules = set()
    for part in ("architecture", "robustness", "resources"):
        for chapter in [ROOT / f"docs/{part}.md", *(ROOT / "docs" / part).glob("*.md")]:
            for node in ast.walk(ast.parse(code_of(chapter))):
                if isinstance(node, ast.ImportFrom):
                    whole = [f"{node.module}.{alias.name}" for alias in node.names]
                    modules |= {name if name in FILES else node.module for name in whole}
    ours = sorted(name for name in modules if name in FILES)
    assert len(ours) > 5 and "a3.theory.noisy_quadratic" in ours
    check_loaded(ours, MODELS)
