"""Live figures, operated in a browser: by keyboard, on a telephone, in the dark, from a disk."""

import json
import math
import re
from base64 import b64decode
from pathlib import Path
from urllib.parse import parse_qs, urlsplit

import numpy as np
import pandas as pd
import pytest
import torch
from docutils import nodes

from a3 import scaling
from a3.clip.contrastive import contrastive_loss, cosine_similarity
from a3.theory import relative_attention as ra
from a3.theory import robustness
from a3.theory.gradients import jacobian_bound, rnn_jacobian
from a3.theory.noisy_quadratic import NoisyQuadratic
from a3.translation.decoding import translate
from a3.translation.encoder_decoder import EncoderDecoder
from a3.translation.pig_latin import large_words, pig_latin
from a3.translation.word_pairs import SOS, decode, encode

from .conftest import SITE, skip

ROOT = Path(__file__).parents[2]
live = pytest.importorskip("live", reason="the docs extra is not installed")
failures = pytest.importorskip("failures", reason="the docs extra is not installed")
FIGURES = {
    "architecture/convolution": "convolution",
    "architecture/max_pooling": "max_pooling",
    "architecture/recurrent": "recurrent",
    "index": "translate",
    "resources/batch_size": "batch_size",
    "resources/learning_rate": "learning_rate",
    "robustness/attacks": "attacks",
    "tutorials/clip/temperature": "temperature",
    "tutorials/nmt/four_runs": "translate",
    "tutorials/nmt/isoflop": "isoflop",
}
"""The pages with a live figure."""


def built(page):
    if not (SITE / f"{page}.html").is_file():
        skip(f"{page} is not built")
    return page


def opened(window, page, question=""):
    """A page on a telephone, in the dark, and the place of its live figure."""
    shown = window.open(f"{built(page)}.html{question}")
    shown.set_viewport_size({"width": 360, "height": 740})
    shown.evaluate("document.documentElement.dataset.theme = 'dark'")
    shown.locator(".live svg").first.wait_for(state="visible")
    return shown, shown.locator(".live")


def state(page):
    """What the address says, once it has been written."""
    page.wait_for_timeout(1000)
    return {name: values[0] for name, values in parse_qs(urlsplit(page.url).query).items()}


def test_every_figure_is_tested():
    sources = [*(ROOT / "docs").glob("**/*.md"), *(ROOT / "tutorials").glob("*/*.py")]
    with_figure = {}
    for source in sources:
        for name in re.findall(r"live-figure(?:\}|::) (\w+)", source.read_text(encoding="utf-8")):
            folder = ROOT / "docs" if source.suffix == ".md" else ROOT
            with_figure[source.relative_to(folder).with_suffix("").as_posix()] = name
    assert with_figure == FIGURES
    assert live.SCRIPTS.keys() == set(FIGURES.values())


def page_of(*parts):
    section = nodes.section("", *parts)
    live.stand_before_the_still(None, section, "page")
    return section


def test_a_live_figure_goes_before_the_figure_that_was_drawn_last(monkeypatch):
    monkeypatch.setattr(failures, "failed", {})
    boxes = [nodes.container(classes=["figure-box"]) for _ in range(4)]
    section = page_of(*boxes, nodes.paragraph(), live.live_figure(live="attacks", data={}))
    assert isinstance(section[2], live.live_figure) and len(section) == 6
    assert ["live-still" in box["classes"] for box in boxes] == [False, False, True, True]
    assert failures.failed == {}
    page_of(nodes.paragraph(), live.live_figure(live="attacks", data={}))
    assert failures.failed == {"page": "page: no figure stands before the live figure attacks"}


# -- Every figure ----------------------------------------------------------------------------------
@pytest.mark.parametrize("page", FIGURES)
def test_it_stands_where_the_still_figure_stood(window, page):
    shown, figure = opened(window, page)
    still = shown.locator(".live-still")
    assert window.faults == []
    assert still.count() == 2 and not any(box.is_visible() for box in still.all())
    assert shown.evaluate("document.documentElement.scrollWidth") == 360
    shown.emulate_media(media="print")
    assert not figure.is_visible()
    assert any(box.locator("img").is_visible() for box in still.all())
    shown.emulate_media(media="screen")


