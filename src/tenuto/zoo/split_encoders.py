"""One word table behind the three text encoders of `StableDiffusion3Pipeline`.

The pipeline builds the text of the transformer as ``[[clip | clip_2 | 0]; t5]``: the two CLIP
sequences side by side in channels, the T5 sequence after them; and the pooled vector as
``[clip | clip_2]``. No part may be empty (the pipeline reshapes by ``view(n, length, -1)``). So
each encoder gives the part of the caption's word vectors that falls into its place, and together
they are exactly those vectors and their mean.
"""

import torch
from diffusers.configuration_utils import ConfigMixin, register_to_config
from diffusers.models.modeling_utils import ModelMixin
from torch import Tensor, nn
from transformers.modeling_outputs import BaseModelOutput
from transformers.models.clip.modeling_clip import CLIPTextModelOutput


class PooledWordEncoder(ModelMixin, ConfigMixin):
    """In a CLIP encoder's place: the first slots, in some of the channels, and their pooled mean.

    Args:
        num_words: Rows of the word table.
        channels: Channels of the caption's vectors that this encoder holds.
        slots: Text tokens that the transformer was trained on; the mean is over all of them.
        num_kept: Slots given as the sequence, from the first on.
    """

    __module__ = "tenuto.zoo"  # recorded in model_index.json: importing tenuto.zoo is enough

    @register_to_config
    def __init__(self, num_words: int, channels: int, slots: int, num_kept: int):
        super().__init__()
        self.slots = slots
        self.num_kept = num_kept
        self.words = nn.Embedding(num_words, channels)

    def forward(self, input_ids: Tensor, output_hidden_states: bool = True) -> CLIPTextModelOutput:
        """Embed ``(batch, length >= slots)`` word numbers.

        Returns:
            `text_embeds` ``(batch, channels)``; `last_hidden_state` and each of two
            `hidden_states` ``(batch, num_kept, channels)``. The pipeline reads the last but one.
        """
        caption = self.words(input_ids[:, : self.slots])  # (batch, slots, channels)
        kept = caption[:, : self.num_kept]
        return CLIPTextModelOutput(
            text_embeds=caption.mean(1), last_hidden_state=kept, hidden_states=(kept, kept)
        )


class TailWordEncoder(ModelMixin, ConfigMixin):
    """In the T5 encoder's place: the slots after the first ones, in all channels.

    Args:
        num_words: Rows of the word table.
        channels: Length of a vector.
        slots: Text tokens that the transformer was trained on.
        first_kept: Index of the first slot that is given.
    """

    __module__ = "tenuto.zoo"  # recorded in model_index.json: importing tenuto.zoo is enough

    @register_to_config
    def __init__(self, num_words: int, channels: int, slots: int, first_kept: int):
        super().__init__()
        self.slots = slots
        self.first_kept = first_kept
        self.words = nn.Embedding(num_words, channels)

    def forward(self, input_ids: Tensor) -> BaseModelOutput:
        """Embed ``(batch, length >= slots)`` word numbers.

        Returns:
            `last_hidden_state` of shape ``(batch, slots - first_kept, channels)``.
        """
        kept = input_ids[:, self.first_kept : self.slots]
        return BaseModelOutput(last_hidden_state=self.words(kept))


def split_encoders_from_table(
    table: Tensor, slots: int
) -> tuple[PooledWordEncoder, PooledWordEncoder, TailWordEncoder]:
    """Divide a trained ``(words, channels)`` table among the three encoders.

    The first two take half of the channels each, and half of the slots; the third the other half.
    """
    num_words, channels = table.shape
    half, split = channels // 2, slots // 2
    parts = (table[:, :half], table[:, half:], table)
    first, second = (
        PooledWordEncoder(num_words=num_words, channels=part.shape[1], slots=slots, num_kept=split)
        for part in parts[:2]
    )
    third = TailWordEncoder(num_words=num_words, channels=channels, slots=slots, first_kept=split)
    with torch.no_grad():
        for encoder, part in zip((first, second, third), parts, strict=True):
            encoder.words.weight.copy_(part)
    return first.eval(), second.eval(), third.eval()
