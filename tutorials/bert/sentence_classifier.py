r"""
A classifier on top of BERT
===========================

After this page you can write BERT's encoder from its equations, put a classifier on it, and check
both against a library, up to rounding.

The figure shows where the first token, ``[CLS]``, looks, layer by layer. It has no meaning of its
own and is to stand for the sentence. With these pretrained weights it looks at little but itself
until the last layer, where it turns to the words.
"""

import tempfile

import torch
from torch import nn
from torch.nn import functional as F
from transformers import BertForSequenceClassification, BertModel

from a3.bert.classifier import BertForSentenceClassification, load_classifier
from a3.bert.fine_tuning import encode
from a3.bert.pretrained import pretrained_weights
from a3.bert.verbal_arithmetic import LABELS, verbal_arithmetic
from a3.translation.figures import attention_maps

found = pretrained_weights("MathBERT")  # says which it is
model, tokenizer = load_classifier(found.folder)
data = verbal_arithmetic()
sentences = encode(tokenizer, data)  # all 800, padded to one length
example = {name: x[[490]] for name, x in sentences.inputs.items()}
tokens = tokenizer.convert_ids_to_tokens(example["input_ids"][0])
model.set_attn_implementation("eager")  # which keeps the weights of attention
with torch.no_grad():
    looks = BertModel.forward(model, **example, output_attentions=True).attentions
model.set_attn_implementation("sdpa")
of_first = torch.stack([layer[0, :, 0].mean(dim=0) for layer in looks])  # (L, T)
assert torch.allclose(of_first.sum(dim=1), torch.ones(len(looks)), atol=1e-5)
figure = attention_maps(
    [of_first],
    rows=[f"layer {i}" for i in range(1, len(looks) + 1)],
    columns=tokens,
    titles=["what [CLS] looks at, mean over heads"],
    alt="""Attention of the first token to each token of four minus ten, layer by layer. It is on
    itself nearly alone, but for the last layer, which shares it with the words.""",
)
figure.set_size_inches(6, 3)
to_words = of_first[:, 1:4].sum(dim=1)
assert found.name != "MiniLM" or to_words[:-1].max() < 0.1 < 0.25 < to_words[-1]

# %%
# The question
# ------------
#
# .. exercise-start:: Add a classifier to BERT (2025, 3-1; 2023, 4-1)
#    :label: b1
#
# Complete ``BertForSentenceClassification``, a subclass of transformers' ``BertModel``: what has to
# be added when it is made, and what does its forward pass return
# :cite:p:`handout2025,handout2023`?
#
# .. exercise-end::
#
# .. admonition:: Try it first
#    :class: tip
#
#    BERT gives a vector for each token. Which one would you classify, and why may that one stand
#    for the whole sentence? What shape must the new weights have?
#
# .. solution-start:: b1
#    :label: b1-answer
#    :class: dropdown
#
# **What goes in.** The tokenizer turns words into numbers and puts ``[CLS]`` in front and ``[SEP]``
# behind. Shorter sentences are filled with ``[PAD]``, and a mask says which tokens are real.

print(" ".join(tokens), example["input_ids"][0].tolist())
print({name: tuple(x.shape) for name, x in sentences.inputs.items()})

# %%
# **What BERT does with it** :cite:p:`devlin2019`. Let :math:`E`, :math:`P` and :math:`S` be its
# tables of words, positions and segments, and LN layer normalization :cite:p:`ba2016`. For the
# tokens :math:`z_1, \dots, z_T` of a sentence and the layers :math:`l = 1, \dots, L`,
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


def bert(weights, z, heads):  # z: tokens (B, T), none of them padding
    def linear(x, name):
        return F.linear(x, weights[f"{name}.weight"], weights[f"{name}.bias"])

    def norm(x, name):
        name = f"{name}.LayerNorm"
        return F.layer_norm(
            x, x.shape[-1:], weights[f"{name}.weight"], weights[f"{name}.bias"], eps=1e-12
        )

    E, P, S = (weights[f"embeddings.{n}_embeddings.weight"] for n in TABLES)
    x = norm(E[z] + P[: z.shape[1]] + S[0], "embeddings")  # (B, T, H)
    for layer in (f"encoder.layer.{i}" for i in range(model.config.num_hidden_layers)):
        Q, K, V = (
            linear(x, f"{layer}.attention.self.{n}").unflatten(2, (heads, -1)).transpose(1, 2)
            for n in ("query", "key", "value")
        )  # (B, heads, T, H / heads)
        c = F.scaled_dot_product_attention(Q, K, V).transpose(1, 2).flatten(2)
        a = norm(x + linear(c, f"{layer}.attention.output.dense"), f"{layer}.attention.output")
        m = linear(F.gelu(linear(a, f"{layer}.intermediate.dense")), f"{layer}.output.dense")
        x = norm(a + m, f"{layer}.output")
    return x


