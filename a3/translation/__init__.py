"""Part IV: the handouts' models, their words, and how they are trained and decoded."""
