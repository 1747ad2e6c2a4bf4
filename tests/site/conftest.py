"""The built book, served on this machine, and a browser that can reach nothing else."""

import functools
import http.server
import os
import shutil
import threading
from importlib.util import find_spec
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
SITE = Path(os.environ.get("A3_SITE", ROOT / "_build" / "html"))
ALONE = (  # no request leaves this machine, by the page or by the browser itself
    "--no-sandbox --disable-gpu --disable-quic --no-first-run --disable-sync "
    "--disable-background-networking --disable-component-update"
).split() + ["--host-resolver-rules=MAP * ~NOTFOUND, EXCLUDE 127.0.0.1"]


def skip(reason):
    """Skip, except where everything must be tested."""
    (pytest.fail if os.environ.get("CI") == "true" else pytest.skip)(reason)


class Quiet(http.server.SimpleHTTPRequestHandler):
    def log_message(self, *args):
        pass


@pytest.fixture(scope="session")
def address():
    """Address of the built book."""
    if not (SITE / "index.html").is_file():
        skip("no built book: run make html first")
    handler = functools.partial(Quiet, directory=SITE)
    with http.server.ThreadingHTTPServer(("127.0.0.1", 0), handler) as server:
        threading.Thread(target=server.serve_forever, daemon=True).start()
        yield f"http://127.0.0.1:{server.server_port}"
        server.shutdown()


@pytest.fixture(scope="session")
def chromium():
    """One headless Chromium for all tests."""
    names = ("chromium", "chromium-browser", "google-chrome")
    path = next(filter(None, map(shutil.which, names)), None)
    if path is None:
        skip("no Chromium: install it, for example with apt-get install chromium")
    from playwright.sync_api import sync_playwright

    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=path, args=ALONE)
        yield browser
        browser.close()


OPEN = "() => document.querySelectorAll('article details').forEach((fold) => (fold.open = true))"
# Formulas are read as MathML; what is shown of them is hidden from readers of the screen.
AXE = """async (part) => (await axe.run(
    {include: [[part]], exclude: [[".katex-html"]]}, {rules: {"color-contrast": {enabled: false}}},
)).violations.flatMap((rule) => rule.nodes.map((node) =>
    [rule.id, rule.impact, node.html.slice(0, 200), node.any[0]?.message].join(": ")))"""
# Contrast is that of a look: colours and size of letters, and the colours behind them. One of each
# is measured, if it was not on a page before.
LOOKS = """async ([part, theme, known]) => {
    document.documentElement.dataset.theme = theme;
    const behind = new Map();
    const ground = (box) => {
        if (!box) return "";
        if (!behind.has(box)) {
            const {backgroundColor, backgroundImage, opacity} = getComputedStyle(box);
            const own = [backgroundColor, backgroundImage, opacity].join(" ");
            const plain = own === "rgba(0, 0, 0, 0) none 1";
            behind.set(box, ground(box.parentElement) + (plain ? "" : ` / ${own}`));
        }
        return behind.get(box);
    };
    const looks = new Map();
    for (const box of document.querySelectorAll(`${part} *`)) {
        const words = [...box.childNodes].some((node) => node.nodeType === 3 && node.data.trim());
        if (!words || !box.checkVisibility() || box.closest(".katex-html, svg")) continue;
        const {color, fontSize, fontWeight} = getComputedStyle(box);
        const look = [color, fontSize, fontWeight, ground(box)].join(" ");
        if (!known.includes(look) && !looks.has(look)) looks.set(look, box);
    }
    const options = {runOnly: ["color-contrast"]};
    const faint = looks.size ? (await axe.run([...looks.values()], options)).violations : [];
    const faults = faint.flatMap((rule) => rule.nodes.map((node) =>
        [theme, rule.id, node.html.slice(0, 200), node.any[0]?.message].join(": ")));
    return [faults, [...looks.keys()]];
}"""


class Window:
    """A window of the browser, and everything that went wrong on the page it shows."""

    def __init__(self, browser, address):
        self.address, self.faults, self.page = address, [], browser.new_context().new_page()
        self.looks = {"light": [], "dark": []}  # those whose contrast is enough
        self.page.on("console", self.hear)
        self.page.on("pageerror", lambda error: self.faults.append(f"error: {error}"))
        self.page.on("requestfailed", self.fail)
        self.page.on("response", self.check)

    def hear(self, message):
        if message.type in ("error", "warning"):
            self.faults.append(f"console: {message.text}")

    def fail(self, request):
        if request.failure != "net::ERR_ABORTED":  # on its way when the page was left
            self.faults.append(f"failed: {request.url}")

    def check(self, response):
        if response.status >= 400:
            self.faults.append(f"{response.status}: {response.url}")

    def open(self, path):
        """Open a page of the book and wait until its scripts have run."""
        self.faults.clear()
        self.page.set_viewport_size({"width": 1280, "height": 800})
        self.page.goto(f"{self.address}/{path}", wait_until="load")
        self.page.evaluate("document.fonts.ready.then(() => null)")
        return self.page

    def barriers(self, part="article"):
        """What axe-core finds on the open page with its answers unfolded, light and dark."""
        file = Path(find_spec("axe_playwright_python").origin).with_name("axe.min.js")
        still = "* { transition: none !important; animation: none !important }"
        self.page.add_style_tag(content=still)
        self.page.evaluate(OPEN)
        self.page.evaluate(file.read_text(encoding="utf-8"))
        faults = self.page.evaluate(AXE, part)
        for theme, known in self.looks.items():
            faint, looks = self.page.evaluate(LOOKS, [part, theme, known])
            faults += faint
            if not faint:
                known += looks
        return faults


@pytest.fixture(scope="session")
def window(chromium, address):
    return Window(chromium, address)
