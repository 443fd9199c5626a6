"""Captions become word numbers exactly as in training, or an error that names the word."""

from pathlib import Path

import pytest

from tenuto.errors import CaptionError, TenutoError
from tenuto.zoo.tokenizer import WordTokenizer
from tenuto.zoo.words import WORDS

NULL, PAD = WORDS.index("<null>"), WORDS.index("<pad>")


def as_wan_calls_it(tokenizer: WordTokenizer, captions: list[str], max_length: int):
    return tokenizer(
        captions,
        padding="max_length",
        max_length=max_length,
        truncation=True,
        add_special_tokens=True,
        return_attention_mask=True,
        return_tensors="pt",
    )


def test_a_caption_is_its_words_then_padding() -> None:
    encoded = as_wan_calls_it(WordTokenizer(), ["a heart spins over the sky"], 8)

    words = [WORDS.index(word) for word in ["a", "heart", "spins", "over", "the", "sky"]]
    assert encoded.input_ids.tolist() == [[*words, PAD, PAD]]


def test_the_empty_caption_is_null_words_only() -> None:
    assert as_wan_calls_it(WordTokenizer(), [""], 8).input_ids.tolist() == [[NULL] * 8]


def test_padding_counts_as_text() -> None:
    encoded = as_wan_calls_it(WordTokenizer(), ["a heart", ""], 16)

    assert encoded.attention_mask.tolist() == [[1] * 16] * 2


def test_capital_letters_and_extra_spaces_do_not_matter() -> None:
    tokenizer = WordTokenizer()

    plain, shouted = tokenizer(["a heart spins", "A  Heart SPINS"]).input_ids

    assert plain == shouted


@pytest.mark.parametrize("caption", ["a red heart", "a heart moves left over the sky.", "a <pad>"])
def test_an_unknown_word_is_an_error_that_names_it_and_lists_the_words(caption: str) -> None:
    (unknown,) = set(caption.split()) - (set(WORDS) - {"<pad>"})

    with pytest.raises(CaptionError) as caught:
        WordTokenizer()(caption)

    message = str(caught.value)
    assert message.startswith(
        f"`caption` must use known words only, got {unknown!r} in {caption!r}"
    )
    listed = message.split("the words are: ")[1].split(", ")
    assert set(listed) == set(WORDS) - {"<null>", "<pad>"}
    assert isinstance(caught.value, TenutoError | ValueError)


def test_every_unknown_word_is_named_once() -> None:
    with pytest.raises(CaptionError, match="got 'red', 'hot' in "):
        WordTokenizer()("a red hot red heart")


def test_a_caption_with_more_words_than_slots_is_an_error() -> None:
    with pytest.raises(CaptionError, match="`caption` must have at most 8 words, got 9: "):
        WordTokenizer()("a " * 9)


def test_a_saved_tokenizer_is_loaded_with_its_own_words(tmp_path: Path) -> None:
    vocab = tmp_path / "vocab.json"
    vocab.write_text('{"<pad>": 0, "<null>": 1, "newt": 2}')

    WordTokenizer(str(vocab), model_max_length=3).save_pretrained(tmp_path / "saved")
    loaded = WordTokenizer.from_pretrained(tmp_path / "saved")

    assert loaded("newt", padding="max_length", max_length=3).input_ids == [2, 0, 0]
    assert loaded("").input_ids == [1, 1, 1]
    assert loaded.decode([2]) == "newt"
