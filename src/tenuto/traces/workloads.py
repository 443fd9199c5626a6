"""Published workloads: shapes from public model configurations, one record each."""

from dataclasses import dataclass, replace
from typing import Literal

from tenuto.traces.unets import Convolution, Level, unet_blocks, unet_convolutions


@dataclass(frozen=True, slots=True, kw_only=True)
class BlockGroup:
    """Transformer blocks of one shape.

    Attributes:
        num_blocks: How many.
        tokens: Image, video or motion tokens of one sequence.
        channels: Width.
        heads: Attention heads.
        ffn_channels: Inner width of the feed-forward.
        ffn_gates: 2 for gated units, whose first layer makes twice the inner width.
        text: How text takes part: in the self-attention, by cross-attention, or not.
        text_tokens: Of one prompt.
        has_text_weights: Joint text with projections and a feed-forward of its own.
        sequences: Sequences that attend apart: frames of spatial, pixels of temporal attention.
    """

    num_blocks: int
    tokens: int
    channels: int
    heads: int
    ffn_channels: int
    ffn_gates: int = 1
    text: Literal["none", "joint", "cross"] = "none"
    text_tokens: int = 0
    has_text_weights: bool = False
    sequences: int = 1


@dataclass(frozen=True, slots=True, kw_only=True)
class Workload:
    """One published model at one size.

    Attributes:
        groups: Its transformer blocks.
        num_steps: Denoising steps of the usual setting.
        branches: 2 with classifier-free guidance, computed as one batch.
        convolutions: Residual blocks of UNets, which nothing here makes sparse.
        ffn_sparsity: Share of feed-forward elements that FFN-Reuse leaves alone. Assumed, within
            the 0.70 to 0.97 that EXION's paper states for its seven.
        ffn_interval: Sparse iterations after each dense one. Assumed.
        keep_ratio: Share of attention scores kept by prediction; assumed, within the 0.05 to 0.80
            that EXION's paper states. 1: not predicted (prediction is quadratic in the tokens).
        token_ratio: Share of tokens reduced on reduction steps. Assumed; 0 below 256 tokens.
        source: Where the shapes are from.
    """

    groups: tuple[BlockGroup, ...]
    num_steps: int
    branches: int = 2
    convolutions: tuple[Convolution, ...] = ()
    ffn_sparsity: float = 0.8
    ffn_interval: int = 4
    keep_ratio: float = 0.2
    token_ratio: float = 0.5
    source: str


def _plain(num_blocks: int, tokens: int, channels: int, heads: int, ffn: int) -> BlockGroup:
    return BlockGroup(
        num_blocks=num_blocks, tokens=tokens, channels=channels, heads=heads, ffn_channels=ffn
    )


def _joint(shape: tuple[int, int, int, int, int], text_tokens: int, own: int) -> list[BlockGroup]:
    """Blocks with text in the self-attention; the first `own` have weights of their own for it."""
    num_blocks, tokens, channels, heads, ffn = shape
    groups = [
        BlockGroup(
            num_blocks=count, tokens=tokens, channels=channels, heads=heads, ffn_channels=ffn,
            text="joint", text_tokens=text_tokens, has_text_weights=has_weights,
        )
        for count, has_weights in ((own, True), (num_blocks - own, False))
        if count
    ]  # fmt: skip
    return groups


def _cross(shape: tuple[int, int, int, int, int], text_tokens: int) -> BlockGroup:
    num_blocks, tokens, channels, heads, ffn = shape
    return BlockGroup(
        num_blocks=num_blocks, tokens=tokens, channels=channels, heads=heads, ffn_channels=ffn,
        text="cross", text_tokens=text_tokens,
    )  # fmt: skip


_STABLE_DIFFUSION = (
    Level(320, 4096, True), Level(640, 1024, True), Level(1280, 256, True), Level(1280, 64, False),
)  # fmt: skip
_MAKE_AN_AUDIO = (Level(320, 780, True), Level(640, 200, True))
_VIDEOCRAFTER = (
    Level(320, 2560, True), Level(640, 640, True), Level(1280, 160, True), Level(1280, 40, False),
)  # fmt: skip
_FRAMES = 16


def _unet_group(num_blocks: int, level: Level, heads: int, text_tokens: int) -> BlockGroup:
    return BlockGroup(
        num_blocks=num_blocks, tokens=level.pixels, channels=level.channels, heads=heads,
        ffn_channels=4 * level.channels, ffn_gates=2, text="cross", text_tokens=text_tokens,
    )  # fmt: skip


def _unet(levels: tuple[Level, ...], heads: int, text_tokens: int) -> tuple[BlockGroup, ...]:
    return tuple(
        _unet_group(count, level, heads, text_tokens) for count, level in unet_blocks(levels)
    )


