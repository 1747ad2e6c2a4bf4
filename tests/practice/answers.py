"""Right answers, those of the pages where a page has one, and wrong ones that students give.

A wrong answer is a right one with a piece of it changed. The files in ``wrong`` have a block each:
what it is, the piece after ``-``, what takes its place after ``+``, and after ``>`` a part of the
sentence that must say so. Those in ``also_right`` have other ways to be right.
"""

import ast
import textwrap
from pathlib import Path

from a3.practice.questions import QUESTIONS

ROOT = Path(__file__).parents[2]
BLANK = "    raise NotImplementedError  # your lines\n"
QUESTION = {question.name: question for question in QUESTIONS}

OURS = {  # where no page has the lines
    "positions": """
        t = torch.arange(length, dtype=torch.float64)[:, None]
        i = torch.arange(hidden_size // 2, dtype=torch.float64)
        angle = t / 10000 ** (2 * i / hidden_size)
        table = torch.stack([angle.sin(), angle.cos()], dim=2)
        return table.reshape(length, hidden_size).float()
    """,
    "greedy": """
        with torch.no_grad():
            token, cache, written = prompt, None, []
            ended = torch.zeros(len(prompt), 1, dtype=torch.bool)
            while len(written) < max_length and not ended.all():
                logits, _, cache = model(token, cache)
                token = logits[:, -1:].argmax(dim=-1)
                written.append(token)
                ended = ended | (token == end_token)
            return torch.cat(written, dim=1)
    """,
    "contrastive": """
        X, Y = F.normalize(X, dim=1), F.normalize(Y, dim=1)
        logits = scale * X @ Y.T
        own = torch.arange(len(X))
        images = F.cross_entropy(logits, own)
        captions = F.cross_entropy(logits.T, own)
        return (images + captions) / 2
    """,
}


def on_the_page(name):
    """The lines of the page's answer: its function, or the class, with the name that is blank."""
    question = QUESTION[name]
    text = (ROOT / f"{question.page}.py").read_text(encoding="utf-8")
    blank = "forward" if name in ("attention", "causal", "decoder") else question.defines
    (node,) = [node for node in ast.parse(text).body if getattr(node, "name", "") == blank]
    return ast.get_source_segment(text, node) + "\n"


def right(name):
    """The file with the blank filled in."""
    blank = QUESTION[name].blank
    if name in OURS:
        assert blank.count(BLANK) == 1
        lines = textwrap.dedent(OURS[name]).strip() + "\n"
        return blank.replace(BLANK, textwrap.indent(lines, "    "))
    lines = on_the_page(name)
    if lines.startswith("def forward"):
        start = blank.index("    def forward")
        lines = textwrap.indent(lines, "    ")
    else:
        start = min(i for i in map(blank.find, ("\nclass ", "\ndef ")) if i >= 0) + 1
    return blank[:start] + lines


def changed(name, old, new):
    """The right file with a piece of it changed."""
    text = right(name)
    assert text.count(old) == 1, f"{old!r} stands {text.count(old)} times in\n{text}"
    return text.replace(old, new)


def _read(file, marks):
    """A name to the piece, its replacement and perhaps the sentence, of every block of a file."""
    found = {}
    for block in file.read_text(encoding="utf-8").strip().split("\n\n"):
        what, *lines = block.splitlines()
        pieces = ("\n".join(x[2:] for x in lines if x[0] == mark) for mark in marks)
        assert what not in found and {line[0] for line in lines} == {*marks}, block
        found[what] = (*pieces,)
    return found


HERE = Path(__file__).parent
ALSO_RIGHT = {name: _read(HERE / "also_right" / f"{name}.txt", "-+") for name in QUESTION}
WRONG = {name: _read(HERE / "wrong" / f"{name}.txt", "-+>") for name in QUESTION}
for name in ("attention", "causal"):
    WRONG[name] |= _read(HERE / "wrong" / "attention_and_causal.txt", "-+>")
