r"""
Pretrained weights in the wrong class
=====================================

After this page you can tell when pretrained weights did not load, and say what a model computes
that was built from them all the same.
"""

import tempfile
from pathlib import Path

import torch
from safetensors.torch import load_file
from transformers import BertModel, RobertaConfig, RobertaForMaskedLM, RobertaModel
from transformers.utils import logging

from a3.bert.classifier import load_classifier
from a3.bert.pretrained import minilm, pretrained_weights
from a3.lab import figures
from a3.lab.elsewhere import elsewhere
from a3.lab.page import in_short

logging.set_verbosity_error()  # or a table of names goes to the log: see below
pretrained_weights("BERTweet")  # says whether it is at hand
scratch = tempfile.TemporaryDirectory()
folder = Path(scratch.name)
small = RobertaConfig(
    vocab_size=60, hidden_size=64, num_hidden_layers=3, num_attention_heads=4,
    intermediate_size=128, max_position_embeddings=130, type_vocab_size=1,
)  # fmt: skip


def save(folder, seed):
    """A file with BERTweet's names of weights, as if it had been trained."""
    torch.manual_seed(seed)
    model = RobertaForMaskedLM(small)
    with torch.no_grad():
        for weight in model.parameters():
            weight += 0.1 * torch.randn_like(weight)
    model.save_pretrained(folder)
    return load_file(folder / "model.safetensors")


def load(kind, folder, seed=0):
    torch.manual_seed(seed)  # of the weights that the file does not have
    model, report = kind.from_pretrained(folder, output_loading_info=True)
    return model.eval(), report


saved = save(folder, seed=1)
names = [name for name in sorted(saved) if name.startswith("roberta.")]
encoder = {name.removeprefix("roberta."): saved[name] for name in names}
models = {kind: load(kind, folder) for kind in (RobertaModel, BertModel)}
distance = {
    kind: [float((model.state_dict()[n] - w).norm() / w.norm()) for n, w in encoder.items()]
    for kind, (model, _) in models.items()
}
figure, ax = figures.subplots(
    figsize=(8, 2.8),
    alt="""Distance of each weight from the one in the file, relative to its size. In RobertaModel
    all are zero. In BertModel none is: most are near one, a few near a tenth.""",
)
for (kind, of_weights), marker in zip(distance.items(), "ox", strict=True):
    ax.plot(of_weights, marker, ms=5, label=f"{kind.__name__}.from_pretrained")
ax.set(xlabel="weight, in the order of names", ylabel="distance from file / size")
ax.set_ylim(-0.1, 1.6)
ax.legend(loc="upper right", ncols=2)
far = dict(zip(encoder, distance[BertModel], strict=True))
assert max(distance[RobertaModel]) == 0 and min(far.values()) > 0.05
assert {n for n, d in far.items() if d < 0.9} == {n for n in far if "LayerNorm.weight" in n}

# %% tags=["hide-input"]
# **One file of weights, two classes.** For each weight, that is each matrix or vector, the figure
# shows how far the model's is from the file's, over the size (norm) of the file's. Into the class
# that fits, every weight arrives. Into the other none does, and nothing stops: the model answers
# all the same. The few that look close are scales of layer norms, which begin at one anyway.
#
# The question
# ------------
#
# .. exercise-start:: What loads?
#    :label: wrong-class-what
#
# For their fourth question the handouts load BERTweet where MathBERT was, into a subclass of
# ``BertModel`` (2025, 3-4; 2023, 4-4) :cite:p:`handout2025,handout2023`. But BERTweet is a
# RoBERTa. Which of its weights arrive? What does the model compute then?
#
# .. exercise-end::
#
# .. admonition:: Try it first
#    :class: tip
#
#    A file of weights is a list of names and tensors. Look at the names first. How could you find
#    out, from outputs alone, whether a file was read?
#
# .. solution-start:: wrong-class-what
#    :label: wrong-class-what-answer
#    :class: dropdown

