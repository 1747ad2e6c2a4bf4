import math

import pytest
import torch
from torch import nn
from torch.autograd import gradcheck
from torch.autograd.functional import jacobian
from torch.nn import functional as F

from a3.translation.attention import (
    CausalScaledDotAttention,
    ScaledDotAttention,
    SinusoidalPositions,
    causal_mask,
    positional_encoding,
    scaled_dot_attention,
)
from a3.translation.encoder_decoder import EncoderDecoder

B, K, T, H = 3, 4, 6, 8
CLASSES = [ScaledDotAttention, CausalScaledDotAttention]


def normal(*shape, seed=0, dtype=torch.float32):
    return torch.randn(*shape, generator=torch.Generator().manual_seed(seed), dtype=dtype)


def seeded(make):
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(0)
        return make()


@pytest.fixture
def mask():
    """A different number of keys for each sequence, and a hole in the last."""
    mask = torch.arange(T) < torch.tensor([6, 4, 5])[:, None, None]  # (B, 1, T)
    mask = mask.expand(B, K, T).clone()
    mask[2, 1, 0] = False
    return mask


@pytest.mark.parametrize("masked", [False, True])
def test_attention_equals_torchs_functional(masked, mask):
    Q, KEYS, V = normal(B, K, H), normal(B, T, H, seed=1), normal(B, T, H, seed=2)
    context, weights = scaled_dot_attention(Q, KEYS, V, mask if masked else None)
    expected = F.scaled_dot_product_attention(Q, KEYS, V, attn_mask=mask if masked else None)
    torch.testing.assert_close(context, expected, atol=1e-6, rtol=1e-6)
    torch.testing.assert_close(weights.sum(-1), torch.ones(B, K))
    assert (weights >= 0).all()
    assert not masked or (weights[~mask] == 0).all()


@pytest.mark.parametrize("causal", [False, True])
def test_projected_attention_equals_torchs_functional_on_the_same_projections(causal):
    attention = seeded(lambda: CLASSES[causal](H))
    x = normal(B, T, H)
    expected = F.scaled_dot_product_attention(
        attention.W_q(x), attention.W_k(x), attention.W_v(x), is_causal=causal
    )
    torch.testing.assert_close(attention(x, x, x)[0], expected, atol=1e-6, rtol=1e-6)


@pytest.mark.parametrize("masked", [False, True])
def test_attention_equals_torchs_module_with_one_head(masked, mask):
    ours = seeded(lambda: ScaledDotAttention(H))
    theirs = nn.MultiheadAttention(H, num_heads=1, batch_first=True)
    with torch.no_grad():
        projections = (ours.W_q, ours.W_k, ours.W_v)
        theirs.in_proj_weight.copy_(torch.cat([p.weight for p in projections]))
        theirs.in_proj_bias.copy_(torch.cat([p.bias for p in projections]))
        theirs.out_proj.weight.copy_(torch.eye(H))
        theirs.out_proj.bias.zero_()
    queries, keys, values = normal(B, K, H), normal(B, T, H, seed=1), normal(B, T, H, seed=2)
    context, weights = ours(queries, keys, values, mask if masked else None)
    expected = theirs(queries, keys, values, attn_mask=~mask if masked else None)
    torch.testing.assert_close(context, expected[0], atol=1e-6, rtol=1e-6)
    torch.testing.assert_close(weights, expected[1], atol=1e-6, rtol=1e-6)


@pytest.mark.parametrize("make", CLASSES)
def test_gradients_equal_finite_differences(make):
    attention = seeded(lambda: make(4)).double()
    x = normal(2, 3, 4, dtype=torch.float64).requires_grad_()
    parameters = dict(attention.named_parameters())

    def context_and_weights(x, *values):
        return torch.func.functional_call(
            attention, dict(zip(parameters, values, strict=True)), (x, x, x)
        )

    assert gradcheck(context_and_weights, (x, *parameters.values()))


def test_gradients_with_a_mask_equal_finite_differences(mask):
    inputs = [normal(B, n, 3, seed=n, dtype=torch.float64).requires_grad_() for n in (K, T, T)]
    assert gradcheck(lambda Q, KEYS, V: scaled_dot_attention(Q, KEYS, V, mask), inputs)


