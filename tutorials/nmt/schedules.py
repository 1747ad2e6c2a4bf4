r"""
Learning-rate schedules: a point on the way is not an end
=========================================================

After this page you can say how much of its :term:`learning rate` a run has spent by each budget,
and when a loss read off on the way may stand for a run of that length.
"""

import numpy as np
import pandas as pd

from a3.lab import figures
from a3.lab.environment import profile
from a3.lab.page import in_short, show
from a3.runs.scaling import BUDGETS, sweep
from a3.translation.decoder_only import DecoderOnlyTransformer
from a3.translation.pig_latin import small_words
from a3.translation.prompts import Prompts
from a3.translation.word_pairs import WordPairs

full = profile() == "full"
budgets = [C if full else C / 128 for C in BUDGETS]
widths = (16, 32, 64, 128) if full else (8, 16)
runs = sweep("schedules")
GAMMA = 0.99  # factor on the rate after each epoch


def loss(runs):
    return runs.pivot_table("loss", ["budget", "seed"], "hidden")


at_an_end = loss(runs[runs["decay"].isna() & (runs["budget"] == runs["until"])])
on_the_way = loss(runs.query("decay == @GAMMA and learning_rate == 2e-3")).loc[at_an_end.index]
ratio = on_the_way / at_an_end

training, _ = Prompts(WordPairs(small_words())).split(seed=0)
epoch = {H: 3 * DecoderOnlyTransformer(H).flops(training) for H in widths}  # FLOPs


def cosine(share):
    """From 1 to 0.1 as the share of the budget that is spent goes from 0 to 1."""
    return 0.55 + 0.45 * np.cos(np.pi * share)


figure, (left, right) = figures.subplots(
    1, 2, figsize=(8, 3.3),
    alt="""Left: learning rate against compute. At width 16 it falls to a quarter by 0.32 TFLOPs, at
    width 128 by a few per cent; three cosines fall to a tenth. Right: loss on the way over loss at
    an end, nearly all below one; at the largest budget width 16 is near one, 64 on both sides.""",
)  # fmt: skip
share = np.linspace(0, 1, 500)
for H, style in ((widths[0], "-"), (widths[-1], "--")):
    rate = GAMMA ** np.floor(share * budgets[2] / epoch[H])
    left.plot(share * budgets[2] / 1e12, rate, style, label=f"width {H}")
for end, label in zip(budgets[:3], ("cosines", None, None), strict=True):
    left.plot(share * end / 1e12, cosine(share), "C2:", label=label)
left.set(xlabel="compute (TFLOPs)", ylabel="rate, share of its start", ylim=(0, 1.15))
left.legend(ncols=3, loc="upper center", fontsize="small", columnspacing=1, handlelength=1.5)
center = np.exp(np.log(ratio).groupby("budget").mean())
for end, style, mark in zip(budgets[:3], (":", "--", "-"), "^so", strict=True):
    (line,) = right.plot(center.loc[end], style, label=f"{end / 1e12:.2g} TFLOPs")
    right.plot(ratio.loc[end].T, mark, ms=4, alpha=0.6, color=line.get_color())
right.axhline(1, color="#888888", lw=1)
right.set(xscale="log", yscale="log", xlabel="width", ylabel="loss on the way / at an end")
right.set_xticks(widths, widths)
right.set_yticks([0.5, 1, 2], ["0.5", "1", "2"])
right.minorticks_off()
right.legend()

# %% tags=["hide-input"]
# The handouts read five budgets off one run for each width. **Left,** the rate of such a run, which
# falls by a hundredth each epoch, at two widths, and three cosines that end at a budget. **Right,**
# the loss on the way over that at the end of such a cosine. Lines are geometric means, marks single
# seeds. Below 1, the run that was stopped on the way is better.
#
# The question
# ------------
#
# .. exercise-start:: Five budgets from one run (after 2025, 2.3-2; 2023, 3.3-2)
#    :label: schedules-question
#
# A loss at a small budget can be read off a long run as it passes, or be that of a run planned to
# end there. The handouts do the first :cite:p:`handout2025,handout2023`, :cite:t:`hoffmann2022` the
# second: read on the way, they write, short runs look worse than they are, which helped
# :cite:t:`kaplan2020` to conclude that a larger budget should go mostly into size. Which is lower
# here, at which width, and does it change which width leads?
#
# .. exercise-end::
#
# .. admonition:: Try it first
#    :class: tip
#
#    A schedule that ends in time lets the noise of the steps settle. It also takes smaller steps.
#    Which of the two matters more early in training?
#
# .. solution-start:: schedules-question
#    :label: schedules-question-answer
#    :class: dropdown

