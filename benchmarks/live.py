"""Time the live figures of the built book on a processor four times as slow.

For each translator, the milliseconds that it takes to write a letter, on words of the large list,
the reading of the word included: the median word and the slowest. For each page with a figure, the
milliseconds from a move of its first knob, or a letter typed, to the figure drawn anew, the median
of twenty.

Usage: python benchmarks/live.py [FOLDER OF BUILT PAGES]
"""

import re
import shutil
import sys
from pathlib import Path

from playwright.sync_api import sync_playwright

from a3.translation.pig_latin import large_words

SLOWER, TRANSLATORS = 4, ("small-32", "small-64", "large-32", "large-64", "tuned-32", "tuned-64")
LETTERS = """async ([name, words]) => {
    const { arrays } = await loadData(name);
    words.forEach((word) => translateWord(arrays, word)); // compiled by now
    return words.map((word) => {
        const start = performance.now();
        const letters = translateWord(arrays, word).length;
        return (performance.now() - start) / letters;
    }).sort((a, b) => a - b);
}"""
MOVES = """() => {
    const figure = document.querySelector(".live");
    const knob = figure.querySelector("input");
    const times = [];
    for (let i = 0; i < 25; i++) {
        if (knob.type === "range") knob.value = +knob.value + (i % 2 ? -1 : 1) * 3 * knob.step;
        if (knob.type === "text") knob.value = `conditioning${"abcdefghij"[i % 10]}`;
        const start = performance.now();
        if (knob.type === "checkbox") knob.click();
        else knob.dispatchEvent(new Event("input"));
        figure.getBoundingClientRect(); // laid out
        times.push(performance.now() - start);
    }
    return times.slice(5).sort((a, b) => a - b)[10];
}"""


def main(site="_build/html"):
    path = shutil.which("chromium") or shutil.which("google-chrome")
    folder, words = Path(site).resolve(), large_words()[:20_000:200]
    pages = [
        page
        for page in sorted(folder.glob("**/*.html"))
        if re.search("<div[^>]* data-live=", page.read_text(encoding="utf-8"))
    ]
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=path, args=["--no-sandbox"])
        page = browser.new_page()
        devtools = page.context.new_cdp_session(page)
        devtools.send("Emulation.setCPUThrottlingRate", {"rate": SLOWER})
        for file in pages:
            page.goto(file.as_uri())
            page.locator(".live svg").first.wait_for()
            name = file.relative_to(folder).with_suffix("").as_posix()
            print(f"{name:36}{page.evaluate(MOVES):8.1f} ms a move")
        page.goto((folder / "tutorials" / "nmt" / "four_runs.html").as_uri())
        for name in TRANSLATORS:
            times = page.evaluate(LETTERS, [name, words])
            print(f"{name:36}{times[len(times) // 2]:8.1f} ms a letter, at most {times[-1]:.1f}")
        browser.close()


if __name__ == "__main__":
    main(*sys.argv[1:])