@pytest.mark.parametrize("page", FIGURES)
def test_without_scripts_the_still_figure_is_there(chromium, address, page):
    context = chromium.new_context(java_script_enabled=False)
    shown = context.new_page()
    shown.goto(f"{address}/{built(page)}.html")
    assert shown.locator(".live-still img").first.is_visible()
    assert shown.locator(".live > *").count() == 0
    context.close()


def test_where_a_script_fails_the_still_figure_is_there(chromium, address):
    shown = chromium.new_page()
    shown.route("**/live/data/large-32.js*", lambda route: route.abort())
    shown.goto(f"{address}/{built('tutorials/nmt/four_runs')}.html")
    shown.locator(".live-still img").first.wait_for(state="visible")
    shown.close()


@pytest.mark.parametrize("page", FIGURES)
def test_it_works_from_a_disk_and_is_what_its_address_says(chromium, page):
    shown, faults = chromium.new_page(), []
    shown.on("pageerror", lambda error: faults.append(str(error)))
    shown.goto((SITE / f"{built(page)}.html").as_uri())
    figure = shown.locator(".live")
    figure.locator("svg").first.wait_for(state="visible")  # it is drawn when it is near the screen
    before = figure.inner_text()
    control = figure.locator("input").first
    if control.get_attribute("type") == "text":
        control.fill("squid")
    control.press({"text": "Enter", "range": "ArrowRight"}.get(control.get_attribute("type"), " "))
    after = figure.inner_text()
    assert after != before and state(shown)
    shown.reload()
    shown.locator(".live svg").first.wait_for(state="visible")
    assert figure.inner_text() == after
    shown.locator(".live-again").click()
    assert figure.inner_text() == before and state(shown) == {}
    assert faults == []
    shown.close()


@pytest.mark.parametrize("page", FIGURES)
def test_every_control_is_reached_and_speaks(window, page):
    shown, figure = opened(window, page)
    controls = figure.locator("input, button, [role=slider]")
    assert controls.count() > 1
    for control in controls.all():
        control.focus()
        assert control.evaluate("part => part === document.activeElement")
        chip = control.get_attribute("type") in ("radio", "checkbox")
        box = control.locator("xpath=..") if chip else control
        assert min(box.bounding_box()[side] for side in ("width", "height")) >= 24
        value = control.get_attribute("aria-valuetext")
        if control.get_attribute("type") == "range" or control.get_attribute("role") == "slider":
            assert value
            moved = "ArrowLeft" if value == figure_end(control) else "ArrowRight"
            shown.keyboard.press(moved)
            assert control.get_attribute("aria-valuetext") != value
    figure.locator("input, button").last.press("Enter")
    shown.wait_for_timeout(400)
    assert figure.locator("[role=status]").inner_text() == figure.locator(".live-line").inner_text()
    assert window.faults == [] and window.barriers(".live") == []


def figure_end(control):
    """The words of a slider that is at its upper end, else nothing."""
    at_end = control.evaluate("part => part.max !== undefined && part.value === part.max")
    return control.get_attribute("aria-valuetext") if at_end else None


@pytest.mark.parametrize("page", FIGURES)
def test_nonsense_in_the_address_is_passed_over(window, page):
    _, figure = opened(window, page)
    line = figure.locator(".live-line").inner_text()
    numbers = "?eps=wide&c=&M=NaN&x1=%F0%9F%98%80&beta=1e999&T=2.5&k=1.5&at=0.5&draw=-&x=1-2-3"
    _, figure = opened(window, page, f"{numbers}&by=constructor&kind=toString&widths=16--&skip=")
    assert window.faults == []
    assert figure.locator(".live-line").inner_text() == line


def test_only_pages_with_a_figure_load_its_scripts(window):
    for path in SITE.glob("**/*.html"):
        text = path.read_text(encoding="utf-8")
        assert ("data-live" in text) == ("/live/figure.js" in text), path
    assert "data-live" not in (SITE / "glossary.html").read_text(encoding="utf-8")


# -- Relative attention ----------------------------------------------------------------------------
ATTEND = """([x, queryKey, value, scores]) => {
    const p = (distance) => scores[distance + x.length - 1] ?? -Infinity;
    return relativeAttention(x, queryKey, value, p);
}"""


