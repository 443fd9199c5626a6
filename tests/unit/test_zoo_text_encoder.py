"""Word vectors reach the transformers as they did in training."""

import pytest
import torch
import torch.nn.functional as F

from tenuto.zoo.split_encoders import split_encoders_from_table
from tenuto.zoo.text_encoder import word_encoder_from_table

TABLE = torch.arange(12.0).reshape(6, 2)


def test_a_caption_is_the_rows_of_its_words() -> None:
    encoder = word_encoder_from_table(TABLE, slots=3)

    embedded = encoder(torch.tensor([[5, 0, 1]])).last_hidden_state

    assert embedded.tolist() == [[[10.0, 11.0], [0.0, 1.0], [2.0, 3.0]]]


def test_a_longer_text_is_whole_copies_of_the_caption() -> None:
    encoder = word_encoder_from_table(TABLE, slots=3)

    embedded = encoder(torch.tensor([[5, 0, 1, 4, 4, 4]])).last_hidden_state

    assert torch.equal(embedded[:, :3], embedded[:, 3:])
    assert embedded[0, 3].tolist() == [10.0, 11.0]


def test_attention_over_copies_is_attention_over_the_caption() -> None:
    generator = torch.Generator().manual_seed(0)
    query, text = (torch.randn(1, n, 4, generator=generator) for n in (5, 3))

    once = F.scaled_dot_product_attention(query, text, text)
    often = F.scaled_dot_product_attention(query, text.repeat(1, 64, 1), text.repeat(1, 64, 1))

    torch.testing.assert_close(often, once)


@pytest.mark.parametrize("length", [0, 2, 4])
def test_a_text_of_parts_of_a_caption_is_an_error(length: int) -> None:
    encoder = word_encoder_from_table(TABLE, slots=3)

    with pytest.raises(
        ValueError, match=rf"`max_sequence_length` must be a positive multiple of 3,.* got {length}"
    ):
        encoder(torch.zeros(1, length, dtype=torch.long))


def test_the_parts_of_the_three_encoders_make_up_the_caption_and_its_mean() -> None:
    table = torch.randn(6, 8, generator=torch.Generator().manual_seed(0))
    ids = torch.tensor([[5, 0, 1, 3], [2, 2, 4, 1]])

    first, second, third = split_encoders_from_table(table, slots=4)
    clips = [encoder(ids, output_hidden_states=True) for encoder in (first, second)]
    sequence = torch.cat([clip.hidden_states[-2] for clip in clips], dim=-1)
    longer = F.pad(ids, (0, 5))  # what the T5 tokenizer's length adds

    assert torch.equal(torch.cat([sequence, third(longer)[0]], dim=1), table[ids])
    torch.testing.assert_close(torch.cat([clip[0] for clip in clips], dim=-1), table[ids].mean(1))
