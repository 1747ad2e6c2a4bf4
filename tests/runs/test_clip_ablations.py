from dataclasses import asdict

import pytest

from a3.runs.clip import ABLATIONS, BASES


@pytest.mark.parametrize("name", ABLATIONS)
def test_an_ablation_changes_one_thing_and_sees_as_many_images(name):
    settings, base = ABLATIONS[name], BASES[name.partition(":")[0]]
    assert settings.steps * settings.batch_size == base.steps * base.batch_size
    before = asdict(base)
    changed = {field for field, value in asdict(settings).items() if value != before[field]}
    assert len(changed) == 1 or changed in ({"batch_size", "steps"}, {"scale", "learn_scale"})
