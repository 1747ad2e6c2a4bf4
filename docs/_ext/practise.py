"""A line before the answer to each question that ``a3.practice`` has: how to practise it."""

from docutils import nodes
from folds import fold

from a3.practice.questions import QUESTIONS


def add_lines(app, doctree, docname):
    """Say before each answer on a page how to try one's own."""
    for question in (question for question in QUESTIONS if question.page == docname):
        for answer in list(doctree.findall(fold)):
            if question.answer in answer["ids"]:
                answer.parent.insert(answer.parent.index(answer), line(app, docname, question.name))


def line(app, docname, name):
    uri = app.builder.get_relative_uri(docname, "practice")
    command = "python -m a3.practice"
    words = nodes.paragraph("", "", nodes.reference("", "Practise it", refuri=uri, internal=True))
    words += nodes.Text(": ")
    words += nodes.literal("", f"{command} {name}")
    words += nodes.Text(f" writes {name}.py with a blank; ")
    words += nodes.literal("", f"{command} check {name}.py")
    words += nodes.Text(" says what is wrong with your answer.")
    return nodes.container("", words, classes=["practise"])


def setup(app):
    app.connect("doctree-resolved", add_lines)
    return {"parallel_read_safe": True}
