import math

import pandas as pd
import pytest
import torch
from tiny_bert import WORDS
from torch.nn import functional as F
from transformers import BertConfig, BertTokenizerFast, get_linear_schedule_with_warmup

from a3.bert.classifier import BertForSentenceClassification
from a3.bert.fine_tuning import (
    FineTuning,
    Sentences,
    decay_groups,
    encode,
    features,
    fine_tune,
    fit_linear,
    logits,
)
from a3.bert.verbal_arithmetic import verbal_arithmetic

CONFIG = {
    "vocab_size": len(WORDS),
    "hidden_size": 16,
    "num_hidden_layers": 1,
    "num_attention_heads": 2,
    "intermediate_size": 32,
    "num_labels": 3,
}


@pytest.fixture(scope="module")
def tokenizer(tmp_path_factory):
    path = tmp_path_factory.mktemp("vocabulary") / "vocab.txt"
    path.write_text("\n".join(WORDS))
    return BertTokenizerFast(vocab=str(path))


@pytest.fixture(scope="module")
def sentences(tokenizer):
    return encode(tokenizer, verbal_arithmetic().iloc[::10])


def small(seed=0, **changes):
    torch.manual_seed(seed)
    return BertForSentenceClassification(BertConfig(**CONFIG | changes))


def table(*rows):
    return pd.DataFrame(rows, columns=["sentence", "label"])


def test_sentences_are_padded_to_one_length(tokenizer):
    encoded = encode(tokenizer, table(("four minus ten", 0), ("two", 2)))
    assert encoded.inputs["input_ids"].tolist() == [[2, 11, 6, 17, 3], [2, 9, 3, 0, 0]]
    assert encoded.inputs["attention_mask"].tolist() == [[1, 1, 1, 1, 1], [1, 1, 1, 0, 0]]
    assert len(encoded) == 2 and encoded[1:].labels.tolist() == [2]


@pytest.mark.parametrize(
    ("rows", "message"),
    [
        ([], "there are no sentences"),
        ([("four", 2), ("  ", 2)], "a sentence is empty"),
        ([(None, 2)], "a sentence is empty"),
        ([("four", 3)], r"labels must be 0, 1 or 2, got 3"),
        (
            [("one minus two minus three minus four", 0)],
            "9 tokens, more than max_length, which is 7",
        ),
        ([("four", "plus")], "labels must be 0, 1 or 2, got plus"),
    ],
)
def test_sentences_that_cannot_be_used_are_refused(tokenizer, rows, message):
    with pytest.raises(ValueError, match=message):
        encode(tokenizer, table(*rows))


def test_a_longer_sentence_needs_leave(tokenizer):
    long = table(("one minus two minus three minus four", 0))
    assert encode(tokenizer, long, max_length=None).inputs["input_ids"].shape == (1, 9)


def test_biases_and_norms_do_not_decay_and_nothing_is_left_out():
    model = small()
    decayed, kept = decay_groups(model, 0.3)
    assert (decayed["weight_decay"], kept["weight_decay"]) == (0.3, 0.0)
    assert {id(p) for p in decayed["params"]} | {id(p) for p in kept["params"]} == {
        id(p) for p in model.parameters()
    }
    names = {id(p): name for name, p in model.named_parameters()}
    assert all(names[id(p)].endswith("bias") or "LayerNorm" in names[id(p)] for p in kept["params"])
    assert not any(n in names[id(p)] for p in decayed["params"] for n in ("bias", "LayerNorm"))


def test_what_is_frozen_is_in_no_group():
    model = small()
    model.embeddings.requires_grad_(False)
    parameters = [p for group in decay_groups(model, 0.1) for p in group["params"]]
    assert len(parameters) == sum(p.requires_grad for p in model.parameters()) > 0


def test_one_epoch_is_these_steps(sentences):
    """The loop against its equation, written out with torch's and transformers' own parts."""
    settings = FineTuning(epochs=1, batch_size=30, learning_rate=1e-2, warmup=0.4, seed=3)
    ours, by_hand = small(), small()
    progress = fine_tune(ours, sentences, sentences[:8], settings)
    optimizer = torch.optim.AdamW(decay_groups(by_hand, 0.01), lr=1e-2)
    schedule = get_linear_schedule_with_warmup(optimizer, 1, 3)
    order = torch.randperm(80, generator=torch.Generator().manual_seed(3))
    torch.manual_seed(3)  # of dropout
    by_hand.train()
    losses = []
    for rows in order.split(30):
        loss = F.cross_entropy(by_hand(**sentences[rows].inputs).logits, sentences.labels[rows])
        optimizer.zero_grad()
        loss.backward()
        torch.nn.utils.clip_grad_norm_(by_hand.parameters(), 1.0)
        optimizer.step()
        schedule.step()
        losses.append(loss.item())
    assert progress.train_loss == pytest.approx(losses, rel=1e-5)
    for a, b in zip(ours.parameters(), by_hand.parameters(), strict=True):
        torch.testing.assert_close(a, b, rtol=1e-4, atol=1e-6)


