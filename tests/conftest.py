import matplotlib
from hypothesis import settings

matplotlib.use("Agg")
settings.register_profile("a3", database=None, deadline=None)
settings.load_profile("a3")
