r"""
Why a wide model wants a lower learning rate
============================================

After this page you can derive how much one step of :term:`Adam` changes the loss at any width,
check the powers of the width, and scale a :term:`learning rate` from one width to another.
"""

import numpy as np
import torch
from torch.nn.utils import parameters_to_vector, vector_to_parameters

from a3.lab import figures
from a3.runs.scaling import WIDTHS
from a3.translation.decoder_only import DecoderOnlyTransformer
from a3.translation.pig_latin import small_words
from a3.translation.prompts import Prompts
from a3.translation.word_pairs import WordPairs

generator = torch.Generator().manual_seed(0)
batch = next(Prompts(WordPairs(small_words())).batches(32, generator))
PARTS = {"hidden weights": 1.5, "output weights": 1.0, "biases": 0.5}  # powers


def with_gradients(hidden, seed, output=0.0, batch=batch):
    """A new model, output weights times a power of its width, and its gradients."""
    model = DecoderOnlyTransformer(hidden, seed=seed)
    with torch.no_grad():
        model.to_logits.weight *= hidden**output
    total, tokens = model.loss(batch)
    (total / tokens).backward()
    return model


def by_part(model):
    """Sums of absolute gradients of hidden weights, output weights and biases."""
    inner = [p.grad for p in model.layers.parameters()]
    weights, biases = ([g for g in inner if g.dim() == d] for d in (2, 1))
    parts = weights, [model.to_logits.weight.grad], biases
    return [sum(g.abs().sum().item() for g in part) for part in parts]


def one_step(hidden, rates, seed):
    """Loss of the batch after one step of Adam at each rate, over the loss before."""
    model = with_gradients(hidden, seed)
    losses = [model.loss(batch)[0].item()]
    before = parameters_to_vector(model.parameters()).detach()
    torch.optim.Adam(model.parameters(), lr=1.0).step()
    step = parameters_to_vector(model.parameters()).detach() - before
    for rate in rates:
        vector_to_parameters(before + rate * step, model.parameters())
        losses.append(model.loss(batch)[0].item())
    return np.array(losses[1:]) / losses[0]


def sums_of_parts(output=0.0):
    """By seed, width and part."""
    return np.array([[by_part(with_gradients(H, s, output)) for H in WIDTHS] for s in range(5)])


sums = sums_of_parts()
rates = np.geomspace(2e-4, 0.06, 14)
after = {H: np.array([one_step(H, rates, s) for s in range(5)]) for H in WIDTHS}

figure, (left, right) = figures.subplots(
    1, 2, figsize=(8, 3.3),
    alt="""Left: sums of absolute gradients against width, log scales, for hidden
    weights, output weights and biases, along lines of slope 3/2, 1 and 1/2. Right:
    loss after a step over that before, by rate: the wider, the lower the best.""",
)  # fmt: skip
for i, (part, style) in enumerate(zip(PARTS, ("-", "-.", ":"), strict=True)):
    figures.band(left, WIDTHS, sums[:, :, i], part, ls=style)
    theory = np.array(WIDTHS) ** PARTS[part]
    theory *= np.exp(np.log(np.median(sums[:, :, i], axis=0) / theory).mean())
    left.plot(WIDTHS, theory, "--", lw=1, color="#888888")
left.set(xscale="log", yscale="log", xlabel="width", ylabel="sum of absolute gradients")
left.set_xticks(WIDTHS, WIDTHS)
left.minorticks_off()
left.legend()
for H, style in zip((16, 48, 128), ("-", "--", ":"), strict=True):
    figures.band(right, rates, after[H], f"width {H}", ls=style)
right.axhline(1, color="#888888", lw=1)
right.set(xscale="log", xlabel="learning rate", ylabel="loss after / before", ylim=(0.4, 1.6))
right.legend(loc="upper left")