def test_relative_attention_is_that_of_the_package(window):
    shown, _ = opened(window, "architecture/convolution")
    generator = torch.Generator().manual_seed(0)
    for n, queryKey, value in ((1, 2.0, 1.0), (9, -3.0, 0.5), (24, 40.0, 3.0)):
        x = torch.rand(n, generator=generator).double()
        p = torch.randn(2 * n - 1, generator=generator).double()
        found = shown.evaluate(ATTEND, [x.tolist(), queryKey, value, p.tolist()])
        output, weights = ra.relative_attention_layer(x, queryKey, 1.0, value, p)
        for name, expected in (("output", output), ("weights", weights)):
            assert (torch.tensor(found[name], dtype=torch.double) - expected).abs().max() < 1e-6


@pytest.mark.parametrize("M", [0.0, 3.0, 12.0])
def test_convolution_and_its_bound_are_those_of_the_package(window, M):
    shown, _ = opened(window, "architecture/convolution")
    x = torch.rand(24, generator=torch.Generator().manual_seed(1)).double()
    code = """([x, M]) => [relativeAttention(x, 0, 3, neighbours(Math.log(2), 0, M)).output,
        convolution(x), convolutionBound(x.length, M, Math.max(...x))]"""
    output, convolved, bound = shown.evaluate(code, [x.tolist(), M])
    W_V, p = ra.as_convolution([2, 0, 1], 24, elsewhere=-M)
    expected = ra.relative_attention_layer(x, 0.0, 0.0, W_V, p)[0]
    assert (torch.tensor(output, dtype=torch.double) - expected).abs().max() < 1e-6
    assert convolved[5] == pytest.approx(float(2 * x[4] + x[6]))
    expected = ra.convolution_error_bound([2, 0, 1], 24, M, float(x.max()))
    assert bound == pytest.approx(expected, rel=1e-6)


@pytest.mark.parametrize("k, beta", [(1, 5.0), (3, 300.0)])
def test_max_pooling_is_that_of_the_package(window, k, beta):
    shown, _ = opened(window, "architecture/max_pooling")
    x = torch.rand(24, generator=torch.Generator().manual_seed(2)).double()
    code = """([x, k, beta]) =>
        [relativeAttention(x, beta, 1, inWindow(k)).output, maxPooling(x, k)]"""
    output, largest = shown.evaluate(code, [x.tolist(), k, beta])
    expected = ra.relative_attention_layer(x, *ra.as_max_pooling(k, 24, beta))[0]
    assert (torch.tensor(output, dtype=torch.double) - expected).abs().max() < 1e-6
    assert largest[10] == float(x[10 - k : 11 + k].max())


def test_a_sequence_is_drawn_by_pointer(window):
    shown, figure = opened(window, "architecture/max_pooling")
    figure.locator(".live-sequence").scroll_into_view_if_needed()
    box = figure.locator(".live-sequence").bounding_box()
    shown.mouse.move(box["x"] + box["width"] * 0.52, box["y"] + box["height"] * 0.9)
    shown.mouse.down()
    shown.mouse.move(box["x"] + box["width"] * 0.52, box["y"] + box["height"] * 0.2)
    shown.mouse.up()
    shown.wait_for_function("location.search.includes('x=')")
    drawn = [float(v) / 100 for v in state(shown)["x"].split("-")]
    assert len(drawn) == 24 and drawn[12] == pytest.approx(1.0, abs=0.02)
    assert "the maximum is 1.00" in figure.locator(".live-line").inner_text()


def test_a_swapped_sign_is_seen(window):
    _, figure = opened(window, "architecture/convolution", "?p1=0&p-1=0.6931471805599453&M=16")
    assert "takes 1.00 of its left neighbour, 2.00 of its right" in (
        figure.locator(".live-line").inner_text()
    )