TABLES = ("word", "position", "token_type")
batch = {name: x[[490, 604, 788]] for name, x in sentences.inputs.items()}
weights = model.state_dict()
h = bert(weights, batch["input_ids"], model.config.num_attention_heads)
with torch.no_grad():
    theirs = BertModel.forward(model, **batch)
assert batch["attention_mask"].all()
off = (h - theirs.last_hidden_state).abs().max().item()
assert off < 1e-4
print(f"hidden states {tuple(h.shape)}, at most {off:.0e} from BertModel's")

# %%
# **What comes out.** ``[CLS]`` may attend to all words in every layer, so its last vector can
# hold whatever training asks of it. BERT passes it through one more layer, the *pooler*. The
# classifier is linear in this :term:`pooled token`:
#
# .. math::
#    :label: sentence-logits
#
#    \text{logits} = W \tanh(W_p h_{\text{[CLS]}} + b_p) + b ,
#    \qquad W \in \mathbb{R}^{3 \times H},\ b \in \mathbb{R}^3 .
#
# So :math:`W` and :math:`b` are what must be added when the model is made, and the forward pass
# returns the three :term:`logits <logit>`. In training :term:`dropout` stands between pooler and
# classifier.


class Classifier(BertModel):
    def __init__(self, config):
        super().__init__(config)
        self.dropout = nn.Dropout(config.hidden_dropout_prob)
        self.classifier = nn.Linear(config.hidden_size, config.num_labels)
        self.post_init()  # draws what is new as BERT's own weights were drawn

    def forward(self, input_ids, attention_mask=None, token_type_ids=None):
        encoded = super().forward(input_ids, attention_mask, token_type_ids)
        return self.classifier(self.dropout(encoded.pooler_output))  # (B, 3)


ours = Classifier(model.config).eval()
ours.load_state_dict(weights)
pooled = torch.tanh(h[:, 0] @ weights["pooler.dense.weight"].T + weights["pooler.dense.bias"])
by_hand = pooled @ weights["classifier.weight"].T + weights["classifier.bias"]
with torch.no_grad():
    logits = ours(**batch)
    assert torch.equal(logits, model(**batch).logits)
off = (by_hand - logits).abs().max().item()
assert off < 1e-4 and logits.shape == (3, len(LABELS))
print(f"logits of the equation, at most {off:.0e} from the model's")

# %%
# :class:`a3.bert.classifier.BertForSentenceClassification` is this class with labels and a loss.
#
# **Is it transformers' own?** Their ``BertForSequenceClassification`` keeps the encoder under the
# name ``bert``. With the weights moved over, the logits are the same up to rounding. A file of
# weights of either loads in both.

theirs = BertForSequenceClassification(model.config).eval()
theirs.load_state_dict(
    {n if n.startswith("classifier") else f"bert.{n}": w for n, w in weights.items()}
)
with torch.no_grad(), tempfile.TemporaryDirectory() as saved_here:
    some = {name: x[::8] for name, x in sentences.inputs.items()}
    expected = theirs(**some).logits
    theirs.save_pretrained(saved_here)
    again = BertForSentenceClassification.from_pretrained(saved_here).eval()
    off = (model(**some).logits - expected).abs().max().item()
    assert off < 1e-5 and torch.equal(again.classifier.weight, model.classifier.weight)
print(f"largest difference over {len(expected)} sentences: {off:.0e}")

# %%
# .. solution-end::
#
# .. admonition:: Where this differs
#    :class: differs
#
#    *From the handouts:* in their figure the vector of ``[CLS]`` goes straight into the
#    classifier; we keep the pooler between, as transformers does. *From the paper:* its pooler
#    was trained by telling whether two sentences follow each other. MiniLM's was left behind when
#    it was tuned on means of tokens :cite:p:`reimers2019`; :doc:`fair_recipe` shows what follows.
#    *From common practice:* ``AutoModelForSequenceClassification`` picks a class by the
#    type that the folder names.
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
    apart = (ours(**pair)[0] - ours(**pair)[1]).abs().max().item()
    P.zero_()
    together = (ours(**pair)[0] - ours(**pair)[1]).abs().max().item()
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
# would do. The gradient knows: over the labels it sums to zero.

before = model(**batch).logits.softmax(dim=1)
model(**batch, labels=torch.tensor([0, 2, 2])).loss.backward()
assert model.classifier.weight.grad.sum(dim=0).abs().max() < 1e-6
with torch.no_grad():
    model.classifier.weight -= model.classifier.weight[2].clone()
    model.classifier.bias -= model.classifier.bias[2].clone()
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
