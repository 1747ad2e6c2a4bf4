"""Part V: verbal arithmetic, BERT's classifier, fine-tuning, and texts to pretrain on."""
