import pytest
import torch

from a3.translation.decoder_only import DecoderOnlyTransformer
from a3.translation.prompts import Prompts
from a3.translation.side_by_side import Ensemble, StackedBatch
from a3.translation.word_pairs import WordPairs

WORDS = [["team", "impress", "string"], ["well-known", "my", "quick"], ["you", "the", "shopping"]]


@pytest.fixture
def models():
    return [DecoderOnlyTransformer(16, 2, seed=seed) for seed in range(3)]


@pytest.fixture
def batches():
    return [Prompts(WordPairs(words))[torch.arange(3)] for words in WORDS]


def test_losses_and_gradients_are_those_of_the_models_by_themselves(models, batches):
    ensemble = Ensemble(models)
    losses = ensemble.losses(StackedBatch.of(batches))
    losses.sum().backward()
    for i, (model, batch) in enumerate(zip(models, batches, strict=True)):
        total, tokens = model.loss(batch)
        (total / tokens).backward()
        torch.testing.assert_close(losses[i], total / tokens, rtol=1e-5, atol=1e-6)
        for name, weight in model.named_parameters():
            torch.testing.assert_close(
                ensemble.weights[name].grad[i], weight.grad, rtol=1e-4, atol=1e-6
            )


def test_steps_of_adam_keep_the_models_apart(models, batches):
    """Trained side by side, each model ends where it ends when it is trained alone."""
    ensemble = Ensemble(models)
    adam = torch.optim.Adam(ensemble.weights.values(), lr=1e-3)
    alone = [torch.optim.Adam(model.parameters(), lr=1e-3) for model in models]
    for _ in range(5):
        adam.zero_grad()
        ensemble.losses(StackedBatch.of(batches)).sum().backward()
        adam.step()
        for model, optimizer, batch in zip(models, alone, batches, strict=True):
            optimizer.zero_grad()
            total, tokens = model.loss(batch)
            (total / tokens).backward()
            optimizer.step()
    losses = ensemble.losses(StackedBatch.of(batches)) * StackedBatch.of(batches).tokens
    expected = torch.stack([m.loss(batch)[0] for m, batch in zip(models, batches, strict=True)])
    torch.testing.assert_close(losses, expected, rtol=1e-4, atol=1e-4)


def test_the_models_given_are_not_changed(models, batches):
    ensemble = Ensemble(models)
    with torch.no_grad():
        for weight in ensemble.weights.values():
            weight.zero_()
    assert all(weight.any() for weight in models[0].embedding.parameters())


def test_scored_tokens_are_counted_for_each_model(batches):
    stacked = StackedBatch.of(batches)
    assert stacked.tokens.tolist() == [batch.tokens for batch in batches]
    assert stacked.inputs.shape == (3, 3, max(batch.inputs.shape[1] for batch in batches))


def test_models_of_different_shapes_are_refused():
    with pytest.raises(ValueError, match="models of one shape, got 2 shapes"):
        Ensemble([DecoderOnlyTransformer(16, 2), DecoderOnlyTransformer(32, 2)])
    with pytest.raises(ValueError, match="models of one shape, got 0 shapes"):
        Ensemble([])