same = (on_the_way.idxmin(axis=1) == at_an_end.idxmin(axis=1)).sum()
if full:
    first, last = ratio.loc[budgets[0]], ratio.loc[budgets[2]]
    assert same >= 4 and (first < 1).all(axis=None) and (last[[32, 128]] < 1).all(axis=None)
    assert (last[16] > 1.1 * first[16]).all() and 0.85 < last[16].mean() < 1.2
    assert np.divide(*sorted(last[64])) < 0.7
in_short(
    """The loss on the way is lower in {lower} of {all} comparisons, at the smallest budget at every
    width and with both seeds. The width that leads is the same in {same} of {of} cases.""",
    **dict(lower=(ratio < 1).sum().sum(), all=ratio.size, same=same, of=len(ratio)),
)

# %% tags=["hide-input"]
# Both kinds of run start from the same rate, weights and words. The cosine falls to a tenth.

table = pd.concat({"loss on the way": on_the_way, "loss at an end": at_an_end}, axis="columns")
table.index = [f"{C / 1e12:.3g} TFLOPs, seed {seed}" for C, seed in table.index]
show(table.style.format("{:.2f}"))

# %%
# At the smallest budget the planned end is the *worse* one, for every width and both seeds. At the
# largest it is still worse at 32 and 128. At width 16 it is closer with both seeds, and on their
# mean we cannot tell which is better; the two seeds of width 64 are too far apart to say.
#
# **What a schedule has spent.** After :math:`E` epochs with a factor :math:`\gamma` after each,
# the mean of the rate, as a share of its start, is
#
# .. math:: m(E) = \frac{1}{E} \sum_{e=0}^{E-1} \gamma^e = \frac{1 - \gamma^E}{E\,(1 - \gamma)},
#    :label: schedules-spent
#
# and that of a cosine from 1 to 0.1 is 0.55. An epoch costs more FLOPs in a wider model, so at
# equal compute :math:`E` differs by a factor of tens:

E = pd.DataFrame({H: {C / 1e12: C / epoch[H] for C in budgets} for H in widths})
mean_rate = (1 - GAMMA**E) / (E * (1 - GAMMA))
parts = {"epochs": E, "rate left": GAMMA ** np.floor(E), "mean rate": mean_rate}
shares = pd.concat(parts, axis="columns").rename("{:.3g} TFLOPs".format)
less, loses = mean_rate[:3].to_numpy() < 0.55, center.to_numpy() < 1
lost, of = loses[~less].sum(), (~less).sum()
print(f"a cosine that spends less loses in {lost} of {of} cases")
if full:
    assert less.sum() == 1 and less[2, 0] and lost >= of - 2 and E.iloc[0, 0] > 20 * E.iloc[0, -1]
show(shares.style.format("{:.2g}").format("{:.0f}", subset=["epochs"]))

# %%
# Of all runs compared, only width 16 at 0.32 TFLOPs has spent no more than its cosine on the way
# there, and there the planned end has caught up. Everywhere else the cosine spends less, and nearly
# everywhere it loses. It takes from narrow models what they lack: :doc:`tuned one by one
# <tuned_widths>`, they learn faster still at four times this rate.
#
# .. solution-end::
#
# When a decaying end helps
# -------------------------
#
# The :doc:`noisy quadratic model </resources/learning_rate>` has both effects. In a direction of
# curvature :math:`h`, with noise of variance :math:`c` in its gradient, a step at rate
# :math:`\eta_t` gives
#
# .. math:: E[w_{t+1}^2] = (1 - \eta_t h)^2 \, E[w_t^2] + \eta_t^2 c .
#    :label: schedules-moment
#
# The first term forgets the start, and wants a high rate. The second adds noise, and wants a low
# one at the end. We follow both schedules from several peaks, over 60 directions.

h = np.logspace(0, -3, 60)  # curvatures; the noise is c = h


def final_losses(T, peaks):
    """Expected loss after T steps at each constant rate, and by a cosine from it."""
    second = 1 / h  # E[w^2], soon of shape (2, peaks, 60)
    for share in np.arange(T) / T:
        eta = np.multiply.outer([1, cosine(share)], peaks)[..., None]
        second = (1 - eta * h) ** 2 * second + eta**2 * h
    return (h * second).sum(axis=-1) / 2


lengths, peaks = (30, 300, 3000), (0.02, 0.1, 0.5)
model = np.array([np.divide(*final_losses(T, peaks)) for T in lengths])
assert model[:, :2].max() < 1 and model[0, 2] < 1 < model[2, 2]
columns = [f"peak rate {peak:g}" for peak in peaks]
show(pd.DataFrame(model, [f"{T} steps" for T in lengths], columns).style.format("{:.2f}"))

