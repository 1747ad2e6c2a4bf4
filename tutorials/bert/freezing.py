r"""
Freezing BERT: what is not computed
===================================

After this page you can say which gradients freezing leaves out, measure what that saves, and
train a classifier on a frozen model without computing anything twice.
"""

from statistics import median
from time import process_time as clock
from timeit import timeit

import numpy as np
import pandas as pd
import torch
from torch.nn import functional as F
from torch.utils.flop_counter import FlopCounterMode
from transformers import BertModel

from a3.bert.classifier import load_classifier
from a3.bert.fine_tuning import FineTuning, encode, features, fine_tune, fit_linear
from a3.bert.pretrained import pretrained_weights
from a3.bert.verbal_arithmetic import splits, verbal_arithmetic
from a3.lab import figures
from a3.lab.environment import profile
from a3.lab.page import in_short, show
from a3.runs.fine_tuning import fine_tuned

full = profile() == "full"
found = pretrained_weights("MathBERT")  # says which it is
tuned, tokenizer = load_classifier(found.folder)
frozen = load_classifier(found.folder)[0].requires_grad_(False)
frozen.classifier.requires_grad_(True)
both = {"all weights": tuned, "frozen": frozen}
sentences = encode(tokenizer, verbal_arithmetic())
training, validation = (sentences[[*part.index]] for part in splits(0)[:2])
batch, validation = training[:32], validation[:32]  # enough to measure time


def loss_of(model):
    return F.cross_entropy(model(**batch.inputs).logits, batch.labels)


def seconds(model, optimizer):
    began = clock()
    loss = loss_of(model)
    middle = clock()
    loss.backward()
    ended = clock()
    optimizer.step()
    optimizer.zero_grad()
    return middle - began, ended - middle, clock() - ended


times = {name: [] for name in both}
for name, model in [*both.items()] * 3:
    optimizer = torch.optim.AdamW(model.train().parameters(), lr=0.0, fused=True)
    seconds(model, optimizer)  # its first step makes its running means
    times[name].append(seconds(model, optimizer))
    model.eval()
began = clock()
kept = [(features(frozen, part), part.labels) for part in (training, validation)]
once = clock() - began
again = torch.cat([features(frozen, part) for part in (training[:100], training[100:])])
off = (again - kept[0][0]).abs().max().item()
assert off < 1e-5
one = FineTuning(epochs=1, learning_rate=1e-12)  # the weights stay
kept_epoch = timeit(lambda: fit_linear(*kept, one), timer=clock, number=10) / 10  # it is short
again_epoch = timeit(lambda: fine_tune(frozen, training, validation, one), timer=clock, number=1)
parts = np.median([[*times["all weights"]], [*times["frozen"]]], axis=1) * 1e3  # ms
parts = np.vstack([parts, [0, 0, 1e3 * kept_epoch / 14]])  # 14 steps an epoch
alt = "Time of a step. All weights: three parts. Frozen: the first alone. Kept: a sliver."
figure, ax = figures.subplots(figsize=(8, 2.2), alt=alt)
left = np.zeros(3)
hatches = {"forward": "", "backward": "//", "update": ".."}
for of_part, (name, hatch) in zip(parts.T, hatches.items(), strict=True):
    ax.barh(range(3), of_part, left=left, height=0.6, label=name, hatch=hatch, alpha=0.8)
    left += of_part
ax.set_yticks(range(3), ["all weights", "frozen", "frozen, kept"])
ax.set(xlabel="milliseconds of a core a step", ylim=(2.5, -0.5))
ax.legend(loc="lower right")

# %% tags=["hide-input"]
# **A step on 32 sentences.** Training all weights takes a forward pass, a backward pass and an
# update. A frozen model takes the first alone. If what it gives is computed once and kept, not
# even that is left: the last bar is hardly there.
#
# The question
# ------------
#
# .. exercise-start:: Freezing the pretrained weights (2025, 3-3; 2023, 4-3)
#    :label: b3
#
# Train only the classifier and leave BERT's weights as they are. Compared with :doc:`training all
# <fine_tuning>`, what happens to the time, and why? To the validation accuracy, and why
# :cite:p:`handout2025,handout2023`?
#
# .. exercise-end::
#
# .. admonition:: Try it first
#    :class: tip
#
#    A step has a forward pass, a backward pass and an update. Which of them does freezing remove?
#
# .. solution-start:: b3
#    :label: b3-answer
#    :class: dropdown

