r"""
A classifier on top of BERT
===========================

After this page you can write BERT's encoder from its equations, put a classifier on it, and check
both against a library, up to rounding.
"""

import tempfile

import torch
from torch import nn
from torch.nn import functional as F
from transformers import BertForSequenceClassification, BertModel

from a3.bert.classifier import load_classifier
from a3.bert.fine_tuning import encode
from a3.bert.pretrained import pretrained_weights
from a3.bert.verbal_arithmetic import LABELS, verbal_arithmetic
from a3.lab.drawing import Drawing
from a3.lab.page import show

found = pretrained_weights("MathBERT")  # says which it is
model, tokenizer = load_classifier(found.folder)
data = verbal_arithmetic()
sentences = encode(tokenizer, data)  # all 800, padded to one length
z = sentences.inputs["input_ids"][490]  # of one sentence
tokens = tokenizer.convert_ids_to_tokens(z)
drawing = Drawing(
    400, 328,
    alt="""Tokens go through embeddings and all layers. The last vector of the first goes on through
    the pooler and the classifier, to three logits. All but the classifier is pretrained.""",
)  # fmt: skip
drawing.box(6, 84, 388, 214, dashed=True)
drawing.text(384, 113, "pretrained:\nto be trained, or frozen", align="end")
drawing.text(88, 10, "negative, zero, positive")
drawing.box(24, 34, 128, 28, "classifier W, b", color=1)
drawing.text(162, 48, "new: always to be trained", align="start")
drawing.box(24, 98, 128, 28, "pooler", color=0)
for y, name in ((146, "layer L: attention, MLP"), (204, "layer 1: attention, MLP")):
    drawing.box(24, y, 352, 28, name, color=0)
drawing.box(24, 256, 352, 28, "embeddings: word + position + segment", color=0)
drawing.text(235, 189, "· · ·")
arrows = [(60, 34, 20), (60, 98, 62), (60, 146, 126)]
for x, token in zip(range(60, 350, 70), tokens, strict=False):
    drawing.text(x, 316, token)
    arrows += [(x, 305, 284), (x, 256, 232), (x, 204, 174)]
for x, y, end in arrows:
    drawing.arrow((x, y), (x, end))
show(drawing)

# %%
# The question
# ------------
#
# .. exercise-start:: Add a classifier to BERT (2025, 3-1; 2023, 4-1)
#    :label: b1
#
# Complete ``BertForSentenceClassification``, a subclass of transformers' ``BertModel``: what is
# added when it is made, and what does its forward pass return :cite:p:`handout2025,handout2023`?
#
# .. exercise-end::
#
# .. admonition:: Try it first
#    :class: tip
#
#    BERT gives a vector for each token. Which would you classify, and why may it stand for the
#    sentence? What shape must the new weights have?
#
# .. solution-start:: b1
#    :label: b1-answer
#    :class: dropdown
#
# .. admonition:: In short
#    :class: in-short with-code
#
#    A linear layer from BERT's width to the labels is added, and the cross-entropy. The forward
#    pass classifies the pooled token, ``pooler_output``, which is what the notebook calls the
#    representation of ``[CLS]``. It returns the :term:`logits <logit>` first, and behind them the
#    loss if there are labels.


class BertForSentenceClassification(BertModel):
    def __init__(self, config):
        super().__init__(config)
        self.classifier = nn.Linear(config.hidden_size, config.num_labels)
        self.loss = nn.CrossEntropyLoss()

    def forward(self, labels=None, **kwargs):
        outputs = super().forward(**kwargs)
        logits = self.classifier(outputs.pooler_output)  # (B, num_labels)
        if labels is None:
            return (logits,)
        return logits, self.loss(logits, labels)


# %%
# With the same weights it gives the same logits and loss as transformers' own
# ``BertForSequenceClassification``, where names of the encoder's weights begin with ``bert.``, and
# as our :class:`a3.bert.classifier.BertForSentenceClassification`. It loads a file of either.

weights, labels = model.state_dict(), sentences.labels[::8]
theirs = BertForSequenceClassification(model.config).eval()
own = {n if "classifier" in n else f"bert.{n}": w for n, w in weights.items()}
theirs.load_state_dict(own)
some = {name: x[::8] for name, x in sentences.inputs.items()}
for other in (theirs, model):
    with torch.no_grad(), tempfile.TemporaryDirectory() as saved_here:
        other.save_pretrained(saved_here)
        ours = BertForSentenceClassification.from_pretrained(saved_here).eval()
        logits, loss = ours(**some, labels=labels)
        expected = other(**some, labels=labels)
    off = max((logits - expected.logits).abs().max(), abs(loss - expected.loss))
    assert off < 1e-6 and torch.equal(ours(**some)[0], logits)
    print(f"largest difference over {len(logits)} sentences: {off:.0e}")

