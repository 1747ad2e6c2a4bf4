"""Checks of greedy decoding with a cache."""

from __future__ import annotations

from collections.abc import Callable

import torch
from torch import Tensor

from a3.practice.expect import Wrong, expect_shape, expect_value
from a3.translation.decoder_only import DecoderOnlyTransformer

__all__ = ["CHECKS"]

V, END, MOST = 30, 28, 12


class Planned:
    """A model whose next token is planned, a row a list, as long as it knows all tokens before.

    Its cache is what it has read. It notes how many tokens it is given at each call.
    """

    def __init__(self, prompt: Tensor, plan: list[list[int]]):
        self.prompt, self.plan = prompt, torch.tensor(plan)  # (B, k) and (B, steps)
        self.given: list[int] = []
        self.recorded = False
        self.forgot = self.again = False

    def __call__(
        self, inputs: Tensor, cache: Tensor | None = None
    ) -> tuple[Tensor, list[Tensor], Tensor]:
        known = inputs if cache is None else torch.cat([cache, inputs], 1)
        self.given.append(inputs.shape[1])
        self.recorded |= torch.is_grad_enabled()
        prompt = self.prompt.shape[1]
        # In calls after the first: without what was read, or with all of it once more.
        self.forgot |= len(self.given) > 1 and known.shape[1] < prompt + len(self.given) - 1
        self.again |= len(self.given) > 1 and inputs.shape[1] > 1
        before = known.shape[1] - inputs.shape[1]
        logits = torch.zeros(*inputs.shape, V)
        for place in range(inputs.shape[1]):
            step = before + place + 1 - prompt  # of the plan
            for row in range(len(inputs)):
                token = self.plan[row, step] if 0 <= step < self.plan.shape[1] else 20 + row
                logits[row, place, token] = 2.0
                logits[row, place, 3] = 1.0  # the second best
        return logits, [], known


PLAN = [[1, 5, 2, END, 9, 9], [4, END, 7, 7, 7, 7], [6, 8, 0, 11, END, 9]]
ENDLESS = [[1, 2, 4] * 9] * 2
STEPS = 5  # until every row has written the end


def _decode(answer: Callable, plan: list[list[int]] = PLAN, most: int = MOST) -> tuple:
    prompt = torch.arange(4 * len(plan)).reshape(len(plan), 4) % 7
    model = Planned(prompt.clone(), plan)
    written = answer(model, prompt, most, END)
    return written, model, prompt


def shapes(answer: Callable) -> None:
    """What is written, without the prompt."""
    written, _, prompt = _decode(answer, ENDLESS, 6)
    rows = len(ENDLESS)
    if isinstance(written, Tensor) and written.shape == (rows, prompt.shape[1] + 6):
        raise Wrong("The prompt stands in what you return; only what is written after it belongs.")
    steps = written.shape[1] if isinstance(written, Tensor) and written.dim() == 2 else 6
    expect_shape(written, "written", "batch_size, steps", (rows, steps))
    if written.dtype != torch.int64:
        raise Wrong(f"Tokens are torch.int64; yours are {written.dtype}.")


def cache(answer: Callable) -> None:
    """Each token is read once."""
    _, model, prompt = _decode(answer)
    if model.given[0] != prompt.shape[1]:
        raise Wrong(
            f"The model reads the whole prompt at once, {prompt.shape[1]} tokens; yours first "
            f"gives it {model.given[0]}."
        )
    if model.again:
        raise Wrong(
            "The model reads again what it has read: after the prompt it needs only the new token, "
            "since the cache holds the rest."
        )
    if model.forgot:
        raise Wrong(
            "The model forgets: it is given the new token without the cache of all tokens before. "
            "Each call returns the cache of the next."
        )


def tokens(answer: Callable) -> None:
    """The likeliest token at the last place, each time."""
    written, _, _ = _decode(answer, ENDLESS, 6)
    if not all(torch.equal(_decode(answer, ENDLESS, 6)[0], written) for _ in range(3)):
        raise Wrong("Two calls write two things: greedy decoding does not draw at random.")
    written, _, _ = _decode(answer)
    columns = torch.arange(written.shape[1])
    if written.shape[1] == STEPS - 1:
        raise Wrong("The end token is part of what is written; yours leaves the last one out.")
    if written.shape[1] < STEPS:
        raise Wrong(
            f"It stops after {written.shape[1]} tokens, when not every row has written the end "
            "token."
        )
    if written[:, 0].tolist() == [20, 21, 22]:
        raise Wrong(
            "The first token comes from the first place of the prompt; that after the last place "
            "is asked."
        )
    if (written == 3).all():
        raise Wrong("The token is not the likeliest but the next after it.")
    ends = torch.tensor([row.index(END) for row in PLAN])[:, None]
    seen = (columns <= ends)[:, :STEPS]
    right = torch.tensor(PLAN)[:, :STEPS]
    expect_value(
        torch.where(seen, written[:, :STEPS], 0), torch.where(seen, right, 0), {},
        "What is written is not the likeliest token of each step: take the largest logit over the "
        "vocabulary, at the last place.",
    )  # fmt: skip


def end(answer: Callable) -> None:
    """At the end token of the last row, or at the most tokens."""
    written, model, _ = _decode(answer)
    if written.shape[1] > STEPS:
        raise Wrong("It goes on after every row has written the end token.")
    if len(model.given) > STEPS:
        raise Wrong("The model is asked once more after every row has written the end token.")
    for most in (6, 1):
        written, model, _ = _decode(answer, ENDLESS, most)
        if written.shape[1] != most:
            raise Wrong(
                f"With max_length {most} and no end in sight it must write {most} tokens; yours "
                f"writes {written.shape[1]}."
            )
        if len(model.given) > most:
            raise Wrong("The model is asked once more than there are tokens to write.")


def a_model(answer: Callable) -> None:
    """A decoder-only transformer, beside reading everything again at each step."""
    model = DecoderOnlyTransformer(hidden=16, layers=2, seed=1).eval()
    torch.manual_seed(2)
    prompt = torch.randint(27, (5, 6))
    written = answer(model, prompt.clone(), 8, END)
    with torch.no_grad():
        known = prompt
        for _ in range(written.shape[1]):
            known = torch.cat([known, model(known)[0][:, -1:].argmax(-1)], 1)
    ended = (known[:, 6:] == END).cumsum(1) - (known[:, 6:] == END).long() > 0
    expect_value(
        torch.where(ended, 0, written), torch.where(ended, 0, known[:, 6:]), {},
        "With a transformer it writes other tokens than without a cache.",
    )  # fmt: skip


def gradient(answer: Callable) -> None:
    """None is recorded."""
    if _decode(answer)[1].recorded:
        raise Wrong(
            "Gradients are recorded while decoding: the memory grows with every token, and nothing "
            "is trained."
        )


def speed(answer: Callable) -> None:
    """All rows side by side."""
    _, few, _ = _decode(answer, PLAN[2:])
    _, many, _ = _decode(answer)
    if len(many.given) > len(few.given):
        raise Wrong(
            f"The model is asked {len(many.given)} times for three rows and {len(few.given)} times "
            "for one: a Python loop goes over the rows, which belong side by side."
        )


CHECKS = {
    "greedy": {
        "shapes": shapes, "cache": cache, "tokens": tokens, "end": end, "a model": a_model,
        "gradient": gradient, "speed": speed,
    },
}  # fmt: skip