# -- Two attacks -----------------------------------------------------------------------------------
def test_attacks_are_those_of_the_package(window):
    shown, _ = opened(window, "robustness/attacks")
    generator = torch.Generator().manual_seed(0)
    for d in (1, 2, 7):
        w = torch.randn(d, generator=generator).double() * (torch.arange(d) != 3)
        x, epsilon = torch.randn(d, generator=generator).double(), 0.3
        for name, attack in (("fgmStep", robustness.fgm), ("fgsmStep", robustness.fgsm)):
            step = shown.evaluate(f"([w, epsilon]) => {name}(w, epsilon)", [w.tolist(), epsilon])
            expected = attack(lambda x, w=w: x @ w, x, epsilon) - x
            assert (torch.tensor(step, dtype=torch.double) - expected).abs().max() < 1e-6


@pytest.mark.parametrize("angle", [0, 22, 45])
def test_attacks_are_equal_where_the_formula_says(window, angle):
    c = sum(abs(f(math.radians(angle))) for f in (math.cos, math.sin))
    question = f"?angle={angle}&c={c}&eps=1&x1=1&x2=1"
    _, figure = opened(window, "robustness/attacks", question)
    after = re.findall(r"f\(x′\) = (−?[\d.]+)", figure.locator(".live-line").inner_text())
    assert len(after) == 2 and after[0] == after[1]


# -- Translate anything ----------------------------------------------------------------------------
TRANSLATORS = ["large-32", "large-64", "small-32", "small-64", "tuned-32", "tuned-64"]


def weights_of(name):
    """The model that the browser has, made of the file that the page has written."""
    text = (SITE / "_static" / "live" / "data" / f"{name}.js").read_text(encoding="utf-8")
    assert len(text) <= 400_000
    data = json.loads(re.fullmatch(r'liveData\("[\w-]+", (.*)\);\n', text)[1])
    kind, size = ("floats", "<f4") if "floats" in data else ("integers", "<i2")
    numbers = torch.tensor(np.frombuffer(b64decode(data[kind]), size).astype(np.float32))
    if kind == "integers":
        shapes = [torch.Size(shape) for shape in data["shapes"].values()]
        rows = [shape[-1] for shape in shapes for _ in range(shape[:-1].numel())]
        scales = torch.tensor(np.frombuffer(b64decode(data["scales"]), "<f4").copy())
        numbers = numbers * scales.repeat_interleave(torch.tensor(rows))
    sizes = [math.prod(shape) for shape in data["shapes"].values()]
    parts = zip(data["shapes"].items(), numbers.split(sizes), strict=True)
    weights = {key: part.reshape(shape) for (key, shape), part in parts}
    layers = 1 + max(int(key.split(".")[2]) for key in weights if "layers" in key)
    model = EncoderDecoder(weights["encoder.embedding.weight"].shape[1], layers)
    model.load_state_dict(weights)
    return model


@pytest.mark.parametrize("name", TRANSLATORS)
def test_a_translator_in_the_page_is_the_model_in_torch(window, name):
    shown, _ = opened(window, "tutorials/nmt/four_runs", f"?by={name}")
    words = large_words()[:20_000:203] + ["well-known", "a"]
    found = shown.evaluate(
        """async ([name, words]) => {
            const { arrays } = await loadData(name);
            return words.map((word) => translateWord(arrays, word).map(({ token, logits, looks }) =>
                [token, [...logits], looks.cross.at(-1), looks.self[0]]));
        }""",
        [name, words],
    )
    model = weights_of(name)
    assert len(words) > 100
    for word, steps, expected in zip(words, found, translate(model, words), strict=True):
        tokens, logits, cross, own = zip(*steps, strict=True)
        assert decode(tokens) == expected
        source, inputs = torch.tensor([encode(word)]), torch.tensor([[SOS, *tokens[:-1]]])
        with torch.no_grad():
            truth, maps = model(source, inputs)
        assert (torch.tensor(logits) - truth[0]).abs().max() < 1e-4
        assert (torch.tensor(cross) - maps.cross[-1][0]).abs().max() < 1e-5
        for t, weights in enumerate(own):
            assert (torch.tensor(weights) - maps.decoder[0][0, t, : t + 1]).abs().max() < 1e-5


def test_the_rule_in_the_page_is_that_of_the_package(window):
    shown, _ = opened(window, "tutorials/nmt/four_runs")
    words = large_words()
    assert shown.evaluate("words => words.map(pigLatin)", words) == [*map(pig_latin, words)]


