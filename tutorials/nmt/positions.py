r"""
Positions: what attention cannot see
====================================

After this page you can prove that attention by itself ignores order, and derive what sines and
cosines add that a one-hot code does not.

The left panel is the table of sinusoidal positions. The right one shows the dot product of two
of its rows against the distance between them: neighbours are most alike, far positions less so, and
it does not matter where the pair stands.
"""

import torch
from torch import nn

from a3.lab import figures
from a3.translation.attention import ScaledDotAttention, positional_encoding
from a3.translation.encoder_decoder import EncoderDecoder
from a3.translation.word_pairs import WordPairs

H, length = 64, 100
P = positional_encoding(length, H)
similarity = P @ P.T / (H / 2)

figure, (left, right) = figures.subplots(
    1, 2, figsize=(8, 3),
    alt="""Left: the table of positional encodings, fast waves in the first columns and slow ones in
    the last. Right: similarity of two positions, highest at distance zero and falling with it.""",
)  # fmt: skip
image = left.imshow(P, cmap="cividis", aspect="auto")
left.set(xlabel="component", ylabel="position $t$")
left.grid(False)
figure.colorbar(image, ax=left)
for t in (0, 20, 50):
    right.plot(
        range(-t, length - t), similarity[t], label=f"from position {t}", alpha=0.8
    )
right.set(xlabel="distance", ylabel="cosine similarity", xlim=(-50, 50))
right.legend()

for d in range(length):  # the same at every place
    assert torch.allclose(similarity.diagonal(d), similarity[0, d], atol=1e-5)
by_distance = similarity[0]
assert by_distance[1:].max() == by_distance[1] and (by_distance[:6].diff() < 0).all()
assert by_distance.min() > 0.3  # the slow waves keep far ones alike, too
print(f"cosine 1 apart: {by_distance[1]:.2f}, least: {by_distance.min():.2f}")

# %%
# The question
# ------------
#
# .. exercise-start:: Positions (2025, 2.1-3; 2023, 3.1-3)
#    :label: n3
#
# The encoder adds to the embedding of each letter a fixed vector that depends on where the
# letter stands, made of sines and cosines. Why is position needed at all? What do sines and
# cosines offer that a :term:`one-hot` code of the position does not
# :cite:p:`handout2025,handout2023`?
#
# .. exercise-end::
#
# .. admonition:: Try it first
#    :class: tip
#
#    What would a model without positions do with *stop* and *spot*? Write down what you would
#    need to change in a one-hot code to feed the model a word longer than any before.
#
# .. solution-start:: n3
#    :label: n3-answer
#    :class: dropdown
#
# **Why position is needed.** Without it, a word is a bag of letters. Self-attention averages
# over a set, and a set has no order. With it, the same letter at two places is two different
# vectors.
#
# .. prf:theorem:: Attention is permutation-equivariant
#    :label: equivariance
#
#    Let :math:`X \in \mathbb{R}^{T \times H}` hold one vector a row and let :math:`\Pi` be a
#    :math:`T \times T` permutation matrix. Then self-attention :math:`A` satisfies
#    :math:`A(\Pi X) = \Pi A(X)`.
#
# .. prf:proof::
#
#    Projections act row by row, so they commute with :math:`\Pi`: queries, keys and values
#    become :math:`\Pi Q, \Pi K, \Pi V`. The scores become :math:`\Pi Q K^\top \Pi^\top`. A
#    softmax along rows commutes with reordering rows and columns, so the weights become
#    :math:`\Pi \alpha \Pi^\top`. Since :math:`\Pi^\top \Pi = I`, the result is :math:`\Pi
#    \alpha \Pi^\top \Pi V = \Pi \alpha V`.
#
# Embeddings, the MLP and the residual connections also act row by row, so the theorem holds for a
# whole encoder. Here it is in numbers, and here it breaks once positions are added.

torch.manual_seed(0)
attention = ScaledDotAttention(H)
X = torch.randn(1, 9, H)
order = torch.randperm(9)


