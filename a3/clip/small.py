"""A small CLIP, of open_clip's own class: its settings and its two towers."""

from __future__ import annotations

import math
from dataclasses import dataclass, field

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from a3.clip.drawings import Augmentation
from a3.clip.tokens import Vocabulary, word_vectors

__all__ = [
    "EMBEDDING_STD", "SmallClip", "build", "encode_image", "encode_text", "give_word_vectors",
    "normalised",
]  # fmt: skip

EMBEDDING_STD = 0.02
"""What open_clip draws embeddings with.

:meta hide-value:
"""


@dataclass(frozen=True)
class SmallClip:
    """The small CLIP and how it is trained.

    Raises
    ------
    ValueError
        If a value is outside the range given beside it.
    """

    image_size: int = 48  # pixels a side that the model sees; >= 32
    image_layers: tuple[int, ...] = (1, 1, 1, 1)  # blocks of each of the ResNet's four stages
    image_width: int = 16  # channels of its first stage; >= 2
    text_layers: int = 1
    text_width: int = 128
    text_heads: int = 4
    features: int = 128  # d, the dimension that images and captions share
    context: int = 24  # tokens of a caption, start and end included
    residual_gain: float = 0.5  # of each block's last norm at the start; open_clip's is 0
    steps: int = 2_150  # of the optimiser; >= 1
    batch_size: int = 64  # concepts a step, each with two images and two captions; >= 2
    learning_rate: float = 2e-3  # of AdamW, at its highest; > 0
    weight_decay: float = 0.2  # of matrices and filters
    warm_up: float = 0.05  # share of the steps
    all_pairs: bool = True  # two images of a concept pick each other, too, and two captions
    scale: float = 20.0  # logit scale at the start
    highest_scale: float = 100.0
    learn_scale: bool = True
    augmentation: Augmentation | None = field(default_factory=Augmentation)
    outlined: float = 0.5  # share of the first artist's images that get the second's dark lines
    rich_captions: bool = True  # drawn from all names, else the one name
    word_vectors: bool = True  # tokens have a language model's vectors, fixed; else learned here
    word_noise: float = 1.2  # at most, on the second caption's vectors; of their spread; >= 0
    seed: int = 0  # of the weights, the batches, the captions and the augmentation

    def __post_init__(self):
        least = {"image_size": 32, "image_width": 2, "steps": 1, "batch_size": 2, "word_noise": 0}
        for name, low in least.items():
            if getattr(self, name) < low:
                raise ValueError(f"{name} must be at least {low}, got {getattr(self, name)}")
        for name in ("learning_rate", "scale"):
            if not 0 < getattr(self, name) < math.inf:
                raise ValueError(f"{name} must be positive, got {getattr(self, name)}")


def build(settings: SmallClip, vocabulary: Vocabulary) -> nn.Module:
    """open_clip's CLIP in a small configuration, with new weights drawn with the seed."""
    from open_clip.model import CLIP

    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(settings.seed)
        model = CLIP(
            embed_dim=settings.features,
            vision_cfg={
                "layers": [*settings.image_layers],
                "width": settings.image_width,
                "image_size": settings.image_size,
            },
            text_cfg={
                "context_length": settings.context,
                "vocab_size": len(vocabulary),
                "layers": settings.text_layers,
                "width": settings.text_width,
                "heads": settings.text_heads,
            },
            init_logit_scale=math.log(settings.scale),
        )
    for name, weight in model.visual.named_parameters():
        if name.endswith("bn3.weight") and name.startswith("layer"):
            nn.init.constant_(weight, settings.residual_gain)
    model.logit_scale.requires_grad_(settings.learn_scale)
    return model.to(memory_format=torch.channels_last)


def give_word_vectors(model: nn.Module, vocabulary: Vocabulary) -> None:
    """Make each token's embedding what a language model makes of it, for good; changes ``model``.

    So a word has a place beside its like before any drawing comes with it.
    """
    embedding = model.token_embedding.weight  # the first two and the last are no words
    with torch.no_grad():
        vectors = word_vectors(vocabulary.words, embedding.shape[1])
        embedding[2:-1] = EMBEDDING_STD * vectors
    embedding.requires_grad_(False)


def normalised(images: Tensor) -> Tensor:
    """Values from 0 to 1 as CLIP's image towers take them, (n, 3, h, w), channels last."""
    from open_clip import OPENAI_DATASET_MEAN, OPENAI_DATASET_STD

    mean, std = (torch.tensor(x).view(3, 1, 1) for x in (OPENAI_DATASET_MEAN, OPENAI_DATASET_STD))
    return ((images - mean) / std).contiguous(memory_format=torch.channels_last)


def encode_image(model: nn.Module, images: Tensor) -> Tensor:
    """Features of images, (n, d): ``model.encode_image``, but what it drops is not worked out."""
    visual, pool = model.visual, model.visual.attnpool
    x = visual.layer4(visual.layer3(visual.layer2(visual.layer1(visual.stem(images)))))
    x = x.flatten(2).mT  # (n, h w, H)
    x = torch.cat([x.mean(dim=1, keepdim=True), x], dim=1) + pool.positional_embedding
    q, k, v = pool.q_proj, pool.k_proj, pool.v_proj
    weights, biases = (q.weight, k.weight, v.weight), (q.bias, k.bias, v.bias)
    return pool.c_proj(_attended(x[:, 0], x, weights, biases, pool.num_heads))


def encode_text(model: nn.Module, tokens: Tensor) -> Tensor:
    """Features of captions, (n, d): ``model.encode_text``, but what it drops is not worked out.

    Of the last block that is all but the token that ends a caption.
    """
    x = model.token_embedding(tokens) + model.positional_embedding  # (n, T, H)
    *blocks, last = model.transformer.resblocks
    for block in blocks:
        x = block(x, attn_mask=model.attn_mask)
    end = torch.arange(len(tokens)), tokens.argmax(dim=1)
    normed, attn = last.ln_1(x), last.attn
    weights, biases = attn.in_proj_weight.chunk(3), attn.in_proj_bias.chunk(3)
    padding = (tokens == 0)[:, None]  # (n, 1, T)
    found = _attended(normed[end], normed, weights, biases, attn.num_heads, padding)
    x = x[end] + attn.out_proj(found)
    x = x + last.mlp(last.ln_2(x))
    return model.ln_final(x) @ model.text_projection


def _attended(
    query: Tensor,
    x: Tensor,
    weights: tuple[Tensor, ...],
    biases: tuple[Tensor, ...],
    heads: int,
    padding: Tensor | None = None,
) -> Tensor:
    """What one query a row, (n, H), finds among tokens, (n, T, H), without their keys and values.

    A score is q . (W_k x) = (W_k' q) . x, what is found W_v applied to a mean of the tokens; a
    bias of the keys would add the same to all scores.
    """
    q = F.linear(query, weights[0], biases[0]).unflatten(1, (heads, -1))  # (n, heads, H / heads)
    Wk, Wv = (W.unflatten(0, (heads, -1)) for W in weights[1:])  # (heads, H / heads, H)
    scores = torch.einsum("nhd,hdw->nhw", q, Wk) @ x.mT / math.sqrt(q.shape[-1])  # (n, heads, T)
    if padding is not None:
        scores = scores.masked_fill(padding, -torch.inf)
    means = scores.softmax(dim=-1) @ x  # (n, heads, H)
    return torch.einsum("nhw,hdw->nhd", means, Wv).flatten(1) + biases[2]
