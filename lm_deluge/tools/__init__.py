"""Python functions as tools of a model: their schemas, the arguments that come, the results that go."""
