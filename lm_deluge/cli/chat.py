"""``lm-deluge chat``: a conversation in the terminal."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

import click

from lm_deluge import Conversation
from lm_deluge.cli.chatting.attaching import FilesWaiting
from lm_deluge.cli.chatting.keeping import Keeper, last_kept
from lm_deluge.cli.chatting.talk import ChatTalk
from lm_deluge.cli.command import Command, was_given
from lm_deluge.cli.files import check_stdout, distinct
from lm_deluge.cli.options import ModelOptions, model_options

if TYPE_CHECKING:
    from typing import Unpack

__all__ = ["chat"]


@click.command(cls=Command)
@model_options
@click.option(
    "-c", "--continue", "goes_on", is_flag=True, help="Go on with the conversation kept last."
)
@click.option(
    "-a",
    "--attach",
    multiple=True,
    metavar="FILE",
    help="Send a text file or an image along with the first message; as often as you like.",
)
@click.option(
    "-t",
    "--template",
    metavar="TEXT",
    help="Send each message as this text has it, in the place of {input}; @FILE reads the text from a file.",
)
def chat(
    system: str | None,
    goes_on: bool,
    attach: tuple[str, ...],
    template: str | None,
    **options: Unpack[ModelOptions],
) -> int:
    """ChatTalk to a model. Ctrl-C stops an answer; Ctrl-D or "quit" leaves; /help lists what else there is.

    Without a terminal each line of standard input is one message, "quit" as well, and the exit code
    is 1 if any answer failed.
    """
    log, record = options["log"], options["record"]
    check_stdout(log, record)
    distinct({"--log": log, "--record": record}, stdin=True)
    attached = FilesWaiting()
    for name in attach:
        try:
            attached.add(name)
        except (OSError, ValueError, TypeError) as error:
            raise click.BadParameter(str(error), param_hint="'--attach'") from None
    keeper, conversation = Keeper(), Conversation()
    if goes_on:
        kept = last_kept()
        if kept is None:
            raise click.UsageError("no conversation is kept yet: -c has nothing to go on with")
        path, conversation, model = kept
        keeper = Keeper(path)
        if not was_given("model"):
            options["model"] = model
    talk = ChatTalk(options, conversation, attached, keeper, template=_template(template))
    if system is not None:
        talk.set_system(system)
    return talk.run()


def _template(given: str | None) -> str | None:
    """Return the text of a template; raises ``BadParameter`` for one without a place for the message."""
    if given is None:
        return None
    try:
        text = Path(given[1:]).read_text("utf-8") if given.startswith("@") else given
    except (OSError, UnicodeDecodeError) as error:
        raise click.BadParameter(str(error), param_hint="'--template'") from None
    if "{input}" not in text:
        message = "it has no {input}, the place of what is said"
        raise click.BadParameter(message, param_hint="'--template'")
    return text