runs = fine_tuned("freezing")
of_arms = {arm: [run.scores(splits(run.seed)[1]) for run in runs[arm]] for arm in runs}
rows = {arm: [each.accuracy for each in of] for arm, of in of_arms.items()}
rows["always positive"] = [each.majority for each in of_arms["frozen, handouts"]]
mean = pd.DataFrame(rows).mean()
recipe, steps = FineTuning(), len(runs["frozen, handouts"][0].progress.train_loss)
drawn = frozen.config.initializer_range  # size of the classifier's weights
ms = {name: 1e3 * median(map(sum, of_steps)) for name, of_steps in times.items()}
assert steps == 14 * recipe.epochs and steps * recipe.learning_rate < drawn / 5
assert ms["all weights"] > 1.5 * ms["frozen"]
if full and found.name == "MiniLM":
    assert (np.array([*rows.values()]) <= np.array(rows["always positive"]) + 1e-9).all()
    assert mean["frozen, handouts"] < mean["full, handouts"] - 0.1
in_short(
    """With BERT's weights frozen a step on {sentences} sentences takes {ms[frozen]:.0f} ms in place
    of {ms[all weights]:.0f} ms here. What is left out is the backward pass through BERT and the
    update of its weights; the forward pass remains. By the handouts' recipe the validation accuracy
    falls from {all:.3f} to {frozen:.3f} (means over {seeds} seeds), although the first is no better
    than always answering *positive*. Each of the {steps} steps moves a weight by about
    {recipe.learning_rate:g}, the learning rate, or less, so the classifier stays near its random
    start (weights of size {drawn:g}), and the features, being frozen, cannot adapt to it.""",
    sentences=len(batch.labels), seeds=len(rows["always positive"]), ms=ms, steps=steps,
    all=mean["full, handouts"], frozen=mean["frozen, handouts"], recipe=recipe, drawn=drawn,
)  # fmt: skip

# %%
# **Which gradients exist?** The loss is a function of the classifier's weights :math:`W, b` and
# of the pooled token :math:`p`, which depends on all others. By the chain rule
#
# .. math::
#    :label: frozen-gradients
#
#    \frac{\partial \ell}{\partial W} = \delta\, p^\top, \qquad
#    \frac{\partial \ell}{\partial b} = \delta, \qquad
#    \frac{\partial \ell}{\partial \theta_{\text{BERT}}}
#    = \Bigl(\frac{\partial p}{\partial \theta_{\text{BERT}}}\Bigr)^{\!\top} W^\top \delta ,
#
# with :math:`\delta = \operatorname{softmax}(\text{logits}) - y` and :math:`y` the label as a
# one-hot vector. The first two need :math:`p` alone. Only the third goes back through the layers.
# If no weight of BERT asks for a gradient, it is never begun. The first two do not change.

for model in (tuned, frozen):
    model.zero_grad()
    loss_of(model).backward()
have = {n: p.grad for n, p in frozen.named_parameters() if p.grad is not None}
assert all(p.grad is not None for p in tuned.parameters())
assert set(have) == {"classifier.weight", "classifier.bias"}
assert torch.allclose(have["classifier.weight"], tuned.classifier.weight.grad, atol=1e-5)
sizes = [sum(p.numel() for p in m.parameters() if p.requires_grad) for m in both.values()]
print(f"gradients of {sizes[0]:,} numbers; frozen, of {sizes[1]:,}, else None")

# %%
# **What does that save?** Every matrix product of the forward pass has two in the backward pass,
# for its weights and for its inputs. So a full step has three times the operations, or nearly.


def operations(run, *inputs):
    with FlopCounterMode(display=False) as counter:
        run(*inputs)
    return counter.get_total_flops() / 1e9


table = pd.DataFrame(
    {
        "GFLOPs forward": operations(loss_of, model),
        "GFLOPs backward": operations(loss_of(model).backward),
        "ms a step": ms[name],
        "of it backward": median(each[1] / sum(each) for each in times[name]),
        "of it update": median(each[2] / sum(each) for each in times[name]),
    }
    for name, model in both.items()
).set_axis([*both])
flops = table["GFLOPs backward"] / table["GFLOPs forward"]
assert 1.9 < flops["all weights"] <= 2.01 and flops["frozen"] < 1e-3
shares = table[["of it backward", "of it update"]]
assert shares.iloc[0, 0] > 0.25 > 0.15 > shares.iloc[1, 0]
show(table.style.format(precision=2).format("{:.0%}", subset=[*shares]))

