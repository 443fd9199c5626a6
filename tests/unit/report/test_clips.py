"""Film strips hold the saved pixels, and bad clips are refused in one sentence."""

import base64
import io
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from tenuto.errors import ResultError
from tenuto.report.clips import MAX_FRAMES, Film, film_from_clip, films_in_budget, read_clip


def pixels(film: Film) -> np.ndarray:
    """Decode a film, uint8 (frames, height, width, 3)."""
    image = Image.open(io.BytesIO(base64.b64decode(film.uri.partition(",")[2])))
    strip = np.asarray(image.convert("RGB"))
    return np.stack(np.split(strip, film.num_frames, axis=1))


def noise(*shape: int) -> np.ndarray:
    return np.random.default_rng(0).integers(0, 256, shape, dtype=np.uint8)


@pytest.mark.parametrize("shape", [(5, 16, 16, 3), (1, 7, 9, 3), (3, 20, 11, 3)])
def test_a_film_holds_every_pixel_of_its_clip(shape: tuple[int, ...]) -> None:
    clip = noise(*shape)

    film = film_from_clip(clip, clip, longest_side=64)

    assert np.array_equal(pixels(film), clip)
    assert film.is_whole
    assert film.difference_max == 0


def test_the_difference_is_absolute_and_does_not_wrap_around() -> None:
    reference = np.full((1, 2, 2, 3), 250, dtype=np.uint8)
    clip = reference.copy()
    clip[0, 0, 0] = (0, 255, 250)

    film = film_from_clip(clip, reference, longest_side=64)

    assert film.difference_max == 250
    assert film.difference_mean == pytest.approx((250 + 5) / 12)


def test_a_large_long_clip_is_shrunk_and_thinned_and_says_so() -> None:
    clip = noise(MAX_FRAMES + 1, 40, 80, 3)

    film = film_from_clip(clip, clip, longest_side=40)

    assert (film.frame_width, film.frame_height) == (40, 20)
    assert film.num_frames <= MAX_FRAMES
    assert not film.is_whole


def test_only_prompts_that_both_sides_saved_are_shown(
    make_result_folder: Callable[..., Path],
) -> None:
    clips = make_result_folder(num_frames=2, techniques_with_clips=(10,)) / "clips"
    (clips / "row-10" / "1.npy").unlink()
    (clips / "reference" / "2.npy").unlink()

    films = films_in_budget(clips, ["row-10", "row-11"], budget_bytes=10**9)

    assert [film.index for film in films] == [0]
    assert list(films[0].by_slug) == ["row-10"]


def test_prompts_are_ordered_as_numbers(tmp_path: Path) -> None:
    for slug in ("reference", "x"):
        (tmp_path / slug).mkdir()
        for index in (10, 2):
            np.save(tmp_path / slug / f"{index}.npy", noise(1, 4, 4, 3))

    films = films_in_budget(tmp_path, ["x"], budget_bytes=10**9)

    assert [film.index for film in films] == [2, 10]


def test_without_clips_there_are_no_films(tmp_path: Path) -> None:
    assert films_in_budget(tmp_path / "clips", ["x"], budget_bytes=1) == []


def test_films_stay_within_their_budget(tmp_path: Path) -> None:
    for slug in ("reference", "x", "y"):
        (tmp_path / slug).mkdir()
        for index in range(6):
            np.save(tmp_path / slug / f"{index}.npy", noise(2, 64, 64, 3))
    whole = films_in_budget(tmp_path, ["x", "y"], budget_bytes=10**9)
    budget_bytes = sum(size_bytes(film) for film in whole[:3])

    films = films_in_budget(tmp_path, ["x", "y"], budget_bytes)

    assert len(whole) == 6
    assert len(films) == 3
    assert sum(size_bytes(film) for film in films) <= budget_bytes


def test_large_frames_shrink_until_two_prompts_fit(tmp_path: Path) -> None:
    for slug in ("reference", "x"):
        (tmp_path / slug).mkdir()
        for index in range(3):
            np.save(tmp_path / slug / f"{index}.npy", noise(1, 256, 256, 3))

    films = films_in_budget(tmp_path, ["x"], budget_bytes=400_000)

    assert len(films) >= 2
    assert films[0].reference.frame_width == 128


def size_bytes(prompt: object) -> int:
    return len(prompt.reference.uri) + sum(len(film.uri) for film in prompt.by_slug.values())


@pytest.mark.parametrize(
    "clip",
    [
        np.zeros((4, 8, 8, 4), np.uint8),
        np.zeros((8, 8, 3), np.uint8),
        np.zeros((4, 8, 8, 3), np.float32),
        np.zeros((0, 8, 8, 3), np.uint8),
    ],
    ids=["rgba", "no frame axis", "float", "no frames"],
)
def test_a_clip_of_wrong_shape_or_type_is_refused(tmp_path: Path, clip: np.ndarray) -> None:
    np.save(tmp_path / "0.npy", clip)

    with pytest.raises(ResultError, match=r"must be uint8 \(frames, height, width, 3\), got"):
        read_clip(tmp_path / "0.npy")


def test_a_clip_of_another_shape_than_its_reference_is_refused(result_dir: Path) -> None:
    np.save(result_dir / "clips" / "row-10" / "0.npy", noise(3, 64, 64, 3))

    with pytest.raises(ResultError, match=r"must have the reference's shape \(2, 64, 64, 3\), got"):
        films_in_budget(result_dir / "clips", ["row-10"], budget_bytes=10**9)


def test_a_pickled_clip_is_refused_unopened(tmp_path: Path) -> None:
    opened = tmp_path / "opened"

    class Trap:
        def __reduce__(self) -> tuple[object, ...]:
            return Path.touch, (opened,)

    np.save(tmp_path / "0.npy", np.array([Trap()], dtype=object), allow_pickle=True)

    with pytest.raises(ResultError, match="cannot be read"):
        read_clip(tmp_path / "0.npy")
    assert not opened.exists()


@pytest.mark.parametrize("content", [b"", b"\x93NUMPY", b"not an array at all"])
def test_a_clip_that_is_no_array_is_refused(tmp_path: Path, content: bytes) -> None:
    (tmp_path / "0.npy").write_bytes(content)

    with pytest.raises(ResultError, match=r"clip .*0\.npy cannot be read"):
        read_clip(tmp_path / "0.npy")


def test_a_truncated_clip_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "0.npy"
    np.save(path, noise(2, 8, 8, 3))
    path.write_bytes(path.read_bytes()[:-10])

    with pytest.raises(ResultError, match="cannot be read"):
        read_clip(path)


def test_an_archive_in_place_of_a_clip_is_refused(tmp_path: Path) -> None:
    np.savez(tmp_path / "0.npz", noise(1, 4, 4, 3))
    (tmp_path / "0.npz").rename(tmp_path / "0.npy")

    with pytest.raises(ResultError, match=r"must be one \.npy array, got an archive"):
        read_clip(tmp_path / "0.npy")