@pytest.mark.parametrize(
    "text, answer",
    [
        ("", "Type a word"),
        ("cafe\N{COMBINING ACUTE ACCENT}", "letters a to z"),
        ("\N{GRINNING FACE}", "letters a to z"),
        ("<b>", "letters a to z"),
        ("-a", "between two letters"),
        ("a" * 21, "At most 20 letters"),
        ("a " * 9, "At most 8 words"),
    ],
)
def test_what_cannot_be_translated_is_answered_in_words(window, text, answer):
    shown, figure = opened(window, "tutorials/nmt/four_runs")
    figure.locator("input[type=text]").fill(text)
    assert answer in figure.locator(".live-line").inner_text()
    assert not figure.locator(".live-map").first.is_visible()
    figure.locator("input[type=text]").fill("  The AIR ")
    letters = figure.locator(".live-letters button")
    assert letters.count() == len(pig_latin("the")) + len(pig_latin("air")) + 2
    assert window.faults == []


def test_letters_are_gone_through_by_keyboard_and_a_wrong_one_is_marked(window):
    question = "?word=thirty-one&by=small-32"
    shown, figure = opened(window, "tutorials/nmt/four_runs", question)
    letters = figure.locator(".live-letters button")
    written = translate(weights_of("small-32"), ["thirty-one"])[0]
    assert "".join(letters.all_inner_texts())[:-1] == written != pig_latin("thirty-one")
    assert pig_latin("thirty-one") in figure.locator(".live-truth").inner_text()
    marked = ["wrong" in letter.get_attribute("aria-label") for letter in letters.all()]
    pairs = zip(written, pig_latin("thirty-one"), strict=False)
    assert marked.index(True) == [a == b for a, b in pairs].index(False)
    letters.first.focus()
    for place in (1, 2):
        shown.keyboard.press("ArrowRight")
        assert letters.nth(place).evaluate("part => part === document.activeElement")
        assert f"letter {place + 1}: {written[place]}" in figure.locator(".live-line").inner_text()
    assert state(shown) == {"word": "thirty-one", "by": "small-32", "at": "2"}


# -- The noisy quadratic ---------------------------------------------------------------------------
MODELS = {
    "one weight": NoisyQuadratic([1.0], [1.0], [1.0]),
    "many": NoisyQuadratic([2.0, 0.5, 0.01, 0.0], [1.0, 0.0, 3.0, 1.0], [0.5, 1.0, 40.0, 1.0]),
}


def in_javascript(model):
    parts = {"h": model.curvature, "c": model.noise, "start": model.start}
    return {name: part.tolist() for name, part in parts.items()}


@pytest.mark.parametrize("name", MODELS)
def test_the_noisy_quadratic_is_that_of_the_package(window, name):
    shown, _ = opened(window, "resources/learning_rate")
    model = MODELS[name]
    for T, eta, B in ((0, 0.3, 2.0), (1, 0.7, 0.1), (50, 1.0, 8.0), (999, 1e-4, 1e6)):
        code = "([model, T, eta, B]) => lossParts(model, T, eta, B)"
        found = shown.evaluate(code, [in_javascript(model), T, eta, B])
        mean, variance = model.second_moment(T, eta, B)
        expected = [float((model.curvature * part).sum() / 2) for part in (mean, variance)]
        assert found == pytest.approx(expected, rel=1e-6, abs=1e-12)


def test_best_rates_and_fewest_steps_are_those_of_the_package(window):
    shown, _ = opened(window, "resources/learning_rate")
    model = MODELS["one weight"]
    for T, B in ((1, 0.3), (10, 100.0), (1000, 1e5)):
        found = shown.evaluate(
            "([model, T, B]) => bestRate(model, T, B)", [in_javascript(model), T, B]
        )
        assert found == pytest.approx(float(model.best_learning_rate(T, B)[0]), rel=1e-6)
    for B in (0.01, 10.0, 1e6):
        steps, rate = shown.evaluate(
            "([model, B]) => fewestSteps(model, 5e-4, B)", [in_javascript(model), B]
        )
        expected = model.fewest_steps(5e-4, B)
        assert (steps, rate) == (expected[0], pytest.approx(float(expected[1]), rel=1e-5))


