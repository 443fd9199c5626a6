"""Rebuild `sprites.png` and `sprites.json` from the npm package of the emoji art.

npm pack emoji-datasource-google@16.0.0 && tar xzf emoji-datasource-google-16.0.0.tgz
python -m recipes.zoo.build_sprites package/img/google/64
"""

import argparse
import json
from pathlib import Path

from PIL import Image

from recipes.zoo.sprites import POSITIONS, SHEET

CELL_PX = 64
COLUMNS = 8
CODE_POINTS = {
    "heart": "2764-fe0f",
    "star": "2b50",
    "apple": "1f34e",
    "banana": "1f34c",
    "car": "1f697",
    "rocket": "1f680",
    "fish": "1f420",
    "butterfly": "1f98b",
    "cat": "1f431",
    "dog": "1f436",
    "frog": "1f438",
    "pig": "1f437",
    "panda": "1f43c",
    "sun": "1f31e",
    "moon": "1f315",
    "football": "26bd",
    "basketball": "1f3c0",
    "balloon": "1f388",
    "gift": "1f381",
    "pizza": "1f355",
    "cactus": "1f335",
    "mushroom": "1f344",
    "sunflower": "1f33b",
    "turtle": "1f422",
    "penguin": "1f427",
    "ufo": "1f6f8",
    "snowman": "26c4",
    "tree": "1f333",
    "grapes": "1f347",
    "strawberry": "1f353",
    "watermelon": "1f349",
    "bus": "1f68c",
}


def build(folder: Path) -> None:
    """Paste the sprites of `folder` on one sheet and write where each one is."""
    rows = -(-len(CODE_POINTS) // COLUMNS)
    sheet = Image.new("RGBA", (COLUMNS * CELL_PX, rows * CELL_PX))
    sprites = {}
    for index, (name, code_point) in enumerate(CODE_POINTS.items()):
        x, y = index % COLUMNS * CELL_PX, index // COLUMNS * CELL_PX
        with Image.open(folder / f"{code_point}.png") as art:
            cell = art.convert("RGBA").resize((CELL_PX, CELL_PX), Image.Resampling.LANCZOS)
        sheet.paste(cell, (x, y))
        sprites[name] = {"code_point": code_point, "x": x, "y": y}
    sheet.save(SHEET, optimize=True)
    POSITIONS.write_text(json.dumps({"cell_px": CELL_PX, "sprites": sprites}, indent=1) + "\n")


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("folder", type=Path, help="img/google/64 of the unpacked npm package")
    build(parser.parse_args().folder)
