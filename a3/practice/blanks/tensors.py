"""The training tensors of a decoder-only model (2025, 2.2-1; 2023, 3.2-1)."""

import torch


def generate_tensors_for_training_decoder_nmt(src_EOP, tgt_EOS, start_token, cuda):
    """What a decoder-only model reads, and what it must name at each place.

    Parameters
    ----------
    src_EOP : Tensor of int64, shape (batch_size, src_len)
        Words, each with the token ``<EOP>`` at its end.
    tgt_EOS : Tensor of int64, shape (batch_size, tgt_len)
        Their translations, each with the token ``<EOS>`` at its end.
    start_token : int
        The token ``<SOS>``.
    cuda : bool
        Whether the result is on the GPU; always False here.

    Returns
    -------
    SOS_src_EOP_tgt, src_EOP_tgt_EOS : Tensor of int64, shape (batch_size, src_len + tgt_len)
    """
    raise NotImplementedError  # your lines
