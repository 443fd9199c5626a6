"""The vocabulary is part of every weights file."""

import hashlib
import json
from pathlib import Path

import pytest

import tenuto.zoo
from tenuto.zoo.words import (
    BACKGROUNDS,
    MOTIONS,
    OBJECTS,
    TRAINED_BACKGROUNDS,
    TRAINED_OBJECTS,
    WORDS,
)

WEIGHTS = Path(tenuto.zoo.__file__).parent / "weights"


def test_the_words_are_those_of_the_first_weights_in_their_order() -> None:
    # The sha256 of the "words" entry in the metadata of the files that the weights came from.
    recorded = "b67f929785a7ecfb79dff1788608ab26165427a36c730090d34267e47f879e86"

    assert hashlib.sha256(json.dumps(WORDS).encode()).hexdigest() == recorded
    assert len(WORDS) == len(set(WORDS)) == 57


@pytest.mark.parametrize("vocab", sorted(WEIGHTS.rglob("vocab.json")), ids=str)
def test_each_embedded_tokenizer_numbers_the_words_in_this_order(vocab: Path) -> None:
    numbers = json.loads(vocab.read_text(encoding="utf-8"))

    assert numbers == {word: number for number, word in enumerate(WORDS)}


def test_there_are_embedded_tokenizers_to_check() -> None:
    assert len(list(WEIGHTS.rglob("vocab.json"))) == 4


def test_what_was_trained_is_part_of_the_vocabulary() -> None:
    assert set(TRAINED_OBJECTS) < set(OBJECTS)
    assert set(TRAINED_BACKGROUNDS) < set(BACKGROUNDS)
    assert (len(TRAINED_OBJECTS), len(TRAINED_BACKGROUNDS), len(MOTIONS)) == (16, 6, 8)
