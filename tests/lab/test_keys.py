import json
import linecache
import os
import shutil
import subprocess
import sys
from pathlib import Path
from types import ModuleType

import numpy as np
import pytest

import a3.lab.keys
from a3.lab.keys import code_digest, key
from a3.translation.training import Hyperparameters

SCRIPT = '''
from dataclasses import dataclass, field
from enum import Enum
from functools import cache, partial
from typing import Callable, NamedTuple
from pathlib import Path
import numpy as np
from torch import nn
from a3.translation import attention
from a3.translation.word_pairs import WordPairs
from a3.translation.training import Hyperparameters

LONGEST = 7
TABLE = {("small", 32): Hyperparameters(epochs=50)}
HP = Hyperparameters(epochs=3)
VOWELS = {"a", "e"}
unused = 1

class Positions(nn.Module):
    """No positions."""
    scale = 2
    colours = ["red"]
    weights = {"a": 1}
    class Within:
        wide = 5
    @property
    def less(self):
        return self.scale - 1
    def forward(self, x):
        return self.double(x)
    @staticmethod
    def double(x):
        return 2 * x

@dataclass(frozen=True)
class Fields:
    start: int = 3
    more: list = field(default_factory=list)

class Colour(Enum):
    RED = 1

Number, Made = int | None, Callable[[int], str]

class Pair(NamedTuple):
    length: int = 8

add, keep = lambda x: x + 1, lambda x: x * 7

@cache
def cached(n):
    return n + 100

def deeper(n):
    return helper(n - 1) if n else 10

def helper(n):
    return deeper(n)

part = partial(helper, 3)

def make(offset):
    def closed(seed):
        return {"y": seed + offset}
    return closed

closed = make(20)

def run(seed, width: int = 32, *, depth=4):
    """One run."""
    others = [Fields, Colour.RED, Pair(), part, add, Number, Made]
    # a comment
    from a3.translation.encoder_decoder import EncoderDecoder
    pairs = WordPairs(["team"])
    positions = [Positions() for _ in range(3)]
    return {"y": np.exp(seed) + LONGEST + helper(5) + cached(6) + HP.epochs, "table": TABLE,
            "a": [attention.causal_mask(1, 1) for x in "abc" if x in {"x", "y"} and x in VOWELS]}
'''


def function(source=SCRIPT, name="run"):
    """From source that is found as that of a notebook's cell is."""
    file = f"<cell {hash(source)}>"
    linecache.cache[file] = len(source), None, source.splitlines(keepends=True), file
    namespace = {"__name__": "__main__"}
    exec(compile(source, file, "exec"), namespace)
    return namespace[name]


def edited(old, new):
    assert SCRIPT.count(old) == 1
    return SCRIPT.replace(old, new)


def test_the_key_is_the_same_each_time():
    first = key(function(), {"seed": 1, "width": 2})
    assert first == key(function(), {"width": 2, "seed": 1})
    assert len(first) == 32 and set(first) <= set("0123456789abcdef")


@pytest.mark.parametrize(
    ("old", "new"),
    [
        ("    # a comment\n", ""),
        ('    """One run."""\n', '    """One short run, described otherwise."""\n'),
        ('    """One run."""\n', ""),
        ('    """No positions."""\n', '    """None at all."""\n'),
        ("unused = 1", "unused = 2"),
        ("LONGEST + helper(5) + ", "LONGEST + (\n  helper(5)) + "),
        ("width: int = 32", "width: float = 32"),
        ("lambda x: x * 7", "lambda x: x * 8"),
        ("\ndef make", "\n\n\n\ndef make"),
    ],
)
def test_comments_docstrings_layout_and_what_is_not_named_change_no_key(old, new):
    assert key(function(edited(old, new)), {}) == key(function(), {})