# %%
# **What goes in.** The tokenizer turns words into numbers and puts ``[CLS]`` in front and ``[SEP]``
# behind. Shorter sentences would be filled with ``[PAD]``; a mask says which tokens are real.

print(" ".join(tokens), z.tolist())
print({name: tuple(x.shape) for name, x in sentences.inputs.items()})

# %%
# **What BERT does with it** :cite:p:`devlin2019`. Let :math:`E`, :math:`P` and :math:`S` be its
# tables of words, positions and segments (the first sentence of a pair is segment 0, and we have no
# second), LN layer normalization :cite:p:`ba2016` and GELU a smoothed ReLU. For the tokens
# :math:`z_1, \dots, z_T` and the layers :math:`l = 1, \dots, L`, all vectors of width :math:`H`,
#
# .. math::
#    :label: bert-encoder
#
#    \begin{aligned} x^{(0)}_t &= \operatorname{LN}(E_{z_t} + P_t + S_0), \\
#    a^{(l)} &= \operatorname{LN}\bigl(x^{(l-1)}
#    + W_o \operatorname{Attention}(x^{(l-1)}) + b_o\bigr), \\
#    x^{(l)}_t &= \operatorname{LN}\bigl(a^{(l)}_t
#    + W_2 \operatorname{GELU}(W_1 a^{(l)}_t + b_1) + b_2\bigr). \end{aligned}
#
# This is :doc:`the self-attention </tutorials/nmt/attention>` of Part IV, with several heads side
# by side and no :term:`causal mask`: every token looks at every other, in both directions. These
# are the equations in code, and agree with ``BertModel``.


def bert(weights, z, layers, heads):  # z: tokens (B, T), none of them padding
    def linear(x, name):
        return F.linear(x, weights[f"{name}.weight"], weights[f"{name}.bias"])

    def norm(x, name):
        scale, shift = (weights[f"{name}.LayerNorm.{n}"] for n in ("weight", "bias"))
        return F.layer_norm(x, scale.shape, scale, shift, eps=1e-12)

    tables = "word", "position", "token_type"
    E, P, S = (weights[f"embeddings.{n}_embeddings.weight"] for n in tables)
    x = norm(E[z] + P[: z.shape[1]] + S[0], "embeddings")  # (B, T, H)
    for i in (f"encoder.layer.{depth}" for depth in range(layers)):
        Q, K, V = (
            linear(x, f"{i}.attention.self.{n}").unflatten(2, (heads, -1)).transpose(1, 2)
            for n in ("query", "key", "value")
        )  # (B, heads, T, H / heads)
        c = F.scaled_dot_product_attention(Q, K, V).transpose(1, 2).flatten(2)
        a = linear(c, f"{i}.attention.output.dense")
        a = norm(x + a, f"{i}.attention.output")
        m = linear(F.gelu(linear(a, f"{i}.intermediate.dense")), f"{i}.output.dense")
        x = norm(a + m, f"{i}.output")
    return x


batch = {name: x[[490, 604, 788]] for name, x in sentences.inputs.items()}
sizes = model.config.num_hidden_layers, model.config.num_attention_heads
h = bert(weights, batch["input_ids"], *sizes)
assert batch["attention_mask"].all()
off = (h - BertModel.forward(model, **batch).last_hidden_state).abs().max().item()
assert off < 1e-4
print(f"hidden states {tuple(h.shape)}, at most {off:.0e} from BertModel's")

# %%
# **What comes out.** ``[CLS]`` may attend to all words in every layer, so its last vector can
# depend on the whole sentence; training decides how. BERT passes it through one more layer, the
# *pooler*. The classifier is linear in this :term:`pooled token`:
#
# .. math::
#    :label: sentence-logits
#
#    \text{logits} = W \tanh(W_p h_{\text{[CLS]}} + b_p) + b ,
#    \qquad W \in \mathbb{R}^{3 \times H},\ b \in \mathbb{R}^3 .

