"""Mathematical English about the numbers from zero to nineteen, and the same scrambled."""

from __future__ import annotations

from collections.abc import Callable, Collection, Sequence
from random import Random

from a3.bert.prose import Sentence, check_tokens, cut
from a3.bert.verbal_arithmetic import NUMBERS

__all__ = ["mathematics", "mathematics_words", "number_words", "scrambled"]

_PLACE = {word: number for number, word in enumerate(NUMBERS)}
_NAMES = (
    "anna ben carla david emma frank grace hugo iris jack kate leo maria noah olga paul".split()
)
_THINGS = (
    "apples balls bells birds books boxes cakes cards coins cups eggs figs flowers hats keys nuts "
    "pears pens plates rings shells spoons stamps stones"
).split()

# Each group of templates belongs to a relation between the numbers a, b and c.
_LESS = (  # a < b
    "{a} is less than {b}",
    "{a} is smaller than {b}",
    "{a} is not as much as {b}",
    "{b} is more than {a}",
    "{b} is greater than {a}",
    "{b} is larger than {a}",
    "{b} is not less than {a}",
    "{a} {things} are fewer than {b} {things}",
    "{b} {things} are more than {a} {things}",
    "{name} has {a} {things} and {other} has {b} so {other} has more",
    "{name} has {b} {things} and {other} has {a} so {other} has fewer",
    "{name} has {b} {things} and {other} has {a} so {name} has more {things} than {other}",
    "{name} is {a} years old and {other} is {b} so {name} is younger",
    "{name} is {a} years old and {other} is {b} so {other} is older",
    "a box of {a} {things} is lighter than a box of {b}",
    "{b} can not be taken away from {a}",
    "{name} has {a} coins and wants to pay {b} but that is too little",
    "{name} has {b} coins and wants to pay {a} and that is enough",
    "who has {a} {things} can not give away {b}",
)
_NEXT = (  # b = a + 1
    "after {a} comes {b}",
    "{b} comes just after {a}",
    "before {b} comes {a}",
    "{a} is followed by {b}",
    "one more than {a} is {b}",
    "one less than {b} is {a}",
    "{name} had {a} {things} and found one more so now there are {b}",
    "{name} had {b} {things} and lost one so now there are {a}",
)
_SUM = (  # a + b = c
    "{a} plus {b} is {c}",
    "{a} plus {b} equals {c}",
    "{a} and {b} make {c}",
    "the sum of {a} and {b} is {c}",
    "add {a} to {b} and you get {c}",
    "{c} is {b} more than {a}",
    "{name} has {a} {things} and finds {b} more so now {name} has {c}",
    "{name} has {a} {things} and {other} has {b} so together they have {c}",
    "there are {a} red {things} and {b} blue {things} and that makes {c} in all",
    "{a} children are in the room then {b} come in and now there are {c}",
)
_DIFFERENCE = (  # a - b = c
    "{a} minus {b} is {c}",
    "{a} minus {b} equals {c}",
    "{a} take away {b} leaves {c}",
    "take {b} from {a} and {c} is left",
    "the difference between {a} and {b} is {c}",
    "{c} is {b} less than {a}",
    "{name} has {a} {things} and gives {b} to {other} so {c} are left",
    "{name} had {a} {things} but lost {b} of them and now has {c}",
    "{a} birds sit in a tree then {b} fly away and {c} stay",
    "{name} wants {a} {things} and has {b} so {name} needs {c} more",
    "{name} is {a} years old and {other} is {b} so they are {c} years apart",
)
_ORDER = (  # a < b < c
    "{b} is between {a} and {c}",
    "from least to most {a} {b} {c}",
    "from most to least {c} {b} {a}",
    "{b} is more than {a} but less than {c}",
    "{name} has {a} {things} and {other} has {b} but the most are in a box of {c}",
)
_SAME = (  # a = b
    "{a} is as much as {b}",
    "{a} and {b} are the same",
    "{name} has {a} {things} and {other} has {b} so they have the same",
    "take {a} from {b} and nothing is left",
)
_COUNT = (
    "{run}",
    "count with me {run}",
    "{name} counts the {things} {run}",
    "the numbers from {a} to {b} are {run}",
    "counting by steps {run}",
)


