"""The closed vocabulary of the embedded models: what a caption may name.

The order of `WORDS` is part of every weights file: row i of a word table is the embedding of
`WORDS[i]`. Append new words at the end; never reorder.
"""

OBJECTS: tuple[str, ...] = (
    *("heart", "star", "apple", "banana", "car", "rocket", "fish", "butterfly"),
    *("cat", "dog", "frog", "pig", "panda", "sun", "moon", "football"),
    *("basketball", "balloon", "gift", "pizza", "cactus", "mushroom", "sunflower", "turtle"),
    *("penguin", "ufo", "snowman", "tree", "grapes", "strawberry", "watermelon", "bus"),
)
BACKGROUNDS: tuple[str, ...] = (
    *("sky", "sunset", "night", "meadow"),
    *("desert", "sea", "snow", "lava"),
)
MOTIONS: tuple[str, ...] = (
    *("moves left", "moves right", "moves up", "moves down"),
    *("spins", "grows", "shrinks", "bounces"),
)
SIZES: tuple[str, ...] = ("small", "big")

# What the weights now in the package have seen; the vocabulary is wider than the training set.
TRAINED_OBJECTS: tuple[str, ...] = (
    *("heart", "star", "apple", "banana", "car", "fish", "frog", "pig"),
    *("panda", "sun", "basketball", "balloon", "cactus", "penguin", "ufo", "watermelon"),
)
TRAINED_BACKGROUNDS: tuple[str, ...] = ("sky", "sunset", "night", "meadow", "desert", "sea")

NULL_WORD = "<null>"
PAD_WORD = "<pad>"

WORDS: tuple[str, ...] = (
    *(NULL_WORD, PAD_WORD, "a", "over", "the"),
    *sorted({word for motion in MOTIONS for word in motion.split()}),
    *OBJECTS,
    *BACKGROUNDS,
    *("and", *SIZES),
)