@pytest.mark.parametrize(
    ("old", "new"),
    [
        ("helper(5)", "helper(6)"),
        ("helper(5)", "deeper(5)"),
        ("range(3)", "range(4)"),  # within a comprehension
        ('"y"} and', '"z"} and'),
        ("width: int = 32", "width: int = 64"),
        ("depth=4", "depth=5"),
        ('colours = ["red"]', 'colours = ["blue"]'),
        ('weights = {"a": 1}', 'weights = {"a": 2}'),
        ("return self.scale - 1", "return self.scale - 2"),
        ("wide = 5", "wide = 6"),
        ("start: int = 3", "start: int = 4"),
        ("field(default_factory=list)", "field(default_factory=dict)"),
        ("RED = 1", "RED = 2"),
        ("int | None", "float | None"),
        ("Callable[[int], str]", "Callable[[int], int]"),
        ("length: int = 8", "length: int = 9"),
        ("partial(helper, 3)", "partial(helper, 4)"),
        ("lambda x: x + 1", "lambda x: x + 2"),
        ("LONGEST = 7", "LONGEST = 8"),
        ("HP = Hyperparameters(epochs=3)", "HP = Hyperparameters(epochs=4)"),
        ("Hyperparameters(epochs=50)", "Hyperparameters(epochs=51)"),
        ('("small", 32)', '("small", 64)'),
        ('VOWELS = {"a", "e"}', 'VOWELS = {"a", "i"}'),
        ("if n else 10", "if n else 11"),  # two calls away
        ("n + 100", "n + 101"),  # behind a decorator
        ("2 * x", "3 * x"),  # a static method
        ("self.double(x)", "self.double(x) + 1"),
        ("scale = 2", "scale = 3"),
        ("Positions(nn.Module)", "Positions(nn.Identity)"),
        ("np.exp", "np.sin"),
        (
            "from a3.translation.encoder_decoder import EncoderDecoder",
            "from a3.translation.attention import causal_mask",
        ),
    ],
)
def test_what_the_function_does_or_names_changes_the_key(old, new):
    assert key(function(edited(old, new)), {}) != key(function(), {})


MINE = """
from dataclasses import dataclass, field
from functools import partialmethod, singledispatch
from typing import NamedTuple
import helper

made = helper.make(20)
Made = helper.kind(30)

class Kind(type):
    def __call__(cls):
        return 40

class Of(metaclass=Kind):
    pass

class Point(NamedTuple):
    x: int = 0
    def moved(self):
        return self.x + 50

class Word(str):
    def twice(self):
        return 60 * self

@singledispatch
def size(x):
    return 0

@size.register
def _(x: int):
    return 70 + x

class Scaled:
    def times(self, n):
        return n
    more = partialmethod(times, 80)

@dataclass(order=True)
class Fields:
    a: int = field(default=0, compare=False)

def run(point=None):
    return [made(), Made, Of(), Point().moved(), size(1), Scaled().more(), Fields()]
"""
HELPER = """
def make(n):
    def f():
        return n
    return f

def kind(n):
    class C:
        value = n
    return C
"""


@pytest.mark.parametrize(
    ("old", "new"),
    [("20", "21"), ("30", "31"), ("40", "41"), ("50", "51"), ("70", "71"), ("80", "81")]
    + [("order=True", "order=False"), ("compare=False", "compare=True")],
)
def test_what_python_hides_in_objects_changes_the_key(tmp_path, monkeypatch, old, new):
    (tmp_path / "helper.py").write_text(HELPER)
    monkeypatch.syspath_prepend(tmp_path)
    keys = [key(function(source), {}) for source in (MINE, MINE.replace(old, new), MINE)]
    sys.modules.pop("helper")
    assert keys[0] == keys[2] != keys[1]


def test_methods_of_settings_change_the_key(tmp_path, monkeypatch):
    (tmp_path / "helper.py").write_text(HELPER)
    monkeypatch.syspath_prepend(tmp_path)
    for name, values, old, new in (("Point", [3], "50", "51"), ("Word", ["a"], "60", "61")):
        source = MINE.replace("def run(", f"def run(kind={name}, ")
        keys = []
        for text in (source, source.replace(old, new)):
            run = function(text)
            keys.append(key(run, {"point": run.__defaults__[0](*values)}))
        assert keys[0] != keys[1]
    sys.modules.pop("helper")


