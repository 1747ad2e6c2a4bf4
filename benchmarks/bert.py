"""Time fine-tuning in ``a3.bert.fine_tuning`` against computing again, and against transformers.

Everything is timed in one run, on the same threads, in alternating pairs; the tables give
medians, and of the ratios the range too. The model is MiniLM, the sentences are the 448 that the
handouts train on, in batches of 32.

1. One epoch of a linear classifier on a frozen encoder: features kept, against the encoder run
   again on every batch, as the handouts' starter does. Both validate.
2. One epoch of training every weight: ``fine_tune`` against ``transformers.Trainer`` at the same
   settings: AdamW, no decay of biases and norms, linear warm-up, clipped gradients.

Usage: python benchmarks/bert.py [--threads N] [--repeats R]
"""

import tempfile
import warnings
from importlib.metadata import version
from statistics import median

import torch
from paired import alternate, start, table, with_range
from transformers import Trainer, TrainingArguments

from a3.bert.classifier import load_classifier
from a3.bert.fine_tuning import FineTuning, encode, features, fine_tune, fit_linear
from a3.bert.pretrained import minilm
from a3.bert.verbal_arithmetic import splits

SETTINGS = FineTuning(epochs=1)


class Rows(torch.utils.data.Dataset):
    """Sentences tokenized beforehand, as Trainer wants them."""

    def __init__(self, sentences):
        self.sentences = sentences

    def __len__(self):
        return len(self.sentences)

    def __getitem__(self, row):
        inputs = {name: x[row] for name, x in self.sentences.inputs.items()}
        return inputs | {"labels": self.sentences.labels[row]}


def frozen_epoch(training, validation):
    """The encoder's features kept, and computed again: two functions and their times."""
    model, _ = load_classifier(minilm())
    for name, parameter in model.named_parameters():
        parameter.requires_grad_(name.startswith("classifier"))
    parts = [(features(model, part), part.labels) for part in (training, validation)]

    def kept():
        fit_linear(*parts, SETTINGS)

    def computed_again():
        fine_tune(model, training, validation, SETTINGS)

    return kept, computed_again


def full_epoch(training):
    """The book's loop and transformers' own."""
    ours, _ = load_classifier(minilm())
    theirs, _ = load_classifier(minilm())
    nothing = training[:1]

    def loop():
        fine_tune(ours, training, nothing, SETTINGS)

    def trainer():
        with tempfile.TemporaryDirectory() as folder:
            arguments = TrainingArguments(
                folder,
                num_train_epochs=SETTINGS.epochs,
                per_device_train_batch_size=SETTINGS.batch_size,
                learning_rate=SETTINGS.learning_rate,
                weight_decay=SETTINGS.weight_decay,
                warmup_steps=SETTINGS.warmup,
                max_grad_norm=SETTINGS.clip,
                optim="adamw_torch_fused",
                lr_scheduler_type="linear",
                logging_strategy="no",
                save_strategy="no",
                report_to=[],
                use_cpu=True,
                disable_tqdm=True,
            )
            Trainer(theirs, arguments, train_dataset=Rows(training)).train()

    return loop, trainer


def main():
    arguments = start(__doc__, f", transformers {version('transformers')}")
    warnings.filterwarnings("ignore", message=".*pin_memory.*")
    _, tokenizer = load_classifier(minilm())
    training, validation, _ = (encode(tokenizer, part) for part in splits(0))

    print("\nOne epoch on a frozen encoder, seconds:\n")
    again, kept = alternate(*reversed(frozen_epoch(training, validation)), arguments.repeats)
    ratios = [a / b for a, b in zip(again, kept, strict=True)]
    table(
        ("computed again", "features kept", "again / kept"),
        (f"{median(again):.3f}", f"{median(kept):.4f}", with_range(ratios)),
    )
    print("One epoch of every weight, seconds:\n")
    ours, theirs = alternate(*full_epoch(training), arguments.repeats)
    ratios = [b / a for a, b in zip(ours, theirs, strict=True)]
    table(
        ("a3.bert.fine_tuning", "transformers.Trainer", "theirs / ours"),
        (f"{median(ours):.2f}", f"{median(theirs):.2f}", with_range(ratios, 2)),
    )


if __name__ == "__main__":
    main()
