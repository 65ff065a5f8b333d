"""The smallest function in Python: what it is called with is the event, what it returns is the response."""

import platform


def handler(event, context):
    name = event.get("name", "world")
    return {"message": f"Hello, {name}!", "python": platform.python_version()}