# %%
# **The same thing, every epoch.** Out of training mode, that is without dropout, a frozen encoder
# gives a sentence the same vector in every epoch. Compute it once: what is left is a linear model.

print(f"kept and computed again differ by {off:.0e}")
print(f"an epoch: {again_epoch:.2f} s; kept, {kept_epoch:.4f} s and {once:.2f} s once")
assert again_epoch / kept_epoch >= 20

# %%
# Leaving out the forward pass as well makes an epoch at least twenty times as fast again.
#
# **The accuracy** by the handouts' recipe. A column is a seed.

zero = sum(each.confusion for each in of_arms["frozen, handouts"])[1]
print(f"zeros found when frozen: {zero[1]} of {zero.sum()}")
show(pd.DataFrame(rows).T.style.format("{:.3f}"))

# %%
# Freezing lowers the mean by more than ten points. That it finds some *zeros* is no merit:
# :doc:`fair_recipe` shows how often it answers so. Training all weights is no better than always
# saying *positive*, with any seed. So this is about the recipe; that page has a fair one.
#
# .. solution-end::
#
# .. admonition:: Where this differs
#    :class: differs
#
#    *From the handouts:* what freezing costs by a fair recipe is on :doc:`a page of its own
#    <fair_recipe>`. *From the paper:* it too gives kept vectors, of several layers, to a classifier
#    :cite:p:`devlin2019`. *From common practice:* one often trains a few weights of the encoder.
#
# Summary
# -------
#
# Freezing stops :eq:`frozen-gradients` after two terms, which saves the backward pass. Keeping what
# a frozen encoder gives saves the forward pass too. By the handouts' recipe no constant is beaten.
#
# Exercises
# ---------
#
# .. exercise-start:: When does keeping pay?
#    :label: freezing-pays
#
# *Easy.* The vectors must be computed once. After how many epochs has that paid off?
#
# .. exercise-end::
#
# .. solution-start:: freezing-pays
#    :label: freezing-pays-answer
#    :class: dropdown
#
# Soon, after fewer than four: it costs about what an epoch's forward passes cost.

pays = once / (again_epoch - kept_epoch)
print(f"after {pays:.1f} epochs")
assert pays < 4

# %%
# .. solution-end::
#
# .. exercise-start:: Before you measure
#    :label: freezing-predict
#
# *Medium.* From the shares of a full step predict how many times as fast a frozen one is. Is it so?
#
# .. exercise-end::
#
# .. solution-start:: freezing-predict
#    :label: freezing-predict-answer
#    :class: dropdown
#
# What remains is one less these shares. Prediction and measurement are within a factor of 2.5: a
# frozen forward pass need not cost the same, since it saves nothing for a backward pass.

remains = 1 - shares.loc["all weights"].sum()
measured = ms["all weights"] / ms["frozen"]
print(f"predicted {1 / remains:.1f}, measured {measured:.1f}")
assert 0.4 < measured * remains < 2.5

# %%
# .. solution-end::
#
# .. exercise-start:: With dropout on
#    :label: freezing-dropout
#
# *Hard.* The handouts' frozen run leaves dropout on in the encoder. By how much do its vectors
# differ from epoch to epoch, beside how they differ from sentence to sentence? Could one still
# keep them?
#
# .. exercise-end::
#
# .. solution-start:: freezing-dropout
#    :label: freezing-dropout-answer
#    :class: dropdown
#
# To the linear model :term:`dropout` is noise on its inputs. One can keep several draws, in turn.

with torch.random.fork_rng(), torch.no_grad():
    torch.manual_seed(0)
    of_draws = [BertModel.forward(frozen.train(), **batch.inputs)[1] for _ in range(8)]
draws = torch.stack(of_draws)
noise = draws.var(dim=0).mean() / draws.mean(dim=0).var(dim=0).mean()
assert noise > 0.01
print(f"variance from dropout over that from the sentences: {noise:.2f}")

# %%
# .. solution-end::
#
# References
# ----------
#
# .. bibliography::
#    :filter: docname in docnames
#    :list: bullet
