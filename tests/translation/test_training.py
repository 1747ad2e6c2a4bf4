import errno
import math
import os
import pickle
import signal
import subprocess
import sys
from dataclasses import asdict, replace
from pathlib import Path

import pytest
import torch
from torch import nn

from a3.lab.saved_runs import CheckpointError, load, save
from a3.translation.decoder_only import DecoderOnlyTransformer
from a3.translation.decoding import exact_match, translate
from a3.translation.encoder_decoder import EncoderDecoder
from a3.translation.prompts import Prompts
from a3.translation.training import History, Hyperparameters, evaluate, joined, train
from a3.translation.word_pairs import WordPairs

WORDS = ["a", "team", "quick", "string", "well-known", "you", "squid", "my", "ice", "oak"]
HP = Hyperparameters(epochs=5, batch_size=3, learning_rate=3e-3)


def fit(hyperparameters=HP, data=WORDS[:7], checkpoint=None, seed=0, hidden=8):
    """The model and the history of a small run."""
    data = data if isinstance(data, WordPairs) else WordPairs(data)
    model = EncoderDecoder(hidden, layers=1, seed=seed)
    history = train(
        model, data, WordPairs(WORDS[7:]), hyperparameters, checkpoint=checkpoint, progress=False
    )
    return model, history


def assert_same(run, other):
    """Bit for bit the same weights and history, but for the time it took."""
    (model, history), (other_model, other_history) = run, other
    assert asdict(history) | {"seconds": 0} == asdict(other_history) | {"seconds": 0}
    weights, other_weights = model.state_dict(), other_model.state_dict()
    assert all(torch.equal(weights[name], other_weights[name]) for name in weights)


class Unplugged(WordPairs):
    """Word pairs whose ``stop`` is called before the batch of the given number, over all epochs."""

    def __init__(self, pairs, batch, stop):
        super().__init__(pairs)
        self.left, self.stop = batch, stop

    def batches(self, batch_size, generator=None):
        for batch in super().batches(batch_size, generator):
            self.left -= generator is not None  # in training
            if self.left < 0:
                self.stop()
            yield batch


def interrupt():
    raise KeyboardInterrupt


class Climb(nn.Module):
    """A weight that each step raises by the learning rate; it validates best at 0.33."""

    def __init__(self):
        super().__init__()
        self.w = nn.Parameter(torch.zeros(1))

    def loss(self, batch):
        return (-self.w if self.training else (self.w - 0.33) ** 2).sum(), 1

    def flops(self, data):
        return 1.0


class OneBatch:
    tokens = 1

    def batches(self, batch_size, generator=None):
        yield torch.zeros(1)


def climb(checkpoint=None, **options):
    model, hp = Climb(), Hyperparameters(learning_rate=0.1, decay=1.0, **options)
    return model, train(model, OneBatch(), OneBatch(), hp, checkpoint=checkpoint, progress=False)


def test_the_loss_falls_and_a_handful_of_words_is_learnt_by_heart():
    pairs = WordPairs(WORDS[:6])
    model = EncoderDecoder(32, layers=2)
    hp = Hyperparameters(epochs=120, batch_size=6, learning_rate=3e-3)
    history = train(model, pairs, pairs, hp, progress=False)
    assert history.valid_loss[-1] < 0.1 < 2 < history.train_loss[0]
    assert exact_match(model, pairs) == 1
    assert translate(model, "well-known quick") == "ellway-ownknay ickquay"


def test_the_same_seed_gives_the_same_losses_bit_for_bit():
    assert_same(fit(), fit())


@pytest.mark.parametrize("other", [{"seed": 1}, {"hyperparameters": replace(HP, seed=1)}], ids=str)
def test_another_seed_of_the_model_or_of_the_batches_gives_other_losses(other):
    assert fit()[1].train_loss != fit(**other)[1].train_loss


def test_training_leaves_the_global_generator_as_it_was():
    before = torch.random.get_rng_state()
    fit()
    assert torch.equal(torch.random.get_rng_state(), before)


@pytest.mark.parametrize("batch", [3, 4, 8, 11])  # of 3 an epoch
def test_a_run_interrupted_in_mid_epoch_resumes_to_the_same_result(tmp_path, batch):
    path = tmp_path / "runs" / "run.pt"
    with pytest.raises(KeyboardInterrupt):
        fit(data=Unplugged(WORDS[:7], batch, interrupt), checkpoint=path)
    assert History(**load(path)["history"]).epochs == batch // 3
    seconds = load(path)["history"]["seconds"]
    resumed = fit(checkpoint=path)
    assert_same(resumed, fit())
    assert resumed[1].seconds[: len(seconds)] == seconds
    assert resumed[1].seconds == sorted(resumed[1].seconds)
    assert_same(fit(checkpoint=path), fit())  # nothing is left to do