# %% tags=["hide-input"]
# The table divides the loss of a constant rate by that of a cosine, like the figure. At the lower
# two peaks the decaying end hurts at each of these lengths. At the highest it hurts in short runs
# and helps in long ones, where what is left is noise. Ours are like short ones at a low peak.
#
# The handouts' points
# --------------------
#
# The handouts' own runs start at a quarter of the rate used here, and go on to 1.28 TFLOPs, four
# times as far. By then width 16 has next to no rate left, and its curve is nearly flat for want of
# a rate, not of size: from sixteen times the rate it is far lower with a quarter of the compute.

H, short, long = widths[0], budgets[2], budgets[-1]
early, late = (loss(sweep("six widths"))[H].loc[C] for C in (short, long))
raised = loss(runs[runs["learning_rate"] == 8e-3]).loc[short, H]
for times, C, of in ((1, short, early), (1, long, late), (16, short, raised)):
    print(f"{times} x rate, {C / 1e12:.3g} TFLOPs: {of.min():.2f} to {of.max():.2f}")
assert not full or ((early / late).max() < 1.5 and raised.max() < late.min() / 3)

# %%
# .. admonition:: Where this differs
#    :class: differs
#
#    *From the handouts:* they have one schedule, counted in epochs. *From the paper:* one peak rate
#    for all, far shorter runs, and the opposite result. *From common practice:* the peak is tuned
#    for each schedule; :cite:t:`porian2024` do, and find that the decay matters little for the law.
#
# Summary
# -------
#
# A point on the way and the end of a run are two measurements. A decaying end removes noise and
# costs progress: in nearly all of our runs, at one rate, more than it gives. A decay counted in
# epochs ends at another budget for each width, and all but stops the handouts' narrowest model.
#
# Exercises
# ---------
#
# .. exercise-start:: All the rate there is
#    :label: schedules-total
#
# *Easy.* How many epochs at the starting rate is an endless run worth, if the rate falls by a
# hundredth after each? What share of that has each width had by 1.28 TFLOPs?
#
# .. exercise-end::
#
# .. solution-start:: schedules-total
#    :label: schedules-total-answer
#    :class: dropdown
#
# :math:`E\,m(E)` in :eq:`schedules-spent` tends to :math:`1/(1-\gamma)`, a hundred epochs. The
# share is :math:`1 - \gamma^E`.

share = (E * mean_rate).iloc[-1] * (1 - GAMMA)
assert np.allclose([*share, 100], [*(1 - GAMMA ** E.iloc[-1]), 1 / (1 - GAMMA)])
print(", ".join(f"width {H}: {value:.0%}" for H, value in share.items()))

# %%
# .. solution-end::
#
# .. exercise-start:: A decay that is fair to all widths
#    :label: schedules-fair
#
# *Medium.* Give each width its own factor, so that all have a tenth of the rate left at the last
# budget. Do all then have the same mean rate?
#
# .. exercise-end::
#
# .. solution-start:: schedules-fair
#    :label: schedules-fair-answer
#    :class: dropdown
#
# :math:`\gamma_H^{E_H} = 0.1` gives :math:`\gamma_H = 0.1^{1/E_H}`. For many epochs
# :math:`E (1 - \gamma) \to \ln 10`, so by :eq:`schedules-spent` the mean tends to
# :math:`0.9 / \ln 10`. Few epochs have coarse steps and a mean slightly above it.

last_epochs = E.iloc[-1] if full else 100 * E.iloc[-1]
fair = 0.1 ** (1 / last_epochs)
means = (1 - 0.1) / (last_epochs * (1 - fair))
print(pd.DataFrame({"factor": fair, "mean rate": means}).round(3).T.to_string())
assert means.is_monotonic_increasing and (means > 0.9 / np.log(10)).all()
assert not full or means.max() / means.min() < 1.1

# %%
# .. solution-end::
#
# .. exercise-start:: A fair contest
#    :label: schedules-tuned
#
# *Hard.* In the noisy quadratic model, tune the peak for each schedule and each length before you
# compare them. Which schedule wins now, and how far apart are the two peaks?
#
# .. exercise-end::
#
# .. solution-start:: schedules-tuned
#    :label: schedules-tuned-answer
#    :class: dropdown
#
# The cosine wins at every length tried, by more the longer the run, from a peak at least twice as
# high. A comparison at one peak, like ours, measures the peak as well.

peaks, gains = np.geomspace(0.05, 1.9, 40), []
for T in lengths:
    flat, falling = final_losses(T, peaks)
    gains.append(flat.min() / falling.min())
    higher = peaks[falling.argmin()] / peaks[flat.argmin()]
    print(f"{T} steps: loss / {gains[-1]:.2f}, peak x {higher:.1f}")
    assert higher > 2
assert 1 < gains[0] < gains[1] < gains[2]

# %%
# .. solution-end::
#
# References
# ----------
#
# .. bibliography::
#    :filter: docname in docnames
#    :list: bullet
