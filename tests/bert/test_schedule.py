import math

import pytest
import torch
from transformers import get_linear_schedule_with_warmup

from a3.bert.schedule import warm_up_then_decay


@pytest.mark.parametrize("warm_up", [0, 1, 4, 10])
def test_in_a_line_it_is_that_of_transformers(warm_up):
    optimizer = torch.optim.SGD([torch.zeros(1)], lr=1.0)
    schedule = get_linear_schedule_with_warmup(optimizer, warm_up, 10)
    for done in range(10):
        assert warm_up_then_decay(done, 10, warm_up) == schedule.get_last_lr()[0]
        optimizer.step(), schedule.step()


def test_one_step_ahead_the_first_step_counts():
    rates = [warm_up_then_decay(done, 8, 2.0, ahead=1) for done in range(8)]
    assert rates == pytest.approx([1 / 2, 1, 1, 5 / 6, 4 / 6, 3 / 6, 2 / 6, 1 / 6])


def test_as_a_cosine_it_is_at_half_when_half_is_left():
    rates = [warm_up_then_decay(done, 10, 2.0, cosine=True) for done in (1, 2, 4, 6, 10)]
    assert rates == pytest.approx([0.5, 1, 0.5 * (1 + math.cos(math.pi / 4)), 0.5, 0])


def test_without_warm_up_it_begins_at_the_highest():
    assert warm_up_then_decay(0, 5, 0.0) == warm_up_then_decay(0, 5, 0.0, cosine=True) == 1