def mathematics(
    tokens: int,
    seed: int = 0,
    held_out: Collection[tuple[int, int]] = (),
    sentences: Collection[str] = (),
) -> list[Sentence]:
    """Generated mathematical English about the numbers from zero to nineteen: lists of words.

    It counts up and down, compares, orders, adds and takes away, bare and in small stories. What
    it says is true, and no result leaves the twenty numbers. It never says of a sum or difference
    that it is negative, zero or positive.

    Parameters
    ----------
    tokens : int
        How long the text is: words, and one more for the end of each sentence. The last is cut to
        it.
    held_out : collection of (int, int)
        Pairs of numbers that no sentence names together, in either order, except where it counts.
        A pair of equal numbers bars sentences that name the number twice.
    sentences : collection of str
        Sums and differences such as ``"two plus three"`` that must not occur.

    Raises
    ------
    ValueError
        If ``tokens`` is not positive, or a pair is not of numbers from 0 to 19.
    """
    check_tokens(tokens)
    pairs = {tuple(sorted(pair)) for pair in held_out}
    if wrong := [pair for pair in pairs if not (len(pair) == 2 and {*pair} <= {*range(20)})]:
        raise ValueError(f"expected pairs of numbers from 0 to 19 to hold out, got {wrong[0]}")
    random, text, length = Random(seed), [], 0
    barred = {tuple(sentence.split()) for sentence in sentences}
    kinds, weights = zip(*_KINDS.items(), strict=True)
    while length < tokens:
        kind = random.choices(kinds, weights)[0]
        sentence = kind(random).split()
        if kind is not _count and not pairs.isdisjoint(_pairs(sentence)):
            continue
        if not barred.isdisjoint(zip(sentence, sentence[1:], sentence[2:], strict=False)):
            continue
        text.append(sentence)
        length += len(sentence) + 1
    return cut(text, tokens)


def scrambled(
    text: Sequence[Sentence], seed: int = 0, sentences: Collection[str] = ()
) -> list[Sentence]:
    """The same text with all its number words dealt out again, at random, over their places.

    Every sentence keeps its frame, and every word its count; what the number words tell about each
    other is gone. Shuffling them within each sentence would not do: in "five six seven" it leaves
    near numbers together, and words that keep company are given like vectors. Neither would one
    exchange of names for the whole text, which has all the order of the original. The numbers of
    ``sentences`` that must not come about are exchanged with others.
    """
    random, text = Random(seed), [[*sentence] for sentence in text]
    barred = {tuple(sentence.split()) for sentence in sentences}
    places = [(row, i) for row, words in enumerate(text) for i in number_words(words)]
    dealt = [text[row][i] for row, i in places]
    random.shuffle(dealt)
    for (row, i), word in zip(places, dealt, strict=True):
        text[row][i] = word
    found = True
    while found:
        found = [
            (row, i)
            for row, words in enumerate(text)
            for i in range(len(words) - 2)
            if tuple(words[i : i + 3]) in barred
        ]
        for row, i in found:
            other, j = random.choice(places)
            text[row][i], text[other][j] = text[other][j], text[row][i]
    return text


def mathematics_words() -> set[str]:
    """All the words that :func:`mathematics` is written with."""
    groups = (_LESS, _NEXT, _SUM, _DIFFERENCE, _ORDER, _SAME, _COUNT)
    frames = {word for group in groups for template in group for word in template.split()}
    return {word for word in frames if "{" not in word} | {*_NAMES, *_THINGS, *NUMBERS}


def number_words(sentence: Sentence) -> list[int]:
    """Where in a sentence the number words are."""
    return [i for i, word in enumerate(sentence) if word in _PLACE]


def _less(random: Random) -> str:
    a, b = sorted(random.sample(range(20), 2))
    return _filled(random, _LESS, a, b)


def _next(random: Random) -> str:
    a = random.randrange(19)
    return _filled(random, _NEXT, a, a + 1)


def _sum(random: Random) -> str:
    c = random.randrange(1, 20)
    a = random.randrange(c + 1)
    return _filled(random, _SUM, a, c - a, c)


def _difference(random: Random) -> str:
    b, a = sorted(random.sample(range(20), 2))
    return _filled(random, _DIFFERENCE, a, b, a - b)


def _order(random: Random) -> str:
    return _filled(random, _ORDER, *sorted(random.sample(range(20), 3)))


def _same(random: Random) -> str:
    a = random.randrange(20)
    return _filled(random, _SAME, a, a)


def _count(random: Random) -> str:
    step = random.choice((1, 1, 1, 2, 3)) * random.choice((1, -1))
    length = random.randint(3, 8)
    first = random.randrange(20)
    run = range(first, first + step * length, step)
    run = [number for number in run if 0 <= number < 20]
    if len(run) < 3:
        return _count(random)
    return _filled(random, _COUNT, run[0], run[-1], run=" ".join(NUMBERS[i] for i in run))


_KINDS: dict[Callable[[Random], str], int] = {  # and how often each is tried
    _less: 6,
    _next: 2,
    _sum: 4,
    _difference: 5,
    _order: 2,
    _same: 1,
    _count: 3,
}


def _filled(
    random: Random, templates: Sequence[str], a: int, b: int, c: int = 0, run: str = ""
) -> str:
    name, other = random.sample(_NAMES, 2)
    words = {"name": name, "other": other, "things": random.choice(_THINGS), "run": run}
    return random.choice(templates).format(a=NUMBERS[a], b=NUMBERS[b], c=NUMBERS[c], **words)


def _pairs(sentence: Sentence) -> set[tuple[int, int]]:
    """All pairs of numbers that a sentence names, the smaller first."""
    named = sorted(_PLACE[sentence[i]] for i in number_words(sentence))
    return {(a, b) for i, a in enumerate(named) for b in named[i + 1 :]}
