"""Weigh and time the first screen of ten pages of the built book, served on this machine.

Each page is opened for the first time, nothing kept, in a window of 1280 by 800, on a processor
four times as slow. The table gives the kilobytes that came before anyone scrolled, as they are in
the files, by type; the seconds to the largest contentful paint, the least of three visits; and the
layout shift, the greatest.

Usage: python benchmarks/pages.py [FOLDER OF BUILT PAGES] [PAGE ...]
"""

import functools
import http.server
import shutil
import sys
import threading
from collections import Counter
from pathlib import Path

from playwright.sync_api import sync_playwright

PAGES = (
    "index architecture/recurrent clip notation resources/learning_rate robustness/ridge "
    "robustness/weight_decay tutorials/bert/predictions tutorials/clip/zero_shot "
    "tutorials/nmt/attention"
).split()
TYPES = ("document", "stylesheet", "script", "font", "image")
SLOWER, VISITS = 4, 3
PAINTED = """() => new Promise((resolve) => {
    const seen = {paint: 0, shift: 0};
    const watch = (type, note) => new PerformanceObserver(
        (list) => list.getEntries().forEach(note)).observe({type, buffered: true});
    watch("largest-contentful-paint", (entry) => (seen.paint = entry.startTime / 1000));
    watch("layout-shift", (entry) => (seen.shift += entry.value));
    setTimeout(() => resolve(seen), 500);
})"""


class Quiet(http.server.SimpleHTTPRequestHandler):
    def log_message(self, *args):
        pass


def first_screen(browser, address):
    """Bytes by type, seconds to the largest contentful paint, and layout shift of a page."""
    context = browser.new_context(viewport={"width": 1280, "height": 800})
    page, came = context.new_page(), []
    page.on("response", lambda response: came.append(response))
    devtools = context.new_cdp_session(page)
    devtools.send("Emulation.setCPUThrottlingRate", {"rate": SLOWER})
    page.goto(address, wait_until="networkidle")
    seen = page.evaluate(PAINTED)
    size = Counter()
    for response in came:
        if response.ok:
            size[response.request.resource_type] += len(response.body())
    context.close()
    return size, seen["paint"], seen["shift"]


def main(site="_build/html", *pages):
    handler = functools.partial(Quiet, directory=Path(site))
    path = shutil.which("chromium") or shutil.which("google-chrome")
    print("page".ljust(28), *(f"{name:>10}" for name in (*TYPES, "all", "paint", "shift")))
    with (
        http.server.ThreadingHTTPServer(("127.0.0.1", 0), handler) as server,
        sync_playwright() as playwright,
    ):
        threading.Thread(target=server.serve_forever, daemon=True).start()
        browser = playwright.chromium.launch(executable_path=path, args=["--no-sandbox"])
        for page in pages or PAGES:
            address = f"http://127.0.0.1:{server.server_port}/{page}.html"
            visits = [first_screen(browser, address) for _ in range(VISITS)]
            (size, *_), paints, shifts = zip(*visits, strict=True)
            kilobytes = [size[kind] / 1e3 for kind in TYPES] + [size.total() / 1e3]
            cells = [f"{x:10.0f}" for x in kilobytes] + [f"{min(paints):10.2f}{max(shifts):11.3f}"]
            print(page.ljust(28), *cells)
        browser.close()
        server.shutdown()


if __name__ == "__main__":
    main(*sys.argv[1:])
