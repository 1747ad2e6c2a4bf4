from dataclasses import asdict

import pytest

from a3.clip.small import SmallClip, build
from a3.clip.tokens import Vocabulary
from a3.runs import clip as runs_of_clip
from a3.runs.clip import ABLATIONS, BASES, EXPERIMENTS, small_clip, small_clips


@pytest.mark.parametrize("name", ABLATIONS)
def test_an_ablation_changes_one_thing_and_sees_as_many_images(name):
    settings, base = ABLATIONS[name], BASES[name.partition(":")[0]]
    assert settings.steps * settings.batch_size == base.steps * base.batch_size
    before = asdict(base)
    changed = {field for field, value in asdict(settings).items() if value != before[field]}
    assert len(changed) == 1 or changed in ({"batch_size", "steps"}, {"scale", "learn_scale"})


def test_small_clips_are_trained_with_three_seeds_and_for_less_where_asked(monkeypatch):
    asked = []

    def run(function, settings):
        asked.extend(settings)
        return [{"tokens": [5, 6], "weights": weights(each["settings"])} for each in settings]

    def weights(settings):
        return build(settings, Vocabulary([5, 6])).state_dict()

    monkeypatch.setattr(runs_of_clip, "run_all", run)
    monkeypatch.setattr("a3.lab.experiments.run_all", run)
    monkeypatch.setenv("A3_PROFILE", "full")
    assert [clip.name for clip in small_clips()] == [f"small CLIP (seed {i})" for i in range(3)]
    assert asked == [{"settings": SmallClip(seed=i), "held_out": "test"} for i in range(3)]
    monkeypatch.setenv("A3_PROFILE", "quick")
    small_clip(seed=1)
    assert asked[-1] == EXPERIMENTS["small CLIP"].quick()[1]
    assert asked[-1]["settings"].steps < SmallClip().steps and asked[-1]["settings"].seed == 1
