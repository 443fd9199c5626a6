"""Random settings for the soak, as one-line specs; some of them are refused, and must be."""

from random import Random

_CHOICES: dict[str, dict[str, tuple[str, ...]]] = {
    "dito": {
        "ratio": ("0", "0.25", "0.5", "0.75", "1"),
        "interval": ("1", "2", "3", "4"),
        "warmup": ("1", "2", "3"),
        "keys": ("all", "held", "kept"),
        "predict": ("none", "hold", "linear", "quadratic"),
        "correct": ("true", "true", "false"),
        "scope": ("attn", "self", "ffn", "attn+ffn"),
        "guide": ("module", "attn", "ffn", "block"),
        "drift": ("false", "false", "true"),
        "densest": ("false", "true"),
        "partners": ("1", "1", "2"),
        "frequency_penalty": ("0", "0.1"),
        "predict_at": ("blocks", "modules"),
        "history_bits": ("none", "8"),
    },
    "orbis": {
        "ratio": ("0.25", "0.5", "0.7"),
        "loss_threshold": ("none", "none", "0.05", "0.2"),
        "refresh": ("1", "2", "3"),
        "bits": ("none", "4", "8"),
        "window": ("none", "4"),
        "keys": ("all", "held", "kept"),
        "predict": ("none", "hold", "linear"),
        "scope": ("self", "ffn", "attn+ffn"),
        "guide": ("attn", "ffn", "block", "input"),
        "matching": ("datm", "strided"),
        "warmup": ("1", "2"),
    },
    "ffn-reuse": {
        "sparsity": ("0.25", "0.5", "0.9"),
        "interval": ("2", "3"),
        "granularity": ("element", "column", "tile"),
        "select": ("magnitude", "change"),
        "warmup": ("1", "2"),
        "tile_rows": ("8", "64"),
    },
    "eager": {
        "keep_ratio": ("0.25", "0.5", "1"),
        "one_hot_threshold": ("none", "2"),
        "predictor": ("one_step", "two_step", "exact"),
        "scope": ("self", "cross", "self+cross"),
    },
    "tomesd": {"ratio": ("0.25", "0.5"), "merge": ("true", "false"), "scope": ("self", "ffn")},
    "tofu": {"ratio": ("0.25", "0.5"), "prune_depth": ("0", "0.5", "1")},
    "sito": {"ratio": ("0.3", "0.6"), "noise": ("0", "0.1")},
    "toma": {"ratio": ("0.25", "0.5"), "reuse_steps": ("1", "2"), "shared": ("true", "false")},
    "asymrnr": {"query_ratio": ("0.1", "0.3"), "key_ratio": ("0.1", "0.3")},
    "toca-style": {},
    "duca-style": {},
    "clusca-style": {},
}
_JOINED = (("dito:ratio=1", "ffn-reuse"), ("dito:ratio=1", "eager"), ("ffn-reuse", "eager"))


def random_spec(random: Random) -> str:
    """Return one technique with some of its fields set, or two techniques of different kinds."""
    if random.random() < 0.15:
        return "+".join(random.choice(_JOINED))
    name = random.choice((*_CHOICES, "dito", "dito", "orbis", "ffn-reuse"))
    fields = _CHOICES[name]
    some = random.sample(sorted(fields), random.randint(0, min(4, len(fields))))
    values = ",".join(f"{field}={random.choice(fields[field])}" for field in some)
    return f"{name}:{values}" if values else name
