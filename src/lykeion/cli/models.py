"""``lykeion models``: the networks that turn photos into vectors."""

import json
from pathlib import Path
from typing import Any

import click


@click.group()
def models() -> None:
    """Import and list the networks that turn photos into vectors.

    \b
    lykeion models import efficientnet-lite0     the default; built in a second, needs no TensorFlow
    lykeion models import MobileNetV3Large       from keras.applications; needs lykeion[train]
    lykeion models import shoes.keras            a network of one's own; needs lykeion[train]
    lykeion index add ./photos --index shop.index --embedder PATH
    """


@models.command("import")
@click.argument("network")
@click.option(
    "--weights",
    default="imagenet",
    show_default=True,
    help='For keras.applications: "imagenet", "none" (random), or a file of weights.',
)
@click.option("--json", "as_json", is_flag=True, help="Print one JSON document.")
def import_(network: str, weights: str, as_json: bool) -> None:
    """Make NETWORK a LiteRT file with a model card, under the state directory, and print its path.

    NETWORK is efficientnet-lite0, a network in keras.applications, or a .keras file.
    """
    from lykeion.nets.store import DEFAULT, default_model

    if network == DEFAULT:
        path = default_model()
    else:
        from lykeion.nets.keras_import import import_keras

        path = import_keras(network, weights=None if weights == "none" else weights)
    model = _describe(path)
    click.echo(json.dumps(model) if as_json else model["path"])


@models.command("list")
@click.option("--json", "as_json", is_flag=True, help="Print one JSON document.")
def list_(as_json: bool) -> None:
    """List the networks that were imported, with the digest by which an index knows its embedder."""
    from lykeion.nets.store import installed
    from lykeion.vision import CardError

    found: list[dict[str, Any]] = []
    for path in installed():
        try:
            found.append(_describe(path))
        except CardError as error:
            click.echo(f"warning: {error}", err=True)
    if as_json:
        click.echo(json.dumps({"models": found}))
        return
    if not found:
        click.echo("No networks yet; the default is built when it is first needed.", err=True)
    for model in found:
        click.echo(f"{model['name']}  dimension {model['dimension']}  {model['size_bytes'] / 1e6:.1f} MB")
        click.echo(f"  {model['path']}\n  {model['digest']}")


def _describe(path: Path) -> dict[str, Any]:
    from lykeion.engines import read_model
    from lykeion.search.embedder import embedder_digest
    from lykeion.vision import ModelCard

    card, model = ModelCard.for_model(path), read_model(path)
    return {
        "name": card.name,
        "path": str(path),
        "digest": embedder_digest(model, card),
        "dimension": card.dimension,
        "size_bytes": len(model),
        "source": card.source,
        "licence": card.licence,
    }
