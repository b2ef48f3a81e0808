"""`inrcodec models` and `inrcodec datasets`: what there is to choose from."""

from __future__ import annotations

import argparse
import json
import sys
from typing import Any

_HEIGHT, _WIDTH, _NUM_FRAMES, _NUM_PARAMS = 720, 1280, 132, 1_500_000


def add_commands(commands: Any) -> None:
    """Add both commands to the subparsers `commands`."""
    models = commands.add_parser(
        "models",
        help="list the networks",
        description=f"List the networks, sized to {_NUM_PARAMS} stored values for "
        f"{_NUM_FRAMES} frames of {_WIDTH}x{_HEIGHT}.",
    )
    models.add_argument("name", metavar="NAME", nargs="?")
    models.add_argument("--json", action="store_true")
    models.set_defaults(run=run_models)
    datasets = commands.add_parser(
        "datasets",
        help="list the clips that are known by name",
        description="List the clips that are known by name: where they lie, how to get them.",
    )
    datasets.add_argument("name", metavar="NAME", nargs="?")
    datasets.set_defaults(run=run_datasets)


def run_models(arguments: argparse.Namespace) -> int:
    """Print one line a network."""
    from inrcodec import models

    rows = []
    for name in [arguments.name] if arguments.name else models.names():
        found = models.entry(name)
        config = models.for_budget(
            name, _NUM_PARAMS, height=_HEIGHT, width=_WIDTH, num_frames=_NUM_FRAMES
        )
        size = models.count_parameters(config)
        rows.append(
            {
                "name": name,
                "paper": found.paper,
                "arxiv": found.arxiv,
                "parameters": size.total,
                "embedding_parameters": size.embeddings,
                "kmac_per_pixel": models.macs_per_frame(config) / (_HEIGHT * _WIDTH) / 1000,
                "hyper_parameters": config.to_dict(),
            }
        )
    if arguments.json:
        json.dump(rows[0] if arguments.name else rows, sys.stdout, indent=2)
        print()
        return 0
    print(f"{'name':14}{'parameters':>11}{'kMAC/pixel':>12}  paper")
    for row in rows:
        print(
            f"{row['name']:14}{row['parameters']:11}{row['kmac_per_pixel']:12.1f}  "
            f"{row['paper']} (arXiv {row['arxiv']})"
        )
    if arguments.name:
        print("hyper-parameters:", json.dumps(rows[0]["hyper_parameters"]))
    return 0


def run_datasets(arguments: argparse.Namespace) -> int:
    """Print one line a clip."""
    from inrcodec import datasets

    for name in [arguments.name] if arguments.name else datasets.names():
        found = datasets.entry(name)
        where = str(datasets.path(name)) if datasets.is_present(name) else found.how_to_get
        print(
            f"{name:10} {found.title}, {found.width}x{found.height}, {found.num_frames} frames, "
            f"{found.licence}: {where}"
        )
    return 0
