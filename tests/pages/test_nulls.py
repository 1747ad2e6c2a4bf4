"""A page that claims something of trained runs fails on results in which it is not so.

The code of each page is run on the kept results of the book altered as ``nulls.py`` says. It
must break at an assertion.
"""

import contextlib
import gc
import io
import sys
import traceback
import warnings
from pathlib import Path
from types import ModuleType

import matplotlib.pyplot as plt
import pytest

from a3.lab.environment import profile
from a3.runs.notebook import experiments

from .nulls import Arms, Learned, Losses, Missing, Translators, nothing_trained

ROOT = Path(__file__).parents[2]
book = pytest.importorskip("book", reason="the docs extra is not installed")
WIDTHS = Losses("hidden", 16, 128)
CLAIMS = {
    "resources/compute": [Translators(("large", 32), ("large", 64))],
    "tutorials/bert/fair_recipe": [Arms("arm", "full", "full, handouts")],
    "tutorials/bert/fine_tuning": [Learned("fine-tuning")],
    "tutorials/bert/freezing": [Arms("arm", "full", "full, handouts", ("removed",))],
    "tutorials/bert/longer_sentences": [Learned("fine-tuning")],
    "tutorials/bert/predictions": [Learned("fine-tuning")],
    "tutorials/bert/pretraining_data": [Arms("corpus", "mathematics", "none")],
    "tutorials/clip/hunt_odds": [Learned("small-CLIP")],
    "tutorials/clip/recipe": [Learned("small-CLIP")],
    "tutorials/clip/unseen_drawings": [Learned("small-CLIP")],
    "tutorials/clip/zero_shot": [Learned("small-CLIP")],
    "tutorials/nmt/end_of_prompt": [Learned("one-sequence")],
    "tutorials/nmt/equal_compute": [WIDTHS, Arms("shuffled", False, True)],
    "tutorials/nmt/extrapolation": [WIDTHS],
    "tutorials/nmt/four_runs": [
        Translators(("large", 32), ("large", 64)),
        Translators(("small", 64), ("large", 64)),
    ],
    "tutorials/nmt/fresh_words": [Losses("sweep", "six widths", "fresh words")],
    "tutorials/nmt/isoflop": [WIDTHS],
    "tutorials/nmt/modern": [Arms("rotary", True, False), Arms("heads", 1, 4)],
    "tutorials/nmt/one_or_two": [
        Translators(("small", 90), ("small", 128), ("history", "accuracy"))
    ],
    "tutorials/nmt/positions": [Arms("kind", "sinusoidal", "none")],
    "tutorials/nmt/repeated_words": [WIDTHS],
    "tutorials/nmt/schedules": [WIDTHS, Arms("decay", 0.99, None)],
    "tutorials/nmt/three_forecasts": [WIDTHS],
    "tutorials/nmt/tuned_widths": [WIDTHS],
    "tutorials/nmt/tuning": [Arms("learning_rate", 5e-4, 1e-3), Arms("batch_size", 64, 512)],
    "tutorials/nmt/wrong_words": [
        Translators(("small", 90), ("small", 128)),
        Translators(("large", 32), ("large", 64), ("accuracy",)),
        Translators(("small", 64), ("large", 64), ("accuracy",)),
    ],
}
"""How the results of each page are altered."""
DESCRIPTIVE = {
    "tutorials/clip/hunt": "the log of a search with the model at hand, successful or not",
    "tutorials/clip/small_clip": "how the model is built and trained; pages after it test it",
}
"""Pages on trained runs that claim nothing of what these have learned, and what they are."""
CASES = [
    pytest.param(page, alteration, way, id=f"{page}-{i}-{way}")
    for page, every in CLAIMS.items()
    for i, alteration in enumerate(every)
    for way in alteration.ways
]


def test_every_page_on_trained_runs_is_here():
    assert {page for each in experiments().values() for page in each.pages} == (
        CLAIMS.keys() | DESCRIPTIVE.keys()
    )


@pytest.mark.slow
@pytest.mark.filterwarnings("ignore::pytest.PytestUnraisableExceptionWarning")  # of gc.collect()
@pytest.mark.skipif(profile() != "full", reason="the claims are those of the full book")
@pytest.mark.parametrize(("page", "alteration", "way"), CASES)
def test_a_page_fails_where_its_claim_is_not_so(page, alteration, way):
    with nothing_trained(), alteration.altered(way) as changed:
        error = run(page)
    if isinstance(error, Missing):
        pytest.skip("not every run of the page is kept")
    assert changed, "nothing was altered"
    assert isinstance(error, AssertionError), "".join(traceback.format_exception(error)[-3:])[:999]


def run(page):
    """Run the code of a page; what it raised, or None."""
    source = ROOT / f"{page}.py"
    if not source.is_file():
        source = ROOT / "docs" / f"{page}.md"
    forget()
    try:
        with (
            warnings.catch_warnings(),
            contextlib.redirect_stdout(io.StringIO()),
            pytest.MonkeyPatch.context() as patch,
        ):
            warnings.simplefilter("ignore")
            patch.chdir(source.parent)
            patch.setitem(sys.modules, "__main__", module := ModuleType("__main__"))
            module.__file__ = str(source)
            exec(compile(book.code_of(source), source, "exec"), vars(module))
    except Exception as error:
        return error
    finally:
        plt.close("all")
        forget()
    return None


def forget():
    """Empty the caches of our functions, which may hold results."""
    for module in [module for name, module in sys.modules.items() if name.startswith("a3.")]:
        for each in vars(module).values():
            if getattr(each, "__module__", None) == module.__name__:
                getattr(each, "cache_clear", lambda: None)()
    gc.collect()