def test_a_run_interrupted_at_every_epoch_resumes_to_the_same_result(tmp_path):
    for _ in range(HP.epochs - 1):
        with pytest.raises(KeyboardInterrupt):
            fit(data=Unplugged(WORDS[:7], 4, interrupt), checkpoint=tmp_path / "run.pt")
    assert_same(fit(checkpoint=tmp_path / "run.pt"), fit())


KILLED = """
import os, signal, sys, torch
torch.set_num_threads(1)
sys.path[:0] = [sys.argv[2], sys.argv[2] + "/tests"]
from tests.translation.test_training import WORDS, Unplugged, fit
data = Unplugged(WORDS[:7], 8, lambda: os.kill(os.getpid(), signal.SIGKILL))
fit(data=data, checkpoint=sys.argv[1])
"""


def test_a_killed_process_resumes_to_the_same_result(tmp_path):
    path = tmp_path / "run.pt"
    root = str(Path(__file__).parents[2])
    command = [sys.executable, "-c", KILLED, str(path), root]
    killed = subprocess.run(command, capture_output=True)
    assert killed.returncode == -signal.SIGKILL, killed.stderr.decode()
    assert History(**load(path)["history"]).epochs == 2
    assert_same(fit(checkpoint=path), fit())


@pytest.mark.parametrize("patience", [1, 2, 4])
def test_training_stops_after_its_patience_with_the_best_weights(patience):
    model, history = climb(epochs=50, patience=patience)
    assert history.best_epoch == 2  # at 0.3
    assert history.epochs == 3 + patience
    assert model.w.item() == pytest.approx(0.3, abs=1e-5)
    assert history.best_loss == pytest.approx(0.03**2, abs=1e-5)


def test_the_best_weights_are_restored_when_the_epochs_run_out():
    model, history = climb(epochs=6)
    assert history.epochs == 6 and model.w.item() == pytest.approx(0.3, abs=1e-5)


@pytest.mark.parametrize("epochs", [1, 3, 4])
def test_a_resumed_run_stops_where_an_uninterrupted_one_does(tmp_path, monkeypatch, epochs):
    saved = []

    def save_and_stop(state, path):
        save(state, path)
        saved.append(path)
        if len(saved) == epochs:
            raise KeyboardInterrupt

    with monkeypatch.context() as patch, pytest.raises(KeyboardInterrupt):
        patch.setattr("a3.lab.saved_runs.save", save_and_stop)
        climb(tmp_path / "run.pt", epochs=50, patience=2)
    resumed = climb(tmp_path / "run.pt", epochs=50, patience=2)
    assert_same(resumed, climb(epochs=50, patience=2))
    assert_same(climb(tmp_path / "run.pt", epochs=50, patience=2), resumed)


def test_the_learning_rate_decays_every_epoch():
    model = Climb()
    hp = Hyperparameters(epochs=3, learning_rate=0.01, decay=0.5)
    train(model, OneBatch(), OneBatch(), hp, progress=False)
    assert model.w.item() == pytest.approx(0.01 * (1 + 0.5 + 0.25), rel=1e-4)


def test_the_history_counts_iterations_epochs_tokens_flops_and_seconds():
    pairs = WordPairs(WORDS[:7])
    model, history = fit(data=pairs)
    by_epoch = range(1, HP.epochs + 1)
    assert history.epochs == HP.epochs == len(history.valid_loss)
    assert history.iterations == [3 * e for e in by_epoch]  # 7 words, 3 a batch
    assert len(history.train_loss) == history.iterations[-1]
    assert history.tokens == [pairs.tokens * e for e in by_epoch]
    assert history.flops == [3 * model.flops(pairs) * e for e in by_epoch]
    assert 0 < history.seconds[0] and history.seconds == sorted(history.seconds)
    assert history.best_loss == min(history.valid_loss) == history.valid_loss[history.best_epoch]
    assert evaluate(model, WordPairs(WORDS[7:])) == history.best_loss


def test_a_history_without_epochs_has_an_infinite_best_loss():
    assert History().epochs == 0 and History().best_loss == math.inf


def test_losses_are_nats_a_token_whatever_the_batches():
    model, pairs = EncoderDecoder(8, 1), WordPairs(WORDS)
    each = [model.loss(batch) for batch in pairs.batches(1)]
    expected = sum(total.item() for total, _ in each) / pairs.tokens
    for batch_size in (1, 4, 100):
        assert evaluate(model, pairs, batch_size) == pytest.approx(expected, rel=1e-5)
    history = train(model, pairs, pairs, Hyperparameters(1, batch_size=100), progress=False)
    assert history.train_loss == pytest.approx([expected], rel=1e-5)