def self_attention(X):
    return attention(X, X, X)[0]


def difference(positions):
    """Largest entry of A(ΠX) - ΠA(X), with the positions added to what A is given."""
    shuffled = self_attention(X[:, order] + positions)
    return float((shuffled - self_attention(X + positions)[:, order]).detach().abs().max())


assert difference(0) < 1e-6 < 1e-2 < difference(P[:9])
print(f"A(ΠX) and ΠA(X) differ by {difference(0):.1e} without positions")
print(f"and by {difference(P[:9]):.2f} with them")

# %%
# The decoder looks at the encoder's output by attention too, and averages over it. So an encoder
# without positions gives it the same thing for every anagram: not similar logits, the same ones.


class NoPositions(nn.Module):
    def forward(self, x, start=0):
        return x


model = EncoderDecoder(hidden=32, layers=3)
model.encoder.positions = NoPositions()
anagrams = WordPairs([(word, "opstay") for word in ("stop", "spot", "post", "tops")])
batch = anagrams[torch.arange(4)]
logits = model(batch.source, batch.inputs)[0].detach()
apart = float((logits - logits[:1]).abs().max())
assert apart < 1e-5
print(f"the logits of four anagrams differ by at most {apart:.1e}")

# %%
# **What sines and cosines offer.** Position :math:`t` is coded at :math:`H/2` wavelengths, from
# :math:`2\pi` to nearly :math:`20000\pi`:
#
# .. math::
#    :label: sinusoidal-positions
#
#    P_{t,2i} = \sin(\omega_i t), \qquad P_{t,2i+1} = \cos(\omega_i t), \qquad
#    \omega_i = 10000^{-2i/H}, \qquad i = 0, \dots, H/2 - 1 .
#
# *Fixed width, any length.* A one-hot code of :math:`t` needs as many components as there are
# positions. Each row of :eq:`sinusoidal-positions` has :math:`H`, whatever :math:`t` is, and
# the same norm :math:`\sqrt{H/2}`.
#
# *Distance is visible.* Any two one-hot codes are :math:`\sqrt2` apart, next-door or not. By the
# addition theorem,
#
# .. math::
#    :label: position-similarity
#
#    P_s^\top P_t = \sum_i \cos\bigl(\omega_i (s - t)\bigr),
#
# a function of the distance alone, which is the right panel above.
#
# *A shift is one linear map.* Take one wavelength. The pair :math:`(\sin\omega t, \cos\omega
# t)` is a point on the circle, and :math:`\delta` steps later it has turned by
# :math:`\omega\delta`:
#
# .. math::
#    :label: shift-is-rotation
#
#    \begin{pmatrix} \sin\omega(t + \delta) \\ \cos\omega(t + \delta) \end{pmatrix} =
#    \begin{pmatrix} \cos\omega\delta & \sin\omega\delta \\
#    -\sin\omega\delta & \cos\omega\delta \end{pmatrix}
#    \begin{pmatrix} \sin\omega t \\ \cos\omega t \end{pmatrix} .
#
# The matrix depends on :math:`\delta` and not on :math:`t`. So one matrix can look two letters back
# from every place: a model need not learn it place by place. Whether a trained one does it where it
# was never trained is a question for data, and :doc:`lengths` puts it. We build the rotation and
# check it on every row.


def shift(delta, H):
    rate = 10000.0 ** (-torch.arange(0, H, 2, dtype=torch.float64) / H)
    cos, sin = (rate * delta).cos(), (rate * delta).sin()
    blocks = torch.stack([torch.stack([cos, sin], -1), torch.stack([-sin, cos], -1)], -2)
    return torch.block_diag(*blocks).float()  # (H, H)


for delta in (1, 7, 40):
    error = float((P[:-delta] @ shift(delta, H).T - P[delta:]).abs().max())
    assert error < 1e-4
    print(f"P[t + {delta}] = R_{delta} P[t] for every t, to {error:.1e}")
