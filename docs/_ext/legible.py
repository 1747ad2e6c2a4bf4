"""What a page tells those who do not see it: readers of the screen, and search engines.

The theme's and Sphinx's HTML leaves a few parts without a name, or in a list that is none; they are
mended in the page. Each page gets a description, its own first sentence.
"""

import html
import re

from docutils import nodes

LENGTH = 160  # characters that search engines show of a description


def name_toggles(toctree):
    """Name the switches that open a part in the list of pages."""
    link = r'(<a class="[^"]*reference internal" [^>]*>)(.*?)(</a><details[^>]*>\s*<summary)>'

    def named(found):
        title = html.unescape(re.sub("<[^>]*>", "", found[2]))
        return f'{found[1]}{found[2]}{found[3]} aria-label="Pages of {html.escape(title)}">'

    return re.sub(link, named, str(toctree))


def breakable(name):
    """Let a line end between the words of a name, so that it ends in none of them."""
    return re.sub(r"(?<=[_./])(?=\w)|(?<=[a-z])(?=[A-Z])", "<wbr>", name[0])


def mend(body):
    """Make plain lists of signatures' parameters, and plain cells of empty headings of a table.

    Folded code is named by what is seen of it: *Show the code*.
    """
    body = body.replace('<summary aria-label="Toggle hidden content">', "<summary>")
    for role in ("list", "doc-biblioentry"):  # of references, whose parts are no list's
        body = body.replace(f'<div role="{role}" class="citation', '<div class="citation')
        body = re.sub(rf'(<div class="citation" [^>]*) role="{role}"', r"\1", body)

    def plain(found):
        lines = found[1].replace("<dd>", "<li>").replace("</dd>", "</li>")
        return f'<ul class="signature">\n{lines}</ul>'

    body = re.sub(r"<dl>\n((?:<dd>.*?</dd>\n)+)</dl>", plain, body)
    body = re.sub(r'(?<=<span class="pre">)[\w./]{8,}(?=</span>)', breakable, body)
    opened = r'<span class="(?:sig-paren|pre)">[\[(]</span>|</span>(?=<span class="sig-name)'
    body = re.sub(opened, r"\g<0><wbr>", body)
    empty = r'<th(?: class="(?:blank|index_name|head)[^>]*)?>(&nbsp;|\s|<p></p>)*</th>'
    return re.sub(empty, "<td></td>", body)


def first_sentences(doctree, length=LENGTH):
    """Give what a page begins with: its first sentence, and more while there is room."""
    for paragraph in doctree.findall(nodes.paragraph):
        if isinstance(paragraph.parent, nodes.section):
            text = " ".join(paragraph.astext().split())
            description = ""
            for sentence in re.split(r"(?<=[.?!:]) ", text):
                if description and len(description) + len(sentence) >= length:
                    break
                description = f"{description} {sentence}".strip()
            return description
    return ""


def complete_page(app, pagename, templatename, context, doctree):
    if listing := context.get("generate_toctree_html"):
        context["generate_toctree_html"] = lambda *args, **settings: name_toggles(
            listing(*args, **settings)
        )
    if context.get("body"):
        context["body"] = mend(context["body"])
    if doctree and (description := first_sentences(doctree)):
        content = html.escape(description)
        context["metatags"] += f'\n<meta name="description" content="{content}">'
        context["metatags"] += f'\n<meta property="og:description" content="{content}">'


def setup(app):
    app.connect("html-page-context", complete_page, priority=900)  # after the theme
    return {"parallel_read_safe": True}