# %% tags=["hide-input"]
# **Left,** sums of the absolute gradients of untrained decoder-only models, which say how much one
# step does; dashed lines are theory. **Right,** loss on a batch after one step of Adam on it. Lines
# are medians over five seeds, bands their range. The best rate falls with the width.
#
# The question
# ------------
#
# .. exercise-start:: A step at every width
#    :label: wide-steps-question
#
# :doc:`Tuned one by one <tuned_widths>`, the wide models of the sweep wanted a lower rate than the
# narrow ones. How much does the first step of Adam lower the loss, and how does that grow with the
# width :math:`H`? By which power of :math:`H` should the rate fall?
#
# .. exercise-end::
#
# .. admonition:: Try it first
#    :class: tip
#
#    Adam's first step moves every weight by the same amount, unless its gradient is zero. Count the
#    weights of a layer, and ask how large the gradient of each one is.
#
# .. solution-start:: wide-steps-question
#    :label: wide-steps-question-answer
#    :class: dropdown
#
# .. admonition:: In short
#    :class: in-short
#
#    Adam's first step moves each weight by the rate against the sign of its gradient. To first
#    order the loss falls by :math:`\eta \lVert g \rVert_1`, which grows nearly as :math:`H^{3/2}`.
#    For a step to do as much at every width, the rate must fall nearly as :math:`H^{-3/2}`.
#
# **The first step.** Adam divides a running mean of the gradient by the root of that of its square
# :cite:p:`kingma2015`. After one gradient :math:`g` these are :math:`g` and :math:`|g|`: every
# weight moves by the rate :math:`\eta` against the sign of its gradient. To first order
#
# .. math:: \Delta \ell = \sum_i g_i\,(-\eta \operatorname{sign} g_i) = -\eta\,\lVert g \rVert_1 .
#    :label: wide-steps-first

model, eta = with_gradients(32, seed=0).double(), 1e-6
before, tokens = model.loss(batch)
norm = float(sum(p.grad.abs().sum() for p in model.parameters()))
torch.optim.Adam(model.parameters(), lr=eta).step()
change = float(model.loss(batch)[0].detach() - before.detach()) / tokens
print(f"change of the loss: {change:.4e}; by the formula: {-eta * norm:.4e}")
assert abs(change / (eta * norm) + 1) < 0.01

# %%
# **One matrix, one token.** A layer gives :math:`y = W x`. Let :math:`\delta` be the derivative of
# the loss by :math:`y`. Then :math:`g = \delta x^\top`, and
#
# .. math:: \lVert g \rVert_1 = \sum_{ij} |\delta_i x_j| = \lVert\delta\rVert_1\,\lVert x\rVert_1 .
#    :label: wide-steps-outer
#
# The input of every layer has :math:`H` entries whose size does not depend on :math:`H`:
# embeddings start with variance 1, and weights with a variance in proportion to :math:`1/H`, so
# that sums of :math:`H` terms do not grow. Therefore :math:`\lVert x \rVert_1 \propto H`.
#
# In the output layer :math:`\delta` is softmax minus truth, with no width in it. In a hidden layer
# it has come back through the output weights, whose entries are of size :math:`1/\sqrt{H}`: an
# entry of :math:`W_{\text{out}}^\top \delta_{\text{out}}` is a sum of 30 terms of that size. The
# layers between keep the size, as they do on the way forward. With :math:`H` such entries
# :math:`\lVert \delta \rVert_1 \propto H \cdot H^{-1/2}`, and this is also the gradient of a bias:
#
# .. math::
#    :label: wide-steps-powers
#
#    \lVert g_{\text{output}} \rVert_1 \propto H, \quad
#    \lVert g_{\text{hidden}} \rVert_1 \propto H^{1/2} H = H^{3/2}, \quad
#    \lVert g_{\text{bias}} \rVert_1 \propto H^{1/2} .
#
# The gradients of tokens cancel in part, by a share that we take not to depend on :math:`H`.


def power(values):
    """Slope of log values over log width, one for each seed."""
    return np.polyfit(np.log(WIDTHS), np.log(values).T, 1)[0]


for i, (part, theory) in enumerate(PARTS.items()):
    slopes = power(sums[:, :, i])
    print(f"{part:15} H^{theory:g}, here H^{slopes.min():.2f} to H^{slopes.max():.2f}")
    assert abs(slopes.mean() - theory) < 0.25  # nearer to it than to the next one
assert (sums[:, :, 0] > 2 / 3 * sums.sum(axis=2)).all()
assert abs(power(sums.sum(axis=2)).mean() - 1.5) < 0.25

# %% tags=["hide-input"]
# Hidden weights have more than two thirds of the three sums, and so rule the step. **For a step to
# do as much at every width, the rate must fall nearly as** :math:`H^{-3/2}`.
#
# **One step, measured.** To first order the loss falls without end as the rate rises. In truth it
# turns where the layers change so much that their gradients no longer hold: see the figure. Below
# are the best rates, at the widest less than a fifth of the narrowest's, and how they fall.

best = np.array([rates[after[H].argmin(axis=1)] for H in WIDTHS])
fall = power(best.T)
print("best rates:", *(f"{rate:.4f}" for rate in np.median(best, axis=1)))
print(f"it goes as H^{fall.min():.2f} to H^{fall.max():.2f}, by seed")
assert -1.5 < fall.min() < fall.max() < -0.9 and best[0].min() > 5 * best[-1].max()

