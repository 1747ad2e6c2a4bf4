import pytest
import torch
from torch.nn import functional as F

from a3.bert.classifier import BertForSentenceClassification
from a3.bert.fine_tuning import decay_groups
from a3.bert.masked_language import bert_config
from a3.bert.side_by_side import SideBySide, dealt, fine_tune_side_by_side
from a3.bert.verbal_arithmetic import verbal_arithmetic
from a3.bert.vocabulary import Vocabulary

DATA = verbal_arithmetic()
LABELS = torch.tensor([*DATA["label"]])


@pytest.fixture(scope="module")
def inputs():
    return Vocabulary(" ".join(DATA["sentence"]).split())([*DATA["sentence"]])["input_ids"]


def models(number):
    """Small classifiers of all the words and of some that no sentence has."""
    shape = {"hidden_size": 16, "intermediate_size": 16, "num_attention_heads": 2}
    torch.manual_seed(0)
    config = bert_config(40, num_labels=3, attn_implementation="eager", **shape)
    return [BertForSentenceClassification(config) for _ in range(number)]


def test_side_by_side_each_model_learns_as_if_it_were_alone(inputs):
    settings = SideBySide(steps=5, batch_size=8)
    batches = torch.randint(800, (5, 3, 8), generator=torch.Generator().manual_seed(0))
    _, together = fine_tune_side_by_side(models(3), inputs, LABELS, batches, settings)
    for i, model in enumerate(models(3)):
        alone = batches[:, i : i + 1]
        _, losses = fine_tune_side_by_side([model], inputs, LABELS, alone, settings)
        torch.testing.assert_close(together[:, i], losses[:, 0])


def test_the_steps_are_those_of_adamw_on_the_model_itself(inputs):
    settings = SideBySide(steps=4, batch_size=8, warmup=0.5, weight_decay=0.1)
    batches = torch.randint(800, (4, 1, 8), generator=torch.Generator().manual_seed(0))
    _, losses = fine_tune_side_by_side(models(1), inputs, LABELS, batches, settings)
    (model,) = models(1)
    optimizer = torch.optim.AdamW(decay_groups(model, settings.weight_decay))
    for step, rate in enumerate((0.5, 1.0, 1.0, 0.5)):
        for group in optimizer.param_groups:
            group["lr"] = rate * settings.learning_rate
        rows = batches[step, 0]
        loss = F.cross_entropy(model(inputs[rows]).logits, LABELS[rows])
        torch.testing.assert_close(losses[step, 0], loss.detach())
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()


def test_models_learn_what_they_are_trained_on_and_are_left_as_they_were(inputs):
    ours = models(2)
    before = [model.classifier.weight.clone() for model in ours]
    settings = SideBySide(steps=200, learning_rate=5e-3)
    rows = [torch.arange(395, 411), torch.arange(420, 436)]
    generator = torch.Generator().manual_seed(0)
    batches = torch.stack([dealt(r, settings, generator) for r in rows], dim=1)
    predictions, losses = fine_tune_side_by_side(ours, inputs, LABELS, batches, settings)
    assert predictions.shape == (2, 800) and losses.shape == (200, 2)
    for predicted, trained in zip(predictions, rows, strict=True):
        assert (predicted[trained] == LABELS[trained]).double().mean() > 0.9
    for model, weight in zip(ours, before, strict=True):
        assert torch.equal(model.classifier.weight, weight)


def test_batches_deal_every_row_before_any_comes_again():
    rows, settings = torch.arange(10, 15), SideBySide(steps=5, batch_size=3)
    batches = dealt(rows, settings, torch.Generator().manual_seed(0))
    assert batches.shape == (5, 3)
    assert all(sorted(part) == [*range(10, 15)] for part in batches.view(3, 5).tolist())


@pytest.mark.parametrize(
    ("wrong", "message"),
    [
        ({"steps": 0}, "steps must be at least 1, got 0"),
        ({"batch_size": 0}, "batch_size must be at least 1, got 0"),
        ({"draws": 0}, "draws must be at least 1, got 0"),
        ({"learning_rate": float("inf")}, "learning_rate must be positive and finite, got inf"),
        ({"warmup": -0.1}, r"warmup must be in \[0, 1\), got -0.1"),
        ({"weight_decay": -1.0}, "weight_decay must be finite and at least 0, got -1.0"),
    ],
)
def test_settings_out_of_range_are_refused(wrong, message):
    with pytest.raises(ValueError, match=message):
        SideBySide(**wrong)
