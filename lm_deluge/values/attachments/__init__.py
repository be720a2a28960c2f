"""Images, audio and files that go into a user's message, as OpenAI's content parts have them."""