in_short(
    """None of its weights arrives: `BertModel` looks for other names than those in the file,
    and draws every one anew ({bert} in the small model of this page). What it computes then
    depends on the seed and not on the file, so its accuracy says nothing of what BERTweet has
    read.""",
    bert=len(models[BertModel][1]["missing_keys"]),
)

# %%
# **Names.** BERTweet is a RoBERTa :cite:p:`liu2019,nguyen2020`. Its layers are the same
# equations, so loading it into ``BertModel`` looks harmless. The hub cannot be asked on every
# machine, so the file of the opening figure stands in for it: small, with BERTweet's names of
# weights. Those of its encoder begin with ``roberta.``, which ``BertModel`` does not look for.

for kind, (loaded, report) in models.items():
    new = len(report["missing_keys"])
    print(f"{kind.__name__:13}{new:3} of {len(loaded.state_dict())} are drawn anew")
_, report = models[BertModel]
assert set(report["missing_keys"]) == set(models[BertModel][0].state_dict())
missing = models[RobertaModel][1]["missing_keys"]
assert all(name.startswith("pooler") for name in missing)

# %%
# **Whose outputs are these?** If none of the file has arrived, the file cannot matter. So we
# write another one, with other weights, and load it with the same seed. The outputs are
# identical. The same file with another seed gives other outputs: they come from the seed.

z = torch.randint(3, 60, (8, 7), generator=torch.Generator().manual_seed(0))


@torch.no_grad()
def outputs(kind, folder, seed):
    return load(kind, folder, seed)[0](z).last_hidden_state


with tempfile.TemporaryDirectory() as other:
    save(Path(other), seed=2)
    runs = ((folder, 0), (other, 0), (folder, 1))
    file, other_file, other_seed = (outputs(BertModel, *run) for run in runs)
    assert torch.equal(file, other_file) and not torch.allclose(file, other_seed)
    file, other_file, other_seed = (outputs(RobertaModel, *run) for run in runs)
    assert torch.equal(file, other_seed) and not torch.allclose(file, other_file)
print("BertModel: the seed decides. RobertaModel: the file decides.")

# %%
# transformers says so in a table in the log, and goes on.
# :func:`a3.bert.classifier.load_classifier` reads the folder's type and takes the class that
# fits: for BERTweet :class:`a3.bert.classifier.RobertaForSentenceClassification`. If weights of the
# encoder are missing, it stops.

for file in minilm().glob("*token*"):  # any tokenizer will do for this
    (folder / file.name).write_bytes(file.read_bytes())
loaded, _ = load_classifier(folder)
arrived = [torch.equal(loaded.state_dict()[n], w) for n, w in encoder.items()]
assert all(arrived)
print(f"{type(loaded).__name__}: {len(arrived)} weights of the file, all in place")
settings = (folder / "config.json").read_text()
(folder / "config.json").write_text(settings.replace('"roberta"', '"bert"'))
try:
    load_classifier(folder)
except ValueError as error:
    message = str(error)
    print(message.replace(str(folder), "the folder"))
(folder / "config.json").write_text(settings)
assert f"lacks {len(encoder)} weights of the encoder" in message

# %%
# .. solution-end::
#
# What this may have cost
# -----------------------
#
# A published run of the handouts' notebook, which loads BERTweet into ``BertModel``, reports a
# validation accuracy for it that is printed below. Beside it belongs what always answering
# *positive* gives, for a stratified 192 of the course's 640 training sentences.

labels = elsewhere("the course's training sentences")["value"]
assert labels.sum() == 640
positive = labels["positive"] * 192 / labels.sum()
majority = positive / 192
print(f"always positive: {positive:.1f} of 192 = {majority:.3f}")
bertweet = elsewhere("a student's published run")["value"]["BERTweet"]
ends = [192 * (bertweet + rounding) for rounding in (-0.005, 0.005)]
print(f"published: {bertweet:.2f}, from {ends[0]:.1f} to {ends[1]:.1f} of 192 right")
assert 0 < bertweet * 192 - positive < 4