@pytest.mark.parametrize("setting", [10**5000, (x for x in "a"), []], ids=["long", "lazy", "loop"])
def test_settings_of_which_no_key_can_be_made_are_refused(setting):
    if setting == []:
        setting.append(setting)
    with pytest.raises(TypeError, match="no key can be made"):
        key(function(), {"setting": setting})


def test_what_a_closure_holds_changes_the_key():
    other = edited("closed = make(20)", "closed = make(21)")
    assert key(function(name="closed"), {}) == key(function(name="closed"), {})
    assert key(function(other, "closed"), {}) != key(function(name="closed"), {})


@pytest.mark.parametrize(
    ("setting", "other"),
    [
        ({"seed": 1}, {"seed": 2}),
        ({"seed": 1}, {"width": 1}),
        ({"seed": 1}, {"seed": "1"}),
        ({"seed": True}, {"seed": 1}),
        ({"hp": Hyperparameters()}, {"hp": Hyperparameters(seed=1)}),
        ({"sizes": [1, 2]}, {"sizes": [2, 1]}),
        ({"runs": {"a": {"b": 1}}}, {"runs": {"a": {"b": 2}}}),
    ],
)
def test_settings_change_the_key(setting, other):
    assert key(function(), setting) == key(function(), dict(setting))
    assert key(function(), setting) != key(function(), other)


def test_a_path_counts_by_what_is_in_the_file(tmp_path):
    (tmp_path / "a").write_text("team eamtay")
    (tmp_path / "b").write_text("team eamtay")
    first = key(function(), {"words": tmp_path / "a"})
    assert first == key(function(), {"words": tmp_path / "b"})
    (tmp_path / "a").write_text("team eamtey")
    assert first != key(function(), {"words": tmp_path / "a"})
    assert first != key(function(), {"words": str(tmp_path / "b")})
    with pytest.raises(FileNotFoundError):
        key(function(), {"words": tmp_path / "missing"})


def test_versions_change_the_key(monkeypatch):
    first = key(function(), {})
    versions = a3.lab.keys._versions()
    assert {"torch", "numpy", "wordsegment", "transformers", "scikit-learn", "scipy"} <= set(
        versions
    )
    assert "python" not in versions and not any("+" in each for each in versions.values())
    monkeypatch.setattr(a3.lab.keys, "_versions", lambda: versions | {"torch": "1.0"})
    assert key(function(), {}) != first


@pytest.mark.parametrize("value", [object(), np.zeros(3), {"deep": [object()]}])
def test_a_setting_that_is_not_a_plain_value_is_refused(value):
    with pytest.raises(TypeError, match="no key can be made of .*plain values"):
        key(function(), {"value": value})


def test_a_named_object_that_cannot_be_read_is_refused():
    source = edited("LONGEST = 7", "LONGEST = np.arange(7)")
    with pytest.raises(TypeError, match=r"no key can be made of array\("):
        key(function(source), {})


def test_the_digest_of_source_leaves_out_comments_docstrings_and_layout():
    assert code_digest("x = 1") == code_digest('"""Text."""\n\nx   =  1  # one')
    assert code_digest("x = 1") != code_digest("x = 2")
    assert code_digest("def f():\n 'doc'\n return 1") == code_digest("def f(): return 1")


EDITS = """
import json, sys
from pathlib import Path
import a3.lab.keys
from a3.lab.keys import code_digest, key
from a3.translation.encoder_decoder import EncoderDecoder

def run(seed):
    return {"model": EncoderDecoder(seed=seed)}

def keys():
    return [key(run, {}), code_digest("from a3.translation import encoder_decoder\\nx = 1")]

package, before, changed = Path(a3.__file__).parent, keys(), {}
assert before == keys()
for name, old, new in json.loads(sys.argv[1]):
    text = (package / name).read_text()
    assert old in text, (name, old)
    (package / name).write_text(text.replace(old, new, 1))
    changed[name, new] = [a != b for a, b in zip(keys(), before)]
    (package / name).write_text(text)
assert before == keys()
print(json.dumps(list(changed.values())))
"""