def test_a_rate_beyond_stability_is_said_to_diverge(window):
    _, figure = opened(window, "resources/learning_rate", "?eta=2.1&T=40")
    assert "the weight diverges" in figure.locator(".live-line").inner_text()
    _, figure = opened(window, "resources/batch_size", "?B=1000000&f=3")
    assert "never reached: the steepest" in figure.locator(".live-line").inner_text()
    _, figure = opened(window, "resources/batch_size", "?B=10&f=10")
    assert "never reached: the noise" in figure.locator(".live-line").inner_text()


@pytest.mark.parametrize("point, B", [("C", 1), ("A", 1 / 30), ("B", 30)])
def test_points_of_the_curve_have_the_pages_steps(window, point, B):
    h = torch.logspace(0, -3, 60, dtype=torch.double)
    model = NoisyQuadratic(curvature=h, noise=1 / h, start=1 / h)
    target = 0.1 * float(model.loss(0, 0, 1))
    least, fewest = (model.fewest_steps(target, size)[0] for size in (0.1, math.inf))
    size = float(f"{B * float(least) * 0.1 / float(fewest):.3g}")
    _, figure = opened(window, "resources/batch_size", f"?B={size}")
    said = figure.locator(".live-line b").first.inner_text().removesuffix(" steps")
    steps = float(model.fewest_steps(target, size)[0])
    assert float(said.replace("\N{NO-BREAK SPACE}", "").replace(" ", "")) == pytest.approx(
        steps, rel=0.005
    )


# -- The temperature -------------------------------------------------------------------------------
@pytest.mark.parametrize("tau", [0.5, 14.3, 200.0])
def test_loss_and_negatives_are_those_of_the_package(window, tau):
    shown, _ = opened(window, "tutorials/clip/temperature")
    X, Y = torch.randn(2, 9, 4, generator=torch.Generator().manual_seed(0)).double()
    s = cosine_similarity(X, Y)
    code = """([rows, tau]) =>
        [contrastiveLoss(rows, columnsOf(rows), tau), negativesThatCount(rows, tau)]"""
    loss, count = shown.evaluate(code, [s.tolist(), tau])
    assert loss == pytest.approx(float(contrastive_loss(X, Y, tau)), abs=1e-6)
    shares = (tau * s.clone().fill_diagonal_(-torch.inf)).softmax(dim=1)
    expected = float(torch.special.entr(shares).sum(dim=1).exp().mean())
    assert count == pytest.approx(expected, rel=1e-6)


def test_the_best_scale_is_found_by_the_knob(window):
    _, figure = opened(window, "tutorials/clip/temperature")
    losses = {}
    for tau in (10, 19.5, 40):
        _, figure = opened(window, "tutorials/clip/temperature", f"?tau={tau}")
        line = figure.locator(".live-line").inner_text()
        losses[tau] = float(re.search(r"the loss is ([\d.]+)", line)[1])
    assert min(losses, key=losses.get) == 19.5


# -- IsoFLOP valleys -------------------------------------------------------------------------------
def runs_of_the_page():
    """The runs that the page has handed over."""
    text = (SITE / "_static" / "live" / "data" / "isoflop.js").read_text(encoding="utf-8")
    data = json.loads(text[text.index("{") : text.rindex("}") + 1])
    floats = np.frombuffer(b64decode(data["floats"]), "<f4").astype(float)
    columns = ["hidden", "seed", "params", "budget", "loss"]
    return pd.DataFrame(floats.reshape(data["shapes"]["runs"]), columns=columns)


FIT = """([budgets]) => {
    const fits = budgets.map(({C, runs}) => [C, valley(runs).best]);
    const found = fits.filter(([, best]) => best).map(([C, best]) => [C, best.params]);
    return [fits.map(([, best]) => best && [best.params, best.loss]), growth(found).a];
}"""


