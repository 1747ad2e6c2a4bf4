"""Time ``a3.translation`` against torch's transformer layers and against naive decoding.

Everything is timed in one run, on the same threads, in alternating pairs; the tables give
medians, and of the ratios the range too.

1. A training step (forward, backward, Adam) of ``EncoderDecoder`` against a model of the same
   sizes built from ``torch.nn.TransformerEncoderLayer`` and ``TransformerDecoderLayer``: one head,
   an MLP of the same width, no dropout; the norms, the output projections and the second linear
   map of the MLP are kept, as torch has them. Embeddings, positions, output layer, loss, Adam,
   masks and batches are the same.
2. Words decoded a second: ``translate``, which decodes words side by side and keeps keys and
   values, against one word at a time by running the model on each longer prefix.
3. The share that the training steps reach of the machine's peak: the best of several products
   of large matrices. Each model is credited with its own operations.

Usage: python benchmarks/translation.py [--threads N] [--repeats R]
"""

from statistics import median

import torch
from paired import alternate, seconds, start, table, with_range
from torch import nn

from a3.translation.attention import causal_mask
from a3.translation.decoding import translate
from a3.translation.encoder_decoder import EncoderDecoder
from a3.translation.pig_latin import large_words
from a3.translation.training import Hyperparameters, train
from a3.translation.word_pairs import EOS, SOS, WordPairs, decode, encode

LAYERS = 3


class TorchLayers(EncoderDecoder):
    """The same embeddings, positions, output layer and loss around torch's own layers."""

    def __init__(self, hidden):
        super().__init__(hidden, LAYERS)
        options = dict(nhead=1, dim_feedforward=hidden, dropout=0.0, batch_first=True)
        for part, layer in (
            (self.encoder, nn.TransformerEncoderLayer),
            (self.decoder, nn.TransformerDecoderLayer),
        ):
            part.layers = nn.ModuleList(layer(hidden, **options) for _ in range(LAYERS))

    def forward(self, source, inputs, source_mask=None):
        padding = None if source_mask is None else ~source_mask[:, 0]  # (B, S)
        x = self.encoder.positions(self.encoder.embedding(source))
        for layer in self.encoder.layers:
            x = layer(x, src_key_padding_mask=padding)
        T = inputs.shape[1]
        options = dict(tgt_mask=~causal_mask(T, T), tgt_is_causal=True)
        y = self.decoder.positions(self.decoder.embedding(inputs))
        for layer in self.decoder.layers:
            y = layer(y, x, memory_key_padding_mask=padding, **options)
        return self.decoder.to_logits(y), None

    def flops(self, pairs):
        """Ours, the output projection of each attention, and the second map of each MLP."""
        H, s, t = self.decoder.to_logits.in_features, pairs.source_lengths, pairs.target_lengths
        return super().flops(pairs) + LAYERS * float((2 * 2 * s + 3 * 2 * t).sum()) * H**2


def train_on(model, batches):
    """A function that takes a training step on each of the batches."""
    optimizer = torch.optim.Adam(model.parameters(), lr=5e-4, fused=True)

    def steps():
        for batch in batches:
            total, tokens = model.loss(batch)
            optimizer.zero_grad()
            (total / tokens).backward()
            optimizer.step()

    return steps


def training_steps(hidden, batch_size, words, repeats):
    """One row of the table of training steps."""
    steps = 4 if batch_size > 64 else 24
    pairs = WordPairs(words[: steps * batch_size])
    batches = list(pairs.batches(batch_size, torch.Generator().manual_seed(0)))
    ours, theirs = EncoderDecoder(hidden, LAYERS), TorchLayers(hidden)
    before = matmul_peak()
    times = alternate(train_on(ours, batches), train_on(theirs, batches), repeats)
    peak = max(before, matmul_peak())
    ratios = [their / our for our, their in zip(*times, strict=True)]
    cells = [hidden, batch_size]
    cells += [f"{1e3 * median(t) / steps:.1f}" for t in times]
    cells.append(with_range(ratios, 2))
    cells.append(f"{peak / 1e9:.0f}")
    for model, t in zip((ours, theirs), times, strict=True):
        cells.append(f"{3 * model.flops(pairs) / median(t) / peak:.0%}")
    return cells


def translate_naively(model, word, max_length=20):
    source, written = torch.tensor([encode(word)]), [SOS]
    while len(written) <= max_length and written[-1] != EOS:
        logits, _ = model(source, torch.tensor([written]))
        written.append(int(logits[0, -1].argmax()))
    return decode(written)


@torch.no_grad()
def decoding(hidden, pairs, repeats):
    """One row of the table of decoding, by a model trained for two epochs."""
    training, held_out = pairs.split()
    model = EncoderDecoder(hidden, LAYERS)
    with torch.enable_grad():
        hp = Hyperparameters(epochs=2, batch_size=128, learning_rate=3e-3)
        train(model, training, held_out, hp, progress=False)
    words = [word for word, _ in held_out.pairs[:1_024]]
    few = words[:48]
    same = translate(model, few) == [translate_naively(model, word) for word in few]
    assert same, "the two ways of decoding do not agree"
    batched, naive = alternate(
        lambda: translate(model, words),
        lambda: [translate_naively(model, word) for word in few],
        repeats,
    )
    rates = [len(words) / t for t in batched], [len(few) / t for t in naive]
    ratios = [fast / slow for fast, slow in zip(*rates, strict=True)]
    return [hidden, *(f"{median(rate):,.0f}" for rate in rates), with_range(ratios, 2)]


def matmul_peak(size=1_536, repeats=10):
    """Floating-point operations a second of the fastest of several large products."""
    a, b = torch.randn(2, size, size)
    return 2 * size**3 / min(seconds(lambda: a @ b) for _ in range(repeats))


def main():
    arguments = start(__doc__)
    pairs = WordPairs(large_words())
    order = torch.randperm(len(pairs), generator=torch.Generator().manual_seed(0))
    words = [pairs.pairs[i] for i in order]

    print(f"Medians of {arguments.repeats}; a ratio above 1 says that ours is faster.\n")
    print(f"A training step of {LAYERS} layers, and the peak in fp32, measured before and after.\n")
    head = ["hidden", "batch", "ours, ms", "torch, ms", "ratio (range)"]
    table(
        [*head, "peak, GFLOP/s", "ours, of peak", "torch, of peak"],
        *(
            training_steps(hidden, batch_size, words, arguments.repeats)
            for batch_size in (64, 512)
            for hidden in (32, 64, 128)
        ),
    )
    print("Words decoded a second.\n")
    table(
        ["hidden", "batched, cached", "one by one, no cache", "ratio (range)"],
        *(decoding(hidden, pairs, arguments.repeats) for hidden in (32, 64)),
    )


if __name__ == "__main__":
    main()
