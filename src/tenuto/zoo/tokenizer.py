"""Captions to word numbers, standing where a pipeline's subword tokenizer would."""

import json
from pathlib import Path

from transformers import PreTrainedTokenizer

from tenuto.errors import CaptionError
from tenuto.zoo.words import NULL_WORD, PAD_WORD, WORDS


class WordTokenizer(PreTrainedTokenizer):
    """One number a word of a closed vocabulary; no word is ever split, guessed or dropped.

    The embedded models were trained with every caption filled up to `model_max_length` slots by
    the pad *word*, and with the empty caption as null words only. So the attention mask is all
    ones: to pipelines that cut the embeddings to the mask, padding is text like any other.

    Args:
        vocab_file: JSON object from word to number; the package's own vocabulary if not given.
        model_max_length: Slots of a caption; a longer caption is an error.
        **kwargs: What transformers itself keeps in a tokenizer's folder.
    """

    __module__ = "tenuto.zoo"  # recorded in model_index.json: importing tenuto.zoo is enough

    vocab_files_names = {"vocab_file": "vocab.json"}  # noqa: RUF012 - the base class's name
    model_input_names = ["input_ids", "attention_mask"]  # noqa: RUF012

    def __init__(self, vocab_file: str | None = None, model_max_length: int = 8, **kwargs):
        if vocab_file is None:
            self.encoder = {word: number for number, word in enumerate(WORDS)}
        else:
            self.encoder = json.loads(Path(vocab_file).read_text(encoding="utf-8"))
        self.decoder = {number: word for word, number in self.encoder.items()}
        kwargs.setdefault("pad_token", PAD_WORD)
        super().__init__(model_max_length=model_max_length, **kwargs)

    @property
    def vocab_size(self) -> int:
        return len(self.encoder)

    def get_vocab(self) -> dict[str, int]:
        return dict(self.encoder)

    def tokenize(self, text: str, **kwargs) -> list[str]:
        """Split a caption into words, in lower case.

        Raises:
            CaptionError: A word is not in the vocabulary, or there are more words than slots.
        """
        words = text.lower().split()
        known = self.encoder.keys() - {NULL_WORD, PAD_WORD}
        unknown = [word for word in dict.fromkeys(words) if word not in known]
        if unknown:
            named = ", ".join(map(repr, unknown))
            raise CaptionError(
                f"`caption` must use known words only, got {named} in {text!r}; "
                f"the words are: {', '.join(sorted(known))}"
            )
        if len(words) > self.model_max_length:
            raise CaptionError(
                f"`caption` must have at most {self.model_max_length} words, "
                f"got {len(words)}: {text!r}"
            )
        return words or [NULL_WORD] * self.model_max_length

    def _convert_token_to_id(self, token: str) -> int:
        return self.encoder[token]

    def _convert_id_to_token(self, index: int) -> str:
        return self.decoder[index]

    def _pad(self, *args, **kwargs) -> dict:
        padded = super()._pad(*args, **kwargs)
        if "attention_mask" in padded:
            padded["attention_mask"] = [1] * len(padded["input_ids"])
        return padded