W_p, b_p = weights["pooler.dense.weight"], weights["pooler.dense.bias"]
pooled = torch.tanh(h[:, 0] @ W_p.T + b_p)
by_hand = pooled @ weights["classifier.weight"].T + weights["classifier.bias"]
off = (by_hand - ours(**batch)[0]).abs().max().item()
assert off < 1e-4 and by_hand.shape == (3, len(LABELS))
print(f"logits of the equation, at most {off:.0e} from the model's")

# %%
# .. solution-end::
#
# .. admonition:: Where this differs
#    :class: differs
#
#    *From the handouts:* in their figure the vector of ``[CLS]`` goes straight into the
#    classifier; their notebook, like transformers, takes the pooled one. Our
#    :class:`~a3.bert.classifier.BertForSentenceClassification` has :term:`dropout` before the
#    classifier, for training, and gives loss and logits by name. *From the paper:* its pooler was
#    trained by telling whether two sentences follow each other. MiniLM's took no part when MiniLM
#    was tuned, by the mean of all tokens :cite:p:`reimers2019`; :doc:`fair_recipe` compares both.
#
# Summary
# -------
#
# BERT is :eq:`bert-encoder`, a transformer that looks both ways; the classifier is
# :eq:`sentence-logits`, linear in the pooled first token. It equals transformers' own up to
# rounding. It fits weights of BERT's type: :doc:`wrong_class` shows what happens to others.
#
# Exercises
# ---------
#
# .. exercise-start:: How little is new
#    :label: classifier-parameters
#
# *Easy.* How many numbers does the classifier add, and what share of all is that?
#
# .. exercise-end::
#
# .. solution-start:: classifier-parameters
#    :label: classifier-parameters-answer
#    :class: dropdown
#
# A row of :math:`H` weights and a bias for each label.

new = sum(p.numel() for p in model.classifier.parameters())
total = sum(p.numel() for p in model.parameters())
assert new == 3 * (model.config.hidden_size + 1)
print(f"{new:,} of {total:,}, or {new / total:.4%}")

# %%
# .. solution-end::
#
# .. exercise-start:: Who subtracts from whom
#    :label: classifier-order
#
# *Medium.* Set the table of positions to zero. What happens to the logits of *four minus ten* and
# of *ten minus four*?
#
# .. exercise-end::
#
# .. solution-start:: classifier-order
#    :label: classifier-order-answer
#    :class: dropdown
#
# They become equal. Without positions the encoder is :term:`equivariant <equivariance>` to
# permutations, and ``[CLS]`` sees a bag of words. What a bag of words can reach is an exercise of
# :doc:`/language_models`.

pair = {name: x[[490, 604]] for name, x in sentences.inputs.items()}
assert [*data["sentence"][[490, 604]]] == ["four minus ten", "ten minus four"]
P = ours.embeddings.position_embeddings.weight
with torch.no_grad():
    apart = ours(**pair)[0].diff(dim=0).abs().max().item()
    P.zero_()
    together = ours(**pair)[0].diff(dim=0).abs().max().item()
assert together < 1e-5 < apart
print(f"apart by {apart:.0e} with positions, {together:.0e} without")

# %%
# .. solution-end::
#
# .. exercise-start:: Numbers that cannot matter
#    :label: classifier-redundant
#
# *Hard.* Some changes of :math:`W` and :math:`b` change no probability, for any sentence. Which?
#
# .. exercise-end::
#
# .. solution-start:: classifier-redundant
#    :label: classifier-redundant-answer
#    :class: dropdown
#
# Add one vector :math:`u` to every row of :math:`W` and one number to every entry of :math:`b`:
# all logits of a sentence rise by the same, and the softmax stays. So :math:`2(H + 1)` numbers
# would do. Training never moves along such a change: over the labels the gradient sums to zero.

before = model(**batch).logits.softmax(dim=1)
model(**batch, labels=torch.tensor([0, 2, 2])).loss.backward()
assert model.classifier.weight.grad.sum(dim=0).abs().max() < 1e-6
with torch.no_grad():
    for p in model.classifier.parameters():
        p -= p[2].clone()
    off = (model(**batch).logits.softmax(dim=1) - before).abs().max().item()
assert off < 1e-6
print(f"{2 * (model.config.hidden_size + 1)} numbers give the same, within {off:.0e}")

# %%
# .. solution-end::
#
# References
# ----------
#
# .. bibliography::
#    :filter: docname in docnames
#    :list: bullet