assert torch.allclose(P.norm(dim=1), torch.full((length,), (H / 2) ** 0.5))

# %%
# .. solution-end::
#
# What this does not say
# ----------------------
#
# The table goes on for ever, so a model *can* be given a word of any length. Whether it can do
# anything with it is another matter. :doc:`lengths` trains models on short words and measures
# it.
#
# .. admonition:: Where this differs
#    :class: differs
#
#    *From the paper* and *from the handouts:* nothing in the table :cite:p:`vaswani2017`. *From
#    common practice:* rotary and relative positions act inside the scores, not on the
#    embeddings :cite:p:`shaw2018,su2021`.
#
# Summary
# -------
#
# Attention is permutation-equivariant, so an encoder without positions cannot tell anagrams
# apart. Sinusoidal positions have a fixed width and a constant norm, show distance as a dot
# product, :eq:`position-similarity`, and turn a shift into a rotation, :eq:`shift-is-rotation`.
#
# Exercises
# ---------
#
# .. exercise-start:: The slowest wave
#    :label: positions-slowest
#
# *Easy.* Which component of the table at width 64 changes least over the first twenty
# positions, and could it be left out for words?
#
# .. exercise-end::
#
# .. solution-start:: positions-slowest
#    :label: positions-slowest-answer
#    :class: dropdown
#
# The cosine of the slowest wave. It is nearly 1 throughout, so for words it is a constant that
# any bias could supply. The table is made for texts of thousands of tokens.

spread = P[:20].amax(dim=0) - P[:20].amin(dim=0)
assert int(spread.argmin()) == H - 1
print(f"component {int(spread.argmin())} varies by {float(spread.min()):.1e}")

# %%
# .. solution-end::
#
# .. exercise-start:: Other codes shift linearly, too
#    :label: positions-one-hot
#
# *Medium.* Find the matrix that takes the one-hot code of :math:`t` to that of :math:`t +
# \delta`. What goes wrong at the end of the table? Can you mend it? Find a code of width two that
# also shifts by one matrix, without loss. What do sinusoids have that neither of these has?
#
# .. exercise-end::
#
# .. solution-start:: positions-one-hot
#    :label: positions-one-hot-answer
#    :class: dropdown
#
# Ones on the :math:`\delta`-th diagonal below the main one. The last :math:`\delta` positions are
# sent to zero: there is no row left for them. Put the lost ones back at the top, and the shift is
# lossless, but the code repeats itself after its length. The code :math:`(t, 1)` is moved by a
# shear, never repeats, and grows without bound. So a linear shift, even a lossless one at fixed
# width, is no privilege of sinusoids. They have it with codes that stay bounded and never repeat:
# the fastest pair returns only after a multiple of :math:`2\pi`, which no whole number is.

one_hot = torch.eye(10)
S = torch.diag(torch.ones(7), -3)  # column t has its one in row t + 3
assert torch.equal((S @ one_hot.T).T[:7], one_hot[3:])
assert torch.linalg.matrix_rank(S) == 7
cyclic = S + torch.diag(torch.ones(3), 7)
assert torch.equal((cyclic @ one_hot.T).T, one_hot.roll(-3, dims=0))
assert torch.linalg.matrix_rank(cyclic) == 10
line = torch.stack([torch.arange(10.0), torch.ones(10)], dim=1)  # rows (t, 1)
shear = torch.tensor([[1.0, 3.0], [0.0, 1.0]])
assert torch.equal((line @ shear.T)[:7], line[3:]) and shear.det() == 1
circle = positional_encoding(length, 2).double()
assert torch.pdist(circle).min() > 0.01  # no two of the first hundred are the same
assert torch.allclose(shift(3, H) @ shift(3, H).T, torch.eye(H), atol=1e-6)

# %%
# .. solution-end::
#
# References
# ----------
#
# .. bibliography::
#    :filter: docname in docnames
#    :list: bullet
