import functools
import json
import os
import shutil
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

import a3.lab.keys
from a3.lab.keys import code_digest, key
from a3.translation.training import Hyperparameters

SCRIPT = '''
from dataclasses import dataclass
from functools import cache
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
    def forward(self, x):
        return self.double(x)
    @staticmethod
    def double(x):
        return 2 * x

@cache
def cached(n):
    return n + 100

def deeper(n):
    return helper(n - 1) if n else 10

def helper(n):
    return deeper(n)

def make(offset):
    def closed(seed):
        return {"y": seed + offset}
    return closed

closed = make(20)

def run(seed, width=32, *, depth=4):
    """One run."""
    # a comment
    from a3.translation.encoder_decoder import EncoderDecoder
    pairs = WordPairs(["team"])
    positions = [Positions() for _ in range(3)]
    return {"y": np.exp(seed) + LONGEST + helper(5) + cached(6) + HP.epochs, "table": TABLE,
            "a": [attention.causal_mask(1, 1) for x in "abc" if x in {"x", "y"} and x in VOWELS]}
'''


def function(source=SCRIPT, name="run"):
    namespace = {"__name__": "script"}
    exec(compile(source, "script", "exec"), namespace)
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
        ("width=32", "width=64"),
        ("depth=4", "depth=5"),
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
    assert {"torch", "numpy", "wordsegment", "transformers", "python", "machine"} <= set(versions)
    monkeypatch.setattr(a3.lab.keys, "_versions", lambda: versions | {"torch": "1.0"})
    assert key(function(), {}) != first


@pytest.mark.parametrize("value", [object(), np.zeros(3), functools.partial(int, "3")])
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
    a3.lab.keys._module_digest.cache_clear()
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


def test_the_code_of_a_module_that_is_named_or_that_it_imports_changes_the_key(tmp_path):
    shutil.copytree(Path(a3.lab.keys.__file__).parent, tmp_path / "a3")
    edits = [
        ("translation.py", "2 * t * V * H", "3 * t * V * H"),
        ("attention.py", "math.sqrt(Q.shape[-1])", "Q.shape[-1]"),  # imported by it
        ("pig_latin.py", "aeiouy", "aeiou"),
        ("attention.py", "# (..., k, T)", "# another comment"),
        ("attention.py", "Average the values", "Take the mean of the values"),
        ("figures.py", "0.25", "0.26"),  # not imported by it
        ("training.py", "= 0.99", "= 0.98"),
    ]
    done = subprocess.run(
        [sys.executable, "-c", EDITS, json.dumps(edits)],
        capture_output=True,
        text=True,
        env=os.environ | {"PYTHONPATH": str(tmp_path)},
        cwd=tmp_path,
    )
    assert done.returncode == 0, done.stderr
    assert json.loads(done.stdout) == [[True] * 2] * 3 + [[False] * 2] * 4
