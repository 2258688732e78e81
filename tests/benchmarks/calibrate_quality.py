"""How the limits of the quality flags were found: ``python -m tests.benchmarks.calibrate_quality``.

``table FOLDER`` prints the share of a folder's photographs that each flag marks, the recall on defects
planted in every fourth of them, the time a picture takes, and names the marked photographs for a person
to look at. ``sheet FILE.png`` draws each defect, with what is measured of it, into one picture.
"""

from __future__ import annotations

import argparse
import time
from collections import Counter, defaultdict
from pathlib import Path

from PIL import Image, ImageDraw, ImageFont

from contracts.values import Flag, QualityFlag
from services.ingest.domain.quality.flags import DEFAULT_LIMITS, RULES, flags
from services.ingest.domain.quality.measures import measure
from tests.support import defects
from tests.support.defects import Defect, samples

IMAGE_SIZE_PX = 299
EVERY = 4
GREY, BLACK, WHITE = (128, 128, 128), (0, 0, 0), (255, 255, 255)
PLANTED: dict[QualityFlag, dict[str, Defect]] = {
    QualityFlag.BLURRY: {
        "Gaussian, sigma 0.4 % of the longer side": lambda image: defects.out_of_focus(image, 0.004),
        "Gaussian, sigma 0.6 %": lambda image: defects.out_of_focus(image, 0.006),
        "Gaussian, sigma 1.2 %": lambda image: defects.out_of_focus(image, 0.012),
        "motion along 2 %, at 30 degrees": lambda image: defects.moved(image, 0.02, 30),
        "motion along 4 %, level": lambda image: defects.moved(image, 0.04, 0),
        "motion along 4 %, at 45 degrees": lambda image: defects.moved(image, 0.04, 45),
        "motion along 6 %, at 110 degrees": lambda image: defects.moved(image, 0.06, 110),
    },
    QualityFlag.DARK: {
        f"{stops} stops": lambda image, stops=stops: defects.exposed(image, stops) for stops in (-2, -3, -4)
    },
    QualityFlag.OVER_EXPOSED: {
        f"+{stops} stops": lambda image, stops=stops: defects.exposed(image, stops) for stops in (1, 2, 3)
    },
    QualityFlag.LOW_CONTRAST: {
        "contrast x 0.3": lambda image: defects.squeezed(image, 0.3),
        "contrast x 0.2": lambda image: defects.squeezed(image, 0.2),
        "fog 60 %": lambda image: defects.fogged(image, 0.6),
        "fog 75 %": lambda image: defects.fogged(image, 0.75),
    },
    QualityFlag.NEAR_UNIFORM: {
        "wall or lens cap with noise": lambda image: defects.nothing(image, image.width)
    },
    QualityFlag.BACK_LIT: {
        "subject -3, background +2 stops": lambda image: defects.lit_from_behind(image, -3, 2),
        "subject -4, background +1.5 stops": lambda image: defects.lit_from_behind(image, -4, 1.5),
    },
    QualityFlag.TINY: {"100 px": lambda image: defects.shrunk(image, 100)},
    QualityFlag.EXTREME_ASPECT: {"4 : 1": lambda image: defects.strip(image, 4)},
    QualityFlag.BORDERED: {
        "black bars above and below, 10 %": lambda image: defects.framed(image, 0, 0.1, BLACK),
        "white bars at the sides, 10 %": lambda image: defects.framed(image, 0.1, 0, WHITE),
        "grey frame, 4 %": lambda image: defects.framed(image, 0.04, 0.04, GREY),
        "black frame, 2 %": lambda image: defects.framed(image, 0.02, 0.02, BLACK),
    },
}


def flags_of(image: Image.Image) -> tuple[Flag, ...]:
    """As ingest raises them with its defaults."""
    return flags(measure(image, image.size, IMAGE_SIZE_PX), DEFAULT_LIMITS)