@pytest.mark.parametrize("masked", [False, True])
def test_one_query_without_its_axis_gives_what_it_gives_with_it(masked, mask):
    attention = seeded(lambda: ScaledDotAttention(H))
    query, keys, values = normal(B, H), normal(B, T, H, seed=1), normal(B, T, H, seed=2)
    mask = mask[:, 1:2] if masked else None
    flat, full = attention(query, keys, values, mask), attention(query[:, None], keys, values, mask)
    assert flat[0].shape == (B, H) and flat[1].shape == (B, T)
    for a, b in zip(flat, full, strict=True):
        assert torch.equal(a, b.squeeze(1))


def test_the_last_query_alone_sees_every_key_when_attention_is_causal():
    attention = seeded(lambda: CausalScaledDotAttention(H))
    x = normal(B, T, H)
    context, weights = attention(x[:, -1], x, x)
    torch.testing.assert_close(context, attention(x, x, x)[0][:, -1])
    assert (weights > 0).all()


def test_the_causal_mask_lets_the_last_queries_see_positions_up_to_their_own():
    assert causal_mask(2, 4).int().tolist() == [[1, 1, 1, 0], [1, 1, 1, 1]]
    assert torch.equal(causal_mask(3, 3), torch.ones(3, 3).tril().bool())


def reach(function, x):
    """|d output t / d input i| summed over everything else, for x of shape (1, T, H)."""
    return jacobian(function, x)[0, :, :, 0].abs().sum(dim=(1, 3))  # (T, T)


def assert_causal(reached):
    later = torch.ones_like(reached).triu(1).bool()
    assert (reached[later] == 0).all()
    assert (reached[~later] > 0).all()


def test_causal_attention_has_no_gradient_from_later_positions():
    attention = seeded(lambda: CausalScaledDotAttention(H))
    x = normal(1, T, H)
    assert_causal(reach(lambda x: attention(x, x, x)[0], x))
    with pytest.raises(AssertionError):  # plain attention does look ahead
        plain = seeded(lambda: ScaledDotAttention(H))
        assert_causal(reach(lambda x: plain(x, x, x)[0], x))


def test_a_mask_is_joined_to_the_causal_one():
    attention = seeded(lambda: CausalScaledDotAttention(H))
    x = normal(1, T, H)
    _, weights = attention(x, x, x, (torch.arange(T) != 1)[None, None])
    assert (weights[0, :, 1] == 0).all()
    assert (weights[0].triu(1) == 0).all()


def test_the_whole_decoder_has_no_gradient_from_later_tokens():
    model = EncoderDecoder(hidden=8, layers=2)
    source, inputs = torch.tensor([[1, 2, 3]]), torch.tensor([[27, 4, 5, 6, 7]])

    def logits(embedded):
        hook = model.decoder.embedding.register_forward_hook(lambda *_: embedded)
        try:
            return model(source, inputs)[0]
        finally:
            hook.remove()

    assert_causal(reach(logits, model.decoder.embedding(inputs).detach()))


def test_attention_without_positions_is_equivariant_to_permutations():
    attention = seeded(lambda: ScaledDotAttention(H))
    x, order = normal(B, T, H), torch.tensor([3, 0, 5, 1, 4, 2])
    context, weights = attention(x, x, x)
    permuted, permuted_weights = attention(*[x[:, order]] * 3)
    torch.testing.assert_close(permuted, context[:, order])
    torch.testing.assert_close(permuted_weights, weights[:, order][:, :, order])


def test_attention_with_positions_is_not_equivariant_to_permutations():
    attention, positions = seeded(lambda: ScaledDotAttention(H)), SinusoidalPositions(H)
    x, order = normal(B, T, H), torch.tensor([3, 0, 5, 1, 4, 2])
    context = attention(*[positions(x)] * 3)[0]
    permuted = attention(*[positions(x[:, order])] * 3)[0]
    assert (permuted - context[:, order]).abs().max() > 0.05


