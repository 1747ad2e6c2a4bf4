"""What a failed claim said: the statement at which a page broke, and the values in it.

An assertion without words does not say why it failed. Its condition is worked out once more where
it stood, and the value of each part is noted. Of any other statement only the names are looked up.
"""

import ast
import contextlib
import io
import linecache
import reprlib
import textwrap
import traceback
import types
import warnings

MANY = 16  # numbers; of more, only the shape and the range are given
TELLING = (ast.Name, ast.Attribute, ast.Subscript, ast.Call, ast.BinOp, ast.ListComp)
SILENT = (types.ModuleType, types.FunctionType, types.BuiltinFunctionType, types.MethodType, type)

_short = reprlib.Repr()
_short.maxstring = _short.maxlong = _short.maxother = 120
_short.maxlist = _short.maxtuple = _short.maxset = _short.maxdict = 12


# -- Where it broke --------------------------------------------------------------------------------
def explain(error, of_page):
    """Say at which line of a page, at which statement and with which values it broke.

    Parameters
    ----------
    error : BaseException
    of_page : callable
        Whether a frame runs code of the page.

    Returns
    -------
    dict
        ``line`` in the page's file or cell, the ``source`` of that file or cell, the
        ``statement``, the ``values`` as pairs of text, and the ``error``. What is not known is
        None, or empty.
    """
    message = str(error)
    told = {"line": None, "source": None, "statement": "", "values": []}
    told["error"] = type(error).__name__ + (f": {message}" if message else "")
    frames = list(traceback.walk_tb(error.__traceback__))
    own = [place for place in frames if of_page(place[0])]
    if not own:  # it could not even be compiled
        if isinstance(error, SyntaxError) and error.text:
            told.update(line=error.lineno, statement=error.text.strip())
        return told
    told["line"], told["source"] = own[-1][1], source_of(own[-1][0])
    # The claim may be in a function of another module that the page calls.
    places = [frames[-1], own[-1]] if isinstance(error, AssertionError) else [own[-1]]
    for frame, line in places:
        source = source_of(frame)
        found = statement_at(source, line)
        if found is None or (frame is not own[-1][0] and not isinstance(found, ast.Assert)):
            continue
        told["statement"] = text_of(source, found)
        told["values"] = values_in(found, frame)
        break
    return told


def words(told, file=None, indent="    "):
    """Tell in plain text what :func:`explain` found."""
    place = [file] if file else []
    place += [f"line {told['line']}"] if told["line"] else []
    lines = [": ".join(filter(None, (", ".join(place), told["error"])))]
    lines += textwrap.indent(told["statement"], indent).splitlines()
    return "\n".join([*lines, *value_lines(told, indent)])


def value_lines(told, indent="    "):
    """Give a line for each value, or several for a table."""
    lines = []
    for name, value in told["values"]:
        table = "\n" + textwrap.indent(value, indent) if "\n" in value else value
        lines += textwrap.indent(f"{name} = {table}", indent).splitlines()
    return lines


def add_values(error, told):
    """Add the values to what the exception's traceback shows."""
    if told["values"]:
        error.add_note("\n".join(["where", *value_lines(told)]))


def source_of(frame):
    """Source text of the file or cell that a frame runs."""
    linecache.checkcache(frame.f_code.co_filename)
    return "".join(linecache.getlines(frame.f_code.co_filename, frame.f_globals))


def statement_at(source, line):
    """Find the innermost statement at a line."""
    try:
        tree = ast.parse(source)
    except SyntaxError:  # such as a cell with a command of IPython
        return None
    around = [
        node
        for node in ast.walk(tree)
        if isinstance(node, ast.stmt) and node.lineno <= line <= node.end_lineno
    ]
    return around[-1] if around else None  # the walk goes from the outermost inwards


def text_of(source, statement):
    """Source text of a statement; of one that holds others, its first line."""
    lines = source.splitlines()[statement.lineno - 1 : statement.end_lineno]
    if hasattr(statement, "body"):
        del lines[1:]
    return textwrap.dedent("\n".join(lines))


# -- The values ------------------------------------------------------------------------------------
class Noting(ast.NodeTransformer):
    """Have the parts of an expression noted while it is worked out."""

    def visit(self, node):
        if isinstance(node, ast.Lambda | ast.SetComp | ast.DictComp | ast.GeneratorExp):
            return node  # its parts have many values
        text = ast.unparse(node)
        telling = isinstance(node, TELLING) and any(
            isinstance(part, ast.Name) for part in ast.walk(node)
        )
        if not isinstance(node, ast.ListComp):
            node = super().visit(node)
        if not telling or not isinstance(getattr(node, "ctx", ast.Load()), ast.Load):
            return node
        return ast.Call(ast.Name("__note", ast.Load()), [ast.Constant(text), node], [])

    def visit_Call(self, node):
        if isinstance(node.func, ast.Attribute):
            node.func.value = self.visit(node.func.value)
        only = node.args[0] if len(node.args) == 1 else None
        if ast.unparse(node.func) == "all" and isinstance(only, ast.GeneratorExp):
            # It stops at the first that is false: the values noted last are the telling ones.
            only.generators[0].iter = self.visit(only.generators[0].iter)
            only.elt = self.visit(only.elt)
        else:
            node.args = [self.visit(part) for part in node.args]
            node.keywords = [self.visit(part) for part in node.keywords]
        return node


def values_in(statement, frame):
    """Work out the parts of an assertion, or look up the names of another statement."""
    known = {**frame.f_globals, **frame.f_locals}
    noted = {}

    def note(text, value):
        noted.pop(text, None)
        if not isinstance(value, SILENT):
            noted[text] = value
        return value

    if not isinstance(statement, ast.Assert):
        header = statement
        if hasattr(statement, "body"):  # only what stands before the colon
            header = next(
                (getattr(statement, part) for part in ("test", "iter") if hasattr(statement, part)),
                ast.Pass(),
            )
        for node in ast.walk(header):
            if isinstance(node, ast.Name) and node.id in known:
                note(node.id, known[node.id])
        return [(text, brief(value)) for text, value in noted.items()]
    test = ast.Expression(Noting().visit(statement.test))
    known["__note"] = note
    again = None
    with warnings.catch_warnings(), contextlib.redirect_stdout(io.StringIO()):
        warnings.simplefilter("ignore")
        with contextlib.suppress(Exception):
            code = compile(ast.fix_missing_locations(test), "<claim>", "eval")
            again = bool(eval(code, known))
    values = [(text, brief(value)) for text, value in noted.items()]
    if again:
        values.append(("the claim, worked out once more", "True: it is not the same each time"))
    return values


def brief(value):
    """Give a value in few words."""
    try:
        if hasattr(value, "to_string"):  # a table, or a column of one
            many = {"max_rows": 8} | ({"max_cols": 8} if hasattr(value, "columns") else {})
            return value.to_string(**many)
        shape = getattr(value, "shape", None)
        if shape is not None and len(shape):
            return brief_array(value, tuple(shape))
        return _short.repr(value)
    except Exception:
        return f"<{type(value).__name__}>"


def brief_array(value, shape):
    """Give the numbers of an array if they are few, else their shape and range."""
    size = 1
    for length in shape:
        size *= length
    if size <= MANY:
        return " ".join(repr(value).split())
    name = f"{type(value).__name__} of shape {shape}"
    if "bool" in str(value.dtype):
        return f"{name}, {int(value.sum())} of {size} true"
    return f"{name}, from {value.min().item():.6g} to {value.max().item():.6g}"
