"""A tiny BERT with a vocabulary of verbal arithmetic, saved as transformers saves one."""

import torch
from transformers import BertConfig, BertModel, BertTokenizerFast

from a3.bert.verbal_arithmetic import NUMBERS

WORDS = ["[PAD]", "[UNK]", "[CLS]", "[SEP]", "[MASK]", "plus", "minus", *NUMBERS]


def save_tiny_bert(folder, **shape):
    """Save tokenizer and model to a folder; give the file of weights."""
    folder.mkdir(exist_ok=True)
    (folder / "vocab.txt").write_text("\n".join(WORDS))
    BertTokenizerFast(vocab=str(folder / "vocab.txt")).save_pretrained(folder)
    torch.manual_seed(0)
    BertModel(BertConfig(**{"vocab_size": len(WORDS)} | shape)).save_pretrained(folder)
    return folder / "model.safetensors"