@pytest.mark.parametrize("hidden", [2, 6, 32])
def test_positions_are_the_sines_and_cosines_of_the_formula(hidden):
    table = positional_encoding(50, hidden)
    assert table.shape == (50, hidden)
    for t in range(50):
        for i in range(hidden // 2):
            angle = t / 10000 ** (2 * i / hidden)
            assert table[t, 2 * i].item() == pytest.approx(math.sin(angle), abs=1e-6)
            assert table[t, 2 * i + 1].item() == pytest.approx(math.cos(angle), abs=1e-6)


@pytest.mark.parametrize("shift", [1, 7])
def test_a_shift_rotates_the_positions_alike_everywhere(shift):
    hidden = 16
    table = positional_encoding(200, hidden).double()
    angles = shift * 10000.0 ** (-torch.arange(0, hidden, 2, dtype=torch.float64) / hidden)
    rotations = [
        torch.tensor([[math.cos(a), math.sin(a)], [-math.sin(a), math.cos(a)]]) for a in angles
    ]
    R = torch.block_diag(*rotations).double()
    torch.testing.assert_close(R @ R.T, torch.eye(hidden).double(), atol=1e-6, rtol=0)
    torch.testing.assert_close(table[:-shift] @ R.T, table[shift:], atol=1e-6, rtol=0)


def test_positions_are_bounded_far_out():
    table = positional_encoding(100_000, 8)
    assert table.abs().max() <= 1
    torch.testing.assert_close(table.square().sum(1), torch.full((100_000,), 4.0))


def test_positions_are_added_from_the_given_start():
    positions, x = SinusoidalPositions(H, max_length=10), normal(B, T, H)
    torch.testing.assert_close(positions(x, start=4), x + positional_encoding(10, H)[4:])
    assert torch.equal(positions(x)[:, 3:], positions(x[:, 3:], start=3))


def test_a_sequence_longer_than_the_position_table_is_refused():
    positions = SinusoidalPositions(H, max_length=5)
    assert positions(torch.zeros(1, 5, H)).shape == (1, 5, H)
    for x, start in ((torch.zeros(1, 6, H), 0), (torch.zeros(1, 1, H), 5)):
        with pytest.raises(ValueError, match=r"6 tokens is longer than the position table \(5\)"):
            positions(x, start)


@pytest.mark.parametrize("hidden", [0, -2])
@pytest.mark.parametrize(
    "make", [*CLASSES, SinusoidalPositions, lambda h: positional_encoding(3, h)]
)
def test_a_width_that_is_not_positive_is_refused(make, hidden):
    with pytest.raises(ValueError, match=f"must be a positive number, got {hidden}"):
        make(hidden)


@pytest.mark.parametrize("make", [SinusoidalPositions, lambda h: positional_encoding(3, h)])
def test_an_odd_width_is_refused_for_positions(make):
    with pytest.raises(ValueError, match="must be even .* got 7"):
        make(7)


def test_a_negative_number_of_positions_is_refused():
    with pytest.raises(ValueError, match="at least 0, got -1"):
        positional_encoding(-1, 4)


@pytest.mark.parametrize(
    ("queries", "keys", "values", "message"),
    [
        ((B, K, H + 1), (B, T, H), (B, T, H), r"queries must have width 8.*\(3, 4, 9\)"),
        ((B, K, H), (B, T, 2), (B, T, H), r"keys must have width 8.*\(3, 6, 2\)"),
        ((B, K, H), (B, T, H), (B, T, 1), r"values must have width 8.*\(3, 6, 1\)"),
        ((B, K, H), (B, T, H), (B, T + 1, H), "6 keys but 7 values"),
        ((H,), (B, T, H), (B, T, H), r"expected queries \(B, H\) or \(B, k, H\).*got \(8,\)"),
        ((B, K, H), (T, H), (T, H), r"keys and values \(B, T, H\), got"),
        ((B + 1, K, H), (B, T, H), (B, T, H), r"expected queries.*got \(4, 4, 8\), \(3, 6, 8\)"),
        ((B, K, H), (B, T, H), (1 + B, T, H), r"expected queries.*and \(4, 6, 8\)"),
    ],
)
def test_shapes_that_do_not_fit_are_refused(queries, keys, values, message):
    with pytest.raises(ValueError, match=message):
        ScaledDotAttention(H)(torch.zeros(queries), torch.zeros(keys), torch.zeros(values))


def test_widths_of_queries_and_keys_that_differ_are_refused():
    with pytest.raises(ValueError, match="queries have width 8 but keys have width 7"):
        scaled_dot_attention(normal(B, K, H), normal(B, T, 7), normal(B, T, H))


@pytest.mark.parametrize("shape", [(B, K, T + 1), (B, K + 1, T), (B + 1, 1, T)])
def test_a_mask_that_does_not_fit_is_refused(shape):
    mask = torch.ones(shape, dtype=torch.bool)
    with pytest.raises(ValueError, match=r"mask .* must broadcast to \(3, 4, 6\)"):
        scaled_dot_attention(normal(B, K, H), normal(B, T, H), normal(B, T, H), mask)


def test_a_causal_query_before_the_first_key_is_refused():
    with pytest.raises(ValueError, match="3 queries .* 2 keys"):
        causal_mask(3, 2)


def test_a_query_that_sees_no_key_has_no_weights_no_context_and_no_gradient(mask):
    mask[1, 2] = False
    parts = [normal(B, n, H, seed=n, dtype=torch.float64).requires_grad_() for n in (K, T, T)]
    context, weights = scaled_dot_attention(*parts, mask)
    assert (weights[1, 2] == 0).all() and (context[1, 2] == 0).all()
    expected = F.scaled_dot_product_attention(*parts, attn_mask=mask)
    torch.testing.assert_close(context, expected)
    ours, theirs = (torch.autograd.grad(c.square().sum(), parts) for c in (context, expected))
    for one, other in zip(ours, theirs, strict=True):
        torch.testing.assert_close(one, other)
    attention = seeded(lambda: ScaledDotAttention(H))
    x = normal(1, T, H)
    attention(x, x, x, torch.zeros(1, 1, T, dtype=torch.bool))[0].sum().backward()
    assert all((p.grad == 0).all() for p in attention.parameters())


def test_a_causal_query_whose_keys_are_all_padding_has_weights_zero():
    attention, x = seeded(lambda: CausalScaledDotAttention(H)), normal(1, T, H)
    _, weights = attention(x, x, x, (torch.arange(T) > 1)[None, None])
    assert (weights[0, :2] == 0).all()
    torch.testing.assert_close(weights[0, 2:].sum(-1), torch.ones(T - 2))


def test_attention_maps_over_masks_and_their_gradients_with_torch_func(mask):
    mask[0, 0] = False
    Q, KEYS, V = (normal(B, n, H, seed=n, dtype=torch.float64) for n in (K, T, T))

    def total(Q, KEYS, V, mask):
        return scaled_dot_attention(Q, KEYS, V, mask)[0].square().sum()

    gradients = torch.func.vmap(torch.func.grad(total, argnums=(0, 1, 2)))(Q, KEYS, V, mask)
    for i in range(B):
        alone = torch.func.grad(total, argnums=(0, 1, 2))(Q[i], KEYS[i], V[i], mask[i])
        for one, other in zip(gradients, alone, strict=True):
            torch.testing.assert_close(one[i], other)
            assert one.isfinite().all()


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (lambda x: x.long(), r"floating-point type, got torch.float32, torch.int64, torch.float32"),
        (lambda x: x.double(), "got torch.float32, torch.float64, torch.float32"),
        (lambda x: x.numpy(), "got torch.float32, ndarray, torch.float32"),
        (lambda x: x.tolist(), "got torch.float32, list, torch.float32"),
    ],
    ids=["integers", "mixed", "NumPy", "list"],
)
def test_what_are_not_tensors_of_one_floating_point_type_is_refused(change, message):
    x = normal(1, T, H)
    for attend in (scaled_dot_attention, ScaledDotAttention(H)):
        with pytest.raises(TypeError, match=message):
            attend(x, change(x), x)
    with pytest.raises(TypeError, match="got torch.int64, torch.int64, torch.int64"):
        scaled_dot_attention(*[x.long()] * 3)


@pytest.mark.parametrize("change", [torch.Tensor.int, torch.Tensor.numpy, torch.Tensor.float])
def test_a_mask_that_is_not_of_bools_is_refused(change):
    x, mask = normal(1, T, H), torch.ones(T, T, dtype=torch.bool)
    with pytest.raises(TypeError, match="a mask must be a tensor of bools, True where to look"):
        scaled_dot_attention(x, x, x, change(mask))
