"""The commands by which people decide: which model is used, which lists are served."""

from dataclasses import asdict
from typing import Annotated

import typer

from recpipe import decisions, job, serving
from recpipe.ask import Json
from recpipe.errors import UserError
from recpipe.printing import print_json, print_models
from recpipe.settings import read_settings

Because = Annotated[str, typer.Option("--because", metavar="TEXT", help="Reason, kept with the decision.")]
NO_REASON = "no reason given"
MOST_TEXT = 1000


def models(as_json: Json = False) -> None:
    """Every decision about a model: the gate's and people's, its figures, which one is in use."""
    found = decisions.models(read_settings())
    if as_json:
        print_json(found)
    else:
        print_models(found)


def promote(
    model_version: Annotated[str, typer.Argument(metavar="MODEL", help="A model that `recpipe models` lists.")],
    because: Because = NO_REASON,
    as_json: Json = False,
) -> None:
    """Use a model from the next night on, though the gate rejected it or another one followed it."""
    _told(decisions.promote(read_settings(), model_version, _text(because)), as_json)


def rollback(
    lists: Annotated[
        str | None, typer.Option("--lists", metavar="DAY", help="Serve this older day's lists at once.")
    ] = None,
    model: Annotated[
        bool, typer.Option("--model", help="Use the model before the present one from the next night on.")
    ] = False,
    unpin: Annotated[bool, typer.Option("--unpin", help="Serve the withdrawn lists again.")] = False,
    because: Because = NO_REASON,
    as_json: Json = False,
) -> None:
    """Take back lists, until a newer day than those withdrawn is published; or take back a model."""
    if sum((lists is not None, model, unpin)) != 1:
        raise UserError("expected one of --lists DAY, --model and --unpin; try `recpipe rollback --help`")
    settings, reason = read_settings(), _text(because)
    if model:
        _told(decisions.withdraw_model(settings, reason), as_json)
        return
    now = serving.unpin(settings, reason) if unpin else serving.withdraw_lists(settings, job.parse_day(lists), reason)
    if as_json:
        print_json(asdict(now))
    elif now.withdrawn:
        print(f"{now.ds} is served until a newer day than {now.withdrawn} is published, or `recpipe rollback --unpin`.")
    else:
        print(f"{now.ds} is served again.")


def _told(made: decisions.Made, as_json: bool) -> None:
    if as_json:
        print_json(asdict(made))
        return
    print(
        f"From {made.effective_from} on {made.model_version or 'popular items instead of a model'} "
        f"{'is' if made.model_version else 'are'} used, instead of {made.instead_of or 'popular items'}. Nights that "
        "ran keep theirs; to serve older lists at once: `recpipe rollback --lists DAY`."
    )


def _text(because: str) -> str:
    if not because.isprintable() or len(because) > MOST_TEXT:
        raise UserError(f"expected --because to be one line of at most {MOST_TEXT} characters, found another text")
    return because