def edited_copy(folder, edits, source=EDITS):
    """Whether each edit of a copy of the package changes a function's key, and a page's digest."""
    (folder / "edits.py").write_text(source)
    done = subprocess.run(
        [sys.executable, "edits.py", json.dumps(edits)],
        capture_output=True,
        text=True,
        env=os.environ | {"PYTHONPATH": str(folder)},
        cwd=folder,
    )
    assert done.returncode == 0, done.stderr
    return json.loads(done.stdout)


def test_the_code_of_a_module_that_is_named_or_that_it_imports_changes_the_key(tmp_path):
    shutil.copytree(Path(a3.__file__).parent, tmp_path / "a3")
    edits = [
        ("translation/encoder_decoder.py", "2 * t * V * H", "3 * t * V * H"),
        ("translation/attention.py", "math.sqrt(Q.shape[-1])", "Q.shape[-1]"),  # imported by it
        ("translation/pig_latin.py", "aeiouy", "aeiou"),
        ("translation/attention.py", "# (..., k, T)", "# another comment"),
        ("translation/attention.py", "Average the values", "Take the mean of the values"),
        ("lab/figures.py", "0.25", "0.26"),  # not imported by it
        ("translation/training.py", "= 0.99", "= 0.98"),
    ]
    assert edited_copy(tmp_path, edits) == [[True] * 2] * 3 + [[False] * 2] * 4


def test_a_page_that_imports_a_run_depends_on_what_the_run_stands_on(tmp_path):
    """And a package's ``__init__`` on the way counts."""
    shutil.copytree(Path(a3.__file__).parent, tmp_path / "a3")
    page = "runs.translation import four_runs"
    source = EDITS.replace("translation import encoder_decoder", page)
    edits = [
        ("translation/attention.py", "math.sqrt(Q.shape[-1])", "Q.shape[-1]"),
        ("runs/__init__.py", "", "x = 1\n"),
        ("clip/hunt.py", "import", "import math, "),  # not imported by it
    ]
    assert [page for _, page in edited_copy(tmp_path, edits, source)] == [True, True, False]


def test_an_edit_of_what_keeps_and_draws_results_changes_digests_of_pages_only(tmp_path):
    shutil.copytree(Path(a3.__file__).parent, tmp_path / "a3")
    translation = tmp_path / "a3" / "translation" / "encoder_decoder.py"
    translation.write_text(translation.read_text() + "\nfrom a3.lab.sweeps import run_all\n")
    source = EDITS.replace("seed)}", "seed), 'all': run_all}")
    source = source.replace(
        "import a3.lab.keys\n", "import a3.lab.keys\nfrom a3.lab.sweeps import run_all\n"
    )
    edits = [("lab/sweeps.py", "list(calls)", "[*calls]"), ("lab/__init__.py", "", "x = 1\n")]
    assert edited_copy(tmp_path, edits, source) == [[False, True]] * 2


def printed(command, folder):
    """The last line that a programme prints."""
    done = subprocess.run(
        command,
        capture_output=True,
        text=True,
        env=os.environ | {"PYTHONPATH": str(Path(a3.lab.keys.__file__).parents[1])},
        cwd=folder,
    )
    assert done.returncode == 0, done.stderr
    return done.stdout.splitlines()[-1]


TUTORIAL = '''"""
Title
=====
"""

from dataclasses import dataclass
from functools import partial

from a3.lab.keys import key
from steps import STEPS
import steps

# %%
# Text.


@dataclass
class Recipe:
    rate: float = 0.5

colour = "red"

# %%


def run(seed):  # a comment
    from a3.translation.word_pairs import WordPairs

    return {"y": seed * STEPS, "pairs": WordPairs(["team"]), "z": steps.double(seed), "c": colour,
            "r": Recipe()}

# %%
# More text.

print(key(partial(run, 3), {"recipe": Recipe()}))
'''