@pytest.mark.parametrize("without", [[], [128], [16, 128]])
def test_valleys_are_those_of_the_package(window, without):
    built("tutorials/nmt/isoflop")
    runs = runs_of_the_page()
    runs = runs[~runs["hidden"].isin(without)].assign(tokens=1.0)
    fit = scaling.fit_isoflop("params", "tokens", "budget", "loss", data=runs, bootstrap=0)
    shown, _ = opened(window, "tutorials/nmt/isoflop")
    budgets = [
        {"C": C, "runs": at[["params", "loss"]].to_dict("records")}
        for C, at in runs.groupby("budget")
    ]
    best, a = shown.evaluate(FIT, [budgets])
    for mine, (_, theirs) in zip(best, fit.budgets.iterrows(), strict=True):
        expected = None if np.isnan(theirs["params"]) else [theirs["params"], theirs["loss"]]
        assert (mine is None) == (expected is None)
        assert mine is None or mine == pytest.approx(expected, rel=1e-6)
    assert a == pytest.approx(fit.a, rel=1e-6)
    question = f"?widths={'-'.join(map(str, without))}" if without else ""
    _, figure = opened(window, "tutorials/nmt/isoflop", question)
    assert f"to the power {fit.a:.2f}" in figure.locator(".live-line").inner_text()


def test_a_pasted_table_is_fitted_or_answered_in_words(window):
    _, figure = opened(window, "tutorials/nmt/isoflop")
    figure.locator("summary").click()
    table, line = figure.locator("textarea"), figure.locator(".live-line")
    planted = [
        f"{best * factor:.6g}, {C:g}, {1 + np.log(factor) ** 2:.6f}"
        for C, best in ((1e18, 1e6), (1e20, 1e7), (1e22, 1e8))
        for factor in (0.3, 0.6, 1.5, 3)
    ]
    table.fill("params,flops,loss\n" + "\n".join(planted))
    assert "to the power 0.50" in line.inner_text() and "100,000,0" in line.inner_text()
    for text, fault in (
        ("1e6 1e18\n", "Line 1: expected three positive numbers"),
        ("1e6 1e18 2\n\n-1 1e18 2", "Line 3: expected"),
        ("\N{GRINNING FACE} 1 2", "Line 1: expected"),
        ("1 1 1\n2 1 1", "No budget"),
        ("1 1 1\n" * 2001, "At most 2000"),
    ):
        table.fill(text)
        assert fault in line.inner_text()
    table.fill("")
    assert "to the power" in line.inner_text() and window.faults == []


# -- Singular values -------------------------------------------------------------------------------
@pytest.mark.parametrize("residual", [False, True])
@pytest.mark.parametrize("name", ["sigmoid", "tanh", "relu"])
def test_jacobians_and_their_singular_values_are_those_of_the_package(window, name, residual):
    shown, _ = opened(window, "architecture/recurrent")
    generator = torch.Generator().manual_seed(4)
    x, W = torch.rand(5, generator=generator), torch.randn(5, 5, generator=generator)
    x, W = x.double(), W.double()
    code = """([x, W, name, residual]) => {
        const all = jacobians(x, W, 6, ACTIVATIONS[name], residual);
        return [all, all.map(singularValues), ACTIVATIONS[name].steepest];
    }"""
    found, values, slope = shown.evaluate(code, [x.tolist(), W.tolist(), name, residual])
    J = rnn_jacobian(x, W, 6, activation=getattr(torch, name), residual=residual)
    assert (torch.tensor(found, dtype=torch.double) - J).abs().max() < 1e-6
    assert (torch.tensor(values, dtype=torch.double) - torch.linalg.svdvals(J)).abs().max() < 1e-6
    sigma = float(torch.linalg.matrix_norm(W, 2))
    assert residual or values[-1][0] <= jacobian_bound(6, sigma, slope) * (1 + 1e-9)


def test_drawn_weights_have_a_largest_singular_value_of_one(window):
    shown, _ = opened(window, "architecture/recurrent")
    for kind in ("orthogonal", "gaussian"):
        W = shown.evaluate(f"drawnWeights('{kind}', 8, randomNumbers(3))")
        values = torch.linalg.svdvals(torch.tensor(W, dtype=torch.double))
        assert float(values[0]) == pytest.approx(1, abs=1e-9)
        assert (float(values[-1]) == pytest.approx(1, abs=1e-9)) == (kind == "orthogonal")
