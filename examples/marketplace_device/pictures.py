"""Frames of the camera with the box that the device found, and the products of its answer beside each."""

from collections.abc import Sequence
from pathlib import Path
from typing import Any

from PIL import Image, ImageDraw

from lykeion.device import video_frames

from .film import FRAMES_OF_A_CARD, HEIGHT, WIDTH, Film

TILE, GAP = 112, 8
WHITE, RED, GREEN = (255, 255, 255), (220, 40, 40), (20, 160, 60)


def draw_answers(
    path: Path, film: Film, answers: Sequence[dict[str, Any]], catalogue: Path, *, rows: int = 4
) -> None:
    """One frame of each of the first cards; the product that is shown has a green frame among the answers."""
    chosen: dict[int, dict[str, Any]] = {}
    for answer in answers:
        if "box" in answer and answer["frame"] % FRAMES_OF_A_CARD >= FRAMES_OF_A_CARD // 2:
            chosen.setdefault(answer["frame"] // FRAMES_OF_A_CARD, answer)
    wanted = {answer["frame"]: answer for answer in list(chosen.values())[:rows]}
    width = WIDTH + 5 * (TILE + GAP) + GAP
    picture = Image.new("RGB", (width, max(1, len(wanted)) * (HEIGHT + GAP) + 2 * GAP), WHITE)
    frames = ((number, rgb) for number, rgb in enumerate(video_frames(film.path, realtime=False)) if number in wanted)
    for row, (number, rgb) in enumerate(frames):
        top, answer = GAP + row * (HEIGHT + GAP), wanted[number]
        frame = Image.fromarray(rgb)
        box = answer["box"]
        edges = (box["left"], box["top"], box["right"], box["bottom"])
        ImageDraw.Draw(frame).rectangle(edges, outline=RED, width=3)
        picture.paste(frame, (0, top))
        for column, hit in enumerate(answer["results"]):
            left = WIDTH + GAP + column * (TILE + GAP)
            split, digits = hit["id"].split("-")
            photo = Image.open(catalogue / f"photos/{split}/{int(digits) // 1000:02}/{digits}.png").convert("RGB")
            picture.paste(photo.resize((TILE, TILE)), (left, top + 40))
            said = ImageDraw.Draw(picture)
            said.text((left, top + 46 + TILE), f"{hit['id']}\n{hit['score']:.3f}", fill=(0, 0, 0))
            if hit["id"] == film.shown[number]:
                said.rectangle((left - 3, top + 37, left + TILE + 2, top + 42 + TILE), outline=GREEN, width=3)
    picture.save(path)
