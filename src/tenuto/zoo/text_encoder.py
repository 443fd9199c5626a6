"""Word numbers to embeddings, standing where a pipeline's language model would."""

import torch
from diffusers.configuration_utils import ConfigMixin, register_to_config
from diffusers.models.modeling_utils import ModelMixin
from torch import Tensor, nn
from transformers.modeling_outputs import BaseModelOutput


class WordEncoder(ModelMixin, ConfigMixin):
    """One learned vector a word; the caption's slots, repeated up to the length asked for.

    `WanPipeline` hands the transformer `max_sequence_length` text tokens, 512 unless told, and
    fills up with zeros. The embedded transformer was trained on `slots` tokens, and zeros would
    draw attention. Whole copies of the caption do not: a softmax over the same keys n times over
    gives the same average. `max_sequence_length=slots` asks for one copy and is faster.

    Args:
        num_words: Rows of the word table.
        channels: Length of a vector.
        slots: Text tokens that the transformer was trained on.
    """

    __module__ = "tenuto.zoo"  # recorded in model_index.json: importing tenuto.zoo is enough

    @register_to_config
    def __init__(self, num_words: int, channels: int, slots: int):
        super().__init__()
        self.slots = slots
        self.words = nn.Embedding(num_words, channels)

    def forward(self, input_ids: Tensor, attention_mask: Tensor | None = None) -> BaseModelOutput:
        """Embed ``(batch, length)`` word numbers, of which the first `slots` of a row count.

        Args:
            input_ids: Integers below `num_words`.
            attention_mask: Unused: padding is a word like any other.

        Returns:
            `last_hidden_state` of shape ``(batch, length, channels)``.

        Raises:
            ValueError: The length is not a positive multiple of `slots`.
        """
        length = input_ids.shape[1]
        if length == 0 or length % self.slots:
            raise ValueError(
                f"`max_sequence_length` must be a positive multiple of {self.slots}, "
                f"the words the model was trained on, got {length}"
            )
        caption = self.words(input_ids[:, : self.slots])  # (batch, slots, channels)
        copies = caption.repeat(1, length // self.slots, 1)
        return BaseModelOutput(last_hidden_state=copies)


def word_encoder_from_table(table: Tensor, slots: int) -> WordEncoder:
    """Put a trained ``(words, channels)`` table behind a `WordEncoder`."""
    num_words, channels = table.shape
    encoder = WordEncoder(num_words=num_words, channels=channels, slots=slots)
    with torch.no_grad():
        encoder.words.weight.copy_(table)
    return encoder.eval()