# %%
# **Whole runs** agree in direction: :doc:`tuned one by one <tuned_widths>`, the two widest models
# want a lower rate than the three narrowest. They do not confirm the power, and cannot: three rates
# are a coarse grid, at equal compute a wide model takes fewer steps, and later ones are not signs.
#
# .. solution-end::
#
# .. admonition:: Where this differs
#    :class: differs
#
#    *From the handouts:* they have one rate for all widths. *From papers:* :cite:t:`yang2022`
#    follow all of training, in the limit of great width; we follow one step. *From practice:*
#    larger models get a lower rate by rules of thumb :cite:p:`kaplan2020,hoffmann2022`.
#
# Summary
# -------
#
# One step of Adam lowers the loss by :math:`\eta \lVert g \rVert_1`. That sum grows with the width,
# as :math:`H^{3/2}` for hidden weights, so a rate that suits a narrow model is too high for a wide
# one. The best rate of a single step falls less steeply; whole runs agree in direction.
#
# Exercises
# ---------
#
# .. exercise-start:: A width that was not tried
#    :label: wide-steps-predict
#
# *Easy.* Predict the best rate of one step at width 256, from the line through the others and from
# the theory. Then measure it.
#
# .. exercise-end::
#
# .. solution-start:: wide-steps-predict
#    :label: wide-steps-predict-answer
#    :class: dropdown
#
# Both come within a factor of two.

logs = np.log(best).mean(axis=1)
line = np.polyval(np.polyfit(np.log(WIDTHS), logs, 1), np.log(256))
theory = logs[-1] - 1.5 * np.log(256 / 128)
found = [rates[one_step(256, rates, seed).argmin()] for seed in range(3)]
print(f"by the line {np.exp(line):.1e}, by the theory {np.exp(theory):.1e}")
print("measured:", *(f"{rate:.1e}" for rate in found))
assert max(abs(np.array([line, theory]) - np.log(found).mean())) < np.log(2)

# %%
# .. solution-end::
#
# .. exercise-start:: Does the cancelling depend on the width?
#    :label: wide-steps-cancel
#
# *Medium.* Do the gradients of different words cancel by the same share at every width? Divide the
# sum of absolute gradients of a batch by the mean of those of its words.
#
# .. exercise-end::
#
# .. solution-start:: wide-steps-cancel
#    :label: wide-steps-cancel-answer
#    :class: dropdown
#
# Nearly. Between two thirds and nine tenths are left, and least of all at the narrowest width.

prompts, rows = Prompts(WordPairs(small_words()[:16])), torch.arange(16)
batches = [prompts[rows], *(prompts[rows[i : i + 1]] for i in rows)]


def kept(hidden, seed):
    whole, *of_words = [sum(by_part(with_gradients(hidden, seed, batch=each))) for each in batches]
    return whole / np.mean(of_words)


shares = np.array([[kept(H, seed) for H in WIDTHS] for seed in range(2)])
print("a batch keeps", *(f"{share:.0%}" for share in shares.mean(axis=0)))
assert 2 / 3 < shares.min() < shares.max() < 0.9
assert 0 < power(shares).mean() < 0.1 and (shares.argmin(axis=1) == 0).all()

# %%
# .. solution-end::
#
# .. exercise-start:: A recipe
#    :label: wide-steps-recipe
#
# *Hard.* :cite:t:`yang2022` start the output weights :math:`\sqrt{H}` times smaller, and let Adam's
# rate for hidden weights fall as :math:`1/H`, so that what is best for a narrow model is best for a
# wide one. What becomes of :eq:`wide-steps-powers`? Why do the two go together?
#
# .. exercise-end::
#
# .. solution-start:: wide-steps-recipe
#    :label: wide-steps-recipe-answer
#    :class: dropdown
#
# What comes back through the output weights is now of size :math:`1/H` in each of :math:`H`
# entries. So :math:`\lVert \delta \rVert_1` does not grow, :math:`\lVert g_{\text{hidden}}
# \rVert_1 \propto H`, and a bias has :math:`H^0`. The output layer keeps its :math:`H`. A rate in
# proportion to :math:`1/H` makes the first step do as much at every width.

shrunk = sums_of_parts(output=-0.5)
for i, (part, theory) in enumerate(zip(PARTS, (1, 1, 0), strict=True)):
    slope = power(shrunk[:, :, i]).mean()
    print(f"{part:15} H^{slope:.2f}, theory H^{theory}")
    assert abs(slope - theory) < 0.25

# %%
# .. solution-end::
#
# References
# ----------
#
# .. bibliography::
#    :filter: docname in docnames
#    :list: bullet
