"""Each change against torch's or transformers' own; without any, against the handouts' model."""

import pytest
import torch
from torch import nn

from a3.runs.modern import ARMS, train_parts
from a3.translation.decoder_only import DecoderOnlyTransformer
from a3.translation.modern import LayerNorm, ModernTransformer, MultiHeadAttention, Parts, rotate
from a3.translation.prompts import Prompts
from a3.translation.word_pairs import WordPairs

PROMPTS = Prompts(WordPairs(["cat", "string", "well-known", "apple"]))
CAUSAL = nn.Transformer.generate_square_subsequent_mask(7)


@pytest.fixture
def x():
    generator = torch.Generator().manual_seed(0)
    return torch.randn(3, 7, 16, generator=generator)


def test_without_changes_it_is_the_handouts_model():
    theirs = DecoderOnlyTransformer(32, 2)
    ours = ModernTransformer(Parts(), 32, 2)
    ours.load_state_dict(theirs.state_dict())
    batch = PROMPTS[torch.arange(4)]
    torch.testing.assert_close(ours(batch.inputs), theirs(batch.inputs)[0], rtol=0, atol=1e-6)
    torch.testing.assert_close(ours.loss(batch), theirs.loss(batch))
    assert ours.flops(PROMPTS) == theirs.flops(PROMPTS)


def test_layer_norm_is_torchs(x):
    ours, theirs = LayerNorm(16), nn.LayerNorm(16)
    for own, other in zip(ours.parameters(), theirs.parameters(), strict=True):
        nn.init.normal_(own)
        other.data.copy_(own)
    torch.testing.assert_close(ours(x), theirs(x), rtol=0, atol=1e-6)


def as_torch(ours):
    """Torch's attention with the weights of ours."""
    theirs = nn.MultiheadAttention(16, ours.heads, batch_first=True)
    maps = (ours.W_q, ours.W_k, ours.W_v)
    theirs.in_proj_weight.data = torch.cat([each.weight.detach() for each in maps])
    theirs.in_proj_bias.data = torch.cat([each.bias.detach() for each in maps])
    theirs.out_proj.load_state_dict(ours.W_o.state_dict())
    return theirs


def test_heads_are_torchs(x):
    ours = MultiHeadAttention(16, heads=4)
    context, weights = ours(x)
    theirs, their_weights = as_torch(ours)(x, x, x, attn_mask=CAUSAL, average_attn_weights=False)
    torch.testing.assert_close(context, theirs, rtol=0, atol=1e-6)
    torch.testing.assert_close(weights, their_weights, rtol=0, atol=1e-6)


@pytest.mark.parametrize("norm", ["pre", "post"])
def test_a_layer_with_norms_and_a_wide_mlp_is_torchs(x, norm):
    ours = ModernTransformer(Parts(heads=4, norm=norm, mlp=4), 16, 1).layers[0]
    theirs = nn.TransformerEncoderLayer(
        16, 4, 64, dropout=0.0, activation="gelu", batch_first=True, norm_first=norm == "pre"
    )
    theirs.self_attn = as_torch(ours.self_attention)
    theirs.linear1.load_state_dict(ours.mlp[0].state_dict())
    theirs.linear2.load_state_dict(ours.mlp[2].state_dict())
    torch.testing.assert_close(ours(x), theirs(x, src_mask=CAUSAL), rtol=0, atol=2e-6)


def test_rotation_is_that_of_transformers(x):
    llama = pytest.importorskip("transformers.models.llama.modeling_llama")
    theta = 10000.0 ** (-torch.arange(0, 16, 2) / 16)
    angle = torch.cat([torch.arange(7).unsqueeze(1) * theta] * 2, dim=-1).unsqueeze(0)
    halves = torch.cat([torch.arange(0, 16, 2), torch.arange(1, 16, 2)])  # their order of entries
    each = x[:, None, :, halves]
    theirs, _ = llama.apply_rotary_pos_emb(each, each, angle.cos(), angle.sin())
    torch.testing.assert_close(rotate(x)[..., halves], theirs[:, 0], rtol=0, atol=1e-5)


def test_rotated_scores_know_only_the_distance(x):
    x = x.double()
    scores = [rotate(x, start) @ rotate(x, start).mT for start in (0, 50)]
    torch.testing.assert_close(scores[0], scores[1])
    assert (scores[0] - x @ x.mT).abs().max() > 0.1


def test_no_output_depends_on_a_later_token():
    model = ModernTransformer(ARMS["all together"]).double()
    tokens = torch.randint(0, 29, (2, 9), generator=torch.Generator().manual_seed(0))
    changed = tokens.clone()
    changed[:, 5:] = (changed[:, 5:] + 1) % 29
    before, after = model(tokens), model(changed)
    torch.testing.assert_close(before[:, :5], after[:, :5])
    assert (before[:, 5:] - after[:, 5:]).abs().amin(dim=-1).max() > 0


def test_a_tied_table_is_one():
    model = ModernTransformer(Parts(tied=True))
    assert model.to_logits.weight is model.embedding.weight and model.to_logits.bias is None
    sizes = [
        sum(p.numel() for p in ModernTransformer(Parts(tied=tied)).parameters())
        for tied in (False, True)
    ]
    assert sizes[0] - sizes[1] == 30 * 64 + 30


@pytest.mark.parametrize("parts", ARMS.values(), ids=ARMS)
def test_counted_products_are_those_that_torch_counts(parts):
    """Beside what torch does not count: softmax, norms and rotations."""
    from torch.utils.flop_counter import FlopCounterMode

    prompts = Prompts(WordPairs(["string"]))
    model, s, h = ModernTransformer(parts), int(prompts.lengths[0]), parts.heads
    with FlopCounterMode(display=False) as counter:
        model(prompts[torch.tensor([0])].inputs)
    norms = 0 if parts.norm == "none" else 2 * 2 + (parts.norm == "pre")
    beside = 2 * (3 * h * s**2 + 6 * s * 64 * parts.rotary) + 7 * s * 64 * norms
    assert model.flops(prompts) == counter.get_total_flops() + beside


@pytest.mark.parametrize(
    ("wrong", "message"),
    [
        (lambda: Parts(norm="layer"), "'none', 'post' or 'pre'"),
        (lambda: Parts(heads=0), "heads must be at least 1"),
        (lambda: ModernTransformer(Parts(heads=3)), "cannot be shared by 3 heads"),
        (lambda: rotate(torch.ones(2, 3)), "the width 3 is odd"),
    ],
)
def test_bad_input_is_named(wrong, message):
    with pytest.raises(ValueError, match=message):
        wrong()


def test_a_run_spends_its_budget_and_is_repeatable():
    setting = dict(parts=Parts(norm="pre", rotary=True), learning_rate=8e-3, seed=0, budget=2.5e10)
    run = train_parts(**setting)
    assert run == train_parts(**setting)
    assert abs(run["flops"] / 2.5e10 - 1) < 0.3 and run["held out"] < 2.5
