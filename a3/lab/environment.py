"""What the book asks of its surroundings: the profile, the folder of results, the model hub."""

from __future__ import annotations

import os
import sys
import threading
import urllib.error
import urllib.request
from functools import cache
from pathlib import Path

__all__ = ["cache_folder", "hub_reachable", "profile"]

_TRUE = {"1", "ON", "YES", "TRUE"}  # as huggingface_hub reads its variables


def profile() -> str:
    """``"full"``, or ``"quick"`` if the environment variable A3_PROFILE asks for short training.

    Raises
    ------
    ValueError
        If A3_PROFILE is anything else.
    """
    name = os.environ.get("A3_PROFILE", "full")
    if name not in ("full", "quick"):
        raise ValueError(f"A3_PROFILE must be 'full' or 'quick', got {name!r}")
    return name


def cache_folder() -> Path:
    """Where results are kept: the environment variable A3_CACHE, else ``~/.cache/a3``."""
    place = os.environ.get("A3_CACHE") or "~/.cache/a3"
    try:
        return Path(place).expanduser()
    except RuntimeError:  # there is no such user
        raise ValueError(f"there is no home folder for A3_CACHE={place}") from None


@cache
def hub_reachable(timeout: float = 3.0) -> bool:
    """Ask the hub once, for so many seconds, whether it answers; if not, put its libraries offline.

    Without this a library retries every file of a checkpoint for about a minute. The environment
    variable ``HF_HUB_OFFLINE`` is believed without asking, and set where the hub does not answer,
    so that what is loaded later in this process, or in one it starts, looks in the cache alone.
    ``HF_ENDPOINT`` names another hub.
    """
    if os.environ.get("HF_HUB_OFFLINE", "").upper() in _TRUE:
        return False
    answers: list[bool] = []
    probe = threading.Thread(target=lambda: answers.append(_answers(timeout)), daemon=True)
    probe.start()
    probe.join(timeout)  # resolving a name has no timeout of its own
    if answers == [True]:
        return True
    os.environ["HF_HUB_OFFLINE"] = "1"
    if "huggingface_hub.constants" in sys.modules:  # read the variable when it was imported
        sys.modules["huggingface_hub.constants"].HF_HUB_OFFLINE = True
    return False


def _answers(timeout: float) -> bool:
    endpoint = os.environ.get("HF_ENDPOINT", "https://huggingface.co")
    request = urllib.request.Request(endpoint, method="HEAD")
    try:
        with urllib.request.urlopen(request, timeout=timeout):
            return True
    except urllib.error.HTTPError as refusal:
        refusal.close()
    except (OSError, ValueError):
        pass
    return False
