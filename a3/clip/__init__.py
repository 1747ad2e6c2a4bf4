"""Part VI: the contrastive loss, CLIP large and small, its data, its evaluation and the hunt."""
