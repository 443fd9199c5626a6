"""Which combinations are never trained on: one in eight, spread so that every word is well seen.

The weights of version 1 are older than this rule and have seen all combinations; every training
run of the recipe leaves the held-out ones out. The rule is part of each weights file's provenance:
never change it, nor the order of the words.
"""

from tenuto.zoo.words import BACKGROUNDS, MOTIONS, OBJECTS

ONE_IN = 8


def is_held_out(object_name: str, background: str, motion: str) -> bool:
    """Say whether clips of this object, background and motion together are never trained on.

    Each object is trained on every background and with every motion; only triples are missing.

    Raises:
        ValueError: A word is not an object, a background or a motion of the vocabulary.

    >>> is_held_out("heart", "sky", "moves left"), is_held_out("heart", "sky", "spins")
    (True, False)
    """
    place = OBJECTS.index(object_name) + 3 * BACKGROUNDS.index(background)
    return (place + 5 * MOTIONS.index(motion)) % ONE_IN == 0


def is_held_out_scene(parts: tuple[tuple[str, str], ...], background: str) -> bool:
    """Say whether pictures of these ``(size, object)`` parts are never trained on.

    Of pairs, the left and right object and the background decide; the sizes do not.

    Raises:
        ValueError: A word is not of the vocabulary, or there are neither one nor two parts.

    >>> is_held_out_scene((("small", "star"),), "sky")
    False
    >>> is_held_out_scene((("big", "heart"),), "sky")
    True
    """
    if len(parts) not in (1, 2):
        raise ValueError(f"`parts` must hold one or two (size, object) pairs, got {parts!r}")
    size, first = parts[0]
    place = OBJECTS.index(first)
    if len(parts) == 1:
        place += 3 * BACKGROUNDS.index(background) + 5 * (size == "small")
    else:
        place += 3 * OBJECTS.index(parts[1][1]) + 5 * BACKGROUNDS.index(background)
    return place % ONE_IN == 0
