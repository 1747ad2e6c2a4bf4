import matplotlib
import torch
from hypothesis import settings

matplotlib.use("Agg")
settings.register_profile("a3", database=None, deadline=None)
settings.load_profile("a3")

torch.set_num_threads(1)  # the models here are too small to share