def table(folder: Path) -> None:
    """Print shares, recalls and cost."""
    paths = sorted(path for path in folder.iterdir() if path.is_file())
    marked: defaultdict[QualityFlag, list[str]] = defaultdict(list)
    found: Counter[tuple[QualityFlag, str]] = Counter()
    spent_s, any_flag = [], 0
    for number, path in enumerate(paths):
        with Image.open(path) as file:
            photo = file.convert("RGB")
        started = time.process_time()
        raised = flags_of(photo)
        spent_s.append(time.process_time() - started)
        any_flag += bool(raised)
        for item in raised:
            marked[item.flag].append(f"{path.name} {item.value:g}")
        if number % EVERY == 0:
            found.update(
                (flag, name)
                for flag, plants in PLANTED.items()
                for name, plant in plants.items()
                if flag in {item.flag for item in flags_of(defects.as_jpeg(plant(photo)))}
            )
    planted = len(paths[::EVERY])
    for flag, plants in PLANTED.items():
        print(
            f"\n{flag}: {len(marked[flag])} of {len(paths)} untouched = {len(marked[flag]) / len(paths):.1%}"
        )
        for name in plants:
            print(f"    {found[flag, name] / planted:7.1%} of {planted} found: {name}")
        print("    untouched:", *marked[flag], sep="\n        ")
    print(f"\nany flag: {any_flag / len(paths):.1%}; median processor time of measuring")
    print(f"{sorted(spent_s)[len(spent_s) // 2] * 1000:.2f} ms a photograph")


PANEL = (250, 168)
CAPTION_PX = 44
COLUMNS = 4
COLOURS = 160  # a palette keeps the sheet below 500 kB


def panels() -> list[tuple[str, Image.Image]]:
    """Defects with their names; both photographs untouched first."""
    china, flower = samples().values()
    return [
        ("untouched", china),
        ("untouched", flower),
        ("out of focus, sigma 0.6 %", defects.out_of_focus(china, 0.006)),
        ("moved along 4 %", defects.moved(flower, 0.04, 20)),
        ("3 stops too dark", defects.exposed(flower, -3)),
        ("2 stops too bright", defects.exposed(china, 2)),
        ("contrast x 0.2", defects.squeezed(china, 0.2)),
        ("fog, 75 %", defects.fogged(flower, 0.75)),
        ("light from behind", defects.lit_from_behind(china, -4, 1.5)),
        ("a wall", defects.nothing(china, 2)),
        ("100 px wide", defects.shrunk(flower, 100)),
        ("4 : 1", defects.strip(china, 4)),
        ("letterboxed", defects.framed(china, 0, 0.1, BLACK)),
        ("framed", defects.framed(flower, 0.04, 0.04, GREY)),
        ("out of focus, sigma 0.2 %: passes", defects.out_of_focus(china, 0.002)),
        ("1 stop too dark: passes", defects.exposed(flower, -1)),
    ]


def sheet(target: Path) -> None:
    """Draw the panels, each with the flags it raises."""
    shown = panels()
    width, height = PANEL[0] + 8, PANEL[1] + CAPTION_PX
    whole = Image.new("RGB", (COLUMNS * width, -(-len(shown) // COLUMNS) * height), WHITE)
    draw, font = ImageDraw.Draw(whole), ImageFont.load_default(11)
    for number, (name, image) in enumerate(shown):
        left, top = number % COLUMNS * width + 4, number // COLUMNS * height + 4
        scale = min(PANEL[0] / image.width, PANEL[1] / image.height)
        size = (round(image.width * scale), round(image.height * scale))
        small = image.resize(size, Image.Resampling.LANCZOS)
        whole.paste(small, (left + (PANEL[0] - size[0]) // 2, top + (PANEL[1] - size[1]) // 2))
        draw.text((left, top + PANEL[1] + 2), name, fill=BLACK, font=font)
        told = [_told(item) for item in flags_of(image)] or ["no flag"]
        for line, text in enumerate(told[:2]):
            colour = (0, 110, 40) if text == "no flag" else (180, 20, 20)
            draw.text((left, top + PANEL[1] + 15 + 12 * line), text, fill=colour, font=font)
    whole.quantize(COLOURS, dither=Image.Dither.FLOYDSTEINBERG).save(target, optimize=True)


def _told(raised: Flag) -> str:
    rule = next(rule for rule in RULES if rule.flag == raised.flag)
    sign = ">" if rule.beyond == "above" else "<"
    return f"{raised.flag}: {rule.measure} {raised.value:.3g} {sign} {raised.threshold:g}"


def main() -> None:
    """Read the command line."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    commands = parser.add_subparsers(required=True, dest="command")
    commands.add_parser("table").add_argument("path", type=Path, metavar="FOLDER")
    commands.add_parser("sheet").add_argument("path", type=Path, metavar="FILE.png")
    chosen = parser.parse_args()
    {"table": table, "sheet": sheet}[chosen.command](chosen.path)


if __name__ == "__main__":
    main()