@pytest.mark.parametrize(
    ("name", "value", "message"),
    [
        ("epochs", 0, "epochs must be at least 1, got 0"),
        ("batch_size", 0, "batch_size must be at least 1, got 0"),
        ("batch_size", -64, "batch_size must be at least 1, got -64"),
        ("patience", 0, "patience must be at least 1, got 0"),
        ("epochs", 2.5, "epochs must be a whole number, got 2.5"),
        ("batch_size", 64.0, "batch_size must be a whole number, got 64.0"),
        ("learning_rate", 0.0, "learning_rate must be positive and finite, got 0.0"),
        ("learning_rate", -1e-3, "learning_rate must be positive and finite"),
        ("learning_rate", math.inf, "learning_rate must be positive and finite"),
        ("learning_rate", math.nan, "learning_rate must be positive and finite"),
        ("decay", 0.0, r"decay must be in \(0, 1\], got 0.0"),
        ("decay", 1.01, r"decay must be in \(0, 1\], got 1.01"),
        ("decay", math.nan, r"decay must be in \(0, 1\], got nan"),
    ],
)
def test_hyperparameters_outside_their_range_are_refused(name, value, message):
    with pytest.raises(ValueError, match=message):
        Hyperparameters(**{name: value})


def test_the_default_hyperparameters_are_the_handouts():
    assert asdict(Hyperparameters()) == {
        "epochs": 100, "batch_size": 64, "learning_rate": 5e-4,
        "decay": 0.99, "patience": 100, "seed": 0,
    }  # fmt: skip


@pytest.mark.parametrize("finished", [0, 2])
def test_a_loss_that_is_not_finite_stops_training_and_keeps_the_checkpoint(tmp_path, finished):
    class Breaks(Climb):
        def loss(self, batch):
            total, tokens = super().loss(batch)
            return total * (1 if self.w < 0.1 * finished + 0.05 else math.nan), tokens

    hp = Hyperparameters(learning_rate=0.1, decay=1.0)
    with pytest.raises(FloatingPointError, match=f"after epoch {finished + 1} .*now 0.1"):
        train(Breaks(), OneBatch(), OneBatch(), hp, checkpoint=tmp_path / "run.pt", progress=False)
    assert (tmp_path / "run.pt").exists() == (finished > 0)
    assert not finished or len(load(tmp_path / "run.pt")["history"]["valid_loss"]) == finished


def test_a_learning_rate_that_blows_up_is_reported():
    with pytest.raises(
        FloatingPointError, match=r"after epoch 1 .*lower the learning rate, now 1e\+"
    ):
        fit(replace(HP, learning_rate=1e20))


def truncated(path):
    path.write_bytes(path.read_bytes()[:-200])