def _spatio_temporal(levels: tuple[Level, ...]) -> tuple[BlockGroup, ...]:
    """Spatial blocks with text over each frame, then temporal ones over each pixel's frames."""
    groups: list[BlockGroup] = []
    for count, level in unet_blocks(levels):
        width = level.channels
        temporal = BlockGroup(
            num_blocks=count, tokens=_FRAMES, channels=width, heads=width // 64,
            ffn_channels=4 * width, ffn_gates=2, sequences=level.pixels,
        )  # fmt: skip
        spatial = replace(
            temporal, tokens=level.pixels, sequences=_FRAMES, text="cross", text_tokens=77
        )
        groups += [spatial, temporal]
    return tuple(groups)


_XL = _plain(28, 256, 1152, 16, 4608)
WORKLOADS = {
    "dit-xl-2-256": Workload(groups=(_XL,), num_steps=50, ffn_sparsity=0.95, ffn_interval=9,
                             source="DiT-XL/2 256x256, public configuration"),
    "pixart-sigma-1024": Workload(groups=(_cross((28, 4096, 1152, 16, 4608), 300),), num_steps=20,
                                  source="PixArt-Sigma 1024x1024, public configuration"),
    "sd3-1024": Workload(groups=tuple(_joint((24, 4096, 1536, 24, 6144), 333, 24)), num_steps=28,
                         source="SD3-medium 1024x1024, public configuration"),
    "flux-1024": Workload(groups=tuple(_joint((57, 4096, 3072, 24, 12288), 512, 19)), num_steps=28,
                          branches=1, source="FLUX.1-dev 1024x1024, public configuration"),
    "cogvideox-2b": Workload(groups=tuple(_joint((30, 17550, 1920, 30, 7680), 226, 0)),
                             num_steps=50, keep_ratio=1.0,
                             source="CogVideoX-2B 49x480x720, public configuration"),
    "cogvideox-5b": Workload(groups=tuple(_joint((42, 17550, 3072, 48, 12288), 226, 0)),
                             num_steps=50, keep_ratio=1.0,
                             source="CogVideoX-5B 49x480x720, public configuration"),
    "hunyuan-video": Workload(groups=tuple(_joint((60, 67320, 3072, 24, 12288), 256, 20)),
                              num_steps=50, branches=1, keep_ratio=1.0,
                              source="HunyuanVideo 129x544x960, public configuration"),
    "hunyuan-video-720p": Workload(groups=tuple(_joint((60, 118800, 3072, 24, 12288), 256, 20)),
                                   num_steps=50, branches=1, keep_ratio=1.0,
                                   source="HunyuanVideo 129x720x1280, public configuration"),
    "wan-1.3b": Workload(groups=(_cross((30, 32760, 1536, 12, 8960), 512),), num_steps=50,
                         keep_ratio=1.0, source="Wan2.1-1.3B 81x480x832, public configuration"),
    "wan-14b": Workload(groups=(_cross((40, 75600, 5120, 40, 13824), 512),), num_steps=50,
                        keep_ratio=1.0, source="Wan2.1-14B 81x720x1280, public configuration"),
    "mld": Workload(groups=(_plain(9, 3, 256, 4, 1024),), num_steps=50, ffn_sparsity=0.95,
                    ffn_interval=9, token_ratio=0.0,
                    source="MLD denoiser, 9 layers, latent of one token with text and time"),
    "mdm": Workload(groups=(_plain(8, 197, 512, 4, 1024),), num_steps=50, ffn_sparsity=0.9,
                    token_ratio=0.0, source="MDM encoder, 8 layers, 196 frames and one condition"),
    "edge": Workload(groups=(_cross((8, 150, 512, 8, 1024), 152),), num_steps=50, ffn_sparsity=0.9,
                     token_ratio=0.0, source="EDGE decoder, 8 layers, 150 frames, music condition"),
    "make-an-audio": Workload(groups=_unet(_MAKE_AN_AUDIO, 8, 77), num_steps=100,
                              convolutions=unet_convolutions(_MAKE_AN_AUDIO),
                              ffn_interval=3, token_ratio=0.0,
                              source="Make-An-Audio UNet, 10x78 latents, from memory of its file"),
    "stable-diffusion": Workload(groups=_unet(_STABLE_DIFFUSION, 8, 77), num_steps=50,
                                 convolutions=unet_convolutions(_STABLE_DIFFUSION),
                                 ffn_interval=3,
                                 source="Stable Diffusion v1 512x512, public configuration"),
    "dit": Workload(groups=(_XL,), num_steps=50, ffn_sparsity=0.95, ffn_interval=9,
                    source="DiT-XL/2 256x256, public configuration"),
    "videocrafter2": Workload(groups=_spatio_temporal(_VIDEOCRAFTER), num_steps=50,
                              convolutions=unet_convolutions(_VIDEOCRAFTER, frames=_FRAMES),
                              ffn_sparsity=0.7, ffn_interval=3,
                              source="VideoCrafter2 16x320x512, public configuration"),
}  # fmt: skip

EXION_SEVEN = (
    "mld", "mdm", "edge", "make-an-audio", "stable-diffusion", "dit", "videocrafter2",
)  # fmt: skip
"""EXION's benchmarks."""