AS_THE_GALLERY_DOES = """
import ast, codeop, importlib.util, os, sys
from sphinx_gallery.py_source_parser import split_code_and_text_blocks

file = os.path.abspath(sys.argv[1])
sys.path.insert(0, os.path.dirname(file))
main = importlib.util.module_from_spec(importlib.util.spec_from_loader("__main__", None))
compiler = codeop.Compile()
for block in split_code_and_text_blocks(file)[1]:
    if block.type == "code":
        source = "\\n" * (block.lineno - 1) + block.content
        tree = compile(source, file, "exec", compiler.flags | ast.PyCF_ONLY_AST, True)
        sys.modules["__main__"] = main
        exec(compiler(tree, file, "exec"), main.__dict__)
"""

AS_A_NOTEBOOK_DOES = """
import sys
from IPython.core.interactiveshell import InteractiveShell
sys.path.insert(0, "")
shell = InteractiveShell.instance()
for cell in open(sys.argv[1]).read().split("# %%"):
    shell.run_cell(cell).raise_error()
"""


@pytest.fixture
def tutorial(tmp_path):
    (tmp_path / "tutorial.py").write_text(TUTORIAL)
    (tmp_path / "steps.py").write_text("STEPS = 3\n\ndef double(x):\n    return 2 * x\n")
    return tmp_path


@pytest.mark.parametrize(
    ("programme", "needs"),
    [(AS_THE_GALLERY_DOES, "sphinx_gallery"), (AS_A_NOTEBOOK_DOES, "IPython")],
    ids=["gallery", "notebook"],
)
def test_a_script_has_the_same_keys_wherever_it_runs(tutorial, programme, needs):
    pytest.importorskip(needs)
    alone = printed([sys.executable, "tutorial.py"], tutorial)
    assert len(alone) == 32
    assert printed([sys.executable, "-c", programme, "tutorial.py"], tutorial) == alone


def test_a_module_beside_the_script_counts(tutorial):
    def changed(old, new):
        file = tutorial / "steps.py"
        text = file.read_text()
        assert old in text
        file.write_text(text.replace(old, new))
        now = printed([sys.executable, "tutorial.py"], tutorial)
        file.write_text(text)
        return now != before

    before = printed([sys.executable, "tutorial.py"], tutorial)
    assert changed("2 * x", "3 * x") and changed("STEPS = 3", "STEPS = 4")
    assert not changed("\n\n", "\n\n# a comment\n\n")
    (tutorial / "deeper.py").write_text("x = 1")
    with (tutorial / "steps.py").open("a") as file:
        file.write("from deeper import x\n")
    before = printed([sys.executable, "tutorial.py"], tutorial)
    (tutorial / "deeper.py").write_text("x = 2")
    assert before != printed([sys.executable, "tutorial.py"], tutorial)


@pytest.mark.skipif(sys.version_info >= (3, 13), reason="Python keeps the source there")
def test_a_function_without_source_is_refused(tmp_path):
    code = """
from a3.lab.keys import key
def run(): return {}
try:
    key(run, {})
except TypeError as error:
    print(error)
"""
    said = printed([sys.executable, "-c", code], tmp_path)
    assert "source cannot be found in <string>. Save it in a file" in said


def test_a_module_that_is_no_file_is_refused(monkeypatch):
    made = ModuleType("made_by_hand")
    monkeypatch.setitem(sys.modules, "made_by_hand", made)
    with pytest.raises(TypeError, match="no key can be made of the module made_by_hand"):
        key(function("import made_by_hand\ndef run(): return made_by_hand.x"), {})


def test_an_import_of_what_is_no_module_changes_no_digest():
    assert len(code_digest("import no_such_module\nfrom a3.lab.keys import no_such_name")) == 32
    other = code_digest("import a3.translation.pig_latin as numpy")
    assert code_digest("import numpy.no_such") != other