def flipped(path):
    content = bytearray(path.read_bytes())
    for i in range(len(content) // 4, len(content) // 2):
        content[i] ^= 0xFF
    path.write_bytes(content)


class Opens:
    """Pickled, it makes a file when it is read."""

    def __reduce__(self):
        return os.mkdir, ("executed",)


DAMAGES = {
    "truncated": truncated,
    "flipped": flipped,
    "empty": lambda path: path.write_bytes(b""),
    "random bytes": lambda path: path.write_bytes(bytes(range(256)) * 40),
    "text": lambda path: path.write_text("loss 0.3\n"),
    "not a dict": lambda path: torch.save([1, 2], path),
    "pickled code": lambda path: torch.save({"model": Opens()}, path),
    "plain pickle": lambda path: path.write_bytes(pickle.dumps(Opens())),
    "a folder": lambda path: (path.unlink(), path.mkdir()),
}


@pytest.mark.parametrize("damage", DAMAGES.values(), ids=DAMAGES.keys())
def test_a_damaged_checkpoint_is_refused_and_nothing_in_it_is_executed(
    tmp_path, monkeypatch, damage
):
    monkeypatch.chdir(tmp_path)
    path = tmp_path / "run.pt"
    fit(replace(HP, epochs=1), checkpoint=path)
    damage(path)
    with pytest.raises(CheckpointError, match=r"cannot read .*run\.pt"):
        load(path)
    with pytest.raises(CheckpointError, match=r"cannot read .*run\.pt"):
        fit(replace(HP, epochs=1), checkpoint=path)
    assert os.listdir(tmp_path) == ["run.pt"]


@pytest.mark.parametrize(
    "other",
    [
        {"hyperparameters": replace(HP, learning_rate=1e-3)},
        {"hyperparameters": replace(HP, seed=1)},
        {"data": WORDS[:6]},
        {"data": ["a", "meat", "quick", "string", "well-known", "you", "squid"]},
        {"data": [*reversed(WORDS[:7])]},
        {"hidden": 10},
        {"seed": 1},
    ],
    ids=str,
)
def test_a_checkpoint_of_another_run_is_refused_and_kept(tmp_path, other):
    path = tmp_path / "run.pt"
    fit(checkpoint=path)
    content = path.read_bytes()
    with pytest.raises(CheckpointError, match=r"run\.pt belongs to another run.*delete it"):
        fit(checkpoint=path, **other)
    assert path.read_bytes() == content


def test_going_on_to_more_epochs_gives_what_all_at_once_gives(tmp_path):
    path = tmp_path / "run.pt"
    fit(checkpoint=path)
    more = replace(HP, epochs=8)
    assert_same(fit(more, checkpoint=path), fit(more))
    content = path.read_bytes()
    with pytest.raises(CheckpointError, match="has 8 epochs already, more than the 5 asked for"):
        fit(checkpoint=path)
    assert path.read_bytes() == content


def test_a_run_that_lost_its_patience_does_not_go_on(tmp_path):
    stopped = climb(tmp_path / "run.pt", epochs=50, patience=2)
    assert_same(climb(tmp_path / "run.pt", epochs=60, patience=2), stopped)


def test_a_trained_model_is_told_to_be_built_afresh(tmp_path):
    pairs, path = WordPairs(WORDS[:7]), tmp_path / "run.pt"
    model, _ = fit(checkpoint=path)
    with pytest.raises(CheckpointError) as caught:
        train(model, pairs, WordPairs(WORDS[7:]), HP, checkpoint=path, progress=False)
    message = str(caught.value)
    assert "initial weights" in message and "a freshly built model" in message
    assert not any(same in message for same in ("{", "\n", "learning_rate", "data"))


@pytest.mark.parametrize(
    ("make", "right", "wrong", "message"),
    [
        (
            EncoderDecoder,
            WordPairs,
            lambda words: Prompts(WordPairs(words)),
            "on WordPairs, got Prompts",
        ),
        (
            DecoderOnlyTransformer,
            lambda words: Prompts(WordPairs(words)),
            WordPairs,
            "on Prompts, got WordPairs",
        ),
        (EncoderDecoder, WordPairs, list, "such as WordPairs or Prompts, got list"),
    ],
)
def test_data_of_the_wrong_kind_are_refused_before_the_first_step(make, right, wrong, message):
    model, right, wrong = make(8, 1), right(WORDS), wrong(WORDS)
    before = [p.detach().clone() for p in model.parameters()]
    for data in ((wrong, right), (right, wrong)):
        with pytest.raises(TypeError, match=message):
            train(model, *data, HP, progress=False)
    assert all(map(torch.equal, before, model.parameters()))
    with pytest.raises(TypeError, match=message.replace("on ", "on batches of ").split(", got")[0]):
        evaluate(model, wrong)


def test_a_file_of_another_kind_is_refused_as_a_checkpoint(tmp_path):
    save({"loss": 1.0}, tmp_path / "run.pt")
    with pytest.raises(CheckpointError, match="belongs to another run"):
        fit(checkpoint=tmp_path / "run.pt")


def no_space(*args, **options):
    raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))


def test_a_folder_that_cannot_be_written_is_reported(tmp_path):
    (tmp_path / "file").write_text("not a folder")
    with pytest.raises(CheckpointError, match=r"cannot write .*run\.pt: .*oose another folder"):
        fit(checkpoint=tmp_path / "file" / "run.pt")


def test_training_says_so_when_the_disk_is_full(tmp_path, monkeypatch):
    monkeypatch.setattr(os, "replace", no_space)
    with pytest.raises(CheckpointError, match="the disk is full, .* MB left. Free some space"):
        fit(checkpoint=tmp_path / "run.pt")
    assert os.listdir(tmp_path) == []


def test_a_bar_over_the_epochs_is_drawn_if_asked_for(capsys):
    pairs, hp = WordPairs(WORDS[:3]), Hyperparameters(epochs=2)
    train(EncoderDecoder(8, 1), pairs, pairs, hp, progress=True)
    assert "epochs" in capsys.readouterr().err
    train(EncoderDecoder(8, 1), pairs, pairs, hp, progress=False)
    assert capsys.readouterr().err == ""


def test_joined_parameters_take_the_steps_of_adam_that_they_take_apart():
    apart, together = (torch.nn.Linear(3, 2) for _ in range(2))
    together.load_state_dict(apart.state_dict())
    whole = joined(together.parameters())
    adams = [torch.optim.Adam(apart.parameters()), torch.optim.Adam([whole])]
    for _ in range(3):
        for model, adam in zip((apart, together), adams, strict=True):
            adam.zero_grad(set_to_none=False)
            model(torch.ones(4, 3)).square().sum().backward()
            adam.step()
    for one, other in zip(apart.parameters(), together.parameters(), strict=True):
        torch.testing.assert_close(one, other)
    assert whole.shape == (8,)
