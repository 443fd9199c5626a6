"""Film strips as HTML: the untouched clip, each technique's, and their amplified difference."""

from collections.abc import Sequence
from html import escape

from tenuto.report.clips import Film, PromptFilms
from tenuto.report.comparison import Row

GAINS = (1, 4, 8, 16, 32)
DEFAULT_GAIN = 8
# Display width that frames are enlarged towards, in whole multiples, wide and narrow page.
_WIDE_PX = 192
_NARROW_PX = 128


def gallery_html(films: Sequence[PromptFilms], rows: Sequence[Row], prompts: Sequence[str]) -> str:
    """Write one strip of cards per prompt, below one bar of controls for all of them.

    Args:
        films: As `films_in_budget` gives them; not empty.
        rows: In the order of the cards; those without a slug or a film have no card.
        prompts: By prompt index; an index beyond the end is shown as a number.
    """
    num_frames = max(prompt.reference.num_frames for prompt in films)
    body = "".join(_prompt_html(prompt, rows, prompts) for prompt in films)
    return f"{_bar_html(num_frames)}{body}{_note_html(films)}"


def _bar_html(num_frames: int) -> str:
    gains = "".join(
        f'<option value="{gain}"{" selected" if gain == DEFAULT_GAIN else ""}>x{gain}</option>'
        for gain in GAINS
    )
    film = (
        '<button type="button" data-play aria-pressed="false">Play</button>'
        '<label>frame <input type="range" data-frame min="0" value="0" '
        f'max="{num_frames - 1}"></label><output data-count>1 of {num_frames}</output>'
    )
    return (
        f'<div class="bar" data-bar data-frames="{num_frames}">{film if num_frames > 1 else ""}'
        f"<label>difference <select data-gain>{gains}</select></label>"
        '<button type="button" data-flip aria-pressed="false">'
        "Flip to untouched</button></div>"
        "<noscript><p>Without scripts the first frames are shown, and no differences.</p>"
        "</noscript>"
    )


def _prompt_html(prompt: PromptFilms, rows: Sequence[Row], prompts: Sequence[str]) -> str:
    known = prompt.index < len(prompts)
    caption = prompts[prompt.index] if known else f"prompt {prompt.index}"
    source = f"film-{prompt.index}"
    reference = prompt.reference
    style = (
        f"--frames:{reference.num_frames};--w:{reference.frame_width};"
        f"--h:{reference.frame_height};--wide:{_zoom(reference, _WIDE_PX)};"
        f"--narrow:{_zoom(reference, _NARROW_PX)}"
    )
    cards = "".join(
        _card_html(row, prompt.by_slug[row.slug], prompt.index, f"{source}-{number}")
        for number, row in enumerate(rows, start=1)
        if row.slug is not None and row.slug in prompt.by_slug
    )
    return (
        f'<article class="prompt" data-frames="{reference.num_frames}" style="{style}">'
        f"<h3>{escape(caption)}</h3>"
        f'<div class="cards" role="region" aria-label="Clips: {escape(caption)}" tabindex="0">'
        f'<figure class="untouched"><div class="film">{_image(reference, source, caption)}</div>'
        "<figcaption><b>untouched</b></figcaption>"
        f'<p class="key">Below each clip: its difference from this one, '
        f"x<span data-gain-shown>{DEFAULT_GAIN}</span></p></figure>{cards}</div></article>"
    )


def _card_html(row: Row, film: Film, index: int, name: str) -> str:
    psnr_db = row.psnr_per_prompt_db[index] if index < len(row.psnr_per_prompt_db) else None
    if film.difference_max == 0:
        shown = "identical"
    else:
        shown = "" if psnr_db is None else f"{psnr_db:.1f} dB"
    about = (
        f"Difference of {row.technique} from the untouched clip: mean "
        f"{film.difference_mean:.2f}, largest {film.difference_max} of 255"
    )
    return (
        f'<figure><div class="film">{_image(film, name, row.technique)}</div>'
        f'<figcaption><b class="{row.kind.value}">{escape(row.technique)}</b> '
        f"<span>{shown}</span></figcaption>"
        f'<div class="film difference" role="img" data-of="{name}" data-from="film-{index}" '
        f'aria-label="{escape(about)}" title="{escape(about)}"></div></figure>'
    )


def _image(film: Film, name: str, what: str) -> str:
    noun = f"clip of {film.num_frames} frames" if film.num_frames > 1 else "picture"
    return (
        f'<img id="{name}" src="{film.uri}" alt="{escape(what)}: {noun}" '
        f'width="{film.frame_width * film.num_frames}" height="{film.frame_height}">'
    )


def _note_html(films: Sequence[PromptFilms]) -> str:
    whole = all(
        film.is_whole for prompt in films for film in (prompt.reference, *prompt.by_slug.values())
    )
    pixels = (
        "Every pixel is as saved (lossless), enlarged without smoothing."
        if whole
        else "Clips are shrunk, or frames left out, to keep this page small; then stored lossless."
    )
    return (
        f'<p class="note">{pixels} The difference is |clip - untouched| per colour channel, '
        "multiplied as chosen and cut off at white; black is equal. Figures beside the names are "
        "the PSNR of that prompt.</p>"
    )


def _zoom(film: Film, target_px: int) -> int:
    return max(1, round(target_px / film.frame_width))
