"""Change the formulas, fits and metrics in one place at a time: how many changes the tests notice.

``[tool.mutmut]`` in pyproject.toml says what is changed and which tests are run. A change that no
test notices is a gap in them, or makes no difference; those known are in ``mutants.md``. ::

    pip install -c constraints.txt -e ".[mutants]"
    python benchmarks/mutants.py

It takes hours, and goes on where it was stopped; ``mutmut run "a3.clip*"`` tries a part. What it
makes is in ``mutants/``: delete that to begin anew. ``mutmut show NAME`` shows a change.
"""

import json
import subprocess
import sys
from pathlib import Path

ROOT = Path(__file__).parents[1]
SURVIVED = (0, 33)  # mutmut's codes: the tests passed, or there were none


def results():
    """From each module with mutants, those that were tried: name and code."""
    for file in sorted((ROOT / "mutants").rglob("*.meta")):
        codes = json.loads(file.read_text())["exit_code_by_key"]
        if codes:
            module = file.relative_to(ROOT / "mutants").with_suffix("")
            yield str(module), {name: code for name, code in codes.items() if code is not None}


def row(module, tried):
    killed = sum(code not in SURVIVED for code in tried.values())
    share = f"{killed / len(tried):.1%}" if tried else ""
    return f"| {module} | {len(tried)} | {killed} | {len(tried) - killed} | {share} |"


def main():
    subprocess.run([Path(sys.executable).with_name("mutmut"), "run"], cwd=ROOT, check=True)
    print("\n| module | mutants | killed | survived | killed |\n|---|--:|--:|--:|--:|")
    found = dict(results())
    everything = {name: code for tried in found.values() for name, code in tried.items()}
    for module, tried in [*found.items(), ("all", everything)]:
        print(row(module, tried))
    print(
        "\nSurvivors:", *(name for name, code in everything.items() if code in SURVIVED), sep="\n"
    )


if __name__ == "__main__":
    main()