# %%
# A few sentences in 192 lie between. So the figure is consistent with a model that has learned
# next to nothing. One number cannot prove it, and it says nothing about tweets as pretraining
# data: that question is :doc:`on its own page <pretraining_data>`.
#
# .. admonition:: Where this differs
#    :class: differs
#
#    *From the handouts:* our classifier refuses such weights, and takes the class by their
#    type. *From the paper:* BERTweet has a tokenizer of its own as well, with other tokens than
#    BERT's; it has to fit the weights, too. *From common practice:* a class is seldom chosen by
#    hand; ``AutoModel`` reads the type, as ``load_classifier`` does.
#
# Summary
# -------
#
# A file of weights is names and tensors. In a class with other names all of it is dropped, and only
# a log says so. What is left is a random model, whose outputs depend on the seed and not on the
# file.
#
# Exercises
# ---------
#
# .. exercise-start:: A test for any file of weights
#    :label: wrong-class-test
#
# *Easy.* Write a function that says whether a class reads a file: load it with two seeds, and
# compare the outputs. Try it on both classes.
#
# .. exercise-end::
#
# .. solution-start:: wrong-class-test
#    :label: wrong-class-test-answer
#    :class: dropdown
#
# The last hidden state is the one to compare. The pooler is new in either class, since
# pretraining without sentence pairs leaves none.


def reads(kind, folder):
    return torch.equal(outputs(kind, folder, seed=3), outputs(kind, folder, seed=4))


print({kind.__name__: reads(kind, folder) for kind in models})
assert reads(RobertaModel, folder) and not reads(BertModel, folder)

# %%
# .. solution-end::
#
# .. exercise-start:: Half of it
#    :label: wrong-class-half
#
# *Medium.* A file has only some of the layers. Does RobertaModel load it? Does the test
# above notice? Does ``load_classifier``?
#
# .. exercise-end::
#
# .. solution-start:: wrong-class-half
#    :label: wrong-class-half-answer
#    :class: dropdown
#
# It loads, with a last layer that is drawn anew. Both notice.

with tempfile.TemporaryDirectory() as half:
    fewer = RobertaConfig(**small.to_dict() | {"num_hidden_layers": 2})
    RobertaModel(fewer).save_pretrained(half)
    (Path(half) / "config.json").write_text(settings)  # which promises three
    assert not reads(RobertaModel, half)
    try:
        load_classifier(half)
    except ValueError as error:
        message = str(error)
last = sum(name.startswith("encoder.layer.2.") for name in encoder)
assert f"lacks {last} weights of the encoder" in message
print(message.replace(half, "the folder"))

# %%
# .. solution-end::
#
# .. exercise-start:: When all names fit
#    :label: wrong-class-positions
#
# *Hard.* Take ``roberta.`` off every name in the file, so that ``BertModel`` finds all weights of
# its encoder. Are its outputs now RobertaModel's? If not, what else has to change?
#
# .. exercise-end::
#
# .. solution-start:: wrong-class-positions
#    :label: wrong-class-positions-answer
#    :class: dropdown
#
# They are not. RoBERTa leaves the first two rows of its table of positions to padding, and counts
# positions from 2. Nothing warns, since every name and shape fits. With positions shifted by two
# the outputs agree. A model is its weights *and* the code that uses them.

roberta, wrong = models[RobertaModel][0], models[BertModel][0]
wrong.load_state_dict(roberta.state_dict())  # every name fits
with torch.no_grad():
    expected = roberta(z).last_hidden_state
    from_zero = (wrong(z).last_hidden_state - expected).abs().max().item()
    shifted = wrong(z, position_ids=torch.arange(2, 9)[None]).last_hidden_state
from_two = (shifted - expected).abs().max().item()
assert from_two < 1e-4 < 0.1 < from_zero
print(f"off by {from_zero:.1f} counted from 0, {from_two:.0e} counted from 2")

# %%
# .. solution-end::
#
# References
# ----------
#
# .. bibliography::
#    :filter: docname in docnames
#    :list: bullet