def test_it_learns_and_reports_what_the_model_says(sentences):
    model = small()
    settings = FineTuning(epochs=30, learning_rate=3e-3)
    progress = fine_tune(model, sentences, sentences, settings)
    assert not model.training
    right = (logits(model, sentences).argmax(1) == sentences.labels).double().mean().item()
    assert progress.valid_accuracy[-1] == pytest.approx(right)
    assert progress.valid_loss[-1] < progress.valid_loss[0] / 2
    assert len(progress.train_loss) == 90 and len(progress.valid_accuracy) == 30


def test_the_seed_decides_everything_and_the_global_state_stays(sentences):
    runs = []
    for seed in (1, 1, 2):
        torch.manual_seed(7)
        before = torch.random.get_rng_state()
        model = small(seed=5)
        torch.random.set_rng_state(before)
        runs.append(fine_tune(model, sentences, sentences[:8], FineTuning(epochs=1, seed=seed)))
        assert torch.equal(torch.random.get_rng_state(), before)
    assert runs[0] == runs[1] and runs[0] != runs[2]


def test_a_loss_that_is_not_finite_stops_the_run(sentences):
    model = small()
    with torch.no_grad():
        model.classifier.weight.fill_(math.nan)
    with pytest.raises(FloatingPointError, match="the loss is nan; lower the learning rate"):
        fine_tune(model, sentences, sentences, FineTuning(epochs=1))


def test_features_are_what_the_classifier_sees(sentences):
    model = small()
    X = features(model, sentences)
    expected = model.eval()(**sentences.inputs).logits
    torch.testing.assert_close(model.classifier(X), expected)
    assert not X.requires_grad


def test_the_mean_leaves_padding_out(tokenizer):
    model = small()
    both = encode(tokenizer, table(("four minus ten", 0), ("two", 2)))
    alone = encode(tokenizer, table(("two", 2)))
    mean = features(model, both, "mean", batch_size=1)
    torch.testing.assert_close(mean[1:], features(model, alone, "mean"))
    with pytest.raises(ValueError, match="pooling must be 'pooler' or 'mean', got 'max'"):
        features(model, both, "max")


def test_a_linear_layer_on_features_takes_the_frozen_models_steps(sentences):
    """Frozen, in evaluation mode and without dropout the two are the same run."""
    model = small(hidden_dropout_prob=0.0, attention_probs_dropout_prob=0.0)
    for name, parameter in model.named_parameters():
        parameter.requires_grad_(name.startswith("classifier"))
    settings = FineTuning(epochs=2, learning_rate=1e-2, seed=4)
    X = features(model, sentences)
    parts = (X, sentences.labels), (X[:8], sentences.labels[:8])
    linear, cached = fit_linear(*parts, settings)
    with torch.no_grad():
        torch.manual_seed(settings.seed)
        start = torch.nn.Linear(16, 3)
        model.classifier.load_state_dict(start.state_dict())
    recomputed = fine_tune(model, sentences, sentences[:8], settings)
    assert cached.train_loss == pytest.approx(recomputed.train_loss, rel=1e-4)
    torch.testing.assert_close(linear.weight, model.classifier.weight, rtol=1e-3, atol=1e-5)


@pytest.mark.parametrize(
    ("setting", "message"),
    [
        ({"epochs": 0}, "epochs must be at least 1, got 0"),
        ({"batch_size": 0}, "batch_size must be at least 1"),
        ({"learning_rate": 0.0}, "learning_rate must be positive and finite"),
        ({"weight_decay": -1.0}, "weight_decay must be at least 0"),
        ({"warmup": 1.5}, r"warmup must be in \[0, 1\], got 1.5"),
        ({"clip": 0.0}, "clip must be positive"),
    ],
)
def test_settings_out_of_range_are_refused(setting, message):
    with pytest.raises(ValueError, match=message):
        FineTuning(**setting)


def test_rows_are_taken_from_every_input():
    inputs = {"input_ids": torch.arange(6).view(3, 2), "attention_mask": torch.ones(3, 2)}
    picked = Sentences(inputs, torch.arange(3))[torch.tensor([2, 0])]
    assert picked.inputs["input_ids"].tolist() == [[4, 5], [0, 1]]
    assert picked.labels.tolist() == [2, 0]
