"""Textual: a question, and its answer as Markdown while it arrives. Escape stops it.

pip install textual
python textual_app.py
"""

from typing import ClassVar

from textual import work
from textual.app import App, ComposeResult
from textual.containers import VerticalScroll
from textual.widgets import Footer, Input, Markdown

from lm_deluge import LLMClient
from lm_deluge.errors import StreamError


class Ask(App[None]):
    BINDINGS: ClassVar = [("escape", "stop", "Stop the answer")]
    client = LLMClient("gpt-6-sol")

    def compose(self) -> ComposeResult:
        yield Input(placeholder="Ask something")
        with VerticalScroll():
            yield Markdown()
        yield Footer()

    def on_input_submitted(self, event: Input.Submitted) -> None:
        event.input.clear()
        self.answer(event.value)

    @work(exclusive=True)  # the next question stops the answer to the one before
    async def answer(self, question: str) -> None:
        shown = self.query_one(Markdown)
        await shown.update("")
        drawing = Markdown.get_stream(shown)  # draws what came since, as often as it can
        try:
            async for token in self.client.open_stream(question):
                await drawing.write(token.text)
        except StreamError as error:
            self.notify(str(error), severity="error")
        finally:
            await drawing.stop()

    def action_stop(self) -> None:
        self.workers.cancel_all()


if __name__ == "__main__":
    Ask().run()
