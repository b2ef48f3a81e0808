"""`inrcodec models [NAME]`: the networks there are to choose from."""

from __future__ import annotations

import argparse
import json
import shutil
import sys
from typing import TYPE_CHECKING, Any

from inrcodec.cli import _parser as p

if TYPE_CHECKING:
    from inrcodec._model_card import Clip, ModelSummary

_SIZE, _NUM_FRAMES, _NUM_PARAMS = (1280, 720), 132, 1_500_000


def add_commands(commands: Any) -> None:
    """Add the command to the subparsers `commands`."""
    models = commands.add_parser(
        "models",
        help="list the networks, or show one of them",
        description="List the networks with their sizes, cost and decoding speed on this machine, "
        "as their own rules shape them: encode's presets bound the cost of hnervpp, the default. "
        "With NAME, show one network, drawn from its input to the frame.",
    )
    models.add_argument("name", metavar="NAME", nargs="?")
    models.add_argument("--json", action="store_true")
    clip = models.add_argument_group("sized for")
    p.add_clip(clip, size=_SIZE, num_frames=_NUM_FRAMES)
    clip.add_argument(
        "--parameters",
        type=p.byte_size,
        default=_NUM_PARAMS,
        metavar="P",
        help="stored values, embeddings included: 300k, 1.5M (default)",
    )
    models.add_argument("--no-speed", action="store_true", help="do not measure frames/s")
    p.add_device(models)
    models.set_defaults(run=run_models)


def run_models(arguments: argparse.Namespace) -> int:
    """Print one line a network, or one network's card."""
    from inrcodec._model_card import Clip
    from inrcodec.fitting import resolve_device

    width, height = arguments.size
    clip = Clip(width, height, arguments.frames, arguments.parameters)
    settings = {
        "device": str(resolve_device(arguments.device)),
        "speed": not arguments.no_speed,
    }
    if arguments.name:
        _print_card(arguments.name, clip, settings, as_json=arguments.json)
    else:
        _print_list(clip, settings, as_json=arguments.json)
    return 0


def _print_card(name: str, clip: Clip, settings: dict[str, Any], *, as_json: bool) -> None:
    from inrcodec._model_card import ASCII, describe, render

    card = describe(name, clip, **settings)
    if as_json:
        print(json.dumps(card.to_dict(), indent=2))
        return
    text = render(card)
    if p.printable(text) != text:
        text = p.printable(render(card, ASCII))
    print(text)


def _print_list(clip: Clip, settings: dict[str, Any], *, as_json: bool) -> None:
    """Print each network as soon as it is known; those that have no such size say so.

    Raises: ModelError where no network has such a size.
    """
    from inrcodec import models
    from inrcodec._model_card import device_text, summarize
    from inrcodec.errors import ModelError

    names = models.names()
    width = max(map(len, names)) + 1
    if not as_json:
        measured = f"; frames/s on {device_text(settings['device'])}" if settings["speed"] else ""
        print(
            f"{clip.num_params:,} stored values for {clip.num_frames} frames of "
            f"{clip.width}x{clip.height}, without the bound that encode's presets set{measured}\n\n"
            f"{'name':{width}} {'parameters':>10} {'kMAC/pixel':>11} {'frames/s':>9}"
            f"  {'arXiv':11} paper",
            flush=True,
        )
    objects: list[dict[str, Any]] = []
    error: ModelError | None = None
    for name in names:
        try:
            summary = summarize(name, clip, **settings)
        except ModelError as exc:
            error = exc
            if not as_json:
                print(p.printable(f"{name:{width}} {exc}"), flush=True)
            continue
        objects.append(summary.to_dict())
        if not as_json:
            print(p.printable(_line(summary, width)), flush=True)
    if error and not objects:
        raise error
    if as_json:
        print(json.dumps(objects, indent=2))


def _line(summary: ModelSummary, width: int) -> str:
    from inrcodec._model_card import short_number

    fps = "-" if summary.decode_fps is None else short_number(summary.decode_fps)
    found = summary.entry
    line = (
        f"{found.name:{width}} {summary.size.total:10,} {short_number(summary.kmac_per_pixel):>11} "
        f"{fps:>9}  {found.arxiv:11} {found.paper}"
    )
    if not sys.stdout.isatty():
        return line
    columns = shutil.get_terminal_size().columns
    return line if len(line) <= columns else line[: columns - 3] + "..."
